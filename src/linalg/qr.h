/* The QR decomposition of a float weight, in double precision inside. Threads, errors and memory as in svd.h. */
#ifndef LF_LINALG_QR_H
#define LF_LINALG_QR_H

#include <stdint.h>

#include "base/error.h"

/* W [out, in] = Q R, row-major: the first r columns of Q [out, r], orthonormal, and the first r rows of R [r, in],
 * upper triangular, so that W - Q R has nothing left in its first r columns. Householder's, with LAPACK's signs: the
 * diagonal of R may be negative. 1 <= r <= min(out, in) is asserted. */
lf_status lf_qr_first(const float *W, int64_t out, int64_t in, int64_t r, double *Q, double *R, const char *name,
                      lf_err *err);

#endif

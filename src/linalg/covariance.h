/* Second moments C = sum of x x^T over rows x, and weights seen through them. All in double precision, C [n, n] with
 * both halves. Threads, errors and memory as in svd.h, but for lf_moment_add. */
#ifndef LF_LINALG_COVARIANCE_H
#define LF_LINALG_COVARIANCE_H

#include <stdint.h>

#include "base/error.h"

/* C += X^T X and sum [n] += the sum of rows, X [rows, n]. Of C the half at and above the diagonal alone is read and
 * written until lf_moment_close copies it into the other. On all threads of BLAS, so that the last digits depend on how
 * many there are; LF_ENOMEM. */
lf_status lf_moment_add(double *C, double *sum, const float *X, int64_t rows, int64_t n, lf_err *err);
void lf_moment_close(double *C, int64_t n);

/* The r eigenpairs of a symmetric C from the s-th smallest on (0 is the smallest), ascending: values [r], vectors [n,
 * r] (columns), orthonormal. 0 <= s, s + r <= n is asserted. */
lf_status lf_eigen_block(const double *C, int64_t n, int64_t s, int64_t r, double *values, double *vectors,
                         const char *name, lf_err *err);

/* Triplets s .. s+r-1 of W D = U diag(sigma) V^T, W [out, in], D [in, in] symmetric and positive: U [out, r], sigma
 * [r], and, instead of V, D^-1 V [in, r], so that the sum of all of U diag(sigma) (D^-1 V)^T is W. LF_ENUMERIC where D
 * is not positive. */
lf_status lf_svd_block_through(const float *W, const double *D, int64_t out, int64_t in, int64_t s, int64_t r,
                               double *U, double *sigma, double *V, const char *name, lf_err *err);

/* M [out, out] = W D W^T, D symmetric: the second moments of W x, where D are those of x. */
lf_status lf_moment_through(const float *W, const double *D, int64_t out, int64_t in, double *M, const char *name,
                            lf_err *err);

/* All r triplets of W P P^T, P [in, r] orthonormal: U [out, r], sigma [r], V [in, r], in the span of P. r <= out is
 * asserted. */
lf_status lf_svd_projected(const float *W, const double *P, int64_t out, int64_t in, int64_t r, double *U,
                           double *sigma, double *V, const char *name, lf_err *err);

#endif

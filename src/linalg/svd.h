/* Singular value decompositions, in double precision inside, of float weights.
 * All matrices are row-major. n = min(out, in). Functions are thread safe and single-threaded inside (the caller
 * decomposes many weights in parallel), so that the same W gives the same bytes from anywhere; workspace is taken from
 * the heap. LF_EDATA if W has NaN or Inf, LF_ENUMERIC if LAPACK does not converge, LF_ENOMEM, LF_EUNSUPPORTED for sizes
 * beyond LAPACK's integers; `name` (of the weight) is in the error. Signs are fixed: the entry of largest magnitude in
 * each column of V is positive. */
#ifndef LF_LINALG_SVD_H
#define LF_LINALG_SVD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What the bytes of a result depend on beside its arguments, as text: our version of the methods (raise it in
 * svd_common.c when a result changes), BLAS, LAPACK and the processor they run for. Not thread safe. */
void lf_svd_solver(char *text, size_t size);

/* All singular values, descending, into sigma [n], and the vectors U [out, n], V [in, n] (columns), by LAPACK dgesdd.
 */
lf_status lf_svd_full(const float *W, int64_t out, int64_t in, double *sigma, double *U, double *V, const char *name,
                      lf_err *err);

/* All singular values only: sigma [n], descending, each to 1e-6 of itself (or to rounding of sigma[0]): from the Gram
 * matrix where that is enough, else by dgesdd. */
lf_status lf_svd_values(const float *W, int64_t out, int64_t in, double *sigma, const char *name, lf_err *err);

typedef enum lf_svd_way { LF_SVD_GRAM, LF_SVD_BIDIAGONAL, LF_SVD_FULL } lf_svd_way;

typedef struct lf_svd_block_info {
    double sigma_max;     /* sigma[0] of the whole matrix */
    double residual;      /* max(|W^T U - V diag(sigma)|_F, |W V - U diag(sigma)|_F) / sigma_max */
    double orthogonality; /* max |U^T U - I|, |V^T V - I| */
    lf_svd_way way;       /* the method whose result passed; the full decomposition's is not tested */
    int64_t n_dead;       /* components of the block with sigma <= 1e-7 * sigma_max (all, if W = 0) */
} lf_svd_block_info;

/* The block of singular triplets s .. s+r-1 (0-based, descending): U [out, r], sigma [r], V [in, r].
 * Method (docs/architecture.md): a basis of the block on the smaller side, from the Gram matrix, or, where that has no
 * accuracy left (below about 3e-5 sigma_max), from the bidiagonal form of W; then Y = W V, thin dgesdd of Y = U Sigma
 * Z^T, V <- V Z. Accepted if the residual is at most 1e-6 of the block's last sigma, orthogonality is at most 1e-10,
 * and Sturm counts say that components s and s+r-1 are what is claimed, up to clusters of relative width 2e-6; else
 * lf_svd_full. Within a cluster that reaches over the block's border any choice of orthonormal vectors is right. For
 * dead components U and V are still orthonormal. `info` may be NULL. 1 <= r, 0 <= s, s + r <= n is asserted. */
lf_status lf_svd_block(const float *W, int64_t out, int64_t in, int64_t s, int64_t r, double *U, double *sigma,
                       double *V, lf_svd_block_info *info, const char *name, lf_err *err);

/* Both at once, for less than the sum: sigma_all [n] as lf_svd_values has them, then the block that starts where
 * `place` says, as lf_svd_block has it (the same bytes). `place` sets *s or fails; it may fail with any status. */
typedef lf_status (*lf_svd_place_fn)(const void *context, const double *sigma_all, int64_t *s, lf_err *err);
lf_status lf_svd_block_placed(const float *W, int64_t out, int64_t in, lf_svd_place_fn place, const void *context,
                              int64_t r, double *sigma_all, double *U, double *sigma, double *V,
                              lf_svd_block_info *info, const char *name, lf_err *err);

/* The first r triplets by a randomized range finder with `niter` power iterations in float, QR between them, at least
 * 8 columns more than r (if n allows), seeded (Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1). */
lf_status lf_svd_randomized(const float *W, int64_t out, int64_t in, int64_t r, int niter, uint64_t seed,
                            uint64_t stream, double *U, double *sigma, double *V, const char *name, lf_err *err);

/* ---- a weight and an update of low rank: L [out, q], R [q, in], any q >= 1. LF_EDATA if the update has NaN or Inf,
 * too. ---- */

/* The singular values of L R, descending, into sigma [min(out, in, q)]: those of the small core T1 T2^T of L = Q1 T1,
 * R^T = Q2 T2 (two QR decompositions), so that L R is never formed. */
lf_status lf_svd_low_rank_values(const double *L, const double *R, int64_t out, int64_t in, int64_t q, double *sigma,
                                 const char *name, lf_err *err);

/* The same with the first r triplets, U [out, r] and V [in, r], from the core's. r <= min(out, in, q) is asserted. */
lf_status lf_svd_low_rank(const double *L, const double *R, int64_t out, int64_t in, int64_t q, int64_t r, double *U,
                          double *sigma, double *V, const char *name, lf_err *err);

/* The block s .. s+r-1 of W + L R, summed in double: as lf_svd_block. */
lf_status lf_svd_block_updated(const float *W, const double *L, const double *R, int64_t out, int64_t in, int64_t q,
                               int64_t s, int64_t r, double *U, double *sigma, double *V, const char *name,
                               lf_err *err);

#endif

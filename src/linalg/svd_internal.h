/* What the three decompositions share. Inside a decomposition all matrices are column-major, as LAPACK wants them:
 * W [out, in] in row-major memory is W^T [in, out] in column-major memory, so W itself is never transposed. */
#ifndef LF_LINALG_SVD_INTERNAL_H
#define LF_LINALG_SVD_INTERNAL_H

#include <lapacke.h>

#include "base/pool.h"
#include "linalg/sturm.h"
#include "linalg/svd.h"

#define LF_SVD_DEAD 1e-7 /* times sigma_max */

/* The Gram matrix of W's smaller side, reduced to t by dsytrd; its factors are in `reflectors` and `tau`. */
typedef struct lf_svd_gram {
    double *reflectors, *tau, *work; /* reflectors NULL: not yet made */
    lapack_int work_size;
    lf_tridiagonal t; /* eigenvalues sigma^2 */
} lf_svd_gram;

/* A weight in double, with all the memory of its decomposition. */
typedef struct lf_svd_weight {
    const char *name;
    lapack_int out, in, n; /* n = min(out, in) */
    double *Wt;            /* column-major [in, out] */
    lf_svd_gram gram;
    lf_arena *arena;
    int blas_threads; /* what the calling thread had before */
} lf_svd_weight;

/* Converts W and, until lf_svd_end, keeps BLAS at one thread in the calling thread. LF_EDATA at the first NaN or
 * Inf. lf_svd_end must be called in any case. */
lf_status lf_svd_begin(lf_svd_weight *w, const float *W, int64_t out, int64_t in, const char *name, lf_err *err);
/* The same without the weight itself: sizes, memory and threads. Wt is NULL. */
lf_status lf_svd_begin_empty(lf_svd_weight *w, int64_t out, int64_t in, const char *name, lf_err *err);
void lf_svd_end(lf_svd_weight *w);

/* Cleared memory that lives until lf_svd_end; NULL when out of memory. */
double *lf_svd_doubles(lf_svd_weight *w, int64_t rows, int64_t columns);
float *lf_svd_floats(lf_svd_weight *w, int64_t rows, int64_t columns);
lapack_int *lf_svd_ints(lf_svd_weight *w, int64_t count);
lf_status lf_svd_out_of_memory(const lf_svd_weight *w, lf_err *err);

/* What a method says of components s .. s+r-1, before it is tested. Q [n, r], orthonormal, spans their vectors on the
 * side of n (V if W is tall or square, else U), and P those on the other side, or is NULL if they are to follow from W
 * and Q; the eigenvalues of t from the largest on are sigma^power. */
typedef struct lf_svd_guess {
    bool found; /* false: the method knows that it will not do, and the rest is not filled */
    int power;  /* 1 or 2 */
    double *Q;  /* the caller's memory */
    double *P;
    lf_tridiagonal t;
} lf_svd_guess;
lf_status lf_svd_reduce_gram(lf_svd_weight *w, lf_err *err); /* fills w->gram, the first time */
lf_status lf_svd_of_gram(lf_svd_weight *w, lapack_int s, lapack_int r, lf_svd_guess *g, lf_err *err);
lf_status lf_svd_of_bidiagonal(lf_svd_weight *w, lapack_int s, lapack_int r, lf_svd_guess *g, lf_err *err);

/* M [rows, columns] = L diag(sigma) R^T, k = min(rows, columns): sigma [k], L [rows, k], Rt [k, columns]. L and Rt both
 * NULL: values only. M is destroyed. */
lf_status lf_svd_dgesdd(lf_svd_weight *w, double *M, lapack_int rows, lapack_int columns, double *sigma, double *L,
                        double *Rt, lf_err *err);

/* All triplets of M, which is w->Wt or a copy of it and is destroyed, as lf_svd_full says. */
lf_status lf_svd_all_triplets(lf_svd_weight *w, double *M, double *sigma, double *U, double *V, lf_err *err);

/* The block s .. s+r-1 of w, as lf_svd_block says. */
lf_status lf_svd_block_of(lf_svd_weight *w, int64_t s, int64_t r, double *U, double *sigma, double *V,
                          lf_svd_block_info *info, lf_err *err);

/* All singular values of w, as lf_svd_values says. */
lf_status lf_svd_all_values(lf_svd_weight *w, double *sigma, lf_err *err);

/* Row-major [rows, columns] from column-major. */
void lf_svd_to_row_major(double *dst, const double *src, int64_t rows, int64_t columns);

/* U [out, r] and V [in, r], row-major: the entry of largest magnitude in each column of V becomes positive. */
void lf_svd_fix_signs(double *U, int64_t out, double *V, int64_t in, int64_t r);

#endif

/* The geometry of an update: what dW does to a weight W, seen in W's own singular vectors. Sources: rotation and the
 * map U^T dW V arXiv 2602.03493, intruder dimensions arXiv 2410.21228 (k = 10, epsilon = 0.5, as its authors' code),
 * effective rank Roy and Vetterli 2007.
 *
 * Notation: W [out,in] = U diag(sigma) V^T, n = min(out,in), components 0-based with sigma descending; dW = scaling B A
 * [out,in] of rank at most r; W' = W + dW. Matrices are row-major; everything but W is double. Nothing here is of the
 * size out x in but W, U and V. The functions are pure and thread safe; inputs are borrowed. What is undefined (a share
 * of nothing) is NAN. */
#ifndef LF_EVAL_GEOMETRY_H
#define LF_EVAL_GEOMETRY_H

#include "base/error.h"

/* ---- a list of singular values, descending ---- */

/* exp(H(p)), p_i = sigma_i / sum sigma, H in nats: 1 for one value, n for n equal ones (Roy and Vetterli 2007). NAN if
 * all are zero. */
double lf_effective_rank(const double *sigma, int64_t n);
/* Sum of sigma^2 over components s .. s+r-1 by the sum over all n. NAN if all are zero. */
double lf_energy_share(const double *sigma, int64_t n, int64_t s, int64_t r);

/* ---- an update ---- */

typedef struct lf_decomposed {
    int64_t out, in;
    const double *U, *sigma, *V; /* thin: U [out,n], sigma [n], V [in,n] */
} lf_decomposed;

typedef struct lf_update {
    int64_t r;
    const double *B, *A; /* B [out,r] with the scaling in it, A [r,in] */
} lf_update;

enum { LF_GEOMETRY_TOP = 10, LF_MAP_CELLS = 64 };
#define LF_INTRUDER_COSINE 0.5

typedef struct lf_geometry {
    double norm, relative_norm; /* |dW|_F, and by |W|_F; the latter NAN for W = 0 */
    double sigma_max;           /* of dW: its spectral norm */
    double effective_rank;      /* of dW; NAN for dW = 0 */
    /* Of C = U^T dW V [n,n], C_ij = u_i^T dW v_j; shares of |C|_F^2, NAN for C = 0. */
    double map_diagonal; /* on the diagonal: singular values change, vectors stay */
    double map_head;     /* in rows or columns with index < n / 8 */
    double map_inside; /* |C|_F^2 / |dW|_F^2: what lies outside goes into directions that W does not reach; NAN for dW =
                          0 */
    /* Of the first k = min(10, n) left singular vectors u'_j of W'. dW = 0 rotates nothing. */
    double rotation;   /* mean over j of arccos |u_j^T u'_j|, radians, 0 to pi/2 */
    int64_t intruders; /* how many have max_i |u_i^T u'_j| < 0.5 over all n columns of U: intruder dimensions
                          (2410.21228) */
} lf_geometry;

/* Cells on a side of the picture of |C| for a weight of n components: min(n, 64). Row i is in row i * cells / n of the
 * picture. */
int64_t lf_map_cells(int64_t n);

/* All of the above for one weight. d is the decomposition of W, which is read again for W'. cells: NULL, or
 * [lf_map_cells(n)]^2 for the mean of |C_ij| over each cell. LF_EDATA if dW has NaN or Inf, LF_ENOMEM, LF_ENUMERIC
 * and LF_EUNSUPPORTED as linalg/svd.h, with `name` of the weight. */
lf_status lf_geometry_measure(lf_geometry *out, const float *W, const lf_decomposed *d, const lf_update *u,
                              double *cells, const char *name, lf_err *err);

/* ---- its parts, for tests ---- */

/* C and its shares by way of |C|_F^2 (returned). work: 2 n r + n doubles. */
double lf_update_map(lf_geometry *out, const lf_decomposed *d, const lf_update *u, double *cells, double *work);
/* Columns 0 .. k-1 of U [rows,n] and of top [rows,k], both orthonormal: mean angle between lines, accurate to small
 * angles. */
double lf_rotation(const double *U, int64_t rows, int64_t n, const double *top, int64_t k);
int64_t lf_intruders(const double *U, int64_t rows, int64_t n, const double *top, int64_t k,
                     double *work); /* work: n doubles */

#endif

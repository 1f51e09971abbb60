/* A weight and an update of low rank: the update's own singular values, and triplets of the sum. */
#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "linalg/svd_internal.h"

static lf_status check_finite(const lf_svd_weight *w, const double *X, int64_t count, lf_err *err) {
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(X[i]))
            return lf_fail(err, LF_EDATA,
                           "%s: the update of the weight holds %g, expected finite numbers; did the training of its "
                           "adapter diverge?",
                           w->name, X[i]);
    return LF_OK;
}

static lf_status check_update(const lf_svd_weight *w, const double *L, const double *R, int64_t q, lf_err *err) {
    assert(q >= 1 && q <= INT32_MAX);
    const lf_status rc = check_finite(w, L, w->out * q, err);
    return rc ? rc : check_finite(w, R, q * w->in, err);
}

/* What LAPACK leaves of a QR or LQ beside the triangle: the orthonormal factor, as reflectors. */
typedef struct reflected {
    double *copy, *tau;
} reflected;

/* X, row-major [rows, columns], is X^T in column-major memory. What is left of its triangle, with zeros, column-major:
 * of an LQ of X^T
 * (`lower`) the [columns, min] factor on the left, of a QR the [min, columns'] one on the right. */
static bool triangle(lf_svd_weight *w, const double *X, lapack_int rows, lapack_int columns, bool lower, double *T,
                     reflected *kept) {
    const lapack_int n = rows < columns ? rows : columns, work_size = 64 * (rows + columns);
    double *copy = lf_svd_doubles(w, rows, columns), *tau = lf_svd_doubles(w, n, 1),
           *work = lf_svd_doubles(w, work_size, 1);
    if (!copy || !tau || !work) return false;
    memcpy(copy, X, sizeof *copy * (size_t)rows * (size_t)columns);
    const lapack_int info =
        lower ? LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, rows, columns, copy, rows, tau, work, work_size)
              : LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, rows, columns, copy, rows, tau, work, work_size);
    assert(info == 0);
    (void)info;
    if (kept) *kept = (reflected){copy, tau};
    const lapack_int height = lower ? rows : n, width = lower ? n : columns;
    for (int64_t j = 0; j < width; j++)
        for (int64_t i = lower ? j : 0; i < (lower ? height : j < n ? j + 1 : n); i++)
            T[i + j * height] = copy[i + j * rows];
    return true;
}

/* In column-major memory L is L^T [q, out] = T1 Q1 and R is R^T [in, q] = Q2 T2, so R^T L^T = Q2 (T2 T1) Q1. */
static lf_status core_values(lf_svd_weight *w, const double *L, const double *R, lapack_int q, double *sigma,
                             lf_err *err) {
    const lapack_int p1 = q < w->out ? q : w->out, p2 = q < w->in ? q : w->in;
    double *T1 = lf_svd_doubles(w, q, p1), *T2 = lf_svd_doubles(w, p2, q), *core = lf_svd_doubles(w, p2, p1);
    if (!T1 || !T2 || !core || !triangle(w, L, q, w->out, true, T1, NULL) || !triangle(w, R, w->in, q, false, T2, NULL))
        return lf_svd_out_of_memory(w, err);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, p2, p1, q, 1, T2, p2, T1, q, 0, core, p2);
    return lf_svd_dgesdd(w, core, p2, p1, sigma, NULL, NULL, err);
}

lf_status lf_svd_low_rank_values(const double *L, const double *R, int64_t out, int64_t in, int64_t q, double *sigma,
                                 const char *name, lf_err *err) {
    lf_svd_weight w;
    lf_status rc = lf_svd_begin_empty(&w, out, in, name, err);
    if (!rc) rc = check_update(&w, L, R, q, err);
    if (!rc) rc = core_values(&w, L, R, (lapack_int)q, sigma, err);
    lf_svd_end(&w);
    return rc;
}

/* With R^T L^T = Q2 core Q1 and core = P diag(sigma) Zt: V = Q2 P, and U by rows is Zt Q1. */
static lf_status triplets(lf_svd_weight *w, const double *L, const double *R, lapack_int q, lapack_int r, double *U,
                          double *sigma, double *V, lf_err *err) {
    const lapack_int p1 = q < w->out ? q : w->out, p2 = q < w->in ? q : w->in, k = p1 < p2 ? p1 : p2,
                     work_size = 64 * (w->in > w->out ? w->in : w->out);
    double *T1 = lf_svd_doubles(w, q, p1), *T2 = lf_svd_doubles(w, p2, q), *core = lf_svd_doubles(w, p2, p1),
           *P = lf_svd_doubles(w, p2, k), *Zt = lf_svd_doubles(w, k, p1), *work = lf_svd_doubles(w, work_size, 1),
           *columns = lf_svd_doubles(w, w->in, r);
    reflected Q1, Q2;
    if (!T1 || !T2 || !core || !P || !Zt || !work || !columns || !triangle(w, L, q, w->out, true, T1, &Q1) ||
        !triangle(w, R, w->in, q, false, T2, &Q2))
        return lf_svd_out_of_memory(w, err);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, p2, p1, q, 1, T2, p2, T1, q, 0, core, p2);
    const lf_status rc = lf_svd_dgesdd(w, core, p2, p1, sigma, P, Zt, err);
    if (rc) return rc;
    lapack_int info = LAPACKE_dorglq_work(LAPACK_COL_MAJOR, p1, w->out, p1, Q1.copy, q, Q1.tau, work, work_size);
    assert(info == 0);
    info = LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, w->in, p2, p2, Q2.copy, w->in, Q2.tau, work, work_size);
    assert(info == 0);
    (void)info;
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, r, w->out, p1, 1, Zt, k, Q1.copy, q, 0, U, r);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, w->in, r, p2, 1, Q2.copy, w->in, P, p2, 0, columns, w->in);
    lf_svd_to_row_major(V, columns, w->in, r);
    lf_svd_fix_signs(U, w->out, V, w->in, r);
    return LF_OK;
}

lf_status lf_svd_low_rank(const double *L, const double *R, int64_t out, int64_t in, int64_t q, int64_t r, double *U,
                          double *sigma, double *V, const char *name, lf_err *err) {
    lf_svd_weight w;
    assert(r >= 1 && r <= q && r <= out && r <= in);
    lf_status rc = lf_svd_begin_empty(&w, out, in, name, err);
    if (!rc) rc = check_update(&w, L, R, q, err);
    if (!rc) rc = triplets(&w, L, R, (lapack_int)q, (lapack_int)r, U, sigma, V, err);
    lf_svd_end(&w);
    return rc;
}

lf_status lf_svd_block_updated(const float *W, const double *L, const double *R, int64_t out, int64_t in, int64_t q,
                               int64_t s, int64_t r, double *U, double *sigma, double *V, const char *name,
                               lf_err *err) {
    lf_svd_weight w;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (!rc) rc = check_update(&w, L, R, q, err);
    if (!rc) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, w.out, w.in, (lapack_int)q, 1, L, (lapack_int)q, R, w.in,
                    1, w.Wt, w.in);
        rc = lf_svd_block_of(&w, s, r, U, sigma, V, NULL, err);
    }
    lf_svd_end(&w);
    return rc;
}

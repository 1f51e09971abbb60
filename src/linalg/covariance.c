#include "linalg/covariance.h"

#include <assert.h>
#include <cblas.h>
#include <string.h>

#include "base/mem.h"
#include "linalg/svd_internal.h"

enum { BLOCK = 512 }; /* rows that are turned into doubles at a time */

lf_status lf_moment_add(double *C, double *sum, const float *X, int64_t rows, int64_t n, lf_err *err) {
    double *block = lf_malloc((size_t)(BLOCK * n) * sizeof *block);
    if (!block) return lf_no_memory(err, "the second moments of %lld inputs", (long long)n);
    for (int64_t from = 0; from < rows; from += BLOCK) {
        const int64_t count = rows - from < BLOCK ? rows - from : BLOCK;
        for (int64_t i = 0; i < count * n; i++) block[i] = (double)X[from * n + i];
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < n; j++) sum[j] += block[i * n + j];
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)n, (int)count, 1, block, (int)n, 1, C, (int)n);
    }
    lf_free(block);
    return LF_OK;
}

void lf_moment_close(double *C, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) C[i * n + j] = C[j * n + i];
}

static lf_status eigen(lf_svd_weight *w, const double *C, lapack_int s, lapack_int r, double *values, double *vectors,
                       lf_err *err) {
    const lapack_int n = w->n, work_size = 26 * n + 64, iwork_size = 10 * n + 16;
    double *copy = lf_svd_doubles(w, n, n), *all = lf_svd_doubles(w, n, 1), *found_vectors = lf_svd_doubles(w, n, r),
           *work = lf_svd_doubles(w, work_size, 1);
    lapack_int *support = lf_svd_ints(w, 2 * (int64_t)r), *iwork = lf_svd_ints(w, iwork_size), found = 0;
    if (!copy || !all || !found_vectors || !work || !support || !iwork) return lf_svd_out_of_memory(w, err);
    memcpy(copy, C, (size_t)n * (size_t)n * sizeof *copy);
    const lapack_int info =
        LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, 'V', 'I', 'L', n, copy, n, 0, 0, s + 1, s + r, 0, &found, all,
                            found_vectors, n, support, work, work_size, iwork, iwork_size);
    if (info || found != r)
        return lf_fail(err, LF_ENUMERIC,
                       "%s: eigenvalues of its inputs' second moments [%d, %d]: expected convergence, got info %d from "
                       "dsyevr; are the calibration data finite?",
                       w->name, (int)n, (int)n, (int)info);
    memcpy(values, all, (size_t)r * sizeof *values);
    lf_svd_to_row_major(vectors, found_vectors, n, r);
    return LF_OK;
}

lf_status lf_eigen_block(const double *C, int64_t n, int64_t s, int64_t r, double *values, double *vectors,
                         const char *name, lf_err *err) {
    lf_svd_weight w;
    assert(s >= 0 && r >= 1 && s + r <= n);
    lf_status rc = lf_svd_begin_empty(&w, n, n, name, err);
    if (!rc) rc = eigen(&w, C, (lapack_int)s, (lapack_int)r, values, vectors, err);
    lf_svd_end(&w);
    return rc;
}

/* V [in, r] <- D^-1 V */
static lf_status solve(lf_svd_weight *w, const double *D, lapack_int r, double *V, lf_err *err) {
    const lapack_int n = w->in;
    double *L = lf_svd_doubles(w, n, n);
    if (!L) return lf_svd_out_of_memory(w, err);
    memcpy(L, D, (size_t)n * (size_t)n * sizeof *L);
    const lapack_int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', n, L, n);
    if (info)
        return lf_fail(
            err, LF_ENUMERIC,
            "%s: the second moments of its inputs are not positive; are the calibration data finite, and not "
            "all zero?",
            w->name);
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit, n, r, 1, L, n, V, r);
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, n, r, 1, L, n, V, r);
    return LF_OK;
}

lf_status lf_svd_block_through(const float *W, const double *D, int64_t out, int64_t in, int64_t s, int64_t r,
                               double *U, double *sigma, double *V, const char *name, lf_err *err) {
    lf_svd_weight w;
    double *product = NULL;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (!rc && !(product = lf_svd_doubles(&w, in, out))) rc = lf_svd_out_of_memory(&w, err);
    if (!rc) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, w.out, w.in, w.in, 1, w.Wt, w.in, D, w.in, 0, product,
                    w.in);
        w.Wt = product;
        rc = lf_svd_block_of(&w, s, r, U, sigma, V, NULL, err);
    }
    if (!rc) rc = solve(&w, D, (lapack_int)r, V, err);
    lf_svd_end(&w);
    return rc;
}

lf_status lf_moment_through(const float *W, const double *D, int64_t out, int64_t in, double *M, const char *name,
                            lf_err *err) {
    lf_svd_weight w;
    double *product = NULL;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (!rc && !(product = lf_svd_doubles(&w, out, in))) rc = lf_svd_out_of_memory(&w, err);
    if (!rc) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, w.out, w.in, w.in, 1, w.Wt, w.in, D, w.in, 0, product,
                    w.in);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, w.out, w.out, w.in, 1, product, w.in, w.Wt, w.in, 0, M,
                    w.out);
    }
    lf_svd_end(&w);
    return rc;
}

lf_status lf_svd_projected(const float *W, const double *P, int64_t out, int64_t in, int64_t r, double *U,
                           double *sigma, double *V, const char *name, lf_err *err) {
    lf_svd_weight w;
    double *M = NULL, *Zt = NULL;
    assert(r <= out && r <= in);
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    const lapack_int k = (lapack_int)r;
    /* M^T [r, out] in column-major memory is M = W P [out, r] by rows; M^T = left diag(sigma) Rt, so left is Z by
     * columns and Rt, by columns, is U by rows */
    if (!rc && (!(M = lf_svd_doubles(&w, r, out)) || !(Zt = lf_svd_doubles(&w, r, r))))
        rc = lf_svd_out_of_memory(&w, err);
    if (!rc) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, w.out, k, w.in, 1, w.Wt, w.in, P, k, 0, M, k);
        rc = lf_svd_dgesdd(&w, M, k, w.out, sigma, Zt, U, err);
    }
    if (!rc) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, w.in, k, k, 1, P, k, Zt, k, 0, V, k);
        lf_svd_fix_signs(U, out, V, in, r);
    }
    lf_svd_end(&w);
    return rc;
}

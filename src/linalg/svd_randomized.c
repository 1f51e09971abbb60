#include <assert.h>
#include <cblas.h>

#include "base/rng.h"
#include "linalg/svd_internal.h"

enum { OVERSAMPLING = 10 };

/* M [rows, k], rows >= k: its columns become an orthonormal basis of a space that holds them. */
static lf_status orthonormalize(lf_svd_weight *w, double *M, lapack_int rows, lapack_int k, double *tau, double *work,
                                lapack_int work_size, lf_err *err) {
    if (LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, rows, k, M, rows, tau, work, work_size) ||
        LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, rows, k, k, M, rows, tau, work, work_size))
        return lf_fail(err, LF_ENUMERIC, "%s: QR of a [%d, %d] sketch failed; use pissa without niter", w->name,
                       (int)rows, (int)k);
    return LF_OK;
}

/* Y [out, k] = W X [in, k] */
static void times_W(const lf_svd_weight *w, double *Y, const double *X, lapack_int k) {
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, w->out, k, w->in, 1, w->Wt, w->in, X, w->in, 0, Y, w->out);
}

/* X [in, k] = W^T Y [out, k] */
static void times_Wt(const lf_svd_weight *w, double *X, const double *Y, lapack_int k) {
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, w->in, k, w->out, 1, w->Wt, w->in, Y, w->out, 0, X, w->in);
}

lf_status lf_svd_randomized(const float *W, int64_t out, int64_t in, int64_t r, int niter, uint64_t seed,
                            uint64_t stream, double *U, double *sigma, double *V, const char *name, lf_err *err) {
    lf_svd_weight w;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (rc) goto done;
    assert(r >= 1 && r <= w.n && niter >= 0);
    const lapack_int k = (lapack_int)(w.n - r < OVERSAMPLING ? w.n : r + OVERSAMPLING);
    const lapack_int work_size = 64 * k; /* block size of dgeqrf is at most 64 */
    double *X = lf_svd_doubles(&w, w.in, k), *Q = lf_svd_doubles(&w, w.out, k), *left = lf_svd_doubles(&w, w.in, k);
    double *Rt = lf_svd_doubles(&w, k, k), *all_sigma = lf_svd_doubles(&w, k, 1), *tau = lf_svd_doubles(&w, k, 1);
    double *work = lf_svd_doubles(&w, work_size, 1), *columns = lf_svd_doubles(&w, w.out, r);
    if (!X || !Q || !left || !Rt || !all_sigma || !tau || !work || !columns) {
        rc = lf_svd_out_of_memory(&w, err);
        goto done;
    }

    const lf_rng_key key = lf_rng_make(seed, LF_RNG_SKETCH, stream);
    for (int64_t i = 0; i < in * k; i++) X[i] = lf_rng_normal(key, (uint64_t)i);
    times_W(&w, Q, X, k);
    if ((rc = orthonormalize(&w, Q, w.out, k, tau, work, work_size, err))) goto done;
    for (int i = 0; i < niter; i++) {
        times_Wt(&w, X, Q, k);
        if ((rc = orthonormalize(&w, X, w.in, k, tau, work, work_size, err))) goto done;
        times_W(&w, Q, X, k);
        if ((rc = orthonormalize(&w, Q, w.out, k, tau, work, work_size, err))) goto done;
    }

    /* W ~ Q (W^T Q)^T with W^T Q = left diag(all_sigma) Rt: V = left, U = Q Rt^T, of which the first r columns. */
    times_Wt(&w, X, Q, k);
    if ((rc = lf_svd_dgesdd(&w, X, w.in, k, all_sigma, left, Rt, err))) goto done;
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, w.out, (lapack_int)r, k, 1, Q, w.out, Rt, k, 0, columns,
                w.out);
    for (int64_t i = 0; i < r; i++) sigma[i] = all_sigma[i];
    lf_svd_to_row_major(U, columns, out, r);
    lf_svd_to_row_major(V, left, in, r);
    lf_svd_fix_signs(U, out, V, in, r);
done:
    lf_svd_end(&w);
    return rc;
}

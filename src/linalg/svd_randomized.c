/* The first triplets by a randomized range finder with power iterations.
 *
 * The iterations only turn a subspace towards the first components, so they run in float, at twice the speed: what
 * rounding puts into the subspace from outside is about 1e-7 sigma_1 / sigma_r, which is what a method in float alone
 * ends with (PEFT's). The last product W X, its basis Q and the projection Q^T W are in double: then U and V are
 * orthonormal and U diag(sigma) V^T is W projected on Q to double's rounding, so the error of sigma is the square of
 * the subspace's. With niter = 0 nothing is in float.
 */
#include <assert.h>
#include <cblas.h>
#include <math.h>

#include "base/rng.h"
#include "linalg/svd_internal.h"

/* Products with 24 columns take four fifths of the time of 26, and 26 as much as 32: kernels of BLAS work in eights. */
enum { OVERSAMPLING = 8, COLUMNS = 8 };

static lapack_int sketch_columns(int64_t n, int64_t r) {
    const int64_t k = (r + OVERSAMPLING + COLUMNS - 1) / COLUMNS * COLUMNS;
    return (lapack_int)(k < n ? k : n);
}

static lf_status qr_failed(const lf_svd_weight *w, lapack_int rows, lapack_int k, lf_err *err) {
    return lf_fail(err, LF_ENUMERIC, "%s: QR of a [%d, %d] sketch failed; use pissa without niter", w->name, (int)rows,
                   (int)k);
}

/* M [rows, k], rows >= k: its columns become an orthonormal basis of a space that holds them. */
static lf_status orthonormalize(const lf_svd_weight *w, double *M, lapack_int rows, lapack_int k, double *tau,
                                double *work, lapack_int work_size, lf_err *err) {
    if (LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, rows, k, M, rows, tau, work, work_size) ||
        LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, rows, k, k, M, rows, tau, work, work_size))
        return qr_failed(w, rows, k, err);
    return LF_OK;
}

static lf_status orthonormalize_float(const lf_svd_weight *w, float *M, lapack_int rows, lapack_int k, float *tau,
                                      float *work, lapack_int work_size, lf_err *err) {
    if (LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, rows, k, M, rows, tau, work, work_size) ||
        LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, rows, k, k, M, rows, tau, work, work_size))
        return qr_failed(w, rows, k, err);
    return LF_OK;
}

/* W itself, or, if its norm could leave float's range, times a power of two; NULL when out of memory. */
static const float *in_range_of_float(lf_svd_weight *w, const float *W) {
    const int64_t count = (int64_t)w->out * w->in;
    float largest = 0;
    for (int64_t i = 0; i < count; i++) largest = fabsf(W[i]) > largest ? fabsf(W[i]) : largest;
    int exponent;
    frexpf(largest, &exponent);
    if (exponent > -64 && exponent < 64) return W;
    float *scaled = lf_svd_floats(w, w->in, w->out);
    for (int64_t i = 0; scaled && i < count; i++) scaled[i] = (float)ldexp(w->Wt[i], -exponent);
    return scaled;
}

/* X [in, k], orthonormal or random, becomes an orthonormal basis after niter times W^T W. */
static lf_status iterate(lf_svd_weight *w, const float *W, int niter, double *X, lapack_int k, lf_err *err) {
    const lapack_int work_size = 64 * k;
    const float *Wt = in_range_of_float(w, W); /* column-major [in, out] */
    float *x = lf_svd_floats(w, w->in, k), *y = lf_svd_floats(w, w->out, k);
    float *tau = lf_svd_floats(w, k, 1), *work = lf_svd_floats(w, work_size, 1);
    lf_status rc;
    if (!Wt || !x || !y || !tau || !work) return lf_svd_out_of_memory(w, err);
    for (int64_t i = 0; i < (int64_t)w->in * k; i++) x[i] = (float)X[i];
    for (int i = 0; i < niter; i++) {
        cblas_sgemm(CblasColMajor, CblasTrans, CblasNoTrans, w->out, k, w->in, 1, Wt, w->in, x, w->in, 0, y, w->out);
        if ((rc = orthonormalize_float(w, y, w->out, k, tau, work, work_size, err))) return rc;
        cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, w->in, k, w->out, 1, Wt, w->in, y, w->out, 0, x, w->in);
        if ((rc = orthonormalize_float(w, x, w->in, k, tau, work, work_size, err))) return rc;
    }
    for (int64_t i = 0; i < (int64_t)w->in * k; i++) X[i] = (double)x[i];
    return LF_OK;
}

lf_status lf_svd_randomized(const float *W, int64_t out, int64_t in, int64_t r, int niter, uint64_t seed,
                            uint64_t stream, double *U, double *sigma, double *V, const char *name, lf_err *err) {
    lf_svd_weight w;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (rc) goto done;
    assert(r >= 1 && r <= w.n && niter >= 0);
    const lapack_int k = sketch_columns(w.n, r), work_size = 64 * k; /* block size of dgeqrf is at most 64 */
    double *X = lf_svd_doubles(&w, w.in, k), *Q = lf_svd_doubles(&w, w.out, k), *left = lf_svd_doubles(&w, w.in, k);
    double *Rt = lf_svd_doubles(&w, k, k), *all_sigma = lf_svd_doubles(&w, k, 1), *tau = lf_svd_doubles(&w, k, 1);
    double *work = lf_svd_doubles(&w, work_size, 1), *columns = lf_svd_doubles(&w, w.out, r);
    if (!X || !Q || !left || !Rt || !all_sigma || !tau || !work || !columns) {
        rc = lf_svd_out_of_memory(&w, err);
        goto done;
    }

    const lf_rng_key key = lf_rng_make(seed, LF_RNG_SKETCH, stream);
    for (int64_t i = 0; i < in * k; i++) X[i] = lf_rng_normal(key, (uint64_t)i);
    if (niter > 0 && (rc = iterate(&w, W, niter, X, k, err))) goto done;
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, w.out, k, w.in, 1, w.Wt, w.in, X, w.in, 0, Q, w.out);
    if ((rc = orthonormalize(&w, Q, w.out, k, tau, work, work_size, err))) goto done;

    /* W ~ Q (W^T Q)^T with W^T Q = left diag(all_sigma) Rt: V = left, U = Q Rt^T, of which the first r columns. */
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, w.in, k, w.out, 1, w.Wt, w.in, Q, w.out, 0, X, w.in);
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

#include <math.h>
#include <string.h>

#include "linalg/svd_internal.h"

lf_status lf_svd_all_triplets(lf_svd_weight *w, double *M, double *sigma, double *U, double *V, lf_err *err) {
    double *left = lf_svd_doubles(w, w->in, w->n);
    if (!left) return lf_svd_out_of_memory(w, err);
    /* W^T = left diag(sigma) Rt, so left is V by columns, and Rt by columns is U by rows. */
    const lf_status rc = lf_svd_dgesdd(w, M, w->in, w->out, sigma, left, U, err);
    if (rc) return rc;
    lf_svd_to_row_major(V, left, w->in, w->n);
    lf_svd_fix_signs(U, w->out, V, w->in, w->n);
    return LF_OK;
}

lf_status lf_svd_full(const float *W, int64_t out, int64_t in, double *sigma, double *U, double *V, const char *name,
                      lf_err *err) {
    lf_svd_weight w;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (!rc) rc = lf_svd_all_triplets(&w, w.Wt, sigma, U, V, err);
    lf_svd_end(&w);
    return rc;
}

/* Roots of the Gram matrix's eigenvalues, if they are accurate: *good is false if not, or LAPACK gives up. */
static lf_status values_of_gram(lf_svd_weight *w, double *sigma, bool *good, lf_err *err) {
    const int64_t n = w->n;
    const lf_status rc = lf_svd_reduce_gram(w, err);
    if (rc) return rc;
    double *d = lf_svd_doubles(w, n, 1), *e = lf_svd_doubles(w, n, 1);
    if (!d || !e) return lf_svd_out_of_memory(w, err);
    memcpy(d, w->gram.t.d, sizeof(double) * (size_t)n); /* dsterf overwrites its input */
    memcpy(e, w->gram.t.e, sizeof(double) * (size_t)n);
    *good = LAPACKE_dsterf_work(w->n, d, e) == 0; /* ascending */
    for (int64_t i = 0; i < n; i++) sigma[i] = sqrt(fmax(d[n - 1 - i], 0));
    /* eigenvalues are off by a few eps sigma_1^2: at 3e-5 sigma_1 that is some 1e-7 of them */
    *good = *good && sigma[n - 1] > 3e-5 * sigma[0];
    return LF_OK;
}

lf_status lf_svd_all_values(lf_svd_weight *w, double *sigma, lf_err *err) {
    bool good = false;
    const lf_status rc = values_of_gram(w, sigma, &good, err);
    if (rc || good) return rc;
    double *copy = lf_svd_doubles(w, w->in, w->out); /* dgesdd destroys it, and W is still needed */
    if (!copy) return lf_svd_out_of_memory(w, err);
    memcpy(copy, w->Wt, sizeof(double) * (size_t)w->in * (size_t)w->out);
    return lf_svd_dgesdd(w, copy, w->in, w->out, sigma, NULL, NULL, err);
}

lf_status lf_svd_values(const float *W, int64_t out, int64_t in, double *sigma, const char *name, lf_err *err) {
    lf_svd_weight w;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (!rc) rc = lf_svd_all_values(&w, sigma, err);
    lf_svd_end(&w);
    return rc;
}

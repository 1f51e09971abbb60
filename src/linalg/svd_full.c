#include "linalg/svd_internal.h"

lf_status lf_svd_full(const float *W, int64_t out, int64_t in, double *sigma, double *U, double *V, const char *name,
                      lf_err *err) {
    const bool vectors = U && V;
    lf_svd_weight w;
    double *left = NULL;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (rc) goto done;
    if (vectors && !(left = lf_svd_doubles(&w, w.in, w.n))) {
        rc = lf_svd_out_of_memory(&w, err);
        goto done;
    }
    /* W^T = left diag(sigma) Rt, so left is V by columns, and Rt by columns is U by rows. */
    if ((rc = lf_svd_dgesdd(&w, w.Wt, w.in, w.out, sigma, left, vectors ? U : NULL, err)) || !vectors) goto done;
    lf_svd_to_row_major(V, left, w.in, w.n);
    lf_svd_fix_signs(U, w.out, V, w.in, w.n);
done:
    lf_svd_end(&w);
    return rc;
}

lf_status lf_svd_values(const float *W, int64_t out, int64_t in, double *sigma, const char *name, lf_err *err) {
    return lf_svd_full(W, out, in, sigma, NULL, NULL, name, err);
}

#include "linalg/qr.h"

#include <assert.h>
#include <string.h>

#include "linalg/svd_internal.h"

/* In column-major memory W is W^T [in, out] = L Q^T, with L = R^T. */
static lf_status decompose(lf_svd_weight *w, lapack_int r, double *Q, double *R, lf_err *err) {
    const lapack_int in = w->in, out = w->out, work_size = 64 * (in > out ? in : out);
    double *tau = lf_svd_doubles(w, w->n, 1), *work = lf_svd_doubles(w, work_size, 1);
    if (!tau || !work) return lf_svd_out_of_memory(w, err);
    lapack_int info = LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, in, out, w->Wt, in, tau, work, work_size);
    assert(info == 0);
    for (int64_t k = 0; k < r; k++) {
        memset(R + k * in, 0, (size_t)k * sizeof *R);
        memcpy(R + k * in + k, w->Wt + k * in + k, (size_t)(in - k) * sizeof *R);
    }
    info = LAPACKE_dorglq_work(LAPACK_COL_MAJOR, r, out, r, w->Wt, in, tau, work, work_size);
    assert(info == 0);
    (void)info;
    for (int64_t o = 0; o < out; o++)
        for (int64_t k = 0; k < r; k++) Q[o * r + k] = w->Wt[k + o * in];
    return LF_OK;
}

lf_status lf_qr_first(const float *W, int64_t out, int64_t in, int64_t r, double *Q, double *R, const char *name,
                      lf_err *err) {
    lf_svd_weight w;
    assert(r >= 1 && r <= out && r <= in);
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (!rc) rc = decompose(&w, (lapack_int)r, Q, R, err);
    lf_svd_end(&w);
    return rc;
}

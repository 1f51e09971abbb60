/* The fast way to a basis of a block's vectors: eigenvectors of the Gram matrix of W's smaller side, by index range.
 *
 * Gram squares the singular values: its eigenvectors are wrong by about eps (sigma_1 / sigma_i)^2, which is fine for a
 * block well above sqrt(eps) sigma_1 and mostly useless below (mostly: a weight whose rows or columns are of very
 * different size keeps more, so it is worth the trial). This is dsyevr in its parts, because T is wanted: to count on
 * it costs nothing, where two LDL^T factorisations of Gram would take half as long as the eigensolver.
 */
#include <assert.h>
#include <cblas.h>
#include <string.h>

#include "linalg/svd_internal.h"

lf_status lf_svd_reduce_gram(lf_svd_weight *w, lf_err *err) {
    lf_svd_gram *g = &w->gram;
    const lapack_int n = w->n;
    if (g->reflectors) return LF_OK;
    g->work_size = 64 * (n + 65); /* dormtr's best; dsytrd takes 32 n, dstemr 18 n */
    double *gram = lf_svd_doubles(w, n, n), *d = lf_svd_doubles(w, n, 1), *e = lf_svd_doubles(w, n, 1);
    g->tau = lf_svd_doubles(w, n, 1);
    g->work = lf_svd_doubles(w, g->work_size, 1);
    if (!gram || !d || !e || !g->tau || !g->work) return lf_svd_out_of_memory(w, err);
    const bool tall = w->out >= w->in; /* Gram = W^T W, else W W^T */
    cblas_dsyrk(CblasColMajor, CblasLower, tall ? CblasNoTrans : CblasTrans, n, tall ? w->out : w->in, 1, w->Wt, w->in,
                0, gram, n);
    const lapack_int info = LAPACKE_dsytrd_work(LAPACK_COL_MAJOR, 'L', n, gram, n, d, e, g->tau, g->work, g->work_size);
    assert(info == 0);
    (void)info;
    g->t = (lf_tridiagonal){n, d, e};
    g->reflectors = gram;
    return LF_OK;
}

lf_status lf_svd_of_gram(lf_svd_weight *w, lapack_int s, lapack_int r, lf_svd_guess *g, lf_err *err) {
    const lapack_int n = w->n;
    const lf_status rc = lf_svd_reduce_gram(w, err);
    if (rc) return rc;
    double *values = lf_svd_doubles(w, n, 1), *d = lf_svd_doubles(w, n, 1), *e = lf_svd_doubles(w, n, 1);
    lapack_int *iwork = lf_svd_ints(w, 10 * (int64_t)n), *support = lf_svd_ints(w, 2 * (int64_t)r);
    if (!values || !d || !e || !iwork || !support) return lf_svd_out_of_memory(w, err);
    const lf_svd_gram *gram = &w->gram;
    g->t = gram->t;
    g->power = 2;
    memcpy(d, gram->t.d, sizeof(double) * (size_t)n); /* dstemr overwrites its input */
    memcpy(e, gram->t.e, sizeof(double) * (size_t)n);
    lapack_int count, try_relative_accuracy = 1;
    lapack_int info =
        LAPACKE_dstemr_work(LAPACK_COL_MAJOR, 'V', 'I', n, d, e, 0, 0, n - s - r + 1, n - s, &count, values, g->Q, n, r,
                            support, &try_relative_accuracy, gram->work, gram->work_size, iwork, 10 * n);
    g->found = info == 0 && count == r;
    if (!g->found) return LF_OK;
    info = LAPACKE_dormtr_work(LAPACK_COL_MAJOR, 'L', 'L', 'N', n, r, gram->reflectors, n, gram->tau, g->Q, n,
                               gram->work, gram->work_size);
    assert(info == 0);
    (void)info;
    return LF_OK;
}

/* A block of singular triplets by the Gram matrix of W's smaller side.
 *
 * The Gram matrix squares the singular values: its eigenvectors are wrong by about eps (sigma_1 / sigma_i)^2, which is
 * fine for a block well above sqrt(eps) sigma_1 and useless below. So the result is a guess that has to pass a test, at
 * the scale of the block's own sigma (at the scale of sigma_1 any vectors would pass at the bottom of the spectrum):
 * with U, V orthonormal, W V = U diag(sigma) and R = W^T U - V diag(sigma), the block is exact for the matrix W - E,
 * E = U R^T, so |R| <= 1e-6 sigma_last bounds every error of sigma by 1e-6 of itself.
 *
 * That these are triplets is then certain; that they are number s .. s+r-1 is what the eigensolver claims. This is
 * counted again, by Sturm sequences of our own on the tridiagonal matrix T that dsytrd made of the Gram matrix: the
 * pivots' signs of T - x I are the inertia of Gram - x I (Sylvester), at no cost, where two LDL^T factorisations of
 * Gram would take half as long as the eigensolver. The ends suffice: between them there is no room for a skipped one.
 */
#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "linalg/sturm.h"
#include "linalg/svd_internal.h"

static const double RESIDUAL = 1e-6, ORTHOGONALITY = 1e-10, DEAD = 1e-7;
/* Relative, on the squares of sigma: values that the residual cannot tell apart (2e-6 from sigma, the rest from the
 * rounding of Gram). Which of them are in the block is not determined by W at this accuracy. */
static const double CLUSTER = 4e-6;

/* Eigenvectors Q [n, r] of the Gram matrix to the eigenvalues s .. s+r-1 counted from the largest, and T. What dsyevr
 * does, in its parts because T is wanted. *found is false if LAPACK gives up. */
static lf_status gram_eigenvectors(lf_svd_weight *w, lapack_int s, lapack_int r, double *Q, lf_tridiagonal *t,
                                   bool *found, lf_err *err) {
    const lapack_int n = w->n, work_size = 64 * (n + 65); /* dormtr's best; dsytrd takes 32 n, dstemr 18 n */
    double *gram = lf_svd_doubles(w, n, n), *tau = lf_svd_doubles(w, n, 1), *work = lf_svd_doubles(w, work_size, 1);
    double *d = lf_svd_doubles(w, n, 1), *e = lf_svd_doubles(w, n, 1), *values = lf_svd_doubles(w, n, 1);
    lapack_int *iwork = lf_svd_ints(w, 10 * (int64_t)n), *support = lf_svd_ints(w, 2 * (int64_t)r);
    double *d_copy = lf_svd_doubles(w, n, 1), *e_copy = lf_svd_doubles(w, n, 1);
    if (!gram || !tau || !work || !d || !e || !values || !iwork || !support || !d_copy || !e_copy)
        return lf_svd_out_of_memory(w, err);

    const bool tall = w->out >= w->in; /* Gram = W^T W, else W W^T */
    cblas_dsyrk(CblasColMajor, CblasLower, tall ? CblasNoTrans : CblasTrans, n, tall ? w->out : w->in, 1, w->Wt, w->in,
                0, gram, n);
    lapack_int info = LAPACKE_dsytrd_work(LAPACK_COL_MAJOR, 'L', n, gram, n, d, e, tau, work, work_size);
    assert(info == 0);
    memcpy(d_copy, d, sizeof(double) * (size_t)n); /* dstemr overwrites its input */
    memcpy(e_copy, e, sizeof(double) * (size_t)n);
    *t = (lf_tridiagonal){n, d, e};
    lapack_int count, try_relative_accuracy = 1;
    info = LAPACKE_dstemr_work(LAPACK_COL_MAJOR, 'V', 'I', n, d_copy, e_copy, 0, 0, n - s - r + 1, n - s, &count,
                               values, Q, n, r, support, &try_relative_accuracy, work, work_size, iwork, 10 * n);
    *found = info == 0 && count == r;
    if (!*found) return LF_OK;
    info = LAPACKE_dormtr_work(LAPACK_COL_MAJOR, 'L', 'L', 'N', n, r, gram, n, tau, Q, n, work, work_size);
    assert(info == 0);
    return LF_OK;
}

/* Y = W Q (W tall: Q spans the V side; else W^T Q and the U side), Y = P diag(sigma) Z^T: the triplets are P and Q Z.
 */
static lf_status rotate(lf_svd_weight *w, lapack_int r, const double *Q, double *U, double *sigma, double *V,
                        lf_err *err) {
    const bool tall = w->out >= w->in;
    const lapack_int n = w->n, m = tall ? w->out : w->in;
    double *Y = lf_svd_doubles(w, m, r), *P = lf_svd_doubles(w, m, r);
    double *Zt = lf_svd_doubles(w, r, r), *QZ = lf_svd_doubles(w, n, r);
    if (!Y || !P || !Zt || !QZ) return lf_svd_out_of_memory(w, err);
    cblas_dgemm(CblasColMajor, tall ? CblasTrans : CblasNoTrans, CblasNoTrans, m, r, n, 1, w->Wt, w->in, Q, n, 0, Y, m);
    const lf_status rc = lf_svd_dgesdd(w, Y, m, r, sigma, P, Zt, err);
    if (rc) return rc;
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, r, r, 1, Q, n, Zt, r, 0, QZ, n);
    lf_svd_to_row_major(tall ? U : V, P, m, r);
    lf_svd_to_row_major(tall ? V : U, QZ, n, r);
    return LF_OK;
}

/* |op(W) X - Y diag(sigma)|_F, all row-major; R has room for Y [rows, r]. */
static double residual_norm(const lf_svd_weight *w, CBLAS_TRANSPOSE op, const double *X, const double *Y,
                            const double *sigma, lapack_int r, double *R) {
    const lapack_int rows = op == CblasTrans ? w->in : w->out, inner = op == CblasTrans ? w->out : w->in;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < r; k++) R[i * r + k] = Y[i * r + k] * sigma[k];
    cblas_dgemm(CblasRowMajor, op, CblasNoTrans, rows, r, inner, 1, w->Wt, w->in, X, r, -1, R, r);
    return LAPACKE_dlange_work(LAPACK_COL_MAJOR, 'F', r, rows, R, r, NULL);
}

/* max |X^T X - I|, X row-major [rows, r] */
static double orthogonality_error(const double *X, lapack_int rows, lapack_int r, double *XtX) {
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, r, r, rows, 1, X, r, X, r, 0, XtX, r);
    double error = 0;
    for (int64_t i = 0; i < r; i++)
        for (int64_t j = 0; j < r; j++) error = fmax(error, fabs(XtX[i * r + j] - (i == j)));
    return error;
}

/* Fills info->residual (times sigma_max, as yet) and info->orthogonality from what will be returned. */
static lf_status measure(lf_svd_weight *w, lapack_int r, const double *U, const double *sigma, const double *V,
                         lf_svd_block_info *info, lf_err *err) {
    double *R = lf_svd_doubles(w, w->out > w->in ? w->out : w->in, r), *XtX = lf_svd_doubles(w, r, r);
    if (!R || !XtX) return lf_svd_out_of_memory(w, err);
    info->residual =
        fmax(residual_norm(w, CblasTrans, U, V, sigma, r, R), residual_norm(w, CblasNoTrans, V, U, sigma, r, R));
    info->orthogonality = fmax(orthogonality_error(U, w->out, r, XtX), orthogonality_error(V, w->in, r, XtX));
    return LF_OK;
}

static lf_status block_of_gram(lf_svd_weight *w, lapack_int s, lapack_int r, double *U, double *sigma, double *V,
                               lf_svd_block_info *info, bool *accepted, lf_err *err) {
    lf_status rc;
    lf_tridiagonal t;
    *accepted = false;
    double *Q = lf_svd_doubles(w, w->n, r);
    if (!Q) return lf_svd_out_of_memory(w, err);
    if ((rc = gram_eigenvectors(w, s, r, Q, &t, accepted, err)) || !*accepted) return rc;
    if ((rc = rotate(w, r, Q, U, sigma, V, err)) || (rc = measure(w, r, U, sigma, V, info, err))) return rc;
    info->sigma_max = sqrt(lf_tridiagonal_largest(&t));
    *accepted = info->residual <= RESIDUAL * sigma[r - 1] && info->orthogonality <= ORTHOGONALITY &&
                lf_tridiagonal_is_block(&t, s, r, sigma[0] * sigma[0], sigma[r - 1] * sigma[r - 1], CLUSTER);
    return LF_OK;
}

static lf_status block_of_full(lf_svd_weight *w, const float *W, lapack_int s, lapack_int r, double *U, double *sigma,
                               double *V, lf_svd_block_info *info, lf_err *err) {
    const int64_t n = w->n;
    double *all_sigma = lf_svd_doubles(w, n, 1), *all_U = lf_svd_doubles(w, w->out, n),
           *all_V = lf_svd_doubles(w, w->in, n);
    if (!all_sigma || !all_U || !all_V) return lf_svd_out_of_memory(w, err);
    const lf_status rc = lf_svd_full(W, w->out, w->in, all_sigma, all_U, all_V, w->name, err);
    if (rc) return rc;
    memcpy(sigma, all_sigma + s, sizeof(double) * (size_t)r);
    for (int64_t i = 0; i < w->out; i++) memcpy(U + i * r, all_U + i * n + s, sizeof(double) * (size_t)r);
    for (int64_t j = 0; j < w->in; j++) memcpy(V + j * r, all_V + j * n + s, sizeof(double) * (size_t)r);
    info->fell_back = true;
    info->sigma_max = all_sigma[0];
    return measure(w, r, U, sigma, V, info, err);
}

lf_status lf_svd_block(const float *W, int64_t out, int64_t in, int64_t s, int64_t r, double *U, double *sigma,
                       double *V, lf_svd_block_info *info, const char *name, lf_err *err) {
    lf_svd_weight w;
    lf_svd_block_info found = {0};
    bool accepted;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (rc) goto done;
    assert(s >= 0 && r >= 1 && s + r <= w.n);
    const lapack_int first = (lapack_int)s, count = (lapack_int)r;
    if ((rc = block_of_gram(&w, first, count, U, sigma, V, &found, &accepted, err))) goto done;
    if (!accepted && (rc = block_of_full(&w, W, first, count, U, sigma, V, &found, err))) goto done;
    lf_svd_fix_signs(U, out, V, in, r);
    if (found.sigma_max > 0) found.residual /= found.sigma_max;
    for (int64_t k = 0; k < r; k++) found.n_dead += !(sigma[k] > DEAD * found.sigma_max);
    if (info) *info = found;
done:
    lf_svd_end(&w);
    return rc;
}

/* A block of singular triplets: guesses that have to pass a test.
 *
 * The test is at the scale of the block's own sigma (at the scale of sigma_1 any vectors would pass at the bottom of
 * the spectrum): with U, V orthonormal, W V = U diag(sigma) and R = W^T U - V diag(sigma), the block is exact for the
 * matrix W - E, E = U R^T, so |R| <= 1e-6 sigma_last bounds every error of sigma by 1e-6 of itself.
 *
 * That these are triplets is then certain; that they are number s .. s+r-1 is what the eigensolver claims. This is
 * counted again, by Sturm sequences of our own on the tridiagonal matrix T that the method made of W: the pivots' signs
 * of T - x I are the inertia of T - x I (Sylvester), at no cost. The ends suffice: between them there is no room for a
 * skipped one.
 */
#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "linalg/svd_internal.h"

static const double RESIDUAL = 1e-6, ORTHOGONALITY = 1e-10;
/* Relative, of sigma: values that the residual cannot tell apart (1e-6 of them, the rest from the rounding of T). Which
 * of them are in the block is not determined by W at this accuracy. */
static const double CLUSTER = 2e-6;

/* In the order in which they are tried; the full decomposition comes last. */
static lf_status (*const methods[LF_SVD_FULL])(lf_svd_weight *w, lapack_int s, lapack_int r, lf_svd_guess *g,
                                               lf_err *err) = {
    [LF_SVD_GRAM] = lf_svd_of_gram, [LF_SVD_BIDIAGONAL] = lf_svd_of_bidiagonal};

/* Y = W Q (W tall; else W^T Q). Without P: Y = P diag(sigma) Z^T, the triplets are P and Q Z. With P: P^T Y = X
 * diag(sigma) Z^T, the triplets are P X and Q Z. */
static lf_status rotate(lf_svd_weight *w, const lf_svd_guess *g, lapack_int r, double *U, double *sigma, double *V,
                        lf_err *err) {
    const bool tall = w->out >= w->in;
    const lapack_int n = w->n, m = tall ? w->out : w->in;
    double *Y = lf_svd_doubles(w, m, r), *P = lf_svd_doubles(w, m, r), *Zt = lf_svd_doubles(w, r, r);
    double *QZ = lf_svd_doubles(w, n, r), *PtY = lf_svd_doubles(w, r, r), *X = lf_svd_doubles(w, r, r);
    lf_status rc;
    if (!Y || !P || !Zt || !QZ || !PtY || !X) return lf_svd_out_of_memory(w, err);
    cblas_dgemm(CblasColMajor, tall ? CblasTrans : CblasNoTrans, CblasNoTrans, m, r, n, 1, w->Wt, w->in, g->Q, n, 0, Y,
                m);
    if (!g->P) {
        if ((rc = lf_svd_dgesdd(w, Y, m, r, sigma, P, Zt, err))) return rc;
    } else {
        cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, r, r, m, 1, g->P, m, Y, m, 0, PtY, r);
        if ((rc = lf_svd_dgesdd(w, PtY, r, r, sigma, X, Zt, err))) return rc;
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, m, r, r, 1, g->P, m, X, r, 0, P, m);
    }
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, n, r, r, 1, g->Q, n, Zt, r, 0, QZ, n);
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

/* Turns a guess into triplets, and says if they pass. */
static lf_status test(lf_svd_weight *w, const lf_svd_guess *g, lapack_int s, lapack_int r, double *U, double *sigma,
                      double *V, lf_svd_block_info *info, bool *accepted, lf_err *err) {
    lf_status rc;
    if ((rc = rotate(w, g, r, U, sigma, V, err)) || (rc = measure(w, r, U, sigma, V, info, err))) return rc;
    const double largest = lf_tridiagonal_largest(&g->t), first = pow(sigma[0], g->power),
                 last = pow(sigma[r - 1], g->power);
    info->sigma_max = g->power == 2 ? sqrt(largest) : largest;
    *accepted = info->residual <= RESIDUAL * sigma[r - 1] && info->orthogonality <= ORTHOGONALITY &&
                lf_tridiagonal_is_block(&g->t, s, r, first, last, CLUSTER * g->power);
    return LF_OK;
}

static lf_status block_of_full(lf_svd_weight *w, lapack_int s, lapack_int r, double *U, double *sigma, double *V,
                               lf_svd_block_info *info, lf_err *err) {
    const int64_t n = w->n;
    double *all_sigma = lf_svd_doubles(w, n, 1), *all_U = lf_svd_doubles(w, w->out, n),
           *all_V = lf_svd_doubles(w, w->in, n), *copy = lf_svd_doubles(w, w->in, w->out);
    if (!all_sigma || !all_U || !all_V || !copy) return lf_svd_out_of_memory(w, err);
    memcpy(copy, w->Wt, sizeof(double) * (size_t)w->in * (size_t)w->out); /* the block is measured against Wt */
    const lf_status rc = lf_svd_all_triplets(w, copy, all_sigma, all_U, all_V, err);
    if (rc) return rc;
    memcpy(sigma, all_sigma + s, sizeof(double) * (size_t)r);
    for (int64_t i = 0; i < w->out; i++) memcpy(U + i * r, all_U + i * n + s, sizeof(double) * (size_t)r);
    for (int64_t j = 0; j < w->in; j++) memcpy(V + j * r, all_V + j * n + s, sizeof(double) * (size_t)r);
    info->sigma_max = all_sigma[0];
    return measure(w, r, U, sigma, V, info, err);
}

lf_status lf_svd_block_of(lf_svd_weight *w, int64_t s, int64_t r, double *U, double *sigma, double *V,
                          lf_svd_block_info *info, lf_err *err) {
    lf_status rc;
    lf_svd_block_info found = {0};
    bool accepted = false;
    assert(s >= 0 && r >= 1 && s + r <= w->n);
    const lapack_int first = (lapack_int)s, count = (lapack_int)r;
    lf_svd_guess guess = {.Q = lf_svd_doubles(w, w->n, r)};
    if (!guess.Q) return lf_svd_out_of_memory(w, err);
    for (found.way = LF_SVD_GRAM; !accepted && found.way < LF_SVD_FULL; found.way += !accepted) {
        if ((rc = methods[found.way](w, first, count, &guess, err))) return rc;
        if (guess.found && (rc = test(w, &guess, first, count, U, sigma, V, &found, &accepted, err))) return rc;
    }
    if (!accepted && (rc = block_of_full(w, first, count, U, sigma, V, &found, err))) return rc;
    lf_svd_fix_signs(U, w->out, V, w->in, r);
    if (found.sigma_max > 0) found.residual /= found.sigma_max;
    for (int64_t k = 0; k < r; k++) found.n_dead += !(sigma[k] > LF_SVD_DEAD * found.sigma_max);
    if (info) *info = found;
    return LF_OK;
}

lf_status lf_svd_block(const float *W, int64_t out, int64_t in, int64_t s, int64_t r, double *U, double *sigma,
                       double *V, lf_svd_block_info *info, const char *name, lf_err *err) {
    lf_svd_weight w;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (!rc) rc = lf_svd_block_of(&w, s, r, U, sigma, V, info, err);
    lf_svd_end(&w);
    return rc;
}

lf_status lf_svd_block_placed(const float *W, int64_t out, int64_t in, lf_svd_place_fn place, const void *context,
                              int64_t r, double *sigma_all, double *U, double *sigma, double *V,
                              lf_svd_block_info *info, const char *name, lf_err *err) {
    lf_svd_weight w;
    int64_t s;
    lf_status rc = lf_svd_begin(&w, W, out, in, name, err);
    if (!rc) rc = lf_svd_all_values(&w, sigma_all, err);
    if (!rc) rc = place(context, sigma_all, &s, err);
    if (!rc) rc = lf_svd_block_of(&w, s, r, U, sigma, V, info, err);
    lf_svd_end(&w);
    return rc;
}

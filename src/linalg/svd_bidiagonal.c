/* Where Gram is blind: a block's vectors from the bidiagonal form of W itself, which does not square the singular
 * values, so its errors are about eps sigma_1 instead of eps sigma_1^2 / sigma_i.
 *
 * A side longer than the other goes first, by LQ or QR. The square rest is Q B P^T with B bidiagonal (dgebrd), and the
 * symmetric tridiagonal matrix T with zeros on its diagonal and d_1 e_1 d_2 e_2 .. d_n beside it has the eigenvalues
 * +-sigma with eigenvectors (v_1 u_1 v_2 u_2 ..) / sqrt(2), B v = sigma u (Golub and Kahan 1965). So bisection and
 * inverse iteration find a few of them, and Sturm counts of T count singular values.
 *
 * Both sides are taken from here. U = W V / sigma would blow up what rounding left of v_1 in V by sigma_1 / sigma.
 */
#include <assert.h>
#include <cblas.h>
#include <string.h>

#include "linalg/svd_internal.h"

/* W^T = L Q if W is tall, W^T = Q R if it is wide; if it is square, there is nothing to do and A is W^T. */
typedef struct reduced {
    double *A; /* column-major [n, n]: L, R or W^T */
    double *factors, *tau, *work;
    lapack_int work_size;
} reduced;

static bool reduce(lf_svd_weight *w, reduced *x) {
    const lapack_int n = w->n;
    x->work_size = 128 * (n + 65); /* the best of all that is called here */
    x->work = lf_svd_doubles(w, x->work_size, 1);
    x->tau = lf_svd_doubles(w, n, 1);
    x->A = x->factors = lf_svd_doubles(w, w->in, w->out);
    if (!x->work || !x->tau || !x->A) return false;
    memcpy(x->factors, w->Wt, sizeof(double) * (size_t)w->in * (size_t)w->out);
    if (w->out == w->in) return true;
    if (!(x->A = lf_svd_doubles(w, n, n))) return false;
    const bool tall = w->out > w->in;
    const lapack_int info =
        tall ? LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, w->in, w->out, x->factors, w->in, x->tau, x->work, x->work_size)
             : LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, w->in, w->out, x->factors, w->in, x->tau, x->work, x->work_size);
    assert(info == 0);
    (void)info;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = tall ? j : 0; i < (tall ? n : j + 1); i++) x->A[i + j * n] = x->factors[i + j * w->in];
    return true;
}

/* X [longer side, r], of which the upper n rows are filled, becomes vectors of W. */
static bool restore(const lf_svd_weight *w, const reduced *x, double *X, lapack_int r) {
    const lapack_int n = w->n;
    if (w->out == w->in) return true;
    return 0 == (w->out > w->in ? LAPACKE_dormlq_work(LAPACK_COL_MAJOR, 'L', 'T', w->out, r, n, x->factors, w->in,
                                                      x->tau, X, w->out, x->work, x->work_size)
                                : LAPACKE_dormqr_work(LAPACK_COL_MAJOR, 'L', 'N', w->in, r, n, x->factors, w->in,
                                                      x->tau, X, w->in, x->work, x->work_size));
}

/* d, e of the Golub-Kahan form of B; diagonal [2 n] stays zero. */
static void shuffle(const double *d, const double *e, int64_t n, double *beside) {
    for (int64_t i = 0; i < n; i++) {
        beside[2 * i] = d[i];
        if (i + 1 < n) beside[2 * i + 1] = e[i];
    }
}

/* Eigenvectors Z [2 n, r] of t to its eigenvalues s .. s+r-1 counted from the largest. False if LAPACK gives up. */
static lf_status eigenvectors(lf_svd_weight *w, const lf_tridiagonal *t, lapack_int s, lapack_int r, double *Z,
                              bool *found, lf_err *err) {
    const lapack_int n = (lapack_int)t->n;
    double *values = lf_svd_doubles(w, n, 1), *work = lf_svd_doubles(w, n, 5);
    lapack_int *block = lf_svd_ints(w, n), *split = lf_svd_ints(w, n), *iwork = lf_svd_ints(w, 3 * (int64_t)n);
    lapack_int *failed = lf_svd_ints(w, r), count, n_split;
    if (!values || !work || !block || !split || !iwork || !failed) return lf_svd_out_of_memory(w, err);
    *found =
        LAPACKE_dstebz_work('I', 'B', n, 0, 0, n - s - r + 1, n - s, 0, t->d, t->e, &count, &n_split, values, block,
                            split, work, iwork) == 0 &&
        count == r &&
        LAPACKE_dstein_work(LAPACK_COL_MAJOR, n, t->d, t->e, r, values, block, split, Z, n, work, iwork, failed) == 0;
    return LF_OK;
}

/* X [rows, r]: Q C or P C in its upper n rows. */
static bool back_transform(const reduced *x, lapack_int n, char which, const double *tau, double *X, lapack_int rows,
                           lapack_int r) {
    return LAPACKE_dormbr_work(LAPACK_COL_MAJOR, which, 'L', 'N', n, r, n, x->A, n, tau, X, rows, x->work,
                               x->work_size) == 0;
}

/* At small sigma inverse iteration lets a little of the vector to -sigma into that to +sigma: the halves are not quite
 * orthonormal. */
static bool orthonormalize(const reduced *x, double *X, lapack_int rows, lapack_int r, double *tau) {
    return LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, rows, r, X, rows, tau, x->work, x->work_size) == 0 &&
           LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, rows, r, r, X, rows, tau, x->work, x->work_size) == 0;
}

lf_status lf_svd_of_bidiagonal(lf_svd_weight *w, lapack_int s, lapack_int r, lf_svd_guess *g, lf_err *err) {
    const lapack_int n = w->n, m = w->out > w->in ? w->out : w->in;
    double *d = lf_svd_doubles(w, n, 1), *e = lf_svd_doubles(w, n, 1), *tau_q = lf_svd_doubles(w, n, 1);
    double *tau_p = lf_svd_doubles(w, n, 1), *tau = lf_svd_doubles(w, r, 1), *Z = lf_svd_doubles(w, 2 * (int64_t)n, r);
    double *zeros = lf_svd_doubles(w, 2 * (int64_t)n, 1), *beside = lf_svd_doubles(w, 2 * (int64_t)n, 1);
    reduced x;
    g->P = lf_svd_doubles(w, m, r);
    if (!reduce(w, &x) || !d || !e || !tau_q || !tau_p || !tau || !Z || !zeros || !beside || !g->P)
        return lf_svd_out_of_memory(w, err);
    const lapack_int info =
        LAPACKE_dgebrd_work(LAPACK_COL_MAJOR, n, n, x.A, n, d, e, tau_q, tau_p, x.work, x.work_size);
    assert(info == 0);
    (void)info;
    shuffle(d, e, n, beside);
    g->t = (lf_tridiagonal){2 * (int64_t)n, zeros, beside};
    g->power = 1;
    /* no residual can be small beside a sigma that is nothing but rounding */
    g->found = lf_tridiagonal_count_above(&g->t, LF_SVD_DEAD * lf_tridiagonal_largest(&g->t)) >= s + r;
    if (!g->found) return LF_OK;
    const lf_status rc = eigenvectors(w, &g->t, s, r, Z, &g->found, err);
    if (rc || !g->found) return rc;
    const bool tall = w->out >= w->in; /* then the side of n is that of V, the left one of W^T */
    for (int64_t k = 0; k < r; k++)
        for (int64_t i = 0; i < n; i++) {
            g->Q[i + k * n] = Z[2 * i + tall + 2 * k * n];
            g->P[i + k * m] = Z[2 * i + !tall + 2 * k * n];
        }
    g->found = back_transform(&x, n, tall ? 'Q' : 'P', tall ? tau_q : tau_p, g->Q, n, r) &&
               back_transform(&x, n, tall ? 'P' : 'Q', tall ? tau_p : tau_q, g->P, m, r) && restore(w, &x, g->P, r) &&
               orthonormalize(&x, g->Q, n, r, tau) && orthonormalize(&x, g->P, m, r, tau);
    return LF_OK;
}

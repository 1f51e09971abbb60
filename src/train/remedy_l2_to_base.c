/* weight / 2 |dW|^2, summed over the adapters: L2 to the base. dW = B A by lf_lora_factors, delta form included, so the
 * term is of what is exported, is zero at the start whatever that was, and nothing of the size of a weight is formed:
 *
 *   |dW|^2 = <M, N>, M = A A^T, N = B^T B [R,R]
 *   dW A1^T = B M_1, M_1 the first r columns of M: with the scaling, the gradient of the trained B1
 *   (scaling B1)^T dW = (N_1 + N_2) A: that of A1; N_1 and N_2 the first r rows of N and (delta form) the others,
 *   because B holds scaling (B1 - B0) and scaling B0 */
#include <assert.h>

#include "base/mem.h"
#include "train/remedies.h"

static int64_t room_of(const lf_module *m) {
    const int64_t R = lf_lora_rank(m->lora);
    return R * (m->out + m->in) + 2 * R * R;
}

int64_t lf_l2_room(const lf_nn *nn) {
    int64_t most = 0;
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i]->lora && room_of(nn->modules[i]) > most) most = room_of(nn->modules[i]);
    return most;
}

/* Four sums at a time, in a fixed order. */
static double dot(const double *x, const double *y, int64_t n) {
    double s[4] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) s[j] += x[i + j] * y[i + j];
    for (; i < n; i++) rest += x[i] * y[i];
    return (s[0] + s[1]) + (s[2] + s[3]) + rest;
}

/* M = A A^T of A [R,in] */
static void gram_of_rows(double *M, const double *A, int64_t R, int64_t in) {
    for (int64_t j = 0; j < R; j++)
        for (int64_t k = 0; k <= j; k++) M[j * R + k] = M[k * R + j] = dot(A + j * in, A + k * in, in);
}

/* N = B^T B of B [out,R] */
static void gram_of_columns(double *N, const double *B, int64_t out, int64_t R) {
    for (int64_t i = 0; i < R * R; i++) N[i] = 0;
    for (int64_t o = 0; o < out; o++)
        for (int64_t j = 0; j < R; j++)
            for (int64_t k = 0; k < R; k++) N[j * R + k] += B[o * R + j] * B[o * R + k];
}

/* A1's gradient += by (N_1 + N_2) A */
static void add_to_A(float *grad, double by, const double *N, const double *A, int64_t r, int64_t R, int64_t in) {
    for (int64_t j = 0; j < r; j++)
        for (int64_t k = 0; k < R; k++) {
            const double c = by * (N[j * R + k] + (R > r ? N[(r + j) * R + k] : 0));
            for (int64_t i = 0; i < in; i++) grad[j * in + i] += (float)(c * A[k * in + i]);
        }
}

/* B1's gradient += by scaling B M_1 */
static void add_to_B(float *grad, double by, const double *B, const double *M, int64_t r, int64_t R, int64_t out) {
    for (int64_t o = 0; o < out; o++)
        for (int64_t j = 0; j < r; j++) grad[o * r + j] += (float)(by * dot(B + o * R, M + j * R, R));
}

static double penalise(const lf_module *m, double weight, double by, double *work) {
    const lf_lora *l = m->lora;
    const int64_t R = lf_lora_rank(l), r = l->r;
    double *A = work, *B = A + R * m->in, *M = B + R * m->out, *N = M + R * R;
    assert(l->A.dtype == LF_F32);
    lf_lora_factors(m, B, A);
    gram_of_rows(M, A, R, m->in);
    gram_of_columns(N, B, m->out, R);
    if (l->A.grad) add_to_A(l->A.grad, by * weight, N, A, r, R, m->in);
    if (l->B.grad) add_to_B(l->B.grad, by * weight * l->scaling, B, M, r, R, m->out);
    return weight / 2 * dot(M, N, R * R);
}

double lf_l2_penalty(const lf_nn *nn, double weight, double by, double *work) {
    double sum = 0;
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i]->lora) sum += penalise(nn->modules[i], weight, by, work);
    return sum;
}

/* ---- the remedy ---- */

static lf_status check(const lf_run *run, lf_err *err) { return lf_remedy_needs_factors(run, LF_l2_to_base, err); }

static lf_status open(void **state, char **hash, const lf_run *run, lf_err *err) {
    (void)hash;
    *state = lf_malloc((size_t)lf_l2_room(&run->model->nn) * sizeof(double));
    return *state ? LF_OK : lf_no_memory(err, "the term l2_to_base");
}

static void close(void *state) { lf_free(state); }

/* The state is room to work in. */
static double penalty(void *state, const lf_run *run, double by) {
    return lf_l2_penalty(&run->model->nn, lf_cfg_f64(run->cfg, LF_l2_to_base), by, state);
}

const lf_remedy_type lf_remedy_l2_to_base = {.check = check, .open = open, .close = close, .penalty = penalty};

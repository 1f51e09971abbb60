/* Starts from what goes into a module, C = the mean of x x^T over calibration data (adapter/calibrate.h):
 *
 *   corda_ipm, corda_kpm   (arXiv 2406.05223) W D = U S V^T with D = C + 0.01 mean(diag C) I, the first or last r
 *                          components: A0 = sqrt(S / scaling) V^T D^-1, B0 = U sqrt(S / scaling)
 *   lora_null              (arXiv 2503.02659) P the r eigenvectors of C with the least eigenvalues, W P P^T = U S V^T:
 *                          A0 = sqrt(S / scaling) V^T, B0 = U sqrt(S / scaling)
 *   sc_lora                (arXiv 2505.23724) Q the r eigenvectors of W ((1 - beta) C_target - beta C_kept) W^T
 *                          with the largest eigenvalues: B0 = Q / sqrt(scaling), A0 = Q^T W / sqrt(scaling)
 *   eva                    (arXiv 2410.07170) A0 the first r principal components of x, B0 = 0, the same r in each
 *                          module
 */
#include <math.h>
#include <string.h>

#include "adapter/adapter_internal.h"
#include "adapter/calibrate.h"
#include "base/mem.h"
#include "linalg/covariance.h"

static const double DAMPING = 0.01; /* PEFT's first; in double precision the inverse needs no more */

/* U [out, r], S [r], V [in, r] and D [in, in], in one block of memory. */
typedef struct room {
    double *U, *S, *V, *D;
} room;

static lf_status take(room *m, const lf_init_input *in, lf_err *err) {
    const lf_status rc = lf_init_check_rank(in, err);
    if (rc) return rc;
    m->U = lf_malloc((size_t)((in->out + in->in + 1) * in->r + in->in * in->in) * sizeof *m->U);
    if (!m->U) return lf_no_memory(err, "the start of %s", in->name);
    m->V = m->U + in->out * in->r;
    m->S = m->V + in->in * in->r;
    m->D = m->S + in->r;
    return LF_OK;
}

static void fill(const lf_init_input *in, const room *m, float *A, float *B, lf_init_report *report) {
    const int64_t r = in->r;
    *report = (lf_init_report){.start = -1, .sigma_max = m->S[0]};
    for (int64_t k = 0; k < r; k++) {
        const double root = sqrt(m->S[k] / in->scaling);
        for (int64_t j = 0; j < in->in; j++) A[k * in->in + j] = (float)(root * m->V[j * r + k]);
        for (int64_t i = 0; i < in->out; i++) B[i * r + k] = (float)(root * m->U[i * r + k]);
        report->n_dead += !(root > 0);
    }
}

/* ---- CorDA ---- */

static void damp(const lf_inputs *seen, int64_t n, double *D) {
    double mean = 0;
    for (int64_t i = 0; i < n * n; i++) D[i] = seen->moments[i] / (double)seen->rows;
    for (int64_t i = 0; i < n; i++) mean += D[i * (n + 1)] / (double)n;
    for (int64_t i = 0; i < n; i++) D[i * (n + 1)] += DAMPING * mean;
}

static lf_status corda(const lf_init_input *in, const lf_inputs *seen, bool last, float *A, float *B,
                       lf_init_report *report, lf_err *err) {
    const int64_t n = in->out < in->in ? in->out : in->in, s = last ? n - in->r : 0;
    room m = {0};
    lf_status rc = take(&m, in, err);
    if (rc) return rc;
    damp(seen, in->in, m.D);
    rc = lf_svd_block_through(in->W, m.D, in->out, in->in, s, in->r, m.U, m.S, m.V, in->name, err);
    if (!rc) fill(in, &m, A, B, report);
    lf_free(m.U);
    return rc;
}

lf_status lf_init_corda_ipm(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    return corda(in, &in->seen->target, false, A, B, report, err);
}
lf_status lf_init_corda_kpm(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    return corda(in, &in->seen->kept, true, A, B, report, err);
}

/* ---- LoRA-Null ---- */

lf_status lf_init_lora_null(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    room m = {0};
    lf_status rc = take(&m, in, err);
    if (rc) return rc;
    double *P = m.D; /* [in, r] */
    rc = lf_eigen_block(in->seen->kept.moments, in->in, 0, in->r, m.S, P, in->name, err);
    if (!rc) rc = lf_svd_projected(in->W, P, in->out, in->in, in->r, m.U, m.S, m.V, in->name, err);
    if (!rc) fill(in, &m, A, B, report);
    lf_free(m.U);
    return rc;
}

/* ---- SC-LoRA ---- */

static void mix(const lf_init_input *in, double *D) {
    const lf_inputs *target = &in->seen->target, *kept = &in->seen->kept;
    const double beta = in->sc_lora_beta;
    for (int64_t i = 0; i < in->in * in->in; i++)
        D[i] = (1 - beta) * target->moments[i] / (double)target->rows - beta * kept->moments[i] / (double)kept->rows;
}

/* The outputs' moments take [out, out]. */
static lf_status favoured(const lf_init_input *in, const double *D, room *m, lf_err *err) {
    double *M = lf_malloc((size_t)(in->out * in->out) * sizeof *M);
    lf_status rc = M ? lf_moment_through(in->W, D, in->out, in->in, M, in->name, err)
                     : lf_no_memory(err, "the start of %s", in->name);
    if (!rc) rc = lf_eigen_block(M, in->out, in->out - in->r, in->r, m->S, m->U, in->name, err);
    lf_free(M);
    return rc;
}

lf_status lf_init_sc_lora(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    const int64_t r = in->r;
    const double root = 1 / sqrt(in->scaling);
    room m = {0};
    lf_status rc = take(&m, in, err);
    if (rc) return rc;
    mix(in, m.D);
    rc = favoured(in, m.D, &m, err);
    for (int64_t k = 0; !rc && k < r; k++)
        for (int64_t j = 0; j < in->in; j++) {
            double a = 0;
            for (int64_t i = 0; i < in->out; i++) a += m.U[i * r + k] * (double)in->W[i * in->in + j];
            A[k * in->in + j] = (float)(root * a);
        }
    for (int64_t i = 0; !rc && i < in->out * r; i++) B[i] = (float)(root * m.U[i]);
    *report = (lf_init_report){.start = -1};
    lf_free(m.U);
    return rc;
}

/* ---- EVA ---- */

/* Of rows with their mean taken off, times their number. */
static void center(const lf_init_input *in, double *D) {
    const lf_inputs *seen = &in->seen->target;
    for (int64_t i = 0; i < in->in; i++)
        for (int64_t j = 0; j < in->in; j++)
            D[i * in->in + j] = seen->moments[i * in->in + j] - seen->sum[i] * seen->sum[j] / (double)seen->rows;
}

/* The sign that the entry of largest magnitude makes positive, as in decompositions. */
static double sign_of(const double *V, int64_t n, int64_t r, int64_t k) {
    double largest = 0;
    for (int64_t j = 0; j < n; j++)
        if (fabs(V[j * r + k]) > fabs(largest)) largest = V[j * r + k];
    return largest < 0 ? -1 : 1;
}

lf_status lf_init_eva(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    const int64_t r = in->r;
    room m = {0};
    lf_status rc = take(&m, in, err);
    if (rc) return rc;
    center(in, m.D);
    rc = lf_eigen_block(m.D, in->in, in->in - r, r, m.S, m.V, in->name, err);
    for (int64_t k = 0; !rc && k < r; k++) { /* eigenvalues ascend */
        const double sign = sign_of(m.V, in->in, r, r - 1 - k);
        for (int64_t j = 0; j < in->in; j++) A[k * in->in + j] = (float)(sign * m.V[j * r + r - 1 - k]);
    }
    memset(B, 0, (size_t)(in->out * r) * sizeof *B);
    *report = (lf_init_report){.start = -1};
    lf_free(m.U);
    return rc;
}

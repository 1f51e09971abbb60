/* OLoRA (arXiv 2406.01775): W = Q R, B0 the first r columns of Q, A0 the first r rows of R, and scaling * B0 A0 is
 * subtracted. As in PEFT neither factor is divided by the scaling, so that the paper's W - Q_r R_r is what is left at
 * scaling 1 alone. */
#include "adapter/adapter_internal.h"
#include "base/mem.h"
#include "linalg/qr.h"

lf_status lf_init_olora(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    const int64_t n_A = in->r * in->in, n_B = in->out * in->r;
    lf_status rc = lf_init_check_rank(in, err);
    if (rc) return rc;
    double *memory = lf_malloc((size_t)(n_A + n_B) * sizeof *memory), *R = memory, *Q = memory ? memory + n_A : NULL;
    if (!memory) return lf_no_memory(err, "the decomposition of %s", in->name);
    rc = lf_qr_first(in->W, in->out, in->in, in->r, Q, R, in->name, err);
    for (int64_t i = 0; !rc && i < n_A; i++) A[i] = (float)R[i];
    for (int64_t i = 0; !rc && i < n_B; i++) B[i] = (float)Q[i];
    lf_free(memory);
    *report = (lf_init_report){.start = -1};
    return rc;
}

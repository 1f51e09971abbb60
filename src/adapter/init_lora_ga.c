/* LoRA-GA (arXiv 2407.05000): with U S V^T the gradient of the loss by the weight, A0 = c V_1^T of the first r right
 * vectors and B0 = c U_2 of the left ones r .. 2r-1, c = out^(1/4) / 4 (the paper's "stable" scale, gamma = 16), so
 * that the first step of gradient descent, in the direction G A0^T A0 + B0 B0^T G, is along the best approximation of G
 * of rank 2r. PEFT's port does not scale A, and multiplies B by the singular values too. */
#include <math.h>

#include "adapter/adapter_internal.h"
#include "adapter/calibrate.h"
#include "base/mem.h"
#include "linalg/svd.h"

lf_status lf_init_lora_ga(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    const int64_t r = in->r, q = 2 * r, n = in->out < in->in ? in->out : in->in;
    const double c = pow((double)in->out, 0.25) / 4;
    if (q > n)
        return lf_fail(
            err, LF_EUSAGE,
            "%s: init_lora_weights lora_ga: r = %lld, but of a gradient of %lld x %lld at most %lld are to be had, "
            "half of its components; give it a smaller r by rank_pattern, or leave it out by exclude_modules",
            in->name, (long long)r, (long long)in->out, (long long)in->in, (long long)(n / 2));
    double *U = lf_malloc((size_t)((in->out + in->in + 1) * q) * sizeof *U);
    if (!U) return lf_no_memory(err, "the start of %s", in->name);
    double *V = U + in->out * q, *S = V + in->in * q;
    const lf_status rc = lf_svd_block(in->seen->gradient, in->out, in->in, 0, q, U, S, V, NULL, in->name, err);
    for (int64_t k = 0; !rc && k < r; k++) {
        for (int64_t j = 0; j < in->in; j++) A[k * in->in + j] = (float)(c * V[j * q + k]);
        for (int64_t i = 0; i < in->out; i++) B[i * r + k] = (float)(c * U[i * q + r + k]);
    }
    lf_free(U);
    *report = (lf_init_report){.start = -1};
    return rc;
}

/* Starts that know nothing of the weight: A random, B zero. */
#include <math.h>

#include "adapter/adapter_internal.h"

static void no_block(lf_init_report *report) { *report = (lf_init_report){.start = -1}; }

/* Kaiming-uniform with negative slope sqrt(5), as torch starts a linear layer: uniform in +-1/sqrt(in). */
lf_status lf_init_kaiming(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    (void)err;
    const lf_rng_key key = lf_rng_make(in->seed, LF_RNG_ADAPTER_INIT, in->stream);
    const double bound = 1 / sqrt((double)in->in);
    for (int64_t i = 0; i < in->r * in->in; i++) A[i] = (float)(bound * (2 * lf_rng_uniform(key, (uint64_t)i) - 1));
    for (int64_t i = 0; i < in->out * in->r; i++) B[i] = 0;
    no_block(report);
    return LF_OK;
}

lf_status lf_init_gaussian(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    (void)err;
    const lf_rng_key key = lf_rng_make(in->seed, LF_RNG_ADAPTER_INIT, in->stream);
    for (int64_t i = 0; i < in->r * in->in; i++) A[i] = (float)(lf_rng_normal(key, (uint64_t)i) / (double)in->r);
    for (int64_t i = 0; i < in->out * in->r; i++) B[i] = 0;
    no_block(report);
    return LF_OK;
}

/* As torch and PEFT start an embedding's, whatever the start's name: A zero, B normal. */
lf_status lf_init_table(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err) {
    (void)err;
    const lf_rng_key key = lf_rng_make(in->seed, LF_RNG_ADAPTER_INIT, in->stream);
    for (int64_t i = 0; i < in->r * in->in; i++) A[i] = 0;
    for (int64_t i = 0; i < in->out * in->r; i++) B[i] = (float)lf_rng_normal(key, (uint64_t)i);
    no_block(report);
    return LF_OK;
}

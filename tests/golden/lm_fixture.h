/* Language models written by transformers (scripts/make-golden-lm.py), opened for the tests. */
#ifndef LF_LM_FIXTURE_H
#define LF_LM_FIXTURE_H

#include "golden/golden_fixture.h"

static const char *const cases[] = {"lm-llama",   "lm-llama3",  "lm-mistral", "lm-qwen2", "lm-qwen3",
                                    "lm-gpt2",    "lm-dynamic", "lm-smollm3", "lm-olmo2", "lm-phi3",
                                    "lm-granite", "lm-gemma2",  "lm-gemma3"};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static inline void open_case(fixture *f, const char *name, const lf_kernels *k, lf_load load) {
    open_model(f, name, k, load);
    assert_true(f->model->family->input == LF_TOKENS && lf_model_says(f->model, LF_NEXT_TOKEN));
    const lf_st_tensor *ids = lf_safetensors_find(f->gold, "ids");
    f->B = ids->shape[1];
    f->T = ids->shape[2];
    for (int64_t i = 0; i < f->B * f->T; i++) f->positions[i] = (int32_t)(i % f->T);
}

static inline const int32_t *batch_of(const fixture *f, const char *what, int64_t i) {
    return (const int32_t *)lf_safetensors_find(f->gold, what)->data + i * f->B * f->T;
}
static inline const int32_t *batch_ids(const fixture *f, int64_t i) { return batch_of(f, "ids", i); }
static inline const int32_t *batch_labels(const fixture *f, int64_t i) { return batch_of(f, "labels", i); }

static inline lf_tensor *hidden_of(fixture *f, int64_t batch, bool grad) {
    const lf_pass pass = {.in = {.B = f->B, .T = f->T, .ids = batch_ids(f, batch), .positions = f->positions}};
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_lm_hidden(f->model, f->g, &pass);
}

static inline lf_tensor *through_head_of(fixture *f, bool base, lf_tensor *hidden) {
    lf_lm_head head;
    lf_model_lm_head(f->model, base, &head);
    lf_tensor *logits = lf_to_real(f->g, lf_linear(f->g, hidden, head.frozen, head.weight, NULL, head.lora));
    if (logits)
        lf_graph_kernels(f->g)->lm_logits(
            logits->data, head.bias ? head.bias->data : NULL, logits->numel / logits->shape[logits->ndim - 1],
            logits->shape[logits->ndim - 1], head.scale > 0 ? head.scale : 1, head.softcap);
    return logits;
}
static inline lf_tensor *through_head(fixture *f, lf_tensor *hidden) { return through_head_of(f, false, hidden); }

/* [B,T,V] of a batch, as floats; the caller frees them. */
static inline float *logits_of(fixture *f, int64_t batch) {
    lf_tensor *logits = through_head(f, hidden_of(f, batch, false));
    OK(lf_graph_status(f->g, &err));
    float *copy = lf_malloc((size_t)logits->numel * sizeof *copy);
    assert_non_null(copy);
    return memcpy(copy, logits->data, (size_t)logits->numel * sizeof *copy);
}

static inline void check_logits(fixture *f, const char *want, double tolerance) {
    float *logits = logits_of(f, 0);
    check_golden(f, want, logits, f->B * f->T * f->model->tokens.vocab_size, tolerance);
    lf_free(logits);
}

static inline int64_t targets_in(const fixture *f, int64_t batch) {
    int64_t n = 0;
    for (int64_t i = 0; i < f->B * f->T; i++) n += batch_labels(f, batch)[i] >= 0;
    return n;
}

static inline lf_tensor *loss_of_states(fixture *f, lf_tensor *hidden, int64_t batch, lf_lm_counts *counts) {
    lf_lm_head head;
    lf_model_lm_head(f->model, false, &head);
    lf_tensor *loss = lf_lm_loss(f->g, hidden, &head, batch_labels(f, batch), (double)targets_in(f, batch), 0, counts);
    OK(lf_graph_status(f->g, &err));
    return loss;
}

static inline lf_tensor *loss_of(fixture *f, int64_t batch, lf_lm_counts *counts) {
    return loss_of_states(f, hidden_of(f, batch, true), batch, counts);
}

static inline void each_backend(case_check *check) { each_available("fp32", cases, N_CASES, check); }

static inline void each_bf16(case_check *check) {
    for (int reference = 0; reference < 2; reference++) {
        const lf_kernels *k;
        if (reference) setenv("LF_KERNELS", "ref", 1);
        OK(lf_kernels_select(&k, "bf16", &err));
        unsetenv("LF_KERNELS");
        for (int c = 0; c < N_CASES; c++) check(cases[c], k);
    }
    assert_int_equal(lf_alloc_live(), 0);
}

/* The fastest fp32 backend: where a test is not about kernels. */
static inline void each_case(case_check *check) {
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (int c = 0; c < N_CASES; c++) check(cases[c], k);
    assert_int_equal(lf_alloc_live(), 0);
}

#endif

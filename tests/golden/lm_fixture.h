/* Language models written by transformers (scripts/make-golden-lm.py), opened for the tests. */
#ifndef LF_LM_FIXTURE_H
#define LF_LM_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/adapter.h"
#include "base/mem.h"
#include "model/model.h"

static const char *const cases[] = {"lm-llama", "lm-llama3", "lm-mistral", "lm-qwen2", "lm-qwen3", "lm-gpt2"};
enum { N_CASES = sizeof cases / sizeof cases[0], STEPS = 10, N_BATCHES = 3 };

typedef struct fixture {
    char dir[512];
    lf_safetensors *gold;
    const lf_kernels *k;
    lf_model *model;
    lf_graph *g;
    int64_t B, T;
    int32_t positions[256];
} fixture;

#define OK(call)                                                          \
    do {                                                                  \
        lf_err err = {0};                                                 \
        if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message); \
    } while (0)

static inline const float *golden(const fixture *f, const char *name, int64_t *n) {
    const lf_st_tensor *t = lf_safetensors_find(f->gold, name);
    if (!t) fail_msg("%s has no '%s'", lf_safetensors_path(f->gold), name);
    if (n) *n = t->numel;
    return t->data;
}

static inline void open_case(fixture *f, const char *name, const lf_kernels *k, lf_load load) {
    char path[600];
    *f = (fixture){.k = k};
    snprintf(f->dir, sizeof f->dir, "%s/golden/%s", LF_TEST_DIR, name);
    snprintf(path, sizeof path, "%s/golden.safetensors", f->dir);
    OK(lf_safetensors_open(&f->gold, path, &err));
    OK(lf_model_open(&f->model, f->dir, k, load, &err));
    assert_true(f->model->is_lm);
    f->g = lf_graph_new(k, 1);
    assert_non_null(f->g);
    const lf_st_tensor *ids = lf_safetensors_find(f->gold, "ids");
    f->B = ids->shape[1];
    f->T = ids->shape[2];
    for (int64_t i = 0; i < f->B * f->T; i++) f->positions[i] = (int32_t)(i % f->T);
}

static inline void close_case(fixture *f) {
    lf_graph_free(f->g);
    lf_model_free(f->model);
    lf_safetensors_close(f->gold);
}

static inline const int32_t *batch_of(const fixture *f, const char *what, int64_t i) {
    return (const int32_t *)lf_safetensors_find(f->gold, what)->data + i * f->B * f->T;
}
static inline const int32_t *batch_ids(const fixture *f, int64_t i) { return batch_of(f, "ids", i); }
static inline const int32_t *batch_labels(const fixture *f, int64_t i) { return batch_of(f, "labels", i); }

/* max |a - b| <= tolerance * max |b| */
static inline void check_close(const char *what, const float *a, const float *b, int64_t n, double tolerance) {
    double worst = 0, scale = 0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs((double)b[i]));
        const double d = fabs((double)a[i] - (double)b[i]);
        worst = isfinite(d) ? fmax(worst, d) : INFINITY;
    }
    if (!(worst <= tolerance * scale)) fail_msg("%s: max difference %g, max value %g, tolerance %g", what, worst, scale, tolerance);
}

/* Frozen weights and activations have 8 bits in bf16: 2^-9 of each product, a few layers deep. */
static inline bool in_bf16(const lf_kernels *k) { return strcmp(k->precision, "bf16") == 0; }

static inline lf_tensor *hidden_of(fixture *f, int64_t batch, bool grad) {
    const lf_model_input in = {.B = f->B, .T = f->T, .ids = batch_ids(f, batch), .positions = f->positions};
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_lm_hidden(f->model, f->g, &in);
}

static inline lf_tensor *through_head(fixture *f, lf_tensor *hidden) {
    const lf_frozen *frozen;
    lf_tensor *weight;
    lf_lm_head(f->model, &frozen, &weight);
    return lf_to_real(f->g, lf_linear(f->g, hidden, frozen, weight, NULL, NULL));
}

/* [B,T,V] of a batch, as floats; the caller frees them. */
static inline float *logits_of(fixture *f, int64_t batch) {
    lf_tensor *logits = through_head(f, hidden_of(f, batch, false));
    OK(lf_graph_status(f->g, &err));
    float *copy = lf_malloc((size_t)logits->numel * sizeof *copy);
    assert_non_null(copy);
    return memcpy(copy, logits->data, (size_t)logits->numel * sizeof *copy);
}

static inline void check_logits(fixture *f, const char *want_name, double tolerance) {
    int64_t n;
    const float *want = golden(f, want_name, &n);
    assert_int_equal(n, f->B * f->T * f->model->vocab_size);
    float *logits = logits_of(f, 0);
    check_close(f->dir, logits, want, n, tolerance);
    lf_free(logits);
}

static inline int64_t targets_in(const fixture *f, int64_t batch) {
    int64_t n = 0;
    for (int64_t i = 0; i < f->B * f->T; i++) n += batch_labels(f, batch)[i] >= 0;
    return n;
}

static inline lf_tensor *loss_of(fixture *f, int64_t batch, lf_lm_counts *counts) {
    lf_tensor *hidden = hidden_of(f, batch, true);
    const lf_frozen *frozen;
    lf_tensor *weight;
    lf_lm_head(f->model, &frozen, &weight);
    lf_tensor *loss = lf_lm_loss(f->g, hidden, frozen, weight, batch_labels(f, batch), (double)targets_in(f, batch), 0, counts);
    OK(lf_graph_status(f->g, &err));
    return loss;
}

static inline void each_backend(void (*check)(const char *name, const lf_kernels *k)) {
    const lf_kernels *available[8];
    const int n = lf_kernels_available("fp32", available, 8);
    assert_true(n >= 1);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < N_CASES; c++) check(cases[c], available[i]);
    assert_int_equal(lf_alloc_live(), 0);
}

static inline void each_bf16(void (*check)(const char *name, const lf_kernels *k)) {
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
static inline void each_case(void (*check)(const char *name, const lf_kernels *k)) {
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (int c = 0; c < N_CASES; c++) check(cases[c], k);
    assert_int_equal(lf_alloc_live(), 0);
}

#endif

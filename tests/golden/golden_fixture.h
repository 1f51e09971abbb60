/* Models written by transformers with what transformers and PEFT compute from them (scripts/make-golden-*.py), opened
 * for the tests: a folder of tests/golden is a case. */
#ifndef LF_GOLDEN_FIXTURE_H
#define LF_GOLDEN_FIXTURE_H

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
#include "train/optimizer.h"

enum { STEPS = 10, N_BATCHES = 3 };

typedef struct fixture {
    const char *name;
    char dir[512];
    lf_safetensors *gold;
    const lf_kernels *k;
    lf_model *model;
    lf_graph *g;
    int64_t B, T; /* of a batch; T and positions: of language models only */
    int32_t positions[256];
} fixture;

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        lf_err err = {0};                                                                                              \
        if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);                                              \
    } while (0)

static inline void open_model(fixture *f, const char *name, const lf_kernels *k, lf_load load) {
    char path[600];
    *f = (fixture){.name = name, .k = k};
    snprintf(f->dir, sizeof f->dir, "%s/golden/%s", LF_TEST_DIR, name);
    snprintf(path, sizeof path, "%s/golden.safetensors", f->dir);
    OK(lf_safetensors_open(&f->gold, path, &err));
    OK(lf_model_open(&f->model, f->dir, &(lf_model_opts){.k = k, .load = load}, &err));
    f->g = lf_graph_new(k, 1);
    assert_non_null(f->g);
}

static inline void close_case(fixture *f) {
    lf_graph_free(f->g);
    lf_model_free(f->model);
    lf_safetensors_close(f->gold);
}

/* ---- comparing ---- */

static inline const float *golden(const fixture *f, const char *name, int64_t *n) {
    const lf_st_tensor *t = lf_safetensors_find(f->gold, name);
    if (!t) fail_msg("%s has no '%s'", lf_safetensors_path(f->gold), name);
    if (n) *n = t->numel;
    return t->data;
}

/* max |a - b| <= tolerance * max |b| */
static inline void check_close(const char *what, const float *a, const float *b, int64_t n, double tolerance) {
    double worst = 0, scale = 0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs((double)b[i]));
        const double d = fabs((double)a[i] - (double)b[i]);
        worst = isfinite(d) ? fmax(worst, d) : INFINITY;
    }
    if (!(worst <= tolerance * scale))
        fail_msg("%s: max difference %g, max value %g, tolerance %g", what, worst, scale, tolerance);
}

/* The n numbers are all that the golden file has under this name. */
static inline void check_golden(const fixture *f, const char *name, const float *found, int64_t n, double tolerance) {
    char what[300];
    int64_t expected;
    const float *want = golden(f, name, &expected);
    assert_int_equal(n, expected);
    snprintf(what, sizeof what, "%s: %s", f->name, name);
    check_close(what, found, want, n, tolerance);
}

/* Frozen weights and activations have 8 bits in bf16: 2^-9 of each product, a few layers deep. */
static inline bool in_bf16(const lf_kernels *k) { return strcmp(k->precision, "bf16") == 0; }

typedef void case_check(const char *name, const lf_kernels *k);

static inline void each_available(const char *precision, const char *const *names, int n_names, case_check *check) {
    const lf_kernels *available[8];
    const int n = lf_kernels_available(precision, available, 8);
    assert_true(n >= 1);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < n_names; c++) check(names[c], available[i]);
    assert_int_equal(lf_alloc_live(), 0);
}

/* ---- training with an adapter ---- */

typedef struct training {
    const char *init; /* kaiming or a value of init_lora_weights */
    lf_config *cfg;
    lf_adapter *adapter;
    lf_trainable *list;
    int64_t count;
    lf_optimizer optimizer;
} training;

static inline lf_config *config_for(const char *init, const char *targets) {
    lf_config *cfg;
    OK(lf_config_new(&cfg, "train", &err));
    const char *const keys[][2] = {{"model", "m"},
                                   {"train_data", "d"},
                                   {"output_dir", "o"},
                                   {"r", "4"},
                                   {"lora_alpha", "6"},
                                   {"learning_rate", "5e-3"},
                                   {"weight_decay", "0.01"},
                                   {"init_lora_weights", init},
                                   {"target_modules", targets}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i][1]) OK(lf_config_set(cfg, keys[i][0], keys[i][1], &err));
    OK(lf_config_finish(cfg, &err));
    return cfg;
}

static inline void set(lf_tensor *t, const float *from) { memcpy(t->data, from, (size_t)t->numel * sizeof *from); }

/* An adapter that starts where PEFT's does, on `targets` (NULL: the default), and its optimizer. */
static inline void open_training(training *t, fixture *f, const char *init, const char *targets, double dropout) {
    lf_adapter_opts opts;
    *t = (training){.init = init, .cfg = config_for(init, targets)};
    OK(lf_adapter_opts_read(&opts, t->cfg, &err));
    opts.lora_dropout = dropout;
    OK(lf_adapter_new(&t->adapter, &f->model->nn, &opts, &err));
    if (strcmp(init, "kaiming") == 0) /* random: take PEFT's own start */
        for (int64_t i = 0; i < lf_adapter_count(t->adapter); i++) {
            char key[160];
            snprintf(key, sizeof key, "kaiming.start.%s.lora_A", lf_adapter_module(t->adapter, i)->name);
            set(&lf_adapter_module(t->adapter, i)->lora->A, golden(f, key, NULL));
        }
    OK(lf_nn_trainables(&f->model->nn, &t->list, &t->count, &err));
    OK(lf_optimizer_init(&t->optimizer, f->k, t->list, t->count, t->cfg, &err));
}

static inline void close_training(training *t) {
    lf_optimizer_free(&t->optimizer);
    lf_adapter_free(t->adapter);
    lf_config_free(t->cfg);
}

/* Singular vectors are defined up to a sign a component: PEFT's row i of A may be minus ours. */
static inline double sign_of_row(const float *ours, const float *theirs, int64_t n) {
    double dot = 0;
    for (int64_t i = 0; i < n; i++) dot += (double)ours[i] * (double)theirs[i];
    return dot < 0 ? -1 : 1;
}

static inline void check_adapter_gradients(const fixture *f, const training *t) {
    for (int64_t i = 0; i < lf_adapter_count(t->adapter); i++) {
        const lf_module *m = lf_adapter_module(t->adapter, i);
        const lf_lora *l = m->lora;
        float buffer[64 * 64];
        char name[256];
        snprintf(name, sizeof name, "%s.start.%s.lora_A", t->init, m->name);
        const float *start = golden(f, name, NULL);
        snprintf(name, sizeof name, "%s.grad.%s.lora_B", t->init, m->name);
        const float *grad_B = golden(f, name, NULL);
        snprintf(name, sizeof name, "%s.grad.%s.lora_A", t->init, m->name);
        const float *grad_A = golden(f, name, NULL);
        double sign[16];
        for (int64_t c = 0; c < l->r; c++)
            sign[c] = sign_of_row((const float *)l->A.data + c * m->in, start + c * m->in, m->in);
        for (int64_t j = 0; j < l->A.numel; j++)
            buffer[j] = (float)(sign[j / m->in] * (double)((const float *)l->A.grad)[j]);
        if (strcmp(t->init, "kaiming") != 0)
            check_close(name, buffer, grad_A, l->A.numel, 1e-3);
        else /* B = 0: no gradient reaches A */
            for (int64_t j = 0; j < l->A.numel; j++) assert_true(buffer[j] == 0.0f && grad_A[j] == 0.0f);
        for (int64_t j = 0; j < l->B.numel; j++)
            buffer[j] = (float)(sign[j % l->r] * (double)((const float *)l->B.grad)[j]);
        check_close(name, buffer, grad_B, l->B.numel, 1e-3);
    }
}

/* The first gradients and the losses of all steps are PEFT's. `loss_of_step` builds a step's loss; `after_first` (or
 * NULL) looks at gradients that are not the adapter's. */
static inline void check_losses(fixture *f, training *t, lf_tensor *(*loss_of_step)(fixture *f, int step),
                                void (*after_first)(const fixture *f, const training *t)) {
    char key[160];
    snprintf(key, sizeof key, "%s.losses", t->init);
    const float *want = golden(f, key, NULL);
    for (int step = 0; step < STEPS; step++) {
        lf_optimizer_clear_gradients(&t->optimizer);
        lf_tensor *loss = loss_of_step(f, step);
        OK(lf_graph_status(f->g, &err));
        const float value = *(const float *)loss->data;
        if (!(fabsf(value - want[step]) <= (in_bf16(f->k) ? 3e-2f : 1e-3f) * want[step]))
            fail_msg("%s, %s, %s: step %d: loss %.7f, PEFT has %.7f", f->name, t->init, f->k->name, step, (double)value,
                     (double)want[step]);
        OK(lf_graph_backward(f->g, loss, 1, &err));
        if (step == 0 && !in_bf16(f->k)) {
            check_adapter_gradients(f, t);
            if (after_first) after_first(f, t);
        }
        const double norm = lf_optimizer_gradient_norm(&t->optimizer, 1);
        lf_optimizer_step(&t->optimizer, 1, norm > 1 ? 1 / (norm + 1e-6) : 1);
    }
}

#endif

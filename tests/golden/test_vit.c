/* ViTs written by transformers: logits, loss, the adapters' first gradients and ten training losses must be those of
 * transformers + PEFT (scripts/make-golden-vit.py). */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/adapter.h"
#include "base/mem.h"
#include "eval/eval.h"
#include "train/optimizer.h"

static const char *const cases[] = {"vit-base", "vit-odd", "vit-long"};
enum { N_CASES = sizeof cases / sizeof cases[0], STEPS = 10 };

typedef struct fixture {
    char dir[512];
    lf_safetensors *gold;
    const lf_kernels *k;
    lf_model *model;
    lf_graph *g;
    int64_t B;
} fixture;

#define OK(call)                                                                      \
    do {                                                                              \
        lf_err err = {0};                                                             \
        if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);             \
    } while (0)

static const float *golden(const fixture *f, const char *name, int64_t *n) {
    const lf_st_tensor *t = lf_safetensors_find(f->gold, name);
    if (!t) fail_msg("%s has no '%s'", lf_safetensors_path(f->gold), name);
    if (n) *n = t->numel;
    return t->data;
}

static void open_case(fixture *f, const char *name, const lf_kernels *k) {
    char path[600];
    *f = (fixture){.k = k};
    snprintf(f->dir, sizeof f->dir, "%s/golden/%s", LF_TEST_DIR, name);
    snprintf(path, sizeof path, "%s/golden.safetensors", f->dir);
    OK(lf_safetensors_open(&f->gold, path, &err));
    OK(lf_model_open(&f->model, f->dir, k, LF_LOAD_FROZEN, &err));
    f->g = lf_graph_new(k, 1);
    assert_non_null(f->g);
    f->B = lf_safetensors_find(f->gold, "pixels")->shape[1];
}

static void close_case(fixture *f) {
    lf_graph_free(f->g);
    lf_model_free(f->model);
    lf_safetensors_close(f->gold);
}

static const float *batch_pixels(const fixture *f, int64_t i) {
    int64_t n;
    const float *p = golden(f, "pixels", &n);
    return p + i * (n / 3);
}
static const int32_t *batch_labels(const fixture *f, int64_t i) {
    return (const int32_t *)lf_safetensors_find(f->gold, "labels")->data + i * f->B;
}

/* max |a - b| <= tolerance * max |b| */
static void check_close(const char *what, const float *a, const float *b, int64_t n, double tolerance) {
    double worst = 0, scale = 0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs((double)b[i]));
        const double d = fabs((double)a[i] - (double)b[i]);
        worst = isfinite(d) ? fmax(worst, d) : INFINITY;
    }
    if (!(worst <= tolerance * scale)) fail_msg("%s: max difference %g, max value %g, tolerance %g", what, worst, scale, tolerance);
}

static lf_tensor *logits_of(fixture *f, int64_t batch, bool grad) {
    const lf_model_input in = {.B = f->B, .pixels = batch_pixels(f, batch)};
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_model_logits(f->model, f->g, f->model->head, lf_model_features(f->model, f->g, &in));
}

static void each_backend(void (*check)(const char *name, const lf_kernels *k)) {
    const lf_kernels *available[8];
    const int n = lf_kernels_available("fp32", available, 8);
    assert_true(n >= 1);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < N_CASES; c++) check(cases[c], available[i]);
    assert_int_equal(lf_alloc_live(), 0);
}

/* Frozen weights and the activations that meet them have 8 bits: 2^-9 of each product, a few layers deep. */
static bool in_bf16(const lf_kernels *k) { return strcmp(k->precision, "bf16") == 0; }

static void each_bf16(void (*check)(const char *name, const lf_kernels *k)) {
    const lf_kernels *available[8];
    const int n = lf_kernels_available("bf16", available, 8);
    assert_true(n >= 1);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < N_CASES; c++) check(cases[c], available[i]);
    assert_int_equal(lf_alloc_live(), 0);
}

static void check_logits(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k);
    int64_t n;
    const float *want = golden(&f, "logits", &n);
    const lf_tensor *logits = logits_of(&f, 0, false);
    assert_non_null(logits);
    assert_int_equal(logits->numel, n);
    check_close(name, logits->data, want, n, in_bf16(k) ? 2e-2 : 2e-5); /* float32 sums on both sides; the contract is 1e-4 */
    close_case(&f);
}
static void test_logits(void **state) {
    (void)state;
    each_backend(check_logits);
    each_bf16(check_logits);
}

/* ---- training ---- */

static void set(lf_tensor *t, const float *from) { memcpy(t->data, from, (size_t)t->numel * sizeof *from); }

static void make_head(fixture *f) {
    const lf_st_tensor *w = lf_safetensors_find(f->gold, "head.weight");
    const char *names[64];
    for (int i = 0; i < 64; i++) names[i] = "x";
    OK(lf_model_new_head(f->model, w->shape[0], names, 0, &err));
    set(&f->model->head->weight->tensor, w->data);
    set(&f->model->head->bias->tensor, golden(f, "head.bias", NULL));
}

static lf_config *config_for(const char *init) {
    lf_config *cfg;
    OK(lf_config_new(&cfg, "train", &err));
    static const char *const fixed[][2] = {{"model", "m"}, {"train_data", "d"}, {"output_dir", "o"}, {"r", "4"}, {"lora_alpha", "6"},
                                           {"learning_rate", "5e-3"}, {"weight_decay", "0.01"}};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) OK(lf_config_set(cfg, fixed[i][0], fixed[i][1], &err));
    OK(lf_config_set(cfg, "init_lora_weights", init, &err));
    OK(lf_config_finish(cfg, &err));
    return cfg;
}

/* Singular vectors are defined up to a sign a component: PEFT's row i of A may be minus ours. */
static double sign_of_row(const float *ours, const float *theirs, int64_t n) {
    double dot = 0;
    for (int64_t i = 0; i < n; i++) dot += (double)ours[i] * (double)theirs[i];
    return dot < 0 ? -1 : 1;
}

static void check_adapter_gradients(const fixture *f, const lf_adapter *a, const char *init) {
    for (int64_t i = 0; i < lf_adapter_count(a); i++) {
        const lf_module *m = lf_adapter_module(a, i);
        const lf_lora *l = m->lora;
        float buffer[64 * 64];
        char name[256];
        const float *start, *grad_A, *grad_B;
        snprintf(name, sizeof name, "%s.start.%s.lora_A", init, m->name);
        start = golden(f, name, NULL);
        snprintf(name, sizeof name, "%s.grad.%s.lora_B", init, m->name);
        grad_B = golden(f, name, NULL);
        snprintf(name, sizeof name, "%s.grad.%s.lora_A", init, m->name);
        grad_A = golden(f, name, NULL);
        double sign[16];
        for (int64_t c = 0; c < l->r; c++) sign[c] = sign_of_row((const float *)l->A.data + c * m->in, start + c * m->in, m->in);
        for (int64_t j = 0; j < l->A.numel; j++) buffer[j] = (float)(sign[j / m->in] * (double)((const float *)l->A.grad)[j]);
        if (strcmp(init, "kaiming") != 0) check_close(name, buffer, grad_A, l->A.numel, 1e-3);
        else /* B = 0: no gradient reaches A */
            for (int64_t j = 0; j < l->A.numel; j++) assert_true(buffer[j] == 0.0f && grad_A[j] == 0.0f);
        for (int64_t j = 0; j < l->B.numel; j++) buffer[j] = (float)(sign[j % l->r] * (double)((const float *)l->B.grad)[j]);
        check_close(name, buffer, grad_B, l->B.numel, 1e-3);
    }
}

static void check_training(const char *name, const lf_kernels *k, const char *init) {
    fixture f;
    open_case(&f, name, k);
    make_head(&f);
    lf_config *cfg = config_for(init);
    lf_adapter_opts opts;
    lf_adapter *adapter;
    OK(lf_adapter_opts_read(&opts, cfg, &err));
    OK(lf_adapter_new(&adapter, &f.model->nn, &opts, &err));
    char key[128];
    if (strcmp(init, "kaiming") == 0) /* random: take PEFT's own start */
        for (int64_t i = 0; i < lf_adapter_count(adapter); i++) {
            snprintf(key, sizeof key, "kaiming.start.%s.lora_A", lf_adapter_module(adapter, i)->name);
            set(&lf_adapter_module(adapter, i)->lora->A, golden(&f, key, NULL));
        }
    lf_trainable *list;
    int64_t count;
    lf_optimizer o;
    OK(lf_nn_trainables(&f.model->nn, &list, &count, &err));
    assert_int_equal(count, 2 + 2 * lf_adapter_count(adapter));
    OK(lf_optimizer_init(&o, k, list, count, cfg, &err));
    snprintf(key, sizeof key, "%s.losses", init);
    const float *want = golden(&f, key, NULL);
    for (int step = 0; step < STEPS; step++) {
        lf_optimizer_clear_gradients(&o);
        lf_tensor *loss = lf_cross_entropy(f.g, logits_of(&f, step % 3, true), batch_labels(&f, step % 3), (double)f.B, 0);
        OK(lf_graph_status(f.g, &err));
        const float value = *(const float *)loss->data;
        if (!(fabsf(value - want[step]) <= (in_bf16(k) ? 3e-2f : 1e-3f) * want[step]))
            fail_msg("%s, %s, %s: step %d: loss %.7f, PEFT has %.7f", name, init, k->name, step, (double)value, (double)want[step]);
        OK(lf_graph_backward(f.g, loss, 1, &err));
        if (step == 0 && !in_bf16(k)) {
            check_adapter_gradients(&f, adapter, init);
            snprintf(key, sizeof key, "%s.grad.head.weight", init);
            check_close(key, f.model->head->weight->tensor.grad, golden(&f, key, NULL), f.model->head->weight->tensor.numel, 1e-4);
        }
        const double norm = lf_optimizer_gradient_norm(&o, 1);
        lf_optimizer_step(&o, 1, norm > 1 ? 1 / (norm + 1e-6) : 1);
    }
    lf_optimizer_free(&o);
    lf_adapter_free(adapter);
    lf_config_free(cfg);
    close_case(&f);
}

static void check_kaiming(const char *name, const lf_kernels *k) { check_training(name, k, "kaiming"); }
static void check_pissa(const char *name, const lf_kernels *k) { check_training(name, k, "pissa"); }
static void test_training_kaiming(void **state) {
    (void)state;
    each_backend(check_kaiming);
    each_bf16(check_kaiming);
}
static void test_training_pissa(void **state) {
    (void)state;
    each_backend(check_pissa);
    each_bf16(check_pissa);
}

/* Losses of four steps and the last gradients, as they are with and without gradient checkpointing. */
static void train_steps(const char *name, const lf_kernels *k, bool checkpointing, float *out, int64_t *n) {
    fixture f;
    open_case(&f, name, k);
    make_head(&f);
    f.model->gradient_checkpointing = checkpointing;
    lf_config *cfg = config_for("pissa");
    lf_adapter_opts opts;
    lf_adapter *adapter;
    lf_trainable *list;
    lf_optimizer o;
    int64_t count;
    OK(lf_adapter_opts_read(&opts, cfg, &err));
    opts.lora_dropout = 0.1;
    OK(lf_adapter_new(&adapter, &f.model->nn, &opts, &err));
    OK(lf_nn_trainables(&f.model->nn, &list, &count, &err));
    OK(lf_optimizer_init(&o, k, list, count, cfg, &err));
    *n = 0;
    for (int step = 0; step < 4; step++) {
        lf_optimizer_clear_gradients(&o);
        lf_tensor *loss = lf_cross_entropy(f.g, logits_of(&f, step % 3, true), batch_labels(&f, step % 3), (double)f.B, 0);
        OK(lf_graph_status(f.g, &err));
        out[(*n)++] = *(const float *)loss->data;
        OK(lf_graph_backward(f.g, loss, 1, &err));
        lf_optimizer_step(&o, 1, 1);
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < list[i].tensor->numel; j += 7) out[(*n)++] = ((const float *)list[i].tensor->grad)[j];
    lf_optimizer_free(&o);
    lf_adapter_free(adapter);
    lf_config_free(cfg);
    close_case(&f);
}

static void check_checkpointing(const char *name, const lf_kernels *k) {
    static float plain[100000], again[100000];
    int64_t n, m;
    train_steps(name, k, false, plain, &n);
    train_steps(name, k, true, again, &m);
    assert_int_equal(n, m);
    assert_true(n > 100 && n < 100000);
    assert_memory_equal(plain, again, (size_t)n * sizeof *plain);
}
static void test_checkpointing_changes_no_bit(void **state) {
    (void)state;
    each_backend(check_checkpointing);
    each_bf16(check_checkpointing);
}

/* An adapter starts from the weights in the file, not from what bf16 made of them. */
static void check_start(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k);
    for (int64_t i = 0; i < f.model->nn.n_modules; i++) {
        const lf_module *m = f.model->nn.modules[i];
        const lf_st_tensor *t = lf_nn_is_frozen(m) ? f.model->family->find(f.model->weights, m->weight) : NULL;
        if (!t) continue;
        float *W = lf_aligned_alloc((size_t)t->numel * sizeof *W), *want = lf_aligned_alloc((size_t)t->numel * sizeof *W);
        lf_to_f32(want, t->data, t->dtype, t->numel);
        OK(lf_nn_weight(&f.model->nn, m, W, &err));
        assert_memory_equal(W, want, (size_t)t->numel * sizeof *W);
        lf_aligned_free(W);
        lf_aligned_free(want);
    }
    close_case(&f);
}
static void test_bf16_starts_from_the_file(void **state) {
    (void)state;
    each_bf16(check_start);
}

/* ---- an adapter that PEFT wrote ---- */

static void check_peft_adapter(const char *name, const lf_kernels *k) {
    fixture f;
    char path[600];
    open_case(&f, name, k);
    snprintf(path, sizeof path, "%s/peft_adapter", f.dir);
    lf_adapter_file *file;
    lf_adapter *adapter;
    const char *const *names;
    OK(lf_adapter_open(&file, path, &err));
    assert_int_equal(lf_adapter_file_labels(file, &names), 7);
    make_head(&f); /* with other values: the file's must win */
    OK(lf_adapter_apply(&adapter, file, &f.model->nn, f.model->head, f.model->hash, &err));
    int64_t n;
    const float *want = golden(&f, "kaiming.logits_after", &n);
    const lf_tensor *logits = logits_of(&f, 0, false);
    assert_non_null(logits);
    assert_int_equal(logits->numel, n);
    check_close(name, logits->data, want, n, 1e-4);
    lf_adapter_close(file);
    lf_adapter_free(adapter);
    close_case(&f);
}
static void test_peft_adapter(void **state) {
    (void)state;
    each_backend(check_peft_adapter);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits), cmocka_unit_test(test_training_kaiming),
                                       cmocka_unit_test(test_training_pissa), cmocka_unit_test(test_checkpointing_changes_no_bit), cmocka_unit_test(test_bf16_starts_from_the_file), cmocka_unit_test(test_peft_adapter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

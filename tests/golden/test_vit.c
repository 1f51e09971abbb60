/* ViTs and their relatives written by transformers: logits, loss, the adapters' first gradients and ten training losses
 * must be those of transformers + PEFT (scripts/make-golden-vit.py). */
#define _POSIX_C_SOURCE 200809L
#include "golden/golden_fixture.h"

static const char *const cases[] = {"vit-base",  "vit-odd",     "vit-long",       "vit-several",      "vit-resized",
                                    "deit-tiny", "dinov2-tiny", "dinov2-resized", "dinov2-registers", "dinov2-gated",
                                    "beit-tiny", "beit-shared", "clip-tiny",      "siglip-tiny"};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static void open_case(fixture *f, const char *name, const lf_kernels *k) {
    open_model(f, name, k, LF_LOAD_FROZEN);
    f->B = lf_safetensors_find(f->gold, "pixels")->shape[1];
}

static bool several(const fixture *f) { return f->model->base_head.problem == LF_MULTI_LABEL; }

static const float *batch_pixels(const fixture *f, int64_t i) {
    int64_t n;
    const float *p = golden(f, "pixels", &n);
    return p + i * (n / N_BATCHES);
}
static const int32_t *batch_labels(const fixture *f, int64_t i) {
    return (const int32_t *)lf_safetensors_find(f->gold, "labels")->data + i * f->B;
}

static lf_tensor *logits_of(fixture *f, int64_t batch, bool grad) {
    const lf_pass pass = {.in = {.B = f->B, .pixels = batch_pixels(f, batch)}};
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_model_logits(f->g, f->model->head.module, lf_model_features(f->model, f->g, &pass));
}

static void check_golden_logits(fixture *f, const char *want, double tolerance) {
    const lf_tensor *logits = logits_of(f, 0, false);
    assert_non_null(logits);
    check_golden(f, want, logits->data, logits->numel, tolerance);
}

static void each_backend(case_check *check) { each_available("fp32", cases, N_CASES, check); }
static void each_bf16(case_check *check) { each_available("bf16", cases, N_CASES, check); }

static void check_logits(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k);
    check_golden_logits(&f, "logits", in_bf16(k) ? 3e-2 : 2e-5); /* float32 sums on both sides; the contract is 1e-4 */
    close_case(&f);
}
static void check_traits(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k);
    const lf_model *m = f.model;
    assert_true(m->family->input == LF_PIXELS && lf_model_says(m, LF_CLASSES) && !lf_model_says(m, LF_NEXT_TOKEN));
    assert_true(m->base_head.module == m->head.module && m->base_head.n_labels == m->head.module->out);
    close_case(&f);
}
static void test_traits(void **state) {
    (void)state;
    each_backend(check_traits);
}

static void test_logits(void **state) {
    (void)state;
    each_backend(check_logits);
    each_bf16(check_logits);
}

/* DeiT with a teacher: the base is judged by the average of its two heads, and there is none to go on with. */
static void check_teacher(const char *name, const lf_kernels *k) {
    fixture f;
    lf_err refused = {0};
    open_model(&f, name, k, LF_LOAD_FROZEN);
    const lf_classifier *head = &f.model->base_head;
    assert_true(head->module && head->n_labels == 5 && head->module->in == 2 * f.model->hidden_size);
    assert_null(f.model->head.module->weight->tensor.data);
    const lf_pass pass = {.in = {.B = 5, .pixels = golden(&f, "pixels", NULL)}, .head = head};
    lf_graph_begin(f.g, false, false, 0);
    const lf_tensor *logits = lf_model_logits(f.g, head->module, lf_model_features(f.model, f.g, &pass));
    OK(lf_graph_status(f.g, &err));
    check_golden(&f, "logits", logits->data, logits->numel, in_bf16(k) ? 3e-2 : 2e-5);
    assert_int_equal(lf_model_train_head(f.model, &refused), LF_EUNSUPPORTED);
    assert_non_null(strstr(refused.message, "the average of two"));
    close_case(&f);
}
static void test_teacher(void **state) {
    (void)state;
    static const char *const teacher[] = {"deit-teacher"};
    each_available("fp32", teacher, 1, check_teacher);
    each_available("bf16", teacher, 1, check_teacher);
}

/* ---- the loss of the base's own head ---- */

static void check_loss(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k);
    const int64_t V = f.model->head.module->out;
    int32_t labels[64];
    for (int64_t i = 0; i < f.B && !several(&f); i++) labels[i] = batch_labels(&f, 0)[i] % (int32_t)V;
    lf_tensor *logits = logits_of(&f, 0, false);
    const lf_tensor *loss = several(&f) ? lf_bce_loss(f.g, logits, golden(&f, "base_values", NULL), (double)(f.B * V))
                                        : lf_cross_entropy(f.g, logits, labels, (double)f.B, 0);
    OK(lf_graph_status(f.g, &err));
    check_golden(&f, "loss", loss->data, 1, 2e-5);
    close_case(&f);
}
static void test_loss(void **state) {
    (void)state;
    each_backend(check_loss);
}

/* ---- training ---- */

static void make_head(fixture *f) {
    const lf_st_tensor *w = lf_safetensors_find(f->gold, "head.weight");
    const char *names[64];
    for (int i = 0; i < 64; i++) names[i] = "x";
    OK(lf_model_new_head(f->model, w->shape[0], names, 0, &err));
    set(&f->model->head.module->weight->tensor, w->data);
    set(&f->model->head.module->bias->tensor, golden(f, "head.bias", NULL));
}

static lf_tensor *loss_of_step(fixture *f, int step) {
    const int batch = step % N_BATCHES;
    lf_tensor *logits = logits_of(f, batch, true);
    if (!several(f)) return lf_cross_entropy(f->g, logits, batch_labels(f, batch), (double)f->B, 0);
    const int64_t V = f->model->head.module->out;
    return lf_bce_loss(f->g, logits, golden(f, "values", NULL) + batch * f->B * V, (double)(f->B * V));
}

static void check_head_gradient(const fixture *f, const training *t) {
    char key[128];
    snprintf(key, sizeof key, "%s.grad.head.weight", t->init);
    const lf_tensor *weight = &f->model->head.module->weight->tensor;
    check_golden(f, key, weight->grad, weight->numel, 1e-4);
}

static void check_training(const char *name, const lf_kernels *k, const char *init) {
    fixture f;
    training t;
    open_case(&f, name, k);
    make_head(&f);
    open_training(&t, &f, init, NULL, 0);
    assert_int_equal(t.count, 2 + 2 * lf_adapter_count(t.adapter));
    check_losses(&f, &t, loss_of_step, check_head_gradient);
    close_training(&t);
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
    training t;
    open_case(&f, name, k);
    make_head(&f);
    f.model->gradient_checkpointing = checkpointing;
    open_training(&t, &f, "pissa", NULL, 0.1);
    *n = 0;
    for (int step = 0; step < 4; step++) {
        lf_optimizer_clear_gradients(&t.optimizer);
        lf_tensor *loss = loss_of_step(&f, step);
        OK(lf_graph_status(f.g, &err));
        out[(*n)++] = *(const float *)loss->data;
        OK(lf_graph_backward(f.g, loss, 1, &err));
        lf_optimizer_step(&t.optimizer, 1, 1);
    }
    for (int64_t i = 0; i < t.count; i++)
        for (int64_t j = 0; j < t.list[i].tensor->numel; j += 7)
            out[(*n)++] = ((const float *)t.list[i].tensor->grad)[j];
    close_training(&t);
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
        const lf_st_tensor *t =
            lf_nn_is_frozen(m) ? lf_family_find(f.model->family, f.model->weights, m->weight) : NULL;
        if (!t) continue;
        const int64_t n = m->weight->tensor.numel, before = m->weight->first_row * m->in; /* among other rows */
        float *W = lf_aligned_alloc((size_t)n * sizeof *W), *want = lf_aligned_alloc((size_t)t->numel * sizeof *W);
        lf_to_f32(want, t->data, t->dtype, t->numel);
        OK(lf_nn_weight(&f.model->nn, m, W, &err));
        assert_memory_equal(W, want + before, (size_t)n * sizeof *W);
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
    OK(lf_adapter_apply(&adapter, file, &f.model->nn, f.model->head.module, f.model->hash, &err));
    check_golden_logits(&f, "kaiming.logits_after", 1e-4);
    lf_adapter_close(file);
    lf_adapter_free(adapter);
    close_case(&f);
}
static void test_peft_adapter(void **state) {
    (void)state;
    each_backend(check_peft_adapter);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_traits),
                                       cmocka_unit_test(test_logits),
                                       cmocka_unit_test(test_teacher),
                                       cmocka_unit_test(test_loss),
                                       cmocka_unit_test(test_training_kaiming),
                                       cmocka_unit_test(test_training_pissa),
                                       cmocka_unit_test(test_checkpointing_changes_no_bit),
                                       cmocka_unit_test(test_bf16_starts_from_the_file),
                                       cmocka_unit_test(test_peft_adapter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

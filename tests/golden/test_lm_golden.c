/* Language models written by transformers: logits, loss, gradients of every parameter, the adapters' first gradients
 * and ten training losses must be those of transformers + PEFT (scripts/make-golden-lm.py). */
#define _POSIX_C_SOURCE 200809L
#include "golden/lm_fixture.h"

static void check_base(const char *name, const lf_kernels *k) {
    fixture f;
    lf_lm_counts counts;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    check_logits(&f, "logits",
                 in_bf16(k) ? 0.1 : 2e-5); /* the contract is 1e-4; torch's own bf16 is off by up to 0.08 */
    const lf_tensor *loss = loss_of(&f, 0, &counts);
    check_golden(&f, "loss", loss->data, 1, in_bf16(k) ? 2e-2 : 1e-5);
    assert_int_equal(counts.targets, targets_in(&f, 0));
    close_case(&f);
}
static void test_logits(void **state) {
    (void)state;
    each_backend(check_base);
    each_bf16(check_base);
}

/* ---- everything trained ---- */

static void turn(const float *from, int64_t rows, int64_t columns, float *to) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

static void check_parameter_gradients(const fixture *f) {
    for (int64_t i = 0; i < f->model->nn.n_params; i++) {
        const lf_param *p = f->model->nn.params[i];
        char name[256];
        static float want[256 * 256];
        snprintf(name, sizeof name, "full.grad.%s", p->name);
        int64_t n;
        const float *gold = golden(f, name, &n);
        assert_int_equal(n, p->tensor.numel);
        assert_true(n <= (int64_t)(sizeof want / sizeof *want));
        if (p->transposed)
            turn(gold, p->tensor.shape[1], p->tensor.shape[0], want);
        else
            memcpy(want, gold, (size_t)n * sizeof *want);
        check_close(name, p->tensor.grad, want, n, 1e-4);
    }
}

static void check_full(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k, LF_LOAD_TRAINED);
    check_logits(&f, "logits", 2e-5);
    OK(lf_graph_backward(f.g, loss_of(&f, 0, NULL), 1, &err));
    check_parameter_gradients(&f);
    close_case(&f);
}
static void test_full_gradients(void **state) {
    (void)state;
    each_backend(check_full);
}

/* Another pass, of other positions, between a pass and its backward: a checkpointed layer is built again as it was. */
static void check_two_passes(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k, LF_LOAD_TRAINED);
    f.model->gradient_checkpointing = true;
    lf_tensor *loss = loss_of(&f, 0, NULL);
    int32_t positions[256];
    assert_true(f.T <= 256);
    for (int32_t i = 0; i < f.T; i++) positions[i] = (int32_t)f.T - 1 - i;
    assert_non_null(lf_lm_hidden(
        f.model, f.g,
        &(lf_pass){.in = {.B = 1, .T = f.T, .ids = batch_ids(&f, 0), .positions = positions}, .base = true}));
    OK(lf_graph_backward(f.g, loss, 1, &err));
    check_parameter_gradients(&f);
    close_case(&f);
}
static void test_two_passes(void **state) {
    (void)state;
    each_backend(check_two_passes);
}

/* ---- adapters ---- */

/* With gradient checkpointing in half of the steps: it changes no bit. */
static lf_tensor *loss_of_step(fixture *f, int step) {
    f->model->gradient_checkpointing = step % 2;
    return loss_of(f, step % N_BATCHES, NULL);
}

static void check_training(const char *name, const lf_kernels *k, const char *init) {
    fixture f;
    training t;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    open_training(&t, &f, init, "all-linear", 0);
    assert_int_equal(t.count, 2 * lf_adapter_count(t.adapter)); /* and no lm_head */
    check_losses(&f, &t, loss_of_step, NULL);
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

/* ---- going on with PEFT's adapter, as PEFT goes on with it (scripts/make-golden-continued.py) ---- */

/* Settings, module by module, and factors are those of the file. */
static void open_continued(training *t, fixture *f, const char *name, lf_adapter_file **from) {
    char path[400];
    lf_adapter_opts o;
    snprintf(path, sizeof path, "%s/golden/%s/peft_adapter", LF_TEST_DIR, name);
    *t = (training){.init = name};
    OK(lf_config_new(&t->cfg, "train", &err));
    const char *const keys[][2] = {{"model", "m"},           {"train_data", "d"},
                                   {"output_dir", "o"},      {"learning_rate", "5e-3"},
                                   {"weight_decay", "0.01"}, {"continue_from", path}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) OK(lf_config_set(t->cfg, keys[i][0], keys[i][1], &err));
    OK(lf_config_finish(t->cfg, &err));
    OK(lf_adapter_take_settings(t->cfg, &err));
    OK(lf_adapter_opts_read(&o, t->cfg, &err));
    assert_true(o.r == 4 && o.lora_alpha == 6);
    OK(lf_adapter_open(from, path, &err));
    o.from = *from;
    OK(lf_adapter_new(&t->adapter, &f->model->nn, &o, &err));
    OK(lf_nn_trainables(&f->model->nn, &t->list, &t->count, &err));
    OK(lf_optimizer_init(&t->optimizer, f->k, t->list, t->count, t->cfg, &err));
}

static const lf_st_tensor *continued(lf_safetensors *gold, const char *name, const char *what) {
    char key[200];
    snprintf(key, sizeof key, "%s.%s", name, what);
    const lf_st_tensor *t = lf_safetensors_find(gold, key);
    if (!t) fail_msg("no golden tensor '%s'", key);
    return t;
}

static void check_continued(const char *name, const lf_kernels *k) {
    fixture f;
    training t;
    lf_adapter_file *from;
    lf_safetensors *gold;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    OK(lf_safetensors_open(&gold, LF_TEST_DIR "/golden/continued.safetensors", &err));
    open_continued(&t, &f, name, &from);
    if (!in_bf16(k)) check_logits(&f, "kaiming.logits_after", 2e-5); /* step 0 is the adapter */
    const float *want = continued(gold, name, "losses")->data;
    for (int step = 0; step < STEPS; step++) {
        lf_optimizer_clear_gradients(&t.optimizer);
        lf_tensor *loss = loss_of_step(&f, step);
        const float value = *(const float *)loss->data;
        if (!(fabsf(value - want[step]) <= (in_bf16(k) ? 3e-2f : 1e-4f) * want[step]))
            fail_msg("%s, %s: step %d: loss %.7f, PEFT has %.7f", name, k->name, step, (double)value,
                     (double)want[step]);
        OK(lf_graph_backward(f.g, loss, 1, &err));
        const double norm = lf_optimizer_gradient_norm(&t.optimizer, 1);
        lf_optimizer_step(&t.optimizer, 1, norm > 1 ? 1 / (norm + 1e-6) : 1);
    }
    close_training(&t);
    lf_adapter_close(from);
    lf_safetensors_close(gold);
    close_case(&f);
}
static void test_going_on_with_an_adapter(void **state) {
    (void)state;
    each_backend(check_continued);
    each_bf16(check_continued);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),         cmocka_unit_test(test_full_gradients),
        cmocka_unit_test(test_two_passes),     cmocka_unit_test(test_training_kaiming),
        cmocka_unit_test(test_training_pissa), cmocka_unit_test(test_going_on_with_an_adapter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

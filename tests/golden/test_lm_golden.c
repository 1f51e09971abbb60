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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits), cmocka_unit_test(test_full_gradients),
                                       cmocka_unit_test(test_two_passes), cmocka_unit_test(test_training_kaiming),
                                       cmocka_unit_test(test_training_pissa)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

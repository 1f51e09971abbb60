/* Causal language models that classify texts: logits, first gradients and ten steps of training must be those of
 * transformers + PEFT (scripts/make-golden-classifier.py), for one class, several labels and numbers. Rows differ in
 * length, and where the end of a text is what pads it some texts end in it. */
#define _XOPEN_SOURCE 700
#include "golden/golden_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "eval/adapted.h"

/* A folder, the adapter's targets, and its new head. */
static const struct {
    const char *name, *targets;
    lf_problem problem;
    int64_t labels;
} cases[] = {{"cls-llama-class", "all-linear", LF_SINGLE_LABEL, 5},
             {"cls-llama-several", "all-linear", LF_MULTI_LABEL, 4},
             {"cls-gpt2-number", "c_attn", LF_REGRESSION, 1}};
enum { N_CASES = sizeof cases / sizeof cases[0] };
static const char *const names[N_CASES] = {"cls-llama-class", "cls-llama-several", "cls-gpt2-number"};

static int number_of(const char *name) {
    int c = 0;
    while (strcmp(cases[c].name, name) != 0) c++;
    return c;
}

static const void *numbers_of(const fixture *f, const char *what, int64_t batch, int64_t each) {
    const lf_st_tensor *t = lf_safetensors_find(f->gold, what);
    return t ? (const int32_t *)t->data + batch * each : NULL; /* 4 bytes each, floats too */
}

static void look_at(fixture *f) {
    const lf_st_tensor *ids = lf_safetensors_find(f->gold, "ids");
    f->B = ids->shape[1];
    f->T = ids->shape[2];
    for (int64_t i = 0; i < f->B * f->T; i++) f->positions[i] = (int32_t)(i % f->T);
}

static void open_case(fixture *f, const char *name, const lf_kernels *k) {
    open_model(f, name, k, LF_LOAD_FROZEN);
    OK(lf_model_add_classifier(f->model, &err));
    look_at(f);
}

static lf_tensor *logits_of(fixture *f, int64_t batch, bool grad) {
    const lf_pass pass = {.in = {.B = f->B,
                                 .T = f->T,
                                 .ids = numbers_of(f, "ids", batch, f->B * f->T),
                                 .positions = f->positions,
                                 .lengths = numbers_of(f, "lengths", batch, f->B)}};
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_model_logits(f->g, f->model->head.module, lf_model_features(f->model, f->g, &pass));
}

static void each_backend(case_check *check) {
    each_available("fp32", names, N_CASES, check);
    each_available("bf16", names, N_CASES, check);
}

/* ---- its own head ---- */

static void check_logits(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k);
    const bool own = lf_safetensors_find(f.gold, "logits") != NULL;
    assert_true(lf_model_says(f.model, LF_CLASSES));
    assert_int_equal(f.model->base_head.module != NULL, own);
    assert_int_equal(lf_model_says(f.model, LF_NEXT_TOKEN), !own); /* a file has one head or the other */
    if (own) {
        const lf_tensor *logits = logits_of(&f, 0, false);
        assert_non_null(logits);
        check_golden(&f, "logits", logits->data, logits->numel, in_bf16(k) ? 5e-2 : 2e-5);
    }
    close_case(&f);
}
static void test_logits(void **state) {
    (void)state;
    each_backend(check_logits);
}

/* ---- training ---- */

static void make_head(fixture *f) {
    static const char *const labels[] = {"a", "b", "c", "d", "e"};
    const int c = number_of(f->name);
    OK(lf_model_new_head(f->model, cases[c].labels, labels, 3, &err));
    f->model->head.problem = cases[c].problem;
    assert_null(f->model->head.module->bias);
    set(&f->model->head.module->weight->tensor, golden(f, "start.score.weight", NULL));
}

/* With gradient checkpointing in half of the steps: it changes no bit. */
static lf_tensor *loss_of_step(fixture *f, int step) {
    const int c = number_of(f->name), batch = step % N_BATCHES;
    const int64_t V = cases[c].labels;
    f->model->gradient_checkpointing = step % 2;
    lf_tensor *logits = logits_of(f, batch, true);
    const float *values = numbers_of(f, "values", batch, f->B * V);
    if (cases[c].problem == LF_MULTI_LABEL) return lf_bce_loss(f->g, logits, values, (double)(f->B * V));
    if (cases[c].problem == LF_REGRESSION) return lf_mse_loss(f->g, logits, values, (double)(f->B * V));
    return lf_cross_entropy(f->g, logits, numbers_of(f, "labels", batch, f->B), (double)f->B, 0);
}

static void check_head_gradient(const fixture *f, const training *t) {
    const lf_tensor *weight = &f->model->head.module->weight->tensor;
    char key[64];
    snprintf(key, sizeof key, "%s.grad.whole.score.weight", t->init);
    check_golden(f, key, weight->grad, weight->numel, 1e-4);
}

static void check_training(const char *name, const lf_kernels *k, const char *init) {
    fixture f;
    training t;
    open_case(&f, name, k);
    make_head(&f);
    open_training(&t, &f, init, cases[number_of(name)].targets, 0);
    check_losses(&f, &t, loss_of_step, check_head_gradient);
    close_training(&t);
    close_case(&f);
}
static void check_kaiming(const char *name, const lf_kernels *k) { check_training(name, k, "kaiming"); }
static void check_pissa(const char *name, const lf_kernels *k) { check_training(name, k, "pissa"); }
static void test_training_kaiming(void **state) {
    (void)state;
    each_backend(check_kaiming);
}
static void test_training_pissa(void **state) {
    (void)state;
    each_backend(check_pissa);
}

/* ---- files ---- */

static lf_status merge_one(void *context, const lf_module *m, float *W, lf_err *err) {
    (void)context;
    return lf_adapter_merge(m, W, err);
}

static void check_adapted_logits(fixture *f, lf_adapted *a) {
    f->model = a->model;
    assert_int_equal(a->model->head.problem, cases[number_of(f->name)].problem);
    const lf_tensor *logits = logits_of(f, 0, false);
    assert_non_null(logits);
    check_golden(f, "kaiming.logits_after", logits->data, logits->numel, 1e-4);
}

/* A merged model is what transformers has for texts that are classified, and says so. */
static void check_config(const char *dir, const fixture *f) {
    char path[200];
    cJSON *json;
    snprintf(path, sizeof path, "%s/config.json", dir);
    OK(lf_json_read(&json, path, &err));
    const char *class = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "architectures"), 0)->valuestring;
    assert_non_null(strstr(class, "ForSequenceClassification"));
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(json, "problem_type")->valuestring,
                        lf_problem_name(cases[number_of(f->name)].problem));
    assert_true(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(json, "pad_token_id")));
    cJSON_Delete(json);
}

/* PEFT's adapter, which says nothing of what labels are but their number, gives PEFT's logits; written by us and read
 * back, again; and so does the merged model, which has no output layer for a vocabulary. */
static void check_files(const char *name, const lf_kernels *k) {
    fixture f;
    lf_adapted a;
    char theirs[600], ours[100], merged[100], dir[] = "/tmp/lora-ft-test-cls-XXXXXX";
    const lf_problem problem = cases[number_of(name)].problem;
    assert_non_null(mkdtemp(dir));
    open_model(&f, name, k, LF_LOAD_NOTHING);
    look_at(&f);
    lf_model_free(f.model);
    snprintf(theirs, sizeof theirs, "%s/peft_adapter", f.dir);
    snprintf(ours, sizeof ours, "%s/adapter", dir);
    snprintf(merged, sizeof merged, "%s/merged", dir);
    OK(lf_adapted_open(&a, f.dir, theirs, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    if (problem == LF_MULTI_LABEL) a.model->head.problem = problem; /* PEFT's files do not say it */
    check_adapted_logits(&f, &a);
    const lf_adapter_facts facts = {.base_path = name,
                                    .head = a.model->head.module,
                                    .task_type = "SEQ_CLS",
                                    .problem_type = lf_problem_name(problem)};
    OK(lf_adapter_save(a.adapter, &a.model->nn, ours, &facts, &err));
    lf_adapted_close(&a);
    OK(lf_adapted_open(&a, f.dir, ours, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &err));
    OK(lf_model_write(a.model, merged, LF_F32, merge_one, NULL, &err));
    lf_adapted_close(&a);
    check_config(merged, &f);
    OK(lf_adapted_open(&a, f.dir, ours, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    check_adapted_logits(&f, &a);
    lf_adapted_close(&a);
    OK(lf_adapted_open(&a, merged, NULL, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    check_adapted_logits(&f, &a);
    assert_true(a.model->base_head.module && !a.model->lm_head);
    lf_adapted_close(&a);
    f.model = NULL;
    OK(lf_remove_tree(dir, &err));
    close_case(&f);
}
static void test_files(void **state) {
    (void)state;
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (int c = 0; c < N_CASES; c++) check_files(cases[c].name, k);
    assert_int_equal(lf_alloc_live(), 0);
}

/* What a text is padded with, and how far, changes nothing: each row alone, without padding. */
static void check_rows_alone(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k);
    make_head(&f);
    const int64_t V = f.model->head.n_labels;
    const int32_t *ids = numbers_of(&f, "ids", 0, 0), *lengths = numbers_of(&f, "lengths", 0, 0);
    float all[4 * 5];
    const lf_tensor *logits = logits_of(&f, 0, false);
    OK(lf_graph_status(f.g, &err));
    assert_true(logits->numel <= 4 * 5);
    memcpy(all, logits->data, (size_t)logits->numel * sizeof *all);
    for (int64_t row = 0; row < f.B; row++) {
        const lf_pass pass = {
            .in = {.B = 1, .T = lengths[row], .ids = ids + row * f.T, .positions = f.positions, .lengths = NULL}};
        lf_graph_begin(f.g, false, false, 0);
        logits = lf_model_logits(f.g, f.model->head.module, lf_model_features(f.model, f.g, &pass));
        OK(lf_graph_status(f.g, &err));
        check_close(name, logits->data, all + row * V, V, in_bf16(k) ? 2e-2 : 1e-5);
    }
    close_case(&f);
}
static void test_rows_alone(void **state) {
    (void)state;
    each_backend(check_rows_alone);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits), cmocka_unit_test(test_training_kaiming),
                                       cmocka_unit_test(test_training_pissa), cmocka_unit_test(test_files),
                                       cmocka_unit_test(test_rows_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Encoders written by transformers: logits of classes and of masked tokens, losses, gradients, and ten steps of
 * training must be those of transformers + PEFT (scripts/make-golden-encoder.py). Rows of a batch differ in length. */
#define _XOPEN_SOURCE 700
#include "golden/golden_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "eval/adapted.h"

/* A folder, and the adapter's targets. */
static const char *const cases[] = {
    "enc-bert",           "enc-bert-mlm",    "enc-bert-old",        "enc-bert-bare",
    "enc-roberta",        "enc-roberta-mlm", "enc-xlm-roberta",     "enc-distilbert",
    "enc-distilbert-mlm", "enc-modernbert",  "enc-modernbert-mean", "enc-modernbert-mlm",
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static const char *targets_of(const char *name) {
    static const char *const others[][2] = {
        {"enc-bert-old", "query,value"},    {"enc-bert-bare", "query,value"},
        {"enc-roberta-mlm", "query,value"}, {"enc-xlm-roberta", "query,key,value,dense"},
        {"enc-distilbert", "q_lin,v_lin"},  {"enc-modernbert-mean", "Wqkv,Wo,Wi"},
        {"enc-modernbert-mlm", "Wqkv,Wo"},  {"enc-distilbert-mlm", "q_lin,k_lin,v_lin,out_lin,lin1,lin2"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(others[i][0], name) == 0) return others[i][1];
    return "all-linear";
}

static bool has(const fixture *f, const char *name) { return lf_safetensors_find(f->gold, name) != NULL; }

static const int32_t *numbers_of(const fixture *f, const char *what, int64_t batch, int64_t each) {
    const lf_st_tensor *t = lf_safetensors_find(f->gold, what);
    return t ? (const int32_t *)t->data + batch * each : NULL;
}

static void open_case(fixture *f, const char *name, const lf_kernels *k, lf_load load) {
    open_model(f, name, k, load);
    const lf_st_tensor *ids = lf_safetensors_find(f->gold, "ids");
    f->B = ids->shape[1];
    f->T = ids->shape[2];
}

static lf_pass pass_of(const fixture *f, int64_t batch) {
    return (lf_pass){.in = {.B = f->B,
                            .T = f->T,
                            .ids = numbers_of(f, "ids", batch, f->B * f->T),
                            .lengths = numbers_of(f, "lengths", batch, f->B),
                            .token_types = numbers_of(f, "token_types", batch, f->B * f->T)}};
}

static void each_backend(case_check *check) { each_available("fp32", cases, N_CASES, check); }
static void each_bf16(case_check *check) { each_available("bf16", cases, N_CASES, check); }

/* ---- classes ---- */

static lf_tensor *logits_of(fixture *f, int64_t batch, bool grad) {
    const lf_pass pass = pass_of(f, batch);
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_model_logits(f->g, f->model->head.module, lf_model_features(f->model, f->g, &pass));
}

static void check_logits(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    const lf_model *m = f.model;
    assert_true(m->family->input == LF_TOKENS && lf_model_says(m, LF_CLASSES) && !lf_model_says(m, LF_NEXT_TOKEN));
    assert_int_equal(lf_model_says(m, LF_MASKED_TOKEN), has(&f, "mask_logits"));
    assert_int_equal(m->base_head.module != NULL, has(&f, "logits"));
    if (has(&f, "logits")) {
        const lf_tensor *logits = logits_of(&f, 0, false);
        assert_non_null(logits);
        check_golden(&f, "logits", logits->data, logits->numel, in_bf16(k) ? 5e-2 : 2e-5);
    }
    close_case(&f);
}
static void test_logits(void **state) {
    (void)state;
    each_backend(check_logits);
    each_bf16(check_logits);
}

/* ---- masked tokens ---- */

static lf_tensor *masked_hidden(fixture *f, bool grad) {
    const lf_pass pass = pass_of(f, 0);
    lf_graph_begin(f->g, grad, grad, 0);
    return lf_lm_hidden(f->model, f->g, &pass);
}

static lf_tensor *masked_logits(fixture *f, bool grad) {
    lf_tensor *hidden = masked_hidden(f, grad);
    lf_module *head = f->model->lm_head;
    return lf_to_real(f->g, lf_linear(f->g, hidden, head->frozen.data ? &head->frozen : NULL,
                                      head->frozen.data ? NULL : &head->weight->tensor,
                                      head->bias ? &head->bias->tensor : NULL, NULL));
}

static void check_masked_logits(fixture *f, double tolerance) {
    const lf_tensor *logits = masked_logits(f, false);
    OK(lf_graph_status(f->g, &err));
    float *inside = lf_malloc((size_t)logits->numel * sizeof *inside);
    assert_non_null(inside);
    const int64_t V = f->model->tokens.vocab_size;
    const int32_t *lengths = numbers_of(f, "lengths", 0, f->B);
    for (int64_t i = 0; i < f->B * f->T; i++)
        for (int64_t j = 0; j < V; j++)
            inside[i * V + j] = i % f->T < lengths[i / f->T] ? ((const float *)logits->data)[i * V + j] : 0;
    check_golden(f, "mask_logits", inside, logits->numel, tolerance);
    lf_free(inside);
}

static void check_masked(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    if (has(&f, "mask_logits")) check_masked_logits(&f, in_bf16(k) ? 5e-2 : 2e-5);
    close_case(&f);
}
static void test_masked_logits(void **state) {
    (void)state;
    each_backend(check_masked);
    each_bf16(check_masked);
}

static const int32_t *mask_labels(const fixture *f) { return numbers_of(f, "mask_labels", 0, f->B * f->T); }

static int64_t targets_in(const fixture *f) {
    int64_t n = 0;
    for (int64_t i = 0; i < f->B * f->T; i++) n += mask_labels(f)[i] >= 0;
    return n;
}

/* What is added to all keys alike changes no attention: the gradient of such a bias is a rounding of zero. */
static void check_parameter(const fixture *f, const char *key, const lf_param *p) {
    if (!strstr(p->name, "key.bias") && !strstr(p->name, "k_lin.bias")) {
        check_golden(f, key, p->tensor.grad, p->tensor.numel, 1e-4);
        return;
    }
    for (int64_t i = 0; i < p->tensor.numel; i++) assert_true(fabsf(((const float *)p->tensor.grad)[i]) < 1e-6f);
}

/* With all weights trained: those of the masked head alone stay frozen. */
static void check_full(const char *name, const lf_kernels *k) {
    fixture f;
    int64_t trained = 0;
    open_case(&f, name, k, LF_LOAD_TRAINED);
    if (has(&f, "mask_logits")) {
        f.model->gradient_checkpointing = true;
        lf_lm_head head;
        lf_tensor *hidden = masked_hidden(&f, true);
        lf_model_lm_head(f.model, false, &head);
        lf_tensor *loss = lf_lm_loss(f.g, hidden, &head, mask_labels(&f), (double)targets_in(&f), 0, NULL);
        OK(lf_graph_status(f.g, &err));
        check_golden(&f, "mask_loss", loss->data, 1, 1e-5);
        OK(lf_graph_backward(f.g, loss, 1, &err));
        for (int64_t i = 0; i < f.model->nn.n_params; i++) {
            const lf_param *p = f.model->nn.params[i];
            char key[256];
            snprintf(key, sizeof key, "full.grad.%s", p->name);
            if (!p->tensor.requires_grad || !has(&f, key)) continue;
            check_parameter(&f, key, p);
            trained++;
        }
        assert_true(trained >= 25); /* embeddings and norm, all of both layers */
    }
    close_case(&f);
}
static void test_masked_gradients(void **state) {
    (void)state;
    each_backend(check_full);
}

/* ---- training ---- */

enum { LABELS = 5 };

/* A new head, and what is trained with it, where PEFT's start. */
static void make_head(fixture *f) {
    const char *const names[LABELS] = {"a", "b", "c", "d", "e"};
    int64_t set_ = 0, given = 0;
    OK(lf_model_new_head(f->model, LABELS, names, 3, &err));
    for (int64_t i = 0; i < f->model->nn.n_params; i++) {
        lf_param *p = f->model->nn.params[i];
        char key[256];
        snprintf(key, sizeof key, "start.%s", p->name);
        if (!p->tensor.requires_grad) continue;
        set(&p->tensor, golden(f, key, NULL));
        set_++;
    }
    for (int64_t i = 0; i < lf_safetensors_count(f->gold); i++)
        given += strncmp(lf_safetensors_at(f->gold, i)->name, "start.", 6) == 0;
    assert_int_equal(set_, given);
}

/* With gradient checkpointing in half of the steps: it changes no bit. */
static lf_tensor *loss_of_step(fixture *f, int step) {
    const int batch = step % N_BATCHES;
    f->model->gradient_checkpointing = step % 2;
    return lf_cross_entropy(f->g, logits_of(f, batch, true), numbers_of(f, "labels", batch, f->B), (double)f->B, 0);
}

static void check_whole_gradients(const fixture *f, const training *t) {
    for (int64_t i = 0; i < f->model->nn.n_params; i++) {
        const lf_param *p = f->model->nn.params[i];
        char key[256];
        snprintf(key, sizeof key, "%s.grad.whole.%s", t->init, p->name);
        if (p->tensor.requires_grad) check_golden(f, key, p->tensor.grad, p->tensor.numel, 1e-4);
    }
}

static void check_training(const char *name, const lf_kernels *k, const char *init) {
    fixture f;
    training t;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    make_head(&f);
    open_training(&t, &f, init, targets_of(name), 0);
    check_losses(&f, &t, loss_of_step, check_whole_gradients);
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

/* ---- files ---- */

static char *scratch(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lora-ft-test-enc-XXXXXX");
    if (!mkdtemp(path)) fail_msg("no temporary folder");
    return path;
}

static lf_status merge_one(void *context, const lf_module *m, float *W, lf_err *err) {
    (void)context;
    return lf_adapter_merge(m, W, err);
}

static void check_adapted_logits(fixture *f, lf_adapted *a, double tolerance) {
    f->model = a->model;
    const lf_tensor *logits = logits_of(f, 0, false);
    assert_non_null(logits);
    check_golden(f, "kaiming.logits_after", logits->data, logits->numel, tolerance);
}

static void check_saved_modules(const char *dir, const char *const *expected) {
    char path[200];
    cJSON *json;
    snprintf(path, sizeof path, "%s/adapter_config.json", dir);
    OK(lf_json_read(&json, path, &err));
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "modules_to_save");
    for (int i = 0; expected[i]; i++) {
        bool found = false;
        const cJSON *item;
        cJSON_ArrayForEach(item, list) found |= strcmp(cJSON_GetStringValue(item), expected[i]) == 0;
        if (!found) fail_msg("%s: modules_to_save lacks '%s'", path, expected[i]);
    }
    cJSON_Delete(json);
}

/* What PEFT saves of the head, and what it lacks of the body; "classifier" is DistilBERT's pre_classifier too, by
 * PEFT's rule of how names end. */
static const char *const *saved_of(const char *name) {
    static const char *const head[] = {"classifier", NULL}, *const with_pooler[] = {"classifier", "pooler", NULL};
    return strcmp(name, "enc-bert-mlm") == 0 ? with_pooler : head;
}

/* What was written as a float still is. */
static void check_floats(const char *base, const char *merged) {
    cJSON *from, *to;
    const cJSON *item;
    OK(lf_json_read_in(&from, base, "config.json", &err));
    OK(lf_json_read_in(&to, merged, "config.json", &err));
    cJSON_ArrayForEach(item, from) {
        const cJSON *now = cJSON_GetObjectItemCaseSensitive(to, item->string);
        if (cJSON_IsNumber(item) && lf_json_is_float(item) && !lf_json_is_float(now))
            fail_msg("%s: '%s' is no float any more", merged, item->string);
    }
    cJSON_Delete(from);
    cJSON_Delete(to);
}

/* PEFT's adapter gives PEFT's logits; written by us and read back, again; and so does the merged model, which is a
 * classifier without another head. */
static void check_files(const char *name, const lf_kernels *k) {
    fixture f;
    lf_adapted a;
    char theirs[600], ours[100], merged[100], *dir = scratch();
    open_case(&f, name, k, LF_LOAD_NOTHING);
    lf_model_free(f.model);
    snprintf(theirs, sizeof theirs, "%s/peft_adapter", f.dir);
    snprintf(ours, sizeof ours, "%s/adapter", dir);
    snprintf(merged, sizeof merged, "%s/merged", dir);
    OK(lf_adapted_open(&a, f.dir, theirs, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    check_adapted_logits(&f, &a, 1e-4);
    OK(lf_adapter_save(a.adapter, &a.model->nn, ours,
                       &(lf_adapter_facts){.base_path = name, .head = a.model->head.module, .task_type = "SEQ_CLS"},
                       &err));
    lf_adapted_close(&a);
    check_saved_modules(ours, saved_of(name));
    OK(lf_adapted_open(&a, f.dir, ours, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &err));
    OK(lf_model_write(a.model, merged, LF_F32, merge_one, NULL, &err));
    lf_adapted_close(&a);
    OK(lf_adapted_open(&a, f.dir, ours, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    check_adapted_logits(&f, &a, 1e-4);
    lf_adapted_close(&a);
    OK(lf_adapted_open(&a, merged, NULL, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    check_adapted_logits(&f, &a, 1e-4);
    assert_true(a.model->base_head.module && !a.model->lm_head);
    lf_adapted_close(&a);
    f.model = NULL;
    check_floats(f.dir, merged);
    OK(lf_remove_tree(dir, &err));
    close_case(&f);
}
static void test_files(void **state) {
    (void)state;
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (int c = 0; c < N_CASES; c++) check_files(cases[c], k);
    assert_int_equal(lf_alloc_live(), 0);
}

/* A pooler that neither the base nor the adapter has is lost: that is said, and no other made in its place. */
static void test_lost_pooler(void **state) {
    (void)state;
    const lf_kernels *k;
    lf_adapted a;
    lf_err why = {0};
    OK(lf_kernels_select(&k, "fp32", &err));
    assert_int_equal(lf_adapted_open(&a, LF_TEST_DIR "/golden/enc-bert-mlm",
                                     LF_TEST_DIR "/golden/enc-bert-old/peft_adapter",
                                     &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &why),
                     LF_EDATA);
    assert_non_null(strstr(why.message, "bert.pooler.dense"));
    lf_adapted_close(&a);
    assert_int_equal(lf_alloc_live(), 0);
}

/* Of a new head and a missing pooler the seed alone decides. */
static void test_seed(void **state) {
    (void)state;
    const lf_kernels *k;
    static const char *const names[] = {"a", "b"};
    float first[2][4];
    OK(lf_kernels_select(&k, "fp32", &err));
    for (int i = 0; i < 3; i++) {
        lf_model *m;
        OK(lf_model_open(&m, LF_TEST_DIR "/golden/enc-bert-mlm", &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN},
                         &err));
        assert_null(m->base_head.module);
        assert_null(m->base_head.inner[0]);
        OK(lf_model_new_head(m, 2, names, i < 2 ? 5 : 6, &err));
        const lf_tensor *pooler = &m->head.inner[0]->weight->tensor;
        assert_true(pooler->requires_grad && m->head.module->weight->tensor.requires_grad);
        memcpy(first[i > 0], pooler->data, sizeof *first);
        if (i) assert_int_equal(memcmp(first[0], first[1], sizeof *first) == 0, i == 1);
        lf_model_free(m);
    }
    assert_int_equal(lf_alloc_live(), 0);
}

/* ---- what config.json may ask for in vain ---- */

static const struct {
    const char *name, *key, *value; /* of config.json, as JSON */
    lf_status status;               /* of opening the model; an error names the key */
} asked[] = {
    {"enc-bert", "is_decoder", "true", LF_EUNSUPPORTED},
    {"enc-bert", "add_cross_attention", "true", LF_EUNSUPPORTED},
    {"enc-bert", "position_embedding_type", "\"relative_key\"", LF_EUNSUPPORTED},
    {"enc-bert", "position_embedding_type", "\"absolute\"", LF_OK},
    {"enc-bert", "architectures", "[\"BertForTokenClassification\"]", LF_EUNSUPPORTED},
    {"enc-bert", "architectures", "[\"BertLMHeadModel\"]", LF_EUNSUPPORTED},
    {"enc-bert", "architectures", "[\"BertForQuestionAnswering\"]", LF_OK},
    {"enc-bert", "hidden_act", "\"mish\"", LF_EUNSUPPORTED},
    {"enc-bert", "hidden_dropout_prob", "1.5", LF_EDATA},
    {"enc-bert", "classifier_dropout", "null", LF_OK},
    {"enc-bert", "classifier_dropout", "-1", LF_EDATA},
    {"enc-bert", "num_attention_heads", "5", LF_EDATA},
    {"enc-bert", "chunk_size_feed_forward", "8", LF_OK},
    {"enc-roberta", "pad_token_id", "19", LF_EDATA},
    {"enc-roberta", "pad_token_id", "18", LF_OK},
    {"enc-roberta", "pad_token_id", "9223372036854775807", LF_EDATA},
    {"enc-roberta", "pad_token_id", "0", LF_OK},
    {"enc-xlm-roberta", "architectures", "[\"XLMRobertaForMultipleChoice\"]", LF_EUNSUPPORTED},
    {"enc-distilbert", "activation", "\"mish\"", LF_EUNSUPPORTED},
    {"enc-distilbert", "n_heads", "5", LF_EDATA},
    {"enc-distilbert", "sinusoidal_pos_embds", "true", LF_OK},
    {"enc-modernbert", "classifier_pooling", "\"max\"", LF_EUNSUPPORTED},
    {"enc-modernbert", "local_attention", "1", LF_EUNSUPPORTED},
    {"enc-modernbert", "layer_types", "[\"full_attention\"]", LF_EDATA},
    {"enc-modernbert", "architectures", "[\"ModernBertForQuestionAnswering\"]", LF_EUNSUPPORTED},
    {"enc-modernbert", "num_attention_heads", "8", LF_EUNSUPPORTED},
    {"enc-modernbert", "sparse_prediction", "true", LF_OK},
};

/* The case's config.json with one key changed, at `path`. */
static void write_config(const char *path, const char *name, const char *key, const char *value) {
    char from[300];
    cJSON *json;
    snprintf(from, sizeof from, LF_TEST_DIR "/golden/%s/config.json", name);
    OK(lf_json_read(&json, from, &err));
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    assert_true(cJSON_AddItemToObject(json, key, cJSON_Parse(value)));
    char *text = cJSON_Print(json);
    OK(lf_file_write(path, text, strlen(text), &err));
    cJSON_free(text);
    cJSON_Delete(json);
}

static void test_config(void **state) {
    (void)state;
    const lf_kernels *k;
    char path[100], *dir = scratch();
    snprintf(path, sizeof path, "%s/config.json", dir);
    OK(lf_kernels_select(&k, "fp32", &err));
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        lf_model *m;
        lf_err why = {0};
        write_config(path, asked[i].name, asked[i].key, asked[i].value);
        const lf_status rc = lf_model_outline(&m, path, k, &why);
        if (rc != asked[i].status)
            fail_msg("%s, %s: %s: status %d, expected %d: %s", asked[i].name, asked[i].key, asked[i].value, (int)rc,
                     (int)asked[i].status, rc ? why.message : "");
        if (rc && !strstr(why.message, asked[i].key) && strcmp(asked[i].key, "num_attention_heads") != 0)
            fail_msg("%s: '%s' is not named: %s", asked[i].name, asked[i].key, why.message);
        if (!rc) lf_model_free(m);
    }
    OK(lf_remove_tree(dir, &err));
    assert_int_equal(lf_alloc_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits),
                                       cmocka_unit_test(test_masked_logits),
                                       cmocka_unit_test(test_masked_gradients),

                                       cmocka_unit_test(test_training_kaiming),
                                       cmocka_unit_test(test_training_pissa),
                                       cmocka_unit_test(test_files),
                                       cmocka_unit_test(test_lost_pooler),
                                       cmocka_unit_test(test_seed),
                                       cmocka_unit_test(test_config)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

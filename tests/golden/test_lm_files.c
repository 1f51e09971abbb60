/* Files of language models: PEFT's adapters read and ours written, models written, generation through the cache, and
 * what config.json may ask for in vain. */
#define _XOPEN_SOURCE 700
#include "golden/lm_fixture.h"

#include <unistd.h>

#include "adapter/adapter_internal.h"
#include "base/file.h"
#include "base/json.h"

static char *scratch(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lora-ft-test-lm-XXXXXX");
    if (!mkdtemp(path)) fail_msg("no temporary folder");
    return path;
}

/* ---- adapters ---- */

static lf_adapter *apply(fixture *f, const char *dir) {
    lf_adapter_file *file;
    lf_adapter *adapter;
    OK(lf_adapter_open(&file, dir, &err));
    OK(lf_adapter_apply(&adapter, file, &f->model->nn, NULL, f->model->hash, &err));
    lf_adapter_close(file);
    return adapter;
}

static cJSON *adapter_config(const char *dir) {
    char path[700];
    cJSON *json;
    snprintf(path, sizeof path, "%s/adapter_config.json", dir);
    OK(lf_json_read(&json, path, &err));
    return json;
}

static void check_member(const cJSON *json, const char *key, const cJSON *want) {
    if (!cJSON_Compare(cJSON_GetObjectItemCaseSensitive(json, key), want, true))
        fail_msg("adapter_config.json: '%s' is another", key);
}

/* PEFT's adapter gives PEFT's logits; written by us and read back, the same again; and its config says what PEFT's
 * says. */
static void check_adapter(const char *name, const lf_kernels *k) {
    static const char *const same[] = {"task_type", "fan_in_fan_out", "r", "peft_type"};
    fixture f;
    char theirs[600], *ours = scratch();
    open_case(&f, name, k, LF_LOAD_FROZEN);
    snprintf(theirs, sizeof theirs, "%s/peft_adapter", f.dir);
    lf_adapter *a = apply(&f, theirs);
    check_logits(&f, "kaiming.logits_after", 1e-4);
    OK(lf_adapter_save(
        a, &f.model->nn, ours,
        &(lf_adapter_facts){.base_path = name, .auto_class = "AutoModelForCausalLM", .task_type = "CAUSAL_LM"}, &err));
    lf_adapter_free(a);
    a = apply(&f, ours);
    check_logits(&f, "kaiming.logits_after", 1e-4);
    lf_adapter_free(a);
    cJSON *their_config = adapter_config(theirs), *our_config = adapter_config(ours);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        check_member(our_config, same[i], cJSON_GetObjectItemCaseSensitive(their_config, same[i]));
    cJSON_Delete(their_config);
    cJSON_Delete(our_config);
    OK(lf_remove_tree(ours, &err));
    close_case(&f);
}
static void test_adapters(void **state) {
    (void)state;
    each_case(check_adapter);
}

/* target_modules "default" is PEFT's own choice; the output layer is never chosen. */
static void check_targets(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    const bool gpt2 = strcmp(name, "lm-gpt2") == 0;
    cJSON *given = cJSON_CreateString("default"), *all = cJSON_CreateString("all-linear"),
          *head = cJSON_CreateString("lm_head");
    lf_adapter_opts o = {.r = 2, .lora_alpha = 2, .target_modules = given};
    lf_match match;
    OK(lf_match_modules(&match, &f.model->nn, &o, &err));
    assert_int_equal(match.count, (gpt2 ? 1 : 2) * f.model->n_layers);
    lf_match_free(&match);
    o.target_modules = all;
    OK(lf_match_modules(&match, &f.model->nn, &o, &err));
    assert_int_equal(match.count, (gpt2 ? 4 : 7) * f.model->n_layers);
    lf_match_free(&match);
    lf_err said = {0};
    o.target_modules = head;
    assert_int_equal(lf_match_modules(&match, &f.model->nn, &o, &said), LF_EUSAGE);
    assert_non_null(strstr(said.message, "head"));
    cJSON_Delete(given);
    cJSON_Delete(all);
    cJSON_Delete(head);
    close_case(&f);
}
static void test_targets(void **state) {
    (void)state;
    each_case(check_targets);
}

/* ---- models written ---- */

static lf_status add_one(void *context, const lf_module *m, float *W, lf_err *err) {
    (void)err;
    ++*(int64_t *)context;
    W[(m->out - 1) * m->in] += 1; /* the first column of the last row */
    return LF_OK;
}

static void check_written(const char *name, const lf_kernels *k) {
    fixture f;
    char *dir = scratch();
    open_case(&f, name, k, LF_LOAD_NOTHING);
    OK(lf_model_write(f.model, dir, LF_N_DTYPES, NULL, NULL, &err));
    lf_model *again;
    OK(lf_model_open(&again, dir, k, LF_LOAD_FROZEN, &err));
    assert_string_equal(again->hash, f.model->hash); /* names, types, shapes and bytes; nothing twice */
    lf_model_free(f.model);
    f.model = again;
    check_logits(&f, "logits", 2e-5);
    int64_t weights = 0;
    lf_module *changed = lf_nn_find(&f.model->nn, strcmp(name, "lm-gpt2") == 0 ? "transformer.h.1.attn.c_attn"
                                                                               : "model.layers.1.mlp.down_proj");
    OK(lf_lora_attach(&f.model->nn, changed, 1, 1, 0, false, false, &err));
    OK(lf_model_write(f.model, dir, LF_F32, add_one, &weights, &err));
    assert_int_equal(weights, 1); /* those that carry an adapter */
    OK(lf_model_open(&again, dir, k, LF_LOAD_NOTHING, &err));
    const lf_module *m = lf_nn_find(&again->nn, changed->name);
    const lf_st_tensor *before = lf_family_find(f.model->family, f.model->weights, m->weight),
                       *after = lf_family_find(again->family, again->weights, m->weight);
    const int64_t at = m->weight->transposed ? m->out - 1 : (m->out - 1) * m->in; /* in the file */
    float old;
    lf_to_f32(&old, (const char *)before->data + (size_t)at * lf_dtype_size(before->dtype), before->dtype, 1);
    assert_true(((const float *)after->data)[at] == old + 1);
    assert_true(cJSON_GetObjectItemCaseSensitive(again->config, "id2label") == NULL);
    lf_model_free(again);
    OK(lf_remove_tree(dir, &err));
    close_case(&f);
}
static void test_written(void **state) {
    (void)state;
    each_case(check_written);
}

/* A new model, trained for no step, written and read: the tied weight once. */
static void check_new(const char *name, const lf_kernels *k) {
    char path[700], *dir = scratch();
    lf_model *m, *again;
    snprintf(path, sizeof path, "%s/golden/%s/config.json", LF_TEST_DIR, name);
    OK(lf_model_new(&m, path, k, 3, &err));
    OK(lf_model_write(m, dir, LF_N_DTYPES, NULL, NULL, &err));
    OK(lf_model_open(&again, dir, k, LF_LOAD_NOTHING, &err));
    assert_int_equal(lf_safetensors_count(again->weights), m->nn.n_params);
    lf_model_free(again);
    lf_model_free(m);
    OK(lf_remove_tree(dir, &err));
}
static void test_new(void **state) {
    (void)state;
    each_case(check_new);
}

/* ---- the cache ---- */

/* Five tokens at once, then one by one; once with a step back. The cache has never more room than it needs. */
static void check_cache(const char *name, const lf_kernels *k) {
    fixture f;
    lf_kv_cache *c;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    float *want = logits_of(&f, 0);
    OK(lf_kv_cache_new(&c, f.model, 0, &err));
    const int64_t V = f.model->tokens.vocab_size;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t t = pass ? 3 : 0, n; t < f.T; t += n) {
            n = t ? 1 : 5;
            OK(lf_kv_cache_reserve(c, t + n, &err));
            assert_int_equal(lf_kv_cache_capacity(c), pass ? f.T : t + n);
            lf_graph_begin(f.g, false, false, 0);
            lf_tensor *logits = through_head(&f, lf_lm_hidden_cached(f.model, f.g, batch_ids(&f, 0) + t, n, c));
            OK(lf_graph_status(f.g, &err));
            check_close(name, logits->data, want + t * V, n * V, in_bf16(k) ? 2e-2 : 1e-5);
        }
        assert_int_equal(lf_kv_cache_count(c), f.T);
        lf_kv_cache_cut(c, 3);
    }
    lf_kv_cache_free(c);
    lf_free(want);
    close_case(&f);
}
static void test_cache(void **state) {
    (void)state;
    each_backend(check_cache);
    each_bf16(check_cache);
}

/* ---- what is asked for in vain ---- */

static const struct {
    const char *name, *key, *value, *expected;
} bad[] = {
    {"lm-gpt2", "layer_norm_epsilon", "-1", "layer_norm_epsilon"},
    {"lm-llama", "hidden_act", "\"mish\"", "hidden_act"},
    {"lm-llama", "head_dim", "9", "head_dim"},
    {"lm-llama", "num_key_value_heads", "4", "num_key_value_heads"},
    {"lm-llama", "num_hidden_layers", "0", "num_hidden_layers"},
    {"lm-llama", "vocab_size", "210", "embed_tokens"},
    {"lm-llama", "mlp_bias", "false", "down_proj.bias"},
    {"lm-llama", "attention_bias", "\"yes\"", "attention_bias"},
    {"lm-llama", "sliding_window", "4", "sliding_window"},
    {"lm-llama", "layer_types", "[\"full_attention\", \"chunked_attention\"]", "chunked_attention"},
    {"lm-llama", "layer_types", "[\"full_attention\"]", "layer_types"},
    {"lm-llama", "quantization_config", "{\"bits\": 4}", "quantization_config"},
    {"lm-llama", "tie_word_embeddings", "true", "differs from"},
    {"lm-llama", "rope_parameters", "{\"rope_type\": \"longrope\", \"factor\": 2}", "longrope"},
    {"lm-llama", "rope_parameters", "{\"rope_type\": \"linear\"}", "factor"},
    {"lm-llama", "rope_parameters", "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}",
     "partial_rotary_factor"},
    {"lm-llama", "rope_parameters", "{\"full_attention\": {\"rope_type\": \"default\"}}", "full_attention"},
    {"lm-llama", "rope_parameters", "7", "rope_parameters"},
    {"lm-llama3", "rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4}",
     "high_freq_factor"},
    {"lm-llama3", "tie_word_embeddings", "false", "lm_head.weight"},
    {"lm-mistral", "layer_types", "[\"full_attention\", \"sliding_attention\"]", "all of one kind"},
    {"lm-qwen2", "rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2}", "dynamic"},
    {"lm-qwen3", "layer_types", "[\"full_attention\", \"sliding_attention\"]", "use_sliding_window"},
    {"lm-gpt2", "activation_function", "\"mish\"", "activation_function"},
    {"lm-gpt2", "add_cross_attention", "true", "add_cross_attention"},
    {"lm-gpt2", "attn_pdrop", "1", "attn_pdrop"},
    {"lm-gpt2", "n_head", "5", "n_embd"},
    {"lm-gpt2", "model_type", "\"gptx\"", "gpt2"},
};

static void link_weights(const char *from, const char *to) {
    static const char *const names[] = {"model.safetensors",
                                        "model.safetensors.index.json",
                                        "model-00001-of-00004.safetensors",
                                        "model-00002-of-00004.safetensors",
                                        "model-00003-of-00004.safetensors",
                                        "model-00004-of-00004.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char a[600], b[600];
        snprintf(a, sizeof a, "%s/%s", from, names[i]);
        snprintf(b, sizeof b, "%s/%s", to, names[i]);
        if (lf_is_file(a) && symlink(a, b)) fail_msg("no link %s", b);
    }
}

/* A folder with the model of a case, but for one key of its config.json. */
static char *changed_case(const char *name, const char *key, const char *text) {
    char from[512], path[600], *dir = scratch();
    cJSON *config, *value;
    snprintf(from, sizeof from, "%s/golden/%s", LF_TEST_DIR, name);
    snprintf(path, sizeof path, "%s/config.json", from);
    OK(lf_json_read(&config, path, &err));
    OK(lf_json_parse(&value, text, strlen(text), "value", &err));
    cJSON_DeleteItemFromObjectCaseSensitive(config, key);
    cJSON_AddItemToObject(config, key, value);
    snprintf(path, sizeof path, "%s/config.json", dir);
    OK(lf_json_write(path, config, false, &err));
    cJSON_Delete(config);
    link_weights(from, dir);
    return dir;
}

static void check_refused(size_t i, const lf_kernels *k) {
    char *dir = changed_case(bad[i].name, bad[i].key, bad[i].value);
    lf_model *m;
    lf_err said = {0};
    const lf_status rc = lf_model_open(&m, dir, k, LF_LOAD_NOTHING, &said);
    if (!rc || !strstr(said.message, bad[i].expected) || !strstr(said.message, dir))
        fail_msg("%s with %s = %s: status %d, '%s'; expected one that names '%s'", bad[i].name, bad[i].key,
                 bad[i].value, (int)rc, said.message, bad[i].expected);
    OK(lf_remove_tree(dir, &err));
}

static void test_refused(void **state) {
    (void)state;
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) check_refused(i, k);
    assert_int_equal(lf_alloc_live(), 0);
}

/* Another name of a model's activation function changes nothing; another function does. */
static const struct {
    const char *name, *key, *value;
    bool same;
} activations[] = {
    {"lm-llama", "hidden_act", "\"swish\"", true},
    {"lm-llama", "hidden_act", "\"gelu\"", false},
    {"lm-llama", "hidden_act", "\"relu\"", false},
    {"lm-gpt2", "activation_function", "\"gelu_pytorch_tanh\"", true},
    {"lm-gpt2", "activation_function", "\"silu\"", false},
};

static void check_activation(size_t i, const lf_kernels *k) {
    fixture f;
    char *dir = changed_case(activations[i].name, activations[i].key, activations[i].value);
    open_case(&f, activations[i].name, k, LF_LOAD_FROZEN);
    lf_model_free(f.model);
    OK(lf_model_open(&f.model, dir, k, LF_LOAD_FROZEN, &err));
    int64_t n;
    const float *want = golden(&f, "logits", &n);
    float *found = logits_of(&f, 0);
    double scale = 0, difference = 0;
    for (int64_t j = 0; j < n; j++) {
        scale = fmax(scale, fabs((double)want[j]));
        difference = fmax(difference, fabs((double)(found[j] - want[j])));
    }
    if (!(activations[i].same ? difference <= 1e-4 * scale : difference >= 1e-3 * scale))
        fail_msg("%s with %s = %s: logits of %g differ by %g", activations[i].name, activations[i].key,
                 activations[i].value, scale, difference);
    lf_free(found);
    close_case(&f);
    OK(lf_remove_tree(dir, &err));
}

static void test_activations(void **state) {
    (void)state;
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) check_activation(i, k);
    assert_int_equal(lf_alloc_live(), 0);
}

/* An id or a position that the model does not have is an error, not a read beyond its tables. */
static void check_ids(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    const int32_t tries[][2] = {
        {-1, 0}, {(int32_t)f.model->tokens.vocab_size, 0}, {0, -1}, {0, (int32_t)f.model->tokens.max_positions}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        lf_err err = {0};
        lf_graph_begin(f.g, false, false, 0);
        assert_null(lf_lm_hidden(f.model, f.g,
                                 &(lf_pass){.in = {.B = 1, .T = 1, .ids = &tries[i][0], .positions = &tries[i][1]}}));
        assert_int_equal(lf_graph_status(f.g, &err), LF_EDATA);
    }
    close_case(&f);
}
static void test_ids(void **state) {
    (void)state;
    each_case(check_ids);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_adapters), cmocka_unit_test(test_targets),
                                       cmocka_unit_test(test_written),  cmocka_unit_test(test_new),
                                       cmocka_unit_test(test_cache),    cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_ids),      cmocka_unit_test(test_activations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

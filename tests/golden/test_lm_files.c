/* Files of language models: PEFT's adapters read and ours written, models written, generation through the cache, and
 * what config.json may ask for in vain. */
#define _XOPEN_SOURCE 700
#include "golden/tokens_fixture.h"

#include <unistd.h>

#include "adapter/adapter_internal.h"
#include "base/file.h"
#include "base/json.h"
#include "eval/generate.h"

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

/* target_modules "default" is PEFT's own choice, or like it where PEFT has none; embedding and output layer are chosen
 * only where they are named. */
static void check_targets(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    const bool fused = strcmp(name, "lm-gpt2") == 0 || strcmp(name, "lm-phi3") == 0;
    cJSON *given = cJSON_CreateString("default"), *all = cJSON_CreateString("all-linear"),
          *ends = cJSON_CreateString(".*(embed_tokens|wte)|lm_head");
    lf_adapter_opts o = {.r = 2, .lora_alpha = 2, .target_modules = given};
    lf_match match;
    OK(lf_match_modules(&match, &f.model->nn, &o, &err));
    assert_int_equal(match.count, (fused ? 1 : 2) * f.model->n_layers);
    lf_match_free(&match);
    o.target_modules = all;
    OK(lf_match_modules(&match, &f.model->nn, &o, &err));
    assert_int_equal(match.count, (fused ? 4 : 7) * f.model->n_layers);
    lf_match_free(&match);
    o.target_modules = ends;
    OK(lf_match_modules(&match, &f.model->nn, &o, &err));
    assert_int_equal(match.count, 2);
    assert_true(match.modules[0] == f.model->tokens.table && match.modules[1] == f.model->lm_head);
    assert_non_null(strstr(match.coverage, "lm_head"));
    lf_match_free(&match);
    lf_err said = {0};
    lf_adapter *none;
    o.use_dora = true;
    o.init = "kaiming";
    assert_int_equal(lf_adapter_new(&none, &f.model->nn, &o, &said), LF_EUNSUPPORTED);
    assert_non_null(strstr(said.message, "use_dora"));
    assert_non_null(strstr(said.message, f.model->tokens.table->name));
    said = (lf_err){0};
    OK(lf_model_add_classifier(f.model, &err)); /* which has no use for the output layer */
    OK(lf_match_modules(&match, &f.model->nn, &o, &err));
    assert_int_equal(match.count, 1);
    lf_match_free(&match);
    cJSON_SetValuestring(ends, "lm_head");
    assert_int_equal(lf_match_modules(&match, &f.model->nn, &o, &said), LF_EUSAGE);
    assert_non_null(strstr(said.message, "head"));
    cJSON_Delete(given);
    cJSON_Delete(all);
    cJSON_Delete(ends);
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

/* Each key of a model's config.json is in what was written of it, floats as floats. */
static void check_written_config(const fixture *f, const char *dir) {
    char path[700];
    cJSON *json;
    const cJSON *item;
    snprintf(path, sizeof path, "%s/config.json", dir);
    OK(lf_json_read(&json, path, &err));
    cJSON_ArrayForEach(item, f->model->config) {
        const cJSON *written = cJSON_GetObjectItemCaseSensitive(json, item->string);
        bool same;
        assert_true(lf_json_same(&same, item, written) && written);
        if (!same || lf_json_is_float(item) != lf_json_is_float(written))
            fail_msg("%s: '%s' is not as it was", path, item->string);
    }
    cJSON_Delete(json);
}

static void check_written(const char *name, const lf_kernels *k) {
    fixture f;
    char *dir = scratch();
    open_case(&f, name, k, LF_LOAD_NOTHING);
    OK(lf_model_write(f.model, dir, LF_N_DTYPES, NULL, NULL, &err));
    check_written_config(&f, dir);
    lf_model *again;
    OK(lf_model_open(&again, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
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
    OK(lf_model_open(&again, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &err));
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
    OK(lf_model_open(&again, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &err));
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
    if (f.model->tokens.steady && f.model->tokens.steady < f.T) { /* other keys in longer texts: test_greedy */
        close_case(&f);
        return;
    }
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

/* ---- generated text ---- */

static void check_generated(fixture *f, lf_generator *o, const int32_t *ids, int64_t begin, int64_t n) {
    lf_generated out;
    const lf_generate_opts opts = {
        .sampling = {.repetition_penalty = 3, .top_p = 1}, .max_new_tokens = n - begin, .ignore_eos = true};
    OK(lf_generate_text(&out, o, ids, begin, &opts, NULL, NULL, &err));
    assert_int_equal(out.ids.n, n - begin);
    for (int64_t i = 0; i < out.ids.n; i++)
        if (out.ids.ids[i] != ids[begin + i])
            fail_msg("%s, %s: of a prompt of %lld, token %lld is %d; transformers has %d", f->name, f->k->name,
                     (long long)begin, (long long)i, out.ids.ids[i], ids[begin + i]);
    lf_generated_free(&out);
}

/* The same generator writes the text twice, so that the second time begins with what the first left in its cache. A
 * longer prompt (whose keys may be others) is the text's own beginning only where earlier keys do not depend on the
 * length of the text. */
static void check_greedy(const char *name, const lf_kernels *k) {
    fixture f;
    lf_generator *o;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    int64_t n;
    const int32_t *ids = (const int32_t *)(const void *)golden(&f, "greedy", &n);
    lf_tokenizer *t = tokens(f.model->tokens.vocab_size);
    OK(lf_generator_new(&o, f.model, f.g, t, 0, &err));
    assert_true(n == 58 || n == f.model->tokens.max_positions);
    for (int pass = 0; pass < 2; pass++) check_generated(&f, o, ids, 8, n);
    if (!f.model->tokens.steady || f.model->tokens.reads_again) check_generated(&f, o, ids, 20, n);
    check_generated(&f, o, ids, 8, n);
    lf_generator_free(o);
    lf_tokenizer_free(t);
    close_case(&f);
}
static void test_greedy(void **state) {
    (void)state;
    each_backend(check_greedy);
}

/* Documents that stand in one row are read as they are alone, also where rotary positions depend on a text's length. */
static void check_packed(const char *name, const lf_kernels *k) {
    fixture f;
    open_case(&f, name, k, LF_LOAD_FROZEN);
    const int64_t V = f.model->tokens.vocab_size, begin = 6; /* documents of 6 and 11 tokens */
    int32_t positions[256], first[256];
    for (int64_t t = 0; t < f.T; t++) {
        first[t] = t < begin ? 0 : (int32_t)begin;
        positions[t] = (int32_t)t - first[t];
    }
    lf_pass pass = {.in = {.B = 1, .T = f.T, .ids = batch_ids(&f, 0), .positions = positions, .first = first}};
    lf_graph_begin(f.g, false, false, 0);
    const lf_tensor *logits = through_head(&f, lf_lm_hidden(f.model, f.g, &pass));
    OK(lf_graph_status(f.g, &err));
    float *both = lf_malloc((size_t)logits->numel * sizeof *both);
    memcpy(both, logits->data, (size_t)logits->numel * sizeof *both);
    for (int64_t from = 0, n = begin; from < f.T; from += n, n = f.T - from) {
        pass = (lf_pass){.in = {.B = 1, .T = n, .ids = batch_ids(&f, 0) + from, .positions = f.positions}};
        lf_graph_begin(f.g, false, false, 0);
        logits = through_head(&f, lf_lm_hidden(f.model, f.g, &pass));
        OK(lf_graph_status(f.g, &err));
        check_close(name, both + from * V, logits->data, n * V, 1e-5);
    }
    lf_free(both);
    close_case(&f);
}
static void test_packed(void **state) {
    (void)state;
    each_case(check_packed);
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
    {"lm-llama", "rope_parameters", "{\"rope_type\": \"longrope\", \"factor\": 2}", "short_factor"},
    {"lm-llama", "rope_parameters", "{\"rope_type\": \"proportional\"}", "proportional"},
    {"lm-llama", "rope_parameters", "{\"rope_type\": \"linear\"}", "factor"},
    {"lm-llama", "rope_parameters", "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}",
     "partial_rotary_factor"},
    {"lm-llama", "rope_parameters", "{\"full_attention\": {\"rope_type\": \"default\"}}", "full_attention"},
    {"lm-llama", "rope_parameters", "7", "rope_parameters"},
    {"lm-llama3", "rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4}",
     "high_freq_factor"},
    {"lm-llama3", "tie_word_embeddings", "false", "lm_head.weight"},
    {"lm-mistral", "layer_types", "[\"full_attention\", \"sliding_attention\"]", "all of one kind"},
    {"lm-qwen2", "rope_scaling", "{\"type\": \"dynamic\", \"factor\": 0.5}", "factor"},
    {"lm-qwen3", "layer_types", "[\"full_attention\", \"sliding_attention\"]", "use_sliding_window"},
    {"lm-smollm3", "no_rope_layers", "[1]", "no_rope_layers"},
    {"lm-smollm3", "no_rope_layers", "[1, 2, 0]", "no_rope_layers"},
    {"lm-smollm3", "no_rope_layers", "7", "no_rope_layers"},
    {"lm-smollm3", "no_rope_layer_interval", "0", "no_rope_layer_interval"},
    {"lm-smollm3", "use_sliding_window", "false", "use_sliding_window"}, /* layer_types has one that slides */
    {"lm-smollm3", "rope_parameters", "{\"rope_theta\": 1}", "rope_theta"},
    {"lm-olmo2", "sliding_window", "4", "sliding_window"},
    {"lm-olmo2", "attention_bias", "true", "q_proj.bias"},
    {"lm-olmo2", "rope_parameters", "{\"partial_rotary_factor\": 0.5}", "partial_rotary_factor"},
    {"lm-olmo2", "num_key_value_heads", "4", "k_proj"},
    {"lm-phi3", "rope_parameters", "{\"rope_type\": \"longrope\", \"short_factor\": [1, 1], \"long_factor\": [1, 1]}",
     "short_factor"},
    {"lm-phi3", "rope_parameters",
     "{\"type\": \"su\", \"partial_rotary_factor\": 0.5, \"short_factor\": [1, 1], \"long_factor\": [1, 0]}",
     "long_factor"},
    {"lm-phi3", "rope_parameters", "{\"partial_rotary_factor\": 1.5}", "partial_rotary_factor"},
    {"lm-phi3", "rope_parameters", "{\"partial_rotary_factor\": 0.1}", "partial_rotary_factor"},
    {"lm-phi3", "original_max_position_embeddings", "0", "original_max_position_embeddings"},
    {"lm-phi3", "original_max_position_embeddings", "1", "attention_factor"}, /* its logarithm divides */
    {"lm-phi3", "resid_pdrop", "1", "resid_pdrop"},
    {"lm-phi3", "layer_types", "[\"full_attention\", \"sliding_attention\"]", "sliding_window"},
    {"lm-gemma3", "use_bidirectional_attention", "true", "use_bidirectional_attention"},
    {"lm-gemma3", "attn_logit_softcapping", "50", "attn_logit_softcapping"},
    {"lm-gemma3", "final_logit_softcapping", "-30", "final_logit_softcapping"},
    {"lm-gemma2", "use_bidirectional_attention", "true", "use_bidirectional_attention"},
    {"lm-gemma2", "attn_logit_softcapping", "0", "attn_logit_softcapping"},
    {"lm-gemma2", "final_logit_softcapping", "\"high\"", "final_logit_softcapping"},
    {"lm-gemma2", "rope_parameters", "{\"full_attention\": {\"rope_type\": \"default\"}}", "full_attention"},
    {"lm-gemma2", "rope_parameters", "{\"partial_rotary_factor\": 0.5}", "partial_rotary_factor"},
    {"lm-gemma2", NULL, "{\"sliding_window\": null, \"layer_types\": null}", "sliding_window"},
    {"lm-granite", "logits_scaling", "0", "logits_scaling"},
    {"lm-granite", "embedding_multiplier", "-1", "embedding_multiplier"},
    {"lm-granite", "residual_multiplier", "\"1\"", "residual_multiplier"},
    {"lm-granite", "attention_multiplier", "0", "attention_multiplier"},
    {"lm-granite", "sliding_window", "5", "sliding_window"},
    {"lm-granite", "mlp_bias", "false", "down_proj.bias"},
    {"lm-gemma3", "hidden_activation", "\"mish\"", "hidden_activation"},
    {"lm-gemma3", "query_pre_attn_scalar", "0", "query_pre_attn_scalar"},
    {"lm-gemma3", "sliding_window", "null", "sliding_window"},
    {"lm-gemma3", NULL, "{\"sliding_window\": null, \"layer_types\": null}", "sliding_window"},
    {"lm-gemma3", "sliding_window_pattern", "0", "sliding_window_pattern"},
    {"lm-gemma3", "rope_parameters", "{\"rope_type\": \"default\"}", "rope_type"},
    {"lm-gemma3", "rope_parameters", "{\"chunked_attention\": {}}", "chunked_attention"},
    {"lm-gemma3", "rope_parameters", "{\"sliding_attention\": {\"rope_type\": \"axial\"}}", "axial"},
    {"lm-gemma3", "rope_scaling", "{\"rope_type\": \"linear\", \"factor\": -8}", "rope_scaling: key 'factor'"},
    {"lm-gemma3", "vocab_size", "60", "key 'vocab_size'"},
    {"lm-gemma3", "head_dim", "12", "q_proj"},
    {"lm-gpt2", "activation_function", "\"mish\"", "activation_function"},
    {"lm-gpt2", "add_cross_attention", "true", "add_cross_attention"},
    {"lm-gpt2", "attn_pdrop", "1", "attn_pdrop"},
    {"lm-gpt2", "n_positions", "99", "key 'n_positions'"},
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

static void put_key(cJSON *config, const char *key, cJSON *value) {
    cJSON_DeleteItemFromObjectCaseSensitive(config, key);
    cJSON_AddItemToObject(config, key, value);
}

/* A folder with the model of a case, but for one key of its config.json; key NULL: for those of the object `text`. */
static char *changed_case(const char *name, const char *key, const char *text) {
    char from[512], path[600], *dir = scratch();
    cJSON *config, *value;
    snprintf(from, sizeof from, "%s/golden/%s", LF_TEST_DIR, name);
    snprintf(path, sizeof path, "%s/config.json", from);
    OK(lf_json_read(&config, path, &err));
    OK(lf_json_parse(&value, text, strlen(text), "value", &err));
    if (key) put_key(config, key, value);
    for (cJSON *member; !key && (member = cJSON_DetachItemFromArray(value, 0));) {
        char of[64];
        snprintf(of, sizeof of, "%s", member->string);
        put_key(config, of, member);
    }
    if (!key) cJSON_Delete(value);
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
    const lf_status rc = lf_model_open(&m, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_NOTHING}, &said);
    if (!rc || !strstr(said.message, bad[i].expected) || !strstr(said.message, dir))
        fail_msg("%s with %s = %s: status %d, '%s'; expected one that names '%s'", bad[i].name,
                 bad[i].key ? bad[i].key : "keys", bad[i].value, (int)rc, said.message, bad[i].expected);
    OK(lf_remove_tree(dir, &err));
}

static void test_refused(void **state) {
    (void)state;
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) check_refused(i, k);
    assert_int_equal(lf_alloc_live(), 0);
}

/* The same said in other words changes nothing; another thing said does. */
static const struct {
    const char *name, *key, *value;
    bool same;
} words[] = {
    {"lm-llama", "hidden_act", "\"swish\"", true},
    {"lm-llama", "hidden_act", "\"gelu\"", false},
    {"lm-llama", "hidden_act", "\"relu\"", false},
    {"lm-gpt2", "activation_function", "\"gelu_pytorch_tanh\"", true},
    {"lm-gpt2", "activation_function", "\"silu\"", false},
    {"lm-dynamic", NULL,
     "{\"rope_parameters\": null, \"rope_theta\": 200, \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 4}}",
     true},
    {"lm-dynamic", "rope_parameters", "{\"rope_theta\": 200, \"rope_type\": \"dynamic\", \"factor\": 5}", false},
    {"lm-smollm3", "no_rope_layers", "[1, 0, 1, 1]", true},
    {"lm-smollm3", "layer_types", "null", true},
    {"lm-smollm3", "no_rope_layers", "[1, 1, 1]", false},
    {"lm-smollm3", "sliding_window", "7", false},
    {"lm-smollm3", "rope_parameters", "{\"rope_theta\": 10000}", false},
    {"lm-smollm3", "rope_parameters", "null", true},              /* its own theta */
    {"lm-phi3", "max_position_embeddings", "65", false},          /* the size of cosines is by it */
    {"lm-phi3", "original_max_position_embeddings", "17", false}, /* texts of 17 are not longer */
    {"lm-phi3", "sliding_window", "9", false},
    {"lm-phi3", "sliding_window", "17", true},
    {"lm-phi3", NULL,
     "{\"rope_parameters\": null, \"rope_theta\": 100, \"partial_rotary_factor\": 0.75, \"rope_scaling\": {\"type\": "
     "\"su\", \"short_factor\": [1.0, 1.5, 2.0], \"long_factor\": [1.25, 4.0, 9.0]}}",
     true},
    {"lm-granite", "logits_scaling", "null", false},
    {"lm-granite", "embedding_multiplier", "1", false},
    {"lm-granite", "residual_multiplier", "null", false},
    {"lm-granite", "attention_multiplier", "0.25", false},
    {"lm-gemma2", "layer_types", "null", true},                                          /* every second sees all */
    {"lm-gemma2", NULL, "{\"layer_types\": null, \"sliding_window_pattern\": 6}", true}, /* a key of Gemma 3 */
    {"lm-gemma2", "attn_logit_softcapping", "null", false},
    {"lm-gemma2", "final_logit_softcapping", "null", false},
    {"lm-gemma2", "query_pre_attn_scalar", "24", false},
    {"lm-gemma3", "final_logit_softcapping", "4", false},
    {"lm-gemma3", "layer_types", "null", true},
    {"lm-gemma3", NULL, "{\"layer_types\": null, \"sliding_window_pattern\": null}", false},
    {"lm-gemma3", NULL,
     "{\"rope_parameters\": null, \"rope_theta\": 1000, \"rope_local_base_freq\": 50, \"rope_scaling\": "
     "{\"rope_type\": \"linear\", \"factor\": 4}}",
     true},
    {"lm-gemma3", "rope_parameters",
     "{\"sliding_attention\": {\"rope_theta\": 50}, \"full_attention\": {\"rope_theta\": 1000}}", false},
    /* transformers 4's key beside that of 5: what it says counts, and the rest stays */
    {"lm-gemma3", "rope_scaling", "{\"factor\": 4}", true},
    {"lm-gemma3", "rope_scaling", "{\"factor\": 8}", false},
    {"lm-gemma3", "rope_scaling", "{\"rope_theta\": 2000}", false},
    {"lm-gemma3", NULL,
     "{\"rope_parameters\": {\"sliding_attention\": {\"rope_theta\": 50}, \"full_attention\": {\"rope_theta\": 1000, "
     "\"rope_type\": \"default\"}}, \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 4}}",
     true},
    {"lm-gemma3", "query_pre_attn_scalar", "16", false},
    {"lm-gemma3", "hidden_activation", "\"silu\"", false},
    {"lm-gemma3", "sliding_window", "6", false},
};

static void check_words(size_t i, const lf_kernels *k) {
    fixture f;
    char *dir = changed_case(words[i].name, words[i].key, words[i].value);
    open_case(&f, words[i].name, k, LF_LOAD_FROZEN);
    lf_model_free(f.model);
    OK(lf_model_open(&f.model, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN}, &err));
    int64_t n;
    const float *want = golden(&f, "logits", &n);
    float *found = logits_of(&f, 0);
    double scale = 0, difference = 0;
    for (int64_t j = 0; j < n; j++) {
        scale = fmax(scale, fabs((double)want[j]));
        difference = fmax(difference, fabs((double)(found[j] - want[j])));
    }
    if (!(words[i].same ? difference <= 1e-4 * scale : difference >= 1e-3 * scale))
        fail_msg("%s with %s = %s: logits of %g differ by %g", words[i].name, words[i].key ? words[i].key : "keys",
                 words[i].value, scale, difference);
    lf_free(found);
    close_case(&f);
    OK(lf_remove_tree(dir, &err));
}

static void test_words(void **state) {
    (void)state;
    const lf_kernels *k;
    OK(lf_kernels_select(&k, "fp32", &err));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) check_words(i, k);
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

/* ---- weights that stay in the file ---- */

static const lf_module *module_of(const lf_model *m, const char *name) {
    const lf_module *found = lf_nn_find(&m->nn, name);
    if (!found) fail_msg("%s has no module %s", m->path, name);
    return found;
}

/* Which are mapped: what stands in the file as it is computed with, and of a group what stands together there. Gate and
 * up do, by their names; q, k and v do not. */
static void check_mapped(const char *name, const lf_kernels *k, lf_weights weights, bool mapped, bool tied) {
    char dir[512];
    lf_model *m;
    snprintf(dir, sizeof dir, "%s/golden/%s", LF_TEST_DIR, name);
    OK(lf_model_open(&m, dir, &(lf_model_opts){.k = k, .load = LF_LOAD_FROZEN, .weights = weights}, &err));
    const struct {
        const char *module;
        const void *data;
        bool is;
    } found[] = {{"embed_tokens", m->tokens.embedding->tensor.data, mapped},
                 {"o_proj", module_of(m, "model.layers.0.self_attn.o_proj")->frozen.data, mapped},
                 {"down_proj", module_of(m, "model.layers.1.mlp.down_proj")->frozen.data, mapped},
                 {"gate_up", module_of(m, "model.layers.1.mlp.up_proj")->group->frozen.data, mapped},
                 {"qkv", module_of(m, "model.layers.0.self_attn.v_proj")->group->frozen.data, false},
                 {"norm", module_of(m, "model.norm")->weight->tensor.data, false}};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        const char *path = lf_mapped_file(found[i].data);
        assert_non_null(found[i].data);
        if ((path != NULL) != found[i].is || (path && !strstr(path, name)))
            fail_msg("%s in %s, weights %d: %s is %s", name, k->name, (int)weights, found[i].module,
                     path ? path : "a copy");
    }
    assert_int_equal(m->lm_head->frozen.data == m->tokens.embedding->tensor.data, tied);
    lf_model_free(m);
    assert_int_equal(lf_alloc_live(), 0);
}

static void test_mapped(void **state) {
    (void)state;
    const lf_kernels *fp32 = &lf_kernels_ref_f32, *bf16 = &lf_kernels_ref_bf16; /* these have no packed copies */
    check_mapped("lm-llama3", bf16, LF_WEIGHTS_MAP, true, true);                /* a file in bf16 */
    check_mapped("lm-llama3", bf16, LF_WEIGHTS_COPY, false, true);
    check_mapped("lm-llama3", fp32, LF_WEIGHTS_MAP, false, true);
    check_mapped("lm-qwen2", fp32, LF_WEIGHTS_MAP, true, true); /* in fp32 */
    check_mapped("lm-qwen2", fp32, LF_WEIGHTS_COPY, false, true);
    check_mapped("lm-qwen2", bf16, LF_WEIGHTS_MAP, false, true);
    check_mapped("lm-mistral", fp32, LF_WEIGHTS_MAP, true, false);
}

/* Packed copies are of small models. */
static void test_packs(void **state) {
    (void)state;
    lf_model *m;
    OK(lf_model_open(&m, LF_TEST_DIR "/golden/lm-llama3",
                     &(lf_model_opts){.k = &lf_kernels_ref_bf16, .load = LF_LOAD_FROZEN}, &err));
    assert_true(m->nn.packs);
    assert_int_equal(m->lm_head->frozen.format, LF_FROZEN_PLAIN);
    lf_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapters), cmocka_unit_test(test_targets), cmocka_unit_test(test_written),
        cmocka_unit_test(test_new),      cmocka_unit_test(test_cache),   cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_packed),   cmocka_unit_test(test_refused), cmocka_unit_test(test_ids),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_mapped),  cmocka_unit_test(test_packs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

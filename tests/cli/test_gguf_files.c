/* GGUF files of the program: models of LLaMA's relatives against what `merge` writes for transformers, adapters against
 * PEFT's files, and what is refused. llama.cpp itself is asked by scripts/check-gguf.py. */
#define _GNU_SOURCE
#include "cli/gguf_fixture.h"

#define TRAIN                                                                                                          \
    "train --model pre/model --train_data plain.txt --max_seq_length 24 --threads 1 --lr 3e-3 --max_steps 2 "          \
    "--per_device_train_batch_size 4 "

static const struct {
    const char *name, *of_transformers;
    int64_t heads;
} names[] = {{"attn_q.weight", "self_attn.q_proj.weight", 4},
             {"attn_k.weight", "self_attn.k_proj.weight", 2}, /* grouped: half as many */
             {"attn_v.weight", "self_attn.v_proj.weight", 0},
             {"attn_output.weight", "self_attn.o_proj.weight", 0},
             {"ffn_gate.weight", "mlp.gate_proj.weight", 0},
             {"ffn_up.weight", "mlp.up_proj.weight", 0},
             {"ffn_down.weight", "mlp.down_proj.weight", 0},
             {"attn_norm.weight", "input_layernorm.weight", 0},
             {"ffn_norm.weight", "post_attention_layernorm.weight", 0}};
enum { NAMES = sizeof names / sizeof *names };

static void same_model(const char *gguf, const char *folder, uint32_t type, bool untied) {
    lf_safetensors *st;
    lf_err err = {0};
    parse(gguf);
    if (lf_safetensors_open(&st, text("%s/%s", root, folder), &err)) fail_msg("%s", err.message);
    assert_int_equal(file.n_tensors, 2 + 2 * NAMES + untied);
    assert_int_equal(lf_safetensors_count(st), file.n_tensors);
    for (int layer = 0; layer < 2; layer++)
        for (int i = 0; i < NAMES; i++)
            same_tensor(tensor(text("blk.%d.%s", layer, names[i].name)),
                        other(st, text("model.layers.%d.%s", layer, names[i].of_transformers)), names[i].heads, 1);
    same_tensor(tensor("token_embd.weight"), other(st, "model.embed_tokens.weight"), 0, 1);
    same_tensor(tensor("output_norm.weight"), other(st, "model.norm.weight"), 0, 1);
    if (untied) same_tensor(tensor("output.weight"), other(st, "lm_head.weight"), 0, 1);
    for (int i = 0; i < file.n_tensors; i++) /* vectors are floats in every file */
        assert_int_equal(file.tensors[i].type, file.tensors[i].dims[1] ? type : 0);
    lf_safetensors_close(st);
}

static void test_model(void **state) {
    (void)state;
    static const struct {
        const char *dtype;
        uint32_t type;
        double file_type;
    } formats[] = {{"fp32", 0, 0}, {"fp16", 1, 1}, {"bf16", 30, 32}};
    must(TRAIN "--r 4 --target_modules all-linear --output_dir a", 0);
    must("merge --model pre/model --adapter a/adapter -o merged", 0);
    for (int i = 0; i < 3; i++) {
        must(text("merge --model pre/model --adapter a/adapter --format gguf -o m.gguf --overwrite_output_dir "
                  "--save_dtype %s",
                  formats[i].dtype),
             0);
        same_model("m.gguf", "merged", formats[i].type, false); /* tied: one tensor for both */
        near(key_number("general.file_type"), formats[i].file_type, 0);
    }
    key_says("general.architecture", "llama");
    key_says("general.type", "model");
    key_says("general.name", "m");
    key_says("general.base_model.0.name", "model");
    static const struct {
        const char *name;
        double value;
    } numbers[] = {{"llama.vocab_size", 900},
                   {"llama.context_length", 96},
                   {"llama.embedding_length", 32},
                   {"llama.block_count", 2},
                   {"llama.feed_forward_length", 48},
                   {"llama.attention.head_count", 4},
                   {"llama.attention.head_count_kv", 2},
                   {"llama.attention.key_length", 8},
                   {"llama.attention.value_length", 8},
                   {"llama.rope.dimension_count", 8},
                   {"llama.rope.freq_base", 10000},
                   {"tokenizer.ggml.bos_token_id", 1},
                   {"tokenizer.ggml.eos_token_id", 2},
                   {"tokenizer.ggml.unknown_token_id", 0},
                   {"tokenizer.ggml.add_bos_token", 1},
                   {"tokenizer.ggml.add_eos_token", 0},
                   {"tokenizer.ggml.add_space_prefix", 1}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        near(key_number(numbers[i].name), numbers[i].value, 0);
    near(key_number("llama.attention.layer_norm_rms_epsilon"), 1e-5, 1e-11);
    /* without format nothing is another: the folder is what it was */
    must("merge --model pre/model --adapter a/adapter -o again", 0);
    same_files("merged/model.safetensors", "again/model.safetensors");
}

static void test_tokenizer(void **state) {
    (void)state;
    cJSON *root_json = NULL;
    lf_err err = {0};
    if (lf_json_read(&root_json, LF_TEST_DIR "/golden/tokenizer/llama2.json", &err)) fail_msg("%s", err.message);
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root_json, "model"), *token,
                *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab"), *merge;
    parse("m.gguf");
    key_says("tokenizer.ggml.model", "llama");
    key_says("tokenizer.ggml.pre", "default");
    const part *tokens = key("tokenizer.ggml.tokens"), *scores = key("tokenizer.ggml.scores"),
               *types = key("tokenizer.ggml.token_type");
    assert_true(tokens->type == 108 && scores->type == 106 && types->type == 105);
    assert_true(tokens->count == 900 && scores->count == 900 && types->count == 900);
    const char *found[900];
    size_t sizes[900];
    const unsigned char *at = tokens->data;
    for (int i = 0; i < 900; i++) {
        sizes[i] = (size_t)at[0] | (size_t)at[1] << 8;
        found[i] = (const char *)at + 8;
        at += 8 + sizes[i];
    }
    cJSON_ArrayForEach(token, vocab) {
        const int id = token->valueint;
        const char *s = token->string;
        assert_int_equal(sizes[id], strlen(s));
        assert_memory_equal(found[id], s, strlen(s));
        const bool byte = strlen(s) == 6 && strncmp(s, "<0x", 3) == 0;
        assert_int_equal(types->data[4 * id], id == 0 ? 2 : id < 3 ? 3 : byte ? 6 : 1);
    }
    /* the piece of a merge that comes first has the higher score */
    float last = 1;
    cJSON_ArrayForEach(merge, cJSON_GetObjectItemCaseSensitive(model, "merges")) {
        const char *a = cJSON_GetArrayItem(merge, 0)->valuestring, *b = cJSON_GetArrayItem(merge, 1)->valuestring;
        const int id = cJSON_GetObjectItemCaseSensitive(vocab, text("%s%s", a, b))->valueint;
        float score;
        memcpy(&score, scores->data + 4 * id, 4);
        assert_true(score < last);
        last = score;
    }
    cJSON_Delete(root_json);
}

/* Byte pairs, ids without a token, a chat template, and what llama.cpp has no word for. */
static void test_byte_pairs(void **state) {
    (void)state;
    const char *const copy =
        "rm -rf %s && cp -r pre/model %s && cp %s %s/tokenizer.json && rm %s/tokenizer_config.json";
    run_shell(text("cd %s && %s", root, text(copy, "b", "b", LF_TEST_DIR "/golden/tokenizer/qwen.json", "b", "b")));
    put("b/chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}");
    must("merge --model b --adapter a/adapter --format gguf -o b.gguf", 0);
    parse("b.gguf");
    key_says("tokenizer.ggml.model", "gpt2");
    key_says("tokenizer.ggml.pre", "qwen2");
    key_says("tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}");
    assert_int_equal(key("tokenizer.ggml.merges")->count, 544);
    assert_memory_equal(key("tokenizer.ggml.merges")->data, "\3\0\0\0\0\0\0\0t h", 11);
    const part *types = key("tokenizer.ggml.token_type");
    assert_int_equal(types->count, 900);
    assert_int_equal(types->data[4 * 800], 3); /* special */
    assert_int_equal(types->data[4 * 803], 4); /* <think>, added and not special */
    assert_int_equal(types->data[4 * 899], 5); /* the model has a row for it, the tokenizer no token */
    near(key_number("tokenizer.ggml.add_bos_token"), 0, 0);
    assert_null(find(file.keys, file.n_keys, "tokenizer.ggml.add_space_prefix"));
    static const char *const refused[][2] = {{"regexes", "llama.cpp has no tokenizer that does this"},
                                             {"prefix_space", "llama.cpp has no tokenizer that does this"},
                                             {"xlm_roberta", "of type 'Unigram' does not go into GGUF"},
                                             {"clip", "end_of_word_suffix"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        run_shell(text("cp %s/golden/tokenizer/%s.json %s/b/tokenizer.json", LF_TEST_DIR, refused[i][0], root));
        must("merge --model b --adapter a/adapter --format gguf -o c.gguf", 3);
        if (!strstr(output, refused[i][1])) fail_msg("%s: it said:\n%s", refused[i][0], output);
        assert_false(lf_exists(text("%s/c.gguf", root)));
    }
    run_shell(text("rm %s/b/tokenizer.json", root));
    must("merge --model b --adapter a/adapter --format gguf -o c.gguf", 3);
    assert_non_null(strstr(output, "there is no tokenizer.json in it"));
}

/* ---- adapters ---- */

static void same_adapter(const char *gguf, const char *folder, double times) {
    lf_safetensors *st;
    lf_err err = {0};
    int pairs = 0;
    parse(gguf);
    key_says("general.type", "adapter");
    key_says("adapter.type", "lora");
    key_says("general.architecture", "llama");
    if (lf_safetensors_open(&st, text("%s/%s/adapter_model.safetensors", root, folder), &err))
        fail_msg("%s", err.message);
    for (int layer = 0; layer < 2; layer++)
        for (int i = 0; i < NAMES; i++) {
            const char *module = text("base_model.model.model.layers.%d.%.*s", layer,
                                      (int)strlen(names[i].of_transformers) - 7, names[i].of_transformers);
            const lf_st_tensor *A = lf_safetensors_find(st, text("%s.lora_A.weight", module));
            if (!A) continue;
            pairs++;
            same_tensor(tensor(text("blk.%d.%s.lora_a", layer, names[i].name)), A, 0, 1);
            same_tensor(tensor(text("blk.%d.%s.lora_b", layer, names[i].name)),
                        other(st, text("%s.lora_B.weight", module)), names[i].heads, times);
        }
    assert_int_equal(file.n_tensors, 2 * pairs);
    assert_int_equal(lf_safetensors_count(st), 2 * pairs);
    lf_safetensors_close(st);
}

static void test_adapter(void **state) {
    (void)state;
    must("convert --model pre/model --adapter a/adapter --format gguf -o a.gguf", 0);
    same_adapter("a.gguf", "a/adapter", 1);
    near(key_number("adapter.lora.alpha"), 8, 0);
    must(TRAIN "--r 4 --lora_alpha 6 --use_rslora true --output_dir rs", 0);
    must("convert --model pre/model --adapter rs/adapter --format gguf -o rs.gguf", 0);
    same_adapter("rs.gguf", "rs/adapter", 1); /* alpha / r is alpha / sqrt(r) there */
    near(key_number("adapter.lora.alpha"), 6 * 2, 1e-6);
    /* of the second module the rank is another, and so is its scaling: B has the difference */
    must(TRAIN "--r 4 --lora_alpha 8 --alpha_pattern '{\"self_attn.v_proj\": 2}' --output_dir own", 0);
    must("convert --model pre/model --adapter own/adapter --format gguf -o own.gguf", 0);
    parse("own.gguf");
    lf_safetensors *st;
    lf_err err = {0};
    if (lf_safetensors_open(&st, text("%s/own/adapter/adapter_model.safetensors", root), &err))
        fail_msg("%s", err.message);
    near(key_number("adapter.lora.alpha"), 8, 0);
    same_tensor(tensor("blk.1.attn_q.weight.lora_b"),
                other(st, "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"), 4, 1);
    same_tensor(tensor("blk.1.attn_v.weight.lora_b"),
                other(st, "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"), 0, 0.25);
    lf_safetensors_close(st);
    cJSON *said = json_of("convert --model pre/model --adapter a/adapter --format gguf -o b16.gguf --save_dtype bf16 "
                          "--json");
    near(number(said, "modules"), 14, 0);
    cJSON_Delete(said);
    same_adapter("b16.gguf", "a/adapter", 1);
    assert_int_equal(tensor("blk.0.attn_q.weight.lora_a")->type, 30);
}

/* An adapter on one of two layers with one weight: merged the model has both; as an adapter it cannot be. */
static void test_tied(void **state) {
    (void)state;
    must(TRAIN "--r 2 --target_modules lm_head,q_proj --output_dir head", 0);
    must("merge --model pre/model --adapter head/adapter -o headm", 0);
    must("merge --model pre/model --adapter head/adapter --format gguf -o head.gguf", 0);
    same_model("head.gguf", "headm", 0, true);
    must("convert --model pre/model --adapter head/adapter --format gguf -o headc.gguf", 3);
    assert_non_null(strstr(output, "factors for one of two layers that share a weight"));
    must(TRAIN "--r 2 --use_dora true --init true --output_dir dora", 0);
    must("convert --model pre/model --adapter dora/adapter --format gguf -o dora.gguf", 3);
    assert_non_null(strstr(output, "magnitudes (DoRA)"));
    must("merge --model pre/model --adapter dora/adapter -o doram", 0);
    must("merge --model pre/model --adapter dora/adapter --format gguf -o dora.gguf", 0);
    same_model("dora.gguf", "doram", 0, false);
    must(TRAIN "--r 2 --modules_to_save norm --output_dir saved", 0);
    must("convert --model pre/model --adapter saved/adapter --format gguf -o saved.gguf", 3);
    assert_non_null(strstr(output, "other numbers than factors"));
}

/* Phi-3: q, k and v, and gate and up, are one weight each, in both; a part of each head is turned, none in pairs. */
static void test_fused(void **state) {
    (void)state;
    static const char *const fused[][2] = {
        {"attn_qkv.weight", "self_attn.qkv_proj.weight"}, {"attn_output.weight", "self_attn.o_proj.weight"},
        {"ffn_up.weight", "mlp.gate_up_proj.weight"},     {"ffn_down.weight", "mlp.down_proj.weight"},
        {"attn_norm.weight", "input_layernorm.weight"},   {"ffn_norm.weight", "post_attention_layernorm.weight"}};
    enum { FUSED = sizeof fused / sizeof *fused };
    static const char phi[] =
        "{\"architectures\": [\"Phi3ForCausalLM\"], \"model_type\": \"phi3\", \"hidden_size\": 32, "
        "\"intermediate_size\": 48, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
        "\"vocab_size\": 900, \"hidden_act\": \"silu\", \"max_position_embeddings\": 96, \"rms_norm_eps\": 1e-5, "
        "\"rope_theta\": 10000.0, \"partial_rotary_factor\": 0.5, \"tie_word_embeddings\": false, "
        "\"original_max_position_embeddings\": 96, \"bos_token_id\": 1, \"eos_token_id\": 2, \"pad_token_id\": 0}\n";
    put("phi.json", phi);
    must("train --init_model phi.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 1 "
         "--threads 1 --output_dir phi",
         0);
    must("train --model phi/model --train_data plain.txt --max_seq_length 24 --threads 1 --lr 3e-3 --max_steps 2 --r 2 "
         "--target_modules all-linear --output_dir phia",
         0);
    must("merge --model phi/model --adapter phia/adapter -o phim", 0);
    must("merge --model phi/model --adapter phia/adapter --format gguf -o phi.gguf --save_dtype fp32", 0);
    must("convert --model phi/model --adapter phia/adapter --format gguf -o phia.gguf", 0);
    lf_safetensors *st;
    lf_err err = {0};
    if (lf_safetensors_open(&st, text("%s/phim", root), &err)) fail_msg("%s", err.message);
    parse("phi.gguf");
    assert_int_equal(file.n_tensors, 3 + 2 * FUSED);
    for (int layer = 0; layer < 2; layer++)
        for (int i = 0; i < FUSED; i++)
            same_tensor(tensor(text("blk.%d.%s", layer, fused[i][0])),
                        other(st, text("model.layers.%d.%s", layer, fused[i][1])), 0, 1);
    same_tensor(tensor("output.weight"), other(st, "lm_head.weight"), 0, 1);
    key_says("general.architecture", "phi3");
    near(key_number("phi3.rope.dimension_count"), 4, 0);
    lf_safetensors_close(st);
    parse("phia.gguf");
    assert_int_equal(file.n_tensors, 2 * 2 * 4);
    assert_true(tensor("blk.1.attn_qkv.weight.lora_b")->dims[1] == 64);
    /* its own stretched positions are not written */
    must(text("merge --model %s/golden/lm-phi3 --adapter %s/golden/lm-phi3/peft_adapter --format gguf -o x.gguf",
              LF_TEST_DIR, LF_TEST_DIR),
         3);
    assert_non_null(strstr(output, "positions of type longrope"));
}

/* ---- names, and what there is ---- */

static void test_usage(void **state) {
    (void)state;
    must("merge --model pre/model --adapter a/adapter --format gguf -o folder", 2);
    assert_non_null(strstr(output, "expected the name of the file, FILE.gguf, found 'folder'"));
    must("merge --model pre/model --adapter a/adapter -o x.gguf", 2);
    assert_non_null(strstr(output, "is the name of a gguf file; set format to gguf"));
    must("merge --model pre/model --adapter a/adapter --format gguf -o m.gguf", 2);
    assert_non_null(strstr(output, "is there already"));
    must("convert --adapter a/adapter --format gguf -o x.gguf", 2);
    assert_non_null(strstr(output, "gguf needs 'model'"));
    must(text("merge --model %s/golden/enc-bert-mlm --adapter %s/golden/enc-bert-mlm/peft_adapter --format gguf -o "
              "x.gguf",
              LF_TEST_DIR, LF_TEST_DIR),
         3);
    assert_non_null(strstr(output, "key 'model_type': 'bert' does not go into GGUF here; those that do: 'llama'"));
    cJSON *o = json_of("inspect m.gguf a.gguf --json");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "found"), *one = list->child;
    for (int i = 0; i < 2; i++, one = one->next) {
        const cJSON *facts = cJSON_GetObjectItemCaseSensitive(one, "facts");
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "kind")), "gguf");
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(facts, "type")),
                            i ? "adapter" : "model");
        near(number(facts, "tensors"), i ? 28 : 20, 0);
    }
    cJSON_Delete(o);
    must("verify m.gguf", 0);
    assert_non_null(strstr(output, "20 tensors, each within the file"));
    run_shell(text("cd %s && head -c 30000 m.gguf > cut.gguf", root));
    must("verify cut.gguf", 3);
    assert_non_null(strstr(output, "is the download complete?"));
    must("inspect cut.gguf", 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model),   cmocka_unit_test(test_tokenizer),
                                       cmocka_unit_test(test_adapter), cmocka_unit_test(test_tied),
                                       cmocka_unit_test(test_usage),   cmocka_unit_test(test_byte_pairs),
                                       cmocka_unit_test(test_fused)};
    return cmocka_run_group_tests(tests, setup, free_file);
}

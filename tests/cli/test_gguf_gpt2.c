/* GPT-2 in GGUF files: learned positions, biases everywhere, Conv1D weights turned over, q, k and v in one. llama.cpp
 * itself is asked by scripts/check-gguf.py. */
#define _GNU_SOURCE
#include "cli/gguf_fixture.h"

static const char gpt2[] = "{\"architectures\": [\"GPT2LMHeadModel\"], \"model_type\": \"gpt2\", \"n_embd\": 16, "
                           "\"n_layer\": 2, \"n_head\": 2, \"n_inner\": 24, \"n_positions\": 32, \"vocab_size\": 704, "
                           "\"layer_norm_epsilon\": 1e-6, \"initializer_range\": 0.2, \"bos_token_id\": 700, "
                           "\"eos_token_id\": 700";

#define ADAPTED "train --model g/model --train_data t.txt --max_seq_length 16 --threads 1 --lr 3e-3 --max_steps 2 "

static int setup_gpt2(void **state) {
    (void)state;
    lf_err err = {0};
    if (!mkdtemp(root) || lf_mkdir_p(text("%s/tok", root), &err) ||
        lf_copy_file(LF_TEST_DIR "/golden/tokenizer/gpt2.json", text("%s/tok", root), "tokenizer.json", &err))
        return 1;
    put("tok/tokenizer_config.json", "{\"bos_token\": \"<|endoftext|>\", \"eos_token\": \"<|endoftext|>\"}\n");
    put("g.json", text("%s}", gpt2));
    put("t.txt", "rain falls on the hill and runs to the sea\nthe cat sat on the mat and stones do not float\n");
    must("train --init_model g.json --tokenizer tok --method full --train_data t.txt --max_seq_length 16 --max_steps 2 "
         "--lr 1e-2 --threads 1 --output_dir g",
         0);
    must(ADAPTED "--r 2 --target_modules all-linear --output_dir a", 0);
    must("merge --model g/model --adapter a/adapter -o merged", 0);
    return 0;
}

static const struct {
    const char *gguf, *of_transformers;
    bool conv; /* [in,out] in the file for transformers */
} layers[] = {{"attn_norm.weight", "ln_1.weight", false},         {"attn_norm.bias", "ln_1.bias", false},
              {"attn_qkv.weight", "attn.c_attn.weight", true},    {"attn_qkv.bias", "attn.c_attn.bias", false},
              {"attn_output.weight", "attn.c_proj.weight", true}, {"attn_output.bias", "attn.c_proj.bias", false},
              {"ffn_norm.weight", "ln_2.weight", false},          {"ffn_norm.bias", "ln_2.bias", false},
              {"ffn_up.weight", "mlp.c_fc.weight", true},         {"ffn_up.bias", "mlp.c_fc.bias", false},
              {"ffn_down.weight", "mlp.c_proj.weight", true},     {"ffn_down.bias", "mlp.c_proj.bias", false}},
  ends[] = {{"token_embd.weight", "transformer.wte.weight", false},
            {"position_embd.weight", "transformer.wpe.weight", false},
            {"output_norm.weight", "transformer.ln_f.weight", false},
            {"output_norm.bias", "transformer.ln_f.bias", false}};
enum { LAYERS = sizeof layers / sizeof *layers, ENDS = sizeof ends / sizeof *ends };

/* t [out,in], u [in,out], both floats */
static void same_turned_over(const part *t, const lf_st_tensor *u) {
    const uint64_t in = (uint64_t)u->shape[0], out = (uint64_t)u->shape[1];
    assert_true(t->type == 0 && u->dtype == LF_F32 && t->dims[0] == in && t->dims[1] == out);
    for (uint64_t o = 0; o < out; o++)
        for (uint64_t i = 0; i < in; i++) {
            float want;
            memcpy(&want, (const char *)u->data + (i * out + o) * sizeof want, sizeof want);
            if (number_at(t, o * in + i) != want) fail_msg("%s: number [%d,%d] differs", t->name, (int)o, (int)i);
        }
}

static void test_model(void **state) {
    (void)state;
    lf_safetensors *st;
    lf_err err = {0};
    must("merge --model g/model --adapter a/adapter --format gguf -o m.gguf", 0);
    parse("m.gguf");
    if (lf_safetensors_open(&st, text("%s/merged", root), &err)) fail_msg("%s", err.message);
    assert_int_equal(file.n_tensors, 2 * LAYERS + ENDS);
    assert_int_equal(lf_safetensors_count(st), file.n_tensors);
    for (int i = 0; i < ENDS; i++) same_tensor(tensor(ends[i].gguf), other(st, ends[i].of_transformers), 0, 1);
    for (int layer = 0; layer < 2; layer++)
        for (int i = 0; i < LAYERS; i++) {
            const part *t = tensor(text("blk.%d.%s", layer, layers[i].gguf));
            const lf_st_tensor *u = other(st, text("transformer.h.%d.%s", layer, layers[i].of_transformers));
            if (layers[i].conv)
                same_turned_over(t, u);
            else
                same_tensor(t, u, 0, 1);
        }
    lf_safetensors_close(st);
    static const struct {
        const char *name;
        double value;
    } numbers[] = {{"gpt2.vocab_size", 704},
                   {"gpt2.context_length", 32},
                   {"gpt2.embedding_length", 16},
                   {"gpt2.block_count", 2},
                   {"gpt2.feed_forward_length", 24},
                   {"gpt2.attention.head_count", 2},
                   {"tokenizer.ggml.bos_token_id", 700},
                   {"tokenizer.ggml.eos_token_id", 700},
                   {"tokenizer.ggml.add_bos_token", 0}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        near(key_number(numbers[i].name), numbers[i].value, 0);
    near(key_number("gpt2.attention.layer_norm_epsilon"), 1e-6, 1e-12);
    key_says("general.architecture", "gpt2");
    key_says("tokenizer.ggml.model", "gpt2");
    key_says("tokenizer.ggml.pre", "gpt-2");
    /* positions stay floats, as in llama.cpp's own files */
    must("merge --model g/model --adapter a/adapter --format gguf -o h.gguf --save_dtype fp16", 0);
    parse("h.gguf");
    for (int i = 0; i < file.n_tensors; i++) {
        const part *t = &file.tensors[i];
        assert_int_equal(t->type, t->dims[1] && strcmp(t->name, "position_embd.weight") != 0);
    }
}

static void test_adapter(void **state) {
    (void)state;
    lf_safetensors *st;
    lf_err err = {0};
    int pairs = 0;
    must("convert --model g/model --adapter a/adapter --format gguf -o a.gguf", 0);
    parse("a.gguf");
    key_says("general.architecture", "gpt2");
    near(key_number("adapter.lora.alpha"), 8, 0);
    if (lf_safetensors_open(&st, text("%s/a/adapter/adapter_model.safetensors", root), &err))
        fail_msg("%s", err.message);
    for (int layer = 0; layer < 2; layer++)
        for (int i = 0; i < LAYERS; i++) {
            if (!layers[i].conv) continue;
            const char *module = text("base_model.model.transformer.h.%d.%.*s", layer,
                                      (int)strlen(layers[i].of_transformers) - 7, layers[i].of_transformers);
            pairs++;
            same_tensor(tensor(text("blk.%d.%s.lora_a", layer, layers[i].gguf)),
                        other(st, text("%s.lora_A.weight", module)), 0, 1);
            same_tensor(tensor(text("blk.%d.%s.lora_b", layer, layers[i].gguf)),
                        other(st, text("%s.lora_B.weight", module)), 0, 1);
        }
    assert_int_equal(file.n_tensors, 2 * pairs);
    assert_int_equal(lf_safetensors_count(st), 2 * pairs);
    lf_safetensors_close(st);
    /* an output layer of its own goes along where an adapter made it one */
    must(ADAPTED "--r 2 --target_modules lm_head --output_dir head", 0);
    must("merge --model g/model --adapter head/adapter -o headm", 0);
    must("merge --model g/model --adapter head/adapter --format gguf -o head.gguf", 0);
    parse("head.gguf");
    if (lf_safetensors_open(&st, text("%s/headm", root), &err)) fail_msg("%s", err.message);
    same_tensor(tensor("output.weight"), other(st, "lm_head.weight"), 0, 1);
    same_tensor(tensor("token_embd.weight"), other(st, "transformer.wte.weight"), 0, 1);
    lf_safetensors_close(st);
}

static void test_refused(void **state) {
    (void)state;
    static const char *const settings[] = {"\"scale_attn_weights\": false", "\"scale_attn_by_inverse_layer_idx\": true",
                                           "\"activation_function\": \"gelu\""};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        char key[64];
        snprintf(key, sizeof key, "key '%s", settings[i] + 1);
        *(strchr(key, '"') + 1) = 0;
        *strchr(key, '"') = '\'';
        put("g/model/config.json", text("%s, %s}", gpt2, settings[i]));
        must("merge --model g/model --adapter a/adapter --format gguf -o r.gguf", 3);
        if (!strstr(output, key) || !strstr(output, "which llama.cpp has not for model_type 'gpt2'"))
            fail_msg("%s: it said:\n%s", settings[i], output);
        assert_false(lf_exists(text("%s/r.gguf", root)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model), cmocka_unit_test(test_adapter),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup_gpt2, free_file);
}

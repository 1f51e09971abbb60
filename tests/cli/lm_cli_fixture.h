/* A tiny language model and texts, in a folder of their own, and the program run there as a user does. */
#ifndef LF_TESTS_LM_CLI_FIXTURE_H
#define LF_TESTS_LM_CLI_FIXTURE_H

#include "cli/program_fixture.h"

/* Runs "lora-ft <arguments>" in the test's folder; `redirect`: "2>&1", or "2>err" to see results alone. */
static int run_as(const char *redirect, const char *arguments) {
    char command[6000];
    snprintf(command, sizeof command, "{ cd %s && %s/lora-ft %s; } %s", root, LF_BUILD_DIR, arguments, redirect);
    return run_shell(command);
}

__attribute__((unused)) static void must(const char *arguments, int want) {
    const int code = run_as("2>&1", arguments);
    if (code != want) fail_msg("'%s': exit code %d, expected %d; it said:\n%s", arguments, code, want, output);
}

/* The one JSON object that a command prints. */
__attribute__((unused)) static cJSON *json_of(const char *arguments) {
    const int code = run_as("2>/dev/null", arguments);
    cJSON *o = cJSON_Parse(output);
    if (code || !o) fail_msg("'%s': exit code %d, and it printed:\n%s", arguments, code, output);
    return o;
}

__attribute__((unused)) static double number(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNumber(v)) fail_msg("there is no number '%s'", key);
    return v->valuedouble;
}

__attribute__((unused)) static cJSON *results(const char *dir) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s/all_results.json", root, dir), &err)) fail_msg("%s", err.message);
    return o;
}

__attribute__((unused)) static void put(const char *name, const char *content) {
    lf_err err = {0};
    if (lf_file_write(text("%s/%s", root, name), content, strlen(content), &err)) fail_msg("%s", err.message);
}

__attribute__((unused)) static void same_files(const char *a, const char *b) {
    char *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    lf_err err = {0};
    if (lf_file_read(&x, &n, text("%s/%s", root, a), &err) || lf_file_read(&y, &m, text("%s/%s", root, b), &err))
        fail_msg("%s", err.message);
    const int same = n == m && memcmp(x, y, n) == 0;
    lf_free(x);
    lf_free(y);
    if (!same) fail_msg("%s and %s differ", a, b);
}

/* Largest difference between two adapters' numbers. */
__attribute__((unused)) static double distance(const char *a, const char *b) {
    lf_safetensors *x = NULL, *y = NULL;
    lf_err err = {0};
    if (lf_safetensors_open(&x, text("%s/%s/adapter/adapter_model.safetensors", root, a), &err) ||
        lf_safetensors_open(&y, text("%s/%s/adapter/adapter_model.safetensors", root, b), &err))
        fail_msg("%s", err.message);
    double most = 0;
    assert_int_equal(lf_safetensors_count(x), lf_safetensors_count(y));
    for (int64_t i = 0; i < lf_safetensors_count(x); i++) {
        const lf_st_tensor *t = lf_safetensors_at(x, i), *u = lf_safetensors_at(y, i);
        assert_int_equal(t->numel, u->numel);
        for (int64_t j = 0; j < t->numel; j++) {
            float p, q;
            memcpy(&p, (const char *)t->data + (size_t)j * sizeof p, sizeof p);
            memcpy(&q, (const char *)u->data + (size_t)j * sizeof q, sizeof q);
            most = fmax(most, fabs((double)p - (double)q));
        }
    }
    lf_safetensors_close(x);
    lf_safetensors_close(y);
    return most;
}

/* The first "loss" of metrics.jsonl. */
__attribute__((unused)) static double first_loss(const char *dir) {
    char *lines;
    size_t n;
    lf_err err = {0};
    if (lf_file_read(&lines, &n, text("%s/%s/metrics.jsonl", root, dir), &err)) fail_msg("%s", err.message);
    const char *at = strstr(lines, "\"loss\":");
    assert_non_null(at);
    const double loss = strtod(at + 7, NULL);
    lf_free(lines);
    return loss;
}

__attribute__((unused)) static void near(double found, double expected, double tolerance) {
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.17g, expected %.17g within %g", found, expected, tolerance);
}

/* ---- a tiny model, and texts ---- */

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 32, "
    "\"intermediate_size\": 48,\n"
    " \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"vocab_size\": 900, "
    "\"hidden_act\": \"silu\",\n"
    " \"max_position_embeddings\": 96, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, \"initializer_range\": 0.2,\n"
    " \"tie_word_embeddings\": true, \"bos_token_id\": 1, \"eos_token_id\": 2}\n";

static const char *const sentences[] = {"the cat sat on the mat",
                                        "a dog",
                                        "rain falls on the hill and runs to the sea",
                                        "one two three four five six seven",
                                        "she said that it would be cold tonight, and it was",
                                        "yes",
                                        "stones do not float",
                                        "where did the bird go?"};
enum { N_SENTENCES = sizeof sentences / sizeof sentences[0] };

__attribute__((unused)) static int setup(void **state) {
    (void)state;
    lf_err err = {0};
    if (!mkdtemp(root)) return 1;
    FILE *f = fopen(text("%s/train.jsonl", root), "w"), *plain = fopen(text("%s/plain.txt", root), "w");
    if (!f || !plain) return 1;
    for (int i = 0; i < 24; i++) {
        fprintf(f, "{\"text\": \"%s %d\"}\n", sentences[i % N_SENTENCES], i);
        fprintf(plain, "%s %d\n", sentences[(i * 5 + 3) % N_SENTENCES], 100 + i);
    }
    fclose(f);
    fclose(plain);
    put("eval.jsonl", "{\"prompt\": \"the cat sat\", \"completion\": \" on the mat\"}\n{\"prompt\": \"a\", "
                      "\"completion\": \" dog\"}\n");
    if (lf_mkdir_p(text("%s/tokenizer", root), &err) ||
        lf_copy_file(LF_TEST_DIR "/golden/tokenizer/llama2.json", text("%s/tokenizer", root), "tokenizer.json", &err))
        return 1;
    put("tokenizer/tokenizer_config.json",
        "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"unk_token\": \"<unk>\"}\n");
    put("config.json", config);
    must("train --init_model config.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 40 "
         "--lr 5e-3 --batch_size 8 "
         "--threads 1 --output_dir pre",
         0);
    return 0;
}

__attribute__((unused)) static int teardown(void **state) {
    (void)state;
    return lf_remove_tree(root, NULL) != LF_OK;
}

#endif

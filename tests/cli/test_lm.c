/* Language models as a user runs them: pretraining a tiny one, tuning it, what it forgot, packing, accumulation, resuming,
 * generating, and mistakes. The model is random and made by the program itself. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "io/safetensors.h"

static char root[] = "/tmp/lora-ft-test-XXXXXX";
static char output[1 << 16]; /* stdout and stderr of the last command */

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *format, ...) { /* a few at a time */
    static char buffers[8][1024];
    static int next;
    char *b = buffers[next++ % 8];
    va_list args;
    va_start(args, format);
    vsnprintf(b, sizeof buffers[0], format, args);
    va_end(args);
    return b;
}

/* Runs "lora-ft <arguments>" in the test's folder; `redirect`: "2>&1", or "2>err" to see results alone. */
static int run_as(const char *redirect, const char *arguments) {
    char command[6000];
    snprintf(command, sizeof command, "{ cd %s && %s/lora-ft %s; } %s", root, LF_BUILD_DIR, arguments, redirect);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    const size_t n = fread(output, 1, sizeof output - 1, f);
    output[n] = 0;
    const int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void must(const char *arguments, int want) {
    const int code = run_as("2>&1", arguments);
    if (code != want) fail_msg("'%s': exit code %d, expected %d; it said:\n%s", arguments, code, want, output);
}

/* The one JSON object that a command prints. */
static cJSON *json_of(const char *arguments) {
    const int code = run_as("2>/dev/null", arguments);
    cJSON *o = cJSON_Parse(output);
    if (code || !o) fail_msg("'%s': exit code %d, and it printed:\n%s", arguments, code, output);
    return o;
}

static double number(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNumber(v)) fail_msg("there is no number '%s'", key);
    return v->valuedouble;
}

static cJSON *results(const char *dir) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s/all_results.json", root, dir), &err)) fail_msg("%s", err.message);
    return o;
}

static void put(const char *name, const char *content) {
    lf_err err = {0};
    if (lf_file_write(text("%s/%s", root, name), content, strlen(content), &err)) fail_msg("%s", err.message);
}

static void same_files(const char *a, const char *b) {
    char *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    lf_err err = {0};
    if (lf_file_read(&x, &n, text("%s/%s", root, a), &err) || lf_file_read(&y, &m, text("%s/%s", root, b), &err)) fail_msg("%s", err.message);
    const int same = n == m && memcmp(x, y, n) == 0;
    lf_free(x);
    lf_free(y);
    if (!same) fail_msg("%s and %s differ", a, b);
}

/* Largest difference between two adapters' numbers. */
static double distance(const char *a, const char *b) {
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
static double first_loss(const char *dir) {
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

static void near(double found, double expected, double tolerance) {
    if (!(fabs(found - expected) <= tolerance)) fail_msg("found %.17g, expected %.17g within %g", found, expected, tolerance);
}

/* ---- a tiny model, and texts ---- */

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 32, \"intermediate_size\": 48,\n"
    " \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"vocab_size\": 900, \"hidden_act\": \"silu\",\n"
    " \"max_position_embeddings\": 96, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, \"initializer_range\": 0.2,\n"
    " \"tie_word_embeddings\": true, \"bos_token_id\": 1, \"eos_token_id\": 2}\n";

static const char *const sentences[] = {"the cat sat on the mat", "a dog", "rain falls on the hill and runs to the sea", "one two three four five six seven",
                                        "she said that it would be cold tonight, and it was", "yes", "stones do not float", "where did the bird go?"};
enum { N_SENTENCES = sizeof sentences / sizeof sentences[0] };

static int setup(void **state) {
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
    put("eval.jsonl", "{\"prompt\": \"the cat sat\", \"completion\": \" on the mat\"}\n{\"prompt\": \"a\", \"completion\": \" dog\"}\n");
    put("choices.jsonl", "{\"question\": \"the cat sat on the\", \"choices\": [\"mat\", \"qqzzqqzzqqzz\"], \"answer\": 0}\n"
                         "{\"question\": \"a\", \"choices\": [\"x x x x x x x x\", \"dog\", \"hill and hill\"], \"answer\": \"dog\"}\n");
    if (lf_mkdir_p(text("%s/tokenizer", root), &err) || lf_copy_file(LF_TEST_DIR "/golden/tokenizer/llama2.json", text("%s/tokenizer", root), "tokenizer.json", &err))
        return 1;
    put("tokenizer/tokenizer_config.json", "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"unk_token\": \"<unk>\"}\n");
    put("config.json", config);
    must("train --init_model config.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 40 --lr 5e-3 --batch_size 8 "
         "--threads 1 --output_dir pre", 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return lf_remove_tree(root, NULL) != LF_OK;
}

#define TUNE "train --model pre/model --train_data plain.txt --max_seq_length 24 --threads 1 --r 2 --init pissa --lr 3e-3 "

/* ---- runs ---- */

static void test_pretrained_folder_is_a_model(void **state) {
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) assert_true(lf_is_file(text("%s/pre/model/%s", root, files[i])));
    cJSON *o = json_of("eval --model pre/model --data train.jsonl --threads 1 --json");
    assert_true(number(o, "eval_perplexity") < 60); /* of 900 */
    cJSON_Delete(o);
    must("inspect --model pre/model", 0);
    assert_non_null(strstr(output, "vocab_size"));
    must("predict --model pre/model --data train.jsonl", 3);
    assert_non_null(strstr(output, "a language model"));
}

static void test_tuning_and_forgetting(void **state) {
    (void)state;
    must(TUNE "--max_steps 4 --eval_data eval.jsonl --forgetting_data train.jsonl --batch_size 4 --output_dir tuned", 0);
    assert_non_null(strstr(output, "perplexity, pretraining"));
    cJSON *r = results("tuned");
    const double before = number(r, "base_before"), after = number(r, "base_after");
    assert_true(after > before);
    near(number(r, "forgetting"), log(after) - log(before), 1e-12);
    near(number(r, "retention"), before / after, 1e-12);
    assert_true(number(r, "base_kl") > 0 && number(r, "base_ce") > number(r, "base_kl"));
    near(number(r, "eval_perplexity"), exp(number(r, "eval_loss")), 1e-9);
    cJSON *e = json_of("eval --model pre/model --adapter tuned/adapter --data eval.jsonl --forgetting_data train.jsonl --max_seq_length 24 --threads 1 "
                       "--save-logits nll.safetensors --json");
    static const char *const keys[] = {"eval_perplexity", "eval_loss", "eval_token_accuracy", "base_before", "base_after", "forgetting", "base_ce", "base_kl", "update_ratio"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) near(number(e, keys[i]), number(r, keys[i]), 1e-12);
    lf_safetensors *st;
    lf_err err = {0};
    assert_int_equal(lf_safetensors_open(&st, text("%s/nll.safetensors", root), &err), LF_OK);
    const lf_st_tensor *nll = lf_safetensors_find(st, "nll");
    assert_true(nll && nll->numel == (int64_t)number(e, "eval_tokens") && lf_safetensors_find(st, "ids"));
    double sum = 0;
    for (int64_t i = 0; i < nll->numel; i++) sum += (double)((const float *)nll->data)[i];
    near(sum / (double)nll->numel, number(e, "eval_loss"), 1e-6);
    lf_safetensors_close(st);
    cJSON_Delete(e);
    /* padding does not count: alone in a batch a text has none, in a batch of all the short ones are mostly padding */
    static const char *const sizes[] = {"1", "3", "64"};
    assert_true(number(r, "update_ratio") > 0);
    for (int i = 0; i < 3; i++) {
        e = json_of(text("eval --model pre/model --adapter tuned/adapter --forgetting_data train.jsonl --max_seq_length 24 --threads 1 --eval_batch_size %s --json", sizes[i]));
        near(number(e, "update_ratio"), number(r, "update_ratio"), 1e-6 * number(r, "update_ratio"));
        cJSON_Delete(e);
    }
    cJSON_Delete(r);
    e = json_of("eval --model pre/model --forgetting_data train.jsonl --threads 1 --json"); /* no adapter: nothing is forgotten, exactly */
    assert_true(number(e, "forgetting") == 0 && number(e, "base_kl") == 0 && number(e, "retention") == 1);
    cJSON_Delete(e);
    must("merge --model pre/model --adapter tuned/adapter -o merged", 0);
    cJSON *a = json_of("eval --model pre/model --adapter tuned/adapter --data plain.txt --max_seq_length 24 --threads 1 --json");
    cJSON *b = json_of("eval --model merged --data plain.txt --max_seq_length 24 --threads 1 --json");
    near(number(a, "eval_loss"), number(b, "eval_loss"), 1e-5);
    cJSON_Delete(a);
    cJSON_Delete(b);
    char *readme;
    size_t n;
    assert_int_equal(lf_file_read(&readme, &n, text("%s/tuned/adapter/README.md", root), &err), LF_OK);
    assert_non_null(strstr(readme, "AutoModelForCausalLM"));
    lf_free(readme);
}

static void test_resumed_equals_straight(void **state) {
    (void)state;
    lf_err err = {0};
    static const char *const data[] = {"--train_data plain.txt", "--train_data train.jsonl --packing true"};
    for (int i = 0; i < 2; i++) {
        const char *args = text("train --model pre/model %s --max_seq_length 32 --threads 1 --r 2 --init intermediate --lr 3e-3 --lora_dropout 0.2 --batch_size 2 "
                                "--gradient_accumulation_steps 2 --max_steps 7 --save_strategy steps --save_steps 3 --logging_steps 2", data[i]);
        must(text("%s --output_dir straight%d", args, i), 0);
        must(text("%s --output_dir cut%d", args, i), 0);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/checkpoint-6", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/checkpoint-7", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut%d/all_results.json", root, i), &err), LF_OK);
        must(text("%s --output_dir cut%d --resume_from_checkpoint true", args, i), 0);
        assert_non_null(strstr(output, "step 3 of 7"));
        same_files(text("straight%d/adapter/adapter_model.safetensors", i), text("cut%d/adapter/adapter_model.safetensors", i));
        same_files(text("straight%d/metrics.jsonl", i), text("cut%d/metrics.jsonl", i));
    }
    must("train --model pre/model --train_data train.jsonl --packing true --max_seq_length 33 --threads 1 --r 2 --init intermediate --lr 3e-3 --lora_dropout 0.2 "
         "--batch_size 2 --gradient_accumulation_steps 2 --max_steps 7 --output_dir cut1 --resume_from_checkpoint cut1/checkpoint-3", 2);
    assert_non_null(strstr(output, "max_seq_length"));
}

#define ONE "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --r 2 --lr 1e-2 --optim sgd --momentum 0 --max_grad_norm 0 --logging_steps 1 "

/* The documents are the same, so the sums of their losses are, whatever rows they stand in. */
static void test_packing_changes_no_loss(void **state) {
    (void)state;
    must(ONE "--batch_size 24 --max_steps 1 --output_dir loose", 0);
    must(ONE "--batch_size 24 --max_steps 1 --packing true --output_dir packed", 0);
    near(first_loss("loose"), first_loss("packed"), 1e-5);
    assert_true(distance("loose", "packed") < 1e-5);
    must(ONE "--batch_size 24 --max_steps 1 --packing true --gradient_checkpointing true --output_dir again", 0);
    same_files("packed/adapter/adapter_model.safetensors", "again/adapter/adapter_model.safetensors");
}

/* Micro-batches of texts of unequal length weigh by their tokens. */
static void test_accumulation_equals_the_big_batch(void **state) {
    (void)state;
    must(ONE "--batch_size 12 --max_steps 2 --output_dir big", 0);
    must(ONE "--batch_size 3 --gradient_accumulation_steps 4 --max_steps 2 --output_dir small", 0);
    near(first_loss("big"), first_loss("small"), 1e-5);
    assert_true(distance("big", "small") < 1e-5);
    must(ONE "--batch_size 12 --max_steps 2 --seed 1 --output_dir other", 0);
    assert_true(distance("big", "other") > 1e-5); /* else the bound says nothing */
}

static void test_a_text_without_targets_does_no_harm(void **state) {
    (void)state;
    put("short.jsonl", "{\"prompt\": \"a dog\", \"completion\": \"\"}\n{\"prompt\": \"the cat\", \"completion\": \" sat\"}\n");
    must("train --model pre/model --tokenizer pre/model --train_data short.jsonl --threads 1 --r 2 --batch_size 1 --max_steps 4 --output_dir short", 0);
}

static void test_choices_and_answers(void **state) {
    (void)state;
    cJSON *o = json_of("eval --model pre/model --data choices.jsonl --threads 1 --json");
    assert_true(number(o, "eval_choices") == 2);
    assert_true(number(o, "eval_choice_accuracy") >= 0.5);
    assert_true(number(o, "eval_choice_accuracy_norm") >= 0.5);
    cJSON_Delete(o);
    put("answers.jsonl", "{\"prompt\": \"the cat sat on\", \"completion\": \" the qqq\"}\n");
    o = json_of("eval --model pre/model --data answers.jsonl --answer_pattern '(q+)' --answer_tokens 8 --threads 1 --json");
    assert_true(number(o, "eval_exact_match") == 0 && number(o, "eval_answers") == 1);
    cJSON_Delete(o);
    o = json_of("generate --model pre/model --prompt 'the cat sat on' --max_new_tokens 8 --threads 1 --json");
    put("answers.jsonl", text("{\"prompt\": \"the cat sat on\", \"completion\": \"%s\"}\n", cJSON_GetObjectItemCaseSensitive(o, "text")->valuestring));
    cJSON_Delete(o);
    o = json_of("eval --model pre/model --data answers.jsonl --answer_pattern '\\w+' --answer_tokens 8 --threads 1 --json");
    assert_true(number(o, "eval_exact_match") == 1);
    cJSON_Delete(o);
}

static void test_bench(void **state) {
    (void)state;
    cJSON *o = json_of("bench --model pre/model --batch 2 --seq 16 --steps 2 --warmup 1 --r 2 --threads 1 --json");
    near(number(o, "items_per_second"), 32 / number(o, "step_seconds"), 1e-6 * number(o, "items_per_second"));
    cJSON_Delete(o);
    must("bench --model pre/model --batch 2 --seq 97 --steps 1", 2); /* of 96 positions */
}

/* ---- generating ---- */

static void test_generate(void **state) {
    (void)state;
    cJSON *a = json_of("generate --model pre/model --prompt 'the cat' --max_new_tokens 12 --temperature 1 --top_k 20 --top_p 0.9 --seed 5 --threads 1 --json");
    cJSON *b = json_of("generate --model pre/model --prompt 'the cat' --max_new_tokens 12 --temperature 1 --top_k 20 --top_p 0.9 --seed 5 --threads 1 --json");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(a, "text")->valuestring, cJSON_GetObjectItemCaseSensitive(b, "text")->valuestring);
    cJSON_Delete(b);
    b = json_of("generate --model pre/model --prompt 'the cat' --max_new_tokens 12 --temperature 1 --seed 6 --threads 1 --json");
    assert_string_not_equal(cJSON_GetObjectItemCaseSensitive(a, "text")->valuestring, cJSON_GetObjectItemCaseSensitive(b, "text")->valuestring);
    cJSON_Delete(a);
    cJSON_Delete(b);
    a = json_of("generate --model pre/model --prompt 'the cat sat on the' --max_new_tokens 200 --ignore_eos true --threads 1 --json"); /* 96 positions */
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(a, "finish_reason")->valuestring, "context");
    assert_true(number(a, "generated_tokens") + number(a, "prompt_tokens") == 97); /* the last one needs no place */
    const char *whole = cJSON_GetObjectItemCaseSensitive(a, "text")->valuestring;
    assert_true(strlen(whole) > 12);
    char stop[8];
    snprintf(stop, sizeof stop, "%.*s", 3, whole + 5);
    b = json_of(text("generate --model pre/model --prompt 'the cat sat on the' --max_new_tokens 200 --ignore_eos true --stop '[\"%s\"]' --threads 1 --json", stop));
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(b, "finish_reason")->valuestring, "stop");
    const char *cut = cJSON_GetObjectItemCaseSensitive(b, "text")->valuestring;
    assert_true(strlen(cut) <= 5 && strncmp(cut, whole, strlen(cut)) == 0 && strncmp(whole + strlen(cut), stop, 3) == 0);
    cJSON_Delete(a);
    cJSON_Delete(b);
    must("generate --model pre/model --chat true --chat_template chatml --prompt 'hi' --max_new_tokens 3 --threads 1", 0);
}

/* What is written greedily with the cache is what a pass over the whole text finds most probable. */
static void test_the_cache_changes_no_token(void **state) {
    (void)state;
    cJSON *o = json_of("generate --model pre/model --prompt 'rain falls' --max_new_tokens 6 --ignore_eos true --threads 1 --json");
    put("whole.jsonl", text("{\"prompt\": \"rain falls\", \"completion\": \"%s\"}\n", cJSON_GetObjectItemCaseSensitive(o, "text")->valuestring));
    cJSON *e = json_of("eval --model pre/model --data whole.jsonl --threads 1 --json");
    assert_true(number(e, "eval_tokens") == number(o, "generated_tokens")); /* the same tokens again */
    assert_true(number(e, "eval_token_accuracy") == 1);
    cJSON_Delete(e);
    cJSON_Delete(o);
}

static const char *stories(void) {
    static char path[1024];
    const char *data = getenv("LF_SHARED_DATA");
    if (data) snprintf(path, sizeof path, "%s/models/stories260K", data);
    else snprintf(path, sizeof path, "%s/../shared/data/models/stories260K", LF_SOURCE_DIR);
    return lf_is_dir(path) ? path : NULL;
}

static void test_the_story_of_the_reference(void **state) {
    (void)state;
    lf_err err = {0};
    cJSON *reference;
    if (!stories()) {
        print_message("[  SKIPPED ] stories260K is not beside the project\n");
        skip();
    }
    if (lf_json_read(&reference, text("%s/reference.json", stories()), &err)) fail_msg("%s", err.message);
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(reference, "greedy_from_bos");
    const int n = cJSON_GetArraySize(want) - 1; /* it begins with BOS */
    cJSON *o = json_of(text("generate --model %s/hf --max_new_tokens %d --json < /dev/null", stories(), n));
    const cJSON *got = cJSON_GetObjectItemCaseSensitive(o, "ids");
    assert_int_equal(cJSON_GetArraySize(got), n);
    for (int i = 0; i < n; i++) assert_int_equal(cJSON_GetArrayItem(got, i)->valueint, cJSON_GetArrayItem(want, i + 1)->valueint);
    cJSON_Delete(o);
    cJSON_Delete(reference);
}

/* ---- mistakes: one line, the right exit code, and what it is about ---- */

static void test_mistakes(void **state) {
    (void)state;
    put("not-utf8.jsonl", "{\"text\": \"fine\"}\n{\"text\": \"bad \xff\"}\n");
    put("not-json.jsonl", "{\"text\": \"fine\"}\n{\"text\": \n");
    put("no-field.jsonl", "{\"text\": \"fine\"}\n{\"txet\": \"not\"}\n");
    put("empty.jsonl", "");
    put("long.jsonl", "{\"prompt\": \"a b c d e f g h i j k l m n o p q r s t u v w x y z\", \"completion\": \" z\"}\n");
    put("outside.json", "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 32, \"intermediate_size\": 48, "
                        "\"num_hidden_layers\": 1, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"vocab_size\": 40, \"max_position_embeddings\": 96}");
    static const struct { const char *arguments; int code; const char *says; } cases[] = {
        {TUNE "--train_data not-utf8.jsonl --max_steps 1 --output_dir bad", 3, "not-utf8.jsonl: line 2"},
        {TUNE "--train_data not-json.jsonl --max_steps 1 --output_dir bad", 3, "not-json.jsonl: line 2"},
        {TUNE "--train_data no-field.jsonl --max_steps 1 --output_dir bad", 3, "no-field.jsonl: line 2"},
        {TUNE "--train_data empty.jsonl --max_steps 1 --output_dir bad", 3, "empty.jsonl"},
        {TUNE "--train_data nowhere.jsonl --max_steps 1 --output_dir bad", 3, "nowhere.jsonl"},
        {TUNE "--train_data long.jsonl --max_steps 1 --max_seq_length 8 --output_dir bad", 3, "max_seq_length"},
        {TUNE "--eval_data not-json.jsonl --max_steps 1 --output_dir bad", 3, "not-json.jsonl: line 2"},
        {TUNE "--max_steps 1 --max_seq_length 97 --output_dir bad", 2, "96"},
        {TUNE "--max_steps 1 --method head --output_dir bad", 2, "method"},
        {TUNE "--max_steps 1 --modules_to_save lm_head --output_dir bad", 2, "modules_to_save"},
        {"train --init_model outside.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 1 --output_dir bad", 3, "train.jsonl"},
        {"train --init_model config.json --method full --train_data train.jsonl --max_steps 1 --output_dir bad", 3, "tokenizer.json"},
        {"eval --model pre/model --data plain.txt --answer_pattern x", 2, "answer_pattern"},
        {"generate --model pre/model --prompt 'a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x y z "
         "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x y z'", 2, "context of 96"},
        {"generate --model pre/model --chat true --prompt x", 3, "chat template"},
        {"generate --prompt x", 2, "model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        must(cases[i].arguments, cases[i].code);
        const char *line = strstr(output, "lora-ft train: ");
        if (!line) line = strstr(output, "lora-ft eval: ");
        if (!line) line = strstr(output, "lora-ft generate: ");
        if (!line || !strstr(line, cases[i].says) || strchr(line, '\n') != line + strlen(line) - 1)
            fail_msg("'%s': expected one line with '%s', found:\n%s", cases[i].arguments, cases[i].says, output);
    }
    assert_false(lf_is_dir(text("%s/bad", root)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pretrained_folder_is_a_model), cmocka_unit_test(test_tuning_and_forgetting),
        cmocka_unit_test(test_resumed_equals_straight),      cmocka_unit_test(test_packing_changes_no_loss),
        cmocka_unit_test(test_accumulation_equals_the_big_batch), cmocka_unit_test(test_a_text_without_targets_does_no_harm),
        cmocka_unit_test(test_choices_and_answers),          cmocka_unit_test(test_bench),
        cmocka_unit_test(test_generate),                     cmocka_unit_test(test_the_cache_changes_no_token),
        cmocka_unit_test(test_the_story_of_the_reference),   cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

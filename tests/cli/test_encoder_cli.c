/* Encoders as a user tunes them: texts are classified, and what the model said of hidden tokens before is forgotten. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define TUNE                                                                                                           \
    "train --train_data films.jsonl --eval_data films.jsonl --forgetting_data text.jsonl --r 4 --lr 5e-3 --threads 1 " \
    "--target_modules all-linear --max_seq_length 16 --batch_size 8 --lr_scheduler_type constant --max_steps 24 "

/* A folder of tests/golden with a vocabulary of letters, as BERT's vocab.txt. */
static int put_model(const char *name) {
    lf_err err = {0};
    char vocabulary[1000] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (char c = 'a'; c <= 'z'; c++) strcat(vocabulary, text("%c\n##%c\n", c, c));
    static const char *const files[] = {"config.json", "model.safetensors"};
    if (lf_mkdir_p(text("%s/%s", root, name), &err)) return 1;
    for (int i = 0; i < 2; i++)
        if (lf_copy_file(text(LF_TEST_DIR "/golden/enc-%s/%s", name, files[i]), text("%s/%s", root, name), files[i],
                         &err))
            return 1;
    put(text("%s/vocab.txt", name), vocabulary);
    return 0;
}

static int setup_all(void **state) {
    static const char *const words[] = {"abc", "cab", "dad", "bed", "fed"};
    (void)state;
    if (!mkdtemp(root) || put_model("bert-mlm") || put_model("bert")) return 1;
    FILE *films = fopen(text("%s/films.jsonl", root), "w"), *plain = fopen(text("%s/text.jsonl", root), "w");
    if (!films || !plain) return 1;
    for (int i = 0; i < 40; i++) {
        const char *a = words[i * 3 % 5], *b = words[i * 7 % 5];
        fprintf(films, "{\"text\": \"%s %s\", \"label\": \"%s\"}\n", i % 2 ? "bad" : "ace", a, i % 2 ? "neg" : "pos");
        fprintf(plain, "{\"text\": \"%s %s %s\"}\n", a, b, i % 3 ? "gem" : "");
    }
    fclose(films);
    fclose(plain);
    must(TUNE "--model bert-mlm --output_dir tuned --save_strategy steps --save_steps 12", 0);
    return 0;
}

/* The figures are those of hidden tokens: of 40 short texts some 15 in 100. */
static void test_forgets(void **state) {
    (void)state;
    cJSON *r = results("tuned");
    assert_true(number(r, "eval_accuracy") > 0.9);
    assert_true(number(r, "base_tokens") > 30 && number(r, "base_tokens") < 130);
    near(number(r, "base_chance"), 61, 0);
    assert_true(number(r, "base_before") > 1 && number(r, "base_kl") > 0);
    near(number(r, "forgetting"), log(number(r, "base_after")) - log(number(r, "base_before")), 1e-12);
    cJSON_Delete(r);
}

/* The same texts, hidden in the same places: whatever the batch, and the seed of the run. */
static void test_same_places(void **state) {
    (void)state;
    static const char *const others[] = {"--per_device_eval_batch_size 1", "--per_device_eval_batch_size 64",
                                         "--seed 7"};
    cJSON *r = results("tuned");
    for (int i = 0; i < 3; i++) {
        must(text(TUNE "--model bert-mlm --output_dir other --overwrite_output_dir true --max_steps 1 %s", others[i]),
             0);
        cJSON *o = results("other");
        near(number(o, "base_before"), number(r, "base_before"), 1e-4);
        near(number(o, "base_tokens"), number(r, "base_tokens"), 0);
        cJSON_Delete(o);
    }
    cJSON_Delete(r);
}

/* Two kinds of figures, accuracy of labels and perplexity of hidden tokens, and what chooses of the same kind. */
static void test_choosing_by_both(void **state) {
    (void)state;
    must(TUNE "--model bert-mlm --output_dir both --metric_for_best_model tradeoff --max_forgetting 9", 0);
    cJSON *r = results("both");
    const double a = number(r, "eval_accuracy"), k = number(r, "selection_retention");
    near(number(r, "selection_tradeoff"), 2 * a * k / (a + k), 1e-12);
    near(number(r, "selection_forgetting"), -log(k), 1e-12);
    assert_true(number(r, "selection_samples") > 10 && number(r, "base_tokens") > 10);
    cJSON_Delete(r);
    must(TUNE "--model bert-mlm --output_dir kinds --metric_for_best_model tradeoff --forgetting_eval_data films.jsonl",
         2);
    if (!strstr(output, "key 'forgetting_eval_data'")) fail_msg("it said: %s", output);
}

/* The pooler that the file lacks is in the checkpoints and in the adapter. */
static void test_goes_on(void **state) {
    (void)state;
    must(TUNE "--model bert-mlm --output_dir half --save_strategy steps --save_steps 12 --max_steps 12", 0);
    must(TUNE "--model bert-mlm --output_dir half --save_strategy steps --save_steps 12 --resume_from_checkpoint true",
         0);
    same_files("tuned/adapter/adapter_model.safetensors", "half/adapter/adapter_model.safetensors");
    cJSON *r = results("tuned"), *e = json_of("eval --model bert-mlm --adapter tuned/adapter --data films.jsonl "
                                              "--forgetting_data text.jsonl --max_seq_length 16 --threads 1 --json");
    static const char *const keys[] = {"eval_accuracy", "eval_loss", "base_before", "base_after", "base_kl"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) near(number(e, keys[i]), number(r, keys[i]), 1e-12);
    cJSON_Delete(e);
    must("merge --model bert-mlm --adapter tuned/adapter --save_dtype fp32 --output_dir merged", 0);
    e = json_of("eval --model merged --data films.jsonl --max_seq_length 16 --threads 1 --json");
    near(number(e, "eval_loss"), number(r, "eval_loss"), 1e-4);
    cJSON_Delete(e);
    cJSON_Delete(r);
}

static void test_mistakes(void **state) {
    (void)state;
    must(TUNE "--model bert --output_dir none", 3);
    assert_non_null(strstr(output, "no labels"));
    char vocabulary[1000] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"; /* [MASK] is added behind the model's 61 tokens */
    for (char c = 'a'; c <= 'z'; c++) strcat(vocabulary, text("%c\n##%c\n", c, c));
    put("bert-mlm/vocab.txt", text("%s.\n,\n!\n?\n:\n", vocabulary));
    must(TUNE "--model bert-mlm --output_dir none", 3);
    if (!strstr(output, "mask_token")) fail_msg("it said: %s", output);
    assert_int_equal(put_model("bert-mlm"), 0);
}

/* Labels of what the model knew before, by what its head says. */
static void test_labels_of_before(void **state) {
    (void)state;
    lf_err err = {0};
    cJSON *c;
    put("kinds.jsonl", "{\"text\": \"a\", \"category\": \"x\"}\n{\"text\": \"b\", \"category\": \"x\"}\n");
    put("numbers.jsonl", "{\"text\": \"a\", \"label\": 0.5}\n{\"text\": \"b\", \"label\": 1.5}\n");
    put("several.jsonl", "{\"text\": \"a\", \"label\": [\"x\"]}\n{\"text\": \"b\", \"label\": [\"x\", \"y\"]}\n");
    assert_int_equal(put_model("bert-bare"), 0);
    must("train --model bert-bare --train_data films.jsonl --forgetting_data kinds.jsonl --max_steps 1 --threads 1 "
         "--output_dir kinds",
         0);
    cJSON *r = results("kinds");
    near(number(r, "base_before"), 1, 0); /* by neighbours, which are all of one class */
    cJSON_Delete(r);
    static const char *const unfit[] = {"numbers", "several"};
    for (int i = 0; i < 2; i++) {
        must(text("train --model bert-bare --train_data films.jsonl --forgetting_data %s.jsonl --threads 1 "
                  "--output_dir none",
                  unfit[i]),
             3);
        if (!strstr(output, "neighbours need one class each")) fail_msg("it said: %s", output);
    }
    assert_int_equal(lf_json_read(&c, text("%s/bert/config.json", root), &err), LF_OK);
    cJSON_AddStringToObject(c, "problem_type", "regression");
    assert_int_equal(lf_json_write_in(text("%s/bert", root), "config.json", c, true, &err), LF_OK);
    cJSON_Delete(c);
    must("train --model bert --train_data films.jsonl --forgetting_data numbers.jsonl --threads 1 --output_dir none",
         3);
    if (!strstr(output, "says numbers (problem_type regression)")) fail_msg("it said: %s", output);
    assert_int_equal(put_model("bert"), 0);
}

/* BERT's tokenizer gives a second text the type 1, of which RoBERTa has none. */
static void test_types_of_another_model(void **state) {
    (void)state;
    put("pairs.jsonl", "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": 0}\n"
                       "{\"sentence1\": \"b\", \"sentence2\": \"b\", \"label\": 1}\n");
    assert_int_equal(put_model("roberta"), 0);
    must("train --model roberta --tokenizer bert --train_data pairs.jsonl --max_steps 1 --threads 1 --output_dir none",
         3);
    if (!strstr(output, "gives a token type 1, but key 'type_vocab_size'")) fail_msg("it said: %s", output);
}

static void test_bench(void **state) {
    (void)state;
    static const char *const modes[] = {"", "--eval", "--precision bf16 --gradient_checkpointing true"};
    for (int i = 0; i < 3; i++) {
        cJSON *o = json_of(text("bench --model bert-mlm --batch 3 --seq 10 --steps 1 --warmup 0 --threads 1 "
                                "--target_modules all-linear --json %s",
                                modes[i]));
        assert_true(number(o, "items_per_second") > 0);
        near(number(o, "seq"), 10, 0);
        cJSON_Delete(o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forgets),
                                       cmocka_unit_test(test_same_places),
                                       cmocka_unit_test(test_choosing_by_both),
                                       cmocka_unit_test(test_goes_on),
                                       cmocka_unit_test(test_bench),
                                       cmocka_unit_test(test_mistakes),
                                       cmocka_unit_test(test_labels_of_before),
                                       cmocka_unit_test(test_types_of_another_model)};
    return cmocka_run_group_tests(tests, setup_all, teardown);
}

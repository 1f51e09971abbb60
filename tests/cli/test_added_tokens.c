/* The key added_tokens as a user of PEFT knows it: a vocabulary that grows beside an adapter, its files, and what reads
 * them. The base's vocabulary is as large as its tokenizer, or padded. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

enum { V = 900, N_NEW = 2 };

#define RUN                                                                                                            \
    "train --model pre/model --train_data tools.jsonl --eval_data tools.jsonl --forgetting_data before.jsonl "         \
    "--max_seq_length 32 --threads 1 --r 2 --lr 1e-2 --batch_size 4 --max_steps 4 "
#define NEW "--added_tokens '<tool>,<end of it>' "

static void write_texts(void) {
    static char tools[2000], before[600];
    for (int i = 0; i < 8; i++) {
        snprintf(tools + strlen(tools), sizeof tools - strlen(tools), "{\"text\": \"%s<tool> it is %d<end of it>\"}\n",
                 i % 2 ? "the dog " : "", i);
        if (i < 4)
            snprintf(before + strlen(before), sizeof before - strlen(before),
                     "{\"text\": \"the cat <tool> sat on the hill %d\"}\n", i);
    }
    put("tools.jsonl", tools);
    put("before.jsonl", before);
}

/* Rows of a tensor in an adapter's file; 0: it is not there. */
static int64_t rows_of(const char *dir, const char *tensor) {
    lf_safetensors *st;
    lf_err err = {0};
    if (lf_safetensors_open(&st, text("%s/%s/adapter_model.safetensors", root, dir), &err)) fail_msg("%s", err.message);
    const lf_st_tensor *t = lf_safetensors_find(st, text("base_model.model.%s.weight", tensor));
    const int64_t rows = t ? t->shape[0] : 0;
    lf_safetensors_close(st);
    return rows;
}

static cJSON *json_at(const char *path) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s", root, path), &err)) fail_msg("%s", err.message);
    return o;
}

/* The id that the tokenizer in the folder gives a new token, by both of its files; -1: it is in neither. */
static int id_of(const char *dir, const char *token) {
    cJSON *json = json_at(text("%s/tokenizer.json", dir)),
          *config_json = json_at(text("%s/tokenizer_config.json", dir));
    const cJSON *item;
    int id = -1, by_config = -1;
    cJSON_ArrayForEach(
        item,
        cJSON_GetObjectItemCaseSensitive(
            json, "added_tokens")) if (!strcmp(cJSON_GetObjectItemCaseSensitive(item, "content")->valuestring, token))
        id = cJSON_GetObjectItemCaseSensitive(item, "id")->valueint;
    cJSON_ArrayForEach(
        item, cJSON_GetObjectItemCaseSensitive(
                  config_json,
                  "added_tokens_decoder")) if (!strcmp(cJSON_GetObjectItemCaseSensitive(item, "content")->valuestring,
                                                       token)) by_config = atoi(item->string);
    assert_int_equal(id, by_config);
    cJSON_Delete(json);
    cJSON_Delete(config_json);
    return id;
}

static double figure(const char *dir, const char *key) {
    cJSON *o = results(dir);
    const double value = number(o, key);
    cJSON_Delete(o);
    return value;
}

/* ---- tests ---- */

static void test_training_and_files(void **state) {
    (void)state;
    must(RUN NEW "--output_dir grown", 0);
    assert_non_null(strstr(output, text("the vocabulary has %d tokens, %d of them new", V + N_NEW, N_NEW)));
    assert_int_equal(rows_of("grown/adapter", "model.embed_tokens"), V + N_NEW);
    assert_int_equal(rows_of("grown/adapter", "lm_head"), V + N_NEW);
    assert_int_equal(id_of("grown/adapter", "<tool>"), V);
    assert_int_equal(id_of("grown/adapter", "<end of it>"), V + 1);
    assert_true(figure("grown", "eval_perplexity") < figure("grown", "eval_perplexity_before"));
    assert_true(figure("grown", "base_kl") > 0);
    char *readme;
    size_t n;
    lf_err err = {0};
    if (lf_file_read(&readme, &n, text("%s/grown/adapter/README.md", root), &err)) fail_msg("%s", err.message);
    assert_non_null(strstr(readme, text("resize_token_embeddings(%d", V + N_NEW)));
    lf_free(readme);
    must(RUN "--output_dir plain", 0); /* the base is the same, and so is how its data are encoded */
    static const char *const of_base[] = {"base_before", "base_tokens", "base_loss_before", "base_chance"};
    for (size_t i = 0; i < sizeof of_base / sizeof *of_base; i++)
        assert_true(figure("grown", of_base[i]) == figure("plain", of_base[i]));
    assert_true(figure("grown", "eval_tokens") < figure("plain", "eval_tokens")); /* one token each, not several */
    assert_false(lf_is_file(text("%s/plain/adapter/tokenizer.json", root)));
}

static void test_every_verb_reads_it(void **state) {
    (void)state;
    static const char *const keys[] = {"eval_perplexity", "base_before", "base_after", "base_kl", "update_ratio"};
    cJSON *e = json_of("eval --model pre/model --adapter grown/adapter --data tools.jsonl --forgetting_data "
                       "before.jsonl --max_seq_length 32 --threads 1 --json");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) near(number(e, keys[i]), figure("grown", keys[i]), 1e-12);
    cJSON_Delete(e);
    must("eval --model pre/model --adapter grown/adapter --data tools.jsonl --max_seq_length 32 --compare_with base",
         2);
    assert_non_null(strstr(output, "the base does not know the tokens"));
    must("eval --model pre/model --adapter grown/adapter --data tools.jsonl --max_seq_length 32 --compare_with "
         "plain/adapter",
         2);
    assert_non_null(strstr(output, text("knows %d tokens, and what is judged %d", V, V + N_NEW)));
    must("eval --model pre/model --adapter grown/adapter --data tools.jsonl --max_seq_length 32 --compare_with "
         "straight/adapter",
         0);
    cJSON *g = json_of("generate --model pre/model --adapter grown/adapter --prompt '<tool>' --max_new_tokens 3 "
                       "--threads 1 --json");
    assert_int_equal((int)number(g, "prompt_tokens"), 2); /* <s> and it */
    cJSON_Delete(g);
    lf_err err = {0};
    put("pre/model/merges.txt", "of the base's own tokenizer, which is not the merged model's");
    if (lf_mkdir_p(text("%s/grown/adapter/additional_chat_templates", root), &err)) fail_msg("%s", err.message);
    put("grown/adapter/additional_chat_templates/tool_use.jinja", "{{ messages[0].content }}");
    must("merge --model pre/model --adapter grown/adapter -o merged --save_dtype fp32", 0);
    assert_false(lf_is_file(text("%s/merged/merges.txt", root)));
    same_files("merged/additional_chat_templates/tool_use.jinja",
               "grown/adapter/additional_chat_templates/tool_use.jinja");
    if (lf_remove_in(text("%s/pre/model", root), "merges.txt", &err) ||
        lf_remove_tree(text("%s/grown/adapter/additional_chat_templates", root), &err))
        fail_msg("%s", err.message);
    cJSON *c = json_at("merged/config.json");
    assert_int_equal((int)number(c, "vocab_size"), V + N_NEW);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(c, "tie_word_embeddings")));
    cJSON_Delete(c);
    assert_int_equal(id_of("merged", "<end of it>"), V + 1);
    e = json_of("eval --model merged --data tools.jsonl --max_seq_length 32 --threads 1 --json");
    near(number(e, "eval_perplexity"), figure("grown", "eval_perplexity"), 1e-4);
    cJSON_Delete(e);
    /* new rows at half the size are halfway between the mean and what was learned */
    e = json_of("eval --model pre/model --adapter grown/adapter --adapter_scale 0.5 --data tools.jsonl "
                "--max_seq_length 32 --threads 1 --json");
    const double half = number(e, "eval_perplexity");
    assert_true(half > figure("grown", "eval_perplexity"));
    cJSON_Delete(e);
    e = json_of("rewind --model pre/model --adapter grown/adapter --lambdas 0.5,1 --data tools.jsonl --forgetting_data "
                "before.jsonl --max_seq_length 32 --threads 1 --json");
    const cJSON *points = cJSON_GetObjectItem(e, "points");
    near(number(cJSON_GetArrayItem(points, 0), "eval_perplexity"), half, 1e-12);
    near(number(cJSON_GetArrayItem(points, 1), "base_after"), figure("grown", "base_after"), 1e-12);
    assert_false(cJSON_HasObjectItem(cJSON_GetArrayItem(points, 1), "eval_became_wrong")); /* against whom? */
    cJSON_Delete(e);
}

static void test_resumed_equals_straight(void **state) {
    (void)state;
    lf_err err = {0};
    const char *args = RUN NEW "--lora_dropout 0.2 --save_strategy steps --save_steps 2 ";
    must(text("%s --output_dir straight", args), 0);
    must(text("%s --output_dir cut", args), 0);
    if (lf_remove_tree(text("%s/cut/checkpoint-4", root), &err) ||
        lf_remove_tree(text("%s/cut/all_results.json", root), &err))
        fail_msg("%s", err.message);
    must(text("%s --output_dir cut --resume_from_checkpoint true", args), 0);
    assert_non_null(strstr(output, "step 2 of 4"));
    same_files("straight/adapter/adapter_model.safetensors", "cut/adapter/adapter_model.safetensors");
    same_files("straight/adapter/tokenizer.json", "cut/adapter/tokenizer.json");
    same_files("straight/metrics.jsonl", "cut/metrics.jsonl");
    assert_int_equal(id_of("cut/checkpoint-2/adapter", "<tool>"), V);
}

static void test_going_on(void **state) {
    (void)state;
    must(RUN "--continue_from grown/adapter --output_dir on", 0);
    assert_int_equal(rows_of("on/adapter", "model.embed_tokens"), V + N_NEW);
    assert_int_equal(id_of("on/adapter", "<end of it>"), V + 1);
    near(figure("on", "eval_perplexity_before"), figure("grown", "eval_perplexity"), 1e-4);
    assert_true(figure("on", "base_before") == figure("grown", "base_before"));
    must(RUN "--continue_from grown/adapter --added_tokens '<tool>,<more>' --output_dir more", 0);
    assert_int_equal(rows_of("more/adapter", "lm_head"), V + N_NEW + 1);
    assert_int_equal(id_of("more/adapter", "<more>"), V + N_NEW);
    assert_int_equal(id_of("more/adapter", "<tool>"), V);
}

/* A model with room for more tokens than its tokenizer has. */
static void test_padded_vocabulary(void **state) {
    (void)state;
    cJSON *t = json_at("tokenizer/tokenizer.json");
    cJSON *words = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(t, "model"), "vocab");
    const int n = cJSON_GetArraySize(words);
    cJSON_Delete(t);
    char *wide = strdup(config), *at = strstr(wide, "900");
    assert_non_null(at);
    const int room = n + 2;
    assert_int_equal(snprintf(NULL, 0, "%d", room), 3);
    for (int i = 2, rest = room; i >= 0; i--, rest /= 10) at[i] = (char)('0' + rest % 10);
    put("wide.json", wide);
    free(wide);
    must("train --init_model wide.json --tokenizer tokenizer --method full --train_data train.jsonl --max_steps 2 "
         "--threads 1 --output_dir padded",
         0);
    must("train --model padded/model --train_data tools.jsonl --max_steps 2 --threads 1 --r 2 --output_dir fits " NEW,
         0);
    assert_null(strstr(output, "of them new"));
    assert_int_equal(rows_of("fits/adapter", "model.embed_tokens"), room);
    assert_int_equal(id_of("fits/adapter", "<tool>"), n);
    must("train --model padded/model --train_data tools.jsonl --max_steps 2 --threads 1 --r 2 --output_dir third "
         "--added_tokens '<tool>,<a>,<b>'",
         0);
    assert_non_null(strstr(output, "1 of them new"));
    assert_int_equal(rows_of("third/adapter", "lm_head"), room + 1);
}

/* BERT's, whose words are in a vocab.txt: new tokens stand in tokenizer_config.json alone. Its masked-token head, which
 * forgetting is measured by, stays the base's. */
static void test_vocab_txt(void **state) {
    (void)state;
    enum { WORDS = 61 };
    static const char *const files[] = {"config.json", "model.safetensors"}, *const words[] = {
                                                                                 "[PAD]",  "[UNK]", "[CLS]", "[SEP]",
                                                                                 "[MASK]", "the",   "sea",   "wind",
                                                                                 "is",     "<",     "tool",  ">"};
    static char vocab[2000], texts[2000];
    lf_err err = {0};
    if (lf_mkdir_p(text("%s/bert", root), &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 2; i++)
        if (lf_copy_file(text(LF_TEST_DIR "/golden/enc-bert-mlm/%s", files[i]), text("%s/bert", root), files[i], &err))
            fail_msg("%s", err.message);
    for (int i = 0; i < WORDS; i++)
        snprintf(vocab + strlen(vocab), sizeof vocab - strlen(vocab), "%s\n",
                 i < (int)(sizeof words / sizeof *words) ? words[i] : text("w%d", i));
    for (int i = 0; i < 12; i++)
        snprintf(texts + strlen(texts), sizeof texts - strlen(texts),
                 "{\"text\": \"the sea %s is w%d\", \"label\": \"%s\"}\n", i % 2 ? "<Tool>" : "wind", 20 + i,
                 i % 2 ? "new" : "old");
    put("bert/vocab.txt", vocab);
    put("classes.jsonl", texts);
    must("train --model bert --train_data classes.jsonl --eval_data classes.jsonl --forgetting_data before.jsonl "
         "--threads 1 --r 2 --lr 1e-2 --batch_size 4 --max_steps 6 --added_tokens '<Tool>' --output_dir classes",
         0);
    assert_int_equal(rows_of("classes/adapter", "bert.embeddings.word_embeddings"), WORDS + 1);
    assert_true(figure("classes", "base_kl") > 0);
    cJSON *c = json_at("classes/adapter/tokenizer_config.json");
    assert_non_null(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(c, "added_tokens_decoder"), "61"));
    cJSON_Delete(c);
    must("merge --model bert --adapter classes/adapter -o merged-bert --save_dtype fp32", 0);
    static const char *const models[] = {"bert --adapter classes/adapter", "merged-bert"};
    for (int i = 0; i < 2; i++) {
        cJSON *e = json_of(text("eval --model %s --data classes.jsonl --threads 1 --json", models[i]));
        near(number(e, "eval_loss"), figure("classes", "eval_loss"), i ? 1e-5 : 1e-12);
        cJSON_Delete(e);
    }
}

static void test_known_tokens_and_mistakes(void **state) {
    (void)state;
    must(RUN "--added_tokens '<s>,</s>' --output_dir known", 0);
    assert_int_equal(rows_of("known/adapter", "model.embed_tokens"), V);
    assert_false(lf_is_file(text("%s/known/adapter/tokenizer.json", root))); /* it is the base's */
    must("train --model pre/model --train_data tools.jsonl --method full --output_dir full " NEW, 2);
    assert_non_null(strstr(output, "added_tokens"));
    must("train --model pre/model --train_data tools.jsonl --output_dir ends --target_modules "
         "'.*(embed_tokens|q_proj)' " NEW,
         2);
    assert_non_null(strstr(output, "embed_tokens"));
}

static int setup_all(void **state) {
    if (setup(state)) return 1;
    write_texts();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_training_and_files),
                                       cmocka_unit_test(test_resumed_equals_straight),
                                       cmocka_unit_test(test_every_verb_reads_it),
                                       cmocka_unit_test(test_going_on),
                                       cmocka_unit_test(test_padded_vocabulary),
                                       cmocka_unit_test(test_known_tokens_and_mistakes),
                                       cmocka_unit_test(test_vocab_txt)};
    return cmocka_run_group_tests(tests, setup_all, teardown);
}

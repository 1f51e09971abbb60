/* README.md beside an adapter: the head that a hub reads, results in it, the base's name there, and that what somebody
 * wrote stays. */
#define _GNU_SOURCE
#include "cli/lm_cli_fixture.h"

#define TRAIN                                                                                                          \
    "train --model pre/model --train_data train.jsonl --eval_data plain.txt --forgetting_data plain.txt "              \
    "--max_seq_length 24 --threads 1 --lr 3e-3 --per_device_train_batch_size 4 --r 4 --save_strategy steps "           \
    "--save_steps 1 "

static char card[1 << 14];

static const char *read_card(const char *dir) {
    char *s;
    size_t n;
    lf_err err = {0};
    if (lf_file_read(&s, &n, text("%s/%s/README.md", root, dir), &err)) fail_msg("%s", err.message);
    assert_true(n < sizeof card);
    memcpy(card, s, n + 1);
    lf_free(s);
    return card;
}

static void says(const char *what) {
    if (!strstr(card, what)) fail_msg("README.md does not say '%s':\n%s", what, card);
}
static void says_not(const char *what) {
    if (strstr(card, what)) fail_msg("README.md says '%s':\n%s", what, card);
}

static void begins(const char *what) {
    if (strncmp(card, what, strlen(what)) != 0) fail_msg("README.md does not begin with '%s':\n%s", what, card);
}

static void test_head(void **state) {
    (void)state;
    must(TRAIN "--max_steps 2 --hub_model_id org/tiny-2.5 --output_dir a", 0);
    read_card("a/adapter");
    begins("---\nbase_model: org/tiny-2.5\nlibrary_name: peft\npipeline_tag: text-generation\n");
    says("tags:\n- lora\n- lora-ft\nmodel-index:\n- name: \"tiny-2.5\"\n  results:\n");
    says("  - task:\n      type: text-generation\n    dataset:\n      name: \"plain.txt\"\n      type: \"plain.txt\"\n"
         "      split: validation\n    metrics:\n");
    says("BASE = \"org/tiny-2.5\"");
    cJSON *r = results("a");
    static const char *const figures[][2] = {
        {"eval_loss", "loss"}, {"eval_perplexity", "perplexity"}, {"retention", "retention"}};
    for (int i = 0; i < 3; i++)
        says(text("    - type: %s\n      name: %s\n      value: %.6g\n", figures[i][1], figures[i][0],
                  number(r, figures[i][0])));
    cJSON_Delete(r);
    says_not("seconds");
    says_not("eval_tokens");
    must("verify a/adapter", 0); /* the base is found where it was */
    cJSON *o = NULL;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/a/adapter/adapter_config.json", root), &err)) fail_msg("%s", err.message);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "base_model_name_or_path")),
                        "org/tiny-2.5");
    cJSON_Delete(o);
    must(TRAIN "--max_steps 2 --output_dir b", 0); /* a path is no name on a hub */
    read_card("b/adapter");
    begins("---\n# base_model: ");
    same_files("a/adapter/adapter_model.safetensors", "b/adapter/adapter_model.safetensors");
    read_card("b/checkpoint-1/adapter"); /* nothing is measured as yet */
    says_not("model-index");
    must(TRAIN "--max_steps 2 --hub_model_id /a/path --output_dir c", 2);
    assert_non_null(strstr(output, "expected a name like org/name, found '/a/path'"));
}

/* Of an adapter that was made of another the results are not the other's. */
static void test_made_of_another(void **state) {
    (void)state;
    must("convert --adapter a/adapter --r 2 -o two", 0);
    read_card("two");
    says("base_model: org/tiny-2.5");
    says("- lora-ft\n---\n");
    says_not("model-index");
    says("reduced to rank 2");
    must("convert --adapter two --r 1 -o one", 0);
    read_card("one");
    says("reduced to rank 2");
    says("reduced to rank 1");
}

/* A run that goes on, and one that is made anew in the same folder, write the adapter again. */
static void test_own_words(void **state) {
    (void)state;
    run_shell(text("cd %s && echo 'My own words.' >> a/adapter/README.md && cp a/adapter/README.md own.md", root));
    must(TRAIN "--max_steps 3 --hub_model_id org/tiny-2.5 --output_dir a --resume_from_checkpoint true", 0);
    same_files("own.md", "a/adapter/README.md");
    must("convert --adapter a/adapter --r 2 -o two --overwrite_output_dir", 0);
    same_files("own.md", "two/README.md");
    /* what nobody changed follows the run */
    run_shell(text("cp %s/b/adapter/README.md %s/before.md", root, root));
    must(TRAIN "--max_steps 3 --output_dir b --resume_from_checkpoint true", 0);
    read_card("b/adapter");
    cJSON *r = results("b");
    says(text("value: %.6g\n", number(r, "eval_loss")));
    cJSON_Delete(r);
    assert_int_not_equal(run_shell(text("cmp -s %s/b/adapter/README.md %s/before.md", root, root)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_head), cmocka_unit_test(test_made_of_another),
                                       cmocka_unit_test(test_own_words)};
    return cmocka_run_group_tests(tests, setup, teardown);
}

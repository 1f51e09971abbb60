/* Remedies against forgetting through the program: one at weight 0 is none, to the last byte; one that is asked for
 * shows in metrics.jsonl, does what it is for, and goes on where it was; what cannot be combined is refused by name. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define PLAIN                                                                                                          \
    "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --lr 2e-2 --batch_size 4 "       \
    "--logging_steps 1 --r 2 "

/* ---- every remedy ---- */

static const struct {
    const char *name;   /* the key of its weight, and its member in metrics.jsonl */
    const char *weight; /* that shows */
    const char *beside; /* what else it needs */
} remedies[] = {
    {"l2_to_base", "0.05", ""},
};
enum { N_REMEDIES = sizeof remedies / sizeof *remedies };

static bool log_has(const char *dir, const char *key) {
    char *lines;
    size_t size;
    lf_err err = {0};
    if (lf_file_read(&lines, &size, text("%s/%s/metrics.jsonl", root, dir), &err)) fail_msg("%s", err.message);
    const bool has = strstr(lines, text("\"%s\":", key)) != NULL;
    lf_free(lines);
    return has;
}

static void test_weight_0_is_none(void **state) {
    (void)state;
    must(PLAIN "--init intermediate --max_steps 4 --output_dir none", 0);
    for (int i = 0; i < N_REMEDIES; i++) {
        const char *name = remedies[i].name;
        must(text(PLAIN "--init intermediate --max_steps 4 --%s 0 --output_dir zero-%s", name, name), 0);
        same_files("none/adapter/adapter_model.safetensors", text("zero-%s/adapter/adapter_model.safetensors", name));
        same_files("none/adapter/lora_ft.json", text("zero-%s/adapter/lora_ft.json", name));
        same_files("none/metrics.jsonl", text("zero-%s/metrics.jsonl", name));
        assert_false(log_has("none", name));
    }
}

#define CUT                                                                                                            \
    "train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --lr 3e-3 --lora_dropout 0.1 "   \
    "--batch_size 4 --gradient_accumulation_steps 2 --logging_steps 2 --r 2 --max_steps 7 --save_strategy steps "      \
    "--save_steps 3 "

/* Cut between two lines of the log, whose sums go on. */
static void test_resumed_equals_straight(void **state) {
    (void)state;
    lf_err err = {0};
    for (int i = 0; i < N_REMEDIES; i++) {
        char flags[400]; /* text() has few */
        snprintf(flags, sizeof flags, "--%s %s %s", remedies[i].name, remedies[i].weight, remedies[i].beside);
        must(text(CUT "%s --output_dir straight-%d", flags, i), 0);
        assert_true(log_has(text("straight-%d", i), remedies[i].name));
        must(text(CUT "%s --output_dir cut-%d", flags, i), 0);
        assert_int_equal(lf_remove_tree(text("%s/cut-%d/checkpoint-6", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut-%d/checkpoint-7", root, i), &err), LF_OK);
        assert_int_equal(lf_remove_tree(text("%s/cut-%d/all_results.json", root, i), &err), LF_OK);
        must(text(CUT "%s --output_dir cut-%d --resume_from_checkpoint true", flags, i), 0);
        assert_non_null(strstr(output, "step 3 of 7"));
        same_files(text("straight-%d/adapter/adapter_model.safetensors", i),
                   text("cut-%d/adapter/adapter_model.safetensors", i));
        same_files(text("straight-%d/adapter/lora_ft.json", i), text("cut-%d/adapter/lora_ft.json", i));
        same_files(text("straight-%d/metrics.jsonl", i), text("cut-%d/metrics.jsonl", i));
    }
}

static const struct {
    const char *flags;
    const char *words[3]; /* of its one line */
} refused[] = {
    {"--l2_to_base 1 --use_dora true", {"l2_to_base", "use_dora"}},
    {"--l2_to_base 1 --method full", {"l2_to_base", "method full", "method lora"}},
    {"--l2_to_base -1", {"l2_to_base", "0"}},
};

static void test_what_cannot_be_combined(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        must(text("train --model pre/model --train_data train.jsonl --max_seq_length 40 --threads 1 --max_steps 1 "
                  "--output_dir refused %s",
                  refused[i].flags),
             2);
        for (int w = 0; w < 3 && refused[i].words[w]; w++)
            if (!strstr(output, refused[i].words[w]))
                fail_msg("'%s': no '%s' in: %s", refused[i].flags, refused[i].words[w], output);
    }
}

/* ---- each one ---- */

/* The last value of a member of metrics.jsonl. */
static double last_of(const char *dir, const char *key) {
    char *lines;
    size_t size;
    lf_err err = {0};
    if (lf_file_read(&lines, &size, text("%s/%s/metrics.jsonl", root, dir), &err)) fail_msg("%s", err.message);
    const char *at = NULL, *next = lines;
    while ((next = strstr(next, text("\"%s\":", key)))) at = next += strlen(key) + 3;
    if (!at) fail_msg("%s/metrics.jsonl has no '%s'", dir, key);
    const double value = strtod(at, NULL);
    lf_free(lines);
    return value;
}

/* What pulls harder leaves less of an update; the term is of the weights before the step that logs it. */
static void test_l2_to_base_pulls(void **state) {
    (void)state;
    must(PLAIN "--init pissa --max_steps 12 --l2_to_base 1e-9 --output_dir loose", 0);
    must(PLAIN "--init pissa --max_steps 12 --l2_to_base 0.5 --output_dir tight", 0);
    const double loose = last_of("loose", "l2_to_base") / 1e-9, tight = last_of("tight", "l2_to_base") / 0.5;
    if (!(tight < loose / 2)) fail_msg("|dW|^2 / 2 is %g with the term, and %g next to without", tight, loose);
    cJSON *facts;
    lf_err err = {0};
    if (lf_json_read(&facts, text("%s/tight/adapter/lora_ft.json", root), &err)) fail_msg("%s", err.message);
    near(number(cJSON_GetObjectItem(facts, "run"), "l2_to_base"), 0.5, 0);
    cJSON_Delete(facts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_0_is_none),
        cmocka_unit_test(test_resumed_equals_straight),
        cmocka_unit_test(test_what_cannot_be_combined),
        cmocka_unit_test(test_l2_to_base_pulls),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

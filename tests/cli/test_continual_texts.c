/* Texts, one task after the other: language, whose score is the mean log-probability of a token, and texts with
 * classes, judged beside the base's own words. */
#define _XOPEN_SOURCE 700
#include "cli/lm_cli_fixture.h"

#define SHARED                                                                                                         \
    "continual --model pre/model --max_seq_length 40 --threads 1 --lr 2e-2 --batch_size 4 --r 2 --max_steps 4 "

/* The fixture's, three small tasks of language and two of classes. */
static int setup_all(void **state) {
    static const char *const files[] = {"a.jsonl", "b.jsonl"}, *const classes[] = {"yes", "no"};
    if (setup(state)) return 1;
    for (int f = 0; f < 2; f++) {
        FILE *words = fopen(text("%s/%s", root, files[f]), "w"),
             *labels = fopen(text("%s/class-%s", root, files[f]), "w");
        if (!words || !labels) return 1;
        for (int i = 0; i < 12; i++) {
            fprintf(words, "{\"text\": \"%s %d\"}\n", sentences[(i + 4 * f) % N_SENTENCES], i);
            fprintf(labels, "{\"text\": \"%s %d\", \"label\": \"%s\"}\n", sentences[i % N_SENTENCES], i,
                    classes[(i + f) % 2]);
        }
        fclose(words);
        fclose(labels);
    }
    return 0;
}

static cJSON *json_in(const char *path) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s", root, path), &err)) fail_msg("%s", err.message);
    return o;
}

static double score(const char *path, const char *which, const char *task) {
    cJSON *o = json_in(path);
    const double x = number(cJSON_GetObjectItem(o, which), task);
    cJSON_Delete(o);
    return x;
}

#define LANGUAGE                                                                                                       \
    "--forgetting_data plain.txt --tasks '[{\"name\": \"a\", \"train_data\": \"a.jsonl\", \"eval_data\": "             \
    "\"a.jsonl\"}, "                                                                                                   \
    "{\"name\": \"b\", \"train_data\": \"b.jsonl\", \"eval_data\": \"b.jsonl\"}]' "

static void test_language(void **state) {
    (void)state;
    must(SHARED LANGUAGE "--output_dir words", 0);
    cJSON *first = results("words/task-01-a"), *second = results("words/task-02-b"), *all = results("words");
    near(score("words/task-01-a/scores.json", "scores", "a"), -log(number(first, "eval_perplexity")), 1e-12);
    near(score("words/task-01-a/scores.json", "before", "a"), -log(number(first, "eval_perplexity_before")), 1e-12);
    near(score("words/task-02-b/scores.json", "scores", "b"), -log(number(second, "eval_perplexity")), 1e-12);
    /* where the second task begins is where the first has ended */
    near(score("words/task-01-a/scores.json", "scores", "b"), -log(number(second, "eval_perplexity_before")), 1e-6);
    near(number(all, "bwt"),
         score("words/task-02-b/scores.json", "scores", "a") - score("words/task-01-a/scores.json", "scores", "a"),
         1e-12);
    near(number(all, "fwt"),
         score("words/task-01-a/scores.json", "scores", "b") - score("words/task-01-a/scores.json", "before", "b"),
         1e-12);
    near(number(all, "average_log_probability"),
         (score("words/task-02-b/scores.json", "scores", "a") + score("words/task-02-b/scores.json", "scores", "b")) /
             2,
         1e-12);
    near(number(all, "base_before"), number(first, "base_before"), 0);
    near(number(all, "base_after"), number(second, "base_after"), 0);
    near(number(all, "base_retention"), number(second, "base_before") / number(second, "base_after"), 1e-12);
    cJSON_Delete(first);
    cJSON_Delete(second);
    cJSON_Delete(all);
}

static void test_joint_language(void **state) {
    (void)state;
    must(SHARED LANGUAGE "--between joint --output_dir both", 0);
    must("train --model pre/model --max_seq_length 40 --threads 1 --lr 2e-2 --batch_size 4 --r 2 --max_steps 4 "
         "--forgetting_data plain.txt --train_data '[\"a.jsonl\", \"b.jsonl\"]' --eval_data '[\"a.jsonl\", "
         "\"b.jsonl\"]' --output_dir list",
         0);
    same_files("both/joint/adapter/adapter_model.safetensors", "list/adapter/adapter_model.safetensors");
    same_files("both/joint/metrics.jsonl", "list/metrics.jsonl");
}

/* A remedy of each task's own texts, which nothing has to be given for: the first task's run is that of `train`. */
static void test_held_without_the_target(void **state) {
    (void)state;
    static const char held[] = "--kl_weight 1 --kl_mask_target true --logging_steps 1 ";
    must(text(SHARED LANGUAGE "%s --output_dir held", held), 0);
    must(text("train --model pre/model --max_seq_length 40 --threads 1 --lr 2e-2 --batch_size 4 --r 2 --max_steps 4 "
              "--forgetting_data plain.txt --train_data a.jsonl --eval_data a.jsonl %s --output_dir held-a",
              held),
         0);
    same_files("held/task-01-a/metrics.jsonl", "held-a/metrics.jsonl");
    assert_true(last_logged("held/task-01-a", "kl") > 0 && last_logged("held/task-02-b", "kl") > 0);
    must(text(SHARED LANGUAGE "%s --between merge --kl_reference previous --output_dir held-merge", held), 0);
    assert_true(last_logged("held-merge/task-02-b", "kl") > 0);
}

static double perplexity(const char *flags) {
    cJSON *o = json_of(text("eval %s --max_seq_length 40 --threads 1 --precision fp32 --data a.jsonl --compare_with "
                            "none --json",
                            flags));
    const double x = number(o, "eval_perplexity");
    cJSON_Delete(o);
    return x;
}

/* An adapter of a language model saves no module whole. What goes out after each task is one adapter on the untouched
 * base, and the merged model says what it says. */
static void test_adding_language(void **state) {
    (void)state;
    static const char *const ways[] = {"merge", "stack"}, *const after[] = {"after-01-a", "after-02-b"};
    char flags[160];
    for (int w = 0; w < 2; w++) {
        double so_far[2];
        must(text(SHARED LANGUAGE "--between %s --output_dir %s", ways[w], ways[w]), 0);
        for (int t = 0; t < 2; t++) {
            snprintf(flags, sizeof flags, "--model pre/model --adapter %s/%s/adapter", ways[w], after[t]);
            so_far[t] = perplexity(flags);
            snprintf(flags, sizeof flags, "--model %s/%s/model", ways[w], after[t]);
            near(perplexity(flags) / so_far[t], 1, 1e-5);
        }
        snprintf(flags, sizeof flags, "%s/task-02-b/scores.json", ways[w]);
        near(score(flags, "scores", "a"), -log(so_far[1]), 1e-6);
        assert_true(fabs(so_far[0] / so_far[1] - 1) > 1e-3 &&
                    fabs(perplexity("--model pre/model") / so_far[1] - 1) > 1e-3);
    }
}

#define CLASSES                                                                                                        \
    "--task_type SEQ_CLS --forgetting_data plain.txt --tasks '[{\"name\": \"a\", \"train_data\": \"class-a.jsonl\", "  \
    "\"eval_data\": \"class-a.jsonl\"}, {\"name\": \"b\", \"train_data\": \"class-b.jsonl\", \"eval_data\": "          \
    "\"class-b.jsonl\"}]' "

/* Where one says yes the other says no, so each is right where the other is wrong. */
static void test_classes_beside_language(void **state) {
    (void)state;
    must(SHARED CLASSES "--output_dir classes", 0);
    cJSON *second = results("classes/task-02-b"), *all = results("classes");
    near(score("classes/task-02-b/scores.json", "scores", "b"), number(second, "eval_accuracy"), 0);
    near(score("classes/task-02-b/scores.json", "scores", "a"), 1 - number(second, "eval_accuracy"), 1e-12);
    near(score("classes/task-01-a/scores.json", "before", "b"), 0.5, 0);
    near(number(all, "average_accuracy"), 0.5, 1e-12);
    near(number(all, "base_after"), number(second, "base_after"), 0); /* a perplexity */
    cJSON_Delete(second);
    cJSON_Delete(all);
}

/* One matrix has one measure. */
static void test_one_measure(void **state) {
    (void)state;
    put("numbers.jsonl", "{\"text\": \"a dog\", \"label\": 0.5}\n{\"text\": \"yes\", \"label\": 1.5}\n");
    must(SHARED "--task_type SEQ_CLS --between reset --output_dir mixed --tasks '[{\"name\": \"a\", \"train_data\": "
                "\"class-a.jsonl\", \"eval_data\": \"class-a.jsonl\"}, {\"name\": \"n\", \"train_data\": "
                "\"numbers.jsonl\", \"eval_data\": \"numbers.jsonl\", \"problem_type\": \"regression\"}]'",
         2);
    assert_non_null(strstr(output, "task 'n'"));
    assert_non_null(strstr(output, "one kind"));
}

/* The head of language is the model's: a task has none of its own, which shows before the first. */
static void test_language_has_one_head(void **state) {
    (void)state;
    must(SHARED LANGUAGE "--heads task --output_dir refused", 2);
    assert_non_null(strstr(output, "'heads'"));
    assert_non_null(strstr(output, "task 'a'"));
    assert_false(lf_exists(text("%s/refused", root)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_language),
        cmocka_unit_test(test_joint_language),
        cmocka_unit_test(test_held_without_the_target),
        cmocka_unit_test(test_adding_language),
        cmocka_unit_test(test_classes_beside_language),
        cmocka_unit_test(test_one_measure),
        cmocka_unit_test(test_language_has_one_head),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown);
}

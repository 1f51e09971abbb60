/* Which examples are drawn, and what is chosen on which of them. */
#define _XOPEN_SOURCE 700
#include "cli/cli_fixture.h"

#include "stats/stats.h"
#include "task/pictures.h"
#include "train/run.h"

#define TRAIN                                                                                                          \
    "train --model $M --threads 1 --per_device_train_batch_size 8 --r 4 --learning_rate 1e-2 --train_data data "       \
    "--forgetting_data base "

/* A number that metrics.jsonl has of a step; NAN: none. */
static double logged(const char *dir, const char *key, int step) {
    size_t size;
    char *lines = contents(text("%s/metrics.jsonl", dir), &size);
    double value = NAN;
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
        cJSON *row = cJSON_ParseWithLength(line, (size_t)(end - line));
        const cJSON *found = cJSON_GetObjectItem(row, key);
        if (cJSON_GetObjectItem(row, "step")->valueint == step && found) value = found->valuedouble;
        cJSON_Delete(row);
    }
    lf_free(lines);
    return value;
}

/* ---- which examples ---- */

/* The head stays, so what it says at step 0 depends on the examples alone. */
static void test_data_seed_draws(void **state) {
    (void)state;
    static const struct {
        const char *seeds;
        bool same;
    } cases[] = {{"--seed 7", true}, {"--data_seed 42 --seed 8", true}, {"--data_seed 3", false}};
    static const char run_it[] = TRAIN "--train_data base --reuse_head true --train_val_split 0.5 --max_steps 1 "
                                       "--max_forgetting_samples 9 --output_dir %s %s";
    must(run(run_it, "first", ""), 0);
    for (int i = 0; i < 3; i++) {
        char dir[16];
        snprintf(dir, sizeof dir, "seeds%d", i);
        must(run(run_it, dir, cases[i].seeds), 0);
        assert_int_equal(logged(dir, "eval_loss", 0) == logged("first", "eval_loss", 0), cases[i].same);
        assert_int_equal(result(dir, "base_entropy") == result("first", "base_entropy"), cases[i].same);
    }
    must(run("eval --model $M --threads 1 --data base --max_samples 7 --seed 5"), 0);
    said("data_seed says which");
}

/* A run of a version that had one seed goes on with the examples that it drew. */
static void test_a_run_without_data_seed(void **state) {
    (void)state;
    static const char old[] = TRAIN "--train_val_split 0.3 --lr_scheduler_type constant --seed 7 --output_dir old ";
    must(run("%s--data_seed 7 --max_steps 4", old), 0);
    must(run_shell(text("sed -i '/\"data_seed\"/d' %s/old/config.json && ! grep -q data_seed %s/old/config.json", root,
                        root)),
         0);
    must(run("%s--resume_from_checkpoint true --max_steps 4 --data_seed 42", old), 2);
    said("data_seed");
    must(run("%s--resume_from_checkpoint true --max_steps 8", old), 0);
    must(run(TRAIN "--train_val_split 0.3 --lr_scheduler_type constant --seed 7 --data_seed 7 --max_steps 8 "
                   "--output_dir straight"),
         0);
    same_files("old/adapter/adapter_model.safetensors", "straight/adapter/adapter_model.safetensors");
    must(run(TRAIN "--train_val_split 0.3 --seed 7 --max_steps 8 --output_dir old --resume_from_checkpoint "
                   "old/checkpoint-4 --lr_scheduler_type constant --data_seed 1"),
         2);
    said("data_seed");
}

/* ---- the halves of forgetting_data ---- */

/* The names of the base's examples that are reported on, and of those that choose, each in a line. */
static char *halves_of(const char *keys) {
    lf_err err = {0};
    lf_config *cfg;
    lf_run r;
    lf_string t = {0};
    const char *const fixed[][2] = {{"model", LF_TEST_DIR "/golden/vit-base"},
                                    {"threads", "1"},
                                    {"train_data", text("%s/data", root)},
                                    {"output_dir", "none"}};
    assert_int_equal(lf_config_new(&cfg, "train", &err), LF_OK);
    for (int i = 0; i < 4; i++) assert_int_equal(lf_config_set(cfg, fixed[i][0], fixed[i][1], &err), LF_OK);
    assert_int_equal(lf_config_set(cfg, "forgetting_data", text("%s/base", root), &err), LF_OK);
    char copy[200], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", keys);
    for (char *key = strtok_r(copy, " ", &rest); key; key = strtok_r(NULL, " ", &rest))
        if (lf_config_set(cfg, key, strtok_r(NULL, " ", &rest), &err)) fail_msg("%s", err.message);
    if (lf_config_finish(cfg, &err) || lf_run_open_data(&r, cfg, &err)) fail_msg("%s", err.message);
    lf_dataset *const *data = lf_pictures_of(r.task)->data;
    for (int role = LF_DATA_BASE; role <= LF_DATA_BASE_EVAL; role++)
        for (int64_t i = 0; data[role] && i < lf_dataset_count(data[role]); i++) {
            char name[300];
            lf_string_add(&t, "%s %s\n", role == LF_DATA_BASE ? "reports" : "chooses",
                          lf_path_base(lf_dataset_example_name(data[role], i, name, sizeof name)) - 8);
        }
    lf_run_close(&r);
    lf_config_free(cfg);
    return lf_string_take(&t);
}

static int count_words(const char *in, const char *word) {
    int n = 0;
    for (const char *at = in; (at = strstr(at, word)); at++) n++;
    return n;
}

static void test_halves(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        int reports, chooses;
        bool as_first; /* the same examples as in the first case */
    } cases[] = {
        {"metric_for_best_model tradeoff", 10, 10, true},
        {"metric_for_best_model tradeoff seed 7", 10, 10, true},
        {"max_forgetting 3 seed 9", 10, 10, true},
        {"metric_for_best_model retention data_seed 1", 10, 10, false},
        {"metric_for_best_model accuracy", 20, 0, false},
        {"seed 7", 20, 0, false},
        {"metric_for_best_model forgetting max_forgetting_samples 11", 6, 5, false},
    };
    char *first = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *found = halves_of(cases[i].keys);
        if (count_words(found, "reports ") != cases[i].reports || count_words(found, "chooses ") != cases[i].chooses)
            fail_msg("%s:\n%s", cases[i].keys, found);
        for (char *line = found, *end; (end = strchr(line, '\n')); line = end + 1) { /* nothing is in both */
            char example[300];
            snprintf(example, sizeof example, "%.*s", (int)(end - line - 7), line + 7);
            if (count_words(found, example) != 1) fail_msg("%s: '%s' is there twice", cases[i].keys, example);
        }
        if (!first) first = lf_strdup(found);
        if ((strcmp(first, found) == 0) != cases[i].as_first) fail_msg("%s:\n%s\n%s", cases[i].keys, found, first);
        lf_free(found);
    }
    lf_free(first);
}

/* ---- choosing in a run ---- */

enum { STEPS = 6 };
#define CHOOSE                                                                                                         \
    TRAIN "--forgetting_data known --learning_rate 3e-2 --max_steps 6 --eval_strategy steps --eval_steps 1 "           \
          "--save_strategy steps --save_steps 1 "                                                                      \
          "--load_best_model_at_end true --lr_scheduler_type constant "

/* Which of the lines 1 to STEPS is the best by two of their numbers. */
static int best_line(const char *dir, const char *figure, bool less, double most) {
    const lf_wish wish = {less, most};
    int best = 0;
    lf_candidate so_far = {NAN, NAN};
    for (int i = 1; i <= STEPS; i++) {
        const lf_candidate c = {logged(dir, figure, i), 100 * logged(dir, "selection_forgetting", i)};
        if (!lf_is_better(&wish, c, so_far)) continue;
        so_far = c;
        best = i;
    }
    return best;
}

/* What the base says most often: 16 of 32 it calls so, and training makes it forget them. */
static void know_something(void) {
    must(run_shell(text("cd %s && mkdir -p known/LABEL_0 && n=0 && for f in base/*/*.ppm data/test/*/*.ppm; do "
                        "n=$((n+1)); cp $f known/LABEL_0/$n.ppm; done",
                        root)),
         0);
}

static void test_the_best_evaluation(void **state) {
    (void)state;
    static const struct {
        const char *keys, *figure;
        bool less;
        double most;
    } cases[] = {
        {"--metric_for_best_model retention", "selection_retention", false, NAN},
        {"--metric_for_best_model forgetting", "selection_forgetting", true, NAN},
        {"--metric_for_best_model tradeoff", "selection_tradeoff", false, NAN},
        {"--max_forgetting 25", "eval_accuracy", false, 25},
        {"--max_forgetting -101", "eval_accuracy", false, -101},
        {"--max_forgetting 25 --metric_for_best_model loss", "eval_loss", true, 25},
    };
    know_something();
    for (int i = 0; i < 6; i++) {
        char dir[16];
        snprintf(dir, sizeof dir, "best%d", i);
        must(run(CHOOSE "--logging_steps 100 --output_dir %s %s", dir, cases[i].keys), 0);
        const int best = best_line(dir, cases[i].figure, cases[i].less, cases[i].most);
        assert_true(best > 0);
        if (best < STEPS) said(text("the best checkpoint is that of step %d (", best));
        /* had the data that are reported chosen, it would be another */
        if (i == 5) assert_true(best < STEPS && logged(dir, "base_accuracy", STEPS) > logged(dir, "base_accuracy", 0));
        /* the last evaluations are of what was written: the best step's numbers */
        assert_true(result(dir, "selection_forgetting") == logged(dir, "selection_forgetting", best));
        assert_true(result(dir, "base_after") == logged(dir, "base_accuracy", best));
        assert_true(result(dir, "selection_samples") == 16 && result(dir, "base_samples") == 16);
        if (cases[i].most < -100)
            said("no evaluation forgot as little as max_forgetting");
        else
            assert_null(strstr(output, "no evaluation forgot"));
    }
    must(run_shell(text("grep -q 'chose nothing; 16 others chose' %s/best0/report.html", root)), 0);
    /* what stops early waits for the same */
    must(run(CHOOSE "--metric_for_best_model retention --early_stopping_patience 2 --output_dir early"), 0);
    assert_true(result("early", "steps") == best_line("best0", "selection_retention", false, NAN) + 2);
    assert_true(result("early", "steps") < STEPS);
    /* of the halves together it is what eval finds of the whole */
    must(run("eval --model $M --threads 1 --adapter best0/adapter --forgetting_data known --json 2>log"), 0);
    cJSON *o = cJSON_Parse(output);
    const double whole = cJSON_GetObjectItem(o, "base_after")->valuedouble;
    assert_true(fabs(2 * whole - result("best0", "base_after") - result("best0", "selection_base_after")) < 1e-9);
    cJSON_Delete(o);
}

/* Stopped and gone on, by a figure that may be below 0; and with the base's scores kept. */
static void test_goes_on(void **state) {
    (void)state;
    static const char go[] = CHOOSE "--metric_for_best_model forgetting --early_stopping_patience 9 --output_dir %s %s";
    must(run(go, "whole", "--base_cache cache"), 0);
    must(run_shell(
             text("cd %s && cp -r whole cut && rm -r cut/all_results.json cut/adapter cut/checkpoint-[456]", root)),
         0);
    must(run(go, "cut", "--resume_from_checkpoint true --base_cache cache"), 0);
    same_files("cut/adapter/adapter_model.safetensors", "whole/adapter/adapter_model.safetensors");
    same_files("cut/metrics.jsonl", "whole/metrics.jsonl");
    must(run_shell(text("test $(ls %s/cache | wc -l) = 2", root)), 0); /* a half each */
    must(run(go, "without", ""), 0);
    same_files("without/metrics.jsonl", "whole/metrics.jsonl");
    /* what else would be chosen is another run */
    must(run(CHOOSE "--metric_for_best_model accuracy --early_stopping_patience 9 --resume_from_checkpoint true "
                    "--output_dir whole"),
         2);
    said("metric_for_best_model");
    must(run(TRAIN "--forgetting_data known --continue_from whole/adapter --max_steps 2 --metric_for_best_model "
                   "tradeoff --output_dir more"),
         0);
    assert_true(result("more", "base_before") == result("whole", "base_before"));
}

/* At a rate that no model stands; 33 examples are enough to say so. */
static void test_collapsed(void **state) {
    (void)state;
    static const char sweep[] =
        "sweep --model $M --threads 1 --r 4 --max_steps 4 --eval_strategy no --save_strategy no "
        "--per_device_train_batch_size 8 --train_data data/train --eval_data data/train "
        "--sweep '{\"learning_rate\": [3e-2, 100]}' --output_dir sweep ";
    must(run("%s2>log", sweep), 0);
    said("2 runs, 1 done, 1 collapsed");
    said("collapsed: runs/learning_rate=100: on the new task no better than a guess");
    must(run_shell(text("grep -q 'learning_rate=100 collapsed in .*no better than a guess' %s/log", root)), 0);
    must(run("report --run sweep --json 2>log"), 0);
    said("\"done\": 1, \"collapsed\": 1, \"diverged\": 0");
    must(run_shell(text("grep -q '^100,1,0,1,0,0,0,' %s/sweep/summary.csv", root)), 0);
    must(run_shell(
             text("grep -q 'This run collapsed:' %s/sweep/runs/learning_rate=100/report.html && ! grep -q 'This run "
                  "collapsed' %s/sweep/runs/learning_rate=0.03/report.html",
                  root, root)),
         0);
}

static void test_choosing_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        int code;
        const char *says;
    } cases[] = {
        {"--forgetting_eval_data base --metric_for_best_model tradeoff", 2, "forgetting_eval_data"},
        {"--forgetting_eval_data other --dry_run", 0, "forgetting_eval_data' (on the command line) has no effect"},
        {"--forgetting_eval_data other --metric_for_best_model tradeoff --dry_run", 0,
         "to choose by and not to report: 15"},
        {"--metric_for_best_model retention --load_best_model_at_end true --dry_run", 0, "10 examples"},
        {"--eval_data data/test --test_data data --dry_run", 0, "test_data hold the same as the evaluation data"},
        {"--init_lora_weights lora_null --calibration_data base --dry_run", 0,
         "calibration_data hold the same as forgetting_data"},
    };
    static const char *const own[] = {"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"};
    write_folder("other", own, 5, 3, 9000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        must(run(TRAIN "--max_steps 1 --output_dir mistakes %s", cases[i].keys), cases[i].code);
        said(cases[i].says);
    }
    must(run("train --model $M --threads 1 --train_data data --max_steps 1 --output_dir mistakes --max_forgetting 5"),
         2);
    said("needs forgetting_data");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_seed_draws),  cmocka_unit_test(test_a_run_without_data_seed),
        cmocka_unit_test(test_halves),           cmocka_unit_test(test_the_best_evaluation),
        cmocka_unit_test(test_goes_on),          cmocka_unit_test(test_collapsed),
        cmocka_unit_test(test_choosing_mistakes)};
    return cmocka_run_group_tests(tests, setup, teardown);
}

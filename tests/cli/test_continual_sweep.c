/* Sequences in a sweep: each point is one, by the same code and to the last byte; orders of tasks are draws as seeds
 * are; and the report puts methods side by side. */
#define _GNU_SOURCE
#include "cli/continual_fixture.h"

#define SWEEP                                                                                                          \
    "sweep tasks.json " SHARED                                                                                         \
    "--save_strategy no --max_steps 3 --sweep '{\"between\": [\"keep\", \"merge\", \"reset\"], \"seed\": [1, 2]}' "    \
    "--orders 2 --jobs 1 --output_dir swept "

/* A number of results.csv or summary.csv: of the column, in the row whose first cells begin so. */
static double cell(const char *path, const char *row, const char *column) {
    size_t n;
    char *all = contents(path, &n), *line = all;
    int at = -1, k = 0;
    for (char *name = strtok(strndup(all, strcspn(all, "\r\n")), ","); name; name = strtok(NULL, ","), k++)
        if (!strcmp(name, column)) at = k;
    if (at < 0) fail_msg("%s has no column '%s'", path, column);
    while ((line = strchr(line, '\n')) && strncmp(line + 1, row, strlen(row)) != 0) line++;
    if (!line) fail_msg("%s has no row '%s'", path, row);
    bool quoted = false; /* commas there are the text's */
    for (line++, k = 0; k < at; line++) {
        quoted = quoted != (*line == '"');
        k += *line == ',' && !quoted;
    }
    const double x = *line == ',' || *line == '\n' || *line == '\r' ? NAN : strtod(line, NULL);
    lf_free(all);
    return x;
}

static void holds(const char *path, const char *words) {
    size_t n;
    char *all = contents(path, &n);
    if (!strstr(all, words)) fail_msg("%s: no '%s'", path, words);
    lf_free(all);
}

static int setup_swept(void **state) {
    if (setup_all(state)) return 1;
    must(run(SWEEP), 0);
    return 0;
}

static void test_point_is_a_sequence(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED
             "--save_strategy no --max_steps 3 --between merge --seed 2 --task_order 1 --output_dir alone"),
         0);
    static const char point[] = "swept/runs/between=merge,seed=2,task_order=1";
    same_files("alone/matrix.csv", text("%s/matrix.csv", point));
    same_files("alone/all_results.json", text("%s/all_results.json", point));
    must(run(SWEEP), 0);
    said("12 are finished already");
}

/* Points that cannot become longer are refused as often as they are asked for, and stay what they are. */
static void test_longer_points(void **state) {
    (void)state;
    must(run("--version; cp swept/results.csv was.csv"), 0);
    for (int i = 0; i < 2; i++) {
        must(run(SWEEP "--max_steps 4"), 2);
        said("max_steps");
        said("between=keep");
        same_files("swept/results.csv", "was.csv");
    }
    must(run(SWEEP), 0);
    said("12 are finished already");
    /* what failed after it was finished is tried again */
    put("swept/runs/between=keep,seed=1,task_order=0/error.json", "{\"exit_code\": 2, \"state\": \"failed\"}");
    must(run(SWEEP), 0);
    said("11 are finished already");
    assert_false(lf_exists(text("%s/swept/runs/between=keep,seed=1,task_order=0/error.json", root)));
    must(run(SWEEP), 0);
    said("12 are finished already");
}

/* Of the same names, but other data: none is the reference of another. */
static void test_other_data_are_other_tasks(void **state) {
    (void)state;
    must(run("continual " SHARED "--save_strategy no --max_steps 3 --seed 1 --tasks '[{\"name\": \"one\", "
             "\"train_data\": \"two\"}, {\"name\": \"two\", \"train_data\": \"three\"}, {\"name\": \"three\", "
             "\"train_data\": \"one\"}]' --output_dir mixed/other"),
         0);
    must(run("--version; cp -r swept/runs/between=reset,seed=1,task_order=0 mixed/reset"), 0);
    must(run("--version; cp -r swept/runs/between=keep,seed=1,task_order=0 mixed/same"), 0);
    must(run("report mixed"), 0);
    assert_true(isfinite(cell("mixed/results.csv", "same,", "intransigence")));
    assert_true(isnan(cell("mixed/results.csv", "other,", "intransigence")));
    holds("mixed/report.html", "several models or data");
}

/* By itself each may choose its checkpoints so; a report of several puts them side by side by their averages. */
static void test_chosen_by_retention(void **state) {
    (void)state;
    for (int i = 1; i <= 2; i++)
        must(run("continual --model $M --threads 1 --r 2 --max_steps 2 --eval_strategy steps --eval_steps 1 "
                 "--save_steps "
                 "1 --save_strategy steps --load_best_model_at_end true --forgetting_data base "
                 "--metric_for_best_model retention --seed 1 --lr %de-3 --tasks '[{\"name\": \"one\", "
                 "\"train_data\": \"one\"}]' --output_dir choosing/%d",
                 i, i),
             0);
    must(run("report choosing"), 0);
    assert_null(strstr(output, "no evaluation data"));
    holds("choosing/report.html", "best learning rate");
}

/* The same tasks, each once, and no two orders the same. */
static void test_orders_differ(void **state) {
    (void)state;
    char first[4][64];
    for (int k = 0; k < 4; k++) {
        must(run("continual tasks.json --model $M --threads 1 --r 2 --max_steps 1 --between reset --task_order %d "
                 "--dry_run --json --output_dir order 2>/dev/null >order.json",
                 k),
             0);
        cJSON *o = json_at("order.json");
        first[k][0] = 0;
        const cJSON *task;
        cJSON_ArrayForEach(task, cJSON_GetObjectItem(o, "tasks"))
            strcat(strcat(first[k], cJSON_GetObjectItem(task, "name")->valuestring), " ");
        cJSON_Delete(o);
        assert_int_equal(strlen(first[k]), strlen("one two three "));
        for (int i = 0; i < 3; i++) assert_non_null(strstr(first[k], names[i]));
        for (int i = 0; i < k; i++) assert_string_not_equal(first[i], first[k]);
    }
    assert_string_equal(first[0], "one two three ");
    must(run("continual tasks.json --model $M --task_order 6 --output_dir no"), 2);
    said("have no 6 orders");
}

/* Means over seeds and orders, differences pair by pair, and intransigence from `reset` beside them. */
static void test_tables(void **state) {
    (void)state;
    double bwt[2][4], learned[2][4], gap = 0, loss = 0;
    static const char *const ways[] = {"keep", "merge"};
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < 4; i++) {
            const char *dir = text("swept/runs/between=%s,seed=%d,task_order=%d", ways[w], i / 2 + 1, i % 2);
            bwt[w][i] = result(dir, "bwt");
            learned[w][i] = result(dir, "average_when_learned_accuracy");
        }
    for (int i = 0; i < 4; i++) {
        gap += (bwt[1][i] - bwt[0][i]) / 4;
        loss += (result(text("swept/runs/between=reset,seed=%d,task_order=%d", i / 2 + 1, i % 2),
                        "average_when_learned_accuracy") -
                 learned[0][i]) /
                4;
    }
    assert_true(cell("swept/summary.csv", "keep,", "runs") == 4);
    assert_true(fabs(cell("swept/summary.csv", "keep,", "bwt_mean") -
                     (bwt[0][0] + bwt[0][1] + bwt[0][2] + bwt[0][3]) / 4) < 1e-9);
    assert_true(fabs(cell("swept/summary.csv", "merge,", "bwt_difference_mean") - gap) < 1e-9);
    assert_true(cell("swept/summary.csv", "merge,", "bwt_difference_n") == 4);
    assert_true(isfinite(cell("swept/summary.csv", "merge,", "bwt_difference_low")));
    assert_true(fabs(cell("swept/summary.csv", "keep,", "intransigence_mean") - loss) < 1e-9);
    holds("swept/report.html", "Methods side by side");
    holds("swept/report.html", "BWT");
    holds("swept/report.html", "Means over seeds and orders");
    holds("swept/report.html", "4 draws of seed and order: with 9 the intervals");
    holds("swept/report.html", "retention of the base");
    holds("swept/sequences.csv", "base_retention,%");
    holds("swept/bars.csv", "bwt,points");
    holds("swept/results.csv", "task_order");
    holds("swept/results.csv", ",processor,kernels,precision");
    if (lf_is_file("/usr/bin/gnuplot")) assert_true(lf_is_file(text("%s/swept/bars.svg", root)));
}

/* What chooses is not what is reported: test data, of which all tasks give some, are asked once, at the end. */
static void test_test_data(void **state) {
    (void)state;
    must(run("continual --model $M --threads 1 --r 2 --max_steps 2 --between merge --tasks '[{\"name\": \"one\", "
             "\"train_data\": \"one\", \"test_data\": \"two/val\"}, {\"name\": \"two\", \"train_data\": \"two/train\", "
             "\"eval_data\": \"two/val\", \"test_data\": \"three/val\"}]' --output_dir tested"),
         0);
    cJSON *all = json_at("tested/all_results.json");
    assert_true(number_in(all, "test_at_the_end", "one") ==
                number_in(all, "at_the_end", "two")); /* the same pictures */
    const double mean = (number_in(all, "test_at_the_end", "one") + number_in(all, "test_at_the_end", "two")) / 2;
    assert_true(fabs(number_in(all, "test_average_accuracy", NULL) - mean) < 1e-12);
    cJSON_Delete(all);
}

/* The same, against a sequence that stands elsewhere. */
static void test_reset_from(void **state) {
    (void)state;
    must(run("continual tasks.json " SHARED "--save_strategy no --max_steps 3 --seed 1 --reset_from "
             "'swept/runs/between=reset,seed=1,task_order=0' --output_dir measured"),
         0);
    const double expected = result("swept/runs/between=reset,seed=1,task_order=0", "average_when_learned_accuracy") -
                            result("measured", "average_when_learned_accuracy");
    assert_true(fabs(result("measured", "intransigence") - expected) < 1e-12);
    holds("measured/report.html", "intransigence");
    must(run("continual tasks.json " SHARED
             "--reset_from 'swept/runs/between=keep,seed=1,task_order=0' --output_dir no"),
         2);
    said("reset_from");
    said("between reset");
    must(run("continual " SHARED "--tasks '[{\"name\": \"four\", \"train_data\": \"one\"}]' --reset_from "
             "'swept/runs/between=reset,seed=1,task_order=0' --output_dir no"),
         2);
    said("task 'four'");
}

static const struct {
    const char *flags, *words[2];
} refused[] = {
    {"sweep --model $M --train_data one --sweep '{\"seed\": [1, 2]}' --orders 2 --output_dir no", {"orders", "tasks"}},
    {"sweep tasks.json --model $M --sweep '{\"task_order\": [0, 1]}' --orders 2 --output_dir no",
     {"task_order", "twice"}},
    {"sweep tasks.json --model $M --sweep '{\"seed\": [1]}' --orders 7 --output_dir no", {"task_order=6", "orders"}},
    {"sweep tasks.json --model $M --sweep '{\"between\": [\"keep\", \"mend\"]}' --output_dir no", {"between", "mend"}},
    {"sweep tasks.json --model $M --sweep '{\"r\": [2, 4]}' --train_data one --output_dir no", {"train_data", "tasks"}},
    {"sweep tasks.json --model $M --sweep '{\"seed\": [1, 2]}' --forgetting_data base --metric_for_best_model "
     "retention "
     "--output_dir no",
     {"metric_for_best_model", "sweep of sequences"}},
    {"sweep --model $M --sweep '{\"between\": [\"keep\"]}' --train_data one --output_dir no", {"between"}},
};

static void test_mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        must(run("%s", refused[i].flags), 2);
        for (int w = 0; w < 2 && refused[i].words[w]; w++) said(refused[i].words[w]);
        assert_false(lf_exists(text("%s/no", root)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_point_is_a_sequence),
        cmocka_unit_test(test_longer_points),
        cmocka_unit_test(test_other_data_are_other_tasks),
        cmocka_unit_test(test_chosen_by_retention),
        cmocka_unit_test(test_orders_differ),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_test_data),
        cmocka_unit_test(test_reset_from),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, setup_swept, teardown);
}

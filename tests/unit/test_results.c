/* The closing table and the lines of metrics.jsonl: what stands in them, in which order, and what is left out. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/counted.h"
#include "task/task.h"

static void table_is(const lf_results *r, const char *expected) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    lf_results_table(r, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void step_is(lf_judged_by by, const lf_accuracy *a, const lf_base_score *base, const char *expected) {
    lf_obj o = lf_obj_new();
    lf_results_step(&o, by, a, base);
    cJSON *row = lf_obj_take(&o);
    char *text = cJSON_PrintUnformatted(row);
    assert_string_equal(text, expected);
    cJSON_free(text);
    cJSON_Delete(row);
}

/* What was found, with nothing counted: of figures that other tests know. */
static lf_accuracy uncounted(lf_accuracy a) {
    for (int i = 0; i < LF_N_COUNTED; i++) a.counted[i] = NAN;
    a.auc = a.pearson = a.spearman = NAN;
    return a;
}

static const lf_base_score base = {
    .count = 40, .accuracy = 0.75, .loss = 2, .ce = 0.5, .kl = 0.125, .knn = NAN, .knn_count = 0};

static void test_pictures(void **state) {
    (void)state;
    lf_results r;
    lf_results_clear(&r, &lf_task_image);
    table_is(&r, "");
    r.eval_accuracy_before = 0.1;
    r.eval_accuracy = 0.5;
    r.eval_count = 20;
    r.base_before = 0.8;
    r.base_after = 0.75;
    r.forgetting = 0.05;
    r.retention = 0.9375;
    r.before.knn = 0.25;
    r.after = base;
    table_is(&r, "                               before      after\n"
                 "new task                      10.00 %    50.00 %   20 examples\n"
                 "base task                     80.00 %    75.00 %   40 examples\n"
                 "base task, neighbours         25.00 %          -\n"
                 "forgetting (points)                         5.00\n"
                 "retention                                93.75 %\n"
                 "KL from the base (nats)                  0.12500\n");
    const lf_accuracy a = uncounted((lf_accuracy){.accuracy = 0.5, .loss = NAN});
    step_is(LF_BY_ACCURACY, &a, NULL, "{\"eval_accuracy\":0.5,\"eval_loss\":null}");
    step_is(LF_BY_ACCURACY, NULL, &base, "{\"base_accuracy\":0.75,\"base_loss\":2,\"base_ce\":0.5,\"base_kl\":0.125}");
}

static void test_language(void **state) {
    (void)state;
    lf_results r;
    lf_results_clear(&r, &lf_task_language);
    r.eval_perplexity = r.eval_accuracy = 0.5;
    r.eval.targets = 9;
    r.eval.exact_match = 0.25;
    r.eval.matches = 4;
    r.test_perplexity = 12345.6;
    r.forgetting = -0.125;
    table_is(&r, "                               before      after\n"
                 "perplexity, new text                -        0.5   9 tokens\n"
                 "next token right                    -    50.00 %   9 tokens\n"
                 "exact match                         -    25.00 %   4 answers\n"
                 "perplexity, test                    -  1.235e+04\n"
                 "forgetting (nats)                        -0.1250\n");
    const lf_accuracy a = {.accuracy = 0.5, .loss = 0, .choice_accuracy = NAN, .exact_match = 0.25};
    step_is(LF_BY_PERPLEXITY, &a, NULL,
            "{\"eval_perplexity\":1,\"eval_loss\":0,\"eval_token_accuracy\":0.5,\"eval_exact_match\":0.25}");
    const lf_base_score alone = {.accuracy = 0.5, .loss = 0, .ce = NAN, .kl = NAN, .knn = NAN};
    step_is(LF_BY_PERPLEXITY, NULL, &alone, "{\"base_perplexity\":1,\"base_loss\":0,\"base_token_accuracy\":0.5}");
}

/* The columns of curves.csv are the figures of metrics.jsonl. */
static void test_steps_are_columns(void **state) {
    (void)state;
    const lf_accuracy a = {.accuracy = 0.5, .loss = 0.5, .choice_accuracy = 0.5, .exact_match = 0.5};
    const lf_base_score all = {.accuracy = 0.5, .loss = 0.5, .ce = 0.5, .kl = 0.5, .knn = 0.5};
    for (int by = 0; by < LF_N_TASK_YARDSTICKS; by++) { /* those of sequences are in no line of a run */
        lf_obj o = lf_obj_new();
        lf_results_step(&o, (lf_judged_by)by, &a, &all);
        cJSON *row = lf_obj_take(&o);
        const cJSON *v = row->child;
        for (const lf_step_figure *f = lf_yardsticks[by].steps; f->name; f++, v = v->next)
            assert_string_equal(v->string, f->name);
        assert_null(v);
        cJSON_Delete(row);
    }
}

static void test_counted(void **state) {
    (void)state;
    int64_t are[] = {4, 3, 0}, taken[] = {3, 2, 2}, right[] = {3, 1, 0};
    double counted[LF_N_COUNTED];
    lf_count_all(counted, &(lf_class_counts){.n = 3, .are = are, .taken = taken, .right = right, .rows = 7});
    assert_true(counted[LF_COUNTED_accuracy] == 4.0 / 7.0);
    int64_t none[] = {0, 0, 0};
    lf_count_all(counted, &(lf_class_counts){.n = 3, .are = none, .taken = none, .right = none});
    for (int i = 0; i < LF_N_COUNTED; i++) assert_true(isnan(counted[i])); /* nothing is labelled */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pictures), cmocka_unit_test(test_language),
                                       cmocka_unit_test(test_steps_are_columns), cmocka_unit_test(test_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

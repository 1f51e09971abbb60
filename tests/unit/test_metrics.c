/* Figures of what a classifier said: against scikit-learn and scipy (scripts/make-golden-metrics.py), against cases
 * worked by hand, and where they are not defined. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "eval/counted.h"
#include "eval/eval_internal.h"
#include "eval/kept_rows.h"
#include "eval/ranks.h"
#include "golden/json_fixture.h"

enum { MOST = 16 }; /* classes */

typedef struct judged {
    lf_kept_rows kept;
    lf_class_counts counts;
    int64_t are[MOST], taken[MOST], right[MOST];
} judged;

static void begin(judged *j, lf_problem problem, int64_t V) {
    assert_true(V <= MOST);
    *j = (judged){.kept = {.problem = problem, .V = V}};
    j->counts = (lf_class_counts){
        .n = V, .are = j->are, .taken = j->taken, .right = j->right, .several = problem == LF_MULTI_LABEL, .all = true};
}

static void add(judged *j, const float *logits, int32_t label, const float *values) {
    lf_err err = {0};
    const int64_t V = j->kept.V;
    bool exact = true;
    if (lf_keep_row(&j->kept, logits, label, values, &err)) fail_msg("%s", err.message);
    j->counts.rows++;
    if (!values) {
        const int64_t taken = lf_argmax(logits, V);
        j->are[label]++;
        j->taken[taken]++;
        j->right[taken] += taken == label;
    }
    for (int64_t v = 0; values && v < V; v++) {
        const bool is = values[v] > 0.5f, taken = logits[v] > 0;
        j->are[v] += is;
        j->taken[v] += taken;
        j->right[v] += is && taken;
        exact = exact && is == taken;
    }
    j->counts.exact += values && exact;
}

static void near_to(const char *what, double found, double expected) {
    if (isnan(expected) ? !isnan(found) : !(fabs(found - expected) <= 1e-6))
        fail_msg("%s: found %.9g, expected %.9g", what, found, expected);
}

/* ---- by others ---- */

static void read_row(float out[MOST], const cJSON *list) {
    const cJSON *v;
    int i = 0;
    cJSON_ArrayForEach(v, list) out[i++] = (float)v->valuedouble;
}

static void check_figures(judged *j, const cJSON *c) {
    lf_err err = {0};
    double counted[LF_N_COUNTED], auc = NAN, pearson = NAN, spearman = NAN;
    lf_count_all(counted, &j->counts);
    if (lf_kept_auc(&auc, &j->kept, &err) || lf_kept_correlations(&pearson, &spearman, &j->kept, &err))
        fail_msg("%s", err.message);
    const struct {
        const char *name;
        double found;
    } figures[] = {{"accuracy", counted[LF_COUNTED_accuracy]},
                   {"f1_macro", counted[LF_COUNTED_f1_macro]},
                   {"f1_micro", counted[LF_COUNTED_f1_micro]},
                   {"f1_weighted", counted[LF_COUNTED_f1_weighted]},
                   {"matthews", counted[LF_COUNTED_matthews]},
                   {"auc", auc},
                   {"pearson", pearson},
                   {"spearman", spearman}};
    int compared = 0;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const cJSON *expected = cJSON_GetObjectItemCaseSensitive(c, figures[i].name);
        if (!expected) continue;
        near_to(figures[i].name, figures[i].found, expected->valuedouble);
        compared++;
    }
    assert_true(compared >= 2);
}

static void check_case(const cJSON *c) {
    judged j;
    lf_problem problem;
    float logits[MOST], values[MOST];
    assert_true(lf_problem_named(&problem, word(c, "problem")));
    begin(&j, problem, whole(c, "V"));
    const cJSON *row, *right = member(c, "right")->child;
    cJSON_ArrayForEach(row, member(c, "logits")) {
        read_row(logits, row);
        if (problem == LF_MULTI_LABEL) read_row(values, right);
        if (problem == LF_REGRESSION) values[0] = (float)right->valuedouble;
        add(&j, logits, problem == LF_SINGLE_LABEL ? (int32_t)right->valuedouble : -1,
            problem == LF_SINGLE_LABEL ? NULL : values);
        right = right->next;
    }
    check_figures(&j, c);
    lf_kept_rows_free(&j.kept);
}

static void test_golden(void **state) {
    (void)state;
    cJSON *all = golden_json("metrics");
    const cJSON *c;
    cJSON_ArrayForEach(c, member(all, "cases")) check_case(c);
    cJSON_Delete(all);
    assert_int_equal(lf_alloc_live(), 0);
}

/* ---- by hand ---- */

/* Of 6 examples of 3 classes: right, taken for the next, right, right, taken for the first, right. */
static void test_by_hand(void **state) {
    (void)state;
    static const int32_t labels[] = {0, 0, 1, 1, 2, 2}, taken[] = {0, 1, 1, 1, 0, 2};
    judged j;
    double counted[LF_N_COUNTED];
    begin(&j, LF_SINGLE_LABEL, 3);
    for (int i = 0; i < 6; i++) {
        float logits[3] = {0};
        logits[taken[i]] = 1;
        add(&j, logits, labels[i], NULL);
    }
    lf_count_all(counted, &j.counts);
    near_to("accuracy", counted[LF_COUNTED_accuracy], 4.0 / 6);
    near_to("f1_macro", counted[LF_COUNTED_f1_macro], (0.5 + 0.8 + 2.0 / 3) / 3);
    near_to("f1_weighted", counted[LF_COUNTED_f1_weighted], (0.5 + 0.8 + 2.0 / 3) / 3); /* as many of each */
    near_to("matthews", counted[LF_COUNTED_matthews], (24 - 12) / sqrt((36.0 - 14) * (36 - 12)));
    near_to("f1_micro", counted[LF_COUNTED_f1_micro], NAN); /* it is the accuracy */
    lf_kept_rows_free(&j.kept);
}

/* Two texts of three labels: {0,1} taken for {1}, {} taken for {}. */
static void test_several_by_hand(void **state) {
    (void)state;
    judged j;
    double counted[LF_N_COUNTED];
    begin(&j, LF_MULTI_LABEL, 3);
    add(&j, (const float[]){-1, 2, -1}, -1, (const float[]){1, 1, 0});
    add(&j, (const float[]){-1, 0, -1}, -1, (const float[]){0, 0, 0}); /* 0 is no */
    lf_count_all(counted, &j.counts);
    near_to("accuracy", counted[LF_COUNTED_accuracy], 0.5);
    near_to("f1_micro", counted[LF_COUNTED_f1_micro], 2.0 / 3);
    near_to("f1_macro", counted[LF_COUNTED_f1_macro], 1.0 / 3); /* a label that nothing has counts as 0 */
    near_to("f1_weighted", counted[LF_COUNTED_f1_weighted], 0.5);
    near_to("matthews", counted[LF_COUNTED_matthews], NAN);
    lf_kept_rows_free(&j.kept);
}

static void test_ranks(void **state) {
    (void)state;
    static const double x[] = {1, 2, 3, 4}, y[] = {2, 4, 6, 8}, z[] = {1, 1, 2, 2}, flat[] = {3, 3, 3, 3},
                        far[] = {1, 2, 3, 1000};
    static const bool last[] = {false, false, true, true}, none[] = {false, false, false, false};
    lf_err err = {0};
    double r;
    near_to("pearson", lf_pearson(x, y, 4), 1);
    near_to("pearson", lf_pearson(x, flat, 4), NAN);
    near_to("pearson", lf_pearson(x, y, 1), NAN);
    assert_int_equal(lf_spearman(&r, x, far, 4, &err), LF_OK);
    near_to("spearman", r, 1);
    assert_int_equal(lf_spearman(&r, x, z, 4, &err), LF_OK);
    near_to("spearman", r, 4 / sqrt(20)); /* ranks 1 2 3 4 and 1.5 1.5 3.5 3.5 */
    assert_int_equal(lf_spearman(&r, x, flat, 4, &err), LF_OK);
    near_to("spearman", r, NAN);
    assert_int_equal(lf_auc(&r, x, last, 4, &err), LF_OK);
    near_to("auc", r, 1);
    assert_int_equal(lf_auc(&r, flat, last, 4, &err), LF_OK);
    near_to("auc", r, 0.5);
    assert_int_equal(lf_auc(&r, x, none, 4, &err), LF_OK);
    near_to("auc", r, NAN);
}

/* Of several numbers of each example, the mean of what each of them has. */
static void test_several_numbers(void **state) {
    (void)state;
    static const float said[][2] = {{1, 1}, {2, 5}, {3, 2}, {4, 0}}, right[][2] = {{2, 1}, {4, 2}, {6, 3}, {8, 4}};
    static const double x[] = {1, 5, 2, 0}, y[] = {1, 2, 3, 4};
    judged j;
    lf_err err = {0};
    double pearson, spearman, of_second;
    begin(&j, LF_REGRESSION, 2);
    for (int i = 0; i < 4; i++) add(&j, said[i], -1, right[i]);
    assert_int_equal(lf_kept_correlations(&pearson, &spearman, &j.kept, &err), LF_OK);
    near_to("pearson", pearson, (1 + lf_pearson(x, y, 4)) / 2);
    assert_int_equal(lf_spearman(&of_second, x, y, 4, &err), LF_OK);
    near_to("spearman", spearman, (1 + of_second) / 2);
    lf_kept_rows_free(&j.kept);
}

/* Nothing is made up where a class is missing, all is of one, or there is too much. */
static void test_not_defined(void **state) {
    (void)state;
    judged j;
    lf_err err = {0};
    double auc, counted[LF_N_COUNTED];
    begin(&j, LF_SINGLE_LABEL, 3);
    add(&j, (const float[]){2, 0, 0}, 0, NULL);
    add(&j, (const float[]){0, 2, 0}, 1, NULL);
    assert_int_equal(lf_kept_auc(&auc, &j.kept, &err), LF_OK);
    near_to("auc", auc, 1); /* of the two classes that are there */
    lf_count_all(counted, &j.counts);
    near_to("f1_macro", counted[LF_COUNTED_f1_macro], 1); /* the third is no class of these texts */
    j.kept.too_many = true;
    assert_int_equal(lf_kept_auc(&auc, &j.kept, &err), LF_OK);
    near_to("auc", auc, NAN);
    lf_kept_rows_free(&j.kept);
    begin(&j, LF_SINGLE_LABEL, 2);
    add(&j, (const float[]){2, 0}, 0, NULL);
    add(&j, (const float[]){1, 0}, 0, NULL);
    lf_count_all(counted, &j.counts);
    near_to("matthews", counted[LF_COUNTED_matthews], 0); /* 0 / 0, as scikit-learn has it */
    j.counts.all = false;
    lf_count_all(counted, &j.counts);
    near_to("accuracy", counted[LF_COUNTED_accuracy], 1);
    near_to("f1_macro", counted[LF_COUNTED_f1_macro], 1);
    near_to("f1_weighted", counted[LF_COUNTED_f1_weighted], NAN); /* not asked of pictures */
    near_to("top5", counted[LF_COUNTED_top5], NAN);               /* of two classes both are among the first five */
    lf_kept_rows_free(&j.kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),          cmocka_unit_test(test_by_hand),
                                       cmocka_unit_test(test_several_by_hand), cmocka_unit_test(test_ranks),
                                       cmocka_unit_test(test_several_numbers), cmocka_unit_test(test_not_defined)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

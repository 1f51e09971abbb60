/* What a summary takes of one run. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "config/config.h"
#include "report/gather/summary_internal.h"

/* The harmonic mean is of new-task accuracy, or of test accuracy where there is none, and base_after. */
double lf_figure_of(const lf_yardstick *y, const lf_gathered_run *r, const char *name) {
    if (strcmp(name, "harmonic_mean") != 0) return lf_run_number(r, name);
    const double judged = lf_run_number(r, lf_metric_in_role(y, LF_ROLE_GAIN)->name);
    return lf_harmonic_mean(isfinite(judged) ? judged : lf_run_number(r, lf_metric_in_role(y, LF_ROLE_TEST_GAIN)->name),
                            lf_run_number(r, "base_after"));
}

const lf_metric *lf_gain_metric(const lf_summary *s) {
    const lf_yardstick *y = s->from->yardstick;
    const lf_metric *test = lf_metric_in_role(y, LF_ROLE_TEST_GAIN);
    return s->by_eval || !test->name ? lf_metric_in_role(y, LF_ROLE_GAIN) : test;
}

double lf_gain_of(const lf_summary *s, const lf_gathered_run *r) {
    return lf_gain_from(s->from->yardstick, lf_run_number(r, lf_gain_metric(s)->name));
}

/* ---- what a rate is chosen by ---- */

/* Where max_forgetting alone is given, the gain. */
static const struct {
    const char *metric, *figure;
} selections[] = {
    {"retention", "selection_retention"}, {"forgetting", "selection_forgetting"}, {"tradeoff", "selection_tradeoff"}};

/* Of a sequence each task chooses so for itself, and keeps nothing by which sequences could be chosen. */
static bool selects_by_forgetting(const lf_gathered_run *r) {
    return !lf_run_value(r, lf_key_name(LF_tasks)) && lf_json_selects_by_forgetting(r->config);
}

static const char *selected_figure(const lf_gathered_run *r) {
    const char *metric = cJSON_GetStringValue(lf_run_value(r, lf_key_name(LF_metric_for_best_model)));
    if (!selects_by_forgetting(r)) return NULL;
    for (size_t i = 0; metric && i < sizeof selections / sizeof *selections; i++)
        if (!strcmp(selections[i].metric, metric)) return selections[i].figure;
    return NULL;
}

const char *lf_selection_of(const lf_gathered_run *r) {
    const char *figure = selected_figure(r);
    if (!selects_by_forgetting(r)) return NULL;
    return figure ? strchr(figure, '_') + 1 : "gain";
}

int lf_draws_compare(const lf_gathered_run *a, const lf_gathered_run *b) {
    int c = 0;
    for (lf_key_id id = LF_NO_KEY; !c && (id = lf_key_next(id, LF_IS_DRAW));)
        c = lf_value_compare(lf_run_value(a, lf_key_name(id)), lf_run_value(b, lf_key_name(id)));
    return c;
}

lf_draw_words lf_draw_words_of(const lf_gathered *g) {
    static const lf_draw_words seeds = {"seed", "seeds", "seed", "seeds"},
                               both = {"seed and order", "seeds and orders", "draw of seed and order",
                                       "draws of seed and order"};
    for (int64_t i = 0; i < g->n_swept; i++)
        if (!strcmp(g->swept[i], lf_key_name(LF_task_order))) return both;
    return seeds;
}

static double scaled_cost(const lf_summary *s, const lf_gathered_run *r, const char *name) {
    return lf_metric_in_role(s->from->yardstick, LF_ROLE_COST)->scale * lf_run_number(r, name);
}

lf_candidate lf_candidate_of(const lf_summary *s, const lf_gathered_run *r) {
    const char *figure = selected_figure(r);
    const bool selects = selects_by_forgetting(r);
    return (lf_candidate){.figure = figure ? lf_run_number(r, figure) : lf_gain_of(s, r),
                          .cost = scaled_cost(s, r,
                                              selects ? "selection_forgetting"
                                                      : lf_metric_in_role(s->from->yardstick, LF_ROLE_COST)->name)};
}

lf_wish lf_wish_of(const lf_summary *s, const lf_cohort *g) {
    const lf_gathered_run *r = &s->from->runs[s->cells[g->cells[0]].runs[0]];
    const char *figure = selected_figure(r);
    const cJSON *most = selects_by_forgetting(r) ? lf_run_value(r, lf_key_name(LF_max_forgetting)) : NULL;
    return (lf_wish){.less_is_better = figure && !strcmp(figure, "selection_forgetting"),
                     .most_cost = lf_json_number(most)};
}

/* What a start looks at is of the method. */
bool lf_is_task_key(const char *key) {
    const unsigned traits = lf_key_traits(key);
    return (traits & (LF_IS_MODEL | LF_IS_DATA)) && !(traits & LF_IS_START);
}
bool lf_is_method_key(const char *key) { return !(lf_key_traits(key) & (LF_IS_DRAW | LF_IS_RATE)); }

const cJSON *lf_run_value(const lf_gathered_run *r, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(r->config, key);
}

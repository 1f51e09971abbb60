/* Runs put together: those that differ in their seed are a cell, cells that differ in learning rates a group. What
 * follows from their means is summary_tradeoff.c's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "report/gather/summary_internal.h"

/* ---- groups and cells ---- */

static int compare_key(const lf_gathered_run *a, const lf_gathered_run *b, const char *key) {
    return lf_value_compare(lf_run_value(a, key), lf_run_value(b, key));
}

static int compare_method(const lf_gathered *g, const lf_gathered_run *a, const lf_gathered_run *b) {
    int c = 0;
    for (int64_t i = 0; i < g->n_swept && !c; i++)
        if (lf_is_method_key(g->swept[i])) c = compare_key(a, b, g->swept[i]);
    return c;
}

static int compare_rate(const lf_gathered_run *a, const lf_gathered_run *b) {
    int c = 0;
    for (lf_key_id id = LF_NO_KEY; !c && (id = lf_key_next(id, LF_IS_RATE));) c = compare_key(a, b, lf_key_name(id));
    return c;
}

typedef struct place {
    const lf_gathered *g;
    int64_t run;
} place;

static int by_group_cell_seed(const void *a, const void *b) {
    const place *x = a, *y = b;
    const lf_gathered_run *p = &x->g->runs[x->run], *q = &x->g->runs[y->run];
    int c = compare_method(x->g, p, q);
    if (!c) c = compare_rate(p, q);
    if (!c) c = lf_draws_compare(p, q);
    return c ? c : (x->run > y->run) - (x->run < y->run);
}

/* Fills s->runs, in the order of groups, their rates and seeds. */
static lf_status sort_runs(lf_summary *s, lf_err *err) {
    const int64_t n = s->from->n_runs;
    place *places = lf_calloc((size_t)n, sizeof *places);
    s->runs = lf_calloc((size_t)n, sizeof *s->runs);
    const bool ok = places && s->runs;
    for (int64_t i = 0; i < n && ok; i++) places[i] = (place){s->from, i};
    if (ok) qsort(places, (size_t)n, sizeof *places, by_group_cell_seed);
    for (int64_t i = 0; i < n && ok; i++) s->runs[i] = places[i].run;
    lf_free(places);
    return ok ? LF_OK : lf_no_memory(err, "the summary of the runs of %s", s->from->dir);
}

static void count_state(lf_cell *c, const lf_gathered_run *r) {
    c->n_done += lf_run_is_done(r);
    c->n_collapsed += r->state == LF_RUN_COLLAPSED;
    c->n_diverged += r->state == LF_RUN_DIVERGED;
    c->n_failed += r->state == LF_RUN_FAILED;
    c->n_unfinished += r->state == LF_RUN_UNFINISHED;
}

/* Runs, cells and groups stand in one order, so a cell's runs and a group's cells are pieces of one array. */
static lf_status make_cells(lf_summary *s, lf_err *err) {
    const lf_gathered *g = s->from;
    const size_t n = (size_t)g->n_runs;
    s->cells = lf_calloc(n, sizeof *s->cells);
    s->groups = lf_calloc(n, sizeof *s->groups);
    s->cell_order = lf_calloc(n, sizeof *s->cell_order);
    if (!s->cells || !s->groups || !s->cell_order)
        return lf_no_memory(err, "the summary of the runs of %s", s->from->dir);
    for (int64_t i = 0; i < g->n_runs; i++) {
        const lf_gathered_run *r = &g->runs[s->runs[i]], *before = i > 0 ? &g->runs[s->runs[i - 1]] : NULL;
        const bool new_group = !before || compare_method(g, before, r) != 0,
                   new_cell = new_group || compare_rate(before, r) != 0;
        if (new_group) s->groups[s->n_groups++] = (lf_cohort){.cells = s->cell_order + s->n_cells, .best = -1};
        if (new_cell) {
            double rate = NAN;
            const cJSON *v = lf_run_value(r, "learning_rate");
            if (cJSON_IsNumber(v)) rate = v->valuedouble;
            s->cell_order[s->n_cells] = s->n_cells;
            s->groups[s->n_groups - 1].n_cells++;
            s->cells[s->n_cells++] = (lf_cell){.group = s->n_groups - 1, .learning_rate = rate, .runs = s->runs + i};
        }
        lf_cell *c = &s->cells[s->n_cells - 1];
        c->n_runs++;
        count_state(c, r);
    }
    return LF_OK;
}

/* ---- what a group is ---- */

static lf_status name_group(lf_summary *s, lf_cohort *group, lf_err *err) {
    const lf_gathered *g = s->from;
    const lf_gathered_run *r = &g->runs[s->cells[group->cells[0]].runs[0]];
    for (int64_t i = 0; i < g->n_swept; i++) {
        char value[200];
        if (!lf_is_method_key(g->swept[i])) continue;
        lf_value_text(value, sizeof value, lf_run_value(r, g->swept[i]));
        char *longer = lf_format("%s%s%s %s", group->name ? group->name : "", group->name ? ", " : "", g->swept[i],
                                 value[0] ? value : "not set");
        lf_free(group->name);
        group->name = longer;
        if (!longer) return lf_no_memory(err, "the summary of the runs of %s", s->from->dir);
    }
    if (!group->name) group->name = lf_strdup("all");
    return group->name ? LF_OK : lf_no_memory(err, "the summary of the runs of %s", s->from->dir);
}

static const cJSON *start_of(const lf_summary *s, const lf_cohort *g) {
    for (int64_t i = 0; i < g->n_cells; i++) {
        const lf_cell *c = &s->cells[g->cells[i]];
        for (int64_t k = 0; k < c->n_runs; k++)
            if (s->from->runs[c->runs[k]].start) return s->from->runs[c->runs[k]].start;
    }
    return NULL;
}

/* ---- means ---- */

static bool any_eval(const lf_gathered *g) {
    for (int64_t i = 0; i < g->n_runs; i++)
        if (isfinite(lf_run_number(&g->runs[i], lf_metric_in_role(g->yardstick, LF_ROLE_GAIN)->name))) return true;
    return false;
}

/* Runs that have no figure to choose by are not counted; one whose cost is not known makes that of all unknown. */
static void measure_candidate(const lf_summary *s, lf_cell *c) {
    lf_candidate sum = {0, 0};
    for (int64_t i = 0; i < c->n_runs; i++) {
        const lf_candidate one = lf_candidate_of(s, &s->from->runs[c->runs[i]]);
        if (!isfinite(one.figure)) continue;
        sum.figure += one.figure;
        sum.cost += one.cost;
        c->n_candidates++;
    }
    const double n = (double)c->n_candidates;
    c->candidate = c->n_candidates ? (lf_candidate){sum.figure / n, sum.cost / n} : (lf_candidate){NAN, NAN};
}

static void measure_cell(const lf_summary *s, lf_cell *c, double *values) {
    const lf_metric *metrics = s->from->yardstick->metrics;
    for (int m = 0; metrics[m].name; m++) {
        int64_t n = 0;
        for (int64_t i = 0; i < c->n_runs; i++) {
            values[n] = lf_figure_of(s->from->yardstick, &s->from->runs[c->runs[i]],
                                     metrics[m].name); /* of a run that is not done: NAN */
            n += isfinite(values[n]);
        }
        c->metrics[m] = lf_sample_of(values, n);
        if (metrics[m].role == LF_ROLE_COST) c->outcome.cost = c->metrics[m].mean;
    }
    int64_t n_gains = 0;
    for (int64_t i = 0; i < c->n_runs; i++) {
        values[n_gains] = lf_gain_of(s, &s->from->runs[c->runs[i]]);
        n_gains += isfinite(values[n_gains]);
    }
    c->outcome.gain = lf_sample_of(values, n_gains).mean;
    measure_candidate(s, c);
}

/* The same run twice is no second seed: the intervals would be too narrow. */
static void warn_of_repeats(const lf_summary *s) {
    const lf_gathered_run *r = s->from->runs, *a = NULL, *b = NULL;
    int64_t repeats = 0;
    for (int64_t i = 0; i < s->n_cells; i++)
        for (int64_t k = 1; k < s->cells[i].n_runs; k++) {
            const lf_gathered_run *x = &r[s->cells[i].runs[k - 1]], *y = &r[s->cells[i].runs[k]];
            if (!lf_run_is_done(x) || !lf_run_is_done(y) || lf_draws_compare(x, y) != 0) continue;
            if (!repeats++) {
                a = x;
                b = y;
            }
        }
    if (repeats)
        lf_warn("%s: %s and %s have the same settings and seed%s; each counts as a run, so intervals are narrower than "
                "they should be",
                s->from->dir, a->name, b->name, repeats > 1 ? ", and so have others" : "");
}

lf_status lf_summary_new(lf_summary **out, const lf_gathered *g, const char *baseline, lf_err *err) {
    *out = NULL;
    lf_summary *s = lf_calloc(1, sizeof *s);
    double *values = lf_calloc(2 * (size_t)g->n_runs, sizeof *values);
    lf_status rc = s && values ? LF_OK : lf_no_memory(err, "the summary of the runs of %s", g->dir);
    if (rc) goto out;
    s->from = g;
    s->by_eval = any_eval(g);
    for (int64_t i = 0; i < g->n_runs; i++) s->by_forgetting = s->by_forgetting || lf_selection_of(&g->runs[i]);
    if ((rc = sort_runs(s, err)) || (rc = make_cells(s, err))) goto out;
    for (int64_t i = 0; i < s->n_cells; i++) measure_cell(s, &s->cells[i], values);
    for (int64_t i = 0; i < s->n_groups && !rc; i++) {
        s->groups[i].start = start_of(s, &s->groups[i]);
        rc = name_group(s, &s->groups[i], err);
    }
    if (rc || (rc = lf_summary_trade(s, err)) || (rc = lf_summary_against(s, baseline, values, err))) goto out;
    warn_of_repeats(s);
    *out = s;
    s = NULL;
out:
    lf_free(values);
    lf_summary_free(s);
    return rc;
}

void lf_summary_free(lf_summary *s) {
    if (!s) return;
    for (int64_t i = 0; i < s->n_groups; i++) lf_free(s->groups[i].name);
    lf_free(s->groups);
    lf_free(s->cells);
    lf_free(s->cell_order);
    lf_free(s->runs);
    lf_free(s);
}

lf_band lf_band_of(lf_sample s, double scale) {
    if (s.n < 2) return LF_NO_BAND;
    if (s.n >= 3) return (lf_band){scale * s.low, scale * s.high, true};
    const double half = s.sd / sqrt(2); /* of two numbers */
    return (lf_band){scale * (s.mean - half), scale * (s.mean + half), false};
}

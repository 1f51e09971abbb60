/* Which learning rate is a method's best, and what methods gain at what cost. */
#include <math.h>

#include "base/mem.h"
#include "report/summary_internal.h"

/* ---- the best learning rate ---- */

/* Every run is done and judged. */
static bool is_whole(const lf_cell *c) { return c->n_gains == c->n_runs; }

/* Cells stand by learning rate: of equals the first is the smallest. By test data none is chosen; where there is one rate, nothing is. */
static void choose_best(lf_summary *s, lf_group *g) {
    if (!s->by_eval && g->n_cells > 1) return;
    for (int64_t i = 0; i < g->n_cells; i++) {
        const lf_cell *c = &s->cells[g->cells[i]];
        if (is_whole(c) && (g->best < 0 || c->outcome.gain > s->cells[g->best].outcome.gain)) g->best = g->cells[i];
    }
    if (g->best >= 0) s->cells[g->best].best = true;
}

/* ---- outcomes ---- */

/* A rate at which a run diverged is not to be had at the price of those that did not. */
static lf_outcome counted(const lf_cell *c) { return c->n_diverged ? (lf_outcome){NAN, NAN} : c->outcome; }

static bool is_known(lf_outcome p) { return isfinite(p.gain) && isfinite(p.cost); }

typedef struct mean { double sum; int64_t n; } mean;

static void add(mean *m, double x) {
    if (!isfinite(x)) return;
    m->sum += x;
    m->n++;
}

static double mean_of(mean m) { return m.n ? m.sum / (double)m.n : NAN; }

/* The mean over runs: with the sample of the base's data a seed may change what the base scores. */
static lf_outcome find_reference(const lf_summary *s) {
    mean gain = {0}, cost = {0};
    for (int64_t i = 0; i < s->from->n_runs; i++) {
        const lf_gathered_run *r = &s->from->runs[i];
        const double before = lf_run_number(r, "base_before");
        if (!s->from->language) {
            add(&gain, lf_run_number(r, "eval_chance"));
            add(&cost, before);
        } else {
            if (s->by_eval) add(&gain, -log(lf_run_number(r, "eval_perplexity_before")));
            add(&cost, log(lf_run_number(r, "base_chance")) - log(before));
        }
    }
    return (lf_outcome){mean_of(gain), mean_of(cost)};
}

static double most_gain(const lf_outcome *p, int64_t n) {
    double most = NAN;
    for (int64_t i = 0; i < n; i++)
        if (is_known(p[i])) most = fmax(most, p[i].gain); /* fmax prefers numbers */
    return most;
}

static bool any_diverged(const lf_summary *s, const lf_group *g) {
    for (int64_t i = 0; i < g->n_cells; i++)
        if (s->cells[g->cells[i]].n_diverged) return true;
    return false;
}

static lf_status weigh_outcomes(lf_summary *s, lf_err *err) {
    lf_outcome *p = lf_calloc((size_t)s->n_cells, sizeof *p);
    bool *front = lf_calloc((size_t)s->n_cells, sizeof *front);
    if (!p || !front) {
        lf_free(p);
        lf_free(front);
        return lf_fail(err, LF_ENOMEM, "%s: out of memory for the summary of its runs", s->from->dir);
    }
    for (int64_t i = 0; i < s->n_cells; i++) p[i] = counted(&s->cells[i]);
    lf_pareto(front, p, s->n_cells);
    for (int64_t i = 0; i < s->n_cells; i++) s->cells[i].front = front[i];
    lf_free(front);
    s->reference = find_reference(s);
    s->matched_gain = NAN;
    for (int64_t i = 0; i < s->n_groups; i++) s->matched_gain = fmin(s->matched_gain, most_gain(p + s->groups[i].cells[0], s->groups[i].n_cells));
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < s->n_groups && !rc; i++) {
        lf_group *g = &s->groups[i];
        const lf_outcome *own = p + g->cells[0];
        g->matched_cost = lf_cost_at_gain(own, g->n_cells, s->matched_gain);
        /* A group that only diverged dominates nothing; of one that has not ended yet nothing is known. */
        const bool known = is_known(s->reference) && (isfinite(most_gain(own, g->n_cells)) || any_diverged(s, g));
        g->hypervolume = known ? lf_hypervolume(own, g->n_cells, s->reference) : NAN;
        if (known && isnan(g->hypervolume)) rc = lf_fail(err, LF_ENOMEM, "%s: out of memory for the summary of its runs", s->from->dir);
    }
    lf_free(p);
    return rc;
}

/* ---- differences ---- */

static double cost_of(const lf_summary *s, const lf_gathered_run *r) {
    (void)s;
    return lf_run_number(r, "forgetting");
}

/* Of two cells, whose runs stand by seed, those of the same seed. */
static lf_sample difference(const lf_summary *s, const lf_cell *a, const lf_cell *b, double (*figure)(const lf_summary *, const lf_gathered_run *), double *values) {
    double *of_a = values, *of_b = values + s->from->n_runs;
    int64_t n = 0, i = 0, k = 0;
    while (i < a->n_runs && k < b->n_runs) {
        const lf_gathered_run *x = &s->from->runs[a->runs[i]], *y = &s->from->runs[b->runs[k]];
        const int c = lf_value_compare(lf_run_value(x, "seed"), lf_run_value(y, "seed"));
        if (c == 0) {
            of_a[n] = figure(s, x);
            of_b[n] = figure(s, y);
            n += isfinite(of_a[n]) && isfinite(of_b[n]);
        }
        i += c <= 0;
        k += c >= 0;
    }
    return lf_sample_paired(of_a, of_b, n);
}

static void compare_group(const lf_summary *s, lf_group *g, double *values) {
    const lf_group *first = &s->groups[0];
    g->gain_difference = g->cost_difference = lf_sample_of(NULL, 0);
    if (g == first || g->best < 0 || first->best < 0) return;
    const lf_cell *a = &s->cells[g->best], *b = &s->cells[first->best];
    g->gain_difference = difference(s, a, b, lf_gain_of, values);
    g->cost_difference = difference(s, a, b, cost_of, values);
}

lf_status lf_summary_trade(lf_summary *s, double *values, lf_err *err) {
    for (int64_t i = 0; i < s->n_groups; i++) choose_best(s, &s->groups[i]);
    for (int64_t i = 0; i < s->n_groups; i++) compare_group(s, &s->groups[i], values);
    return weigh_outcomes(s, err);
}

/* Which learning rate is a method's best, and what methods gain at what cost. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "report/gather/summary_internal.h"

/* ---- the best learning rate ---- */

/* Every run is done and judged. */
static bool is_whole(const lf_cell *c) { return c->n_candidates == c->n_runs; }

/* By test data none is chosen; where there is one rate, nothing is. */
static bool can_choose(const lf_summary *s, const lf_cohort *g) {
    const lf_gathered_run *first = &s->from->runs[s->cells[g->cells[0]].runs[0]];
    const char *selection = lf_selection_of(first);
    return s->by_eval || g->n_cells == 1 || (selection && strcmp(selection, "gain"));
}

/* Of equals the one that costs less; cells stand by learning rate, so of equals in both the smaller rate. */
static void choose_best(lf_summary *s, lf_cohort *g) {
    const lf_wish wish = lf_wish_of(s, g);
    if (!can_choose(s, g)) return;
    for (int64_t i = 0; i < g->n_cells; i++) {
        const lf_cell *c = &s->cells[g->cells[i]];
        if (is_whole(c) && (g->best < 0 || lf_is_better(&wish, c->candidate, s->cells[g->best].candidate)))
            g->best = g->cells[i];
    }
    if (g->best < 0) return;
    const lf_cell *best = &s->cells[g->best];
    s->cells[g->best].best = true;
    g->beyond = !lf_is_within(&wish, best->candidate);
    g->at_edge = g->n_cells > 1 && (g->best == g->cells[0] || g->best == g->cells[g->n_cells - 1]);
    for (int64_t i = 0; i < g->n_cells; i++) {
        const lf_cell *c = &s->cells[g->cells[i]];
        g->tied = g->tied || (c != best && is_whole(c) && c->candidate.figure == best->candidate.figure &&
                              lf_is_within(&wish, c->candidate) != g->beyond);
    }
}

/* ---- families ---- */

static const lf_gathered_run *run_of(const lf_summary *s, const lf_cohort *g) {
    return &s->from->runs[s->cells[g->cells[0]].runs[0]];
}

static bool same_task(const lf_summary *s, const lf_cohort *a, const lf_cohort *b) {
    for (int64_t i = 0; i < s->from->n_swept; i++) {
        const char *key = s->from->swept[i];
        if (lf_is_task_key(key) &&
            lf_value_compare(lf_run_value(run_of(s, a), key), lf_run_value(run_of(s, b), key)) != 0)
            return false;
    }
    return true;
}

static void find_families(lf_summary *s) {
    for (int64_t i = 0; i < s->n_groups; i++) {
        int64_t first = 0;
        while (first < i && (s->groups[first].family != first || !same_task(s, &s->groups[first], &s->groups[i])))
            first++;
        s->groups[i].family = first;
        s->families = s->families || first > 0;
    }
}

static int64_t family_of(const lf_summary *s, const lf_cell *c) { return s->groups[c->group].family; }

/* ---- outcomes ---- */

/* A rate at which a run diverged is not to be had at the price of those that did not. */
static lf_outcome counted(const lf_cell *c) { return c->n_diverged ? (lf_outcome){NAN, NAN} : c->outcome; }

static bool is_known(lf_outcome p) { return isfinite(p.gain) && isfinite(p.cost); }

typedef struct mean {
    double sum;
    int64_t n;
} mean;

static void add(mean *m, double x) {
    if (!isfinite(x)) return;
    m->sum += x;
    m->n++;
}

static double mean_of(mean m) { return m.n ? m.sum / (double)m.n : NAN; }

/* The mean over the family's runs: with the sample of the base's data a seed may change what the base scores. */
static void add_reference(const lf_summary *s, const lf_cell *c, mean *gain, mean *cost) {
    const lf_yardstick *y = s->from->yardstick;
    for (int64_t i = 0; i < c->n_runs; i++) {
        const lf_gathered_run *r = &s->from->runs[c->runs[i]];
        const double before = lf_run_number(r, "base_before");
        if (s->by_eval || !y->start_is_of_eval) add(gain, lf_gain_from(y, lf_run_number(r, y->start)));
        add(cost, lf_kept_from(y, before) - (y->worst ? lf_kept_from(y, lf_run_number(r, y->worst)) : 0));
    }
}

static lf_outcome find_reference(const lf_summary *s, int64_t family) {
    mean gain = {0}, cost = {0};
    for (int64_t i = 0; i < s->n_cells; i++)
        if (family_of(s, &s->cells[i]) == family) add_reference(s, &s->cells[i], &gain, &cost);
    return (lf_outcome){mean_of(gain), mean_of(cost)};
}

static double most_gain(const lf_outcome *p, int64_t n) {
    double most = NAN;
    for (int64_t i = 0; i < n; i++)
        if (is_known(p[i])) most = fmax(most, p[i].gain); /* fmax prefers numbers */
    return most;
}

static bool any_diverged(const lf_summary *s, const lf_cohort *g) {
    for (int64_t i = 0; i < g->n_cells; i++)
        if (s->cells[g->cells[i]].n_diverged) return true;
    return false;
}

/* Of one family: `own` has its cells' outcomes, and NAN for the others, which are left out of the front. */
static void weigh_family(lf_summary *s, int64_t family, const lf_outcome *p, lf_outcome *own, bool *front) {
    const lf_outcome reference = find_reference(s, family);
    double matched = NAN;
    for (int64_t i = 0; i < s->n_cells; i++)
        own[i] = family_of(s, &s->cells[i]) == family ? p[i] : (lf_outcome){NAN, NAN};
    lf_pareto(front, own, s->n_cells);
    for (int64_t i = 0; i < s->n_cells; i++) s->cells[i].front = s->cells[i].front || front[i];
    for (int64_t i = 0; i < s->n_groups; i++)
        if (s->groups[i].family == family)
            matched = fmin(matched, most_gain(p + s->groups[i].cells[0], s->groups[i].n_cells));
    for (int64_t i = 0; i < s->n_groups; i++) {
        if (s->groups[i].family != family) continue;
        s->groups[i].reference = reference;
        s->groups[i].matched_gain = matched;
    }
}

static lf_status weigh_group(lf_summary *s, lf_cohort *g, const lf_outcome *p, lf_err *err) {
    const lf_outcome *own = p + g->cells[0];
    g->matched_cost = lf_cost_at_gain(own, g->n_cells, g->matched_gain);
    /* A group that only diverged dominates nothing; of one that has not ended yet nothing is known. */
    const bool known = is_known(g->reference) && (isfinite(most_gain(own, g->n_cells)) || any_diverged(s, g));
    g->hypervolume = known ? lf_hypervolume(own, g->n_cells, g->reference) : NAN;
    return known && isnan(g->hypervolume) ? lf_no_memory(err, "the summary of the runs of %s", s->from->dir) : LF_OK;
}

static lf_status weigh_outcomes(lf_summary *s, lf_err *err) {
    lf_outcome *p = lf_calloc(2 * (size_t)s->n_cells, sizeof *p);
    bool *front = lf_calloc((size_t)s->n_cells, sizeof *front);
    lf_status rc = p && front ? LF_OK : lf_no_memory(err, "the summary of the runs of %s", s->from->dir);
    for (int64_t i = 0; i < s->n_cells && !rc; i++) p[i] = counted(&s->cells[i]);
    for (int64_t i = 0; i < s->n_groups && !rc; i++)
        if (s->groups[i].family == i) weigh_family(s, i, p, p + s->n_cells, front);
    for (int64_t i = 0; i < s->n_groups && !rc; i++) rc = weigh_group(s, &s->groups[i], p, err);
    lf_free(front);
    lf_free(p);
    return rc;
}

lf_status lf_summary_trade(lf_summary *s, lf_err *err) {
    find_families(s);
    for (int64_t i = 0; i < s->n_groups; i++) choose_best(s, &s->groups[i]);
    return weigh_outcomes(s, err);
}

lf_unchosen lf_why_unchosen(const lf_summary *s, const lf_cohort *g) {
    if (g->best >= 0) return LF_CHOSEN;
    for (int64_t i = 0; i < g->n_cells; i++)
        if (s->cells[g->cells[i]].n_done == s->cells[g->cells[i]].n_runs) return LF_NOT_JUDGED;
    return LF_NOT_DONE;
}

/* What would make a verdict surer, and what to be careful of. */
#include <math.h>

#include "base/mem.h"
#include "base/number.h"
#include "config/config.h"
#include "report/gather/collapsed.h"
#include "report/gather/verdict_internal.h"

enum { MANY_PAIRS = 5 };

static void note(lf_telling *t, lf_string *text) {
    char *line = lf_string_take(text);
    if (line && lf_grow(&t->v->notes, &t->v->notes_capacity, t->v->n_notes + 1)) {
        t->v->notes[t->v->n_notes++] = line;
        return;
    }
    lf_free(line);
    t->no_memory = true;
}

/* Half of a t interval of n, in standard deviations. */
static double half_width(int64_t n) { return lf_t_quantile(0.975, n - 1) / sqrt((double)n); }

static void note_seeds(lf_telling *t, int64_t pairs) {
    const lf_draw_words w = lf_draw_words_of(t->s->from);
    lf_string text = {0};
    if (pairs >= MANY_PAIRS) return;
    lf_string_add(&text, "%lld %s: ", (long long)pairs, pairs == 1 ? w.counted_one : w.counted_many);
    if (pairs < LF_LEAST_PAIRS) {
        lf_string_add(&text, "three are the least for an interval, and that of five is half as wide, where runs differ "
                             "alike.");
    } else {
        int64_t enough = pairs;
        while (half_width(enough) > half_width(pairs) / 2) enough++;
        lf_string_add(&text, "with %lld the intervals would be half as wide, if the runs differ as these do.",
                      (long long)enough);
    }
    note(t, &text);
}

/* A draw goes to the baseline. */
static void note_default(lf_telling *t, int64_t pairs, const lf_cohort *best) {
    if (pairs < LF_LEAST_PAIRS || best) return;
    lf_string text = {0};
    lf_put_titles(t, &text, &t->baseline, 1, true);
    lf_string_add(&text, " is taken because it is the baseline and nothing is surely better, not because it has won.");
    note(t, &text);
}

/* What is sure is so after all methods were looked at together, and the table's intervals are each for itself. */
static void note_together(lf_telling *t, int64_t pairs) {
    int64_t n = 0;
    for (int64_t i = 0; i < t->s->n_groups; i++)
        n += t->s->groups[i].family == t->family && isfinite(t->s->groups[i].p[LF_DIFFERS_MATCHED]);
    if (pairs < LF_LEAST_PAIRS || n < 2) return;
    lf_string text = {0};
    lf_string_add(&text,
                  "A difference is called sure where its p is below 0.05 with all %lld comparisons counted together "
                  "(Holm). The 95 %% intervals are each for itself: one that leaves out 0 may not be enough.",
                  (long long)n);
    note(t, &text);
}

/* The best rate of a group is `rate`, the last one to its side, +1 or -1. */
static bool is_at_edge(const lf_telling *t, const lf_cohort *g, double rate, int side) {
    if (g->family != t->family || !g->at_edge || t->s->cells[g->best].learning_rate != rate) return false;
    return (g->best == g->cells[g->n_cells - 1]) == (side > 0);
}

/* One note for all whose best rate is the same. */
static void note_edge(lf_telling *t, int64_t first, double rate, int side) {
    const lf_cohort *g = t->s->groups;
    int64_t n = 0, all = 0;
    lf_string text = {0};
    for (int64_t i = 0; i < first; i++)
        if (is_at_edge(t, &g[i], rate, side)) return; /* was said */
    lf_string_add(&text, "The best learning rate of ");
    const lf_cohort **of = lf_calloc((size_t)t->s->n_groups, sizeof *of);
    t->no_memory = t->no_memory || !of;
    for (int64_t i = 0; of && i < t->s->n_groups; i++) {
        all += g[i].family == t->family;
        if (is_at_edge(t, &g[i], rate, side)) of[n++] = &g[i];
    }
    if (n == all)
        lf_string_add(&text, "every method");
    else if (n)
        lf_put_titles(t, &text, of, n, false);
    lf_free(of);
    char value[40];
    lf_number_rate(value, sizeof value, rate, LF_SETTING_DIGITS);
    lf_string_add(&text, ", %s, is the %s that was tried: a %s one may learn more.", value,
                  side > 0 ? "largest" : "smallest", side > 0 ? "larger" : "smaller");
    note(t, &text);
}

static void note_edges(lf_telling *t) {
    for (int64_t i = 0; i < t->s->n_groups; i++) {
        const lf_cohort *g = &t->s->groups[i];
        if (g->family != t->family || !g->at_edge) continue;
        const bool largest = g->best == g->cells[g->n_cells - 1];
        note_edge(t, i, t->s->cells[g->best].learning_rate, largest ? 1 : -1);
    }
}

/* "Of X several ..., 0.001, was taken." for each method that it holds of. */
static void note_rates(lf_telling *t, bool (*holds)(const lf_cohort *g), const char *before, const char *after) {
    for (int64_t i = 0; i < t->s->n_groups; i++) {
        const lf_cohort *g = &t->s->groups[i];
        if (g->family != t->family || !holds(g)) continue;
        lf_string text = {0};
        char value[40];
        lf_number_rate(value, sizeof value, t->s->cells[g->best].learning_rate, LF_SETTING_DIGITS);
        lf_string_add(&text, "%s ", before);
        lf_put_title(t, &text, g);
        lf_string_add(&text, " %s, %s, was taken.", after, value);
        note(t, &text);
    }
}

static bool is_tied(const lf_cohort *g) { return g->tied; }
static bool is_beyond(const lf_cohort *g) { return g->beyond; }

static void note_ties(lf_telling *t) {
    note_rates(t, is_tied, "Of", "several learning rates are equally good; the one that forgets less");
}

static void note_limits(lf_telling *t) {
    note_rates(t, is_beyond, "At every learning rate",
               "forgot more than max_forgetting; the rate at which it forgot least");
}

static bool is_collapsed(const lf_summary *s, const lf_gathered_run *r) {
    (void)s;
    return r->state == LF_RUN_COLLAPSED;
}

static bool is_base_at_chance(const lf_summary *s, const lf_gathered_run *r) {
    return lf_run_is_done(r) && lf_base_knew(r->results, s->from->yardstick) == 0;
}

static void count_runs(lf_telling *t, bool (*is)(const lf_summary *, const lf_gathered_run *), int64_t *found,
                       const lf_gathered_run **first) {
    *found = 0;
    for (int64_t i = 0; i < t->s->n_cells; i++) {
        const lf_cell *c = &t->s->cells[i];
        for (int64_t k = 0; k < c->n_runs && t->s->groups[c->group].family == t->family; k++) {
            const lf_gathered_run *r = &t->s->from->runs[c->runs[k]];
            if (is(t->s, r) && !(*found)++) *first = r;
        }
    }
}

static void note_chance(lf_telling *t) {
    const lf_gathered_run *first;
    int64_t n;
    lf_string text = {0};
    count_runs(t, is_collapsed, &n, &first);
    if (n) {
        lf_string_add(&text, "%lld run%s collapsed%s%s: %s.", (long long)n, n > 1 ? "s" : "",
                      n > 1 ? "; the first, " : ", ", first->name, first->message);
        note(t, &text);
    }
    count_runs(t, is_base_at_chance, &n, &first);
    if (n) {
        lf_string_add(
            &text, "The base is no better than a guess on forgetting_data before training: its labels may not be the "
                   "model's, and forgetting then means nothing.");
        note(t, &text);
    }
}

/* How much of a share is noise of the examples: half of the 95 % interval of what the base kept. */
static void note_examples(lf_telling *t, const lf_cohort *best) {
    const lf_gathered_run *r = best && best->best >= 0 ? lf_best_run(t->s, best) : NULL;
    if (!r) return;
    const double after = lf_run_number(r, "base_after"), n = lf_run_number(r, "base_samples");
    double low, high;
    if (!(n >= 1) || !(after <= 1)) return;
    lf_wilson(after, (int64_t)n, &low, &high);
    if (!((high - low) / 2 > fabs(lf_matched_of(best).mean))) return;
    lf_string text = {0};
    lf_string_add(&text,
                  "Forgetting is of %.0f examples, which tell a share to ± %.1f points only: these intervals are of "
                  "other %s on the same examples, not of other examples.",
                  n, 100 * (high - low) / 2, lf_draw_words_of(t->s->from).many);
    note(t, &text);
}

/* On what the rates were chosen, and on what the methods are judged. */
static void note_data(lf_telling *t) {
    const lf_gathered_run *r = &t->s->from->runs[t->s->cells[t->baseline->cells[0]].runs[0]];
    const char *selection = lf_selection_of(r);
    const bool same = !t->s->judged_by_test && t->s->by_eval;
    lf_string text = {0};
    if (selection) {
        lf_string_add(&text,
                      "Learning rates were chosen by %s%s, on evaluation data and on examples of the base's task "
                      "of which no forgetting is reported.",
                      selection, lf_run_value(r, lf_key_name(LF_max_forgetting)) ? " within max_forgetting" : "");
        note(t, &text);
    }
    if (!same) return;
    lf_string_add(&text,
                  "Learning rates were chosen, and %s judged, on the same evaluation data; with test_data the "
                  "comparison would be on data that chose nothing.",
                  selection ? "the new task is" : "methods");
    note(t, &text);
}

void lf_verdict_notes(lf_telling *t, int64_t pairs, const lf_cohort *best) {
    note_default(t, pairs, best);
    note_seeds(t, pairs);
    note_together(t, pairs);
    note_edges(t);
    note_ties(t);
    note_limits(t);
    note_chance(t);
    note_examples(t, best);
    note_data(t);
}

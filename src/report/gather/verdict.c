/* Sentences from intervals. A difference is called one only where its p-value, adjusted for all that are looked at, is
 * below 0.05; all else is "cannot be told apart". */
#include "report/gather/verdict.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "config/config.h"
#include "report/gather/collapsed.h"
#include "report/gather/start.h"
#include "report/gather/summary_internal.h"

static const double SURE = 0.05;
enum { LEAST_PAIRS = 3, MANY_PAIRS = 5 };

/* ---- names ---- */

static bool is_start_key(const char *key) { return (lf_key_traits(key) & LF_IS_START) != 0; }

/* "key value, key value" of the swept keys that `wanted` takes. */
static void put_keys(lf_string *t, const lf_summary *s, const lf_cohort *g, bool (*wanted)(const char *)) {
    const lf_gathered_run *r = &s->from->runs[s->cells[g->cells[0]].runs[0]];
    for (int64_t i = 0; i < s->from->n_swept; i++) {
        char value[200];
        if (!wanted(s->from->swept[i])) continue;
        lf_value_text(value, sizeof value, lf_run_value(r, s->from->swept[i]));
        lf_string_add(t, "%s%s %s", t->n ? ", " : "", s->from->swept[i], value[0] ? value : "not set");
    }
}

static bool is_other_key(const char *key) {
    return lf_is_method_key(key) && !is_start_key(key) && !lf_is_task_key(key);
}

static bool sweeps_starts(const lf_summary *s) {
    for (int64_t i = 0; i < s->from->n_swept; i++)
        if (is_start_key(s->from->swept[i])) return true;
    return false;
}

char *lf_method_title(const lf_summary *s, const lf_cohort *g) {
    lf_string t = {0};
    const char *title = sweeps_starts(s) ? lf_start_title(g->start) : NULL;
    if (title) lf_string_add(&t, "%s", title);
    put_keys(&t, s, g, is_other_key);
    if (!t.n && !t.failed) lf_string_add(&t, "%s", g->name);
    return lf_string_take(&t);
}

/* ---- what is said ---- */

typedef struct telling {
    const lf_summary *s;
    int64_t family;
    const lf_cohort *baseline;
    lf_verdict *v;
    const lf_metric *cost;
    bool no_memory;
} telling;

static void put_title(telling *t, lf_string *text, const lf_cohort *g) {
    char *title = lf_method_title(t->s, g);
    t->no_memory = t->no_memory || !title;
    if (title) lf_string_add(text, "%s", title);
    lf_free(title);
}

static void note(telling *t, lf_string *text) {
    char *line = lf_string_take(text);
    if (line && lf_grow(&t->v->notes, &t->v->notes_capacity, t->v->n_notes + 1)) {
        t->v->notes[t->v->n_notes++] = line;
        return;
    }
    lf_free(line);
    t->no_memory = true;
}

static bool is_other(const telling *t, const lf_cohort *g) { return g->family == t->family && g != t->baseline; }

static lf_sample matched_of(const lf_cohort *g) { return g->differences[LF_DIFFERS_MATCHED]; }

/* -1: it surely forgets less than the baseline; 1: more; 0: nobody knows. */
static int sure_sign(const lf_cohort *g) {
    if (!(g->p[LF_DIFFERS_MATCHED] < SURE)) return 0;
    return matched_of(g).mean < 0 ? -1 : 1;
}

/* Of those that surely forget less, the one that forgets least. NULL: none. */
static const lf_cohort *find_better(const telling *t) {
    const lf_cohort *best = NULL;
    for (int64_t i = 0; i < t->s->n_groups; i++) {
        const lf_cohort *g = &t->s->groups[i];
        if (is_other(t, g) && sure_sign(g) < 0 && g->best >= 0 && (!best || matched_of(g).mean < matched_of(best).mean))
            best = g;
    }
    return best;
}

static int64_t most_pairs(const telling *t) {
    int64_t most = 0;
    for (int64_t i = 0; i < t->s->n_groups; i++)
        if (is_other(t, &t->s->groups[i]) && matched_of(&t->s->groups[i]).n > most)
            most = matched_of(&t->s->groups[i]).n;
    return most;
}

static void put_amount(const telling *t, lf_string *text, double value) {
    lf_string_add(text, t->cost->scale != 1 ? "%.1f" : "%.3g", t->cost->scale * value);
}

/* "26.1 %", "perplexity 4.2" */
static void put_gain(const telling *t, lf_string *text, double gain) {
    const lf_yardstick *y = t->s->from->yardstick;
    const char *unit = lf_metric_in_role(y, LF_ROLE_GAIN)->unit;
    lf_string_add(text, unit[0] ? "%.1f %s" : "%.4g%s", lf_gain_shown(y, gain), unit);
}

/* "At equal accuracy (26.1 %), position 0.5 forgets 4.1 to 11.2 points less than plain LoRA (95 % interval, 5 seeds)."
 */
static void put_difference(telling *t, lf_string *text, const lf_cohort *g) {
    const lf_sample d = matched_of(g);
    const bool less = d.mean < 0;
    lf_string_add(text, "At equal %s%s (", t->s->judged_by_test ? "test " : "", t->s->from->yardstick->name);
    put_gain(t, text, g->equal_gain);
    lf_string_add(text, "), ");
    put_title(t, text, g);
    lf_string_add(text, " forgets ");
    put_amount(t, text, less ? -d.high : d.low);
    lf_string_add(text, " to ");
    put_amount(t, text, less ? -d.low : d.high);
    lf_string_add(text, " %s %s than ", t->cost->unit, less ? "less" : "more");
    put_title(t, text, t->baseline);
    lf_string_add(text, " (95 %% interval over %lld seeds).", (long long)d.n);
}

static bool is_listed(const telling *t, const lf_cohort *g, const lf_cohort *not_this, int sign) {
    return is_other(t, g) && g != not_this && matched_of(g).n >= LEAST_PAIRS && sure_sign(g) == sign;
}

/* " X, Y and Z" + words, of those whose sign it is. False: there are none. */
static bool put_list(telling *t, lf_string *text, const lf_cohort *not_this, int sign, const char *one,
                     const char *many) {
    int64_t n = 0, put = 0;
    for (int64_t i = 0; i < t->s->n_groups; i++) n += is_listed(t, &t->s->groups[i], not_this, sign);
    for (int64_t i = 0; i < t->s->n_groups; i++) {
        if (!is_listed(t, &t->s->groups[i], not_this, sign)) continue;
        lf_string_add(text, "%s", put == 0 ? " " : put + 1 == n ? " and " : ", ");
        put_title(t, text, &t->s->groups[i]);
        put++;
    }
    if (n) lf_string_add(text, " %s", n == 1 ? one : many);
    return n > 0;
}

/* Which of the others that surely forget less cannot be told from the best of them: all pairs adjusted together. */
static lf_status put_equals(telling *t, lf_string *text, const lf_cohort *best, lf_err *err) {
    double *p = lf_calloc((size_t)t->s->n_groups, sizeof *p);
    lf_status rc = p ? LF_OK : lf_no_memory(err, "the verdict on %s", t->s->from->dir);
    for (int64_t i = 0; i < t->s->n_groups && !rc; i++) {
        const lf_cohort *g = &t->s->groups[i];
        lf_sample d;
        p[i] = NAN;
        if (!is_other(t, g) || g == best || sure_sign(g) >= 0) continue;
        if (!(rc = lf_compare_matched(&d, t->s, g, best, err))) p[i] = d.n < LEAST_PAIRS ? 1 : lf_t_p(d);
    }
    if (!rc) lf_holm(p, t->s->n_groups);
    int64_t n = 0;
    for (int64_t i = 0; i < t->s->n_groups && !rc; i++) {
        if (isnan(p[i]) || p[i] < SURE) continue;
        lf_string_add(text, "%s", n++ ? ", " : " Among those that forget less, ");
        put_title(t, text, &t->s->groups[i]);
    }
    if (n) {
        lf_string_add(text, " cannot be told from ");
        put_title(t, text, best);
        lf_string_add(text, ".");
    }
    lf_free(p);
    return rc;
}

static lf_status answer_surely(telling *t, lf_string *text, const lf_cohort *best, lf_err *err) {
    lf_status rc = LF_OK;
    if (best) {
        put_difference(t, text, best);
        rc = put_equals(t, text, best, err);
    } else {
        lf_string_add(text, "No start forgets surely less than ");
        put_title(t, text, t->baseline);
        lf_string_add(text, " at equal %s%s.", t->s->judged_by_test ? "test " : "", t->s->from->yardstick->name);
    }
    if (put_list(t, text, best, 0, "cannot be told from ", "cannot be told from ")) {
        put_title(t, text, t->baseline);
        lf_string_add(text, ".");
    }
    if (put_list(t, text, best, 1, "forgets more than ", "forget more than ")) {
        put_title(t, text, t->baseline);
        lf_string_add(text, ".");
    }
    return rc;
}

static void answer_unsurely(lf_string *text, int64_t pairs) {
    if (pairs)
        lf_string_add(
            text,
            "Nothing can be said for sure: %lld seed%s of each method give%s no interval, and a difference may be "
            "the noise of seeds. The table has what was found.",
            (long long)pairs, pairs > 1 ? "s" : "", pairs > 1 ? "" : "s");
    else
        lf_string_add(
            text, "There is nothing to compare yet: no other method has run with the seeds and at the learning rates "
                  "of the baseline.");
}

/* ---- the run to take ---- */

/* Of the best rate's runs the one that is best on the data that chose the rate. */
static const lf_gathered_run *best_run(const telling *t, const lf_cohort *g) {
    const lf_gathered_run *best = NULL;
    const lf_cell *c = &t->s->cells[g->best];
    const lf_wish wish = lf_wish_of(t->s, g);
    for (int64_t i = 0; i < c->n_runs; i++) {
        const lf_gathered_run *r = &t->s->from->runs[c->runs[i]];
        const lf_candidate own = lf_candidate_of(t->s, r);
        if (lf_run_is_done(r) && isfinite(own.figure) &&
            (!best || lf_is_better(&wish, own, lf_candidate_of(t->s, best))))
            best = r;
    }
    return best;
}

static void recommend(telling *t, const lf_cohort *g) {
    const lf_gathered_run *r = g && g->best >= 0 ? best_run(t, g) : NULL;
    if (!r) return;
    t->v->run = r->name;
    t->v->model = cJSON_GetStringValue(lf_run_value(r, "model"));
    t->v->adapter = lf_format("%s/%s/adapter", t->s->from->dir, r->name);
    t->no_memory = t->no_memory || !t->v->adapter;
}

/* ---- what would make it surer ---- */

static void note_seeds(telling *t, int64_t pairs) {
    lf_string text = {0};
    if (pairs >= MANY_PAIRS) return;
    lf_string_add(&text, "%lld seed%s: %s", (long long)pairs, pairs == 1 ? "" : "s",
                  pairs < LEAST_PAIRS ? "at least three are needed for an interval, five are better."
                                      : "more make the intervals narrower (four times as many halve them).");
    note(t, &text);
}

static void note_edges(telling *t) {
    for (int64_t i = 0; i < t->s->n_groups; i++) {
        const lf_cohort *g = &t->s->groups[i];
        if (g->family != t->family || !g->at_edge) continue;
        lf_string text = {0};
        const bool largest = g->best == g->cells[g->n_cells - 1];
        lf_string_add(&text, "The best learning rate of ");
        put_title(t, &text, g);
        lf_string_add(&text, ", %.6g, is the %s that was tried: a %s one may be better.",
                      t->s->cells[g->best].learning_rate, largest ? "largest" : "smallest",
                      largest ? "larger" : "smaller");
        note(t, &text);
    }
}

static void note_ties(telling *t) {
    for (int64_t i = 0; i < t->s->n_groups; i++) {
        const lf_cohort *g = &t->s->groups[i];
        if (g->family != t->family || !g->tied) continue;
        lf_string text = {0};
        lf_string_add(&text, "Of ");
        put_title(t, &text, g);
        lf_string_add(&text, " several learning rates are equally good; the one that forgets less, %.6g, was taken.",
                      t->s->cells[g->best].learning_rate);
        note(t, &text);
    }
}

static bool is_collapsed(const lf_summary *s, const lf_gathered_run *r) {
    (void)s;
    return r->state == LF_RUN_COLLAPSED;
}

static bool is_base_at_chance(const lf_summary *s, const lf_gathered_run *r) {
    return lf_run_is_done(r) && lf_base_knew(r->results, s->from->yardstick) == 0;
}

static void count_runs(telling *t, bool (*is)(const lf_summary *, const lf_gathered_run *), int64_t *found,
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

static void note_chance(telling *t) {
    const lf_gathered_run *first;
    int64_t n;
    lf_string text = {0};
    count_runs(t, is_collapsed, &n, &first);
    if (n) {
        lf_string_add(&text, "%lld run%s collapsed: %s (the first is %s).", (long long)n, n > 1 ? "s" : "",
                      first->message, first->name);
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
static void note_examples(telling *t, const lf_cohort *best) {
    const lf_gathered_run *r = best && best->best >= 0 ? best_run(t, best) : NULL;
    if (!r) return;
    const double after = lf_run_number(r, "base_after"), n = lf_run_number(r, "base_samples");
    double low, high;
    if (!(n >= 1) || !(after <= 1)) return;
    lf_wilson(after, (int64_t)n, &low, &high);
    if (!((high - low) / 2 > fabs(matched_of(best).mean))) return;
    lf_string text = {0};
    lf_string_add(&text,
                  "Forgetting is of %.0f examples, which tell a share to ± %.1f points only: these intervals are of "
                  "other seeds on "
                  "the same examples, not of other examples.",
                  n, 100 * (high - low) / 2);
    note(t, &text);
}

/* On what the rates were chosen, and on what the methods are judged. */
static void note_data(telling *t) {
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

static void note_limits(telling *t) {
    for (int64_t i = 0; i < t->s->n_groups; i++) {
        const lf_cohort *g = &t->s->groups[i];
        if (g->family != t->family || !g->beyond) continue;
        lf_string text = {0};
        lf_string_add(&text, "At every learning rate ");
        put_title(t, &text, g);
        lf_string_add(&text, " forgot more than max_forgetting; the rate at which it forgot least, %.6g, was taken.",
                      t->s->cells[g->best].learning_rate);
        note(t, &text);
    }
}

/* ---- all ---- */

static lf_status make(telling *t, lf_err *err) {
    lf_string text = {0};
    const int64_t pairs = most_pairs(t);
    const lf_cohort *best = find_better(t);
    lf_status rc = LF_OK;
    if (t->s->families) {
        lf_string of = {0};
        put_keys(&of, t->s, t->baseline, lf_is_task_key);
        if (!(t->v->of = lf_string_take(&of))) t->no_memory = true;
    }
    if (pairs >= LEAST_PAIRS)
        rc = answer_surely(t, &text, best, err);
    else
        answer_unsurely(&text, pairs);
    t->v->answer = lf_string_take(&text);
    recommend(t, pairs >= LEAST_PAIRS ? best ? best : t->baseline : NULL);
    note_seeds(t, pairs);
    note_edges(t);
    note_ties(t);
    note_limits(t);
    note_chance(t);
    note_examples(t, best);
    note_data(t);
    if (!rc && (t->no_memory || !t->v->answer)) rc = lf_no_memory(err, "the verdict on %s", t->s->from->dir);
    return rc;
}

/* Is there anything to compare? */
static bool is_comparison(const lf_summary *s, int64_t family) {
    int64_t methods = 0, done = 0;
    for (int64_t i = 0; i < s->n_groups; i++) methods += s->groups[i].family == family;
    for (int64_t i = 0; i < s->n_cells; i++)
        if (s->groups[s->cells[i].group].family == family) done += s->cells[i].n_done;
    return s->groups[family].family == family && methods > 1 && done > 0;
}

lf_status lf_verdicts_new(lf_verdict **out, int64_t *n, const lf_summary *s, lf_err *err) {
    lf_status rc = LF_OK;
    *n = 0;
    *out = lf_calloc((size_t)s->n_groups, sizeof **out);
    if (!*out) return lf_no_memory(err, "the verdict on %s", s->from->dir);
    for (int64_t i = 0; i < s->n_groups && !rc; i++) {
        if (!is_comparison(s, i)) continue;
        telling t = {.s = s,
                     .family = i,
                     .baseline = &s->groups[s->groups[i].baseline],
                     .v = &(*out)[(*n)++],
                     .cost = lf_metric_in_role(s->from->yardstick, LF_ROLE_COST)};
        rc = make(&t, err);
    }
    if (!rc) return LF_OK;
    lf_verdicts_free(*out, *n);
    *out = NULL;
    *n = 0;
    return rc;
}

void lf_verdicts_free(lf_verdict *v, int64_t n) {
    for (int64_t i = 0; v && i < n; i++) {
        lf_free(v[i].of);
        lf_free(v[i].answer);
        lf_free(v[i].adapter);
        for (int64_t k = 0; k < v[i].n_notes; k++) lf_free(v[i].notes[k]);
        lf_free(v[i].notes);
    }
    lf_free(v);
}

static void print_line(FILE *out, const char *before, const char *text) {
    fputs(before, out);
    lf_print_plain(out, text);
    fputc('\n', out);
}

void lf_verdicts_print(const lf_verdict *v, int64_t n, FILE *out) {
    for (int64_t i = 0; i < n; i++) {
        if (v[i].of) print_line(out, "of ", v[i].of);
        print_line(out, "verdict: ", v[i].answer);
        if (v[i].adapter) print_line(out, "take:    ", v[i].adapter);
        for (int64_t k = 0; k < v[i].n_notes; k++) print_line(out, "note:    ", v[i].notes[k]);
    }
}

cJSON *lf_verdicts_json(const lf_verdict *v, int64_t n) {
    lf_obj list = lf_list_new();
    for (int64_t i = 0; i < n; i++) {
        lf_obj o = lf_obj_new(), notes = lf_list_new();
        for (int64_t k = 0; k < v[i].n_notes; k++) lf_list_string(&notes, v[i].notes[k]);
        if (v[i].of) lf_obj_string(&o, "of", v[i].of);
        lf_obj_string(&o, "answer", v[i].answer);
        lf_obj_string(&o, "run", v[i].run);
        lf_obj_string(&o, "adapter", v[i].adapter);
        lf_obj_put(&o, "notes", lf_obj_take(&notes));
        lf_list_put(&list, lf_obj_take(&o));
    }
    return lf_obj_take(&list);
}

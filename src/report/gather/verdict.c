/* Sentences from intervals. A difference is called one only where its p-value, adjusted for all that are looked at, is
 * below 0.05; all else is "cannot be told apart". */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/obj.h"
#include "base/plain.h"
#include "base/terminal.h"
#include "report/gather/verdict_internal.h"

static const double SURE = 0.05;

/* ---- what is said ---- */

static bool is_other(const lf_telling *t, const lf_cohort *g) { return g->family == t->family && g != t->baseline; }

/* -1: it surely forgets less than the baseline; 1: more; 0: nobody knows. */
static int sure_sign(const lf_cohort *g) {
    if (!(g->p[LF_DIFFERS_MATCHED] < SURE)) return 0;
    return lf_matched_of(g).mean < 0 ? -1 : 1;
}

/* Of those that surely forget less, the one that forgets least. NULL: none. */
static const lf_cohort *find_better(const lf_telling *t) {
    const lf_cohort *best = NULL;
    for (int64_t i = 0; i < t->s->n_groups; i++) {
        const lf_cohort *g = &t->s->groups[i];
        if (is_other(t, g) && sure_sign(g) < 0 && g->best >= 0 &&
            (!best || lf_matched_of(g).mean < lf_matched_of(best).mean))
            best = g;
    }
    return best;
}

static int64_t most_pairs(const lf_telling *t) {
    int64_t most = 0;
    for (int64_t i = 0; i < t->s->n_groups; i++)
        if (is_other(t, &t->s->groups[i]) && lf_matched_of(&t->s->groups[i]).n > most)
            most = lf_matched_of(&t->s->groups[i]).n;
    return most;
}

static void put_amount(const lf_telling *t, lf_string *text, double value) {
    lf_string_add(text, t->cost->scale != 1 ? "%.1f" : "%.3g", t->cost->scale * value);
}

/* "26.1 %", "perplexity 4.2" */
static void put_gain(const lf_telling *t, lf_string *text, double gain) {
    const lf_yardstick *y = t->s->from->yardstick;
    const char *unit = lf_metric_in_role(y, LF_ROLE_GAIN)->unit;
    lf_string_add(text, unit[0] ? "%.1f %s" : "%.4g%s", lf_gain_shown(y, gain), unit);
}

/* "At equal accuracy (26.1 %), position 0.5 forgets 4.1 to 11.2 points less than plain LoRA (95 % interval, 5 seeds)."
 */
static void put_difference(lf_telling *t, lf_string *text, const lf_cohort *g) {
    const lf_sample d = lf_matched_of(g);
    const bool less = d.mean < 0;
    lf_string_add(text, "At equal %s%s (", t->s->judged_by_test ? "test " : "", t->s->from->yardstick->name);
    put_gain(t, text, g->equal_gain);
    lf_string_add(text, "), ");
    lf_put_title(t, text, g);
    lf_string_add(text, " forgets ");
    put_amount(t, text, less ? -d.high : d.low);
    lf_string_add(text, " to ");
    put_amount(t, text, less ? -d.low : d.high);
    lf_string_add(text, " %s %s than ", t->cost->unit, less ? "less" : "more");
    lf_put_title(t, text, t->baseline);
    lf_string_add(text, " (95 %% interval over %lld %s).", (long long)d.n, lf_draw_words_of(t->s->from).counted_many);
}

static bool is_listed(const lf_telling *t, const lf_cohort *g, const lf_cohort *not_this, int sign) {
    return is_other(t, g) && g != not_this && lf_matched_of(g).n >= LF_LEAST_PAIRS && sure_sign(g) == sign;
}

/* " (8.3 points less to 6.4 more" */
static void put_reach(const lf_telling *t, lf_string *text, double low, double high) {
    const bool less = high < 0, both = low < 0 && !less;
    lf_string_add(text, " (");
    put_amount(t, text, fabs(less ? high : low));
    lf_string_add(text, both ? " %s less to " : " to ", t->cost->unit);
    put_amount(t, text, fabs(less ? low : high));
    if (!both) lf_string_add(text, " %s", t->cost->unit);
    lf_string_add(text, less ? " less" : " more");
}

/* Of those of which nobody knows, the one that comes nearest to forgetting less. */
static const lf_cohort *likeliest(const lf_cohort *const *g, int64_t n) {
    const lf_cohort *best = NULL;
    for (int64_t i = 0; i < n; i++)
        if (lf_matched_of(g[i]).mean < 0 && (!best || lf_t_p(lf_matched_of(g[i])) < lf_t_p(lf_matched_of(best))))
            best = g[i];
    return best;
}

/* A sentence on those whose sign it is: " X, Y and Z" + words + the baseline, how far their intervals reach together,
 * and which of those that are not sure is nearest to it. Nothing where there are none. */
static void put_list(lf_telling *t, lf_string *text, const lf_cohort *not_this, int sign, const char *one,
                     const char *many) {
    const lf_cohort **listed = lf_calloc((size_t)t->s->n_groups, sizeof *listed);
    int64_t n = 0;
    double low = INFINITY, high = -INFINITY;
    t->no_memory = t->no_memory || !listed;
    for (int64_t i = 0; listed && i < t->s->n_groups; i++) {
        const lf_cohort *g = &t->s->groups[i];
        if (!is_listed(t, g, not_this, sign)) continue;
        low = fmin(low, lf_matched_of(g).low);
        high = fmax(high, lf_matched_of(g).high);
        listed[n++] = g;
    }
    if (n) {
        const lf_cohort *nearest = sign == 0 && n > 1 ? likeliest(listed, n) : NULL;
        lf_string_add(text, " ");
        lf_put_titles(t, text, listed, n, true);
        lf_string_add(text, " %s", n == 1 ? one : many);
        lf_put_title(t, text, t->baseline);
        put_reach(t, text, low, high);
        lf_string_add(text, ")");
        if (nearest) {
            lf_string_add(text, "; nearest to forgetting less is ");
            lf_put_title(t, text, nearest);
            put_reach(t, text, lf_matched_of(nearest).low, lf_matched_of(nearest).high);
            lf_string_add(text, ", adjusted p %.2g)", nearest->p[LF_DIFFERS_MATCHED]);
        }
        lf_string_add(text, ".");
    }
    lf_free(listed);
}

/* Which of the others that surely forget less cannot be told from the best of them: all pairs adjusted together. */
static lf_status put_equals(lf_telling *t, lf_string *text, const lf_cohort *best, lf_err *err) {
    double *p = lf_calloc((size_t)t->s->n_groups, sizeof *p);
    lf_status rc = p ? LF_OK : lf_no_memory(err, "the verdict on %s", t->s->from->dir);
    for (int64_t i = 0; i < t->s->n_groups && !rc; i++) {
        const lf_cohort *g = &t->s->groups[i];
        lf_sample d;
        p[i] = NAN;
        if (!is_other(t, g) || g == best || sure_sign(g) >= 0) continue;
        if (!(rc = lf_compare_matched(&d, t->s, g, best, err))) p[i] = d.n < LF_LEAST_PAIRS ? 1 : lf_t_p(d);
    }
    if (!rc) lf_holm(p, t->s->n_groups);
    int64_t n = 0;
    for (int64_t i = 0; i < t->s->n_groups && !rc; i++) {
        if (isnan(p[i]) || p[i] < SURE) continue;
        lf_string_add(text, "%s", n++ ? ", " : " Among those that forget less, ");
        lf_put_title(t, text, &t->s->groups[i]);
    }
    if (n) {
        lf_string_add(text, " cannot be told from ");
        lf_put_title(t, text, best);
        lf_string_add(text, ".");
    }
    lf_free(p);
    return rc;
}

static lf_status answer_surely(lf_telling *t, lf_string *text, const lf_cohort *best, lf_err *err) {
    lf_status rc = LF_OK;
    if (best) {
        put_difference(t, text, best);
        rc = put_equals(t, text, best, err);
    } else {
        lf_string_add(text, "No start surely forgets less than ");
        lf_put_title(t, text, t->baseline);
        lf_string_add(text, " at equal %s%s, %s by %s.", t->s->judged_by_test ? "test " : "",
                      t->s->from->yardstick->name, lf_draw_words_of(t->s->from).counted_one,
                      lf_draw_words_of(t->s->from).counted_one);
    }
    put_list(t, text, best, 1, "surely forgets more than ", "surely forget more than ");
    put_list(t, text, best, 0, "cannot be told from ", "cannot be told from ");
    return rc;
}

static void answer_unsurely(lf_string *text, int64_t pairs, const lf_draw_words *w) {
    const int64_t lacking = LF_LEAST_PAIRS - pairs;
    if (pairs)
        lf_string_add(
            text,
            "Nothing can be said for sure: %lld %s of each method give%s no interval, and a difference may be "
            "the noise of %s. %s more %s of each give%s one. The table has what was found.",
            (long long)pairs, pairs > 1 ? w->counted_many : w->counted_one, pairs > 1 ? "" : "s", w->many,
            lacking > 1 ? "Two" : "One", lacking > 1 ? w->counted_many : w->counted_one, lacking > 1 ? "" : "s");
    else
        lf_string_add(text,
                      "There is nothing to compare yet: no other method has run with the %s and at the learning rates "
                      "of the baseline.",
                      w->many);
}

/* ---- the run to take ---- */

/* ", forgetting 27.7 ± 17.5 points" */
static void put_mean(const lf_telling *t, lf_string *text, const lf_cell *c, lf_role role, const char *before) {
    const lf_metric *m = lf_metric_in_role(t->s->from->yardstick, role);
    const lf_sample *figure = &c->metrics[m - t->s->from->yardstick->metrics];
    if (!m->name || !isfinite(figure->mean)) return;
    lf_string_add(text, "%s%s ", before, m->label);
    lf_string_add(text, m->scale != 1 ? "%.1f" : "%.4g", m->scale * figure->mean);
    if (figure->n >= LF_LEAST_PAIRS)
        lf_string_add(text, m->scale != 1 ? " ± %.1f" : " ± %.2g", m->scale * (figure->high - figure->mean));
    lf_string_add(text, "%s%s", *m->unit ? " " : "", m->unit);
}

static void recommend(lf_telling *t, const lf_cohort *g) {
    const lf_gathered_run *r = g && g->best >= 0 ? lf_best_run(t->s, g) : NULL;
    if (!r) return;
    lf_string take = {0};
    lf_put_title(t, &take, g);
    if (isfinite(t->s->cells[g->best].learning_rate)) {
        char rate[40];
        lf_number_rate(rate, sizeof rate, t->s->cells[g->best].learning_rate, LF_SETTING_DIGITS);
        lf_string_add(&take, " at learning rate %s", rate);
    }
    put_mean(t, &take, &t->s->cells[g->best], t->s->judged_by_test ? LF_ROLE_TEST_GAIN : LF_ROLE_GAIN, ": ");
    put_mean(t, &take, &t->s->cells[g->best], LF_ROLE_COST, ", ");
    t->v->take = lf_string_take(&take);
    t->no_memory = t->no_memory || !t->v->take;
    t->v->run = r->name;
    t->v->model = cJSON_GetStringValue(lf_run_value(r, "model"));
    const char *own = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r->results, "adapter")); /* of a sequence */
    t->v->adapter = lf_format("%s/%s/%s", t->s->from->dir, r->name, own ? own : "adapter");
    t->no_memory = t->no_memory || !t->v->adapter;
}

/* ---- all ---- */

static lf_status make(lf_telling *t, lf_err *err) {
    lf_string text = {0};
    const int64_t pairs = most_pairs(t);
    const lf_cohort *best = find_better(t);
    const lf_draw_words w = lf_draw_words_of(t->s->from);
    lf_status rc = LF_OK;
    if (t->s->families) {
        lf_string of = {0};
        lf_put_keys(&of, t->s, t->baseline, lf_is_task_key);
        if (!(t->v->of = lf_string_take(&of))) t->no_memory = true;
    }
    if (pairs >= LF_LEAST_PAIRS)
        rc = answer_surely(t, &text, best, err);
    else
        answer_unsurely(&text, pairs, &w);
    t->v->answer = lf_string_take(&text);
    recommend(t, pairs >= LF_LEAST_PAIRS ? best ? best : t->baseline : NULL);
    lf_verdict_notes(t, pairs, best);
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
        lf_telling t = {.s = s,
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
        lf_free(v[i].take);
        lf_free(v[i].adapter);
        for (int64_t k = 0; k < v[i].n_notes; k++) lf_free(v[i].notes[k]);
        lf_free(v[i].notes);
    }
    lf_free(v);
}

/* Broken between words, below where it begins. */
static void print_line(FILE *out, const char *before, const char *text) {
    const int columns = lf_columns_of(out), taken = (int)strlen(before);
    char *plain = lf_strdup(text);
    fputs(before, out);
    if (plain) {
        lf_make_plain(plain);
        lf_print_wrapped(out, plain, columns ? columns : LF_USUAL_COLUMNS, taken, taken);
    } else
        fputs("(no memory for it)\n", out);
    lf_free(plain);
}

void lf_verdicts_print(const lf_verdict *v, int64_t n, FILE *out) {
    for (int64_t i = 0; i < n; i++) {
        if (v[i].of) print_line(out, "of ", v[i].of);
        print_line(out, "verdict: ", v[i].answer);
        if (v[i].take) print_line(out, "take:    ", v[i].take);
        if (v[i].adapter) print_line(out, "         ", v[i].adapter);
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
        lf_obj_string(&o, "take", v[i].take);
        lf_obj_string(&o, "run", v[i].run);
        lf_obj_string(&o, "adapter", v[i].adapter);
        lf_obj_put(&o, "notes", lf_obj_take(&notes));
        lf_list_put(&list, lf_obj_take(&o));
    }
    return lf_obj_take(&list);
}

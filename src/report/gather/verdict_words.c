/* Names in the sentences of a verdict, and which runs they are about. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "report/gather/start.h"
#include "report/gather/verdict_internal.h"

static bool is_start_key(const char *key) { return (lf_key_traits(key) & LF_IS_START) != 0; }

void lf_put_keys(lf_string *t, const lf_summary *s, const lf_cohort *g, bool (*wanted)(const char *)) {
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
    lf_put_keys(&t, s, g, is_other_key);
    if (!t.n && !t.failed) lf_string_add(&t, "%s", g->name);
    return lf_string_take(&t);
}

/* ---- of a verdict that is made ---- */

void lf_put_title(lf_telling *t, lf_string *text, const lf_cohort *g) {
    char *title = lf_method_title(t->s, g);
    t->no_memory = t->no_memory || !title;
    if (title) lf_string_add(text, "%s", title);
    lf_free(title);
}

/* What all of them begin with, a word and a space; 0: nothing, or there is one alone. */
static size_t shared_word(char *const *titles, int64_t n) {
    const char *space = strchr(titles[0], ' ');
    const size_t length = space ? (size_t)(space - titles[0]) + 1 : 0;
    for (int64_t i = 0; i < n; i++) /* and of two words, so that the rest is a value */
        if (strncmp(titles[i], titles[0], length) || strchr(titles[i] + length, ' ')) return 0;
    return n > 1 ? length : 0;
}

void lf_put_titles(lf_telling *t, lf_string *text, const lf_cohort *const *g, int64_t n, bool capital) {
    char **titles = lf_calloc((size_t)n, sizeof *titles);
    bool all = titles != NULL;
    for (int64_t i = 0; i < n && all; i++) all = (titles[i] = lf_method_title(t->s, g[i])) != NULL;
    t->no_memory = t->no_memory || !all;
    const size_t shared = all ? shared_word(titles, n) : 0;
    if (all && capital && titles[0][0] >= 'a' && titles[0][0] <= 'z') titles[0][0] = (char)(titles[0][0] - 'a' + 'A');
    for (int64_t i = 0; i < n && all; i++) {
        lf_string_add(text, "%s", i == 0 ? "" : i + 1 == n ? " and " : ", ");
        if (i == 0 && shared) lf_string_add(text, "%.*ss ", (int)shared - 1, titles[0]);
        lf_string_add(text, "%s", titles[i] + shared);
    }
    for (int64_t i = 0; titles && i < n; i++) lf_free(titles[i]);
    lf_free(titles);
}

lf_sample lf_matched_of(const lf_cohort *g) { return g->differences[LF_DIFFERS_MATCHED]; }

const lf_gathered_run *lf_best_run(const lf_summary *s, const lf_cohort *g) {
    const lf_gathered_run *best = NULL;
    const lf_cell *c = &s->cells[g->best];
    const lf_wish wish = lf_wish_of(s, g);
    for (int64_t i = 0; i < c->n_runs; i++) {
        const lf_gathered_run *r = &s->from->runs[c->runs[i]];
        const lf_candidate own = lf_candidate_of(s, r);
        if (lf_run_is_done(r) && isfinite(own.figure) && (!best || lf_is_better(&wish, own, lf_candidate_of(s, best))))
            best = r;
    }
    return best;
}

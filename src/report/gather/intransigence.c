/* Of a sequence: what a task could have been learned to, had there been no other before it. The measure of that is a
 * sequence of `between: reset`, and where one was gathered with the others it is taken from there. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "report/gather/summary_internal.h"

#define FIGURE "intransigence"

static const cJSON *learned(const lf_gathered_run *r) {
    return cJSON_GetObjectItemCaseSensitive(r->results, "when_learned");
}

static bool is_alone(const lf_gathered_run *r) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(r->results, "alone")) && learned(r);
}

/* How many of the swept keys have the same value in both; -1: another draw, or another task. */
static int64_t alike(const lf_gathered *g, const lf_gathered_run *a, const lf_gathered_run *b) {
    int64_t n = 0;
    if (lf_draws_compare(a, b) != 0) return -1;
    for (int64_t i = 0; i < g->n_swept; i++) {
        const bool same = lf_value_compare(lf_run_value(a, g->swept[i]), lf_run_value(b, g->swept[i])) == 0;
        if (!same && lf_is_task_key(g->swept[i])) return -1;
        n += same;
    }
    return n;
}

/* The one that agrees with it in most that was swept; NULL: there is none. */
static const lf_gathered_run *reference_of(const lf_gathered *g, const lf_gathered_run *r) {
    const lf_gathered_run *best = NULL;
    int64_t most = -1;
    for (int64_t i = 0; i < g->n_runs; i++) {
        if (!is_alone(&g->runs[i])) continue;
        const int64_t n = alike(g, r, &g->runs[i]);
        if (n > most) best = &g->runs[i];
        if (n > most) most = n;
    }
    return best;
}

/* NAN: a score of one was not measured, or a task has no other. */
static double figure_of(const lf_gathered_run *r, const lf_gathered_run *alone) {
    const cJSON *v, *other = learned(alone);
    double sum = 0;
    int64_t n = 0;
    cJSON_ArrayForEach(v, learned(r)) {
        const cJSON *w = cJSON_GetObjectItemCaseSensitive(other, v->string);
        if (!cJSON_IsNumber(v) || !cJSON_IsNumber(w)) return NAN;
        sum += w->valuedouble - v->valuedouble;
        n++;
    }
    return n ? sum / (double)n : NAN;
}

lf_status lf_gathered_intransigence(lf_gathered *g, lf_err *err) {
    for (int64_t i = 0; i < g->n_runs; i++) {
        lf_gathered_run *r = &g->runs[i];
        if (!learned(r) || is_alone(r) || isfinite(lf_run_number(r, FIGURE))) continue;
        const lf_gathered_run *alone = reference_of(g, r);
        const double figure = alone ? figure_of(r, alone) : NAN;
        if (!isfinite(figure)) continue;
        cJSON_DeleteItemFromObjectCaseSensitive(r->results, FIGURE);
        if (!cJSON_AddNumberToObject(r->results, FIGURE, figure))
            return lf_no_memory(err, "the runs that are gathered");
    }
    return LF_OK;
}

#include "eval/sampling.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "eval/eval_internal.h"

/* Each token once, however often it was there: `is_done` marks them in the room that the candidates will take. */
static void penalise(float *logits, int64_t V, const int32_t *seen, int64_t n_seen, double penalty,
                     lf_token_candidate *room) {
    for (int64_t v = 0; v < V; v++) room[v].id = 0;
    for (int64_t i = 0; i < n_seen; i++) {
        if (seen[i] < 0 || seen[i] >= V || room[seen[i]].id) continue;
        float *logit = &logits[seen[i]];
        *logit = (float)(*logit > 0 ? (double)*logit / penalty : (double)*logit * penalty);
        room[seen[i]].id = 1;
    }
}

static int by_value(const void *x, const void *y) {
    const lf_token_candidate *a = x, *b = y;
    if (a->value != b->value) return a->value < b->value ? 1 : -1;
    return (a->id > b->id) - (a->id < b->id);
}

/* Moves the k first by_value to the front, in no order: quickselect. */
static void select_first(lf_token_candidate *c, int64_t n, int64_t k) {
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const lf_token_candidate pivot = c[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (by_value(&c[i], &pivot) < 0) i++;
            while (by_value(&c[j], &pivot) > 0) j--;
            if (i > j) break;
            const lf_token_candidate held = c[i];
            c[i++] = c[j];
            c[j--] = held;
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            return;
    }
}

/* How many of the sorted candidates reach `enough` together; 0: all of them do not. */
static int64_t count_to(const lf_token_candidate *c, int64_t n, double enough) {
    double reached = 0;
    for (int64_t i = 0; i < n; i++)
        if ((reached += c[i].value) >= enough) return i + 1;
    return 0;
}

/* Moves the fewest that reach the share p of the sum to the front, sorted; how many they are. They are mostly few of a
 * large vocabulary, so as few are sorted as will do: of 49152 all take six milliseconds. */
static int64_t take_nucleus(lf_token_candidate *c, int64_t n, double p) {
    enum { FIRST = 64, TIMES = 4 };
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += c[i].value;
    for (int64_t k = FIRST; k < n; k *= TIMES) {
        select_first(c, n, k);
        qsort(c, (size_t)k, sizeof *c, by_value);
        const int64_t found = count_to(c, k, p * sum);
        if (found) return found;
    }
    qsort(c, (size_t)n, sizeof *c, by_value);
    const int64_t found = count_to(c, n, p * sum);
    return found ? found : n;
}

/* The most probable one's value is 1. Those that stay are in the order that they were in. */
static int64_t take_likely(lf_token_candidate *c, int64_t n, double share) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (c[i].value >= share) c[kept++] = c[i];
    return kept;
}

static int32_t draw(const lf_token_candidate *c, int64_t n, double uniform) {
    double sum = 0, at = 0;
    for (int64_t i = 0; i < n; i++) sum += c[i].value;
    for (int64_t i = 0; i < n; i++)
        if ((at += c[i].value) > uniform * sum) return c[i].id;
    return c[n - 1].id;
}

int32_t lf_sample(const lf_sampling *s, float *logits, int64_t V, const int32_t *seen, int64_t n_seen, uint64_t at,
                  lf_token_candidate *room) {
    if (s->repetition_penalty != 1) penalise(logits, V, seen, n_seen, s->repetition_penalty, room);
    for (int64_t v = 0; v < V; v++) /* by_value is no order over NaN, and selecting by it would leave the array */
        if (!isfinite(logits[v])) return -1;
    const int64_t best = lf_argmax(logits, V);
    if (!(s->temperature > 0)) return (int32_t)best;
    const double most = (double)logits[best];
    int64_t n = 0;
    for (int32_t v = 0; v < V; v++) room[n++] = (lf_token_candidate){(double)logits[v], v};
    if (s->top_k > 0 && s->top_k < n) {
        select_first(room, n, s->top_k);
        n = s->top_k;
    }
    for (int64_t i = 0; i < n; i++) room[i].value = exp((room[i].value - most) / s->temperature);
    if (s->top_p < 1)
        n = take_nucleus(room, n, s->top_p);
    else if (s->top_k > 0)
        qsort(room, (size_t)n, sizeof *room, by_value);
    if (s->min_p > 0) n = take_likely(room, n, s->min_p);
    return draw(room, n, lf_rng_uniform(lf_rng_make(s->seed, LF_RNG_SAMPLE, s->text), at));
}

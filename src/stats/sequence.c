#include "stats/sequence.h"

#include <math.h>

static double score(const lf_sequence *s, int64_t t, int64_t j) { return s->after[t * s->n + j]; }

static double average(const lf_sequence *s, int64_t t) {
    double sum = 0;
    for (int64_t j = 0; j <= t; j++) sum += score(s, t, j);
    return sum / (double)(t + 1);
}

static double average_over_time(const lf_sequence *s, int64_t last) {
    double sum = 0;
    for (int64_t t = 0; t <= last; t++) sum += average(s, t);
    return sum / (double)(last + 1);
}

/* Like max, but of nothing comes nothing: one score that was not measured makes the best unknown. */
static double best_before(const lf_sequence *s, int64_t last, int64_t j) {
    double best = -INFINITY;
    for (int64_t t = j; t < last; t++) {
        if (isnan(score(s, t, j))) return NAN;
        best = fmax(best, score(s, t, j));
    }
    return best;
}

static double backward(const lf_sequence *s, int64_t last) {
    double sum = 0;
    for (int64_t j = 0; j < last; j++) sum += score(s, last, j) - score(s, j, j);
    return last ? sum / (double)last : NAN;
}

static double forward(const lf_sequence *s, int64_t last) {
    double sum = 0;
    for (int64_t j = 1; j <= last; j++) sum += score(s, j - 1, j) - s->before[j];
    return last ? sum / (double)last : NAN;
}

static double forgetting(const lf_sequence *s, int64_t last) {
    double sum = 0;
    for (int64_t j = 0; j < last; j++) sum += best_before(s, last, j) - score(s, last, j);
    return last ? sum / (double)last : NAN;
}

static double intransigence(const lf_sequence *s, int64_t last) {
    double sum = 0;
    for (int64_t j = 0; j <= last; j++) sum += s->alone[j] - score(s, j, j);
    return sum / (double)(last + 1);
}

lf_sequence_figures lf_sequence_at(const lf_sequence *s, int64_t t) {
    const double bwt = backward(s, t);
    return (lf_sequence_figures){
        .average_accuracy = average(s, t),
        .average_incremental_accuracy = average_over_time(s, t),
        .bwt = bwt,
        .fwt = s->before ? forward(s, t) : NAN,
        .forgetting = forgetting(s, t),
        .forgetting_since_learned = 0 - bwt, /* of 0 no -0 */
        .intransigence = s->alone ? intransigence(s, t) : NAN,
    };
}

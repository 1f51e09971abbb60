#include "eval/ranks.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

double lf_pearson(const double *x, const double *y, int64_t n) {
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    if (n < 2) return NAN;
    for (int64_t i = 0; i < n; i++) {
        mean_x += x[i] / (double)n;
        mean_y += y[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        const double a = x[i] - mean_x, b = y[i] - mean_y;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    return xx > 0 && yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : NAN;
}

typedef struct ranked {
    double value;
    int64_t index;
} ranked;

static int by_value(const void *a, const void *b) {
    const double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

/* ranks[i] of x[i], from 1; of equal ones the mean of theirs. */
static bool rank(double *ranks, const double *x, int64_t n) {
    ranked *order = lf_malloc((size_t)n * sizeof *order);
    if (!order) return false;
    for (int64_t i = 0; i < n; i++) order[i] = (ranked){x[i], i};
    qsort(order, (size_t)n, sizeof *order, by_value);
    for (int64_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && !(order[end].value > order[begin].value);) end++;
        for (int64_t i = begin; i < end; i++) ranks[order[i].index] = (double)(begin + 1 + end) / 2;
    }
    lf_free(order);
    return true;
}

lf_status lf_spearman(double *out, const double *x, const double *y, int64_t n, lf_err *err) {
    *out = NAN;
    if (n < 2) return LF_OK;
    double *ranks = lf_malloc(2 * (size_t)n * sizeof *ranks);
    const bool good = ranks && rank(ranks, x, n) && rank(ranks + n, y, n);
    if (good) *out = lf_pearson(ranks, ranks + n, n);
    lf_free(ranks);
    return good ? LF_OK : lf_no_memory(err, "the ranks of %lld numbers", (long long)n);
}

lf_status lf_auc(double *out, const double *score, const bool *positive, int64_t n, lf_err *err) {
    double *ranks = lf_malloc((size_t)(n + 1) * sizeof *ranks), sum = 0, positives = 0;
    const bool good = ranks && rank(ranks, score, n);
    for (int64_t i = 0; i < n && good; i++) {
        if (!positive[i]) continue;
        sum += ranks[i];
        positives++;
    }
    const double negatives = (double)n - positives;
    *out = positives > 0 && negatives > 0 ? (sum - positives * (positives + 1) / 2) / (positives * negatives) : NAN;
    lf_free(ranks);
    return good ? LF_OK : lf_no_memory(err, "the ranks of %lld numbers", (long long)n);
}

#include "eval/kept_rows.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "eval/eval_internal.h"
#include "eval/ranks.h"

lf_status lf_keep_row(lf_kept_rows *k, const float *logits, int32_t label, const float *values, lf_err *err) {
    const int64_t V = k->V, width = values ? V : 1;
    const float class = (float)label;
    k->too_many = k->too_many || (k->n + 1) * V > LF_KEPT_NUMBERS;
    if (k->too_many) return LF_OK;
    if (!lf_grow(&k->logits, &k->logits_room, (k->n + 1) * V) ||
        !lf_grow(&k->right, &k->right_room, (k->n + 1) * width))
        return lf_no_memory(err, "what was said of %lld examples", (long long)k->n);
    memcpy(k->logits + k->n * V, logits, (size_t)V * sizeof *logits);
    memcpy(k->right + k->n * width, values ? values : &class, (size_t)width * sizeof *values);
    k->n++;
    return LF_OK;
}

void lf_kept_rows_free(lf_kept_rows *k) {
    lf_free(k->logits);
    lf_free(k->right);
    *k = (lf_kept_rows){0};
}

/* ---- areas ---- */

typedef struct scores {
    double *score; /* [n] */
    bool *positive;
} scores;

static bool is_of(const lf_kept_rows *k, int64_t row, int64_t class) {
    return k->problem == LF_MULTI_LABEL ? k->right[row * k->V + class] > 0.5f : (int64_t)k->right[row] == class;
}

/* What decides between a class and the others: of two classes, and of several labels, the logit's order is that of the
 * probability. */
static double score_of(const lf_kept_rows *k, int64_t row, int64_t class) {
    const float *logits = k->logits + row * k->V;
    if (k->problem == LF_MULTI_LABEL) return (double)logits[class];
    if (k->V == 2) return (double)logits[class] - (double)logits[1 - class];
    return exp((double)logits[class] - lf_log_sum_exp(logits, k->V));
}

static lf_status area_of(double *out, const lf_kept_rows *k, int64_t class, const scores *s, lf_err *err) {
    for (int64_t i = 0; i < k->n; i++) {
        s->score[i] = score_of(k, i, class);
        s->positive[i] = is_of(k, i, class);
    }
    return lf_auc(out, s->score, s->positive, k->n, err);
}

lf_status lf_kept_auc(double *out, const lf_kept_rows *k, lf_err *err) {
    *out = NAN;
    if (k->too_many || !k->n || k->V < 2 || k->problem == LF_REGRESSION) return LF_OK;
    const scores s = {lf_malloc((size_t)k->n * sizeof *s.score), lf_malloc((size_t)k->n * sizeof *s.positive)};
    lf_status rc = s.score && s.positive ? LF_OK : lf_no_memory(err, "the scores of %lld examples", (long long)k->n);
    const bool two = k->problem == LF_SINGLE_LABEL && k->V == 2;
    double sum = 0;
    int64_t n = 0;
    for (int64_t c = two; c < k->V && !rc; c++) {
        double area;
        if ((rc = area_of(&area, k, c, &s, err)) || !isfinite(area)) continue;
        sum += area;
        n++;
    }
    if (!rc && n) *out = sum / (double)n;
    lf_free(s.score);
    lf_free(s.positive);
    return rc;
}

/* ---- correlations ---- */

/* Of the numbers of one label. */
static lf_status correlate(double *pearson, double *spearman, const lf_kept_rows *k, int64_t label, double *x,
                           double *y, lf_err *err) {
    for (int64_t i = 0; i < k->n; i++) {
        x[i] = (double)k->logits[i * k->V + label];
        y[i] = (double)k->right[i * k->V + label];
    }
    *pearson = lf_pearson(x, y, k->n);
    return lf_spearman(spearman, x, y, k->n, err);
}

lf_status lf_kept_correlations(double *pearson, double *spearman, const lf_kept_rows *k, lf_err *err) {
    double sum_pearson = 0, sum_spearman = 0;
    *pearson = *spearman = NAN;
    if (k->too_many || !k->n || k->problem != LF_REGRESSION) return LF_OK;
    double *x = lf_malloc(2 * (size_t)k->n * sizeof *x);
    if (!x) return lf_no_memory(err, "the numbers of %lld examples", (long long)k->n);
    lf_status rc = LF_OK;
    for (int64_t v = 0; v < k->V && !rc; v++) {
        rc = correlate(pearson, spearman, k, v, x, x + k->n, err);
        sum_pearson += *pearson;
        sum_spearman += *spearman;
    }
    *pearson = rc ? NAN : sum_pearson / (double)k->V;
    *spearman = rc ? NAN : sum_spearman / (double)k->V;
    lf_free(x);
    return rc;
}

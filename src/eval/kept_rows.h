/* What a head said of each example beside what is right, for figures that need all of them: areas under the ROC and
 * correlations. */
#ifndef LF_EVAL_KEPT_ROWS_H
#define LF_EVAL_KEPT_ROWS_H

#include "base/error.h"
#include "base/problem.h"

/* Beyond so many numbers nothing is kept, and those figures are not measured. */
enum { LF_KEPT_NUMBERS = 1 << 24 };

typedef struct lf_kept_rows {
    lf_problem problem;
    int64_t V, n; /* rows of V numbers each */
    int64_t logits_room, right_room;
    float *logits; /* [n, V] */
    float *right;  /* [n, V] of several labels and of numbers; of one class [n], its number */
    bool too_many;
} lf_kept_rows;

/* One more; label: of one class, else values [V]. */
lf_status lf_keep_row(lf_kept_rows *k, const float *logits, int32_t label, const float *values, lf_err *err);
void lf_kept_rows_free(lf_kept_rows *k);

/* NAN where nothing was kept, or it is not defined. The area is that of the second of two classes, else the mean over
 * the classes of which there are examples and others, by what softmax gives each (each against the rest). */
lf_status lf_kept_auc(double *out, const lf_kept_rows *k, lf_err *err);
/* Of numbers: what the head says against what is right; of several of an example, the mean over them. */
lf_status lf_kept_correlations(double *pearson, double *spearman, const lf_kept_rows *k, lf_err *err);

#endif

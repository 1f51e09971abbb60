/* Figures of pairs of numbers, over all of a data set. NAN where they are not defined. */
#ifndef LF_EVAL_RANKS_H
#define LF_EVAL_RANKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Pearson's correlation of x and y; NAN for fewer than two pairs, and where one of them is constant. */
double lf_pearson(const double *x, const double *y, int64_t n);
/* That of the ranks, of equal numbers the mean of theirs. */
lf_status lf_spearman(double *out, const double *x, const double *y, int64_t n, lf_err *err);
/* Area under the ROC: how often a positive example has the larger score, equal ones half. NAN without both kinds. */
lf_status lf_auc(double *out, const double *score, const bool *positive, int64_t n, lf_err *err);

#endif

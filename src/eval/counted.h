/* Figures that are made from the counts of each class at the end of an evaluation. One is a function lf_count_<name>
 * and its line in stats/figures.def. */
#ifndef LF_EVAL_COUNTED_H
#define LF_EVAL_COUNTED_H

#include "stats/figures.h"

#include <stdint.h>

/* Of the labelled examples, for each class: how many are of it, how many were taken for it, and how many are both. */
typedef struct lf_class_counts {
    int64_t n; /* classes */
    int64_t *are, *taken, *right;
} lf_class_counts;

typedef double lf_count_fn(const lf_class_counts *c); /* NAN where nothing is labelled */

void lf_count_all(double counted[LF_N_COUNTED], const lf_class_counts *c);

#endif

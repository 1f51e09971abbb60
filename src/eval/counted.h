/* Figures that are made from the counts of each class at the end of an evaluation. One is a function lf_count_<name>
 * and its line in stats/figures.def. */
#ifndef LF_EVAL_COUNTED_H
#define LF_EVAL_COUNTED_H

#include "stats/figures.h"

#include <stdbool.h>
#include <stdint.h>

enum { LF_TOP = 5 };

/* Of the labelled examples, for each class: how many are of it, how many were taken for it, and how many are both. */
typedef struct lf_class_counts {
    int64_t n; /* classes */
    int64_t *are, *taken, *right;
    int64_t rows;  /* labelled examples */
    int64_t near;  /* of one label each: examples whose label is among the five largest logits */
    bool several;  /* of each class it is said whether it holds: an example may be of none, or of several */
    int64_t exact; /* then: examples of which all is right */
    bool all;      /* of texts, and of several labels; figures that are not asked of pictures with one are NAN else */
} lf_class_counts;

typedef double lf_count_fn(const lf_class_counts *c); /* NAN where nothing is labelled */

void lf_count_all(double counted[LF_N_COUNTED], const lf_class_counts *c);

#endif

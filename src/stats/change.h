/* The same examples answered twice. */
#ifndef LF_STATS_CHANGE_H
#define LF_STATS_CHANGE_H

#include <stdint.h>

/* So many were right and became wrong, wrong and became right, of n. */
typedef struct lf_transitions {
    int64_t lost, won, n;
} lf_transitions;
/* The change of the share that is right, won - lost over n, with its 95 % interval for paired shares (Agresti and Min
 * 2005: as if each of the four kinds had half an example more), and the exact two-sided p-value of McNemar's test that
 * both ways are equally likely (binomial, 1 where nothing changed). NAN for n < 1. */
typedef struct lf_change {
    double mean, low, high, p;
} lf_change;
lf_change lf_change_of(lf_transitions t);

#endif

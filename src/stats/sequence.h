#ifndef LF_STATS_SEQUENCE_H
#define LF_STATS_SEQUENCE_H
/* What a model that learns one task after the other knows, from the matrix of its scores; docs/method.md, "Tasks one
 * after the other". All scores are shares (0.9: 90 %), the larger the better; NaN: not measured. */
#include <stdint.h>

/* n tasks. after[t * n + j]: on task j once tasks 0 .. t are learned. before[j]: on task j before any of them.
 * alone[j]: on task j of a model that learned it from the base and nothing else (`between: reset`). before and alone
 * may be NULL. Borrowed. */
typedef struct lf_sequence {
    int64_t n;
    const double *after, *before, *alone;
} lf_sequence;

typedef struct lf_sequence_figures {
    double average_accuracy;             /* over all tasks, at the end */
    double average_incremental_accuracy; /* mean over time of the average over the tasks seen until then */
    double bwt;                          /* at the end minus right after it was learned, of all tasks but the last */
    double fwt;                      /* just before it is learned minus before any task, of all tasks but the first */
    double forgetting;               /* best of all times before the last minus at the end, of all tasks but the last */
    double forgetting_since_learned; /* right after it was learned minus at the end: -bwt */
    double intransigence;            /* alone minus right after it was learned, of all tasks */
} lf_sequence_figures;

/* After task t, 0 <= t < n: as if the sequence had ended there. What needs a score that was not measured, or two tasks
 * where there is one, is NaN. */
lf_sequence_figures lf_sequence_at(const lf_sequence *s, int64_t t);

#endif

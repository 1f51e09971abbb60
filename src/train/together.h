/* What the ranks of a run tell each other (base/world.h): before it, that they are about the same; after each step,
 * what one alone knows of it; and at the beginning, where the run stands. A run of one rank does the same with itself.
 */
#ifndef LF_TRAIN_TOGETHER_H
#define LF_TRAIN_TOGETHER_H

#include "train/run.h"

/* Have all ranks model, data, kernels, threads and settings that give the same bytes? LF_EUSAGE, naming the rank. */
lf_status lf_together_check(const lf_run *run, lf_err *err);

/* A step, as one rank has seen it, and as all of them have. */
typedef struct lf_step_word {
    lf_err failure;   /* status LF_OK: none */
    bool data_failed; /* reading them, and nothing else, failed */
    lf_window w;      /* of the whole step, which rank 0 knows */
    int64_t items, skipped;
    double seconds; /* that its own micro-batches took */
    int64_t leaves; /* how many they were */
} lf_step_word;

/* How long the ranks took since it was last said; of rank 0. */
typedef struct lf_rank_times {
    double *seconds; /* [size], as the next */
    int64_t *leaves;
} lf_rank_times;
lf_status lf_rank_times_new(lf_rank_times *t, lf_err *err);
void lf_rank_times_free(lf_rank_times *t);
/* A line where one of them keeps the others waiting. Some seconds of work are looked at, and then the next. */
void lf_rank_times_say(lf_rank_times *t);

/* Makes the word of all of them of each one's own: the failure of the lowest rank, the numbers of all. A failure is
 * returned, on every rank. */
lf_status lf_together_step(lf_step_word *word, lf_rank_times *times, lf_err *err);

/* Which rank takes so much longer for a micro-batch than the others that these wait for it; -1: none. A rank without
 * micro-batches is not looked at. */
int lf_slow_rank(const double *seconds, const int64_t *leaves, int n);

#endif

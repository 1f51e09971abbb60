/* How many old examples stand beside the new ones (replay_ratio; docs/method.md, "Remedies"). */
#ifndef LF_TRAIN_REPLAY_H
#define LF_TRAIN_REPLAY_H

#include <stdint.h>

/* Old rows come in batches of `rows`, behind micro-batch k so many that of all rows so far the share `ratio` is old:
 * one where the whole part of k times `each` goes up from k to k + 1, else none. */
typedef struct lf_replay_pace {
    int64_t rows;
    double each; /* above 0, at most 1 */
} lf_replay_pace;
lf_replay_pace lf_replay_pace_of(double ratio, int64_t batch_size);
/* The number, since the run's beginning, of the batch behind micro-batch k; -1: there is none. */
int64_t lf_replay_at(const lf_replay_pace *p, int64_t k);

#endif

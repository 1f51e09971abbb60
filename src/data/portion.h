/* Which batches of an epoch a loader serves: where several processes share the work, each reads its own. */
#ifndef LF_DATA_PORTION_H
#define LF_DATA_PORTION_H

#include <stdbool.h>
#include <stdint.h>

/* Of every `period` batches of an epoch those from `first` on, n of them. All zero: every batch. */
typedef struct lf_portion {
    int64_t period, first, n;
} lf_portion;

bool lf_portion_is_all(lf_portion p);
/* How many of the first `batches` of an epoch are in it. */
int64_t lf_portion_count(lf_portion p, int64_t batches);
/* The number within the epoch of the i-th of them. */
int64_t lf_portion_number(lf_portion p, int64_t i);

/* Batches of one epoch after the other, from batch `batch` of `epoch` on: the place of the i-th that is served, of
 * epochs of `per_epoch`. */
typedef struct lf_batch_place {
    int64_t epoch, number;
} lf_batch_place;
lf_batch_place lf_portion_place(lf_portion p, int64_t per_epoch, int64_t epoch, int64_t batch, int64_t i);
/* How many that are in `epochs` epochs from there on; INT64_MAX: without end. */
int64_t lf_portion_total(lf_portion p, int64_t per_epoch, int64_t epochs, int64_t batch);

#endif

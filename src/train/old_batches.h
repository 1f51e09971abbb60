/* Examples that a remedy learns from beside the new task's: batches of a role of their own, each behind a micro-batch
 * whose number alone says which: there is nothing to remember, and ranks need no word about it. */
#ifndef LF_TRAIN_OLD_BATCHES_H
#define LF_TRAIN_OLD_BATCHES_H

#include "train/run.h"

typedef struct lf_old_batches {
    lf_data_role role;
    int64_t each; /* batches of all examples */
    bool started;
    const lf_example_batch *early; /* served already, but of a later place; else NULL */
} lf_old_batches;

/* Batch `number` since the beginning of the run; numbers rise from call to call. *out NULL: of it nothing could be
 * read. */
lf_status lf_old_batch(lf_old_batches *o, const lf_run *run, int64_t number, const lf_example_batch **out, lf_err *err);

/* Dropout draws masks by the number of a pass: that of one behind micro-batch `micro` is none that a batch of the new
 * task has, or another remedy's. */
uint64_t lf_old_pass(lf_remedy_id id, int64_t micro);

/* What an op made of such a batch, in a step that is open: adds `by` times its gradient to those of the trained
 * tensors. *value becomes it. LF_EDIVERGED, naming `what`, where it is not finite. */
lf_status lf_old_learn(lf_run *run, lf_tensor *loss, double by, const char *what, double *value, lf_err *err);

#endif

/* What a run will take, before it is begun (dry_run): its peak memory, and its time, from a few of its own steps and of
 * its evaluations' batches. */
#ifndef LF_TRAIN_ESTIMATE_H
#define LF_TRAIN_ESTIMATE_H

#include "train/run.h"

typedef struct lf_estimate {
    double step_seconds; /* of one step, with all its micro-batches */
    double train_seconds,
        judging_seconds;       /* of all steps; of all evaluations, the base's and the closing one among them */
    double peak_mb, mapped_mb; /* mapped: of the peak, pages of the model's file, which other runs share */
} lf_estimate;

/* Of a run that is open. Its steps are made with a learning rate of 0, but adapters and moments are of no use
 * afterwards. */
lf_status lf_run_estimate(lf_run *run, lf_estimate *out, lf_err *err);
void lf_estimate_say(const lf_run *run, const lf_estimate *e);
cJSON *lf_estimate_json(const lf_estimate *e);

#endif

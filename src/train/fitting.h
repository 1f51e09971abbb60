/* per_device_train_batch_size auto: how many examples go through the model at once is left to the memory that there is.
 * What is learned is not: a step has as many examples as with the key's default, 8 times gradient_accumulation_steps,
 * in as few passes as fit. That is found once, and then two numbers, which a run records and goes on with. */
#ifndef LF_TRAIN_FITTING_H
#define LF_TRAIN_FITTING_H

#include "config/config.h"

bool lf_fitting_is_asked(const lf_config *cfg);
/* How many examples of a training fit, where so many `runs` share the memory; at most those of a step. Opens it as
 * dry_run does, and makes a few of its steps. LF_EUSAGE, saying what there is and what it takes, where not one fits. */
lf_status lf_fitting_find(int64_t *most, const lf_config *cfg, int64_t runs, lf_err *err);
/* Sets both keys to numbers: as many examples at once as are at most `most` and make a step without rest. */
lf_status lf_fitting_settle(lf_config *cfg, int64_t most, lf_err *err);
/* The same, with the numbers of a run that goes on (its settings, as in its config.json), where they make the same
 * step. Else nothing is changed. */
lf_status lf_fitting_keep(lf_config *cfg, const cJSON *was, lf_err *err);

#endif

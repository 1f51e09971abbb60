/* The course of the learning rate, as transformers' get_scheduler: factors of the peak for each optimiser step. */
#ifndef LF_TRAIN_SCHEDULE_H
#define LF_TRAIN_SCHEDULE_H

#include "config/config.h"

typedef struct lf_schedule {
    double (*factor)(double progress); /* progress in [0,1] over the steps after warmup */
    int64_t warmup, total;
} lf_schedule;

/* lr_scheduler_type, warmup_steps (below 1: a ratio) or warmup_ratio, over `total` steps. */
lf_status lf_schedule_read(lf_schedule *s, const lf_config *cfg, int64_t total, lf_err *err);
/* For a run that was to have `planned` steps when it began and has more now: a warmup that was given in steps keeps its
 * share of all. */
void lf_schedule_stretch(lf_schedule *s, const lf_config *cfg, int64_t planned);
/* For the step number `step` (0 is the first): transformers' LambdaLR, so a warmup of n starts at 0 / n. */
double lf_schedule_factor(const lf_schedule *s, int64_t step);

#endif

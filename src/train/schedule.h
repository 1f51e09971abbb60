/* The course of the learning rate, as transformers' get_scheduler: factors of the peak for each optimiser step. A
 * schedule is a line of schedule.c's table. All but one are functions of the step; reduce_lr_on_plateau watches what
 * evaluations find, and a checkpoint keeps where it stands. */
#ifndef LF_TRAIN_SCHEDULE_H
#define LF_TRAIN_SCHEDULE_H

#include "config/config.h"

/* What lr_scheduler_kwargs may say; a number each, NAN where it does not. */
typedef enum lf_schedule_setting {
    LF_NUM_CYCLES,
    LF_MIN_LR,
    LF_MIN_LR_RATE,
    LF_POWER,
    LF_LR_END,
    LF_TIMESCALE,
    LF_NUM_DECAY_STEPS,
    LF_NUM_STABLE_STEPS,
    LF_DECAY_TYPE,
    LF_MIN_LR_RATIO,
    LF_FACTOR,
    LF_PATIENCE,
    LF_THRESHOLD,
    LF_THRESHOLD_MODE,
    LF_COOLDOWN,
    LF_EPS,
    LF_MODE,
    LF_SCHEDULE_SETTINGS
} lf_schedule_setting;

/* Where reduce_lr_on_plateau stands; all NAN of other schedules. */
typedef struct lf_plateau {
    double factor;    /* of the peak, now */
    double best;      /* of what it watches; NAN: nothing yet */
    double bad, rest; /* evaluations since without a better one; evaluations left in which none counts */
} lf_plateau;

typedef struct lf_schedule {
    double (*factor)(const struct lf_schedule *s, int64_t step); /* of a step behind the warmup */
    int64_t warmup, total;
    double peak; /* learning_rate */
    double settings[LF_SCHEDULE_SETTINGS];
    bool watches; /* evaluations, which lf_schedule_note is told of */
    lf_plateau plateau;
} lf_schedule;

/* lr_scheduler_type with lr_scheduler_kwargs, warmup_steps (below 1: a ratio) or warmup_ratio, over `total` steps.
 * LF_EUSAGE: a setting that the schedule does not have or needs. */
lf_status lf_schedule_read(lf_schedule *s, const lf_config *cfg, int64_t total, lf_err *err);
/* Only whether it can be read, before there is a number of steps. */
lf_status lf_schedule_check(const lf_config *cfg, lf_err *err);
/* For a run that was to have `planned` steps when it began and has more now: a warmup that was given in steps keeps its
 * share of all. */
void lf_schedule_stretch(lf_schedule *s, const lf_config *cfg, int64_t planned);
/* Of one that watches: does its `mode`, where that is given, say what is better? */
bool lf_schedule_agrees(const lf_schedule *s, bool less_is_better);
/* Of one that watches: what an evaluation behind a step found, as torch's ReduceLROnPlateau takes it. True: the rate is
 * lower from now on. */
bool lf_schedule_note(lf_schedule *s, double found, bool less_is_better);
/* For the step number `step` (0 is the first): transformers' LambdaLR, so a warmup of n starts at 0 / n. */
double lf_schedule_factor(const lf_schedule *s, int64_t step);

#endif

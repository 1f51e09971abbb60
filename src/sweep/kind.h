/* What a point of a sweep is: one training, or a sequence of tasks. */
#ifndef LF_SWEEP_KIND_H
#define LF_SWEEP_KIND_H

#include "config/config.h"

typedef struct lf_point_kind {
    const char *verb;   /* that runs it */
    const char *config; /* its resolved configuration, in its folder */
    bool fits;          /* how many examples go through the model at once can be found for it (points_fit.c) */
    /* Of its finished configuration: what shows before anything is read. */
    lf_status (*check)(const lf_config *cfg, lf_err *err);
    /* Whether what is in its folder may be longer than it was, as `key` now says; NULL: it may. */
    lf_status (*check_longer)(const lf_config *cfg, lf_key_id key, const char *dir, lf_err *err);
} lf_point_kind;

/* Of a point of these values in a sweep of this configuration: a sequence where one of them gives tasks. */
const lf_point_kind *lf_point_kind_of(const lf_config *sweep, const cJSON *values);

/* The key `sweep`, with an axis task_order of as many values as `orders` says, in each of its grids. The caller deletes
 * *out. LF_EUSAGE where orders are asked for of what has no tasks. */
lf_status lf_sweep_spec(cJSON **out, const lf_config *sweep, lf_err *err);

#endif

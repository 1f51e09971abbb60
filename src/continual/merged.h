/* What the ways have in common that put what was learned into the weights: each task trains a new adapter on them. */
#ifndef LF_CONTINUAL_MERGED_H
#define LF_CONTINUAL_MERGED_H

#include "continual/between.h"

/* lf_between.check and .begin. */
lf_status lf_merged_check(const lf_plan *p, int64_t task, lf_err *err);
lf_status lf_merged_begin(const lf_plan *p, int64_t run, lf_err *err);

#endif

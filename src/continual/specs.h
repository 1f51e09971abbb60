/* The data of several tasks as one data set. */
#ifndef LF_CONTINUAL_SPECS_H
#define LF_CONTINUAL_SPECS_H

#include "continual/plan.h"

/* What `key` gives of the first n tasks: the first one's spec, with the paths of all in a list. LF_EUSAGE, naming the
 * task, where they are given in other forms. The caller deletes *out, also after an error. */
lf_status lf_specs_join(cJSON **out, const lf_plan *p, lf_key_id key, int64_t n, lf_err *err);

#endif

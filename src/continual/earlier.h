/* What the tasks before one leave for the remedies against forgetting, where the user has not said it himself. */
#ifndef LF_CONTINUAL_EARLIER_H
#define LF_CONTINUAL_EARLIER_H

#include "continual/plan.h"

/* Do the tasks leave what those after them ask for, and would `train` take each run's settings, as far as they tell
 * before anything is read? LF_EUSAGE, naming key and task. Before any run. */
lf_status lf_earlier_check(const lf_plan *p, lf_err *err);
/* Of a run that is about to begin: replay_data of replay_ratio are the training data of all earlier tasks,
 * earlier_adapters of orthogonal_weight their adapters, and ewc_from of ewc_weight their runs. Where nothing stands
 * before it (the first task; between reset and joint) it is without them. */
lf_status lf_earlier_give(const lf_plan *p, int64_t run, lf_err *err);

#endif

/* Before several ranks (base/world.h) do a task together. */
#ifndef LF_TASK_RANKS_H
#define LF_TASK_RANKS_H

#include "task/task.h"

/* Have all of them model, kernels, threads and settings that give the same bytes? LF_EUSAGE, naming the rank and what
 * is another there. LF_OK of one rank. */
lf_status lf_task_check_ranks(const lf_task *t, int threads, lf_err *err);

#endif

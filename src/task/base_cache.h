/* What the untouched base scores on the data of one of its roles, kept on disk: in a sweep it is the same for all runs.
 * A folder for each score, whose name is a hash of all that the score depends on (weights, kernels, threads, the keys
 * of data and evaluation, and name, size and time of every file that is read), so that files do not go stale, and any
 * may be deleted. A damaged file is warned of and made again. */
#ifndef LF_TASK_BASE_CACHE_H
#define LF_TASK_BASE_CACHE_H

#include "task/source.h"

/* lf_task_measure_base, or what the folder of the key base_cache (a folder; not set: none) holds of it. Runs that
 * share the folder wait for the one that measures. The bytes are the same with and without it. */
lf_status lf_measure_base(lf_task *t, lf_data_role role, lf_base_score *out, lf_err *err);

#endif

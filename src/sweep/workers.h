/* Running a sweep's points, some at a time, each as a process of the program (lf_set_program). */
#ifndef LF_SWEEP_WORKERS_H
#define LF_SWEEP_WORKERS_H

#include "sweep/share.h"

bool lf_workers_have_program(void); /* else no point can be run */

/* Runs every point of the shard that is LF_POINT_TODO, in order, `jobs` at a time; sets their states. Other processes
 * may do the same: a point is run by the one that claims it, and waited for by the others. A point that fails or
 * diverges is recorded in its run's error.json, and the others go on. Progress goes to stderr. After lf_interrupt the
 * running points are asked to stop at their next step, with a checkpoint, and LF_EINTERRUPTED is returned when they
 * have; after lf_checkpoint_request they are asked for a checkpoint, and go on. When this process is killed, they stop
 * likewise. After `minutes` (0: never) it is as after lf_interrupt. LF_EIO if processes cannot be made. *failed: the
 * first point that failed, NULL. */
lf_status lf_workers_run(lf_points *p, lf_share *share, int64_t jobs, double minutes, const lf_point **failed,
                         lf_err *err);

/* What --print_commands prints: one shell command a line for each point of the shard that is LF_POINT_TODO. It goes to
 * the folder that paths are relative to, and has as many threads as the place where it runs gives it. */
lf_status lf_workers_commands(const lf_points *p, FILE *out, lf_err *err);

#endif

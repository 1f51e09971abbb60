/* Running a sweep's points, some at a time, each as a process of this program. */
#ifndef LF_SWEEP_WORKERS_H
#define LF_SWEEP_WORKERS_H

#include "sweep/points.h"

/* Runs every point that is LF_POINT_TODO, in order, `jobs` at a time; sets their states. A point that fails or diverges
 * is recorded in its run's error.json, and the others go on. Progress goes to stderr. After lf_interrupt the running
 * points are asked to stop at their next step, with a checkpoint, and LF_EINTERRUPTED is returned when they have; after
 * lf_checkpoint_request they are asked for a checkpoint, and go on. When this process is killed, they stop likewise.
 * LF_EIO if processes cannot be made. *failed: the first point that failed, NULL. */
lf_status lf_workers_run(lf_points *p, int64_t jobs, const lf_point **failed, lf_err *err);

/* What --print_commands prints: one shell command a line for each point that is LF_POINT_TODO. */
lf_status lf_workers_commands(const lf_points *p, FILE *out, lf_err *err);

#endif

/* How a run of a sweep ended, by its process's status and what it left in its folder. */
#ifndef LF_SWEEP_ENDING_H
#define LF_SWEEP_ENDING_H

#include "sweep/points.h"

/* Before it begins: removes the error.json of an earlier try. *had_results: an earlier end left some, which say nothing
 * of this try. */
lf_status lf_ending_expect(bool *had_results, const lf_point *at, lf_err *err);

/* Of a run that has ended with `status` (as waitpid has it; `program`: what was to be run): sets the point's state,
 * LF_POINT_TODO where it was stopped, and writes error.json where a run that failed could not. `why`, of `size` bytes:
 * one line, of a run that failed or diverged, and of one that is done while what comes after its results could not be
 * written; else "". */
lf_status lf_ending_note(lf_point *at, int status, bool had_results, const char *program, char *why, size_t size,
                         lf_err *err);

#endif

/* What a sweep will take, from one of its points that is tried as `train --dry_run` tries a run. */
#ifndef LF_SWEEP_TRIAL_H
#define LF_SWEEP_TRIAL_H

#include <stdio.h>

#include "sweep/points.h"

/* Tries the first point that is to do, and says memory, time and steps of all as if each were like it; with `json` as
 * one object on `out`. A sequence says what its first run takes. Nothing is made. */
lf_status lf_trial(const lf_points *p, FILE *out, lf_err *err);

#endif

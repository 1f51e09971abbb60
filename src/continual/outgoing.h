/* What goes out after a run, where that is not the adapter that it has trained: one adapter on the sequence's base, of
 * all factors so far, and that base with it in its weights; where each task has its own head, such an adapter with
 * each. */
#ifndef LF_CONTINUAL_OUTGOING_H
#define LF_CONTINUAL_OUTGOING_H

#include "continual/plan.h"

/* Makes what lf_plan_judged_by names after this run, of the own adapters of runs 0 .. run (or, where nothing is merged,
 * of its own), and runs[run].model of it, unless all is there and is of these. */
lf_status lf_outgoing_make(const lf_plan *p, int64_t run, lf_err *err);

#endif

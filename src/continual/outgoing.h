/* What goes out after a run whose base is not the sequence's: one adapter on the sequence's base, of all factors so
 * far, and that base with it in its weights. */
#ifndef LF_CONTINUAL_OUTGOING_H
#define LF_CONTINUAL_OUTGOING_H

#include "continual/plan.h"

/* Makes runs[run].adapter of the own adapters of runs 0 .. run, and runs[run].model of it, unless both are there and
 * are of these. */
lf_status lf_outgoing_make(const lf_plan *p, int64_t run, lf_err *err);

#endif

/* What tasks could have been learned to, from a sequence of `between: reset` that is there. */
#ifndef LF_CONTINUAL_REFERENCE_H
#define LF_CONTINUAL_REFERENCE_H

#include "continual/plan.h"

/* p->alone from the folder that reset_from names; nothing where it is not given. LF_EUSAGE where that is no such
 * sequence, or lacks a task. */
lf_status lf_reference_read(lf_plan *p, lf_err *err);

#endif

/* What stands between one task and the next: a way is a file between_<name>.c and a line of between.def. */
#ifndef LF_CONTINUAL_BETWEEN_H
#define LF_CONTINUAL_BETWEEN_H

#include "continual/plan.h"

struct lf_between {
    const char *name;
    const char *says; /* in a sentence, on the page */
    bool one_head; /* one head answers all tasks, and grows with their classes (where each has its own: p->own_heads) */
    bool at_once;  /* there is one run, of all tasks */
    bool alone;    /* each task as if there were no other: what it could have been learned to */
    bool adds_up;  /* what goes out after a run is the sum of all adapters so far, and the base with it in its weights;
                      the base's data are measured again, on that */
    bool in_fp32;  /* those weights are, whatever the base's file has */
    /* Of a task, by its configuration, with what is known before anything is read: LF_EUSAGE, without the task's name,
     * where it asks for what cannot be. NULL: always. */
    lf_status (*check)(const lf_plan *p, int64_t task, lf_err *err);
    /* The configuration of the one run, into `cfg`, which is the sequence's. Only of at_once. */
    lf_status (*gather)(const lf_plan *p, lf_config *cfg, lf_err *err);
    /* Run number `run` is about to begin, and the one before it has ended: what it starts from, into its configuration.
     * NULL: from the base. */
    lf_status (*begin)(const lf_plan *p, int64_t run, lf_err *err);
};

const lf_between *lf_between_find(const char *name); /* of the key's choices; NULL: not in the table */

#endif

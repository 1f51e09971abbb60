/* What is known of each task after a run: measured with the adapter that the run has left, on the base that it is for,
 * and kept in the run's folder as scores.json. */
#ifndef LF_CONTINUAL_SCORES_H
#define LF_CONTINUAL_SCORES_H

#include "base/obj.h"
#include "continual/plan.h"

/* All scores are such that more is better: accuracy or correlation, of language the mean log-probability of a token. */
typedef struct lf_scores {
    double *tasks;  /* [n_tasks]; NAN: the head has no answer to it */
    double *test;   /* [n_tasks], of the last run alone, on their test_data, where each task gives some; else NAN */
    double *before; /* [n_tasks], of run 0 alone: of the base; where that has no head for it, of a uniform guess */
    double base_before,
        base_after; /* of the base's own data, in its own unit (all_results.json); NAN: none are given */
    double base_forgetting, base_retention;
} lf_scores;

/* Of run number `run`, which has ended: those that are kept and are of its adapter, else measured and kept. `out` is in
 * p->arena. LF_EINTERRUPTED after lf_interrupt. */
lf_status lf_scores_of(lf_scores *out, const lf_plan *p, int64_t run, lf_err *err);
/* An object of the tasks' names, with x[i * stride] of task i; the caller deletes it. NULL: out of memory. */
cJSON *lf_scores_by_task(const lf_plan *p, const double *x, int64_t stride);
/* base_before, base_after, base_forgetting and base_retention. */
void lf_scores_put_base(lf_obj *o, const lf_scores *s);
/* That of an earlier sequence in the folder of a run, if there is one. */
lf_status lf_scores_remove(const char *dir, lf_err *err);

#endif

/* Between the files that sum runs up. */
#ifndef LF_REPORT_GATHER_SUMMARY_INTERNAL_H
#define LF_REPORT_GATHER_SUMMARY_INTERNAL_H

#include "report/gather/summary.h"

/* A figure of those that are averaged, by its name. */
double lf_figure_of(const lf_yardstick *y, const lf_gathered_run *r, const char *name);
/* Of a run: accuracy, or -ln perplexity, on the data that the summary goes by; NAN where there is none. */
double lf_gain_of(const lf_summary *s, const lf_gathered_run *r);
bool lf_is_task_key(const char *key);                 /* a swept key whose values are of different families */
const lf_metric *lf_gain_metric(const lf_summary *s); /* its figure */
const cJSON *lf_run_value(const lf_gathered_run *r, const char *key); /* of its configuration; NULL */

/* By what makes runs repetitions of each other: the seed, the order of tasks. */
int lf_draws_compare(const lf_gathered_run *a, const lf_gathered_run *b);

/* What a group's rate is chosen by, and a run's part in it; figure NAN: it has none. */
lf_wish lf_wish_of(const lf_summary *s, const lf_cohort *g);
lf_candidate lf_candidate_of(const lf_summary *s, const lf_gathered_run *r);
/* Of a run whose configuration selects by forgetting: "tradeoff"; else NULL. */
const char *lf_selection_of(const lf_gathered_run *r);

/* The best rates, the reference, the front, what each group dominates and costs, from the cells' means. */
lf_status lf_summary_trade(lf_summary *s, lf_err *err);
/* Then the differences from the baseline, and which of them are more than the noise of seeds. `values` has room for two
 * numbers a run. */
lf_status lf_summary_against(lf_summary *s, const char *baseline, double *values, lf_err *err);

#endif

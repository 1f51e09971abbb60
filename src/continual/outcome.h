/* What came of a sequence, from the scores after each run: matrix.csv, sequence.json and all_results.json of its
 * folder, and a table. Formulas: docs/method.md, "Tasks one after the other". */
#ifndef LF_CONTINUAL_OUTCOME_H
#define LF_CONTINUAL_OUTCOME_H

#include <stdio.h>

#include "continual/scores.h"

/* Of the first `done` runs, rows [done]. matrix.csv: a line of the tasks' names, then one after each run; an empty
 * field is a score that was not measured. sequence.json: the same for reports (report/gather/sequence.h). */
lf_status lf_outcome_write_matrix(const lf_plan *p, const lf_scores *rows, int64_t done, lf_err *err);
/* Of all runs. */
lf_status lf_outcome_write_results(const lf_plan *p, const lf_scores *rows, lf_err *err);
lf_status lf_outcome_print(const lf_plan *p, const lf_scores *rows, FILE *out, lf_err *err);

#endif

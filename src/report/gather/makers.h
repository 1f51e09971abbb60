/* By what runs were made. Other kernels, and other processors below the same kernels, add in another order: results of
 * the same configuration differ in their last digits, and what is trained on them may differ by more. */
#ifndef LF_REPORT_GATHER_MAKERS_H
#define LF_REPORT_GATHER_MAKERS_H

#include "base/string.h"
#include "report/gather/gather.h"

/* Fills in the gathered runs' `maker`, and all that there are. */
lf_status lf_makers_find(lf_gathered *g, lf_err *err);
/* By another one than most runs (of equals, than the first of them). */
bool lf_made_otherwise(const lf_gathered *g, const lf_gathered_run *r);
bool lf_any_made_otherwise(const lf_gathered *g, const int64_t *runs, int64_t n);
/* A sentence about the mark; nothing where all were made by one. */
void lf_makers_put(lf_string *t, const lf_gathered *g);

#endif

/* Between the files that make a verdict. */
#ifndef LF_REPORT_GATHER_VERDICT_INTERNAL_H
#define LF_REPORT_GATHER_VERDICT_INTERNAL_H

#include "report/gather/summary_internal.h"
#include "report/gather/verdict.h"

enum { LF_LEAST_PAIRS = 3 }; /* of fewer seeds there is no interval */

/* One verdict while it is made. */
typedef struct lf_telling {
    const lf_summary *s;
    int64_t family;
    const lf_cohort *baseline;
    lf_verdict *v;
    const lf_metric *cost;
    bool no_memory;
} lf_telling;

/* verdict_words.c. */
/* "key value, key value" of the swept keys that `wanted` takes. */
void lf_put_keys(lf_string *t, const lf_summary *s, const lf_cohort *g, bool (*wanted)(const char *));
void lf_put_title(lf_telling *t, lf_string *text, const lf_cohort *g);
/* "X, Y and Z", and of positions alone "positions 0, 0.5 and 1"; capital: at the beginning of a sentence. */
void lf_put_titles(lf_telling *t, lf_string *text, const lf_cohort *const *g, int64_t n, bool capital);
lf_sample lf_matched_of(const lf_cohort *g); /* what it forgets at equal gain, less the baseline */
/* Of the best rate's runs the one that is best on the data that chose the rate; NULL: none is. */
const lf_gathered_run *lf_best_run(const lf_summary *s, const lf_cohort *g);

/* verdict_notes.c: all of them. best: the one that surely forgets less, NULL: there is none. */
void lf_verdict_notes(lf_telling *t, int64_t pairs, const lf_cohort *best);

#endif

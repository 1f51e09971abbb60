/* What a comparison of methods answers: which to take, at what price, and how sure that is. Made from the intervals of
 * a summary, and never says more than they do. */
#ifndef LF_REPORT_GATHER_VERDICT_H
#define LF_REPORT_GATHER_VERDICT_H

#include "base/string.h"
#include "report/gather/summary.h"

/* Of one family of methods (summary.h). */
typedef struct lf_verdict {
    char *of;          /* which model and data, where there are several families; NULL */
    char *answer;      /* a few sentences */
    char *take;        /* the recommended method, its best rate, its means; NULL: none is recommended */
    const char *run;   /* the recommended run's name, borrowed of the summary; NULL: none is recommended */
    char *adapter;     /* its adapter's folder */
    const char *model; /* of its configuration; NULL */
    char **notes;      /* what would make the answer surer, and what to be careful of; n_notes of them */
    int64_t n_notes, notes_capacity;
} lf_verdict;

/* *n verdicts, one for each family of which some method has been judged; none where there are no runs that are done.
 * Freed by lf_verdicts_free. */
lf_status lf_verdicts_new(lf_verdict **out, int64_t *n, const lf_summary *s, lf_err *err);
void lf_verdicts_free(lf_verdict *v, int64_t n);
void lf_verdicts_print(const lf_verdict *v, int64_t n, FILE *out); /* for people: 80 columns where it is no terminal */
cJSON *lf_verdicts_json(const lf_verdict *v, int64_t n);           /* a list; NULL: out of memory */

/* A method's name in a sentence: what its start is called where starts alone are swept, else with the other keys. Freed
 * by lf_free; NULL: out of memory. */
char *lf_method_title(const lf_summary *s, const lf_cohort *g);

#endif

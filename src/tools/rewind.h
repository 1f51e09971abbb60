/* What the verb `rewind` found, for those who write it. Within tools/rewind*.c. */
#ifndef LF_TOOLS_REWIND_H
#define LF_TOOLS_REWIND_H

#include "base/obj.h"
#include "stats/stats.h"
#include "tools/common.h"

/* The adapter at one size: W + lambda dW. */
typedef struct lf_rewind_point {
    double lambda;
    cJSON *figures;     /* the names of `eval --json`, but for what is not measured; owned */
    lf_outcome outcome; /* what was learned, and what it cost, as lf_gain_from has them */
} lf_rewind_point;

typedef struct lf_rewinding {
    const lf_config *cfg;
    const lf_yardstick *yardstick;
    lf_rewind_point *points; /* by rising lambda */
    int64_t n;
    /* The size that is chosen and size 1, on data that did not choose; none where there are no such data (keys
     * test_data and forgetting_eval_data). Of test_data their figures are those of test. */
    lf_rewind_point judged[2];
    int64_t n_judged;
    bool apart, has_test;              /* there are such data; test_data is among them */
    const char *chosen_on, *judged_on; /* in words */
    int64_t knee, chosen;              /* of the points; -1: none */
    const char *chosen_by;             /* "knee", or the keys that asked; NULL: nothing is chosen */
    const char *dir;                   /* output_dir; NULL: nothing is written */
    char *adapter_dir;                 /* where the adapter was written; NULL: it was not */
    bool drawn;
    bool compares;         /* with the untouched model, which may not know all tokens */
    lf_accuracy untouched; /* on the new task, under the adapter's head */
    lf_answers answers;    /* its own, which those of each size are compared with */
} lf_rewinding;

/* A figure of a point by its name; NAN: it has none. */
double lf_rewind_figure(const lf_rewind_point *p, const char *name);

void lf_rewind_table(const lf_rewinding *r, FILE *out);
lf_status lf_rewind_json(const lf_rewinding *r, FILE *out, lf_err *err);
/* rewind.csv, rewind.gp and, with gnuplot, rewind.svg, in r->dir. */
lf_status lf_rewind_files(lf_rewinding *r, lf_err *err);

#endif

/* A sequence of tasks (`lora-ft continual`), as the files of its folder tell, however far it is. */
#ifndef LF_REPORT_GATHER_SEQUENCE_H
#define LF_REPORT_GATHER_SEQUENCE_H

#include <cjson/cJSON.h>

#include "base/error.h"

#define LF_SEQUENCE_CONFIG "continual.json" /* the one sign by which sequences are known */

/* sequence.json, written anew after each run:
 *
 *   {"between": "keep", "says": what that means, "measure": "accuracy", "runs": how many there will be,
 *    "tasks": [name, ...], "before": [score | null, ...], "base_before": number | null,
 *    "after": [{"name": ..., "scores": [number | null, ...], "base": number | null}, ...]}
 *
 * Scores: the larger the better; null: not measured. */
typedef struct lf_told {
    const char *dir;                        /* borrowed */
    cJSON *json, *config, *results, *error; /* results, error (error.json): NULL where there are none */
    const char *between, *says, *measure;   /* borrowed from json, like all names */
    const char **tasks, **after;            /* [n_tasks], [n_done] */
    int64_t n_tasks, n_runs, n_done;
    double *scores; /* [n_done, n_tasks]; NAN: not measured */
    double *before; /* [n_tasks] */
    double *base;   /* [n_done]: of the base's own data, in its own unit */
    double base_before;
} lf_told;

/* LF_EDATA, naming file and key, for what is no such file. Of a sequence whose first run has not ended n_done is 0.
 * The caller closes, also after an error. */
lf_status lf_told_read(lf_told *out, const char *dir, lf_err *err);
void lf_told_close(lf_told *t);

/* How the scores of a measure are shown. */
typedef struct lf_told_shown {
    const char *measure;
    const char *says;             /* of the numbers, in a sentence */
    const char *title, *label;    /* behind the matrix's title; of the axis */
    const char *unit, *points;    /* of a score, and of a difference */
    double scale;                 /* of the number that is shown */
    int decimals, squares, table; /* of the figures that decide; in the matrix; in the table of the course */
    bool is_open;                 /* a scale has no ends: it goes over what there is */
} lf_told_shown;
const lf_told_shown *lf_told_how(const lf_told *t); /* never NULL */

#endif

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
/* Is it shown as it is (a mean log-probability), or in percent? */
bool lf_told_is_log(const lf_told *t);

#endif

/* Runs that stand under one folder, as their files tell: what ran where does not matter. */
#ifndef LF_REPORT_GATHER_GATHER_H
#define LF_REPORT_GATHER_GATHER_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/error.h"
#include "stats/figures.h"

typedef enum lf_run_state {
    LF_RUN_DONE,       /* all_results.json is there */
    LF_RUN_COLLAPSED,  /* the same, and it is left with no more than a guess (report/gather/collapsed.h) */
    LF_RUN_DIVERGED,   /* error.json says so (exit code 4) */
    LF_RUN_FAILED,     /* error.json says so (another exit code, or a signal) */
    LF_RUN_UNFINISHED, /* neither: not begun, interrupted or still at work */
    LF_N_RUN_STATES
} lf_run_state;
const char *lf_run_state_name(lf_run_state s); /* "done", "collapsed", "diverged", "failed", "unfinished" */

/* A folder with the config.json of a training run ("output_dir" and "learning_rate" among its keys). */
typedef struct lf_gathered_run {
    char *name; /* its path below the gathered folder */
    lf_run_state state;
    char *message;  /* of error.json, or how it collapsed; NULL */
    cJSON *config;  /* the resolved configuration; of a run that is not begun, that of a run beside it with the point's
                       values */
    cJSON *results; /* all_results.json, without "start"; NULL unless done, or collapsed */
    cJSON *start;   /* report/gather/start.h */
    int64_t maker;  /* index of what it was made by; -1: its files do not tell */
} lf_gathered_run;

/* By what runs were made (report/gather/makers.h); borrowed from the first of them. */
typedef struct lf_maker {
    const char *kernels, *processor;
    int64_t n_runs;
} lf_maker;

/* Files beside those of a finished run, written by others:
 *
 *   RUN/error.json    how the last try of a run ended:
 *                     {"exit_code": 4, "state": "diverged" | "failed", "message": "...", "start": ...}
 *   DIR/sweep.json    of `lora-ft sweep`: {"swept": ["init_position", ...], "runs": ["runs/NAME", ...],
 *                     "points": [{"init_position": 0.5, ...}, ...], ...}: runs[i] has the values points[i]
 *
 * The swept keys are those of sweep.json, where there is one in the folder, and all whose values differ between the
 * runs, in the order of the former and then of config.json. Of the latter without those that change no result by
 * intention (output_dir, overwrite_output_dir, resume_from_checkpoint, threads, the caches, what is logged and saved
 * when: config/config.h has their traits). */
typedef struct lf_gathered {
    const char *dir;               /* borrowed */
    const lf_yardstick *yardstick; /* what its runs are judged by; where none is done, the first */
    lf_gathered_run *runs; /* by the swept keys' values (numbers as numbers, in ascending order), then by name */
    int64_t n_runs, runs_capacity;
    char **swept;
    int64_t n_swept, swept_capacity;
    lf_maker *makers;
    int64_t n_makers, makers_capacity, usual_maker; /* usual_maker: that of the most runs */
    int64_t
        n_others; /* runs that stand there too, but are not in the sweep.json of the folder: they are not gathered */
} lf_gathered;

/* Looks three folders deep; does not enter run folders, nor those whose name begins with a dot; `dir` itself is taken
 * for no run. With a sweep.json in `dir` only the runs that it lists are taken (a sweep may have been narrowed, and
 * other runs be put beside it); points that it lists and that have no folder yet are runs that are unfinished. LF_EDATA
 * if there is no run at all, if runs of pictures and of language stand together, or if a file that is there cannot be
 * read or a figure in it is no number (naming it). */
lf_status lf_gather(lf_gathered **out, const char *dir, lf_err *err);
void lf_gathered_free(lf_gathered *g);

/* The config.json of a run's folder, or the continual.json of a sequence's, which is gathered like a run: the one sign
 * by which they are known. NULL, and LF_OK, if `path` is none. Caller:
 * cJSON_Delete. */
lf_status lf_run_config(cJSON **config, const char *path, lf_err *err);

/* What a run is judged by: the yardstick whose gain stands in all_results.json, as null or a number; *n is of how many
 * it does. Of none the first. */
const lf_yardstick *lf_yardstick_in(const cJSON *results, int *n);

/* It came to its end, whatever it is worth. */
bool lf_run_is_done(const lf_gathered_run *r);
/* A figure of all_results.json; NAN where there is none. */
double lf_run_number(const lf_gathered_run *r, const char *key);

/* A swept key's value as a cell of a table: numbers shortest ("0.001"), strings bare, else JSON in one line; the value
 * is NULL or null: "". Writes at most size bytes with the final 0. */
void lf_value_text(char *text, size_t size, const cJSON *value);
void lf_number_text(char *text, size_t size, double x); /* the fewest digits that read back to the same number */
/* Less than, equal to or greater than 0. Nothing (NULL, null) comes first, then false, true, numbers, strings, lists,
 * objects. */
int lf_value_compare(const cJSON *a, const cJSON *b);

#endif

/* A sequence of tasks, taken apart: what is to be learned and judged, and the runs that do it. */
#ifndef LF_CONTINUAL_PLAN_H
#define LF_CONTINUAL_PLAN_H

#include "adapter/adapter.h"
#include "base/pool.h"
#include "model/model.h"
#include "stats/figures.h"

typedef struct lf_between lf_between;

/* What is learned, and judged after each run. */
typedef struct lf_plan_task {
    const char *name;
    const cJSON *given; /* its object of `tasks` */
    lf_config *cfg;     /* of `train`: what was given for all, and what it gives itself */
    const char **classes;
    int64_t n_classes;  /* of its training data; 0: they have none */
    int64_t examples;   /* of its training data, as far as they are known before they are read */
    char eval_hash[33]; /* of the bytes that it is judged by */
    lf_output_kind output;
    lf_judged_by by; /* all tasks' */
} lf_plan_task;

/* A folder like that of `train`, by the same code. */
typedef struct lf_plan_run {
    const char *name, *dir;
    const char *own;     /* folder of the adapter that it trains, on the base that it is given */
    const char *adapter; /* of all that has been learned after it, on the sequence's base: `own`, or made of several */
    const char *heads;   /* the folder of such an adapter with the head of each task so far; NULL: there is one head */
    const char *model;   /* the base with that in its weights; NULL: it is not made */
    lf_config *cfg;      /* of `train` */
} lf_plan_run;

typedef struct lf_plan {
    const lf_config *cfg;
    const char *dir; /* output_dir */
    const lf_between *between;
    bool own_heads; /* each task has a head of its own, and is asked through it */
    lf_plan_task *tasks;
    lf_plan_run *runs; /* one a task, or (at_once) one */
    int64_t n_tasks, n_runs;
    const char **base_classes; /* of the base's own head, where the first task goes on with it (reuse_head) */
    int64_t n_base_classes;
    char base_hash[33]; /* of the base's data, where the sequence judges them itself */
    char data_hash[33]; /* of all that is judged: evaluation data of all tasks, and the base's; once looked at */
    double *alone;      /* [n_tasks]: of reset_from, what each was learned to; NULL: not given */
    lf_arena *arena;
} lf_plan;

/* Reads the tasks and makes their configurations. LF_EUSAGE, naming task and key, for what cannot be; what only the
 * data tell is left to lf_plan_look. On failure, too, the caller closes. */
lf_status lf_plan_open(lf_plan *p, const lf_config *cfg, lf_err *err);
/* Opens the data of each task, those of training and those that judge, and of the model its config.json: every mistake
 * that can be found shows before the first task begins. `quiet`: without what training says again. */
lf_status lf_plan_look(lf_plan *p, bool quiet, lf_err *err);
void lf_plan_close(lf_plan *p);
/* Whether the sequence in `dir` may have longer tasks than it was begun with, as `key` now says of its configuration:
 * LF_EUSAGE where a task begins with what the one before it left, which would be trained on beneath those after it. */
lf_status lf_plan_check_longer(const lf_config *cfg, lf_key_id key, const char *dir, lf_err *err);
/* The data of a task's own. */
enum { LF_PLAN_DATA = 3 };
extern const lf_key_id lf_plan_data[LF_PLAN_DATA];
bool lf_plan_is_data(lf_key_id key);
/* Is something made of a run's adapter before it is judged (outgoing.h)? Else it is that itself. */
bool lf_plan_goes_out(const lf_plan *p);
/* The folder of the adapter by which a task is judged after a run, in the arena; NULL: out of memory. */
const char *lf_plan_judged_by(const lf_plan *p, int64_t run, int64_t task);
/* A key that the sequence sets; `value` is taken over, NULL: LF_ENOMEM. */
lf_status lf_plan_set(lf_config *cfg, lf_key_id key, cJSON *value, lf_err *err);
/* Is it the name of a folder that some sequence makes in its own? */
bool lf_plan_is_folder(const char *name);
/* One of what goes out after a run? */
bool lf_plan_is_after(const char *name);
#define LF_PLAN_HEADS "heads" /* in it, with heads of their own: a folder a task */

/* The classes that task number `run` is the first to have, as a list of names, in its order. The caller deletes it. */
lf_status lf_plan_new_labels(cJSON **out, const lf_plan *p, int64_t run, lf_err *err);
/* Has the head that run number `run` ends with an answer to the task: is each of its classes among the head's? */
bool lf_plan_answers(const lf_plan *p, int64_t run, int64_t task);
/* The same of the base's own head, before any run. */
bool lf_plan_base_answers(const lf_plan *p, int64_t task);

#endif

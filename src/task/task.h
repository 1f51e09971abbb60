/* What a model is trained for and judged by: classifying pictures, or language. A task is one file, task_<name>.c, and
 * one line in tasks.def; the training loop, the checkpoints and the verbs know no more of it than this table.
 *
 *   lf_task_open -> open_data for the roles that are there -> prepare, plan, start -> next, loss, ... -> lf_task_close
 *
 * A task is of one model and one configuration. It reads processor or tokenizer when its first data set is opened, so
 * that `bench` needs neither. */
#ifndef LF_EVAL_TASK_H
#define LF_EVAL_TASK_H

#include <stddef.h>

#include "data/fingerprint.h"
#include "eval/eval.h"
#include "io/stored.h"
#include "stats/figures.h"

typedef enum lf_data_role { LF_DATA_TRAIN, LF_DATA_EVAL, LF_DATA_TEST, LF_DATA_BASE, LF_DATA_ROLES } lf_data_role;

typedef struct lf_update_ratio lf_update_ratio;

/* Where a role's data come from. */
typedef struct lf_data_from {
    lf_key_id key;     /* of the configuration: its value is the spec, its name stands in errors */
    const char *split; /* which part of a folder with train, val and test */
    lf_key_id limit;   /* the key that says how many samples at most; LF_NO_KEY: all */
} lf_data_from;

/* A batch of training data. `data` is the task's own. */
typedef struct lf_task_batch {
    int64_t epoch, number; /* number within the epoch */
    int64_t items;         /* what speed is counted in: pictures, or tokens without padding */
    const void *data;
} lf_task_batch;

/* What a loss found on its way. */
typedef struct lf_loss_counts {
    int64_t targets, correct;
} lf_loss_counts;

typedef struct lf_task {
    const lf_task_type *type;
    const lf_config *cfg;
    lf_model *model; /* borrowed, as the next two */
    lf_graph *g;
    void *own;          /* the task's */
    bool interruptible; /* evaluations end with LF_EINTERRUPTED after lf_interrupt; training lets them end first */
} lf_task;

enum { LF_BASE_PARTS = 2 };

struct lf_task_type {
    const char *unit;           /* of items: "images" */
    const char *best_metric;    /* what metric_for_best_model is when it is not given */
    const char *auto_class;     /* of transformers, for an adapter's README.md */
    const char *peft_task_type; /* for adapter_config.json; NULL: PEFT has none */
    lf_input_kind input;        /* it serves models of this input that say this */
    lf_output_kind output;
    lf_status (*open)(lf_task *t, lf_err *err); /* fills `own` */
    void (*close)(lf_task *t);

    /* ---- data ---- */
    bool (*has_split)(const cJSON *spec, const char *split);
    lf_status (*open_data)(lf_task *t, lf_data_role role, const lf_data_from *from, lf_err *err);
    lf_status (*split_data)(lf_task *t, double share, lf_err *err); /* of the training data, to evaluate on */
    bool (*has_data)(const lf_task *t, lf_data_role role);
    int64_t (*count)(const lf_task *t, lf_data_role role);
    /* Of the files that a role's data are read from (data/fingerprint.h). */
    lf_status (*fingerprint)(const lf_task *t, lf_data_role role, lf_fingerprint *out, lf_err *err);
    void (*describe)(const lf_task *t, lf_data_role role, char *text,
                     size_t size); /* "60 examples of 3 classes (data/x)" */

    /* ---- training ---- */
    lf_status (*prepare)(lf_task *t, lf_err *err); /* makes the model's head fit the training data */
    lf_status (*plan)(lf_task *t, int64_t batch_size, int64_t *batches_per_epoch, lf_err *err);
    lf_status (*start)(lf_task *t, int64_t epoch, int64_t batch,
                       lf_err *err); /* of the batches: from there, without end */
    /* The next batch, valid until the next call. One of which nothing is left may be missing: count by `number`. */
    lf_status (*next)(lf_task *t, const lf_task_batch **out, lf_err *err);
    int64_t (*skipped)(const lf_task *t); /* pictures that could not be read since `start` */
    double (*waited)(const lf_task *t);   /* seconds that `next` waited for batches since `start`, the first left out */
    /* Runs the model: the sum of the targets' losses [1]. NULL after a failure, which is the graph's. */
    lf_tensor *(*loss)(lf_task *t, const lf_task_batch *b, lf_loss_counts *counts);
    /* For measuring speed: a batch of random numbers that `loss` takes; of the task until it is closed. */
    lf_status (*random_batch)(lf_task *t, int64_t batch, int64_t seq, const lf_task_batch **out, lf_err *err);
    /* The files that belong beside the model's weights (processor, tokenizer). */
    lf_status (*save_beside)(const lf_task *t, const char *dir, lf_err *err);

    /* ---- judging ---- */
    /* `m` with its adapter, on a role's data. save: file for each example's logits; NULL: none. */
    lf_status (*evaluate)(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, const char *save, lf_err *err);
    /* The untouched base on LF_DATA_BASE (through lf_measure_base); then any state of the model against it. */
    lf_status (*measure_base)(lf_task *t, lf_base_score *out, lf_err *err);
    lf_status (*measure_tuned)(lf_task *t, lf_base_score *out, lf_model *m, lf_err *err);
    /* What measure_tuned needs of the base beside its score, as arrays of the task's: those that measure_base filled,
     * or, `make`, room for what it would fill, which base_restored then takes for measured. At most LF_BASE_PARTS.
     * NULL: nothing. */
    lf_status (*base_parts)(lf_task *t, bool make, lf_stored_part *parts, int *n, lf_err *err);
    void (*base_restored)(lf_task *t, const lf_base_score *score);
    /* Forward passes of m, its adapter on, over a small part of a role's data, for `u` to look at
     * (task/update_ratio.h). */
    lf_status (*look)(lf_task *t, lf_update_ratio *u, lf_model *m, lf_data_role role, lf_err *err);

    /* ---- results ---- */
    double (*chance)(const lf_model *m, bool base); /* what a uniform guess would score: of `base`, on the base task */
    lf_judged_by judged_by;                         /* its lines of stats/figures.def: all_results.json */
    void (*compare)(lf_results *r);                 /* forgetting and retention from before and after */
    void (*table)(const lf_results *r, FILE *out);  /* its rows of the closing table, above those of every task */
    /* A line of metrics.jsonl, and of the log, about an evaluation; either score may be NULL. */
    void (*add_row)(cJSON *row, const lf_accuracy *a, const lf_base_score *base);
    void (*say)(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base);
};

extern const lf_task_type lf_task_image, lf_task_language;

/* LF_EUNSUPPORTED if no task serves the model. */
lf_status lf_task_open(lf_task **out, const lf_config *cfg, lf_model *m, lf_graph *g, lf_err *err);
void lf_task_close(lf_task *t);
lf_eval_opts lf_task_eval_opts(const lf_task *t, const char *what); /* the configuration's, without a processor */

/* A score into the results, for LF_DATA_EVAL or LF_DATA_TEST. */
void lf_results_put(lf_results *r, lf_data_role role, const lf_accuracy *a);
/* What the base knew before and after, compared. */
void lf_results_put_base(lf_results *r, const lf_base_score *before, const lf_base_score *after);

/* A row of the closing table, for the tasks' own; left out where nothing was measured. `alone`: there is no before. */
typedef struct lf_row {
    const char *name, *format;
    double scale, before, after;
    int64_t count;
    const char *unit;
    bool alone;
} lf_row;
void lf_results_row(FILE *out, const lf_row *row);

#endif

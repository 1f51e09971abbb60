/* What a model is trained for and judged by: classifying pictures, or language. A task is one file, task_<name>.c, and
 * one line in tasks.def; the training loop, the checkpoints and the verbs know no more of it than this table.
 *
 * What goes into the model is not the task's: a source (task/source.h), one for pictures and one for text, opens data
 * and makes batches for every task.
 *
 *   lf_task_open -> source->open_data for the roles that are there -> prepare, source->plan, start -> next, loss, ...
 *   -> lf_task_close
 *
 * A task is of one model and one configuration. */
#ifndef LF_TASK_TASK_H
#define LF_TASK_TASK_H

#include <stddef.h>

#include "base/obj.h"
#include "data/fingerprint.h"
#include "eval/answers.h"
#include "eval/eval.h"
#include "eval/examples.h"
#include "stats/figures.h"
#include "task/prefix.h"

/* What data are for. What the new task's data decide is decided by EVAL and reported of TEST; of the base's task
 * BASE_EVAL decides and BASE is reported, and no example is in both (lf_task_open_base). Where nothing is chosen by
 * forgetting there is no BASE_EVAL, and all of forgetting_data is BASE. CALIBRATION is what a start looks at, where
 * that is given. REPLAY is old data that are trained on beside TRAIN's (replay_data), and of KL's the model is to
 * say what the base says (kl_data). */
typedef enum lf_data_role {
    LF_DATA_TRAIN,
    LF_DATA_EVAL,
    LF_DATA_TEST,
    LF_DATA_BASE,
    LF_DATA_BASE_EVAL,
    LF_DATA_CALIBRATION,
    LF_DATA_REPLAY,
    LF_DATA_KL,
    LF_DATA_ROLES
} lf_data_role;
/* roles.c */
bool lf_data_is_base(lf_data_role role);        /* what the base knew is measured on it */
bool lf_data_is_put_to_base(lf_data_role role); /* the base runs on it too, so that its own tokenizer encodes it */
bool lf_data_is_trained_on(lf_data_role role);  /* its batches are shuffled and without end */

/* Where a role's data come from. */
typedef struct lf_data_from {
    lf_key_id key;     /* of the configuration: its value is the spec, its name stands in errors */
    const char *split; /* which part of a folder with train, val and test */
    lf_key_id limit;   /* the key that says how many samples at most; LF_NO_KEY: all */
} lf_data_from;

/* What a loss found on its way. */
typedef struct lf_loss_counts {
    int64_t targets, correct;
    double weight; /* of the targets: how many they are, unless classes have weights */
} lf_loss_counts;

typedef struct lf_source_type lf_source_type;
typedef struct lf_kl_type lf_kl_type;
typedef struct lf_task {
    const lf_task_type *type;
    const lf_source_type *source; /* of the model's input */
    const lf_config *cfg;
    lf_model *model; /* borrowed, as the next two */
    lf_graph *g;
    void *data;                               /* the source's */
    lf_forgetting *forgetting[LF_DATA_ROLES]; /* of the base's roles; NULL until the base is measured on one */
    bool base_is_halved;                      /* BASE_EVAL is a half of forgetting_data */
    lf_confusion confusion;                   /* of the last evaluation with confuses; n 0: none */
    bool confuses;                            /* evaluations count which class is taken for which */
    lf_answers *answers; /* evaluations on LF_DATA_EVAL hand it each answer; NULL: to none. Borrowed, as the next */
    lf_answers *base_answers; /* the same of lf_task_measure_tuned */
    bool untouched;           /* evaluations are of the model without its adapter */
    float *class_weights;     /* of the training loss [labels of the head]; NULL: all 1 */
    bool keeps_head;          /* training goes on with the head that the model has, and its labels */
    lf_prefix_store *prefix;  /* what frozen layers make of the batches that `loss` is given; NULL: nothing is kept */
    bool interruptible; /* evaluations end with LF_EINTERRUPTED after lf_interrupt; training lets them end first */
} lf_task;

struct lf_task_type {
    const char *best_metric;    /* what metric_for_best_model is when it is not given */
    const char *auto_class;     /* of transformers, for an adapter's README.md */
    const char *hub_task;       /* what a hub calls it, for the same */
    const char *peft_task_type; /* for adapter_config.json; NULL: PEFT has none */
    const char *base_data;      /* what forgetting is measured on: "base task" */
    lf_input_kind input;        /* it serves models of this input that say this */
    lf_output_kind output;
    lf_status (*check)(const lf_task *t, lf_err *err); /* can the configuration be followed? NULL: always */
    /* By which output the base is judged on the data that are open for LF_DATA_BASE; NULL: by `output`. */
    lf_output_kind (*base_output)(const lf_task *t);

    /* ---- training ---- */
    /* What the labels of a role's data are; false: what they look like. Only of a task with labels. */
    bool (*problem)(const lf_task *t, lf_data_role role, lf_problem *out);
    /* A role's data are open: can they be followed? Only of a task with labels. */
    lf_status (*opened)(lf_task *t, lf_data_role role, lf_err *err);
    /* The names that fix the labels of a role's data, which `key` gives; *names NULL: whatever the data call them.
     * NULL: the task has no labels. */
    lf_status (*labels)(const lf_task *t, lf_data_role role, lf_key_id key, const char *const **names, int64_t *n,
                        lf_err *err);
    /* Makes the model's head fit the training data; without any (`bench`), one of random weights where there is none.
     * NULL: heads stay as they are. */
    lf_status (*prepare)(lf_task *t, lf_err *err);
    /* Runs the model, through the head that the batch's role is for: the sum of the targets' losses [1]. NULL after a
     * failure, which is the graph's. */
    lf_tensor *(*loss)(lf_task *t, const lf_example_batch *b, lf_loss_counts *counts);
    const lf_kl_type *kl; /* how far what the model says is from what the base says (task/kl.h) */

    /* ---- judging ---- */
    /* `m` with its adapter, on a role's data. save: file for each example's logits; NULL: none. */
    lf_status (*evaluate)(lf_task *t, lf_accuracy *out, lf_model *m, lf_data_role role, const char *save, lf_err *err);

    /* ---- results ---- */
    double (*chance)(const lf_model *m, bool base); /* what a uniform guess would score: of `base`, on the base task */
    lf_judged_by judged_by;                         /* its lines of stats/figures.def: all_results.json */
    void (*compare)(lf_results *r);                 /* forgetting and retention from before and after */
    /* A line of the log about an evaluation; either score may be NULL. */
    void (*say)(char *text, size_t size, const lf_accuracy *a, const lf_base_score *base);
};

extern const lf_task_type lf_task_image, lf_task_language, lf_task_classification;

/* By the model, and of those of text by the key task_type, for which a head is made where there is none.
 * LF_EUNSUPPORTED if no task serves the model. Its type may become another of the same name while its data are opened
 * (what classifies may be numbers): whoever keeps it takes it afterwards. */
lf_status lf_task_open(lf_task **out, const lf_config *cfg, lf_model *m, lf_graph *g, lf_err *err);
void lf_task_close(lf_task *t);
/* A role's data: under a key of their own, else a part of train_data's folder, else none. */
lf_status lf_task_open_part(lf_task *t, lf_data_role role, const lf_data_from *from, lf_err *err);
/* LF_DATA_EVAL: eval_data, or val/ beside train/, at most max_eval_samples; none is LF_OK. */
lf_status lf_task_open_eval(lf_task *t, lf_err *err);
/* What is answered to LF_DATA_EVAL before: by m, or (NULL) by the model without its adapter. From now on `a` is
 * t->answers, and each evaluation is compared with that one. */
lf_status lf_task_answer_before(lf_task *t, lf_accuracy *before, lf_model *m, lf_answers *a, lf_err *err);
/* The options of `evaluate`: with the confusion, where it is asked, and with answers. */
lf_eval_opts lf_task_judge_opts(lf_task *t, lf_data_role role, const char *what);
bool lf_task_balances_replay(const lf_task *t);     /* replay_choice is balanced, and max_replay_samples given */
bool lf_task_balances(const lf_task *t);            /* sampler is balanced */
uint64_t lf_task_data_seed(const lf_task *t);       /* by which examples are drawn and set aside */
lf_status lf_task_prepare(lf_task *t, lf_err *err); /* the head, if the task has one to fit */
lf_eval_opts lf_task_eval_opts(const lf_task *t, const char *what); /* the configuration's, without a processor */

bool lf_task_reads_labels(const lf_task *t, lf_data_role role); /* roles.c; else nobody asks for them */

/* base_data.c: opens forgetting_data as LF_DATA_BASE. choosing: and LF_DATA_BASE_EVAL, which is forgetting_eval_data
 * (LF_EUSAGE if it holds the same as forgetting_data), or without it one half of forgetting_data, drawn by data_seed
 * (of classes with each its share), and LF_DATA_BASE the other. */
lf_status lf_task_open_base(lf_task *t, bool choosing, lf_err *err);
lf_key_id lf_task_base_key(const lf_task *t, lf_data_role role); /* which key gives such a role */
lf_output_kind lf_task_base_output(const lf_task *t);            /* by which it is judged */
/* Do the files of two roles hold the same? Then neither may report what the other chose. */
lf_status lf_task_hold_same(const lf_task *t, lf_data_role a, lf_data_role b, bool *same, lf_err *err);

/* What the base knows of the data of one of its roles, by the task's output: the untouched one (base_cache.h keeps it
 * for other runs), then any state of the model against it. */
lf_status lf_task_measure_base(lf_task *t, lf_data_role role, lf_base_score *out, lf_err *err);
lf_status lf_task_measure_tuned(lf_task *t, lf_data_role role, lf_base_score *out, lf_model *m, lf_err *err);
/* A base that was measured, kept while another takes its place: how far do the two stand apart (kept_base.c)? */
typedef struct lf_kept_base {
    lf_forgetting *forgetting; /* taken from the task; NULL: none was measured */
    lf_base_rows rows;         /* of text */
} lf_kept_base;
/* Takes what the task has of LF_DATA_BASE's role; of text t->model, which is still the one that was measured, says it
 * again of the first tokens. On failure, too, the caller frees. */
lf_status lf_task_keep_base(lf_kept_base *out, lf_task *t, lf_err *err);
/* KL(the base that `t` has measured since, by t->model, the kept one); NAN: nothing to compare. */
lf_status lf_task_kept_kl(double *out, const lf_kept_base *kept, lf_task *t, lf_err *err);
void lf_kept_base_free(lf_kept_base *kept);
/* Room for a measurement of the base whose numbers are those of an earlier one. */
lf_status lf_task_base_room(lf_task *t, lf_data_role role, lf_err *err);

/* A score into the results, for LF_DATA_EVAL or LF_DATA_TEST. */
void lf_results_put(lf_results *r, lf_data_role role, const lf_accuracy *a);
/* `compare` of a task whose base is judged by the loss of text. */
void lf_results_compare_text(lf_results *r);
/* What the untouched model made of the evaluation data. */
void lf_results_put_before(lf_results *r, const lf_accuracy *before);
/* What the base knew before and after, compared. */
void lf_results_put_base(lf_results *r, const lf_base_score *before, const lf_base_score *after);
/* What the base that a run trained on knew, where that was a quantised one, and how far it stands from the untouched.
 */
void lf_results_put_quantised(lf_results *r, const lf_base_score *base, double kl);

/* What a selection goes by; a NULL: there are no evaluation data. Into a line of metrics.jsonl. */
lf_selection lf_results_selection(const lf_task_type *task, const lf_accuracy *a, const lf_base_score *before,
                                  const lf_base_score *after);
void lf_selection_put(lf_obj *row, const lf_selection *s);

/* The figures of an evaluation into a line of metrics.jsonl; either score may be NULL. */
void lf_results_step(lf_obj *row, lf_judged_by by, const lf_accuracy *a, const lf_base_score *base);

#endif

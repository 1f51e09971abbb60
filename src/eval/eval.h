/* What a model knows: accuracy on a data set, and what it forgot of its base task. All metrics stream: memory does not
 * grow with the data set, but for the base model's logits (N x classes floats) that forgetting compares with. */
#ifndef LF_EVAL_EVAL_H
#define LF_EVAL_EVAL_H

#include "config/config.h"
#include "eval/examples.h"
#include "stats/change.h"
#include "stats/figures.h"

/* A model on a data set. Pictures are judged by accuracy and loss alone. */
typedef struct lf_accuracy {
    int64_t count, skipped;
    /* Share of labels (of examples, of next tokens) with the largest logit, the first of equals; of several labels,
     * share of the examples of which all are right (a logit above 0 is a yes); NAN of numbers. */
    double accuracy;
    double accuracy_low, accuracy_high; /* its 95 % interval by Wilson; NAN */
    double loss;   /* mean cross-entropy of the labels; of several labels the mean over them too; of numbers squared */
    int64_t items; /* what speed is counted in: pictures, or tokens */
    int64_t targets;                              /* labels */
    double choice_accuracy, choice_accuracy_norm; /* multiple choice, by log-likelihood and by that of a byte; NAN */
    int64_t choices;                              /* questions */
    double exact_match;                           /* share of generated answers that are the right one; NAN */
    int64_t matches;                              /* answers generated */
    double counted[LF_N_COUNTED];                 /* of classes: stats/figures.def, COUNTED */
    double auc;                                   /* of texts: area under the ROC (kept_rows.h); NAN */
    double pearson, spearman;                     /* of numbers: correlation with the right ones; NAN */
    lf_transitions changes;                       /* against the pass that was kept (answers.h); n 0: none was */
} lf_accuracy;
#define LF_ACCURACY_NONE                                                                                               \
    {                                                                                                                  \
        .accuracy = NAN, .loss = NAN, .choice_accuracy = NAN, .choice_accuracy_norm = NAN, .exact_match = NAN,         \
        .auc = NAN, .pearson = NAN, .spearman = NAN, .accuracy_low = NAN, .accuracy_high = NAN                         \
    }

/* How often an example of one class was taken for another; of several labels, how often each class is one, was said to
 * be one, and both. Asked for by lf_eval_opts.confusion; up to LF_CONFUSION_CLASSES classes, and not of numbers: else n
 * is 0. */
enum { LF_CONFUSION_CLASSES = 1000, LF_CONFUSION_COUNTS = 3 };
struct lf_confusion {
    int64_t n;
    bool several;
    int64_t *counts; /* [n, n]: a row what is right, a column what was said; of several [n, 3]. lf_free */
};
void lf_confusion_count(lf_confusion *c, int64_t label, bool is, bool said); /* of several: one more */
/* A line a class: its name, how many examples, how many of them right, their share, and a column for each class that
 * they were taken for; of several: its name, how many examples, how many were said to be of it, how many of these are
 * right, precision, recall and F1. */
lf_status lf_confusion_write(const lf_confusion *c, const char *const *names, const char *path, lf_err *err);
/* {"labels": [..], "counts": [[..]]}; of several {"labels": [..], "classes": [..]}; NULL: out of memory */
cJSON *lf_confusion_json(const lf_confusion *c, const char *const *names);
/* [{"label", "samples", "accuracy"}] of the classes that there are examples of; of several [{"label", "samples",
 * "said", "right", "precision", "recall", "f1"}] of all (a share of nothing is left out); NULL: out of memory */
cJSON *lf_confusion_classes(const lf_confusion *c, const char *const *names);

/* Called with each batch in data-set order: features [B, the head's width], logits [B, V] (floats; NULL where no
 * head was asked), the batch. */
typedef lf_status (*lf_eval_visit)(void *context, const lf_example_batch *batch, const float *features,
                                   const float *logits, int64_t V, lf_err *err);

/* Forward passes (no gradient, no dropout) over all of e with `head`. visit may be NULL;
 * labels below 0 (unlabelled) count in `count` only; without any label accuracy and loss are NAN. The graph's steps are
 * used and forgotten. LF_EDATA for a head without weights or a label that it lacks; LF_EDIVERGED, naming the example,
 * for logits that are not finite. */
lf_status lf_evaluate(lf_accuracy *out, lf_model *m, lf_graph *g, lf_module *head, lf_examples *e,
                      const lf_eval_opts *opts, lf_eval_visit visit, void *context, lf_err *err);

/* As lf_evaluate, of the features alone: the model needs no head. LF_EDIVERGED for features that are not finite. */
lf_status lf_evaluate_features(lf_model *m, lf_graph *g, lf_examples *e, const lf_eval_opts *opts, lf_eval_visit visit,
                               void *context, lf_err *err);

/* What the base knew, on held-out data, through its own frozen head; where it has none, by the nearest neighbours of
 * its features (docs/method.md, "Forgetting"). */
typedef struct lf_base_score {
    int64_t count;
    double accuracy, loss;  /* of the labels; by neighbours: accuracy is knn */
    double ce;              /* E[ -sum_v p_base log p_tuned ] (arXiv 2401.05605) */
    double kl;              /* ce - entropy of p_base */
    double knn;             /* weighted k-NN on features, k = 20, votes exp(cos / 0.07), leave-one-out; NAN if off */
    int64_t knn_count;      /* examples that it was done on: at most knn_samples, evenly spread over the data set */
    int by_neighbours;      /* 1: the model has no head of its own; loss, ce and kl are NAN then */
    lf_transitions changes; /* of examples, or next tokens, against the base; n 0: of the base, and by neighbours */
} lf_base_score;

typedef struct lf_forgetting lf_forgetting;
/* Measures the untouched base (adapters off) by one of its outputs, and keeps of it what a comparison needs: of
 * classes, through the base's own head, the logits; of next tokens nothing, because the base can run beside the model.
 * e is borrowed. Classes: the labels of e must be the base's (open it with lf_open_labelled over base_head.labels). A
 * model without a head of its own is judged by neighbours, whatever with_knn says: any labels will do, and nothing is
 * kept. */
lf_status lf_forgetting_new(lf_forgetting **out, lf_model *m, lf_graph *g, lf_output_kind output, lf_examples *e,
                            const lf_eval_opts *opts, bool with_knn, lf_err *err);
/* Room for such a measurement without making it: the caller fills what lf_forgetting_arrays gives with those of an
 * earlier one, and sets its score. */
lf_status lf_forgetting_room(lf_forgetting **out, const lf_model *m, lf_output_kind output, lf_examples *e,
                             const lf_eval_opts *opts, bool with_knn, lf_err *err);
/* [N, V] *logits and the N bytes *seen; V = 0: there are none. */
void lf_forgetting_arrays(lf_forgetting *f, float **logits, int64_t *V, uint8_t **seen, int64_t *N);
void lf_forgetting_set_before(lf_forgetting *f, const lf_base_score *score);
void lf_forgetting_free(lf_forgetting *f);
const lf_base_score *lf_forgetting_before(const lf_forgetting *f);
/* The model as it is now (adapters on), against what was kept. ce and kl are NAN where there is no base to compare
 * with. */
lf_status lf_forgetting_measure(lf_base_score *out, lf_forgetting *f, lf_model *m, lf_graph *g,
                                const lf_eval_opts *opts, lf_err *err);

/* KL(what `from` was measured with, what `to` was), the mean over the examples that both have seen: two untouched bases
 * of the same classes. NAN where no logits were kept. */
double lf_forgetting_kl(const lf_forgetting *from, const lf_forgetting *to);

/* The same of text, of which forgetting keeps nothing: the logits of the first tokens to be predicted (at most 2048,
 * and 16 million numbers in all), by the model without its adapter. */
typedef struct lf_base_rows {
    float *logits; /* [n, V] */
    int64_t n, V, room;
} lf_base_rows;
/* On failure, too, the caller frees. */
lf_status lf_base_rows_take(lf_base_rows *r, lf_model *m, lf_graph *g, lf_examples *e, lf_err *err);
void lf_base_rows_free(lf_base_rows *r);
double lf_base_rows_kl(const lf_base_rows *from, const lf_base_rows *to); /* KL(from, to), a token's mean; NAN */

/* The classes of a data set as a model's labels, `names`: each by its name, and an unknown one is LF_EDATA. If no name
 * is known, numbers are labels (as those of IDX files are), and as many classes as there are labels are taken in sorted
 * order, with a warning; else LF_EDATA. */
lf_status lf_open_labelled(lf_dataset **out, const lf_dataset_opts *opts, const char *const *names, int64_t n_names,
                           lf_err *err);

/* The same for texts that are open (and all that were split from them); of numbers there is nothing to match. */
lf_status lf_match_texts(lf_text_dataset *d, const char *key, const char *const *names, int64_t n_names, lf_err *err);

/* The head that is judged and its labels, by the key `head`: "auto" (that of the adapter, else the model's own) or
 * "base". LF_EDATA if there is none; `what` is what needs it. */
lf_status lf_head_in_use(const lf_classifier **out, const lf_model *m, const lf_config *cfg, const char *what,
                         lf_err *err);

/* The preprocessor of a model directory, or ViT's defaults (with a note) if it has no preprocessor_config.json. */
lf_status lf_processor_for(lf_image_processor *out, const lf_model *m, lf_err *err);

typedef struct lf_task_type lf_task_type;

/* What a selection by forgetting goes by: of the base's data that it is made on (LF_DATA_BASE_EVAL), and of the
 * evaluation data. */
typedef struct lf_selection {
    int64_t count; /* examples, or tokens, of the base's; 0: none is made */
    double before, after, forgetting, retention, tradeoff;
} lf_selection;
#define LF_NO_SELECTION ((lf_selection){0, NAN, NAN, NAN, NAN, NAN})

/* lf_transitions and their lf_change, as results have them; NAN: not counted. */
typedef struct lf_changed {
    double wrong, right, change, low, high, p;
} lf_changed;

/* One run's results: all_results.json, `eval --json` and the closing table come from this. NAN = not measured. */
typedef struct lf_results {
    const lf_task_type *task;        /* whose names and rows they have; set before they are written */
    double eval_accuracy, eval_loss; /* new task, after */
    double eval_accuracy_before;     /* chance or NAN for a new head */
    double test_accuracy, test_loss;
    double eval_perplexity, eval_perplexity_before, test_perplexity; /* exp of the loss */
    double eval_chance,
        base_chance; /* of a uniform guess: accuracy, or perplexity (the vocabulary's size); NAN: not asked */
    double base_before, base_after, forgetting, retention;
    lf_base_score before, after;
    double quantised_base, quantised_kl; /* of a run with frozen_precision: what base_before is of the base that it
                                            trained on, and KL(the untouched base, that one) */
    lf_selection selection;
    double update_ratio; /* of the adapter on forgetting data, else on eval data: task/update_ratio.h */
    int64_t eval_count, test_count;
    lf_accuracy eval, test; /* all that was found */
    lf_changed eval_changed, base_changed;
    double init_seconds, train_seconds, data_wait_seconds, items_per_second, peak_rss_mb;
    int64_t trainable_parameters, steps;
    int threads;
} lf_results;
void lf_results_clear(lf_results *r, const lf_task_type *task); /* all NAN / 0 */

cJSON *lf_results_to_json(const lf_results *r); /* the keys of all_results.json */
void lf_results_table(const lf_results *r,
                      FILE *out); /* new task before/after, base task before/after, forgetting, retention, time */

#endif

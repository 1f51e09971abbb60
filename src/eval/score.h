/* Scored examples: what a model says of the labels of a data set, whatever goes in and whatever the labels are. A
 * scorer is of one kind of output (classes: accuracy.c, next tokens: tokens.c); the pass over the data is one. */
#ifndef LF_EVAL_SCORE_H
#define LF_EVAL_SCORE_H

#include "eval/examples.h"
#include "graph/lm_score.h"

/* Sums over what was scored. */
typedef struct lf_score_sum {
    int64_t rows, examples, items, skipped, targets, correct;
    double nll, ce, kl; /* of the targets; ce and kl where there is a base to compare with */
} lf_score_sum;

typedef struct lf_scorer {
    void *context;
    /* A score for each of the batch's labels, *n of them, valid until the next call. LF_EDIVERGED, naming the example,
     * where the model's numbers are not finite. */
    lf_status (*score)(void *context, const lf_example_batch *b, const lf_label_score **scores, int64_t *n,
                       lf_err *err);
    /* What the progress line says meanwhile. */
    void (*say)(const lf_score_sum *sum, char *text, size_t size);
} lf_scorer;

/* One pass over all of e. */
lf_status lf_score_examples(lf_score_sum *out, lf_examples *e, const lf_scorer *scorer, const lf_eval_opts *opts,
                            lf_err *err);

/* ---- next tokens (tokens.c) ---- */

typedef enum lf_scored {
    LF_SCORE_MODEL,
    LF_SCORE_BASE,       /* the model without its adapter */
    LF_SCORE_BESIDE_BASE /* the model, against the base: it runs a second time */
} lf_scored;

/* Of all rows of e. save: NULL, or the file for each target's -log p and id. LF_EDATA if there is no target. */
lf_status lf_score_tokens(lf_score_sum *out, lf_model *m, lf_graph *g, lf_examples *e, lf_scored what_runs,
                          const lf_eval_opts *opts, const char *save, lf_err *err);
/* Of one batch: out [B*T]. */
lf_status lf_score_token_batch(lf_label_score *out, lf_model *m, lf_graph *g, const lf_example_batch *b,
                               lf_scored what_runs, lf_err *err);

#endif

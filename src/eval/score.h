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

/* Memory of what a model says of a batch. */
typedef struct lf_said {
    void *data;
    size_t bytes;
} lf_said;
enum { LF_SAID = 2 }; /* at most so many pieces */

typedef struct lf_scorer {
    void *context;
    /* Room for what the model says of a batch of b's shape, valid until the next call: how many pieces, *n. Another
     * process may have run it. */
    lf_status (*room)(void *context, const lf_example_batch *b, lf_said pieces[LF_SAID], int *n, lf_err *err);
    lf_status (*run)(void *context, const lf_example_batch *b,
                     lf_err *err); /* fills it; needs what goes into the model */
    /* Of what was said: a score for each of the batch's labels, *n of them, valid until the next call. LF_EDIVERGED,
     * naming the example, where the model's numbers are not finite. */
    lf_status (*score)(void *context, const lf_example_batch *b, const lf_label_score **scores, int64_t *n,
                       lf_err *err);
    /* What the progress line says meanwhile. */
    void (*say)(const lf_score_sum *sum, char *text, size_t size);
} lf_scorer;

/* One pass over all of e. Where there are several ranks (base/world.h), each runs the model on its own batches, and
 * what was said goes to all of them, which take it in the order of the data: so every rank finds what one alone does.
 */
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

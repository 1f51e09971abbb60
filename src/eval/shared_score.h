/* A pass over examples, of which other ranks have run the model on some (base/world.h). */
#ifndef LF_EVAL_SHARED_SCORE_H
#define LF_EVAL_SHARED_SCORE_H

#include "base/log.h"
#include "eval/score.h"

typedef struct lf_scoring {
    lf_score_sum *sum;
    lf_examples *e;
    const lf_scorer *scorer;
    lf_progress *bar; /* NULL: none */
    bool interruptible;
} lf_scoring;

/* Takes what was said of a batch, which stands in the scorer's room. */
typedef lf_status lf_take_batch(lf_scoring *s, const lf_example_batch *b, lf_err *err);

lf_portion lf_score_portion(void); /* which batches of an evaluation are this rank's */
/* All batches, each taken on every rank, in the order of the data. */
lf_status lf_score_shared(lf_scoring *s, lf_take_batch *take, lf_err *err);
lf_status lf_score_interrupted(const lf_scoring *s, lf_err *err);

#endif

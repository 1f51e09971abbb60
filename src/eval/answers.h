/* What was answered to each example, and how it had been answered before: by the untouched base, or by another adapter.
 * A pass over the data hands every example on, in their order; two bits of each of the pass before are kept, and of
 * texts two of each next token. docs/method.md, "Which examples". */
#ifndef LF_EVAL_ANSWERS_H
#define LF_EVAL_ANSWERS_H

#include "eval/examples.h"
#include "graph/lm_score.h"
#include "stats/change.h"

/* A batch that was scored. */
typedef struct lf_answered {
    const lf_example_batch *batch;
    const lf_label_score *scores; /* [B] of classes and numbers, [B,T] of next tokens */
    const float *logits;          /* [B,V]; NULL of next tokens */
    int64_t V;
    bool judged; /* classes: an answer is right or wrong; numbers are neither */
} lf_answered;

/* One example's. */
typedef struct lf_one_answer {
    int64_t index;           /* in its data */
    int64_t targets, right;  /* labels of it, and those that were right; of a question 1 */
    int64_t was_right;       /* before; -1: not known */
    double loss;             /* the mean of its labels */
    const lf_answered *said; /* of row `row`; NULL of a question */
    int64_t row;
    const char *answer, *right_answer; /* of a question */
} lf_one_answer;

typedef lf_status (*lf_answer_visit)(void *context, const lf_one_answer *a, lf_err *err);

/* KEEP: the next pass is what later ones are compared with. AGAINST_BASE: what the base says of the same is told beside
 * it (lf_label_score.base_correct; of classes forgetting.c marks it). */
typedef enum lf_answers_how { LF_ANSWERS_AGAINST_BASE, LF_ANSWERS_KEEP, LF_ANSWERS_AGAINST_KEPT } lf_answers_how;

struct lf_answers {
    lf_answers_how how;
    lf_transitions changes; /* of the pass that compares */
    lf_answer_visit visit;  /* NULL, or each example's, in order */
    void *context;
    uint8_t *marks; /* four in a byte; lf_answers_free */
    int64_t bytes, next;
};

/* Before a pass. */
void lf_answers_begin(lf_answers *a, lf_answers_how how);
void lf_answers_free(lf_answers *a);
/* How example `at` was answered before. */
lf_status lf_answers_mark(lf_answers *a, int64_t at, bool right, lf_err *err);
lf_status lf_answers_take(lf_answers *a, const lf_answered *said, lf_err *err);
/* Of a question, which has one answer. */
lf_status lf_answers_take_question(lf_answers *a, lf_one_answer *answer, lf_err *err);

#endif

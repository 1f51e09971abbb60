/* What a language model says of each token of a text, without a tape: for perplexity, and for forgetting against the
 * base. */
#ifndef LF_GRAPH_LM_SCORE_H
#define LF_GRAPH_LM_SCORE_H

#include "graph/ops.h"

/* What a model says of one label: of the next token, or of a class (eval/score.h). */
typedef struct lf_label_score {
    bool target;                 /* there is a label; else all is zero */
    bool correct;                /* the label is the first of the largest logits */
    bool compared, base_correct; /* with a base: whether it is so there */
    double nll;                  /* -log p[label] */
    double ce, kl;               /* with a base, q = its distribution: -sum q log p, and sum q log(q / p) = ce - H(q) */
} lf_label_score;

/* hidden [rows,C], activations, and the head that makes logits of them. labels [rows], < 0: no target, the row is not
 * computed. base_hidden [rows,C] (NULL: no base) is what the base made of the same rows, and base_head what makes
 * logits of it, over as many tokens or over the first of them only: the others are then impossible to the base. out
 * [rows]. Memory is of the graph's pool and given back: logits of a block of rows at a time. Failure is the graph's
 * (lf_graph_status); its status is returned. */
lf_status lf_lm_score(lf_graph *g, const void *hidden, const lf_lm_head *head, const void *base_hidden,
                      const lf_lm_head *base_head, const int32_t *labels, int64_t rows, lf_label_score *out);

/* The logits [rows, V] after rows of hidden numbers [rows, C], activations, in the backend's real numbers (of the
 * graph's pool: give them back with lf_graph_give, or begin another step). NULL after a failure, which is the graph's.
 */
void *lf_lm_logits(lf_graph *g, const void *hidden, int64_t rows, const lf_lm_head *head);

#endif

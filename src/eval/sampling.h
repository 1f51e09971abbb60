/* Choosing the next token from its logits. */
#ifndef LF_EVAL_SAMPLING_H
#define LF_EVAL_SAMPLING_H

#include "base/rng.h"

/* In this order, as transformers does it: penalty, temperature, top_k, top_p, min_p, a draw. */
typedef struct lf_sampling {
    double repetition_penalty; /* 1: none. Logits of tokens that are there already are divided by it, or, below 0,
                                  multiplied */
    double temperature;        /* 0: always the most probable */
    int64_t top_k;             /* only so many of the most probable; 0: all */
    double top_p;              /* only the fewest that together reach this probability; 1: all */
    double min_p;              /* only those of at least this share of the most probable one's probability; 0: all */
    uint64_t seed;
    uint64_t text; /* which of several texts: each has random numbers of its own, which depend on nothing else */
} lf_sampling;

typedef struct lf_token_candidate {
    double value; /* a logit, then its exponential */
    int32_t id;
} lf_token_candidate;

/* The token number `at` of its text. logits [V] are changed; seen [n_seen]: the tokens before it; room [V]. The same
 * arguments give the same token; of equal logits the lowest id comes first. -1 if a logit is NaN or infinite. */
int32_t lf_sample(const lf_sampling *s, float *logits, int64_t V, const int32_t *seen, int64_t n_seen, uint64_t at,
                  lf_token_candidate *room);

#endif

/* An adapter on what makes a vocabulary's logits (lf_lm_head.lora), a block of rows at a time: its term of the logits,
 * and its gradients, from the views and the mathematics of ops/lora_delta.h. All memory is of the graph's pool, in
 * blocks of sizes that do not depend on how many rows a block has. */
#ifndef LF_GRAPH_LM_LORA_H
#define LF_GRAPH_LM_LORA_H

#include "graph/ops/lora_delta.h"

typedef struct lf_lm_lora {
    lf_lora_delta forward, backward;
    lf_view u, u_real; /* [size,R]: scaling x Ahat^T of the block as activations, and the same real (may be u itself) */
    lf_view x;         /* dropout: [size,C], the block's x with some of it dropped; no data: there is none */
    lf_view dx;        /* the same of its gradient */
    lf_rng_key key;
    int64_t blocks; /* that logits were made of */
    bool sums;      /* there are gradients of one */
} lf_lm_lora;

/* For blocks of at most `size` rows of C numbers and V logits; k: the table that x is of. `gradients`: backward will be
 * called. key: of dropout. False: the graph has failed. lf_lm_lora_end in either case. Without an adapter (lora NULL)
 * nothing is taken, and nothing else may be called. */
bool lf_lm_lora_begin(lf_graph *g, lf_lm_lora *l, const lf_kernels *k, const lf_lora *lora, int64_t size, int64_t C,
                      int64_t V, bool gradients, lf_rng_key key);
/* logits [n,V], real, += scaling (x Ahat^T) Bhat^T; x [n,C], as activations. False: a product could not be made. */
bool lf_lm_lora_logits(lf_lm_lora *l, int64_t n, void *logits, const void *x);
/* Of the same block, before the next one's logits: dx [n,C] += what dlogits [n,V], as activations, give (NULL: not
 * wanted); the gradients of the factors are summed. */
bool lf_lm_lora_backward(lf_lm_lora *l, int64_t n, void *dx, const void *dlogits, const void *x);
/* Behind the last block: dA [r,C] and dB [V,r], real, += those sums; NULL: not wanted. */
void lf_lm_lora_add(const lf_lm_lora *l, void *dA, void *dB);
void lf_lm_lora_end(lf_graph *g, lf_lm_lora *l);

#endif

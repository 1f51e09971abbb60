/* The rows of a batch that have a target, gathered a block at a time, and their logits over the vocabulary: for
 * lf_lm_loss and lf_lm_score, which never hold the logits of a whole batch. All memory is of the graph's pool, in
 * blocks of sizes that do not depend on how many rows have targets, so that a warm step makes no heap call. */
#ifndef LF_GRAPH_LM_BLOCKS_H
#define LF_GRAPH_LM_BLOCKS_H

#include "graph/lm_lora.h"
#include "graph/ops.h"

typedef struct lf_lm_blocks {
    const lf_kernels *k; /* whose activations the hidden numbers are */
    lf_lm_head head;
    const void *W;         /* a trained weight [V,C] as activations; NULL: it is frozen */
    int64_t rows, V, C;    /* of the batch; V: logits of a row */
    int64_t says;          /* of those, the ones that the head makes: the first. Behind them is nothing likely */
    int64_t size;          /* most rows of a block */
    void *x, *logits;      /* of this block: [size,C], and real [size,V] */
    int64_t n, *row;       /* its rows, and where they are in the batch */
    int32_t *label;        /* their labels */
    double *nll, *uniform; /* for lm_cross_entropy: [size] each */
    bool *correct;
    lf_lm_lora lora; /* of head.lora */
    int64_t before;  /* rows with targets in the blocks before this one */
    int64_t next;    /* where the search for the next block begins */
    void *owned;     /* W, when it is in pool memory */
} lf_lm_blocks;

/* `gradients`: those of the adapter will be asked for; key: of its dropout. False: the graph has failed.
 * lf_lm_blocks_end in either case. */
bool lf_lm_blocks_begin(lf_graph *g, lf_lm_blocks *b, const lf_kernels *k, int64_t rows, const lf_lm_head *head,
                        bool gradients, lf_rng_key key);
/* The same without gradients, and with logits of at least V tokens: those that the head does not know have no
 * probability. */
bool lf_lm_blocks_begin_wide(lf_graph *g, lf_lm_blocks *b, const lf_kernels *k, int64_t rows, const lf_lm_head *head,
                             int64_t V);
/* Finds the next rows with label >= 0; false: there are none left. */
bool lf_lm_blocks_next(lf_lm_blocks *b, const int32_t *labels);
void lf_lm_blocks_gather(const lf_lm_blocks *b, const void *hidden); /* their rows of hidden [rows,C] into x */
/* to [n,V] real = the head's logits of x. A product that cannot be made fails the graph. */
bool lf_lm_blocks_logits(lf_graph *g, lf_lm_blocks *b, void *to);
/* The graph fails unless `ok`, a product's result. */
bool lf_lm_blocks_made(lf_graph *g, const lf_lm_blocks *b, bool ok);
void lf_lm_blocks_end(lf_graph *g, lf_lm_blocks *b);

#endif

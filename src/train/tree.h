/* The sum of a step's micro-batches, by a fixed binary tree. Micro-batch i is leaf i; node k of a level is the sum of
 * nodes 2k and 2k + 1 of the level below; the root is the step's. So what is added to what is said by the numbers of
 * the micro-batches alone, and whoever sums a part of them (another process) gets the bytes that one alone gets.
 *
 * A leaf that is not there (a short last window of an epoch, a batch of which nothing could be read) is absent, not
 * zero: a node with one child is that child.
 *
 * Ranks (base/world.h) have a run of leaves each, as equal as it goes; of more ranks than leaves some have none. A node
 * belongs to the rank of its first leaf, which gets the right child from the rank of that one's first leaf where it is
 * another; so each node of a run is sent at most once, and the root is rank 0's. */
#ifndef LF_TRAIN_TREE_H
#define LF_TRAIN_TREE_H

#include "data/portion.h"
#include "nn/nn.h"
#include "train/terms.h"

enum { LF_TREE_LEVELS = 17 }; /* of up to 65536 leaves, which gradient_accumulation_steps allows */

/* Sums over micro-batches: of one step's, or of those since the last line of metrics.jsonl. */
typedef struct lf_window {
    double loss;
    int64_t targets, correct;
    double weight;                /* of the targets: how many they are, unless classes have weights */
    lf_term terms[LF_N_REMEDIES]; /* of remedies; of one micro-batch those of examples alone */
} lf_window;
void lf_window_add(lf_window *to, const lf_window *w);

/* Where the sum goes: the gradients of the trained tensors. */
typedef struct lf_tree {
    const lf_kernels *k;
    const lf_trainable *list; /* borrowed */
    int64_t count, numbers, leaves;
    int levels;                  /* above the leaves */
    float *held[LF_TREE_LEVELS]; /* a left child of each level, numbers each, while its sibling is computed */
    float *outgoing;             /* a node on its way to another rank; NULL: there is none */
    int64_t begin, end;          /* this rank's leaves */
} lf_tree;

/* Of steps of up to `leaves` micro-batches. Beside the gradients themselves it takes log2(leaves) buffers of their
 * size, rounded up, of which none for one leaf, and one where there are several ranks; a step makes no call of the
 * heap. */
lf_status lf_tree_new(lf_tree *t, const lf_kernels *k, const lf_trainable *list, int64_t count, int64_t leaves,
                      lf_err *err);
int64_t lf_tree_bytes(int64_t leaves, int64_t numbers); /* of those buffers */
void lf_tree_free(lf_tree *t);
lf_portion lf_tree_portion(const lf_tree *t); /* of the batches of an epoch those that are this rank's leaves */

/* Computes one leaf: its gradients, over whatever is there, and its window. *there false: it is absent. */
typedef lf_status lf_leaf(void *context, int64_t leaf, lf_window *w, bool *there, lf_err *err);
typedef struct lf_tree_result {
    lf_window w;
    lf_err failure; /* of the first of this rank's leaves that failed; status LF_OK: none did */
} lf_tree_result;
/* The sum of leaves 0 .. n-1, of which this rank's are computed, in their order: in rank 0's gradients and window (of
 * the others both are of no meaning). Without any leaf the window is zero, and the gradients are of no meaning. After a
 * leaf that fails none is computed, but what others wait for is still sent; what is returned is of messages alone. */
lf_status lf_tree_sum(lf_tree *t, int64_t n, lf_leaf *leaf, void *context, lf_tree_result *out, lf_err *err);
lf_status lf_tree_spread(lf_tree *t, lf_err *err); /* rank 0's gradients to all */

#endif

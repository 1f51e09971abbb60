/* A part of the model that keeps nothing but its input: backward runs it forward again, then backward, and forgets it
 * ("gradient checkpointing", Chen et al. 2016). The same node numbers are used again, so dropout draws the same masks.
 */
#include <assert.h>
#include <string.h>

#include "graph/graph_internal.h"
#include "graph/ops.h"

typedef struct attributes {
    lf_block_fn block;
    const void *context;
    uint64_t first_node; /* of the block's nodes */
    lf_tensor leaf;      /* what the block is given as x: the same numbers, with a gradient of its own */
} attributes;
extern const lf_op lf_op_checkpoint;

/* x as a leaf, so that the block's lf_done leaves it alone and the walk back ends there. */
static lf_tensor leaf_of(const lf_tensor *x) {
    lf_tensor leaf = *x;
    leaf.is_leaf = true;
    leaf.producer = NULL;
    leaf.done = leaf.needed = false;
    leaf.grad = NULL;
    return leaf;
}

static lf_status checkpoint_shape(lf_node *n, lf_err *err) {
    (void)n, (void)err;
    return LF_OK;
}

static void checkpoint_forward(lf_graph *g, lf_node *n) {
    (void)g, (void)n;
} /* never: lf_checkpoint runs the block itself */

/* The gradient that the block found for its x becomes, or is added to, that of the node's. */
static void hand_over(lf_graph *g, lf_tensor *x, void *grad) {
    if (!grad) return;
    if (!x->grad) {
        x->grad = grad;
        return;
    }
    lf_kernels_for(g, x)->axpy(x->grad, 1, grad, x->numel);
    lf_graph_give(g, grad);
}

static void checkpoint_backward(lf_graph *g, lf_node *n) {
    attributes *a = (void *)n->attributes;
    const uint64_t nodes = g->n_nodes;
    lf_node *const last = g->last;
    a->leaf = leaf_of(n->in[0]);
    g->last = NULL;
    g->n_nodes = a->first_node;
    lf_tensor *y = a->block(a->context, g, &a->leaf);
    if (y) {
        y->grad = n->out->grad; /* the walk gives it back */
        n->out->grad = NULL;
        lf_graph_walk_back(g, y, NULL);
        hand_over(g, n->in[0], a->leaf.grad);
    }
    g->last = last;
    g->n_nodes = nodes;
}

static lf_tensor *build_block(const void *context, lf_graph *g, lf_tensor *x) {
    lf_tensor *const *in = context;
    lf_tensor *h = lf_activation(g, lf_linear(g, x, NULL, in[1], NULL, NULL), LF_GELU);
    lf_tensor *y = lf_dropout(g, lf_linear(g, h, NULL, in[2], NULL, NULL), 0.3), *z = lf_add(g, x, y);
    lf_done(g, y);
    lf_done(g, x);
    return z;
}
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_checkpoint(g, build_block, in, in[0]); }
static lf_tensor *build_two(lf_graph *g, lf_tensor **in) { /* two blocks, and x is used once more */
    lf_tensor *y = lf_checkpoint(g, build_block, in, in[0]), *z = lf_checkpoint(g, build_block, in, y);
    lf_done(g, y);
    return lf_add(g, z, in[0]);
}

static const lf_op_case cases[] = {
    {"a block", 3, {{2, {3, 4}, false}, {2, {5, 4}, false}, {2, {4, 5}, false}}, build, 1e-7},
    {"x constant", 3, {{2, {3, 4}, true}, {2, {5, 4}, false}, {2, {4, 5}, false}}, build, 1e-7},
    {"two blocks", 3, {{2, {3, 4}, false}, {2, {5, 4}, false}, {2, {4, 5}, false}}, build_two, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_checkpoint = {.name = "checkpoint",
                                .needs = LF_NEEDS(0),
                                .shape = checkpoint_shape,
                                .forward = checkpoint_forward,
                                .backward = checkpoint_backward,
                                .cases = cases};

lf_tensor *lf_checkpoint(lf_graph *g, lf_block_fn block, const void *context, lf_tensor *x) {
    if (!x || g->failure.status) return NULL;
    if (!g->with_grad) { /* nothing is kept anyway; but the caller still holds x */
        lf_tensor *leaf = lf_graph_take_bytes(g, sizeof *leaf);
        if (!leaf) return NULL;
        *leaf = leaf_of(x);
        return block(context, g, leaf);
    }
    lf_node *node = lf_graph_take_bytes(g, sizeof *node);
    if (!node) return NULL;
    memset(node, 0, sizeof *node);
    attributes *a = (void *)node->attributes;
    *a = (attributes){.block = block, .context = context, .first_node = g->n_nodes, .leaf = leaf_of(x)};
    g->with_grad = false;
    lf_tensor *y = block(context, g, &a->leaf);
    g->with_grad = true;
    if (!y || !y->requires_grad) return y;
    node->op = &lf_op_checkpoint;
    static_assert(sizeof *a <= sizeof node->attributes, "a block's facts must fit into a node");
    node->n_in = 1;
    node->in[0] = x;
    node->out = y;
    node->needs = LF_NEEDS(0);
    y->producer = node;
    y->needed = y->done = false;
    x->needed = true;
    node->previous = g->last;
    g->last = node;
    return y;
}

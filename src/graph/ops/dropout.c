/* Inverted dropout. The mask is a function of the op's key, so it is never kept. */
#include <string.h>

#include "graph/ops.h"

typedef struct attributes {
    double p;
} attributes;

static lf_status dropout_shape(lf_node *n, lf_err *err) {
    (void)err;
    n->out->ndim = n->in[0]->ndim;
    memcpy(n->out->shape, n->in[0]->shape, sizeof n->out->shape);
    return LF_OK;
}

static void dropout_forward(lf_graph *g, lf_node *n) {
    const attributes *a = (const void *)n->attributes;
    lf_kernels_for(g, n->in[0])->dropout(n->out->data, false, n->in[0]->data, n->out->numel, a->p, n->key);
}

static void dropout_backward(lf_graph *g, lf_node *n) {
    const attributes *a = (const void *)n->attributes;
    bool add;
    void *dx = lf_grad_in_place(g, n, 0, &add);
    if (dx)
        lf_kernels_for(g, n->in[0])->dropout(dx, add, n->out->grad ? n->out->grad : dx, n->out->numel, a->p, n->key);
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_dropout(g, in[0], 0.3); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_dropout(g, in[0], 0.5), lf_dropout(g, in[0], 0.2));
}

static const lf_op_case cases[] = {
    {"0.3", 1, {{2, {5, 7}, false}}, build, 1e-9},
    {"two masks", 1, {{2, {5, 7}, false}}, build_twice, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_dropout = {.name = "dropout",
                             .cheap = true,
                             .shape = dropout_shape,
                             .forward = dropout_forward,
                             .backward = dropout_backward,
                             .cases = cases};

lf_tensor *lf_dropout(lf_graph *g, lf_tensor *x, double p) {
    if (!x || !(p > 0) || !lf_graph_training(g)) return x;
    lf_graph_draws(g);
    lf_tensor *y = lf_graph_apply(g, &lf_op_dropout, 1, &x, &(attributes){p}, sizeof(attributes));
    lf_done(g, x);
    return y;
}

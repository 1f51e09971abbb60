/* From the precision of activations to that of parameters and losses: before a classifier's norm and head. */
#include <string.h>

#include "graph/ops.h"

/* The one op whose output is of another type than its input. The table for activations has both directions. */
static lf_status to_real_shape(lf_node *n, lf_err *err) {
    (void)err;
    n->out->ndim = n->in[0]->ndim;
    memcpy(n->out->shape, n->in[0]->shape, sizeof n->out->shape);
    n->out->dtype = n->in[0]->dtype == LF_F64 ? LF_F64 : LF_F32;
    return LF_OK;
}

static void to_real_forward(lf_graph *g, lf_node *n) {
    lf_kernels_for(g, n->in[0])->to_real(n->out->data, false, n->in[0]->data, n->out->numel);
}

static void to_real_backward(lf_graph *g, lf_node *n) {
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (dx) lf_kernels_for(g, n->in[0])->to_act(dx, add, n->out->grad, n->out->numel);
}

extern const lf_op lf_op_to_real;
static lf_tensor *apply(lf_graph *g, lf_tensor *x) { return lf_graph_apply(g, &lf_op_to_real, 1, &x, NULL, 0); }
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return apply(g, in[0]); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) { return lf_add(g, apply(g, in[0]), apply(g, in[0])); }

static const lf_op_case cases[] = {
    {"plain", 1, {{2, {3, 5}, false}}, build, 1e-9},
    {"twice", 1, {{2, {3, 5}, false}}, build_twice, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_to_real = {.name = "to_real",
                             .shape = to_real_shape,
                             .forward = to_real_forward,
                             .backward = to_real_backward,
                             .cases = cases};

lf_tensor *lf_to_real(lf_graph *g, lf_tensor *x) {
    if (!x || x->dtype == lf_graph_kernels(g)->dtype) return x;
    lf_tensor *y = apply(g, x);
    lf_done(g, x);
    return y;
}

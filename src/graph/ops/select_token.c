/* One token of each sequence: the class token, before the head. */
#include "graph/ops.h"

typedef struct attributes {
    int64_t t;
} attributes;

static lf_status select_token_shape(lf_node *n, lf_err *err) {
    const attributes *a = (const void *)n->attributes;
    const lf_tensor *x = n->in[0];
    if (x->ndim != 3 || a->t < 0 || a->t >= x->shape[1])
        return lf_fail(err, LF_ESHAPE, "select_token: token %lld of a tensor with %d dims", (long long)a->t, x->ndim);
    n->out->ndim = 2;
    n->out->shape[0] = x->shape[0];
    n->out->shape[1] = x->shape[2];
    return LF_OK;
}

static void select_token_forward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    const attributes *a = (const void *)n->attributes;
    lf_kernels_for(g, n->in[0])->select_token(n->out->data, x->data, x->shape[0], x->shape[1], x->shape[2], a->t);
}

static void select_token_backward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    const attributes *a = (const void *)n->attributes;
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (dx)
        lf_kernels_for(g, n->in[0])
            ->select_token_backward(dx, add, n->out->grad, x->shape[0], x->shape[1], x->shape[2], a->t);
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_select_token(g, in[0], 0); }
static lf_tensor *build_two(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_select_token(g, in[0], 2), lf_select_token(g, in[0], 1));
}

static const lf_op_case cases[] = {
    {"first", 1, {{3, {2, 3, 4}, false}}, build, 1e-9},
    {"two of them", 1, {{3, {2, 3, 4}, false}}, build_two, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_select_token = {.name = "select_token",
                                  .shape = select_token_shape,
                                  .forward = select_token_forward,
                                  .backward = select_token_backward,
                                  .cases = cases};

lf_tensor *lf_select_token(lf_graph *g, lf_tensor *x, int64_t t) {
    return x ? lf_graph_apply(g, &lf_op_select_token, 1, &x, &(attributes){t}, sizeof(attributes)) : NULL;
}

/* The gated activation of Llama's MLP: silu(gate) up, both halves of one tensor. Cheap: made again in backward. */
#include <string.h>

#include "graph/ops.h"

static int64_t channels(const lf_node *n) { return n->out->shape[n->out->ndim - 1]; }
static int64_t rows(const lf_node *n) { return n->in[0]->numel / (2 * channels(n)); }

static lf_status silu_mul_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[0];
    const int64_t width = x->shape[x->ndim - 1];
    if (width % 2 != 0 || width == 0)
        return lf_fail(err, LF_ESHAPE, "silu_mul: last dim is %lld, expected two halves, gate and up",
                       (long long)width);
    n->out->ndim = x->ndim;
    memcpy(n->out->shape, x->shape, sizeof n->out->shape);
    n->out->shape[x->ndim - 1] = width / 2;
    return LF_OK;
}

static void silu_mul_forward(lf_graph *g, lf_node *n) {
    lf_kernels_for(g, n->in[0])->silu_mul(n->out->data, n->in[0]->data, rows(n), channels(n));
}

static void silu_mul_backward(lf_graph *g, lf_node *n) {
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (dx) lf_kernels_for(g, n->in[0])->silu_mul_backward(dx, add, n->out->grad, n->in[0]->data, rows(n), channels(n));
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_silu_mul(g, in[0]); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_silu_mul(g, in[0]), lf_silu_mul(g, in[0]));
}
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *s = lf_add(g, in[0], in[0]), *y = lf_silu_mul(g, s), *z = lf_silu_mul(g, y);
    lf_done(g, y);
    lf_done(g, s);
    return z;
}

static const lf_op_case cases[] = {
    {"plain", 1, {{3, {2, 3, 8}, false}}, build, 1e-7},
    {"one channel", 1, {{2, {4, 2}, false}}, build, 1e-7},
    {"one row, odd", 1, {{2, {1, 10}, false}}, build, 1e-7},
    {"used twice", 1, {{2, {3, 6}, false}}, build_twice, 1e-7},
    {"made again", 1, {{2, {3, 8}, false}}, build_again, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_silu_mul = {.name = "silu_mul",
                              .needs = LF_NEEDS(0),
                              .cheap = true,
                              .shape = silu_mul_shape,
                              .forward = silu_mul_forward,
                              .backward = silu_mul_backward,
                              .cases = cases};

lf_tensor *lf_silu_mul(lf_graph *g, lf_tensor *gate_up) {
    return gate_up ? lf_graph_apply(g, &lf_op_silu_mul, 1, &gate_up, NULL, 0) : NULL;
}

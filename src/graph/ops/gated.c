/* y = f(gate) up, both halves of one tensor, f any of kernels/activations.def. Cheap: made again in backward. */
#include <string.h>

#include "graph/ops.h"

static lf_activation_kind function(const lf_node *n) {
    return *(const lf_activation_kind *)(const void *)n->attributes;
}
static int64_t channels(const lf_node *n) { return n->out->shape[n->out->ndim - 1]; }
static int64_t rows(const lf_node *n) { return n->in[0]->numel / (2 * channels(n)); }

static lf_status gated_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[0];
    const int64_t width = x->shape[x->ndim - 1];
    if (width % 2 != 0 || width == 0)
        return lf_fail(err, LF_ESHAPE, "gated: last dim is %lld, expected two halves, gate and up", (long long)width);
    n->out->ndim = x->ndim;
    memcpy(n->out->shape, x->shape, sizeof n->out->shape);
    n->out->shape[x->ndim - 1] = width / 2;
    return LF_OK;
}

static void gated_forward(lf_graph *g, lf_node *n) {
    lf_kernels_for(g, n->in[0])->gated(n->out->data, n->in[0]->data, rows(n), channels(n), function(n));
}

static void gated_backward(lf_graph *g, lf_node *n) {
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (dx)
        lf_kernels_for(g, n->in[0])
            ->gated_backward(dx, add, n->out->grad, n->in[0]->data, rows(n), channels(n), function(n));
}

#define LF_ACTIVATION(kind, name, names)                                                                               \
    static lf_tensor *build_##name(lf_graph *g, lf_tensor **in) { return lf_gated(g, in[0], kind); }
#include "kernels/activations.def"
#undef LF_ACTIVATION
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_gated(g, in[0], LF_SILU), lf_gated(g, in[0], LF_GELU));
}
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *s = lf_add(g, in[0], in[0]), *y = lf_gated(g, s, LF_SILU), *z = lf_gated(g, y, LF_SILU);
    lf_done(g, y);
    lf_done(g, s);
    return z;
}

static const lf_op_case cases[] = {
#define LF_ACTIVATION(kind, name, names) {#name, 1, {{3, {2, 3, 8}, false}}, build_##name, 1e-7},
#include "kernels/activations.def"
#undef LF_ACTIVATION
    {"one channel", 1, {{2, {4, 2}, false}}, build_silu, 1e-7},
    {"one row, odd", 1, {{2, {1, 10}, false}}, build_silu, 1e-7},
    {"used twice", 1, {{2, {3, 6}, false}}, build_twice, 1e-7},
    {"made again", 1, {{2, {3, 8}, false}}, build_again, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_gated = {.name = "gated",
                           .needs = LF_NEEDS(0),
                           .cheap = true,
                           .shape = gated_shape,
                           .forward = gated_forward,
                           .backward = gated_backward,
                           .cases = cases};

lf_tensor *lf_gated(lf_graph *g, lf_tensor *gate_up, lf_activation_kind f) {
    return gate_up ? lf_graph_apply(g, &lf_op_gated, 1, &gate_up, &f, sizeof f) : NULL;
}

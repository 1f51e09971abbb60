/* y = x w, w a number for each channel: LayerScale (Touvron et al. 2021), which starts a branch small. */
#include "graph/ops.h"

enum { X, W };

static lf_status layer_scale_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[X], *w = n->in[W];
    if (w->numel != x->shape[x->ndim - 1])
        return lf_fail(err, LF_ESHAPE, "layer_scale: %lld channels, %lld scales", (long long)x->shape[x->ndim - 1],
                       (long long)w->numel);
    n->out->ndim = x->ndim;
    for (int i = 0; i < x->ndim; i++) n->out->shape[i] = x->shape[i];
    return LF_OK;
}

static void layer_scale_forward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[X], *w = n->in[W];
    lf_kernels_for(g, x)->scale_columns(n->out->data, false, x->data, w->data, x->numel / w->numel, w->numel);
}

static void layer_scale_backward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[X], *w = n->in[W];
    const lf_kernels *k = lf_kernels_for(g, x);
    const int64_t rows = x->numel / w->numel;
    bool add = true;
    void *dw = lf_grad_out(g, n, W, &add);
    if (dw && !add) lf_graph_kernels(g)->wide->fill(dw, 0, w->numel);
    if (dw) k->column_products(dw, n->out->grad, x->data, rows, w->numel);
    void *dx = lf_grad_out(g, n, X, &add);
    if (dx) k->scale_columns(dx, add, n->out->grad, w->data, rows, w->numel);
}

/* x is read for the gradient of a scale that is trained alone. */
static unsigned layer_scale_needs(const lf_node *n) { return lf_wants_grad(n, W) ? LF_NEEDS(X) : 0; }

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_layer_scale(g, in[0], in[1]); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_layer_scale(g, in[0], in[1]), lf_layer_scale(g, lf_layer_scale(g, in[0], in[1]), in[1]));
}

static const lf_op_case cases[] = {
    {"plain", 2, {{3, {2, 3, 4}, false}, {1, {4}, false}}, build, 1e-9},
    {"scale of a constant", 2, {{2, {5, 3}, true}, {1, {3}, false}}, build, 1e-9},
    {"constant scale", 2, {{2, {5, 3}, false}, {1, {3}, true}}, build, 1e-9},
    {"one channel", 2, {{2, {3, 1}, false}, {1, {1}, false}}, build, 1e-9},
    {"used twice", 2, {{2, {3, 4}, false}, {1, {4}, false}}, build_twice, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_layer_scale = {.name = "layer_scale",
                                 .shape = layer_scale_shape,
                                 .forward = layer_scale_forward,
                                 .backward = layer_scale_backward,
                                 .needs_of = layer_scale_needs,
                                 .cases = cases};

lf_tensor *lf_layer_scale(lf_graph *g, lf_tensor *x, lf_tensor *w) {
    return x ? lf_graph_apply(g, &lf_op_layer_scale, 2, (lf_tensor *[]){x, w}, NULL, 0) : NULL;
}

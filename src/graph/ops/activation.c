/* y = f(x), f any of kernels/activations.def. Cheap: made again in backward instead of kept. */
#include <string.h>

#include "graph/ops.h"

static lf_activation_kind function(const lf_node *n) {
    return *(const lf_activation_kind *)(const void *)n->attributes;
}

static lf_status activation_shape(lf_node *n, lf_err *err) {
    (void)err;
    n->out->ndim = n->in[0]->ndim;
    memcpy(n->out->shape, n->in[0]->shape, sizeof n->out->shape);
    return LF_OK;
}

static void activation_forward(lf_graph *g, lf_node *n) {
    lf_kernels_for(g, n->in[0])->activation(n->out->data, n->in[0]->data, n->out->numel, function(n));
}

static void activation_backward(lf_graph *g, lf_node *n) {
    bool add;
    void *dx = lf_grad_in_place(g, n, 0, &add);
    if (dx)
        lf_kernels_for(g, n->in[0])
            ->activation_backward(dx, add, n->out->grad ? n->out->grad : dx, n->in[0]->data, n->out->numel,
                                  function(n));
}

#define LF_ACTIVATION(kind, name, names)                                                                               \
    static lf_tensor *build_##name(lf_graph *g, lf_tensor **in) { return lf_activation(g, in[0], kind); }
#include "kernels/activations.def"
#undef LF_ACTIVATION
/* Given back after use, so that backward makes the value again; and x gets a second gradient. */
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *s = lf_add(g, in[0], in[0]), *y = lf_activation(g, s, LF_GELU), *z = lf_activation(g, y, LF_GELU_TANH),
              *w = lf_add(g, z, s);
    lf_done(g, y);
    lf_done(g, z);
    lf_done(g, s);
    return w;
}

static const lf_op_case cases[] = {
#define LF_ACTIVATION(kind, name, names) {#name, 1, {{2, {3, 7}, false}}, build_##name, 1e-7},
#include "kernels/activations.def"
#undef LF_ACTIVATION
    {"made again", 1, {{2, {3, 7}, false}}, build_again, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_activation = {.name = "activation",
                                .needs = LF_NEEDS(0),
                                .cheap = true,
                                .shape = activation_shape,
                                .forward = activation_forward,
                                .backward = activation_backward,
                                .cases = cases};

lf_tensor *lf_activation(lf_graph *g, lf_tensor *x, lf_activation_kind f) {
    return x ? lf_graph_apply(g, &lf_op_activation, 1, &x, &f, sizeof f) : NULL;
}

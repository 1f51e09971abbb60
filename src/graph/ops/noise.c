/* y = x + noise, uniform from -size to size. What is added is a function of the op's key, and is not learned from: its
 * gradient goes through as it is. */
#include <string.h>

#include "graph/ops.h"

typedef struct attributes {
    double size;
} attributes;

static lf_status noise_shape(lf_node *n, lf_err *err) {
    (void)err;
    n->out->ndim = n->in[0]->ndim;
    memcpy(n->out->shape, n->in[0]->shape, sizeof n->out->shape);
    return LF_OK;
}

static void noise_forward(lf_graph *g, lf_node *n) {
    const attributes *a = (const void *)n->attributes;
    lf_kernels_for(g, n->in[0])->noise(n->out->data, n->in[0]->data, n->out->numel, a->size, n->key);
}

static void noise_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    bool add;
    void *dx = lf_grad_in_place(g, n, 0, &add);
    if (!dx || !n->out->grad) return; /* handed over */
    if (!add) k->fill(dx, 0, n->out->numel);
    k->axpy(dx, 1, n->out->grad, n->out->numel);
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_noise(g, in[0], 0.3); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_activation(g, lf_noise(g, in[0], 2), LF_GELU), lf_noise(g, in[0], 0.2));
}

static const lf_op_case cases[] = {
    {"0.3", 1, {{2, {5, 7}, false}}, build, 1e-9},
    {"two of one input", 1, {{3, {2, 3, 5}, false}}, build_twice, 1e-6},
    {.name = NULL},
};

const lf_op lf_op_noise = {.name = "noise",
                           .cheap = true,
                           .shape = noise_shape,
                           .forward = noise_forward,
                           .backward = noise_backward,
                           .cases = cases};

lf_tensor *lf_noise(lf_graph *g, lf_tensor *x, double size) {
    if (!x || !(size > 0) || !lf_graph_training(g)) return x;
    lf_graph_draws(g);
    lf_tensor *y = lf_graph_apply(g, &lf_op_noise, 1, &x, &(attributes){size}, sizeof(attributes));
    lf_done(g, x);
    return y;
}

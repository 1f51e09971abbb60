/* y = alpha x: what some families multiply their embeddings and branches by. Cheap: made again in backward, which reads
 * no value. */
#include <string.h>

#include "graph/ops.h"

typedef struct attributes {
    double by;
} attributes;

static lf_status scale_shape(lf_node *n, lf_err *err) {
    (void)err;
    n->out->ndim = n->in[0]->ndim;
    memcpy(n->out->shape, n->in[0]->shape, sizeof n->out->shape);
    return LF_OK;
}

static void multiply(lf_graph *g, const lf_node *n, void *y, bool add, const void *x) {
    const attributes *a = (const void *)n->attributes;
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    if (!add) k->fill(y, 0, n->out->numel);
    k->axpy(y, a->by, x, n->out->numel);
}

static void scale_forward(lf_graph *g, lf_node *n) { multiply(g, n, n->out->data, false, n->in[0]->data); }

static void scale_backward(lf_graph *g, lf_node *n) {
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (dx) multiply(g, n, dx, add, n->out->grad);
}

extern const lf_op lf_op_scale;
static lf_tensor *apply(lf_graph *g, lf_tensor *x, double by) {
    return lf_graph_apply(g, &lf_op_scale, 1, &x, &(attributes){by}, sizeof(attributes));
}
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return apply(g, in[0], -1.75); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, apply(g, in[0], 3), lf_add(g, in[0], apply(g, in[0], 0.25)));
}
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *y = apply(g, in[0], 0.5), *z = lf_activation(g, y, LF_GELU);
    lf_done(g, y);
    return z;
}

static const lf_op_case cases[] = {
    {"plain", 1, {{2, {5, 7}, false}}, build, 1e-9},
    {"one number", 1, {{1, {1}, false}}, build, 1e-9},
    {"used again", 1, {{3, {2, 1, 3}, false}}, build_twice, 1e-9},
    {"made again", 1, {{2, {3, 4}, false}}, build_again, 1e-6},
    {.name = NULL},
};

const lf_op lf_op_scale = {.name = "scale",
                           .cheap = true,
                           .shape = scale_shape,
                           .forward = scale_forward,
                           .backward = scale_backward,
                           .cases = cases};

lf_tensor *lf_scale(lf_graph *g, lf_tensor *x, double by) {
    if (!x || by == 1) return x;
    lf_tensor *y = apply(g, x, by);
    lf_done(g, x);
    return y;
}

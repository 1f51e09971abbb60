/* Gaussian error linear unit, exact (erf) or in the tanh form. Cheap: made again in backward instead of kept. */
#include <string.h>

#include "graph/ops.h"

static lf_status gelu_shape(lf_node *n, lf_err *err) {
    (void)err;
    n->out->ndim = n->in[0]->ndim;
    memcpy(n->out->shape, n->in[0]->shape, sizeof n->out->shape);
    return LF_OK;
}

static void gelu_forward(lf_graph *g, lf_node *n) {
    lf_kernels_for(g, n->in[0])->gelu(n->out->data, n->in[0]->data, n->out->numel, n->attributes[0] != 0);
}

static void gelu_backward(lf_graph *g, lf_node *n) {
    bool add;
    void *dx = lf_grad_in_place(g, n, 0, &add);
    if (dx)
        lf_kernels_for(g, n->in[0])
            ->gelu_backward(dx, add, n->out->grad ? n->out->grad : dx, n->in[0]->data, n->out->numel,
                            n->attributes[0] != 0);
}

static lf_tensor *build_erf(lf_graph *g, lf_tensor **in) { return lf_gelu(g, in[0], false); }
static lf_tensor *build_tanh(lf_graph *g, lf_tensor **in) { return lf_gelu(g, in[0], true); }
/* Given back after use, so that backward makes the value again; and x gets a second gradient. */
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *s = lf_add(g, in[0], in[0]), *y = lf_gelu(g, s, false), *z = lf_gelu(g, y, true), *w = lf_add(g, z, s);
    lf_done(g, y);
    lf_done(g, z);
    lf_done(g, s);
    return w;
}

static const lf_op_case cases[] = {
    {"erf", 1, {{2, {3, 7}, false}}, build_erf, 1e-7},
    {"tanh", 1, {{2, {3, 7}, false}}, build_tanh, 1e-7},
    {"made again", 1, {{2, {3, 7}, false}}, build_again, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_gelu = {.name = "gelu",
                          .needs = LF_NEEDS(0),
                          .cheap = true,
                          .shape = gelu_shape,
                          .forward = gelu_forward,
                          .backward = gelu_backward,
                          .cases = cases};

lf_tensor *lf_gelu(lf_graph *g, lf_tensor *x, bool tanh_form) {
    return x ? lf_graph_apply(g, &lf_op_gelu, 1, &x, &tanh_form, sizeof tanh_form) : NULL;
}

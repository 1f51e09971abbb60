/* Stochastic depth (Huang et al. 2016): a branch is left out for a whole example with chance p, and what is kept is
 * divided by 1 - p. The choice is a function of the op's key, so it is never kept. */
#include <string.h>

#include "graph/ops.h"

typedef struct attributes {
    double p;
} attributes;

static lf_status drop_path_shape(lf_node *n, lf_err *err) {
    (void)err;
    n->out->ndim = n->in[0]->ndim;
    memcpy(n->out->shape, n->in[0]->shape, sizeof n->out->shape);
    return LF_OK;
}

static bool is_kept(const lf_node *n, double p, int64_t example) {
    return (double)lf_rng_u32(n->key, (uint64_t)example) >= p * 0x1p32;
}

/* y += keep / (1 - p) x, example by example */
static void add_kept(lf_graph *g, const lf_node *n, void *y, const void *x) {
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    const double p = ((const attributes *)(const void *)n->attributes)->p;
    const int64_t B = n->in[0]->shape[0], each = n->in[0]->numel / B;
    const size_t stride = (size_t)each * lf_dtype_size(n->in[0]->dtype);
    for (int64_t b = 0; b < B; b++)
        if (is_kept(n, p, b))
            k->axpy((char *)y + (size_t)b * stride, 1 / (1 - p), (const char *)x + (size_t)b * stride, each);
}

static void drop_path_forward(lf_graph *g, lf_node *n) {
    lf_kernels_for(g, n->in[0])->fill(n->out->data, 0, n->out->numel);
    add_kept(g, n, n->out->data, n->in[0]->data);
}

static void drop_path_backward(lf_graph *g, lf_node *n) {
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (!dx) return;
    if (!add) lf_kernels_for(g, n->in[0])->fill(dx, 0, n->in[0]->numel);
    add_kept(g, n, dx, n->out->grad);
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_drop_path(g, in[0], 0.4); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    lf_tensor *made = lf_drop_path(g, lf_add(g, in[0], in[0]), 0.5);
    return lf_add(g, made, lf_drop_path(g, in[0], 0.2));
}

static const lf_op_case cases[] = {
    {"0.4", 1, {{3, {9, 2, 3}, false}}, build, 1e-9},
    {"two choices", 1, {{2, {8, 3}, false}}, build_twice, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_drop_path = {.name = "drop_path",
                               .shape = drop_path_shape,
                               .forward = drop_path_forward,
                               .backward = drop_path_backward,
                               .cases = cases};

lf_tensor *lf_drop_path(lf_graph *g, lf_tensor *x, double p) {
    if (!x || !(p > 0) || !lf_graph_training(g)) return x;
    lf_graph_draws(g);
    lf_tensor *y = lf_graph_apply(g, &lf_op_drop_path, 1, &x, &(attributes){p}, sizeof(attributes));
    lf_done(g, x);
    return y;
}

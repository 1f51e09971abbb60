/* RMS norm over the last dimension. Cheap: rstd is kept, the output is made again in backward. */
#include <string.h>

#include "graph/ops.h"

typedef struct attributes {
    double epsilon;
} attributes;
enum { X, W }; /* inputs */
enum { RSTD }; /* slot of saved */

static int64_t channels(const lf_node *n) { return n->in[W]->numel; }
static int64_t rows(const lf_node *n) { return n->in[X]->numel / channels(n); }

static lf_status rmsnorm_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[X];
    if (channels(n) != x->shape[x->ndim - 1])
        return lf_fail(err, LF_ESHAPE, "rmsnorm: last dim is %lld, weight has %lld", (long long)x->shape[x->ndim - 1],
                       (long long)channels(n));
    n->out->ndim = x->ndim;
    memcpy(n->out->shape, x->shape, sizeof n->out->shape);
    return LF_OK;
}

static void rmsnorm_forward(lf_graph *g, lf_node *n) {
    const attributes *a = (const void *)n->attributes;
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    void *rstd = lf_save(g, n, RSTD, k->dtype, rows(n));
    if (rstd)
        k->rmsnorm(n->out->data, rstd, n->in[X]->data, n->in[W]->data, rows(n), 1, channels(n), channels(n),
                   a->epsilon);
}

static void rmsnorm_backward(lf_graph *g, lf_node *n) {
    bool add = false, ignored;
    void *dx = lf_grad_out(g, n, X, &add), *dw = lf_grad_out(g, n, W, &ignored);
    lf_kernels_for(g, n->in[X])
        ->rmsnorm_backward(dx, add, dw, n->out->grad, n->in[X]->data, n->saved[RSTD], n->in[W]->data, rows(n), 1,
                           channels(n), channels(n));
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_rmsnorm(g, in[0], in[1], 1e-5); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_rmsnorm(g, lf_rmsnorm(g, in[0], in[1], 1e-5), in[1], 0.5);
}
/* Of one channel the output is its sign, but for epsilon, and too steep near 0 for finite differences unless that is
 * large. */
static lf_tensor *build_soft(lf_graph *g, lf_tensor **in) { return lf_rmsnorm(g, in[0], in[1], 0.5); }
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *y = lf_rmsnorm(g, in[0], in[1], 1e-5), *z = lf_activation(g, y, LF_GELU);
    lf_done(g, y);
    return lf_add(g, z, in[0]);
}

static const lf_op_case cases[] = {
    {"plain", 2, {{3, {2, 3, 6}, false}, {1, {6}, false}}, build, 1e-7},
    {"one row, odd", 2, {{2, {1, 5}, false}, {1, {5}, false}}, build, 1e-7},
    {"one channel", 2, {{2, {4, 1}, false}, {1, {1}, false}}, build_soft, 1e-7},
    {"frozen norm", 2, {{2, {4, 6}, false}, {1, {6}, true}}, build, 1e-7},
    {"weight only", 2, {{2, {4, 6}, true}, {1, {6}, false}}, build, 1e-7},
    {"weight used twice", 2, {{2, {3, 5}, false}, {1, {5}, false}}, build_twice, 1e-7},
    {"made again", 2, {{2, {4, 6}, false}, {1, {6}, false}}, build_again, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_rmsnorm = {.name = "rmsnorm",
                             .needs = LF_NEEDS(X),
                             .cheap = true,
                             .shape = rmsnorm_shape,
                             .forward = rmsnorm_forward,
                             .backward = rmsnorm_backward,
                             .cases = cases};

lf_tensor *lf_rmsnorm(lf_graph *g, lf_tensor *x, lf_tensor *w, double epsilon) {
    return x ? lf_graph_apply(g, &lf_op_rmsnorm, 2, (lf_tensor *[]){x, w}, &(attributes){epsilon}, sizeof(attributes))
             : NULL;
}

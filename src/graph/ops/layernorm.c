/* Layer norm over the last dimension. Cheap: mean and rstd are kept, the output is made again in backward. */
#include <string.h>

#include "graph/ops.h"

typedef struct attributes {
    double epsilon;
} attributes;
enum { MEAN, RSTD }; /* slots of saved */

static lf_status layernorm_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[0];
    const int64_t C = x->shape[x->ndim - 1];
    if (n->in[1]->numel != C || n->in[2]->numel != C)
        return lf_fail(err, LF_ESHAPE, "layernorm: last dim is %lld, weight has %lld, bias %lld", (long long)C,
                       (long long)n->in[1]->numel, (long long)n->in[2]->numel);
    n->out->ndim = x->ndim;
    memcpy(n->out->shape, x->shape, sizeof n->out->shape);
    return LF_OK;
}

static int64_t channels(const lf_node *n) { return n->in[1]->numel; }
static int64_t rows(const lf_node *n) { return n->in[0]->numel / channels(n); }

static void layernorm_forward(lf_graph *g, lf_node *n) {
    const attributes *a = (const void *)n->attributes;
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    void *mean = lf_save(g, n, MEAN, k->dtype, rows(n)), *rstd = lf_save(g, n, RSTD, k->dtype, rows(n));
    if (rstd && mean)
        k->layernorm(n->out->data, mean, rstd, n->in[0]->data, n->in[1]->data, n->in[2]->data, rows(n), channels(n),
                     a->epsilon);
}

static void layernorm_backward(lf_graph *g, lf_node *n) {
    bool add = false, ignored;
    void *dx = lf_grad_out(g, n, 0, &add), *dw = lf_grad_out(g, n, 1, &ignored), *db = lf_grad_out(g, n, 2, &ignored);
    lf_kernels_for(g, n->in[0])
        ->layernorm_backward(dx, add, dw, db, n->out->grad, n->in[0]->data, n->saved[MEAN], n->saved[RSTD],
                             n->in[1]->data, rows(n), channels(n));
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_layernorm(g, in[0], in[1], in[2], 1e-6); }
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *y = lf_layernorm(g, in[0], in[1], in[2], 1e-6), *z = lf_activation(g, y, LF_GELU);
    lf_done(g, y);
    return lf_add(g, z, in[0]);
}

static const lf_op_case cases[] = {
    {"plain", 3, {{3, {2, 3, 6}, false}, {1, {6}, false}, {1, {6}, false}}, build, 1e-7},
    {"one row", 3, {{2, {1, 5}, false}, {1, {5}, false}, {1, {5}, false}}, build, 1e-7},
    {"one channel", 3, {{2, {4, 1}, false}, {1, {1}, false}, {1, {1}, false}}, build, 1e-7},
    {"frozen norm", 3, {{2, {4, 6}, false}, {1, {6}, true}, {1, {6}, true}}, build, 1e-7},
    {"made again", 3, {{2, {4, 6}, false}, {1, {6}, false}, {1, {6}, false}}, build_again, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_layernorm = {.name = "layernorm",
                               .needs = LF_NEEDS(0),
                               .cheap = true,
                               .shape = layernorm_shape,
                               .forward = layernorm_forward,
                               .backward = layernorm_backward,
                               .cases = cases};

lf_tensor *lf_layernorm(lf_graph *g, lf_tensor *x, lf_tensor *w, lf_tensor *b, double epsilon) {
    return x ? lf_graph_apply(g, &lf_op_layernorm, 3, (lf_tensor *[]){x, w, b}, &(attributes){epsilon},
                              sizeof(attributes))
             : NULL;
}

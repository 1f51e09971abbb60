/* y = M x, M a constant: each row of y is a mixture of rows of x. Position embeddings of one grid for another. */
#include "graph/ops.h"

enum { X, MATRIX };

static lf_status mix_rows_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[X], *m = n->in[MATRIX];
    const int64_t C = x->shape[x->ndim - 1];
    if (m->ndim != 2 || m->shape[1] * C != x->numel || m->dtype != x->dtype || m->requires_grad)
        return lf_fail(err, LF_ESHAPE, "mix_rows: %lld rows of %lld, a matrix for %lld (%s)", (long long)(x->numel / C),
                       (long long)C, (long long)m->shape[1], lf_dtype_name(m->dtype));
    n->out->ndim = 2;
    n->out->shape[0] = m->shape[0];
    n->out->shape[1] = C;
    return LF_OK;
}

static void no_memory(lf_graph *g) { lf_no_memory(lf_graph_failure(g), "mix_rows"); }

static void mix_rows_forward(lf_graph *g, lf_node *n) {
    const lf_tensor *m = n->in[MATRIX];
    const int64_t C = n->out->shape[1], to = m->shape[0], from = m->shape[1];
    if (!lf_kernels_for(g, n->in[X])
             ->gemm(false, false, to, C, from, m->data, from, n->in[X]->data, C, false, n->out->data, C))
        no_memory(g);
}

static void mix_rows_backward(lf_graph *g, lf_node *n) {
    const lf_tensor *m = n->in[MATRIX];
    const int64_t C = n->out->shape[1], to = m->shape[0], from = m->shape[1];
    bool add;
    void *dx = lf_grad_out(g, n, X, &add);
    if (dx && !lf_kernels_for(g, n->in[X])->gemm(true, false, from, C, to, m->data, from, n->out->grad, C, add, dx, C))
        no_memory(g);
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_mix_rows(g, in[0], in[1]); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_mix_rows(g, in[0], in[1]), lf_mix_rows(g, in[0], in[1]));
}

static const lf_op_case cases[] = {
    {"to more rows", 2, {{2, {3, 4}, false}, {2, {5, 3}, true}}, build, 1e-9},
    {"to fewer", 2, {{3, {1, 5, 4}, false}, {2, {2, 5}, true}}, build, 1e-9},
    {"used twice", 2, {{2, {3, 2}, false}, {2, {2, 3}, true}}, build_twice, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_mix_rows = {.name = "mix_rows",
                              .shape = mix_rows_shape,
                              .forward = mix_rows_forward,
                              .backward = mix_rows_backward,
                              .cases = cases};

lf_tensor *lf_mix_rows(lf_graph *g, lf_tensor *x, lf_tensor *matrix) {
    return x ? lf_graph_apply(g, &lf_op_mix_rows, 2, (lf_tensor *[]){x, matrix}, NULL, 0) : NULL;
}

/* y = a + b: the residual connection. */
#include "graph/ops.h"

static lf_status add_shape(lf_node *n, lf_err *err) {
    const lf_tensor *a = n->in[0], *b = n->in[1];
    bool same = a->ndim == b->ndim;
    for (int i = 0; same && i < a->ndim; i++) same = a->shape[i] == b->shape[i];
    if (!same)
        return lf_fail(err, LF_ESHAPE, "add: %lld numbers in %d dims against %lld in %d", (long long)a->numel, a->ndim,
                       (long long)b->numel, b->ndim);
    n->out->ndim = a->ndim;
    for (int i = 0; i < a->ndim; i++) n->out->shape[i] = a->shape[i];
    return LF_OK;
}

static void add_forward(lf_graph *g, lf_node *n) {
    lf_kernels_for(g, n->in[0])->add(n->out->data, n->in[0]->data, n->in[1]->data, n->out->numel);
}

/* dy flows to both sides. The first that has no gradient yet takes the buffer over; only the other one costs a pass. */
static void add_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    void *dy = n->out->grad;
    int heir = -1;
    for (int i = 0; i < 2 && heir < 0; i++)
        if (lf_wants_grad(n, i) && !n->in[i]->grad) heir = i;
    for (int i = 0; i < 2; i++) {
        if (i == heir && n->in[0] != n->in[1]) continue;
        bool add = false;
        void *d = lf_grad_out(g, n, i, &add);
        if (!d) continue;
        if (!add) k->fill(d, 0, n->out->numel);
        k->axpy(d, 1, dy, n->out->numel);
    }
    if (heir >= 0 && n->in[0] != n->in[1]) {
        n->in[heir]->grad = dy;
        n->out->grad = NULL;
    }
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_add(g, in[0], in[1]); }
/* The sum is used twice, so that gradients are added to and handed over. */
static lf_tensor *build_diamond(lf_graph *g, lf_tensor **in) {
    lf_tensor *s = lf_add(g, in[0], in[1]);
    return lf_add(g, lf_add(g, s, s), lf_add(g, s, in[0]));
}

static const lf_op_case cases[] = {
    {"plain", 2, {{2, {3, 5}, false}, {2, {3, 5}, false}}, build, 1e-9},
    {"diamond", 2, {{3, {2, 1, 3}, false}, {3, {2, 1, 3}, false}}, build_diamond, 1e-9},
    {"one side constant", 2, {{1, {7}, false}, {1, {7}, true}}, build, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_add = {
    .name = "add", .shape = add_shape, .forward = add_forward, .backward = add_backward, .cases = cases};

lf_tensor *lf_add(lf_graph *g, lf_tensor *a, lf_tensor *b) {
    return a && b ? lf_graph_apply(g, &lf_op_add, 2, (lf_tensor *[]){a, b}, NULL, 0) : NULL;
}

/* Rows side by side: [R, C1], [R, C2], ... -> [R, C1 + C2 + ...], where a tensor of more dims is seen as [the first,
 * all the rest]. Of a picture its class token and the mean of its patches; with R = 1, rows one below the other. */
#include "graph/ops.h"

static int64_t width_of(const lf_tensor *t) { return t->numel / t->shape[0]; }

static lf_status concat_shape(lf_node *n, lf_err *err) {
    int64_t width = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i]->shape[0] != n->in[0]->shape[0] || n->in[i]->dtype != n->in[0]->dtype)
            return lf_fail(err, LF_ESHAPE, "concat: %lld rows (%s) beside %lld (%s)", (long long)n->in[i]->shape[0],
                           lf_dtype_name(n->in[i]->dtype), (long long)n->in[0]->shape[0],
                           lf_dtype_name(n->in[0]->dtype));
        width += width_of(n->in[i]);
    }
    n->out->ndim = 2;
    n->out->shape[0] = n->in[0]->shape[0];
    n->out->shape[1] = width;
    return LF_OK;
}

static void concat_forward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    const int64_t rows = n->out->shape[0], width = n->out->shape[1];
    char *at = n->out->data;
    for (int i = 0; i < n->n_in; i++) {
        const int64_t part = width_of(n->in[i]);
        k->copy_block(at, width, false, n->in[i]->data, part, rows, part);
        at += (size_t)part * lf_dtype_size(n->out->dtype);
    }
}

static void concat_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    const int64_t rows = n->out->shape[0], width = n->out->shape[1];
    const char *at = n->out->grad;
    for (int i = 0; i < n->n_in; i++) {
        const int64_t part = width_of(n->in[i]);
        bool add;
        void *d = lf_grad_out(g, n, i, &add);
        if (d) k->copy_block(d, part, add, at, width, rows, part);
        at += (size_t)part * lf_dtype_size(n->out->dtype);
    }
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_concat(g, in, 2); }
static lf_tensor *build_three(lf_graph *g, lf_tensor **in) {
    return lf_concat(g, (lf_tensor *[]){in[0], in[1], in[0]}, 3);
}

static const lf_op_case cases[] = {
    {"side by side", 2, {{2, {3, 2}, false}, {2, {3, 4}, false}}, build, 1e-9},
    {"one below the other", 2, {{3, {1, 1, 4}, false}, {3, {1, 3, 4}, false}}, build, 1e-9},
    {"the same twice", 2, {{2, {3, 2}, false}, {2, {3, 1}, false}}, build_three, 1e-9},
    {"one constant", 2, {{2, {2, 3}, true}, {2, {2, 3}, false}}, build, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_concat = {
    .name = "concat", .shape = concat_shape, .forward = concat_forward, .backward = concat_backward, .cases = cases};

lf_tensor *lf_concat(lf_graph *g, lf_tensor *const *parts, int n) {
    for (int i = 0; i < n; i++)
        if (!parts[i]) return NULL;
    return lf_graph_apply(g, &lf_op_concat, n, parts, NULL, 0);
}

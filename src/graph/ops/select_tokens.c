/* One token of each sequence, of each its own: the last one of a text, before the head of a causal classifier. */
#include "graph/ops.h"

typedef struct attributes {
    const int32_t *columns; /* [B] */
} attributes;

static const int32_t *columns_of(const lf_node *n) {
    return ((const attributes *)(const void *)n->attributes)->columns;
}

static lf_status select_tokens_shape(lf_node *n, lf_err *err) {
    const int32_t *columns = columns_of(n);
    const lf_tensor *x = n->in[0];
    if (x->ndim != 3) return lf_fail(err, LF_ESHAPE, "select_tokens: %d dims, expected [B, T, C]", x->ndim);
    for (int64_t b = 0; b < x->shape[0]; b++)
        if (columns[b] < 0 || columns[b] >= x->shape[1])
            return lf_fail(err, LF_ESHAPE, "select_tokens: token %d of row %lld, which has %lld", columns[b],
                           (long long)b, (long long)x->shape[1]);
    n->out->ndim = 2;
    n->out->shape[0] = x->shape[0];
    n->out->shape[1] = x->shape[2];
    return LF_OK;
}

static void select_tokens_forward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    lf_kernels_for(g, x)->select_tokens(n->out->data, x->data, columns_of(n), x->shape[0], x->shape[1], x->shape[2]);
}

static void select_tokens_backward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (dx)
        lf_kernels_for(g, x)->select_tokens_backward(dx, add, n->out->grad, columns_of(n), x->shape[0], x->shape[1],
                                                     x->shape[2]);
}

static const int32_t last[] = {2, 0}, middle[] = {1, 1};
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_select_tokens(g, in[0], last); }
static lf_tensor *build_two(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_select_tokens(g, in[0], last), lf_select_tokens(g, in[0], middle));
}

static const lf_op_case cases[] = {
    {"of each row its own", 1, {{3, {2, 3, 4}, false}}, build, 1e-9},
    {"two of them", 1, {{3, {2, 3, 4}, false}}, build_two, 1e-9},
    {"one channel", 1, {{3, {2, 3, 1}, false}}, build, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_select_tokens = {.name = "select_tokens",
                                   .shape = select_tokens_shape,
                                   .forward = select_tokens_forward,
                                   .backward = select_tokens_backward,
                                   .cases = cases};

lf_tensor *lf_select_tokens(lf_graph *g, lf_tensor *x, const int32_t *columns) {
    return x ? lf_graph_apply(g, &lf_op_select_tokens, 1, &x, &(attributes){columns}, sizeof(attributes)) : NULL;
}

/* The mean of each sequence's tokens: what an encoder says of a text, or of a picture by its patches. */
#include "graph/ops.h"

typedef struct attributes {
    int64_t first;
    const int32_t *lengths; /* [B], or NULL: T */
} attributes;

static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }

static lf_status mean_tokens_shape(lf_node *n, lf_err *err) {
    const attributes *a = attributes_of(n);
    const lf_tensor *x = n->in[0];
    if (x->ndim != 3) return lf_fail(err, LF_ESHAPE, "mean_tokens: %d dims, expected [B, T, C]", x->ndim);
    for (int64_t b = 0; b < x->shape[0]; b++) {
        const int64_t end = a->lengths ? a->lengths[b] : x->shape[1];
        if (a->first < 0 || end <= a->first || end > x->shape[1])
            return lf_fail(err, LF_ESHAPE, "mean_tokens: tokens %lld .. %lld of row %lld, which has %lld",
                           (long long)a->first, (long long)end - 1, (long long)b, (long long)x->shape[1]);
    }
    n->out->ndim = 2;
    n->out->shape[0] = x->shape[0];
    n->out->shape[1] = x->shape[2];
    return LF_OK;
}

static void mean_tokens_forward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_tensor *x = n->in[0];
    lf_kernels_for(g, x)->mean_tokens(n->out->data, x->data, a->first, a->lengths, x->shape[0], x->shape[1],
                                      x->shape[2]);
}

static void mean_tokens_backward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_tensor *x = n->in[0];
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (dx)
        lf_kernels_for(g, x)->mean_tokens_backward(dx, add, n->out->grad, a->first, a->lengths, x->shape[0],
                                                   x->shape[1], x->shape[2]);
}

static const int32_t lengths[] = {4, 2};
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_mean_tokens(g, in[0], 0, lengths); }
static lf_tensor *build_patches(lf_graph *g, lf_tensor **in) { return lf_mean_tokens(g, in[0], 1, NULL); }
static lf_tensor *build_two(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_mean_tokens(g, in[0], 1, lengths), lf_mean_tokens(g, in[0], 0, NULL));
}

static const lf_op_case cases[] = {
    {"lengths", 1, {{3, {2, 4, 3}, false}}, build, 1e-9},
    {"all but the first", 1, {{3, {2, 4, 3}, false}}, build_patches, 1e-9},
    {"two of them", 1, {{3, {2, 4, 3}, false}}, build_two, 1e-9},
    {"one channel", 1, {{3, {2, 4, 1}, false}}, build, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_mean_tokens = {.name = "mean_tokens",
                                 .shape = mean_tokens_shape,
                                 .forward = mean_tokens_forward,
                                 .backward = mean_tokens_backward,
                                 .cases = cases};

lf_tensor *lf_mean_tokens(lf_graph *g, lf_tensor *x, int64_t first, const int32_t *row_lengths) {
    const attributes a = {first, row_lengths};
    return x ? lf_graph_apply(g, &lf_op_mean_tokens, 1, &x, &a, sizeof a) : NULL;
}

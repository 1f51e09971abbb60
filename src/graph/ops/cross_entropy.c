/* Softmax cross-entropy with label smoothing and weights of classes; the probabilities are never kept, only the
 * log-sum-exp of each row. */
#include "graph/ops.h"

typedef struct attributes {
    const int32_t *labels;
    const float *weights;
    double normalizer, smoothing;
} attributes;
enum { LSE };

static lf_status cross_entropy_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[0];
    const attributes *a = (const void *)n->attributes;
    if (x->dtype == LF_BF16)
        return lf_fail(err, LF_ESHAPE,
                       "cross_entropy: logits in bf16; a loss wants them in full precision (lf_to_real)");
    if (x->ndim != 2)
        return lf_fail(err, LF_ESHAPE, "cross_entropy: logits have %d dims, expected [rows, classes]", x->ndim);
    for (int64_t i = 0; i < x->shape[0]; i++)
        if (a->labels[i] >= x->shape[1])
            return lf_fail(err, LF_ESHAPE, "cross_entropy: label %d of row %lld, but there are %lld classes",
                           a->labels[i], (long long)i, (long long)x->shape[1]);
    n->out->ndim = 1;
    n->out->shape[0] = 1;
    return LF_OK;
}

static void cross_entropy_forward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    const attributes *a = (const void *)n->attributes;
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    void *lse = lf_save(g, n, LSE, k->dtype, x->shape[0]);
    if (lse)
        k->fill(n->out->data,
                k->cross_entropy(lse, x->data, a->labels, a->weights, x->shape[0], x->shape[1], a->smoothing) /
                    a->normalizer,
                1);
}

static void cross_entropy_backward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    const attributes *a = (const void *)n->attributes;
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (!dx) return;
    const double dloss = lf_dloss(n);
    k->cross_entropy_backward(dx, add, dloss / a->normalizer, n->saved[LSE], x->data, a->labels, a->weights,
                              x->shape[0], x->shape[1], a->smoothing);
}

static const int32_t labels[] = {2, 0, -100, 4};
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_cross_entropy(g, in[0], labels, 3, 0); }
static lf_tensor *build_smooth(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_cross_entropy(g, in[0], labels, 3, 0.1), lf_cross_entropy(g, in[0], labels, 7, 0));
}

static const float weights[] = {0.5f, 2, 1, 0, 3};
static lf_tensor *build_weighted(lf_graph *g, lf_tensor **in) {
    return lf_weighted_cross_entropy(g, in[0], labels, weights, 3, 0);
}
static lf_tensor *build_weighted_smooth(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_weighted_cross_entropy(g, in[0], labels, weights, 3, 0.2),
                  lf_weighted_cross_entropy(g, in[0], labels, weights, 5, 0.1));
}

static const lf_op_case cases[] = {
    {"one row ignored", 1, {{2, {4, 5}, false}}, build, 1e-7},
    {"smoothing, two losses", 1, {{2, {4, 5}, false}}, build_smooth, 1e-7},
    {"weights of classes", 1, {{2, {4, 5}, false}}, build_weighted, 1e-7},
    {"weights and smoothing, two losses", 1, {{2, {4, 5}, false}}, build_weighted_smooth, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_cross_entropy = {.name = "cross_entropy",
                                   .needs = LF_NEEDS(0),
                                   .shape = cross_entropy_shape,
                                   .forward = cross_entropy_forward,
                                   .backward = cross_entropy_backward,
                                   .cases = cases};

lf_tensor *lf_weighted_cross_entropy(lf_graph *g, lf_tensor *logits, const int32_t *row_labels,
                                     const float *class_weights, double normalizer, double smoothing) {
    const attributes a = {row_labels, class_weights, normalizer, smoothing};
    return logits ? lf_graph_apply(g, &lf_op_cross_entropy, 1, &logits, &a, sizeof a) : NULL;
}

lf_tensor *lf_cross_entropy(lf_graph *g, lf_tensor *logits, const int32_t *row_labels, double normalizer,
                            double smoothing) {
    return lf_weighted_cross_entropy(g, logits, row_labels, NULL, normalizer, smoothing);
}

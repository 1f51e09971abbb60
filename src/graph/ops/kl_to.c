/* sum over rows of KL(q || p), p = softmax(logits), q = softmax(base), a constant: sum_v q_v log(q_v / p_v). Its slope
 * is p - q. Zero, slope too, where the logits are the base's. With `without` both softmaxes are of a row's other logits
 * (arXiv 2605.29498), and the slope at the one that is taken out is zero. */
#include "graph/ops.h"

typedef struct attributes {
    const float *base;
    const int32_t *without;
    double normalizer;
} attributes;
enum { BASE };

static lf_status kl_to_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[0];
    if (x->dtype == LF_BF16)
        return lf_fail(err, LF_ESHAPE, "kl_to: logits in bf16; a loss wants them in full precision (lf_to_real)");
    if (x->ndim != 2) return lf_fail(err, LF_ESHAPE, "kl_to: logits have %d dims, expected [rows, classes]", x->ndim);
    const int32_t *without = ((const attributes *)(const void *)n->attributes)->without;
    for (int64_t i = 0; without && i < x->shape[0]; i++)
        if (without[i] >= x->shape[1])
            return lf_fail(err, LF_ESHAPE, "kl_to: entry %d of row %lld is to be taken out, but there are %lld",
                           without[i], (long long)i, (long long)x->shape[1]);
    n->out->ndim = 1;
    n->out->shape[0] = 1;
    return LF_OK;
}

static void kl_to_forward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    const attributes *a = (const void *)n->attributes;
    const lf_kernels *k = lf_kernels_for(g, x);
    const int64_t rows = x->shape[0];
    void *base = lf_save(g, n, BASE, k->dtype, x->numel);
    double *found = lf_graph_take(g, LF_F64, 2 * rows), sum = 0; /* of each row ce, then kl */
    if (base && found) {
        k->from_f32(base, a->base, x->numel);
        k->lm_compare(found, found + rows, x->data, base, a->without, rows, x->shape[1]);
        for (int64_t i = 0; i < rows; i++) sum += found[rows + i];
        k->fill(n->out->data, sum / a->normalizer, 1);
    }
    lf_graph_give(g, found);
}

static void kl_to_backward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    const attributes *a = (const void *)n->attributes;
    const lf_kernels *k = lf_kernels_for(g, x);
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (!dx) return;
    const double dloss = lf_dloss(n);
    k->lm_compare_backward(dx, add, dloss / a->normalizer, x->data, n->saved[BASE], a->without, x->shape[0],
                           x->shape[1]);
}

/* One row sure of its class, one that is of none, one with a class that is impossible to the base. */
static const float of_base[] = {4, -2, 0.5f, 0, 0.25f, 0.25f, 0.25f, 0.25f, -1, 1.5f, -1e9f, 0.75f};
static const int32_t taken_out[] = {0, -1, 3}; /* what the base is sure of, none, the last */
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_kl_to(g, in[0], of_base, NULL, 3); }
static lf_tensor *build_two(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_kl_to(g, in[0], of_base, NULL, 3), lf_kl_to(g, in[0], of_base + 4, NULL, 0.5));
}
static lf_tensor *build_without(lf_graph *g, lf_tensor **in) { return lf_kl_to(g, in[0], of_base, taken_out, 3); }
static lf_tensor *build_without_first(lf_graph *g, lf_tensor **in) {
    static const int32_t first[] = {0, 0, 0};
    return lf_kl_to(g, in[0], of_base, first, 3);
}
static lf_tensor *build_with_and_without(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_kl_to(g, in[0], of_base, NULL, 3), lf_kl_to(g, in[0], of_base, taken_out, 0.5));
}

static const lf_op_case cases[] = {
    {"three rows", 1, {{2, {3, 4}, false}}, build, 1e-7},
    {"two terms", 1, {{2, {2, 4}, false}}, build_two, 1e-7},
    {"one row", 1, {{2, {1, 12}, false}}, build, 1e-7},
    {"without the target", 1, {{2, {3, 4}, false}}, build_without, 1e-7},
    {"with and without it", 1, {{2, {3, 4}, false}}, build_with_and_without, 1e-7},
    {"without it, two classes", 1, {{2, {3, 2}, false}}, build_without_first, 1e-7},
    {"nothing is left", 1, {{2, {2, 1}, false}}, build_without_first, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_kl_to = {.name = "kl_to",
                           .needs = LF_NEEDS(0),
                           .shape = kl_to_shape,
                           .forward = kl_to_forward,
                           .backward = kl_to_backward,
                           .cases = cases};

lf_tensor *lf_kl_to(lf_graph *g, lf_tensor *logits, const float *base, const int32_t *without, double normalizer) {
    const attributes a = {base, without, normalizer};
    return logits ? lf_graph_apply(g, &lf_op_kl_to, 1, &logits, &a, sizeof a) : NULL;
}

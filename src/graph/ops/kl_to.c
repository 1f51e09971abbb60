/* sum over rows of KL(q || p), p = softmax(logits), q = softmax(base), a constant: sum_v q_v log(q_v / p_v). Its slope
 * is p - q. Zero, slope too, where the logits are the base's. */
#include "graph/ops.h"

typedef struct attributes {
    const float *base;
    double normalizer;
} attributes;
enum { BASE };

static lf_status kl_to_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[0];
    if (x->dtype == LF_BF16)
        return lf_fail(err, LF_ESHAPE, "kl_to: logits in bf16; a loss wants them in full precision (lf_to_real)");
    if (x->ndim != 2) return lf_fail(err, LF_ESHAPE, "kl_to: logits have %d dims, expected [rows, classes]", x->ndim);
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
        k->lm_compare(found, found + rows, x->data, base, rows, x->shape[1]);
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
    k->lm_compare_backward(dx, add, dloss / a->normalizer, x->data, n->saved[BASE], x->shape[0], x->shape[1]);
}

/* One row sure of its class, one that is of none, one with a class that is impossible to the base. */
static const float of_base[] = {4, -2, 0.5f, 0, 0.25f, 0.25f, 0.25f, 0.25f, -1, 1.5f, -1e9f, 0.75f};
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_kl_to(g, in[0], of_base, 3); }
static lf_tensor *build_two(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_kl_to(g, in[0], of_base, 3), lf_kl_to(g, in[0], of_base + 4, 0.5));
}

static const lf_op_case cases[] = {
    {"three rows", 1, {{2, {3, 4}, false}}, build, 1e-7},
    {"two terms", 1, {{2, {2, 4}, false}}, build_two, 1e-7},
    {"one row", 1, {{2, {1, 12}, false}}, build, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_kl_to = {.name = "kl_to",
                           .needs = LF_NEEDS(0),
                           .shape = kl_to_shape,
                           .forward = kl_to_forward,
                           .backward = kl_to_backward,
                           .cases = cases};

lf_tensor *lf_kl_to(lf_graph *g, lf_tensor *logits, const float *base, double normalizer) {
    const attributes a = {base, normalizer};
    return logits ? lf_graph_apply(g, &lf_op_kl_to, 1, &logits, &a, sizeof a) : NULL;
}

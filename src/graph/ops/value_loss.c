/* Losses of numbers instead of classes, each logit by itself: binary cross-entropy, squared error. */
#include <math.h>

#include "graph/ops.h"

typedef struct attributes {
    const float *targets;
    double normalizer;
    lf_value_loss_kind kind;
} attributes;

static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }

static lf_status value_loss_shape(lf_node *n, lf_err *err) {
    if (n->in[0]->dtype == LF_BF16)
        return lf_fail(err, LF_ESHAPE, "value_loss: logits in bf16; a loss wants them in full precision (lf_to_real)");
    n->out->ndim = 1;
    n->out->shape[0] = 1;
    return LF_OK;
}

static void value_loss_forward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_tensor *x = n->in[0];
    const lf_kernels *k = lf_kernels_for(g, x);
    k->fill(n->out->data, k->value_loss(x->data, a->targets, x->numel, a->kind) / a->normalizer, 1);
}

static void value_loss_backward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_tensor *x = n->in[0];
    const lf_kernels *k = lf_kernels_for(g, x);
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (!dx) return;
    const double dloss = lf_dloss(n);
    k->value_loss_backward(dx, add, dloss / a->normalizer, x->data, a->targets, x->numel, a->kind);
}

static const float labels[] = {0, 1, NAN, 1, 0, 0.25f}, numbers[] = {-2, 0.5f, 3, NAN, 0, 1};
static lf_tensor *build_bce(lf_graph *g, lf_tensor **in) { return lf_bce_loss(g, in[0], labels, 5); }
static lf_tensor *build_mse(lf_graph *g, lf_tensor **in) { return lf_mse_loss(g, in[0], numbers, 2); }
static lf_tensor *build_both(lf_graph *g, lf_tensor **in) { return lf_add(g, build_bce(g, in), build_mse(g, in)); }

static const lf_op_case cases[] = {
    {"bce, a target missing", 1, {{2, {2, 3}, false}}, build_bce, 1e-7},
    {"mse, a target missing", 1, {{2, {3, 2}, false}}, build_mse, 1e-7},
    {"two losses", 1, {{2, {6, 1}, false}}, build_both, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_value_loss = {.name = "value_loss",
                                .needs = LF_NEEDS(0),
                                .shape = value_loss_shape,
                                .forward = value_loss_forward,
                                .backward = value_loss_backward,
                                .cases = cases};

static lf_tensor *value_loss(lf_graph *g, lf_tensor *logits, const attributes *a) {
    return logits ? lf_graph_apply(g, &lf_op_value_loss, 1, &logits, a, sizeof *a) : NULL;
}

lf_tensor *lf_bce_loss(lf_graph *g, lf_tensor *logits, const float *targets, double normalizer) {
    return value_loss(g, logits, &(attributes){targets, normalizer, LF_BCE});
}

lf_tensor *lf_mse_loss(lf_graph *g, lf_tensor *logits, const float *targets, double normalizer) {
    return value_loss(g, logits, &(attributes){targets, normalizer, LF_MSE});
}

/* softmax(scale q k^T) v, a block at a time: no [T,T] matrix is kept, backward makes the probabilities again from the
 * log-sum-exp of each row. */
#include <math.h>

#include "graph/ops.h"

enum { LSE };

static lf_attention_dims dims_of(const lf_node *n) {
    lf_attention_dims d = *(const lf_attention_dims *)(const void *)n->attributes;
    d.key = n->key;
    return d;
}

static lf_status attention_shape(lf_node *n, lf_err *err) {
    lf_attention_dims *d = (void *)n->attributes;
    const lf_tensor *q = n->in[0], *k = n->in[1], *v = n->in[2];
    const bool fits = q->ndim == 3 && k->ndim == 3 && v->ndim == 3 && q->shape[2] % d->H == 0 && d->H % d->Hkv == 0 &&
                      k->shape[0] == q->shape[0] && k->shape[1] == q->shape[1] && v->shape[0] == q->shape[0] &&
                      v->shape[1] == q->shape[1] && k->shape[2] == q->shape[2] / d->H * d->Hkv && v->shape[2] == k->shape[2];
    if (!fits)
        return lf_fail(err, LF_ESHAPE, "attention: q has %lld numbers, k %lld, v %lld, with %lld heads and %lld kv heads",
                       (long long)q->numel, (long long)k->numel, (long long)v->numel, (long long)d->H, (long long)d->Hkv);
    d->B = q->shape[0];
    d->T = q->shape[1];
    d->D = q->shape[2] / d->H;
    d->ldq = d->ldo = d->H * d->D;
    d->ldkv = d->Hkv * d->D;
    if (!(d->scale > 0)) d->scale = 1 / sqrt((double)d->D);
    n->out->ndim = 3;
    for (int i = 0; i < 3; i++) n->out->shape[i] = q->shape[i];
    return LF_OK;
}

static void attention_forward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_graph_kernels(g);
    const lf_attention_dims d = dims_of(n);
    void *lse = lf_save(g, n, LSE, d.B * d.H * d.T), *scratch = lf_graph_take_bytes(g, k->attention_scratch(&d));
    if (scratch) k->attention(n->out->data, lse, n->in[0]->data, n->in[1]->data, n->in[2]->data, &d, scratch);
    lf_graph_give(g, scratch);
}

/* The kernel overwrites all three gradients; where one is not wanted or there is one already, it goes through a block. */
static void attention_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_graph_kernels(g);
    const lf_attention_dims d = dims_of(n);
    void *grad[3], *temporary[3] = {0};
    for (int i = 0; i < 3; i++) {
        bool add = false;
        grad[i] = lf_grad_out(g, n, i, &add);
        if (add || !grad[i]) temporary[i] = lf_graph_take(g, n->in[i]->numel);
        if (add && temporary[i]) continue;
        if (!temporary[i]) temporary[i] = grad[i], grad[i] = NULL;
    }
    void *scratch = lf_graph_take_bytes(g, k->attention_scratch(&d));
    if (scratch)
        k->attention_backward(temporary[0], temporary[1], temporary[2], n->out->grad, n->out->data, n->saved[LSE],
                              n->in[0]->data, n->in[1]->data, n->in[2]->data, &d, scratch);
    lf_graph_give(g, scratch);
    for (int i = 0; i < 3; i++) {
        if (grad[i] && scratch) k->axpy(grad[i], 1, temporary[i], n->in[i]->numel);
        if (grad[i] || !lf_wants_grad(n, i)) lf_graph_give(g, temporary[i]);
    }
}

static lf_tensor *with(lf_graph *g, lf_tensor **in, int64_t H, int64_t Hkv, bool causal, double dropout) {
    return lf_attention(g, in[0], in[1], in[2], &(lf_attention_opts){.heads = H, .kv_heads = Hkv, .causal = causal, .dropout = dropout});
}
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return with(g, in, 2, 2, false, 0); }
static lf_tensor *build_causal(lf_graph *g, lf_tensor **in) { return with(g, in, 2, 2, true, 0); }
static lf_tensor *build_grouped(lf_graph *g, lf_tensor **in) { return with(g, in, 4, 2, true, 0); }
static lf_tensor *build_dropout(lf_graph *g, lf_tensor **in) { return with(g, in, 2, 2, false, 0.4); }
static lf_tensor *build_same(lf_graph *g, lf_tensor **in) {
    return with(g, (lf_tensor *[]){in[0], in[0], in[0]}, 2, 2, false, 0);
}

static const lf_op_case cases[] = {
    {"two heads", 3, {{3, {2, 5, 6}, false}, {3, {2, 5, 6}, false}, {3, {2, 5, 6}, false}}, build, 1e-6},
    {"one token", 3, {{3, {2, 1, 4}, false}, {3, {2, 1, 4}, false}, {3, {2, 1, 4}, false}}, build, 1e-6},
    {"causal", 3, {{3, {1, 6, 4}, false}, {3, {1, 6, 4}, false}, {3, {1, 6, 4}, false}}, build_causal, 1e-6},
    {"grouped queries", 3, {{3, {1, 5, 8}, false}, {3, {1, 5, 4}, false}, {3, {1, 5, 4}, false}}, build_grouped, 1e-6},
    {"dropout", 3, {{3, {1, 5, 6}, false}, {3, {1, 5, 6}, false}, {3, {1, 5, 6}, false}}, build_dropout, 1e-6},
    {"k constant", 3, {{3, {1, 4, 2}, false}, {3, {1, 4, 2}, true}, {3, {1, 4, 2}, false}}, build, 1e-6},
    {"q = k = v", 1, {{3, {1, 4, 6}, false}}, build_same, 1e-6},
    {.name = NULL},
};

const lf_op lf_op_attention = {.name = "attention", .needs = LF_NEEDS(0) | LF_NEEDS(1) | LF_NEEDS(2) | LF_NEEDS_OUTPUT,
                               .shape = attention_shape, .forward = attention_forward, .backward = attention_backward,
                               .cases = cases};

lf_tensor *lf_attention(lf_graph *g, lf_tensor *q, lf_tensor *k, lf_tensor *v, const lf_attention_opts *opts) {
    const lf_attention_dims d = {.H = opts->heads, .Hkv = opts->kv_heads, .scale = opts->scale, .causal = opts->causal,
                                 .dropout = lf_graph_training(g) ? opts->dropout : 0};
    return q && k && v ? lf_graph_apply(g, &lf_op_attention, 3, (lf_tensor *[]){q, k, v}, &d, sizeof d) : NULL;
}

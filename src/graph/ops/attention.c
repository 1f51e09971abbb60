/* softmax(scale q k^T) v, a block at a time: no [T,T] matrix is kept, backward makes the probabilities again from the
 * log-sum-exp of each row. q, k and v stand side by side in one tensor, as a linear layer of three parts leaves them;
 * or q in one and k, v in another, for fewer queries than keys. */
#include <math.h>
#include <string.h>

#include "graph/ops.h"

extern const lf_op lf_op_attention;

typedef struct attributes {
    lf_attention_dims d; /* without the key; sizes are filled by the shape rule */
    const lf_tensor *bias;
} attributes;
enum { Q, KV }; /* inputs; the same tensor twice when all three stand in it */
enum { LSE };

static lf_attention_dims dims_of(const lf_node *n) {
    lf_attention_dims d = ((const attributes *)(const void *)n->attributes)->d;
    d.key = n->key;
    return d;
}

static lf_status check_lengths(const lf_attention_dims *d, lf_err *err) {
    for (int64_t b = 0; d->lengths && b < d->B; b++)
        if (d->lengths[b] < 1 || d->lengths[b] > d->T)
            return lf_fail(err, LF_ESHAPE, "attention: row %lld has %d tokens, of %lld", (long long)b, d->lengths[b],
                           (long long)d->T);
    return LF_OK;
}

static lf_status check_bias(const lf_attention_dims *d, const lf_tensor *q, const lf_tensor *bias, lf_err *err) {
    if (!bias) return LF_OK;
    const lf_dtype real = q->dtype == LF_F64 ? LF_F64 : LF_F32;
    if (bias->ndim == 3 && bias->shape[0] == d->H && bias->shape[1] == d->Tq && bias->shape[2] == d->T &&
        bias->dtype == real && !bias->requires_grad)
        return LF_OK;
    return lf_fail(
        err, LF_ESHAPE,
        "attention: the bias has %lld numbers (%s) in %d dims, expected a constant of [%lld, %lld, %lld] (%s)",
        (long long)bias->numel, lf_dtype_name(bias->dtype), bias->ndim, (long long)d->H, (long long)d->Tq,
        (long long)d->T, lf_dtype_name(real));
}

static lf_status attention_shape(lf_node *n, lf_err *err) {
    attributes *a = (void *)n->attributes;
    lf_attention_dims *d = &a->d;
    const lf_tensor *q = n->in[Q], *kv = n->in[KV];
    const bool together = q == kv;
    const int64_t width = q->shape[q->ndim - 1], heads = together ? d->H + 2 * d->Hkv : d->H;
    d->D = width / heads;
    d->B = kv->shape[0];
    d->T = kv->ndim == 3 ? kv->shape[1] : 0;
    d->Tq = q->ndim == 3 ? q->shape[1] : 1;
    d->ldq = width;
    d->ldkv = kv->shape[kv->ndim - 1];
    d->ldo = d->H * d->D;
    const bool fits = kv->ndim == 3 && (q->ndim == 3 || (q->ndim == 2 && !together)) && q->shape[0] == d->B &&
                      d->Tq <= d->T && width == heads * d->D && (together || d->ldkv == 2 * d->Hkv * d->D) &&
                      q->dtype == kv->dtype;
    if (!fits)
        return lf_fail(err, LF_ESHAPE,
                       "attention: q has %lld numbers, rows of %lld, k and v %lld, rows of %lld, with %lld heads and "
                       "%lld kv heads",
                       (long long)q->numel, (long long)width, (long long)kv->numel, (long long)d->ldkv, (long long)d->H,
                       (long long)d->Hkv);
    if (!(d->scale > 0)) d->scale = 1 / sqrt((double)d->D);
    n->out->ndim = q->ndim;
    memcpy(n->out->shape, q->shape, sizeof n->out->shape);
    n->out->shape[q->ndim - 1] = d->ldo;
    const lf_status rc = check_lengths(d, err);
    return rc ? rc : check_bias(d, q, a->bias, err);
}

/* q, k and v in a tensor's data or gradient. */
typedef struct places {
    void *q, *k, *v;
} places;

static places places_of(const lf_node *n, const lf_attention_dims *d, void *q, void *kv) {
    const size_t size = lf_dtype_size(n->in[Q]->dtype),
                 first = n->in[Q] == n->in[KV] ? (size_t)(d->H * d->D) * size : 0;
    return (places){q, (char *)kv + first, (char *)kv + first + (size_t)(d->Hkv * d->D) * size};
}

static void attention_forward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[Q]);
    const lf_attention_dims d = dims_of(n);
    const places p = places_of(n, &d, n->in[Q]->data, n->in[KV]->data);
    void *lse = lf_save(g, n, LSE, k->dtype, d.B * d.H * d.Tq),
         *scratch = lf_graph_take_bytes(g, k->attention_scratch(&d, false));
    if (lse && scratch) k->attention(n->out->data, lse, p.q, p.k, p.v, &d, scratch);
    lf_graph_give(g, scratch);
}

/* The kernel overwrites all gradients; where there is one already, or none is wanted, it goes through a block. */
static void attention_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[Q]);
    const lf_attention_dims d = dims_of(n);
    const int inputs = n->in[Q] == n->in[KV] ? 1 : 2;
    void *grad[2] = {0}, *block[2] = {0};
    bool ok = true;
    for (int i = 0; i < inputs; i++) {
        bool add = false;
        grad[i] = lf_grad_out(g, n, i, &add);
        if (add || !grad[i]) ok = (block[i] = lf_graph_take(g, n->in[i]->dtype, n->in[i]->numel)) && ok;
    }
    void *scratch = lf_graph_take_bytes(g, k->attention_scratch(&d, true));
    if (ok && scratch) {
        void *to[2];
        for (int i = 0; i < 2; i++)
            to[i] = block[i < inputs ? i : 0] ? block[i < inputs ? i : 0] : grad[i < inputs ? i : 0];
        const places p = places_of(n, &d, n->in[Q]->data, n->in[KV]->data), dp = places_of(n, &d, to[0], to[1]);
        k->attention_backward(dp.q, dp.k, dp.v, n->out->grad, n->out->data, n->saved[LSE], p.q, p.k, p.v, &d, scratch);
        for (int i = 0; i < inputs; i++)
            if (block[i] && grad[i]) k->axpy(grad[i], 1, block[i], n->in[i]->numel);
    }
    lf_graph_give(g, scratch);
    for (int i = 0; i < inputs; i++) lf_graph_give(g, block[i]);
}

static lf_tensor *with(lf_graph *g, lf_tensor *qkv, int64_t H, int64_t Hkv, bool causal, double dropout) {
    return lf_attention(g, qkv,
                        &(lf_attention_opts){.heads = H, .kv_heads = Hkv, .causal = causal, .dropout = dropout});
}
static lf_tensor *build(lf_graph *g, lf_tensor **in) { return with(g, in[0], 2, 2, false, 0); }
static lf_tensor *build_causal(lf_graph *g, lf_tensor **in) { return with(g, in[0], 2, 2, true, 0); }
static lf_tensor *build_grouped(lf_graph *g, lf_tensor **in) { return with(g, in[0], 4, 2, true, 0); }
static lf_tensor *build_dropout(lf_graph *g, lf_tensor **in) { return with(g, in[0], 2, 2, false, 0.4); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) { return lf_add(g, build(g, in), build_causal(g, in)); }
static lf_tensor *build_of(lf_graph *g, lf_tensor **in) {
    return lf_attention_of(g, in[0], in[1],
                           &(lf_attention_opts){.heads = 4, .kv_heads = 2, .causal = in[0]->ndim == 3});
}
static lf_tensor *build_window(lf_graph *g, lf_tensor **in) {
    return lf_attention(g, in[0], &(lf_attention_opts){.heads = 2, .kv_heads = 1, .causal = true, .window = 3});
}
static lf_tensor *build_documents(lf_graph *g, lf_tensor **in) { /* two in the first row, three in the second */
    static const int32_t first[] = {0, 0, 0, 3, 3, 3, 0, 1, 1, 1, 4, 4};
    return lf_attention(g, in[0], &(lf_attention_opts){.heads = 2, .kv_heads = 1, .causal = true, .first = first});
}
static const int32_t lengths[] = {2, 7}; /* with a window of 1, queries 4 .. 6 of the first row see nothing */
static lf_tensor *build_lengths(lf_graph *g, lf_tensor **in) {
    return lf_attention(g, in[0], &(lf_attention_opts){.heads = 2, .kv_heads = 2, .lengths = lengths});
}
static lf_tensor *build_two_sided(lf_graph *g, lf_tensor **in) {
    return lf_attention(
        g, in[0], &(lf_attention_opts){.heads = 2, .kv_heads = 1, .window = 1, .lengths = lengths, .dropout = 0.3});
}
static lf_tensor *build_softcap(lf_graph *g, lf_tensor **in) {
    return lf_attention(
        g, in[0],
        &(lf_attention_opts){
            .heads = 2, .kv_heads = 1, .causal = true, .window = 4, .softcap = 1.5, .scale = 0.7, .dropout = 0.3});
}
static lf_tensor *with_bias(lf_graph *g, lf_tensor **in, double softcap) {
    static double table[2 * 3 * 5];
    static lf_tensor bias;
    for (int i = 0; i < 2 * 3 * 5; i++) table[i] = i % 7 * 0.5 - 1;
    lf_tensor_init(&bias, LF_F64, 3, (int64_t[]){2, 3, 5}, table, NULL);
    return lf_attention_of(g, in[0], in[1],
                           &(lf_attention_opts){.heads = 2, .kv_heads = 2, .bias = &bias, .softcap = softcap});
}
static lf_tensor *build_bias(lf_graph *g, lf_tensor **in) { return with_bias(g, in, 0); }
static lf_tensor *build_bias_softcap(lf_graph *g, lf_tensor **in) { return with_bias(g, in, 2); }

static const lf_op_case cases[] = {
    {"two heads", 1, {{3, {2, 5, 18}, false}}, build, 1e-6},
    {"one token", 1, {{3, {2, 1, 12}, false}}, build, 1e-6},
    {"causal", 1, {{3, {1, 6, 12}, false}}, build_causal, 1e-6},
    {"grouped queries", 1, {{3, {1, 5, 16}, false}}, build_grouped, 1e-6},
    {"dropout", 1, {{3, {1, 5, 18}, false}}, build_dropout, 1e-6},
    {"used twice", 1, {{3, {1, 4, 12}, false}}, build_twice, 1e-6},
    {"last queries", 2, {{3, {2, 3, 8}, false}, {3, {2, 5, 8}, false}}, build_of, 1e-6},
    {"one query", 2, {{2, {2, 8}, false}, {3, {2, 5, 8}, false}}, build_of, 1e-6},
    {"k and v constant", 2, {{3, {2, 3, 8}, false}, {3, {2, 5, 8}, true}}, build_of, 1e-6},
    {"window", 1, {{3, {1, 7, 8}, false}}, build_window, 1e-6},
    {"documents", 1, {{3, {2, 6, 8}, false}}, build_documents, 1e-6},
    {"lengths", 1, {{3, {2, 7, 12}, false}}, build_lengths, 1e-6},
    {"window to both sides, lengths, dropout", 1, {{3, {2, 7, 8}, false}}, build_two_sided, 1e-6},
    {"softcap, window, dropout", 1, {{3, {1, 6, 8}, false}}, build_softcap, 1e-6},
    {"bias", 2, {{3, {2, 3, 4}, false}, {3, {2, 5, 8}, false}}, build_bias, 1e-6},
    {"bias, softcap", 2, {{3, {2, 3, 4}, false}, {3, {2, 5, 8}, false}}, build_bias_softcap, 1e-6},
    {.name = NULL},
};

const lf_op lf_op_attention = {.name = "attention",
                               .needs = LF_NEEDS(Q) | LF_NEEDS(KV) | LF_NEEDS_OUTPUT,
                               .shape = attention_shape,
                               .forward = attention_forward,
                               .backward = attention_backward,
                               .cases = cases};

lf_tensor *lf_attention_of(lf_graph *g, lf_tensor *q, lf_tensor *kv, const lf_attention_opts *opts) {
    const attributes a = {.bias = opts->bias,
                          .d = {.H = opts->heads,
                                .Hkv = opts->kv_heads,
                                .scale = opts->scale,
                                .causal = opts->causal,
                                .window = opts->window,
                                .first = opts->first,
                                .lengths = opts->lengths,
                                .softcap = opts->softcap,
                                .bias = opts->bias ? opts->bias->data : NULL,
                                .dropout = lf_graph_training(g) ? opts->dropout : 0}};
    if (a.d.dropout > 0) lf_graph_draws(g);
    return q && kv ? lf_graph_apply(g, &lf_op_attention, 2, (lf_tensor *[]){q, kv}, &a, sizeof a) : NULL;
}

lf_tensor *lf_attention(lf_graph *g, lf_tensor *qkv, const lf_attention_opts *opts) {
    return lf_attention_of(g, qkv, qkv, opts);
}

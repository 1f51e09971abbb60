/* y = x W^T + bias + LoRA, as one op: frozen weights never get a gradient, and the adapters' term (lora_delta.h) rides
 * on the product. Layers over the same x (q, k, v; gate, up) are the parts of a group, and a group is one node: one
 * product with all their weights, one with all their A. */
#include <assert.h>
#include <string.h>

#include "graph/ops.h"
#include "graph/ops/lora_delta.h"
#include "graph/ops/lora_probe.h"
#include "graph/view.h"

typedef struct part {
    int64_t out;
    const lf_lora *lora;
} part;
typedef struct attributes {
    const lf_frozen *frozen;
    int n;
    part parts[LF_GROUP_PARTS];
} attributes;
extern const lf_op lf_op_linear;
enum { X, WEIGHT, BIAS, LORA_A, LORA_B, PER_PART = 4 }; /* the first part's; each further one's are PER_PART behind */
enum { U };                                             /* slot of saved: u [rows, R] of lora_delta.h */

static_assert(1 + PER_PART * LF_GROUP_PARTS <= LF_MAX_INPUTS, "every part's inputs must fit");

static int input(int kind, int p) { return kind + PER_PART * p; }
static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }

static lf_group_extents extents_of(const lf_node *n) {
    const attributes *a = attributes_of(n);
    lf_group_extents e = {.n = a->n};
    for (int p = 0; p < a->n; p++) {
        const part *q = &a->parts[p];
        e.parts[p] = (lf_part_extents){q->lora, e.out, q->out, e.R, lf_lora_delta_rank(q->lora)};
        e.out += q->out;
        e.R += e.parts[p].R;
    }
    e.in =
        a->frozen ? a->frozen->in : n->in[WEIGHT]->numel / a->parts[0].out; /* a convolution's weight has four dims */
    e.rows = n->in[X]->numel / e.in;
    return e;
}

static lf_status linear_shape(lf_node *n, lf_err *err) {
    const attributes *a = attributes_of(n);
    const lf_group_extents e = extents_of(n);
    const lf_tensor *x = n->in[X];
    const int64_t C = x->shape[x->ndim - 1];
    bool fits = C == e.in && (!a->frozen || (a->frozen->out == e.out && a->frozen->act_dtype == x->dtype));
    for (int p = 0; p < a->n && fits; p++) {
        const lf_tensor *W = n->in[input(WEIGHT, p)], *bias = n->in[input(BIAS, p)], *A = n->in[input(LORA_A, p)],
                        *B = n->in[input(LORA_B, p)];
        const int64_t out = a->parts[p].out, r = a->parts[p].lora ? a->parts[p].lora->r : 0;
        fits = (!W || W->numel == out * e.in) && (!bias || bias->numel == out) && (!A || A->numel == r * e.in) &&
               (!B || B->numel == out * r);
    }
    if (!fits)
        return lf_fail(err, LF_ESHAPE,
                       "linear: x has last dim %lld (%s), the weight of %d parts is [%lld, %lld] (%s), or a bias or "
                       "adapter of another size",
                       (long long)C, lf_dtype_name(x->dtype), a->n, (long long)e.out, (long long)e.in,
                       a->frozen ? lf_dtype_name(a->frozen->act_dtype) : "trained");
    n->out->ndim = x->ndim;
    memcpy(n->out->shape, x->shape, sizeof n->out->shape);
    n->out->shape[x->ndim - 1] = e.out;
    return LF_OK;
}

/* A product could not be made: the library was out of memory. */
static void check(lf_graph *g, bool ok, const lf_group_extents *e) {
    if (!ok)
        lf_no_memory(lf_graph_failure(g), "linear: a %s product of %lld rows with a weight of %lld x %lld",
                     lf_graph_kernels(g)->precision, (long long)e->rows, (long long)e->out, (long long)e->in);
}

/* ---- rows in blocks ---- */

/* Everything that is done with a block of rows is done before the next: the adapter's thin products are limited by
 * memory, and find x, y, dy and dx in the cache where the frozen product left them. */
enum { BLOCK_BYTES = 8 << 20, ROW_UNIT = 64 };

static int64_t block_rows(const lf_node *n, const lf_group_extents *e) {
    const int64_t row = (e->in + e->out) * (int64_t)lf_dtype_size(n->in[X]->dtype),
                  most = BLOCK_BYTES / row < ROW_UNIT ? ROW_UNIT : BLOCK_BYTES / row;
    const int64_t blocks = (e->rows + most - 1) / most;
    return blocks < 2 ? e->rows : ((e->rows + blocks - 1) / blocks + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
}

static bool next_block(lf_rows *b, const lf_group_extents *e, int64_t size) {
    b->from += b->n;
    b->n = e->rows - b->from < size ? e->rows - b->from : size;
    return b->n > 0;
}

/* ---- trained W, bias ---- */

/* A trained weight as activations: itself, or rounded into pool memory (*owned, to be given back). */
static const void *weight_of(lf_graph *g, const lf_node *n, int p, void **owned) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const lf_tensor *W = n->in[input(WEIGHT, p)];
    *owned = NULL;
    if (k->act_dtype == k->dtype) return W->data;
    if ((*owned = lf_graph_take(g, k->act_dtype, W->numel))) k->to_act(*owned, false, W->data, W->numel);
    return *owned;
}

static void trained_forward(lf_graph *g, const lf_node *n, const lf_group_extents *e, lf_view y, lf_const_view x) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    for (int p = 0; p < e->n; p++) {
        void *owned, *yp = lf_view_at(y, 0, e->parts[p].y).data;
        const void *W = weight_of(g, n, p, &owned);
        const lf_tensor *bias = n->in[input(BIAS, p)];
        const int64_t out = e->parts[p].out;
        if (W) check(g, k->gemm(false, true, e->rows, out, e->in, x.data, x.ld, W, e->in, false, yp, y.ld), e);
        if (bias) k->bias(yp, y.ld, bias->data, e->rows, out);
        lf_graph_give(g, owned);
    }
}

static void trained_backward(lf_graph *g, lf_node *n, const lf_group_extents *e, lf_view dx, bool add, lf_const_view dy,
                             lf_const_view x) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    bool ignored;
    for (int p = 0; p < e->n; p++) {
        const void *dyp = lf_const_view_at(dy, 0, e->parts[p].y).data;
        const int64_t out = e->parts[p].out;
        void *owned = NULL;
        const void *W = dx.data ? weight_of(g, n, p, &owned) : NULL;
        void *dW = lf_grad_out(g, n, input(WEIGHT, p), &ignored);
        if (W)
            check(g, k->gemm(false, false, e->rows, e->in, out, dyp, dy.ld, W, e->in, add || p > 0, dx.data, dx.ld), e);
        if (dW) check(g, k->gemm_real(true, false, out, e->in, e->rows, dyp, dy.ld, x.data, x.ld, true, dW, e->in), e);
        lf_graph_give(g, owned);
    }
}

/* The biases of all parts one after the other, in pool memory; zero where a part has none. NULL: there is none at all.
 */
static void *biases_of(lf_graph *g, const lf_node *n, const lf_group_extents *e) {
    const lf_kernels *k = lf_graph_kernels(g)->wide;
    bool any = false;
    for (int p = 0; p < e->n; p++) any = any || n->in[input(BIAS, p)];
    const lf_view all = {any ? lf_graph_take(g, k->dtype, e->out) : NULL, e->out, k->dtype};
    for (int p = 0; p < e->n && all.data; p++) {
        const lf_tensor *bias = n->in[input(BIAS, p)];
        void *to = lf_view_at(all, 0, e->parts[p].y).data;
        if (bias)
            memcpy(to, bias->data, (size_t)bias->numel * lf_dtype_size(k->dtype));
        else
            k->fill(to, 0, e->parts[p].out);
    }
    return all.data;
}

static void bias_gradients(lf_graph *g, lf_node *n, const lf_group_extents *e, lf_const_view dy) {
    bool ignored;
    for (int p = 0; p < e->n; p++) {
        void *db = lf_grad_out(g, n, input(BIAS, p), &ignored);
        if (db)
            lf_kernels_for(g, n->in[X])
                ->column_sums(db, lf_const_view_at(dy, 0, e->parts[p].y).data, dy.ld, e->rows, e->parts[p].out);
    }
}

/* ---- probes: a pass of their own, behind forward's ---- */

/* product [b.n,out], real: x W^T of rows b, and nothing else. */
static void plain_product(lf_graph *g, const lf_node *n, const lf_group_extents *e, lf_rows b, lf_view product,
                          lf_const_view x) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const attributes *a = attributes_of(n);
    const void *xb = lf_const_view_at(x, b.from, 0).data;
    if (a->frozen) check(g, k->frozen_forward_real(a->frozen, product.data, xb, b.n), e);
    for (int p = 0; p < e->n && !a->frozen; p++) {
        void *owned;
        const void *W = weight_of(g, n, p, &owned);
        if (W)
            check(g,
                  k->gemm_real(false, true, b.n, e->parts[p].out, e->in, xb, x.ld, W, e->in, false,
                               lf_view_at(product, 0, e->parts[p].y).data, product.ld),
                  e);
        lf_graph_give(g, owned);
    }
}

static void probe(lf_graph *g, const lf_node *n, const lf_lora_delta *d, lf_const_view x, lf_const_view u) {
    const lf_group_extents *e = &d->e;
    const int64_t size = block_rows(n, e);
    for (lf_rows b = {0}; next_block(&b, e, size);) {
        const lf_view product = {lf_graph_take(g, d->k->dtype, b.n * e->out), e->out, d->k->dtype};
        if (!product.data) return;
        plain_product(g, n, e, b, product, x);
        lf_lora_probe_rows(g, d, b, lf_view_read(product), u);
        lf_graph_give(g, product.data);
    }
}

/* ---- all of it ---- */

static void linear_forward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const lf_frozen *frozen = attributes_of(n)->frozen;
    const lf_group_extents e = extents_of(n);
    const lf_const_view x = {n->in[X]->data, e.in, k->act_dtype};
    const lf_view y = {n->out->data, e.out, k->act_dtype};
    lf_lora_delta d = {0};
    bool adapted = e.R && lf_lora_delta_begin(g, &d, k, &e, false);
    const lf_view u = {e.R ? lf_save(g, n, U, k->act_dtype, e.rows * e.R) : NULL, e.R, k->act_dtype};
    void *bias = frozen ? biases_of(g, n, &e) : NULL;
    adapted = adapted && u.data;
    if (adapted && d.drops) lf_graph_draws(g);
    if (adapted && d.drops) check(g, lf_lora_delta_drop_forward(g, &d, u, x, n->key), &e);
    if (!frozen) trained_forward(g, n, &e, y, x);
    const int64_t size = e.R ? block_rows(n, &e) : e.rows;
    for (lf_rows b = {0}; next_block(&b, &e, size);) {
        const void *xb = lf_const_view_at(x, b.from, 0).data;
        if (frozen) check(g, k->frozen_forward(frozen, lf_view_at(y, b.from, 0).data, xb, b.n, bias), &e);
        if (adapted) check(g, lf_lora_delta_forward(&d, b, y, u, x), &e);
    }
    if (adapted && lf_lora_is_probed(&e)) probe(g, n, &d, x, lf_view_read(u));
    if (adapted) lf_lora_show_rows(g, k, &e, x);
    lf_graph_give(g, bias);
    lf_lora_delta_end(g, &d);
}

static void linear_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const lf_frozen *frozen = attributes_of(n)->frozen;
    const lf_group_extents e = extents_of(n);
    bool add = false, ignored;
    const lf_view dx = {lf_grad_out(g, n, X, &add), e.in, k->act_dtype};
    const lf_const_view x = {n->in[X]->data, e.in, k->act_dtype}, dy = {n->out->grad, e.out, k->act_dtype},
                        u = {n->saved[U], e.R, k->act_dtype};
    lf_lora_delta d = {0};
    const bool adapted = e.R && lf_lora_delta_begin(g, &d, k, &e, true);
    if (!frozen) trained_backward(g, n, &e, dx, add, dy, x);
    const int64_t size = e.R ? block_rows(n, &e) : e.rows;
    for (lf_rows b = {0}; next_block(&b, &e, size);) {
        const void *dyb = lf_const_view_at(dy, b.from, 0).data;
        if (dx.data && frozen) check(g, k->frozen_backward(frozen, lf_view_at(dx, b.from, 0).data, dyb, b.n, add), &e);
        if (adapted) check(g, lf_lora_delta_backward(&d, b, dx, dy, u, x), &e);
    }
    if (adapted && d.drops) check(g, lf_lora_delta_drop_backward(g, &d, dx, x, n->key), &e);
    if (adapted) check(g, lf_lora_show_gradient(k, &e, dy, x), &e);
    for (int p = 0; p < e.n && adapted; p++)
        if (e.parts[p].lora) {
            void *dA = lf_grad_out(g, n, input(LORA_A, p), &ignored),
                 *dB = lf_grad_out(g, n, input(LORA_B, p), &ignored);
            lf_lora_delta_add(&d, p, dA, dB);
        }
    bias_gradients(g, n, &e, dy);
    lf_lora_delta_end(g, &d);
}

/* Only the gradients of W and A read x: behind a frozen weight without an adapter it need not be kept. */
static unsigned linear_needs(const lf_node *n) {
    bool reads = false;
    for (int p = 0; p < attributes_of(n)->n; p++)
        reads = reads || lf_wants_grad(n, input(WEIGHT, p)) || attributes_of(n)->parts[p].lora;
    return reads ? LF_NEEDS(X) : 0;
}

#include "graph/ops/linear_cases.inc.c"

const lf_op lf_op_linear = {.name = "linear",
                            .needs_of = linear_needs,
                            .shape = linear_shape,
                            .forward = linear_forward,
                            .backward = linear_backward,
                            .cases = cases};

lf_tensor *lf_linear_group(lf_graph *g, lf_tensor *x, const lf_frozen *frozen, const lf_linear_part *parts, int n) {
    attributes a = {.frozen = frozen, .n = n};
    lf_tensor *in[1 + PER_PART * LF_GROUP_PARTS] = {x};
    if (!x) return NULL;
    for (int p = 0; p < n; p++) {
        lf_lora *lora = parts[p].lora;
        a.parts[p] = (part){parts[p].out, lora};
        in[input(WEIGHT, p)] = parts[p].weight;
        in[input(BIAS, p)] = parts[p].bias;
        in[input(LORA_A, p)] = lora ? &lora->A : NULL;
        in[input(LORA_B, p)] = lora ? &lora->B : NULL;
    }
    return lf_graph_apply(g, &lf_op_linear, 1 + PER_PART * n, in, &a, sizeof a);
}

lf_tensor *lf_linear(lf_graph *g, lf_tensor *x, const lf_frozen *frozen, lf_tensor *weight, lf_tensor *bias,
                     lf_lora *lora) {
    const lf_linear_part only = {frozen ? frozen->out : weight ? weight->shape[0] : 0, weight, bias, lora};
    return lf_linear_group(g, x, frozen, &only, 1);
}

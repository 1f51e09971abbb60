/* The loss over a vocabulary, a block of rows at a time (lm_blocks.h): of labels, or of what another model says of the
 * same rows (lf_lm_kl_to), whose logits are then made beside a block's own.
 *
 * With a frozen weight the block's gradient is made in the forward pass, while its logits are there: dhidden = dlogits
 * W is kept, as large as hidden, and backward only scales it. So the product with the vocabulary, the largest of a
 * small model, is made once in each direction. A trained weight's gradient is as large as the weight and belongs to its
 * owner, who may not have asked for it yet: its logits are made again in backward, from hidden and the log-sum-exp of
 * each row. The gradients of a trained bias and of an adapter are small: the forward pass keeps them where it makes
 * that of the hidden states. Of those, what nobody wants is not made.
 */
#include <string.h>

#include "graph/lm_blocks.h"
#include "graph/ops.h"
#include "graph/view.h"

extern const lf_op lf_op_lm_loss;
typedef struct attributes {
    lf_lm_head head;
    const int32_t *labels;
    double normalizer, smoothing;
    lf_lm_counts *counts;
    const void *base_hidden; /* [rows,C]: the loss is KL from what base_head makes of it; NULL: of the labels */
    lf_lm_head base_head;
    bool without_label; /* of what both say, the label is taken out */
} attributes;
enum { HIDDEN, WEIGHT, BIAS, LORA_A, LORA_B, INPUTS }; /* WEIGHT: NULL when frozen; the later ones when there is none */
/* Slots of saved: real [rows with targets], in their order; act [rows,C]; and, real, as the inputs that they are of */
enum { LSE, DHIDDEN, DBIAS, DA, DB };
static const struct { int slot, input; } kept[] = {{DBIAS, BIAS}, {DA, LORA_A}, {DB, LORA_B}};
enum { N_KEPT = sizeof kept / sizeof kept[0] };

static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }
static int64_t channels(const lf_node *n) { return n->in[HIDDEN]->shape[n->in[HIDDEN]->ndim - 1]; }
static int64_t rows(const lf_node *n) { return n->in[HIDDEN]->numel / channels(n); }

static lf_status lm_loss_shape(lf_node *n, lf_err *err) {
    const attributes *a = attributes_of(n);
    const lf_tensor *x = n->in[HIDDEN], *W = n->in[WEIGHT], *bias = n->in[BIAS];
    const lf_frozen *frozen = a->head.frozen;
    const lf_lora *lora = a->head.lora;
    const int64_t V = frozen ? frozen->out : W->shape[0], C = frozen ? frozen->in : W->shape[1];
    if (lora && (n->in[LORA_A]->numel != lora->r * C || n->in[LORA_B]->numel != V * lora->r))
        return lf_fail(err, LF_ESHAPE,
                       "lm_loss: an adapter of rank %lld has A of %lld numbers and B of %lld, the weight is [%lld, "
                       "%lld]",
                       (long long)lora->r, (long long)n->in[LORA_A]->numel, (long long)n->in[LORA_B]->numel,
                       (long long)V, (long long)C);
    if (C != channels(n) || (frozen ? frozen->act_dtype != x->dtype : W->ndim != 2) || (bias && bias->numel != V))
        return lf_fail(err, LF_ESHAPE,
                       "lm_loss: hidden has last dim %lld (%s), the weight is [%lld, %lld] (%s), the bias has %lld",
                       (long long)channels(n), lf_dtype_name(x->dtype), (long long)V, (long long)C,
                       frozen ? lf_dtype_name(frozen->act_dtype) : "trained", (long long)(bias ? bias->numel : V));
    for (int64_t i = 0; i < rows(n); i++)
        if (a->labels[i] >= V)
            return lf_fail(err, LF_ESHAPE, "lm_loss: label %d of row %lld, but the vocabulary has %lld", a->labels[i],
                           (long long)i, (long long)V);
    n->out->ndim = 1;
    n->out->shape[0] = 1;
    n->out->dtype = x->dtype == LF_F64 ? LF_F64 : LF_F32;
    return LF_OK;
}

/* Blocks of the loss and, of one that has a base, of the same rows those of the base. */
typedef struct blocks {
    lf_lm_blocks own, base;
    double *compared; /* of a block's rows ce, then kl; NULL: there is no base */
    const int32_t *without;
} blocks;

static void begin_blocks(lf_graph *g, blocks *b, const lf_node *n, bool gradients) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    b->base = (lf_lm_blocks){.k = k};
    b->compared = NULL;
    lf_lm_blocks_begin(g, &b->own, k, rows(n), &a->head, gradients, n->key);
    if (!a->base_hidden) return;
    lf_lm_blocks_begin_wide(g, &b->base, k, rows(n), &a->base_head, b->own.V);
    b->compared = lf_graph_take(g, LF_F64, 2 * b->own.size);
    b->without = a->without_label ? b->own.label : NULL;
}

static bool make_next(lf_graph *g, lf_lm_blocks *b, const int32_t *labels, const void *hidden) {
    if (!lf_lm_blocks_next(b, labels)) return false;
    lf_lm_blocks_gather(b, hidden);
    return lf_lm_blocks_logits(g, b, b->logits);
}

/* The next block's logits; false: there is no block left, or the graph has failed. */
static bool next_logits(lf_graph *g, blocks *b, const lf_node *n) {
    const attributes *a = attributes_of(n);
    return make_next(g, &b->own, a->labels, n->in[HIDDEN]->data) &&
           (!a->base_hidden || make_next(g, &b->base, a->labels, a->base_hidden));
}

static void end_blocks(lf_graph *g, blocks *b) {
    lf_graph_give(g, b->compared);
    lf_lm_blocks_end(g, &b->base);
    lf_lm_blocks_end(g, &b->own);
}

/* Where a block's gradients are made. */
typedef struct room {
    void *dlogits; /* over its logits, or, where they are of another type or a soft-cap's slope is still to be read from
                      them, in memory of the pool */
    void *dx;      /* over its x, or, where that is read once more, in memory of the pool; NULL: not wanted */
} room;

static room take_room(lf_graph *g, const lf_lm_blocks *b, bool wants_dx, bool reads_x) {
    room r = {.dlogits = b->logits, .dx = wants_dx ? b->x : NULL};
    if (b->k->act_dtype != b->k->dtype || b->head.softcap > 0)
        r.dlogits = lf_graph_take(g, b->k->act_dtype, b->size * b->V);
    if (wants_dx && reads_x) r.dx = lf_graph_take(g, b->k->act_dtype, b->size * b->C);
    return r;
}

static void give_room(lf_graph *g, const lf_lm_blocks *b, const room *r) {
    if (r->dx != b->x) lf_graph_give(g, r->dx);
    if (r->dlogits != b->logits) lf_graph_give(g, r->dlogits);
}

/* The block's rows of `from`, to their places in the batch. */
static void scatter(const lf_lm_blocks *b, void *to, const void *from) {
    const size_t size = (size_t)b->C * lf_dtype_size(b->k->act_dtype);
    for (int64_t i = 0; i < b->n; i++)
        memcpy((char *)to + (size_t)b->row[i] * size, (const char *)from + (size_t)i * size, size);
}

/* Adds the block to the counts; returns its divergence. */
static double block_divergence(const blocks *b, lf_lm_counts *counts) {
    const lf_lm_blocks *own = &b->own;
    double sum = 0, *kl = b->compared + own->size;
    own->k->lm_compare(b->compared, kl, own->logits, b->base.logits, b->without, own->n, own->V);
    for (int64_t i = 0; i < own->n; i++) sum += kl[i];
    counts->targets += own->n;
    return sum;
}

/* Adds the block to the counts; returns its loss. */
static double block_loss(const blocks *all, lf_view lse, double smoothing, lf_lm_counts *counts) {
    const lf_lm_blocks *b = &all->own;
    double nll = 0, uniform = 0;
    if (all->compared) return block_divergence(all, counts);
    b->k->lm_cross_entropy(lf_view_at(lse, b->before, 0).data, b->nll, smoothing > 0 ? b->uniform : NULL, b->correct,
                           b->logits, b->label, b->n, b->V);
    for (int64_t i = 0; i < b->n; i++) {
        nll += b->nll[i];
        if (smoothing > 0) uniform += b->uniform[i];
        counts->correct += b->correct[i];
    }
    counts->nll += nll;
    counts->targets += b->n;
    return (1 - smoothing) * nll + smoothing * uniform;
}

/* The gradient of the block's products, with the adapter's term; that of the bias is added to dbias, real (NULL: not
 * wanted). */
static void block_dlogits(const blocks *all, void *dlogits, void *dbias, double scale, lf_const_view lse,
                          double smoothing) {
    const lf_lm_blocks *b = &all->own;
    const lf_lm_head *h = &b->head;
    const double later = dbias ? h->scale : 1, now = scale * (dbias ? 1 : h->scale); /* the bias is not scaled */
    if (all->compared)
        b->k->lm_compare_backward(dlogits, false, now, b->logits, all->base.logits, all->without, b->n, b->V);
    else
        b->k->lm_cross_entropy_backward(dlogits, now, lf_const_view_at(lse, b->before, 0).data, b->logits, b->label,
                                        b->n, b->V, smoothing);
    if (h->softcap > 0) b->k->lm_logits_backward(dlogits, b->logits, b->n * b->V, 1, h->softcap);
    if (dbias) b->k->column_sums(dbias, dlogits, b->V, b->n, b->V);
    if (later != 1) b->k->lm_logits_backward(dlogits, NULL, b->n * b->V, later, 0);
}

/* When the forward pass makes the gradients: room for the small ones that are wanted, zero. */
static void keep_gradients(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    for (int i = 0; i < N_KEPT; i++) {
        const int64_t numel = n->in[kept[i].input] ? n->in[kept[i].input]->numel : 0;
        void *d = lf_wants_grad(n, kept[i].input) ? lf_save(g, n, kept[i].slot, k->dtype, numel) : NULL;
        if (d) k->wide->fill(d, 0, numel);
    }
}

/* Of one block, whose logits are there: what is kept of its gradients. */
static bool keep_block(lf_graph *g, lf_node *n, blocks *all, const room *r, lf_const_view lse) {
    const attributes *a = attributes_of(n);
    lf_lm_blocks *b = &all->own;
    block_dlogits(all, r->dlogits, n->saved[DBIAS], 1 / a->normalizer, lse, a->smoothing);
    bool ok = !r->dx || b->k->frozen_backward(a->head.frozen, r->dx, r->dlogits, b->n, false);
    if (b->head.lora) ok = ok && lf_lm_lora_backward(&b->lora, b->n, r->dx, r->dlogits, b->x);
    if (ok && r->dx) scatter(b, n->saved[DHIDDEN], r->dx);
    return lf_lm_blocks_made(g, b, ok);
}

static void lm_loss_forward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    const bool keeps = a->head.frozen && lf_node_keeps(g, n), keeps_dx = keeps && lf_wants_grad(n, HIDDEN);
    lf_lm_counts counts = {0};
    blocks b;
    begin_blocks(g, &b, n, keeps);
    const lf_view lse = {lf_save(g, n, LSE, k->dtype, rows(n)), 1, k->dtype};
    void *dhidden = keeps_dx ? lf_save(g, n, DHIDDEN, k->act_dtype, n->in[HIDDEN]->numel) : NULL;
    const room r = keeps ? take_room(g, &b.own, keeps_dx, a->head.lora) : (room){.dlogits = b.own.logits};
    if (keeps) keep_gradients(g, n);
    bool ok = !lf_graph_status(g, NULL);
    double loss = 0;
    if (ok && dhidden) k->fill(dhidden, 0, n->in[HIDDEN]->numel);
    while (ok && next_logits(g, &b, n)) {
        loss += block_loss(&b, lse, a->smoothing, &counts);
        if (keeps) ok = keep_block(g, n, &b, &r, lf_view_read(lse));
    }
    ok = !lf_graph_status(g, NULL);
    if (ok && keeps) lf_lm_lora_add(&b.own.lora, n->saved[DA], n->saved[DB]);
    if (ok) k->wide->fill(n->out->data, counts.targets > 0 ? loss / a->normalizer : 0, 1);
    if (ok && a->counts) *a->counts = counts;
    give_room(g, &b.own, &r);
    end_blocks(g, &b);
}

/* dx = or += dloss times what forward kept */
static void frozen_backward(lf_graph *g, lf_node *n, double dloss) {
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    bool add;
    for (int i = 0; i < N_KEPT; i++) {
        void *d = lf_grad_out(g, n, kept[i].input, &add);
        if (d) k->wide->axpy(d, dloss, n->saved[kept[i].slot], n->in[kept[i].input]->numel);
    }
    void *dx = lf_grad_out(g, n, HIDDEN, &add);
    if (!dx) return;
    if (!add) k->fill(dx, 0, n->in[HIDDEN]->numel);
    k->axpy(dx, dloss, n->saved[DHIDDEN], n->in[HIDDEN]->numel);
}

/* Where the gradients of the inputs go; NULL: not wanted. */
typedef struct gradients {
    void *dx, *dW, *dbias, *dA, *dB;
} gradients;

/* Of one block: dW += dlogits^T x, dx += dlogits W, and the adapter's. */
static bool block_backward(lf_graph *g, lf_lm_blocks *b, const room *r, const gradients *to) {
    const int64_t V = b->V, C = b->C;
    const size_t size = (size_t)C * lf_dtype_size(b->k->act_dtype);
    bool ok = !to->dW || b->k->gemm_real(true, false, V, C, b->n, r->dlogits, V, b->x, C, true, to->dW, C);
    ok = ok && (!r->dx || b->k->gemm(false, false, b->n, C, V, r->dlogits, V, b->W, C, false, r->dx, C));
    if (b->head.lora) ok = ok && lf_lm_lora_backward(&b->lora, b->n, r->dx, r->dlogits, b->x);
    for (int64_t i = 0; ok && r->dx && i < b->n; i++)
        b->k->axpy((char *)to->dx + (size_t)b->row[i] * size, 1, (char *)r->dx + (size_t)i * size, C);
    return lf_lm_blocks_made(g, b, ok);
}

static void trained_backward(lf_graph *g, lf_node *n, double dloss) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    bool add = false, ignored;
    const gradients to = {.dx = lf_grad_out(g, n, HIDDEN, &add),
                          .dW = lf_grad_out(g, n, WEIGHT, &ignored),
                          .dbias = lf_grad_out(g, n, BIAS, &ignored),
                          .dA = lf_grad_out(g, n, LORA_A, &ignored),
                          .dB = lf_grad_out(g, n, LORA_B, &ignored)};
    blocks b;
    begin_blocks(g, &b, n, true);
    const room r = take_room(g, &b.own, to.dx, true);
    bool ok = !lf_graph_status(g, NULL);
    if (ok && to.dx && !add) k->fill(to.dx, 0, n->in[HIDDEN]->numel);
    while (ok && next_logits(g, &b, n)) {
        block_dlogits(&b, r.dlogits, to.dbias, dloss / a->normalizer, (lf_const_view){n->saved[LSE], 1, k->dtype},
                      a->smoothing);
        ok = block_backward(g, &b.own, &r, &to);
    }
    if (!lf_graph_status(g, NULL)) lf_lm_lora_add(&b.own.lora, to.dA, to.dB);
    give_room(g, &b.own, &r);
    end_blocks(g, &b);
}

static void lm_loss_backward(lf_graph *g, lf_node *n) {
    const double dloss = lf_dloss(n);
    if (attributes_of(n)->head.frozen)
        frozen_backward(g, n, dloss);
    else
        trained_backward(g, n, dloss);
}

static unsigned lm_loss_needs(const lf_node *n) { return attributes_of(n)->head.frozen ? 0 : LF_NEEDS(HIDDEN); }

#include "graph/ops/lm_loss_cases.inc.c"

const lf_op lf_op_lm_loss = {.name = "lm_loss",
                             .needs_of = lm_loss_needs,
                             .shape = lm_loss_shape,
                             .forward = lm_loss_forward,
                             .backward = lm_loss_backward,
                             .cases = cases};

static lf_tensor *apply(lf_graph *g, lf_tensor *hidden, const attributes *a) {
    const lf_lm_head *head = &a->head;
    lf_lora *lora = head->lora;
    lf_tensor *const inputs[INPUTS] = {hidden, head->weight, head->bias, lora ? &lora->A : NULL,
                                       lora ? &lora->B : NULL};
    return hidden && (head->frozen || head->weight) ? lf_graph_apply(g, &lf_op_lm_loss, INPUTS, inputs, a, sizeof *a)
                                                    : NULL;
}

lf_tensor *lf_lm_loss(lf_graph *g, lf_tensor *hidden, const lf_lm_head *head, const int32_t *row_labels,
                      double normalizer, double smoothing, lf_lm_counts *counts) {
    return apply(
        g, hidden,
        &(attributes){
            .head = *head, .labels = row_labels, .normalizer = normalizer, .smoothing = smoothing, .counts = counts});
}

lf_tensor *lf_lm_kl_to(lf_graph *g, lf_tensor *hidden, const lf_lm_head *head, const void *base_hidden,
                       const lf_lm_head *base_head, const int32_t *row_labels, bool without_label, double normalizer,
                       lf_lm_counts *counts) {
    return apply(g, hidden,
                 &(attributes){.head = *head,
                               .labels = row_labels,
                               .normalizer = normalizer,
                               .counts = counts,
                               .base_hidden = base_hidden,
                               .base_head = *base_head,
                               .without_label = without_label});
}

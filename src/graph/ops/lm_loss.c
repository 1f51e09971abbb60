/* The loss over a vocabulary, a block of rows at a time (lm_blocks.h).
 *
 * With a frozen weight the block's gradient is made in the forward pass, while its logits are there: dhidden = dlogits
 * W is kept, as large as hidden, and backward only scales it. So the product with the vocabulary, the largest of a
 * small model, is made once in each direction. A trained weight's gradient is as large as the weight and belongs to its
 * owner, who may not have asked for it yet: its logits are made again in backward, from hidden and the log-sum-exp of
 * each row. The gradient of a trained bias is small: the forward pass keeps it where it makes that of the hidden
 * states.
 */
#include <string.h>

#include "graph/lm_blocks.h"
#include "graph/ops.h"
#include "graph/view.h"

typedef struct attributes {
    lf_lm_head head;
    const int32_t *labels;
    double normalizer, smoothing;
    lf_lm_counts *counts;
} attributes;
enum { HIDDEN, WEIGHT, BIAS, INPUTS }; /* the second NULL when frozen, the third when there is none */
enum { LSE, DHIDDEN, DBIAS }; /* slots of saved: real [rows with targets], in their order; act [rows,C]; real [V] */

static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }
static int64_t channels(const lf_node *n) { return n->in[HIDDEN]->shape[n->in[HIDDEN]->ndim - 1]; }
static int64_t rows(const lf_node *n) { return n->in[HIDDEN]->numel / channels(n); }

static lf_status lm_loss_shape(lf_node *n, lf_err *err) {
    const attributes *a = attributes_of(n);
    const lf_tensor *x = n->in[HIDDEN], *W = n->in[WEIGHT], *bias = n->in[BIAS];
    const lf_frozen *frozen = a->head.frozen;
    const int64_t V = frozen ? frozen->out : W->shape[0], C = frozen ? frozen->in : W->shape[1];
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

/* Where a block's dlogits go: over its logits, or, where they are of another type or a soft-cap's slope is still to be
 * read from them, into memory of the pool. */
static void *dlogits_of(lf_graph *g, const lf_lm_blocks *b) {
    return b->k->act_dtype == b->k->dtype && !(b->head.softcap > 0) ? b->logits
                                                                    : lf_graph_take(g, b->k->act_dtype, b->size * b->V);
}

/* The block's rows of `from`, to their places in the batch. */
static void scatter(const lf_lm_blocks *b, void *to, const void *from) {
    const size_t size = (size_t)b->C * lf_dtype_size(b->k->act_dtype);
    for (int64_t i = 0; i < b->n; i++)
        memcpy((char *)to + (size_t)b->row[i] * size, (const char *)from + (size_t)i * size, size);
}

/* Adds the block to the counts; returns its loss. */
static double block_loss(const lf_lm_blocks *b, lf_view lse, double smoothing, lf_lm_counts *counts) {
    double nll = 0, uniform = 0;
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

/* The gradient of the block's products h W^T; that of the bias is added to dbias, real (NULL: not wanted). */
static void block_dlogits(const lf_lm_blocks *b, void *dlogits, void *dbias, double scale, lf_const_view lse,
                          double smoothing) {
    const lf_lm_head *h = &b->head;
    const double later = dbias ? h->scale : 1; /* the bias is not scaled */
    b->k->lm_cross_entropy_backward(dlogits, scale * (dbias ? 1 : h->scale), lf_const_view_at(lse, b->before, 0).data,
                                    b->logits, b->label, b->n, b->V, smoothing);
    if (h->softcap > 0) b->k->lm_logits_backward(dlogits, b->logits, b->n * b->V, 1, h->softcap);
    if (dbias) b->k->column_sums(dbias, dlogits, b->V, b->n, b->V);
    if (later != 1) b->k->lm_logits_backward(dlogits, NULL, b->n * b->V, later, 0);
}

/* Of a trained bias, when the forward pass makes the gradients: [V], zero. */
static void *kept_dbias(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    void *dbias = lf_wants_grad(n, BIAS) ? lf_save(g, n, DBIAS, k->dtype, n->in[BIAS]->numel) : NULL;
    if (dbias) k->wide->fill(dbias, 0, n->in[BIAS]->numel);
    return dbias;
}

static void lm_loss_forward(lf_graph *g, lf_node *n) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    const bool keeps = a->head.frozen && lf_node_keeps(g, n);
    lf_lm_counts counts = {0};
    lf_lm_blocks b;
    lf_lm_blocks_begin(g, &b, k, rows(n), &a->head);
    const lf_view lse = {lf_save(g, n, LSE, k->dtype, rows(n)), 1, k->dtype};
    void *dhidden = keeps ? lf_save(g, n, DHIDDEN, k->act_dtype, n->in[HIDDEN]->numel) : NULL,
         *dlogits = keeps ? dlogits_of(g, &b) : NULL, *dbias = keeps ? kept_dbias(g, n) : NULL;
    bool ok = !lf_graph_status(g, NULL);
    double loss = 0;
    if (ok && keeps) k->fill(dhidden, 0, n->in[HIDDEN]->numel);
    while (ok && lf_lm_blocks_next(&b, a->labels)) {
        lf_lm_blocks_gather(&b, n->in[HIDDEN]->data);
        ok = lf_lm_blocks_logits(g, &b, b.logits);
        if (!ok) break;
        loss += block_loss(&b, lse, a->smoothing, &counts);
        if (!keeps) continue;
        block_dlogits(&b, dlogits, dbias, 1 / a->normalizer, lf_view_read(lse), a->smoothing);
        ok = lf_lm_blocks_made(g, &b, k->frozen_backward(a->head.frozen, b.x, dlogits, b.n, false)); /* x has served */
        scatter(&b, dhidden, b.x);
    }
    if (ok) k->wide->fill(n->out->data, counts.targets > 0 ? loss / a->normalizer : 0, 1);
    if (ok && a->counts) *a->counts = counts;
    if (dlogits != b.logits) lf_graph_give(g, dlogits);
    lf_lm_blocks_end(g, &b);
}

/* dx = or += dloss times what forward kept */
static void frozen_backward(lf_graph *g, lf_node *n, double dloss) {
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    bool add;
    void *dbias = lf_grad_out(g, n, BIAS, &add);
    if (dbias) k->wide->axpy(dbias, dloss, n->saved[DBIAS], n->in[BIAS]->numel);
    void *dx = lf_grad_out(g, n, HIDDEN, &add);
    if (!dx) return;
    if (!add) k->fill(dx, 0, n->in[HIDDEN]->numel);
    k->axpy(dx, dloss, n->saved[DHIDDEN], n->in[HIDDEN]->numel);
}

/* dW += dlogits^T x and dx = dlogits W of one block. */
static bool block_backward(lf_graph *g, const lf_lm_blocks *b, const void *dlogits, void *dW, void *dx,
                           void *dx_block) {
    const int64_t V = b->V, C = b->C;
    const size_t size = (size_t)C * lf_dtype_size(b->k->act_dtype);
    bool ok = !dW || b->k->gemm_real(true, false, V, C, b->n, dlogits, V, b->x, C, true, dW, C);
    ok = ok && (!dx || b->k->gemm(false, false, b->n, C, V, dlogits, V, b->W, C, false, dx_block, C));
    for (int64_t i = 0; ok && dx && i < b->n; i++)
        b->k->axpy((char *)dx + (size_t)b->row[i] * size, 1, (char *)dx_block + (size_t)i * size, C);
    return lf_lm_blocks_made(g, b, ok);
}

static void trained_backward(lf_graph *g, lf_node *n, double dloss) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_kernels_for(g, n->in[HIDDEN]);
    bool add = false, ignored;
    void *dx = lf_grad_out(g, n, HIDDEN, &add), *dW = lf_grad_out(g, n, WEIGHT, &ignored),
         *dbias = lf_grad_out(g, n, BIAS, &ignored);
    lf_lm_blocks b;
    lf_lm_blocks_begin(g, &b, k, rows(n), &a->head);
    void *dlogits = dlogits_of(g, &b), *dx_block = dx ? lf_graph_take(g, k->act_dtype, b.size * b.C) : NULL;
    bool ok = !lf_graph_status(g, NULL);
    if (ok && dx && !add) k->fill(dx, 0, n->in[HIDDEN]->numel);
    while (ok && lf_lm_blocks_next(&b, a->labels)) {
        lf_lm_blocks_gather(&b, n->in[HIDDEN]->data);
        ok = lf_lm_blocks_logits(g, &b, b.logits);
        if (!ok) break;
        block_dlogits(&b, dlogits, dbias, dloss / a->normalizer, (lf_const_view){n->saved[LSE], 1, k->dtype},
                      a->smoothing);
        ok = block_backward(g, &b, dlogits, dW, dx, dx_block);
    }
    lf_graph_give(g, dx_block);
    if (dlogits != b.logits) lf_graph_give(g, dlogits);
    lf_lm_blocks_end(g, &b);
}

static void lm_loss_backward(lf_graph *g, lf_node *n) {
    const double dloss = n->out->dtype == LF_F64 ? *(const double *)n->out->grad : (double)*(const float *)n->out->grad;
    if (attributes_of(n)->head.frozen)
        frozen_backward(g, n, dloss);
    else
        trained_backward(g, n, dloss);
}

static unsigned lm_loss_needs(const lf_node *n) { return attributes_of(n)->head.frozen ? 0 : LF_NEEDS(HIDDEN); }

/* ---- cases: hidden, W, bias ---- */

enum { MOST_ROWS = 800 };
static const int32_t labels[] = {2, -100, 0, 4, -1, 2}, none[] = {-100, -100};

/* The reference's frozen weight is W itself, row-major, so a case can borrow its input. */
static lf_lm_head head_of(lf_tensor **in, bool frozen) {
    static lf_frozen W;
    W = (lf_frozen){.out = in[1]->shape[0], .in = in[1]->shape[1], .data = in[1]->data, .act_dtype = LF_F64};
    return (lf_lm_head){.frozen = frozen ? &W : NULL, .weight = frozen ? NULL : in[1]};
}
static lf_tensor *with(lf_graph *g, lf_tensor **in, bool frozen, double smoothing) {
    const lf_lm_head head = head_of(in, frozen);
    return lf_lm_loss(g, in[0], &head, labels, 3, smoothing, NULL);
}
static lf_tensor *with_bias(lf_graph *g, lf_tensor **in, bool frozen, double scale, double softcap) {
    lf_lm_head head = head_of(in, frozen);
    head.bias = in[2];
    head.scale = scale;
    head.softcap = softcap;
    return lf_add(g, lf_lm_loss(g, in[0], &head, labels, 3, 0.1, NULL),
                  lf_lm_loss(g, in[0], &head, labels, 2, 0, NULL));
}
static lf_tensor *build_frozen_bias(lf_graph *g, lf_tensor **in) { return with_bias(g, in, true, 0, 0); }
static lf_tensor *build_trained_bias(lf_graph *g, lf_tensor **in) { return with_bias(g, in, false, 0, 0); }
static lf_tensor *build_frozen_all(lf_graph *g, lf_tensor **in) { return with_bias(g, in, true, 0.3, 1.5); }
static lf_tensor *build_trained_all(lf_graph *g, lf_tensor **in) { return with_bias(g, in, false, 0.3, 1.5); }
static lf_tensor *build_scale(lf_graph *g, lf_tensor **in) {
    lf_lm_head head = head_of(in, false);
    head.scale = 1.7;
    return lf_lm_loss(g, in[0], &head, labels, 3, 0, NULL);
}
static lf_tensor *build_softcap(lf_graph *g, lf_tensor **in) {
    lf_lm_head head = head_of(in, true);
    head.softcap = 0.7;
    return lf_lm_loss(g, in[0], &head, labels, 3, 0, NULL);
}
static lf_tensor *build_frozen(lf_graph *g, lf_tensor **in) { return with(g, in, true, 0); }
static lf_tensor *build_trained(lf_graph *g, lf_tensor **in) { return with(g, in, false, 0); }
static lf_tensor *build_frozen_smooth(lf_graph *g, lf_tensor **in) {
    return lf_add(g, with(g, in, true, 0.1), with(g, in, true, 0));
}
static lf_tensor *build_trained_smooth(lf_graph *g, lf_tensor **in) {
    return lf_add(g, with(g, in, false, 0.1), with(g, in, false, 0));
}
static lf_tensor *build_no_target(lf_graph *g, lf_tensor **in) {
    const lf_lm_head head = head_of(in, false);
    return lf_lm_loss(g, in[0], &head, none, 1, 0, NULL);
}
/* More rows than a block takes; every third has no target. */
static lf_tensor *build_blocks(lf_graph *g, lf_tensor **in, bool frozen) {
    static int32_t many[MOST_ROWS];
    const lf_lm_head head = head_of(in, frozen);
    for (int32_t i = 0; i < MOST_ROWS; i++) many[i] = i % 3 == 2 ? -100 : i % 2;
    return lf_lm_loss(g, in[0], &head, many, 10, 0, NULL);
}
static lf_tensor *build_blocks_frozen(lf_graph *g, lf_tensor **in) { return build_blocks(g, in, true); }
static lf_tensor *build_blocks_trained(lf_graph *g, lf_tensor **in) { return build_blocks(g, in, false); }

static const lf_op_case cases[] = {
    {"frozen", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_frozen, 1e-7},
    {"frozen, smoothing, two losses", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_frozen_smooth, 1e-7},
    {"trained", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, false}}, build_trained, 1e-7},
    {"trained, smoothing, two losses", 2, {{3, {2, 3, 3}, false}, {2, {7, 3}, false}}, build_trained_smooth, 1e-7},
    {"weight only", 2, {{3, {2, 3, 4}, true}, {2, {5, 4}, false}}, build_trained, 1e-7},
    {"hidden only", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_trained, 1e-7},
    {"one row, one channel", 2, {{2, {1, 1}, false}, {2, {3, 1}, false}}, build_trained, 1e-7},
    {"no target", 2, {{2, {2, 3}, false}, {2, {4, 3}, false}}, build_no_target, 1e-7},
    {"frozen, bias", 3, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}, {1, {5}, false}}, build_frozen_bias, 1e-7},
    {"frozen, constant bias, scale, softcap",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, true}, {1, {5}, true}},
     build_frozen_all,
     1e-7},
    {"frozen, bias, scale, softcap",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, true}, {1, {5}, false}},
     build_frozen_all,
     1e-7},
    {"trained, bias", 3, {{3, {2, 3, 4}, false}, {2, {5, 4}, false}, {1, {5}, false}}, build_trained_bias, 1e-7},
    {"trained, bias, scale, softcap",
     3,
     {{3, {2, 3, 4}, false}, {2, {5, 4}, false}, {1, {5}, false}},
     build_trained_all,
     1e-7},
    {"bias only", 3, {{3, {2, 3, 4}, true}, {2, {5, 4}, true}, {1, {5}, false}}, build_frozen_all, 1e-7},
    {"trained, scale", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, false}}, build_scale, 1e-7},
    {"frozen, softcap", 2, {{3, {2, 3, 4}, false}, {2, {5, 4}, true}}, build_softcap, 1e-7},
    {"blocks, frozen", 2, {{2, {MOST_ROWS, 1}, false}, {2, {2, 1}, true}}, build_blocks_frozen, 1e-7},
    {"blocks, trained", 2, {{2, {MOST_ROWS, 1}, true}, {2, {2, 1}, false}}, build_blocks_trained, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_lm_loss = {.name = "lm_loss",
                             .needs_of = lm_loss_needs,
                             .shape = lm_loss_shape,
                             .forward = lm_loss_forward,
                             .backward = lm_loss_backward,
                             .cases = cases};

lf_tensor *lf_lm_loss(lf_graph *g, lf_tensor *hidden, const lf_lm_head *head, const int32_t *row_labels,
                      double normalizer, double smoothing, lf_lm_counts *counts) {
    const attributes a = {*head, row_labels, normalizer, smoothing, counts};
    return hidden && (head->frozen || head->weight)
               ? lf_graph_apply(g, &lf_op_lm_loss, INPUTS, (lf_tensor *[]){hidden, head->weight, head->bias}, &a,
                                sizeof a)
               : NULL;
}

/* y = x W^T + bias + LoRA, as one op: frozen weights never get a gradient, and the adapter's term rides on the product.
 * Layers over the same x (q, k, v; gate, up) are parts of one node: one product with all their weights, one with all
 * their A.
 *
 * In delta form a part's adapter term is u Bhat^T with Ahat = [A; A - A0] [2r,in], Bhat = [B - B0, B0] [out,2r] and
 * u = scaling x Ahat^T. Backward needs v = scaling dy Bhat:
 *   dx += v Ahat,  dB = dy^T u1,  dA = (v1 + v2)^T x,
 * because u1 = scaling x A^T and v1 + v2 = scaling dy B: the gradients of the residual form W - scaling B0 A0 + scaling
 * B A. The factors of all parts stand together (make_factors), R the sum of the parts' ranks, so that u and v are
 * [rows,R]. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "graph/ops.h"

typedef struct part {
    int64_t out;
    lf_lora *lora;
} part;
typedef struct attributes {
    const lf_frozen *frozen;
    int n;
    part parts[LF_LINEAR_PARTS];
} attributes;
extern const lf_op lf_op_linear;
enum { X, WEIGHT, BIAS, LORA_A, LORA_B, PER_PART = 4 }; /* the first part's; each further one's are PER_PART behind */
enum { U };                                             /* slot of saved: u [rows, R] */

static_assert(1 + PER_PART * LF_LINEAR_PARTS <= LF_MAX_INPUTS, "every part's inputs must fit");

static int input(int kind, int p) { return kind + PER_PART * p; }
static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }
static int64_t rank_of(const lf_lora *l) { return !l ? 0 : l->A0 ? 2 * l->r : l->r; }

/* Where a part's columns begin: of y and dy, and of u and v. */
typedef struct extents {
    int64_t rows, in, out, R;
    int64_t y[LF_LINEAR_PARTS], u[LF_LINEAR_PARTS];
} extents;

static extents extents_of(const lf_node *n) {
    const attributes *a = attributes_of(n);
    extents e = {0};
    for (int p = 0; p < a->n; p++) {
        e.y[p] = e.out;
        e.u[p] = e.R;
        e.out += a->parts[p].out;
        e.R += rank_of(a->parts[p].lora);
    }
    e.in =
        a->frozen ? a->frozen->in : n->in[WEIGHT]->numel / a->parts[0].out; /* a convolution's weight has four dims */
    e.rows = n->in[X]->numel / e.in;
    return e;
}

static void *at(const lf_node *n, const void *activations, int64_t offset) {
    return (void *)((uintptr_t)activations + (uintptr_t)offset * lf_dtype_size(n->in[X]->dtype));
}

static lf_status linear_shape(lf_node *n, lf_err *err) {
    const attributes *a = attributes_of(n);
    const extents e = extents_of(n);
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
static void check(lf_graph *g, bool ok, const extents *e) {
    if (!ok)
        lf_graph_fail(
            g, LF_ENOMEM,
            "linear: a %s product of %lld rows with a weight of %lld x %lld could not be made; out of memory?",
            lf_graph_kernels(g)->precision, (long long)e->rows, (long long)e->out, (long long)e->in);
}

/* ---- rows in blocks ---- */

/* Everything that is done with a block of rows is done before the next: the adapter's thin products are limited by
 * memory, and find x, y, dy and dx in the cache where the frozen product left them. */
enum { BLOCK_BYTES = 8 << 20, ROW_UNIT = 64 };

typedef struct rows {
    int64_t from, n;
} rows;

static int64_t block_rows(const lf_node *n, const extents *e) {
    const int64_t row = (e->in + e->out) * (int64_t)lf_dtype_size(n->in[X]->dtype),
                  most = BLOCK_BYTES / row < ROW_UNIT ? ROW_UNIT : BLOCK_BYTES / row;
    const int64_t blocks = (e->rows + most - 1) / most;
    return blocks < 2 ? e->rows : ((e->rows + blocks - 1) / blocks + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
}

static bool next_block(rows *b, const extents *e, int64_t size) {
    b->from += b->n;
    b->n = e->rows - b->from < size ? e->rows - b->from : size;
    return b->n > 0;
}

/* ---- trained W, bias ---- */

/* A trained weight as activations: itself, or rounded into pool memory (*owned, to be given back). */
static void *weight_of(lf_graph *g, const lf_node *n, int p, void **owned) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const lf_tensor *W = n->in[input(WEIGHT, p)];
    *owned = NULL;
    if (k->act_dtype == k->dtype) return W->data;
    if ((*owned = lf_graph_take(g, k->act_dtype, W->numel))) k->to_act(*owned, false, W->data, W->numel);
    return *owned;
}

static void trained_forward(lf_graph *g, lf_node *n, const extents *e) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const attributes *a = attributes_of(n);
    for (int p = 0; p < a->n; p++) {
        void *owned, *W = weight_of(g, n, p, &owned), *y = at(n, n->out->data, e->y[p]);
        const int64_t out = a->parts[p].out;
        if (W)
            check(g, k->gemm(false, true, e->rows, out, e->in, n->in[X]->data, e->in, W, e->in, false, y, e->out), e);
        if (n->in[input(BIAS, p)]) k->bias(y, e->out, n->in[input(BIAS, p)]->data, e->rows, out);
        lf_graph_give(g, owned);
    }
}

static void trained_backward(lf_graph *g, lf_node *n, const extents *e, void *dx, bool add) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const attributes *a = attributes_of(n);
    bool ignored;
    for (int p = 0; p < a->n; p++) {
        const void *dy = at(n, n->out->grad, e->y[p]);
        const int64_t out = a->parts[p].out;
        void *owned = NULL, *W = dx ? weight_of(g, n, p, &owned) : NULL,
             *dW = lf_grad_out(g, n, input(WEIGHT, p), &ignored);
        if (W) check(g, k->gemm(false, false, e->rows, e->in, out, dy, e->out, W, e->in, add || p > 0, dx, e->in), e);
        if (dW)
            check(g, k->gemm_real(true, false, out, e->in, e->rows, dy, e->out, n->in[X]->data, e->in, true, dW, e->in),
                  e);
        lf_graph_give(g, owned);
    }
}

/* The biases of all parts one after the other, in pool memory; zero where a part has none. NULL: there is none at all.
 */
static void *biases_of(lf_graph *g, const lf_node *n, const extents *e) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_graph_kernels(g)->wide;
    bool any = false;
    for (int p = 0; p < a->n; p++) any = any || n->in[input(BIAS, p)];
    char *all = any ? lf_graph_take(g, k->dtype, e->out) : NULL;
    for (int p = 0; p < a->n && all; p++) {
        const lf_tensor *bias = n->in[input(BIAS, p)];
        char *to = all + (size_t)e->y[p] * lf_dtype_size(k->dtype);
        if (bias)
            memcpy(to, bias->data, (size_t)bias->numel * lf_dtype_size(k->dtype));
        else
            k->fill(to, 0, a->parts[p].out);
    }
    return all;
}

/* ---- adapters ---- */

/* What the adapters multiply with. As activations: Ahat [R,in] of all parts one below the other, and Bhat [out,R], in
 * which a part's stands in its own rows and columns and all else is zero, so that x Ahat^T and dy Bhat are one product
 * each, of rows without gaps, which is what the library is fast at. In real numbers, for what is added: Ahat [R,in],
 * and each part's Bhat^T. Forward reads A_act and B_real, backward B_act and A_real. */
typedef struct factors {
    void *A_act, *B_act, *A_real, *B_real[LF_LINEAR_PARTS], *all;
} factors;

static factors make_factors(lf_graph *g, const lf_node *n, const extents *e, bool backward) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const int64_t A_size = e->R * e->in, B_size = e->out * e->R;
    factors f = {.A_act = lf_graph_take(g, k->act_dtype, A_size),
                 .B_act = lf_graph_take(g, k->act_dtype, B_size),
                 .all = lf_graph_take(g, k->dtype, A_size + B_size)};
    if (!f.A_act || !f.B_act || !f.all) return f;
    f.A_real = f.all;
    char *B_real = (char *)f.all + (size_t)A_size * lf_dtype_size(k->dtype);
    if (a->n > 1 && backward) k->fill(f.B_act, 0, B_size);
    for (int p = 0; p < a->n; p++) {
        const lf_lora *l = a->parts[p].lora;
        if (!l) continue;
        f.B_real[p] = B_real;
        B_real += (size_t)(rank_of(l) * a->parts[p].out) * lf_dtype_size(k->dtype);
        void *A_act = at(n, f.A_act, e->u[p] * e->in), *B_act = at(n, f.B_act, e->y[p] * e->R + e->u[p]);
        char *A_real = (char *)f.A_real + (size_t)(e->u[p] * e->in) * lf_dtype_size(k->dtype);
        const bool dropping = l->dropout > 0 && lf_graph_training(g); /* then dx goes through A_act */
        k->lora_factors(!backward || dropping ? A_act : NULL, backward ? A_real : NULL, backward ? B_act : NULL, e->R,
                        backward ? NULL : f.B_real[p], l->A.data, l->B.data, l->A0, l->B0, l->r, e->in, a->parts[p].out,
                        backward ? 1 : l->scaling, backward ? l->scaling : 1);
    }
    return f;
}

static void give_factors(lf_graph *g, factors f) {
    lf_graph_give(g, f.A_act);
    lf_graph_give(g, f.B_act);
    lf_graph_give(g, f.all);
}

static bool drops(const lf_graph *g, const lf_node *n) {
    const attributes *a = attributes_of(n);
    bool any = false;
    for (int p = 0; p < a->n; p++)
        any = any || (a->parts[p].lora && a->parts[p].lora->dropout > 0 && lf_graph_training(g));
    return any;
}

/* With dropout, each part's adapter sees an x of its own: part p's, in pool memory. */
static lf_rng_key key_of(const lf_node *n, int p) {
    lf_rng_key key = n->key;
    key.k[0] += (uint32_t)p * 0x9e3779b9u;
    return key;
}

static void *dropped_input(lf_graph *g, const lf_node *n, int p) {
    const lf_tensor *x = n->in[X];
    void *xa = lf_graph_take(g, x->dtype, x->numel);
    if (xa)
        lf_kernels_for(g, x)->dropout(xa, false, x->data, x->numel, attributes_of(n)->parts[p].lora->dropout,
                                      key_of(n, p));
    return xa;
}

static void dropped_forward(lf_graph *g, lf_node *n, const extents *e, factors f, void *u) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const attributes *a = attributes_of(n);
    for (int p = 0; p < a->n; p++) {
        if (!a->parts[p].lora) continue;
        void *xa = dropped_input(g, n, p);
        if (xa)
            check(g,
                  k->gemm(false, true, e->rows, rank_of(a->parts[p].lora), e->in, xa, e->in,
                          at(n, f.A_act, e->u[p] * e->in), e->in, false, at(n, u, e->u[p]), e->R),
                  e);
        lf_graph_give(g, xa);
    }
}

/* P = v^T x and dx += v Ahat, part by part. */
static void dropped_backward(lf_graph *g, lf_node *n, const extents *e, factors f, const void *v, char *P, void *dx) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const attributes *a = attributes_of(n);
    for (int p = 0; p < a->n; p++) {
        const lf_lora *l = a->parts[p].lora;
        void *xa = l ? dropped_input(g, n, p) : NULL;
        if (!xa) continue;
        const void *vp = at(n, v, e->u[p]);
        check(g,
              k->gemm_real(true, false, rank_of(l), e->in, e->rows, vp, e->R, xa, e->in, false,
                           P + (size_t)(e->u[p] * e->in) * lf_dtype_size(k->dtype), e->in),
              e);
        if (dx) { /* xa has served; through it to dx */
            check(g,
                  k->gemm(false, false, e->rows, e->in, rank_of(l), vp, e->R, at(n, f.A_act, e->u[p] * e->in), e->in,
                          false, xa, e->in),
                  e);
            k->dropout(dx, true, xa, n->in[X]->numel, l->dropout, key_of(n, p));
        }
        lf_graph_give(g, xa);
    }
}

/* From P = v^T x [R,in] to the parts' dA (in delta form the sum of its two halves), from D = u^T dy [R,out] to their
 * dB. */
static void add_to_factors(lf_graph *g, lf_node *n, const extents *e, const char *P, const char *D) {
    const attributes *a = attributes_of(n);
    const lf_kernels *wide = lf_graph_kernels(g)->wide;
    const size_t size = lf_dtype_size(wide->dtype);
    bool ignored;
    for (int p = 0; p < a->n; p++) {
        const lf_lora *l = a->parts[p].lora;
        void *dA = l ? lf_grad_out(g, n, input(LORA_A, p), &ignored) : NULL,
             *dB = l ? lf_grad_out(g, n, input(LORA_B, p), &ignored) : NULL;
        for (int64_t from = 0; dA && from < rank_of(l); from += l->r)
            wide->axpy(dA, 1, P + (size_t)((e->u[p] + from) * e->in) * size, l->r * e->in);
        if (dB)
            wide->add_transposed(dB, D + (size_t)(e->u[p] * e->out + e->y[p]) * size, e->out, a->parts[p].out, l->r);
    }
}

/* ---- probes ---- */

static bool is_probed(const lf_node *n) {
    const attributes *a = attributes_of(n);
    bool any = false;
    for (int p = 0; p < a->n; p++) any = any || (a->parts[p].lora && a->parts[p].lora->probe);
    return any;
}

/* y [count,out], real: x W^T alone, so also in bf16 free of the bias and of the rounding of the layer's own y. */
static void plain_product(lf_graph *g, const lf_node *n, const extents *e, void *y, const void *x, int64_t count) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const attributes *a = attributes_of(n);
    if (a->frozen) check(g, k->frozen_forward_real(a->frozen, y, x, count), e);
    for (int p = 0; p < a->n && !a->frozen; p++) {
        void *owned, *W = weight_of(g, n, p, &owned);
        char *yp = (char *)y + (size_t)e->y[p] * lf_dtype_size(k->dtype);
        if (W)
            check(g, k->gemm_real(false, true, count, a->parts[p].out, e->in, x, e->in, W, e->in, false, yp, e->out),
                  e);
        lf_graph_give(g, owned);
    }
}

static void add_to_probe(lf_lora_probe *probe, const extents *e, int64_t row, double term, double product) {
    if (product > 0 && !(probe->ignored && probe->n_ignored == e->rows && probe->ignored[row])) {
        probe->sum += sqrt(term / product);
        probe->rows++;
    }
}

/* Of a block of rows. u is what the layer itself multiplies with: of bf16 numbers, and after dropout, if there is any.
 */
static void probe_rows(lf_graph *g, const lf_node *n, const extents *e, factors f, rows b, const void *x,
                       const void *u) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]), *wide = k->wide;
    const attributes *a = attributes_of(n);
    const size_t size = lf_dtype_size(wide->dtype);
    char *y = lf_graph_take(g, wide->dtype, b.n * e->out), *term = lf_graph_take(g, wide->dtype, b.n * e->out);
    char *u_real = lf_graph_take(g, wide->dtype, b.n * e->R);
    if (y && term && u_real) {
        plain_product(g, n, e, y, x, b.n);
        k->to_real(u_real, false, u, b.n * e->R);
        wide->fill(term, 0, b.n * e->out);
    }
    for (int p = 0; p < a->n && y && term && u_real; p++) {
        const lf_lora *l = a->parts[p].lora;
        const int64_t out = a->parts[p].out;
        if (!l || !l->probe) continue;
        wide->low_rank_add(term + (size_t)e->y[p] * size, e->out, u_real + (size_t)e->u[p] * size, e->R, f.B_real[p],
                           out, b.n, out, rank_of(l));
        for (int64_t i = 0; i < b.n; i++) {
            const size_t at = (size_t)(i * e->out + e->y[p]) * size;
            add_to_probe(l->probe, e, b.from + i, wide->sum_squares(term + at, out), wide->sum_squares(y + at, out));
        }
    }
    lf_graph_give(g, u_real);
    lf_graph_give(g, term);
    lf_graph_give(g, y);
}

/* ---- both ---- */

static void linear_forward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const attributes *a = attributes_of(n);
    const extents e = extents_of(n);
    const bool dropping = e.R && drops(g, n), probed = e.R && is_probed(n);
    const factors f = e.R ? make_factors(g, n, &e, false) : (factors){0};
    void *u = e.R ? lf_save(g, n, U, k->act_dtype, e.rows * e.R) : NULL, *bias = a->frozen ? biases_of(g, n, &e) : NULL;
    const bool adapted = f.all && f.A_act && f.B_act && u;
    if (dropping && adapted) dropped_forward(g, n, &e, f, u);
    if (!a->frozen) trained_forward(g, n, &e);
    const int64_t size = e.R ? block_rows(n, &e) : e.rows;
    for (rows b = {0}; next_block(&b, &e, size);) {
        const void *x = at(n, n->in[X]->data, b.from * e.in);
        void *y = at(n, n->out->data, b.from * e.out), *ub = at(n, u, b.from * e.R);
        if (a->frozen) check(g, k->frozen_forward(a->frozen, y, x, b.n, bias), &e);
        if (!adapted) continue;
        if (!dropping) check(g, k->gemm(false, true, b.n, e.R, e.in, x, e.in, f.A_act, e.in, false, ub, e.R), &e);
        for (int p = 0; p < a->n; p++)
            if (a->parts[p].lora)
                k->low_rank_add(at(n, y, e.y[p]), e.out, at(n, ub, e.u[p]), e.R, f.B_real[p], a->parts[p].out, b.n,
                                a->parts[p].out, rank_of(a->parts[p].lora));
        if (probed) probe_rows(g, n, &e, f, b, x, ub);
    }
    lf_graph_give(g, bias);
    give_factors(g, f);
}

static void linear_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[X]);
    const attributes *a = attributes_of(n);
    const extents e = extents_of(n);
    bool add = false, ignored;
    void *dx = lf_grad_out(g, n, X, &add);
    const bool dropping = e.R && drops(g, n);
    const factors f = e.R ? make_factors(g, n, &e, true) : (factors){0};
    void *v = e.R ? lf_graph_take(g, k->act_dtype, e.rows * e.R) : NULL;
    char *P = e.R ? lf_graph_take(g, k->dtype, e.R * e.in) : NULL,
         *D = e.R ? lf_graph_take(g, k->dtype, e.out * e.R) : NULL;
    const bool adapted = f.all && f.A_act && f.B_act && v && P && D;
    if (!a->frozen) trained_backward(g, n, &e, dx, add);
    const int64_t size = e.R ? block_rows(n, &e) : e.rows;
    for (rows b = {0}; next_block(&b, &e, size);) {
        const void *x = at(n, n->in[X]->data, b.from * e.in), *dy = at(n, n->out->grad, b.from * e.out),
                   *ub = at(n, n->saved[U], b.from * e.R);
        void *dxb = dx ? at(n, dx, b.from * e.in) : NULL, *vb = at(n, v, b.from * e.R);
        if (dx && a->frozen) check(g, k->frozen_backward(a->frozen, dxb, dy, b.n, add), &e);
        if (!adapted) continue;
        check(g, k->gemm(false, false, b.n, e.R, e.out, dy, e.out, f.B_act, e.R, false, vb, e.R), &e);
        for (int p = 0; p < a->n; p++) /* only the first half of u is wanted for dB */
            if (a->parts[p].lora)
                check(g,
                      k->low_rank_sum((char *)D + (size_t)(e.u[p] * e.out + e.y[p]) * lf_dtype_size(k->dtype), e.out,
                                      b.from > 0, at(n, ub, e.u[p]), e.R, at(n, dy, e.y[p]), e.out, b.n,
                                      a->parts[p].lora->r, a->parts[p].out),
                      &e);
        if (dropping) continue;
        check(g, k->low_rank_sum(P, e.in, b.from > 0, vb, e.R, x, e.in, b.n, e.R, e.in), &e);
        if (dx) k->low_rank_add(dxb, e.in, vb, e.R, f.A_real, e.in, b.n, e.in, e.R);
    }
    if (dropping && adapted) dropped_backward(g, n, &e, f, v, P, dx);
    if (adapted) add_to_factors(g, n, &e, P, D);
    for (int p = 0; p < a->n; p++) {
        void *db = lf_grad_out(g, n, input(BIAS, p), &ignored);
        if (db) k->column_sums(db, at(n, n->out->grad, e.y[p]), e.out, e.rows, a->parts[p].out);
    }
    lf_graph_give(g, D);
    lf_graph_give(g, P);
    lf_graph_give(g, v);
    give_factors(g, f);
}

/* Only the gradients of W and A read x: behind a frozen weight without an adapter it need not be kept. */
static unsigned linear_needs(const lf_node *n) {
    bool reads = false;
    for (int p = 0; p < attributes_of(n)->n; p++)
        reads = reads || lf_wants_grad(n, input(WEIGHT, p)) || attributes_of(n)->parts[p].lora;
    return reads ? LF_NEEDS(X) : 0;
}

/* ---- cases: x, W, bias, A, B, [A0 and B0 as shifted copies] ---- */

/* The reference's frozen weight is W itself, row-major, so a case can borrow its input. */
static lf_frozen borrowed;
static lf_lora case_lora;
static double A0[2 * 4], B0[3 * 2];

static lf_lora *lora_of(lf_tensor **in, int a, bool delta, double dropout) {
    case_lora = (lf_lora){.r = in[a]->shape[0], .scaling = 1.7, .dropout = dropout, .A = *in[a], .B = *in[a + 1]};
    if (delta) {
        for (int i = 0; i < 8; i++) A0[i] = 0.3 * i - 1;
        for (int i = 0; i < 6; i++) B0[i] = 0.7 - 0.2 * i;
        case_lora.A0 = A0;
        case_lora.B0 = B0;
    }
    return &case_lora;
}
static const lf_frozen *frozen_of(const lf_tensor *W) {
    borrowed = (lf_frozen){.out = W->shape[0], .in = W->shape[1], .data = W->data};
    return &borrowed;
}
/* lf_linear takes the adapter's own tensors; a case's are its inputs, so they are put in their place. */
static lf_tensor *with_lora(lf_graph *g, lf_tensor **in, bool delta, double dropout) {
    lf_lora *l = lora_of(in, 3, delta, dropout);
    const attributes a = {frozen_of(in[1]), 1, {{in[1]->shape[0], l}}};
    return lf_graph_apply(g, &lf_op_linear, 5, (lf_tensor *[]){in[0], NULL, in[2], in[3], in[4]}, &a, sizeof a);
}
static lf_tensor *build_trained(lf_graph *g, lf_tensor **in) { return lf_linear(g, in[0], NULL, in[1], in[2], NULL); }
static lf_tensor *build_no_bias(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_linear(g, in[0], NULL, in[1], NULL, NULL), lf_linear(g, in[0], NULL, in[1], NULL, NULL));
}
static lf_tensor *build_frozen(lf_graph *g, lf_tensor **in) {
    return lf_linear(g, in[0], frozen_of(in[1]), NULL, in[2], NULL);
}
static lf_tensor *build_lora(lf_graph *g, lf_tensor **in) { return with_lora(g, in, false, 0); }
static lf_tensor *build_delta(lf_graph *g, lf_tensor **in) { return with_lora(g, in, true, 0); }
static lf_tensor *build_dropout(lf_graph *g, lf_tensor **in) { return with_lora(g, in, true, 0.4); }

/* Three layers over one x: the second has no adapter and no bias, the third a plain one. W is all their weights. */
static lf_tensor *build_parts(lf_graph *g, lf_tensor **in) {
    static lf_lora plain;
    lf_lora *l = lora_of(in, 3, true, 0);
    plain = (lf_lora){.r = in[5]->shape[0], .scaling = 0.6, .A = *in[5], .B = *in[6]};
    const attributes a = {frozen_of(in[1]), 3, {{3, l}, {2, NULL}, {1, &plain}}};
    return lf_graph_apply(
        g, &lf_op_linear, 13,
        (lf_tensor *[]){in[0], NULL, in[2], in[3], in[4], NULL, NULL, NULL, NULL, NULL, in[7], in[5], in[6]}, &a,
        sizeof a);
}
static lf_tensor *build_parts_dropout(lf_graph *g, lf_tensor **in) {
    static lf_lora plain;
    lf_lora *l = lora_of(in, 3, true, 0.4);
    plain = (lf_lora){.r = in[5]->shape[0], .scaling = 0.6, .dropout = 0.3, .A = *in[5], .B = *in[6]};
    const attributes a = {frozen_of(in[1]), 2, {{3, l}, {3, &plain}}};
    return lf_graph_apply(g, &lf_op_linear, 9,
                          (lf_tensor *[]){in[0], NULL, in[2], in[3], in[4], NULL, NULL, in[5], in[6]}, &a, sizeof a);
}
static lf_tensor *build_parts_trained(lf_graph *g, lf_tensor **in) {
    const lf_linear_part parts[] = {{3, in[1], in[2], NULL}, {2, in[3], NULL, NULL}};
    return lf_linear_parts(g, in[0], NULL, parts, 2);
}

#define X_3D                                                                                                           \
    { 3, {2, 3, 4}, false }
#define W_34(constant)                                                                                                 \
    { 2, {3, 4}, constant }
#define AB                                                                                                             \
    {2, {2, 4}, false}, { 2, {3, 2}, false }
static const lf_op_case cases[] = {
    {"trained", 3, {X_3D, W_34(false), {1, {3}, false}}, build_trained, 1e-8},
    {"trained, used twice", 2, {X_3D, W_34(false)}, build_no_bias, 1e-8},
    {"frozen", 3, {X_3D, W_34(true), {1, {3}, false}}, build_frozen, 1e-8},
    {"lora", 5, {X_3D, W_34(true), {1, {3}, true}, AB}, build_lora, 1e-8},
    {"lora, delta form", 5, {X_3D, W_34(true), {1, {3}, false}, AB}, build_delta, 1e-8},
    {"lora, delta form, dropout", 5, {X_3D, W_34(true), {1, {3}, true}, AB}, build_dropout, 1e-8},
    {"lora, x constant", 5, {{2, {5, 4}, true}, W_34(true), {1, {3}, true}, AB}, build_delta, 1e-8},
    {"three parts",
     8,
     {X_3D, {2, {6, 4}, true}, {1, {3}, false}, AB, {2, {1, 4}, false}, {2, {1, 1}, false}, {1, {1}, false}},
     build_parts,
     1e-8},
    {"two parts, dropout",
     7,
     {X_3D, {2, {6, 4}, true}, {1, {3}, true}, AB, {2, {1, 4}, false}, {2, {3, 1}, false}},
     build_parts_dropout,
     1e-8},
    {"two parts, trained", 4, {X_3D, W_34(false), {1, {3}, false}, {2, {2, 4}, false}}, build_parts_trained, 1e-8},
    {.name = NULL},
};

const lf_op lf_op_linear = {.name = "linear",
                            .needs_of = linear_needs,
                            .shape = linear_shape,
                            .forward = linear_forward,
                            .backward = linear_backward,
                            .cases = cases};

lf_tensor *lf_linear_parts(lf_graph *g, lf_tensor *x, const lf_frozen *frozen, const lf_linear_part *parts, int n) {
    attributes a = {.frozen = frozen, .n = n};
    lf_tensor *in[1 + PER_PART * LF_LINEAR_PARTS] = {x};
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
    return lf_linear_parts(g, x, frozen, &only, 1);
}

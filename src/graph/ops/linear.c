/* y = x W^T + bias + LoRA, as one op: frozen weights never get a gradient, and the adapter's term rides on the product.
 *
 * In delta form the adapter's term is scaling * u Bhat^T with Ahat = [A; A - A0] [2r,in], Bhat = [B - B0, B0] [out,2r] and
 * u = x Ahat^T. Backward needs v = dy Bhat:
 *   dx += scaling * v Ahat,  dB = scaling * dy^T u1,  dA = scaling * (v1 + v2)^T x,
 * because u1 = x A^T and v1 + v2 = dy B: the gradients of the residual form W - scaling B0 A0 + scaling B A. */
#include <string.h>

#include "graph/ops.h"

typedef struct attributes {
    const lf_frozen *frozen;
    lf_lora *lora;
} attributes;
extern const lf_op lf_op_linear;
enum { X, WEIGHT, BIAS, LORA_A, LORA_B };
enum { U }; /* slot of saved: u [rows, rank of the term] */

typedef struct extents { int64_t rows, in, out, r, R; } extents; /* R: 2r in delta form, else r */

static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }

static extents extents_of(const lf_node *n) {
    const attributes *a = attributes_of(n);
    extents e = {.out = a->frozen ? a->frozen->out : n->in[WEIGHT]->shape[0]};
    e.in = a->frozen ? a->frozen->in : n->in[WEIGHT]->numel / e.out; /* a convolution's weight has four dims */
    e.rows = n->in[X]->numel / e.in;
    if (a->lora) {
        e.r = a->lora->r;
        e.R = a->lora->A0 ? 2 * e.r : e.r;
    }
    return e;
}

static lf_status linear_shape(lf_node *n, lf_err *err) {
    const extents e = extents_of(n);
    const lf_tensor *x = n->in[X], *bias = n->in[BIAS], *A = n->in[LORA_A], *B = n->in[LORA_B];
    const int64_t C = x->shape[x->ndim - 1];
    if (C != e.in || (bias && bias->numel != e.out) || (A && A->numel != e.r * e.in) || (B && B->numel != e.out * e.r))
        return lf_fail(err, LF_ESHAPE, "linear: x has last dim %lld, weight is [%lld, %lld], bias %lld, r %lld", (long long)C,
                       (long long)e.out, (long long)e.in, (long long)(bias ? bias->numel : 0), (long long)e.r);
    n->out->ndim = x->ndim;
    memcpy(n->out->shape, x->shape, sizeof n->out->shape);
    n->out->shape[x->ndim - 1] = e.out;
    return LF_OK;
}

/* What the adapter's term multiplies with. In delta form both are put together in pool memory (give_factors). */
typedef struct factors { void *A, *B; bool owned; } factors;

static factors make_factors(lf_graph *g, const lf_lora *l, const extents *e) {
    if (!l->A0) return (factors){l->A.data, l->B.data, false};
    const lf_kernels *k = lf_graph_kernels(g);
    const size_t size = lf_dtype_size(k->dtype);
    factors f = {lf_graph_take(g, e->R * e->in), lf_graph_take(g, e->out * e->R), true};
    if (!f.A || !f.B) return f;
    const size_t half = (size_t)(e->r * e->in) * size, row = (size_t)e->r * size;
    memcpy(f.A, l->A.data, half);
    k->sub((char *)f.A + half, l->A.data, l->A0, e->r * e->in);
    for (int64_t o = 0; o < e->out; o++) {
        char *to = (char *)f.B + (size_t)o * 2 * row;
        const char *B = (const char *)l->B.data + (size_t)o * row, *B0 = (const char *)l->B0 + (size_t)o * row;
        k->sub(to, B, B0, e->r);
        memcpy(to + row, B0, row);
    }
    return f;
}

static void give_factors(lf_graph *g, factors f) {
    if (!f.owned) return;
    lf_graph_give(g, f.A);
    lf_graph_give(g, f.B);
}

/* The x that the adapter sees: itself, or with dropout in pool memory. */
static void *adapter_input(lf_graph *g, const lf_node *n, const lf_lora *l) {
    if (!(l->dropout > 0) || !lf_graph_training(g)) return n->in[X]->data;
    void *x = lf_graph_take(g, n->in[X]->numel);
    if (x) lf_graph_kernels(g)->dropout(x, false, n->in[X]->data, n->in[X]->numel, l->dropout, n->key);
    return x;
}

/* The product with the frozen weight, in the direction asked for: y = x W^T, or dx = or += dy W. */
static void frozen_product(lf_graph *g, const lf_frozen *w, bool backward, void *to, const void *from, int64_t rows, bool add) {
    const lf_kernels *k = lf_graph_kernels(g);
    const int64_t bytes = k->frozen_scratch(w, rows, backward);
    void *scratch = bytes > 0 ? lf_graph_take_bytes(g, bytes) : NULL;
    if (bytes > 0 && !scratch) return;
    const bool ok = bytes >= 0 && (backward ? k->frozen_backward(w, to, from, rows, add, scratch) : k->frozen_forward(w, to, from, rows, scratch));
    if (!ok)
        lf_graph_fail(g, LF_ENOMEM, "linear: a %s product of %lld rows with a weight of %lld x %lld could not be made; out of memory?",
                      k->precision, (long long)rows, (long long)w->out, (long long)w->in);
    lf_graph_give(g, scratch);
}

static void linear_forward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_graph_kernels(g);
    const attributes *a = attributes_of(n);
    const extents e = extents_of(n);
    const void *x = n->in[X]->data;
    void *y = n->out->data;
    if (a->frozen) frozen_product(g, a->frozen, false, y, x, e.rows, false);
    else k->gemm(false, true, e.rows, e.out, e.in, 1, x, e.in, n->in[WEIGHT]->data, e.in, 0, y, e.out);
    if (a->lora) {
        const factors f = make_factors(g, a->lora, &e);
        void *u = lf_save(g, n, U, e.rows * e.R), *xa = adapter_input(g, n, a->lora);
        if (u && xa && f.A && f.B) {
            k->gemm(false, true, e.rows, e.R, e.in, 1, xa, e.in, f.A, e.in, 0, u, e.R);
            k->gemm(false, true, e.rows, e.out, e.R, a->lora->scaling, u, e.R, f.B, e.R, 1, y, e.out);
        }
        if (xa != x) lf_graph_give(g, xa);
        give_factors(g, f);
    }
    if (n->in[BIAS]) k->bias(y, n->in[BIAS]->data, e.rows, e.out);
}

/* v = dy Bhat, then its three uses. dx may be NULL; *add as from lf_grad_out for it. */
static void lora_backward(lf_graph *g, lf_node *n, const extents *e, void *dx) {
    const lf_kernels *k = lf_graph_kernels(g);
    const lf_lora *l = attributes_of(n)->lora;
    const void *dy = n->out->grad, *u = n->saved[U];
    const bool drops = l->dropout > 0 && lf_graph_training(g);
    bool ignored;
    void *dA = lf_grad_out(g, n, LORA_A, &ignored), *dB = lf_grad_out(g, n, LORA_B, &ignored);
    const factors f = make_factors(g, l, e);
    void *v = lf_graph_take(g, e->rows * e->R), *xa = adapter_input(g, n, l);
    void *dxa = dx && drops ? lf_graph_take(g, n->in[X]->numel) : dx;
    if (v && xa && f.A && f.B && (dxa || !dx)) {
        k->gemm(false, false, e->rows, e->R, e->out, 1, dy, e->out, f.B, e->R, 0, v, e->R);
        if (dx) k->gemm(false, false, e->rows, e->in, e->R, l->scaling, v, e->R, f.A, e->in, drops ? 0 : 1, dxa, e->in);
        if (dx && drops) k->dropout(dx, true, dxa, n->in[X]->numel, l->dropout, n->key);
        if (dB) k->gemm(true, false, e->out, e->r, e->rows, l->scaling, dy, e->out, u, e->R, 1, dB, e->r);
        for (int64_t half = 0; dA && half * e->r < e->R; half++) /* (v1 + v2)^T x */
            k->gemm(true, false, e->r, e->in, e->rows, l->scaling,
                    (const char *)v + (size_t)(half * e->r) * lf_dtype_size(k->dtype), e->R, xa, e->in, 1, dA, e->in);
    }
    if (dxa != dx) lf_graph_give(g, dxa);
    if (xa != n->in[X]->data) lf_graph_give(g, xa);
    lf_graph_give(g, v);
    give_factors(g, f);
}

static void linear_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_graph_kernels(g);
    const attributes *a = attributes_of(n);
    const extents e = extents_of(n);
    const void *dy = n->out->grad;
    bool add = false, ignored;
    void *dx = lf_grad_out(g, n, X, &add);
    if (dx && a->frozen) frozen_product(g, a->frozen, true, dx, dy, e.rows, add);
    if (dx && !a->frozen)
        k->gemm(false, false, e.rows, e.in, e.out, 1, dy, e.out, n->in[WEIGHT]->data, e.in, add ? 1 : 0, dx, e.in);
    void *dW = lf_grad_out(g, n, WEIGHT, &ignored), *db = lf_grad_out(g, n, BIAS, &ignored);
    if (dW) k->gemm(true, false, e.out, e.in, e.rows, 1, dy, e.out, n->in[X]->data, e.in, 1, dW, e.in);
    if (db) k->column_sums(db, dy, e.rows, e.out);
    if (a->lora) lora_backward(g, n, &e, dx);
}

/* Only the gradients of W and A read x: behind a frozen weight without an adapter it need not be kept. */
static unsigned linear_needs(const lf_node *n) {
    return lf_wants_grad(n, WEIGHT) || attributes_of(n)->lora ? LF_NEEDS(X) : 0;
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
    const attributes a = {frozen_of(in[1]), l};
    return lf_graph_apply(g, &lf_op_linear, 5, (lf_tensor *[]){in[0], NULL, in[2], in[3], in[4]}, &a, sizeof a);
}
static lf_tensor *build_trained(lf_graph *g, lf_tensor **in) { return lf_linear(g, in[0], NULL, in[1], in[2], NULL); }
static lf_tensor *build_no_bias(lf_graph *g, lf_tensor **in) {
    return lf_add(g, lf_linear(g, in[0], NULL, in[1], NULL, NULL), lf_linear(g, in[0], NULL, in[1], NULL, NULL));
}
static lf_tensor *build_frozen(lf_graph *g, lf_tensor **in) { return lf_linear(g, in[0], frozen_of(in[1]), NULL, in[2], NULL); }
static lf_tensor *build_lora(lf_graph *g, lf_tensor **in) { return with_lora(g, in, false, 0); }
static lf_tensor *build_delta(lf_graph *g, lf_tensor **in) { return with_lora(g, in, true, 0); }
static lf_tensor *build_dropout(lf_graph *g, lf_tensor **in) { return with_lora(g, in, true, 0.4); }

#define X_3D {3, {2, 3, 4}, false}
#define W_34(constant) {2, {3, 4}, constant}
#define AB {2, {2, 4}, false}, {2, {3, 2}, false}
static const lf_op_case cases[] = {
    {"trained", 3, {X_3D, W_34(false), {1, {3}, false}}, build_trained, 1e-8},
    {"trained, used twice", 2, {X_3D, W_34(false)}, build_no_bias, 1e-8},
    {"frozen", 3, {X_3D, W_34(true), {1, {3}, false}}, build_frozen, 1e-8},
    {"lora", 5, {X_3D, W_34(true), {1, {3}, true}, AB}, build_lora, 1e-8},
    {"lora, delta form", 5, {X_3D, W_34(true), {1, {3}, false}, AB}, build_delta, 1e-8},
    {"lora, delta form, dropout", 5, {X_3D, W_34(true), {1, {3}, true}, AB}, build_dropout, 1e-8},
    {"lora, x constant", 5, {{2, {5, 4}, true}, W_34(true), {1, {3}, true}, AB}, build_delta, 1e-8},
    {.name = NULL},
};

const lf_op lf_op_linear = {.name = "linear", .needs_of = linear_needs, .shape = linear_shape, .forward = linear_forward,
                            .backward = linear_backward, .cases = cases};

lf_tensor *lf_linear(lf_graph *g, lf_tensor *x, const lf_frozen *frozen, lf_tensor *weight, lf_tensor *bias, lf_lora *lora) {
    if (!x) return NULL;
    const attributes a = {frozen, lora};
    lf_tensor *in[] = {x, weight, bias, lora ? &lora->A : NULL, lora ? &lora->B : NULL};
    return lf_graph_apply(g, &lf_op_linear, 5, in, &a, sizeof a);
}

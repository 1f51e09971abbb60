/* Columns scaled by magnitudes over the norms of the adapted weight's rows (DoRA), and the biases. The norms come from
 * three small products, |W + s B A|^2 = |W|^2 + 2 s B (A W^T) + s^2 B (A A^T) B^T row by row, so that the sum W + s B A
 * is never made. */
#include <string.h>

#include "graph/ops.h"
#include "graph/view.h"

extern const lf_op lf_op_dora;

typedef struct part {
    int64_t out;
    const lf_lora *lora; /* with a magnitude; NULL: none */
} part;
typedef struct attributes {
    const lf_frozen *frozen;
    int n;
    part parts[LF_GROUP_PARTS];
} attributes;
enum { Z, MAGNITUDE, BIAS, PER_PART = 2 }; /* the first part's; each further one's are PER_PART behind */
enum { FACTORS };                          /* slot of saved: magnitudes and norms, [2,C] real */

static int input(int kind, int p) { return kind + PER_PART * p; }
static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }
static int64_t columns(const lf_node *n) { return n->in[Z]->shape[n->in[Z]->ndim - 1]; }
static int64_t rows(const lf_node *n) { return n->in[Z]->numel / columns(n); }

static lf_status dora_shape(lf_node *n, lf_err *err) {
    const attributes *a = attributes_of(n);
    int64_t out = 0;
    bool fits = true;
    for (int p = 0; p < a->n; p++) {
        const lf_tensor *m = n->in[input(MAGNITUDE, p)], *bias = n->in[input(BIAS, p)];
        out += a->parts[p].out;
        fits = fits && (!m || m->numel == a->parts[p].out) && (!bias || bias->numel == a->parts[p].out);
    }
    if (!fits || out != columns(n) || a->frozen->out != out)
        return lf_fail(err, LF_ESHAPE,
                       "dora: %lld columns, %d parts of %lld, a weight of %lld rows, or a magnitude of another size",
                       (long long)columns(n), a->n, (long long)out, (long long)a->frozen->out);
    n->out->ndim = n->in[Z]->ndim;
    memcpy(n->out->shape, n->in[Z]->shape, sizeof n->out->shape);
    return LF_OK;
}

/* norm [out] of one part, whose rows of W begin at row `at`. False: out of memory; the graph has failed. */
static bool norms(lf_graph *g, const lf_kernels *k, const lf_frozen *W, const lf_lora *l, int64_t at, int64_t out,
                  void *norm) {
    const int64_t r = l->r;
    void *A = lf_graph_take(g, k->act_dtype, r * W->in), *G = lf_graph_take(g, k->dtype, r * r);
    const lf_view P = {lf_graph_take(g, k->dtype, r * W->out), W->out, k->dtype};
    bool ok = A && P.data && G;
    if (ok) {
        k->to_act(A, false, l->A.data, r * W->in);
        ok = k->frozen_forward_real(W, P.data, A, r) &&
             k->wide->gemm(false, true, r, r, W->in, l->A.data, W->in, l->A.data, W->in, false, G, r);
        if (!ok)
            lf_no_memory(lf_graph_failure(g), "dora: the norms of a weight of %lld x %lld", (long long)out,
                         (long long)W->in);
    }
    if (ok) k->row_norms(norm, l->squares, l->B.data, lf_view_at(P, 0, at).data, P.ld, G, out, r, l->scaling);
    lf_graph_give(g, P.data);
    lf_graph_give(g, G);
    lf_graph_give(g, A);
    return ok;
}

/* Magnitudes and norms of all parts side by side; one where there is none. */
static bool fill_factors(lf_graph *g, const lf_node *n, lf_view factors) {
    const lf_kernels *k = lf_kernels_for(g, n->in[Z]);
    const attributes *a = attributes_of(n);
    bool ok = true;
    int64_t at = 0;
    k->wide->fill(factors.data, 1, 2 * factors.ld);
    for (int p = 0; ok && p < a->n; at += a->parts[p++].out) {
        const lf_tensor *m = n->in[input(MAGNITUDE, p)];
        if (!m) continue;
        memcpy(lf_view_at(factors, 0, at).data, m->data, (size_t)m->numel * lf_dtype_size(k->dtype));
        ok = norms(g, k, a->frozen, a->parts[p].lora, at, a->parts[p].out, lf_view_at(factors, 1, at).data);
    }
    return ok;
}

/* The biases of all parts side by side, in pool memory; NULL: there is none. */
static void *biases_of(lf_graph *g, const lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[Z]);
    const attributes *a = attributes_of(n);
    bool any = false;
    int64_t at = 0;
    for (int p = 0; p < a->n; p++) any = any || n->in[input(BIAS, p)];
    const lf_view all = {any ? lf_graph_take(g, k->dtype, columns(n)) : NULL, columns(n), k->dtype};
    if (all.data) k->wide->fill(all.data, 0, all.ld);
    for (int p = 0; all.data && p < a->n; at += a->parts[p++].out) {
        const lf_tensor *bias = n->in[input(BIAS, p)];
        if (bias) memcpy(lf_view_at(all, 0, at).data, bias->data, (size_t)bias->numel * lf_dtype_size(k->dtype));
    }
    return all.data;
}

static void dora_forward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[Z]);
    const int64_t C = columns(n);
    const lf_view factors = {lf_save(g, n, FACTORS, k->dtype, 2 * C), C, k->dtype};
    void *bias = biases_of(g, n);
    if (factors.data && fill_factors(g, n, factors) && !lf_graph_status(g, NULL))
        k->apply_magnitudes(n->out->data, n->in[Z]->data, factors.data, lf_view_at(factors, 1, 0).data, bias, rows(n),
                            C);
    lf_graph_give(g, bias);
}

static void dora_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[Z]);
    const attributes *a = attributes_of(n);
    const int64_t C = columns(n);
    const lf_view factors = {n->saved[FACTORS], C, k->dtype};
    const lf_const_view dy = {n->out->grad, C, k->act_dtype};
    const lf_view dm = {lf_graph_take(g, k->dtype, C), C, k->dtype};
    bool add = false, ignored;
    int64_t at = 0;
    void *dz = lf_grad_out(g, n, Z, &add);
    if (!dm.data) return;
    k->wide->fill(dm.data, 0, C);
    k->apply_magnitudes_backward(dz, add, dm.data, dy.data, n->in[Z]->data, factors.data,
                                 lf_view_at(factors, 1, 0).data, rows(n), C);
    for (int p = 0; p < a->n; at += a->parts[p++].out) {
        void *to = lf_grad_out(g, n, input(MAGNITUDE, p), &ignored), *db = lf_grad_out(g, n, input(BIAS, p), &ignored);
        if (to) k->wide->axpy(to, 1, lf_view_at(dm, 0, at).data, a->parts[p].out);
        if (db) k->column_sums(db, lf_const_view_at(dy, 0, at).data, C, rows(n), a->parts[p].out);
    }
    lf_graph_give(g, dm.data);
}

/* ---- cases: z, then magnitude and bias of each part ---- */

/* Two parts of 3 and 2 columns over a weight of 4; the second has no adapter. */
static lf_tensor *build_parts(lf_graph *g, lf_tensor **in) {
    static double W[5 * 4], A[2 * 4], B[3 * 2], squares[3];
    static lf_lora lora;
    static lf_frozen frozen;
    for (int i = 0; i < 20; i++) W[i] = 0.3 * (i % 7) - 0.8;
    for (int i = 0; i < 8; i++) A[i] = 0.5 - 0.2 * (i % 5);
    for (int i = 0; i < 6; i++) B[i] = 0.4 * (i % 4) - 0.5;
    for (int o = 0; o < 3; o++) {
        squares[o] = 0;
        for (int c = 0; c < 4; c++) squares[o] += W[o * 4 + c] * W[o * 4 + c];
    }
    frozen = (lf_frozen){.out = 5, .in = 4, .data = W, .act_dtype = LF_F64};
    lora = (lf_lora){
        .r = 2, .scaling = 1.3, .squares = squares, .A = {.data = A, .numel = 8}, .B = {.data = B, .numel = 6}};
    const attributes a = {&frozen, 2, {{3, &lora}, {2, NULL}}};
    return lf_graph_apply(g, &lf_op_dora, 5, (lf_tensor *[]){in[0], in[1], in[2], NULL, in[3]}, &a, sizeof a);
}
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) { return lf_add(g, build_parts(g, in), build_parts(g, in)); }

static const lf_op_case cases[] = {
    {"two parts", 4, {{3, {2, 3, 5}, false}, {1, {3}, false}, {1, {3}, false}, {1, {2}, false}}, build_parts, 1e-7},
    {"used twice", 4, {{2, {1, 5}, false}, {1, {3}, false}, {1, {3}, true}, {1, {2}, false}}, build_twice, 1e-7},
    {"magnitude only", 4, {{2, {3, 5}, true}, {1, {3}, false}, {1, {3}, true}, {1, {2}, true}}, build_parts, 1e-7},
    {.name = NULL},
};

const lf_op lf_op_dora = {.name = "dora",
                          .needs = LF_NEEDS(Z),
                          .shape = dora_shape,
                          .forward = dora_forward,
                          .backward = dora_backward,
                          .cases = cases};

lf_tensor *lf_dora(lf_graph *g, lf_tensor *z, const lf_frozen *frozen, const lf_linear_part *parts, int n) {
    attributes a = {.frozen = frozen, .n = n};
    lf_tensor *in[1 + PER_PART * LF_GROUP_PARTS] = {z};
    if (!z) return NULL;
    for (int p = 0; p < n; p++) {
        lf_lora *lora = parts[p].lora;
        const bool scaled = lora && lora->magnitude.data;
        a.parts[p] = (part){parts[p].out, scaled ? lora : NULL};
        in[input(MAGNITUDE, p)] = scaled ? &lora->magnitude : NULL;
        in[input(BIAS, p)] = parts[p].bias;
    }
    return lf_graph_apply(g, &lf_op_dora, 1 + PER_PART * n, in, &a, sizeof a);
}

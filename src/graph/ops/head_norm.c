/* RMS norm of each head of q and of k, with a weight [D] for either; with weights as wide as all heads of q and of k
 * together, those are normed as one. v, behind them, is passed on. Cheap: rstd is kept, the output is made again in
 * backward. */
#include <string.h>

#include "graph/ops.h"
#include "graph/view.h"

typedef struct attributes {
    int64_t heads, kv_heads;
    double epsilon;
} attributes;
enum { QKV, W_Q, W_K };  /* inputs */
enum { RSTD_Q, RSTD_K }; /* slots of saved: [rows, groups] */

/* q and k in a row: what is normed with which weight. groups: of `size` numbers, each normed by itself. */
typedef struct part {
    int weight, rstd;
    int64_t groups, size, begin;
} part;
typedef struct extents {
    int64_t rows, width, D, v; /* v: where the values begin */
    part parts[2];
} extents;

static part part_of(const lf_node *n, int weight, int rstd, int64_t heads, int64_t D, int64_t begin) {
    const bool whole = n->in[weight]->numel == heads * D;
    return (part){weight, rstd, whole ? 1 : heads, whole ? heads * D : D, begin};
}

static extents extents_of(const lf_node *n) {
    const attributes *a = (const void *)n->attributes;
    const lf_tensor *x = n->in[QKV];
    const int64_t width = x->shape[x->ndim - 1], D = width / (a->heads + 2 * a->kv_heads);
    return (extents){
        .rows = x->numel / width,
        .width = width,
        .D = D,
        .v = (a->heads + a->kv_heads) * D,
        .parts = {part_of(n, W_Q, RSTD_Q, a->heads, D, 0), part_of(n, W_K, RSTD_K, a->kv_heads, D, a->heads * D)}};
}

static lf_status head_norm_shape(lf_node *n, lf_err *err) {
    const attributes *a = (const void *)n->attributes;
    const lf_tensor *x = n->in[QKV];
    const extents e = extents_of(n);
    if (x->ndim != 3 || e.width != (a->heads + 2 * a->kv_heads) * e.D || n->in[W_Q]->numel != e.parts[0].size ||
        n->in[W_K]->numel != e.parts[1].size)
        return lf_fail(
            err, LF_ESHAPE,
            "head_norm: %d dims, the last %lld, weights of %lld and %lld; expected [B, T, (%lld + 2 * %lld) * D] and "
            "for either D, or D for each of its heads",
            x->ndim, (long long)e.width, (long long)n->in[W_Q]->numel, (long long)n->in[W_K]->numel,
            (long long)a->heads, (long long)a->kv_heads);
    n->out->ndim = x->ndim;
    memcpy(n->out->shape, x->shape, sizeof n->out->shape);
    return LF_OK;
}

static void head_norm_forward(lf_graph *g, lf_node *n) {
    const attributes *a = (const void *)n->attributes;
    const lf_kernels *k = lf_kernels_for(g, n->in[QKV]);
    const extents e = extents_of(n);
    const lf_view y = {n->out->data, e.width, k->act_dtype};
    const lf_const_view x = {n->in[QKV]->data, e.width, k->act_dtype};
    for (int i = 0; i < 2; i++) {
        const part *p = &e.parts[i];
        void *rstd = lf_save(g, n, p->rstd, k->dtype, e.rows * p->groups);
        if (rstd)
            k->rmsnorm(lf_view_at(y, 0, p->begin).data, rstd, lf_const_view_at(x, 0, p->begin).data,
                       n->in[p->weight]->data, e.rows, p->groups, p->size, e.width, a->epsilon);
    }
    k->copy_columns(lf_view_at(y, 0, e.v).data, false, lf_const_view_at(x, 0, e.v).data, e.width, e.rows,
                    e.width - e.v);
}

static void head_norm_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[QKV]);
    const extents e = extents_of(n);
    const lf_const_view dy = {n->out->grad, e.width, k->act_dtype}, x = {n->in[QKV]->data, e.width, k->act_dtype};
    bool add = false, ignored;
    const lf_view dx = {lf_grad_out(g, n, QKV, &add), e.width, k->act_dtype};
    for (int i = 0; i < 2; i++) {
        const part *p = &e.parts[i];
        void *dw = lf_grad_out(g, n, p->weight, &ignored);
        k->rmsnorm_backward(lf_view_at(dx, 0, p->begin).data, add, dw, lf_const_view_at(dy, 0, p->begin).data,
                            lf_const_view_at(x, 0, p->begin).data, n->saved[p->rstd], n->in[p->weight]->data, e.rows,
                            p->groups, p->size, e.width);
    }
    if (dx.data)
        k->copy_columns(lf_view_at(dx, 0, e.v).data, add, lf_const_view_at(dy, 0, e.v).data, e.width, e.rows,
                        e.width - e.v);
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_head_norm(g, in[0], in[1], in[2], 2, 1, 0.1); }
static lf_tensor *build_pairs(lf_graph *g, lf_tensor **in) { return lf_head_norm(g, in[0], in[1], in[2], 2, 2, 0.1); }
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) {
    return lf_add(g, build(g, in), lf_head_norm(g, in[0], in[1], in[1], 2, 1, 0.1));
}
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *y = build(g, in),
              *z = lf_attention(g, y, &(lf_attention_opts){.heads = 2, .kv_heads = 1, .causal = true});
    lf_done(g, y);
    return z;
}

static const lf_op_case cases[] = {
    {"grouped", 3, {{3, {2, 3, 16}, false}, {1, {4}, false}, {1, {4}, false}}, build, 1e-6},
    {"one row, odd", 3, {{3, {1, 1, 12}, false}, {1, {3}, false}, {1, {3}, false}}, build, 1e-6},
    {"of all heads", 3, {{3, {2, 3, 16}, false}, {1, {8}, false}, {1, {4}, false}}, build, 1e-6},
    {"of all heads, two of either", 3, {{3, {1, 3, 18}, false}, {1, {6}, false}, {1, {6}, false}}, build_pairs, 1e-6},
    {"D = 1", 3, {{3, {1, 3, 4}, false}, {1, {1}, false}, {1, {1}, false}}, build, 1e-6},
    {"frozen weights", 3, {{3, {2, 2, 12}, false}, {1, {3}, true}, {1, {3}, true}}, build, 1e-6},
    {"weights only", 3, {{3, {2, 2, 12}, true}, {1, {3}, false}, {1, {3}, false}}, build, 1e-6},
    {"used twice", 3, {{3, {1, 3, 12}, false}, {1, {3}, false}, {1, {3}, false}}, build_twice, 1e-6},
    {"made again", 3, {{3, {1, 3, 16}, false}, {1, {4}, false}, {1, {4}, false}}, build_again, 1e-6},
    {.name = NULL},
};

const lf_op lf_op_head_norm = {.name = "head_norm",
                               .needs = LF_NEEDS(QKV),
                               .cheap = true,
                               .shape = head_norm_shape,
                               .forward = head_norm_forward,
                               .backward = head_norm_backward,
                               .cases = cases};

lf_tensor *lf_head_norm(lf_graph *g, lf_tensor *qkv, lf_tensor *w_q, lf_tensor *w_k, int64_t heads, int64_t kv_heads,
                        double epsilon) {
    const attributes a = {heads, kv_heads, epsilon};
    return qkv ? lf_graph_apply(g, &lf_op_head_norm, 3, (lf_tensor *[]){qkv, w_q, w_k}, &a, sizeof a) : NULL;
}

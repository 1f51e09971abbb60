/* Rotary position embedding of q and k, or of the first numbers of their heads; v, behind them, is passed on. Cheap:
 * made again in backward, which itself reads no value: the gradient is turned back by the same angles. */
#include <string.h>

#include "graph/ops.h"

typedef struct attributes {
    const float *cosines, *sines;
    const int32_t *positions;
    int64_t turned, heads, kv_heads; /* turned: of each head */
} attributes;

static const attributes *attributes_of(const lf_node *n) { return (const void *)n->attributes; }

static lf_status rope_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[0];
    const attributes *a = attributes_of(n);
    const int64_t width = x->shape[x->ndim - 1], all = a->heads + 2 * a->kv_heads;
    if (x->ndim != 3 || width % all != 0 || a->turned % 2 || a->turned > width / all)
        return lf_fail(err, LF_ESHAPE,
                       "rope: %d dims, the last %lld, of each head %lld turned; expected [B, T, (%lld + 2 * %lld) * D] "
                       "and an even number up to D",
                       x->ndim, (long long)width, (long long)a->turned, (long long)a->heads, (long long)a->kv_heads);
    n->out->ndim = x->ndim;
    memcpy(n->out->shape, x->shape, sizeof n->out->shape);
    return LF_OK;
}

static void turn(lf_graph *g, const lf_node *n, void *y, bool add, const void *x, bool inverse) {
    const attributes *a = attributes_of(n);
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    const int64_t width = n->out->shape[2], rows = n->out->numel / width, D = width / (a->heads + 2 * a->kv_heads);
    const size_t v = (size_t)((a->heads + a->kv_heads) * D) * lf_dtype_size(n->out->dtype);
    k->rope(y, add, x, a->cosines, a->sines, a->positions, inverse, rows, a->heads + a->kv_heads, D, a->turned, width);
    k->copy_columns((char *)y + v, add, (const char *)x + v, width, rows, a->kv_heads * D);
}

static void rope_forward(lf_graph *g, lf_node *n) { turn(g, n, n->out->data, false, n->in[0]->data, false); }

static void rope_backward(lf_graph *g, lf_node *n) {
    bool add;
    void *dx = lf_grad_out(g, n, 0, &add);
    if (dx) turn(g, n, dx, add, n->out->grad, true);
}

static const float cosines[] = {1, 1, 0.5f, -0.8f, 0.3f, 0.9f},
                   sines[] = {0, 0, 0.8f, 0.6f, -0.9f, 0.4f}; /* 3 positions, D = 4 */
static const int32_t positions[] = {2, 0, 1, 1, 2, 0};

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_rope(g, in[0], cosines, sines, positions, 4, 2, 1); }
static lf_tensor *build_pair(lf_graph *g, lf_tensor **in) {
    return lf_rope(g, in[0], cosines, sines, positions, 2, 1, 1);
}
static lf_tensor *build_twice(lf_graph *g, lf_tensor **in) { return lf_add(g, build(g, in), build(g, in)); }
static lf_tensor *build_again(lf_graph *g, lf_tensor **in) {
    lf_tensor *y = build(g, in),
              *z = lf_attention(g, y, &(lf_attention_opts){.heads = 2, .kv_heads = 1, .causal = true});
    lf_done(g, y);
    return z;
}

static const lf_op_case cases[] = {
    {"grouped", 1, {{3, {2, 3, 16}, false}}, build, 1e-8},
    {"a part of each head", 1, {{3, {2, 3, 20}, false}}, build, 1e-8},
    {"one row, D = 2", 1, {{3, {1, 1, 6}, false}}, build_pair, 1e-8},
    {"used twice", 1, {{3, {1, 3, 16}, false}}, build_twice, 1e-8},
    {"made again", 1, {{3, {2, 3, 16}, false}}, build_again, 1e-6},
    {.name = NULL},
};

const lf_op lf_op_rope = {.name = "rope",
                          .cheap = true,
                          .shape = rope_shape,
                          .forward = rope_forward,
                          .backward = rope_backward,
                          .cases = cases};

lf_tensor *lf_rope(lf_graph *g, lf_tensor *qkv, const float *cos_table, const float *sin_table, const int32_t *at,
                   int64_t turned, int64_t heads, int64_t kv_heads) {
    const attributes a = {cos_table, sin_table, at, turned, heads, kv_heads};
    return qkv ? lf_graph_apply(g, &lf_op_rope, 1, &qkv, &a, sizeof a) : NULL;
}

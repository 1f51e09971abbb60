/* Tokens in front of the patches (the class token, distillation, registers), and the position embedding added. */
#include "graph/ops.h"

enum { PATCHES, PREFIX, POSITIONS };

/* Of a node's tensors: tokens in front, and how many of them have a position. */
typedef struct extents {
    int64_t B, N, C, P, K;
} extents;

static extents extents_of(const lf_node *n) {
    const lf_tensor *x = n->in[PATCHES], *prefix = n->in[PREFIX], *pos = n->in[POSITIONS];
    const int64_t N = x->shape[1], C = x->shape[2];
    return (extents){x->shape[0], N, C, prefix ? prefix->numel / C : 0, pos ? pos->numel / C - N : 0};
}

static lf_status embed_tokens_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[PATCHES], *prefix = n->in[PREFIX], *pos = n->in[POSITIONS];
    const int64_t C = x->ndim == 3 ? x->shape[2] : 0;
    const bool whole = C && (!prefix || prefix->numel % C == 0) && (!pos || pos->numel % C == 0);
    const extents e = whole ? extents_of(n) : (extents){0};
    if (!whole || e.K < 0 || e.K > e.P)
        return lf_fail(err, LF_ESHAPE,
                       "embed_tokens: %lld patches of %lld channels, %lld numbers in front, %lld position numbers",
                       (long long)x->shape[1], (long long)x->shape[x->ndim - 1],
                       (long long)(prefix ? prefix->numel : 0), (long long)(pos ? pos->numel : 0));
    n->out->ndim = 3;
    n->out->shape[0] = e.B;
    n->out->shape[1] = e.P + e.N;
    n->out->shape[2] = e.C;
    return LF_OK;
}

static const void *data_of(const lf_tensor *t) { return t ? t->data : NULL; }

static void embed_tokens_forward(lf_graph *g, lf_node *n) {
    const extents e = extents_of(n);
    lf_kernels_for(g, n->in[PATCHES])
        ->embed_tokens(n->out->data, n->in[PATCHES]->data, data_of(n->in[PREFIX]), data_of(n->in[POSITIONS]), e.B, e.N,
                       e.C, e.P, e.K);
}

/* Room for the gradient of a real input, cleared if it is the first. */
static void *real_grad(lf_graph *g, lf_node *n, int i) {
    bool add = true;
    void *d = lf_grad_out(g, n, i, &add);
    if (d && !add) lf_graph_kernels(g)->wide->fill(d, 0, n->in[i]->numel);
    return d;
}

static void embed_tokens_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[PATCHES]);
    const lf_tensor *x = n->in[PATCHES];
    const extents e = extents_of(n);
    bool add = false;
    void *dx = lf_grad_out(g, n, PATCHES, &add), *dprefix = real_grad(g, n, PREFIX), *dpos = real_grad(g, n, POSITIONS);
    void *target = add ? lf_graph_take(g, x->dtype, x->numel) : dx;
    if (add && !target) return;
    k->embed_tokens_backward(target, dprefix, dpos, n->out->grad, e.B, e.N, e.C, e.P, e.K);
    if (add) {
        k->axpy(dx, 1, target, x->numel);
        lf_graph_give(g, target);
    }
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_embed_tokens(g, in[0], in[1], in[2]); }
static lf_tensor *build_alone(lf_graph *g, lf_tensor **in) { return lf_embed_tokens(g, in[0], NULL, in[1]); }
static lf_tensor *build_unplaced(lf_graph *g, lf_tensor **in) { return lf_embed_tokens(g, in[0], in[1], NULL); }
/* Everything used twice, and made by other ops. */
static lf_tensor *build_made(lf_graph *g, lf_tensor **in) {
    lf_tensor *prefix = lf_add(g, in[1], in[1]), *pos = lf_add(g, in[2], in[2]), *x = lf_add(g, in[0], in[0]);
    return lf_add(g, lf_embed_tokens(g, x, prefix, pos), lf_embed_tokens(g, x, prefix, pos));
}

static const lf_op_case cases[] = {
    {"plain", 3, {{3, {2, 3, 4}, false}, {3, {1, 1, 4}, false}, {3, {1, 4, 4}, false}}, build, 1e-9},
    {"patches only", 3, {{3, {1, 1, 3}, false}, {3, {1, 1, 3}, true}, {3, {1, 2, 3}, true}}, build, 1e-9},
    {"position only", 3, {{3, {2, 2, 3}, true}, {3, {1, 1, 3}, true}, {3, {1, 3, 3}, false}}, build, 1e-9},
    {"two in front", 3, {{3, {2, 3, 4}, false}, {2, {2, 4}, false}, {3, {1, 5, 4}, false}}, build, 1e-9},
    {"registers without a place", 3, {{3, {2, 3, 4}, false}, {2, {3, 4}, false}, {3, {1, 4, 4}, false}}, build, 1e-9},
    {"none in front", 2, {{3, {2, 3, 4}, false}, {2, {3, 4}, false}}, build_alone, 1e-9},
    {"no places", 2, {{3, {2, 3, 4}, false}, {1, {4}, false}}, build_unplaced, 1e-9},
    {"made and used twice", 3, {{3, {2, 3, 4}, false}, {3, {1, 1, 4}, false}, {3, {1, 4, 4}, false}}, build_made, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_embed_tokens = {.name = "embed_tokens",
                                  .shape = embed_tokens_shape,
                                  .forward = embed_tokens_forward,
                                  .backward = embed_tokens_backward,
                                  .cases = cases};

lf_tensor *lf_embed_tokens(lf_graph *g, lf_tensor *patches, lf_tensor *prefix, lf_tensor *pos) {
    return patches ? lf_graph_apply(g, &lf_op_embed_tokens, 3, (lf_tensor *[]){patches, prefix, pos}, NULL, 0) : NULL;
}

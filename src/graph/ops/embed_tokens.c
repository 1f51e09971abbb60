/* The class token in front of the patches, and the position embedding added to all. */
#include "graph/ops.h"

static lf_status embed_tokens_shape(lf_node *n, lf_err *err) {
    const lf_tensor *x = n->in[0], *cls = n->in[1], *pos = n->in[2];
    if (x->ndim != 3 || cls->numel != x->shape[2] || pos->numel != (x->shape[1] + 1) * x->shape[2])
        return lf_fail(
            err, LF_ESHAPE, "embed_tokens: %lld patches of %lld channels, class token of %lld, %lld position numbers",
            (long long)x->shape[1], (long long)x->shape[x->ndim - 1], (long long)cls->numel, (long long)pos->numel);
    n->out->ndim = 3;
    n->out->shape[0] = x->shape[0];
    n->out->shape[1] = x->shape[1] + 1;
    n->out->shape[2] = x->shape[2];
    return LF_OK;
}

static void embed_tokens_forward(lf_graph *g, lf_node *n) {
    const lf_tensor *x = n->in[0];
    lf_kernels_for(g, n->in[0])
        ->embed_tokens(n->out->data, x->data, n->in[1]->data, n->in[2]->data, x->shape[0], x->shape[1], x->shape[2]);
}

static void embed_tokens_backward(lf_graph *g, lf_node *n) {
    const lf_kernels *k = lf_kernels_for(g, n->in[0]);
    const lf_tensor *x = n->in[0];
    bool add = false, ignored;
    void *dx = lf_grad_out(g, n, 0, &add), *dcls = lf_grad_out(g, n, 1, &ignored),
         *dpos = lf_grad_out(g, n, 2, &ignored);
    void *target = add ? lf_graph_take(g, x->dtype, x->numel) : dx;
    if (add && !target) return;
    k->embed_tokens_backward(target, dcls, dpos, n->out->grad, x->shape[0], x->shape[1], x->shape[2]);
    if (add) {
        k->axpy(dx, 1, target, x->numel);
        lf_graph_give(g, target);
    }
}

static lf_tensor *build(lf_graph *g, lf_tensor **in) { return lf_embed_tokens(g, in[0], in[1], in[2]); }

static const lf_op_case cases[] = {
    {"plain", 3, {{3, {2, 3, 4}, false}, {3, {1, 1, 4}, false}, {3, {1, 4, 4}, false}}, build, 1e-9},
    {"patches only", 3, {{3, {1, 1, 3}, false}, {3, {1, 1, 3}, true}, {3, {1, 2, 3}, true}}, build, 1e-9},
    {"position only", 3, {{3, {2, 2, 3}, true}, {3, {1, 1, 3}, true}, {3, {1, 3, 3}, false}}, build, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_embed_tokens = {.name = "embed_tokens",
                                  .shape = embed_tokens_shape,
                                  .forward = embed_tokens_forward,
                                  .backward = embed_tokens_backward,
                                  .cases = cases};

lf_tensor *lf_embed_tokens(lf_graph *g, lf_tensor *patches, lf_tensor *cls, lf_tensor *pos) {
    return patches ? lf_graph_apply(g, &lf_op_embed_tokens, 3, (lf_tensor *[]){patches, cls, pos}, NULL, 0) : NULL;
}

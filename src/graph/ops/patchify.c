/* Pictures to rows of patches, so that the patch embedding's convolution is a linear layer. The pixels are floats of
 * the loader, not a tensor of the tape: they never want a gradient. */
#include "graph/ops.h"

typedef struct attributes {
    const float *pixels;
    int64_t B, channels, H, W, P;
} attributes;

static lf_status patchify_shape(lf_node *n, lf_err *err) {
    const attributes *a = (const void *)n->attributes;
    if (a->P < 1 || a->H % a->P || a->W % a->P)
        return lf_fail(err, LF_ESHAPE, "patchify: a picture of %lld x %lld does not divide into patches of %lld",
                       (long long)a->H, (long long)a->W, (long long)a->P);
    n->out->ndim = 3;
    n->out->shape[0] = a->B;
    n->out->shape[1] = (a->H / a->P) * (a->W / a->P);
    n->out->shape[2] = a->channels * a->P * a->P;
    return LF_OK;
}

static void patchify_forward(lf_graph *g, lf_node *n) {
    const attributes *a = (const void *)n->attributes;
    lf_graph_kernels(g)->patchify(n->out->data, a->pixels, a->B, a->channels, a->H, a->W, a->P);
}

static void patchify_backward(lf_graph *g, lf_node *n) {
    (void)g, (void)n;
} /* never reached: no input wants a gradient */

/* The product with a trained weight behind it checks that the patches arrive where they should. */
static lf_tensor *build(lf_graph *g, lf_tensor **in) {
    static const float pixels[2 * 2 * 4 * 6] = {0.5f, -1, 2, 0.25f, 3, -2, 1, 1.5f, -0.5f, 4, 0, 2.5f};
    return lf_linear(g, lf_patchify(g, pixels, 2, 2, 4, 6, 2), NULL, in[0], NULL, NULL);
}

static const lf_op_case cases[] = {
    {"into a linear layer", 1, {{2, {3, 8}, false}}, build, 1e-9},
    {.name = NULL},
};

const lf_op lf_op_patchify = {.name = "patchify",
                              .shape = patchify_shape,
                              .forward = patchify_forward,
                              .backward = patchify_backward,
                              .cases = cases};

lf_tensor *lf_patchify(lf_graph *g, const float *pixels, int64_t B, int64_t channels, int64_t H, int64_t W, int64_t P) {
    const attributes a = {pixels, B, channels, H, W, P};
    return lf_graph_apply(g, &lf_op_patchify, 0, NULL, &a, sizeof a);
}

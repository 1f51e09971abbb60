/* A frozen weight as one row-major copy, which all libraries multiply by either way. */

static int64_t plain_size(int64_t out, int64_t in) { return out * in * (int64_t)sizeof(act); }

static bool plain_prepare(lf_frozen *w, const float *W) {
    act *to = w->data;
    for (int64_t i = 0; i < w->out * w->in; i++) to[i] = ST(W[i]);
    return true;
}

static bool plain_restore(const lf_frozen *w, float *W) {
    const act *from = w->data;
    for (int64_t i = 0; i < w->out * w->in; i++) W[i] = LD(from[i]);
    return true;
}

static bool plain_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, const void *bias) {
    return product((lf_product){.out_bf16 = FAST_BF16,
                                .transpose_b = true,
                                .M = rows,
                                .N = w->out,
                                .K = w->in,
                                .lda = w->in,
                                .ldb = w->in,
                                .ldc = w->out,
                                .bias = bias},
                   x, w->data, y);
}

static bool plain_forward_real(const lf_frozen *w, void *y, const void *x, int64_t rows) {
    return gemm_real(false, true, rows, w->out, w->in, x, w->in, w->data, w->in, false, y, w->out);
}

static bool plain_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add) {
    return gemm(false, false, rows, w->in, w->out, dy, w->out, w->data, w->in, add, dx, w->in);
}

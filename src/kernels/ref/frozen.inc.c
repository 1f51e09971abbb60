/* Frozen weights: the definition of each format (kernels/frozen.def) that has numbers of its own. */

static int64_t plain_size(int64_t out, int64_t in) { return out * in * (int64_t)sizeof(act); }

static bool plain_prepare(lf_frozen *w, const float *W) {
    act *data = w->data;
    for (int64_t i = 0; i < w->out * w->in; i++) data[i] = ST((double)W[i]);
    return true;
}

static bool plain_restore(const lf_frozen *w, float *W) {
    const act *data = w->data;
    for (int64_t i = 0; i < w->out * w->in; i++) W[i] = (float)LD(data[i]);
    return true;
}

static bool plain_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, const void *bias_) {
    const real *b = bias_;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t o = 0; o < w->out; o++)
            store((act *)y + row * w->out + o, false,
                  product_entry(false, true, row, o, w->in, x, w->in, w->data, w->in) + (b ? (double)b[o] : 0));
    return true;
}

static bool plain_forward_real(const lf_frozen *w, void *y, const void *x, int64_t rows) {
    return gemm_real(false, true, rows, w->out, w->in, x, w->in, w->data, w->in, false, y, w->out);
}

static bool plain_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add) {
    return gemm(false, false, rows, w->in, w->out, dy, w->out, w->data, w->in, add, dx, w->in);
}

#include "kernels/ref/int8.inc.c"

#define FLOATS_TABLE lf_kernels_ref_f32
#include "kernels/frozen_int8.inc.c"

/* The columns of y [rows, .., ldy apart] that a panel [n,K] of a weight's rows makes, as act or real. */
static bool multiply_panel(void *y, int64_t ldy, bool as_real, const void *x, int64_t K, const void *panel,
                           int64_t rows, int64_t n, const real *bias) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t o = 0; o < n; o++) {
            const double value = product_entry(false, true, row, o, K, x, K, panel, K) + (bias ? (double)bias[o] : 0);
            if (as_real)
                store_real((real *)y + row * ldy + o, false, value);
            else
                store((act *)y + row * ldy + o, false, value);
        }
    return true;
}

#include "kernels/frozen_nf4.inc.c"

#define FROZEN_FORMATS                                                                                                 \
    FROZEN_FORMAT(PLAIN, plain), FROZEN_FORMAT(INT8, int8), FROZEN_FORMAT(INT8_BLOCKS, int8), FROZEN_FORMAT(NF4, nf4)
#include "kernels/frozen.inc.c"

/* Frozen products in bf16 for processors that cannot multiply it: inputs are rounded to bf16, products and sums are fp32.
 * The definition that oneDNN's are checked against; right, and slow. Weights are row-major, one copy. */
#include "kernels/bf16.h"

/* Numbers of a row that are rounded at a time; sums that a dot product is cut into, so that it becomes vectors. */
enum { PIECE = 1024, LANES = 16 };
enum { SERIAL_BELOW = 32768 }; /* threads cost a few microseconds */

static bool worth_threads(const lf_frozen *w, int64_t rows) { return rows * w->out * w->in > SERIAL_BELOW; }

static inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

static void round_to_bf16(float *restrict y, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = lf_bf16_to_f32(lf_f32_to_bf16(x[i]));
}

static inline float widened(uint16_t h) {
    const union { uint32_t bits; float value; } u = {(uint32_t)h << 16};
    return u.value;
}

static float dot(const float *restrict x, const uint16_t *restrict w, int64_t n) {
    float lanes[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lanes[l] += x[i + l] * widened(w[i + l]);
    for (; i < n; i++) sum += x[i] * widened(w[i]);
    for (int l = 0; l < LANES; l++) sum += lanes[l];
    return sum;
}

static int64_t frozen_size(int64_t out, int64_t in) { return out * in * (int64_t)sizeof(uint16_t); }

static bool frozen_prepare(lf_frozen *w, const float *W) {
    lf_from_f32(w->data, LF_BF16, W, w->out * w->in);
    return true;
}

static bool frozen_restore(const lf_frozen *w, float *W) {
    lf_to_f32(W, w->data, LF_BF16, w->out * w->in);
    return true;
}

static int64_t frozen_scratch(const lf_frozen *w, int64_t rows, bool backward) {
    (void)w;
    (void)rows;
    (void)backward;
    return 0;
}

static void forward_row(const lf_frozen *w, float *restrict y, const float *restrict x) {
    const uint16_t *W = w->data;
    float piece[PIECE];
    for (int64_t o = 0; o < w->out; o++) y[o] = 0;
    for (int64_t from = 0; from < w->in; from += PIECE) {
        const int64_t n = at_most(PIECE, w->in - from);
        round_to_bf16(piece, x + from, n);
        for (int64_t o = 0; o < w->out; o++) y[o] += dot(piece, W + o * w->in + from, n);
    }
}

static bool frozen_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, void *scratch) {
    (void)scratch;
#pragma omp parallel for schedule(static) num_threads(lf_threads()) if (worth_threads(w, rows))
    for (int64_t row = 0; row < rows; row++) forward_row(w, (float *)y + row * w->out, (const float *)x + row * w->in);
    return true;
}

static void backward_row(const lf_frozen *w, float *restrict dx, const float *restrict dy, bool add) {
    for (int64_t i = 0; i < w->in && !add; i++) dx[i] = 0;
    for (int64_t o = 0; o < w->out; o++) {
        const uint16_t *restrict W = (const uint16_t *)w->data + o * w->in;
        float d;
        round_to_bf16(&d, dy + o, 1);
        for (int64_t i = 0; i < w->in; i++) dx[i] += d * widened(W[i]);
    }
}

static bool frozen_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add, void *scratch) {
    (void)scratch;
#pragma omp parallel for schedule(static) num_threads(lf_threads()) if (worth_threads(w, rows))
    for (int64_t row = 0; row < rows; row++)
        backward_row(w, (float *)dx + row * w->in, (const float *)dy + row * w->out, add);
    return true;
}

void lf_bf16_reference(lf_kernels *table) {
    table->precision = "bf16";
    table->frozen_exact = false;
    table->frozen_size = frozen_size;
    table->frozen_prepare = frozen_prepare;
    table->frozen_restore = frozen_restore;
    table->frozen_scratch = frozen_scratch;
    table->frozen_forward = frozen_forward;
    table->frozen_backward = frozen_backward;
}

/* The plain reference: the definition of every kernel, over numbers of type `real`. Included once for double and once
 * for float, by files that define
 *   real             the type of the buffers
 *   REF_DTYPE        its lf_dtype
 *   REF_TABLE        the lf_kernels to define
 * Everything is sequential and computed in double; only what is stored is rounded to `real`. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

/* ---- products -------------------------------------------------------------------------------------------------- */

static void gemm(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, double alpha, const void *A_,
                 int64_t lda, const void *B_, int64_t ldb, double beta, void *C_, int64_t ldc) {
    const real *A = A_, *B = B_;
    real *C = C_;
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            double sum = 0;
            for (int64_t k = 0; k < K; k++) {
                const double a = transpose_a ? A[k * lda + i] : A[i * lda + k];
                const double b = transpose_b ? B[j * ldb + k] : B[k * ldb + j];
                sum += a * b;
            }
            C[i * ldc + j] = (real)(alpha * sum + (beta == 0 ? 0 : beta * C[i * ldc + j]));
        }
}

static int64_t frozen_size(int64_t out, int64_t in) { return out * in * (int64_t)sizeof(real); }

static bool frozen_prepare(lf_frozen *w, const float *W) {
    real *data = w->data;
    for (int64_t i = 0; i < w->out * w->in; i++) data[i] = (real)W[i];
    return true;
}

static bool frozen_restore(const lf_frozen *w, float *W) {
    const real *data = w->data;
    for (int64_t i = 0; i < w->out * w->in; i++) W[i] = (float)data[i];
    return true;
}

static int64_t frozen_scratch(const lf_frozen *w, int64_t rows, bool backward) {
    (void)w;
    (void)rows;
    (void)backward;
    return 0;
}

static bool frozen_forward(const lf_frozen *w, void *y, const void *x, int64_t rows, void *scratch) {
    (void)scratch;
    gemm(false, true, rows, w->out, w->in, 1, x, w->in, w->data, w->in, 0, y, w->out);
    return true;
}

static bool frozen_backward(const lf_frozen *w, void *dx, const void *dy, int64_t rows, bool add, void *scratch) {
    (void)scratch;
    gemm(false, false, rows, w->in, w->out, 1, dy, w->out, w->data, w->in, add, dx, w->in);
    return true;
}

/* ---- elementwise and sums --------------------------------------------------------------------------------------- */

static void fill(void *y_, double value, int64_t n) {
    real *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] = (real)value;
}

static void from_f32(void *y_, const float *x, int64_t n) {
    real *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] = (real)x[i];
}

static void to_f32(float *y, const void *x_, int64_t n) {
    const real *x = x_;
    for (int64_t i = 0; i < n; i++) y[i] = (float)x[i];
}

static void add_arrays(void *y_, const void *a_, const void *b_, int64_t n) {
    real *y = y_;
    const real *a = a_, *b = b_;
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void axpy(void *y_, double alpha, const void *x_, int64_t n) {
    real *y = y_;
    const real *x = x_;
    for (int64_t i = 0; i < n; i++) y[i] = (real)(y[i] + alpha * x[i]);
}

static void sub_arrays(void *y_, const void *a_, const void *b_, int64_t n) {
    real *y = y_;
    const real *a = a_, *b = b_;
    for (int64_t i = 0; i < n; i++) y[i] = a[i] - b[i];
}

static void bias(void *y_, const void *b_, int64_t rows, int64_t C) {
    real *y = y_;
    const real *b = b_;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < C; c++) y[row * C + c] += b[c];
}

static void column_sums(void *db_, const void *dy_, int64_t rows, int64_t C) {
    real *db = db_;
    const real *dy = dy_;
    for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        for (int64_t row = 0; row < rows; row++) sum += dy[row * C + c];
        db[c] = (real)(db[c] + sum);
    }
}

static double sum_squares(const void *x_, int64_t n) {
    const real *x = x_;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum;
}

/* y or y + value, rounded */
static void store(real *y, bool add, double value) { *y = (real)(add ? *y + value : value); }

/* ---- layer norm -------------------------------------------------------------------------------------------------- */

static void layernorm(void *y_, void *mean_, void *rstd_, const void *x_, const void *w_, const void *b_, int64_t rows,
                      int64_t C, double epsilon) {
    real *mean = mean_, *rstd = rstd_;
    const real *w = w_, *b = b_;
    for (int64_t row = 0; row < rows; row++) {
        real *y = (real *)y_ + row * C;
        const real *x = (const real *)x_ + row * C;
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < C; c++) sum += x[c];
        const double m = sum / (double)C;
        for (int64_t c = 0; c < C; c++) squares += (x[c] - m) * (x[c] - m);
        const double r = 1 / sqrt(squares / (double)C + epsilon);
        for (int64_t c = 0; c < C; c++) y[c] = (real)((x[c] - m) * r * w[c] + b[c]);
        mean[row] = (real)m;
        rstd[row] = (real)r;
    }
}

/* With n = (x - mean) rstd and g = dy w: dx = rstd (g - mean(g) - n mean(g n)). */
static void layernorm_backward(void *dx_, bool add, void *dw_, void *db_, const void *dy_, const void *x_,
                               const void *mean_, const void *rstd_, const void *w_, int64_t rows, int64_t C) {
    real *dx = dx_, *dw = dw_, *db = db_;
    const real *dy = dy_, *x = x_, *mean = mean_, *rstd = rstd_, *w = w_;
    for (int64_t row = 0; dx && row < rows; row++) {
        double sum_g = 0, sum_gn = 0;
        for (int64_t c = 0; c < C; c++) {
            const double g = (double)dy[row * C + c] * w[c];
            const double n = ((double)x[row * C + c] - mean[row]) * rstd[row];
            sum_g += g;
            sum_gn += g * n;
        }
        for (int64_t c = 0; c < C; c++) {
            const double g = (double)dy[row * C + c] * w[c];
            const double n = ((double)x[row * C + c] - mean[row]) * rstd[row];
            store(&dx[row * C + c], add, rstd[row] * (g - sum_g / (double)C - n * sum_gn / (double)C));
        }
    }
    for (int64_t c = 0; c < C; c++) {
        double sum_w = 0, sum_b = 0;
        for (int64_t row = 0; row < rows; row++) {
            const double n = ((double)x[row * C + c] - mean[row]) * rstd[row];
            sum_w += dy[row * C + c] * n;
            sum_b += dy[row * C + c];
        }
        if (dw) store(&dw[c], true, sum_w);
        if (db) store(&db[c], true, sum_b);
    }
}

/* ---- GELU -------------------------------------------------------------------------------------------------------- */

static const double sqrt_half = 0.70710678118654752440, sqrt_2_over_pi = 0.79788456080286535588;
static const double one_over_sqrt_2pi = 0.39894228040143267794, gelu_cubic = 0.044715;

static void gelu(void *y_, const void *x_, int64_t n, bool tanh_form) {
    real *y = y_;
    for (int64_t i = 0; i < n; i++) {
        const double x = ((const real *)x_)[i];
        y[i] = (real)(0.5 * x * (tanh_form ? 1 + tanh(sqrt_2_over_pi * (x + gelu_cubic * x * x * x))
                                           : erfc(-sqrt_half * x))); /* 1 + erf, without its cancellation */
    }
}

static void gelu_backward(void *dx_, bool add, const void *dy_, const void *x_, int64_t n, bool tanh_form) {
    real *dx = dx_;
    const real *dy = dy_;
    for (int64_t i = 0; i < n; i++) {
        const double x = ((const real *)x_)[i];
        double slope;
        if (tanh_form) {
            const double t = tanh(sqrt_2_over_pi * (x + gelu_cubic * x * x * x));
            slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt_2_over_pi * (1 + 3 * gelu_cubic * x * x);
        } else {
            slope = 0.5 * erfc(-sqrt_half * x) + x * one_over_sqrt_2pi * exp(-0.5 * x * x);
        }
        store(&dx[i], add, dy[i] * slope);
    }
}

/* ---- dropout ----------------------------------------------------------------------------------------------------- */

/* What entry `index` is multiplied by. p = 1 drops everything, so there is nothing to divide by. */
static double dropout_factor(double p, lf_rng_key key, int64_t index) {
    return lf_rng_u32(key, (uint64_t)index) >= p * 0x1p32 ? 1 / (1 - p) : 0;
}

static void dropout(void *y_, bool add, const void *x_, int64_t n, double p, lf_rng_key key) {
    real *y = y_;
    const real *x = x_;
    for (int64_t i = 0; i < n; i++) store(&y[i], add, x[i] * dropout_factor(p, key, i));
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

static double dot(const real *a, const real *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

static double attention_dropout(const lf_attention_dims *d, int64_t b, int64_t h, int64_t i, int64_t j) {
    return d->dropout > 0 ? dropout_factor(d->dropout, d->key, ((b * d->H + h) * d->T + i) * d->T + j) : 1;
}

/* One row of scores, of probabilities. */
static int64_t attention_scratch(const lf_attention_dims *d) { return d->T * (int64_t)sizeof(double); }

/* o_i = sum_j keep_ij p_ij v_j for one query; p_i is left in p. */
static void attend(real *o, real *lse, double *p, const real *q, const real *k, const real *v,
                   const lf_attention_dims *d, int64_t b, int64_t h, int64_t i) {
    const int64_t n = d->causal ? i + 1 : d->T;
    double max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) {
        p[j] = d->scale * dot(q, k + j * d->ldkv, d->D);
        max = p[j] > max ? p[j] : max;
    }
    for (int64_t j = 0; j < n; j++) sum += exp(p[j] - max);
    for (int64_t j = 0; j < n; j++) p[j] = exp(p[j] - max) / sum * attention_dropout(d, b, h, i, j);
    for (int64_t c = 0; c < d->D; c++) {
        double total = 0;
        for (int64_t j = 0; j < n; j++) total += p[j] * v[j * d->ldkv + c];
        o[c] = (real)total;
    }
    *lse = (real)(max + log(sum));
}

static void attention(void *o_, void *lse_, const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                      void *scratch) {
    for (int64_t b = 0; b < d->B; b++)
        for (int64_t h = 0; h < d->H; h++) {
            const int64_t kv = b * d->T * d->ldkv + h / (d->H / d->Hkv) * d->D;
            for (int64_t i = 0; i < d->T; i++)
                attend((real *)o_ + (b * d->T + i) * d->ldo + h * d->D, (real *)lse_ + (b * d->H + h) * d->T + i, scratch,
                       (const real *)q_ + (b * d->T + i) * d->ldq + h * d->D, (const real *)k_ + kv,
                       (const real *)v_ + kv, d, b, h, i);
        }
}

/* Adds what query i of head h gives to dk, dv of all keys, and writes its dq. ds_ij = p_ij (keep_ij do_i.v_j - do_i.o_i). */
static void attend_backward(real *dq, real *dk, real *dv, const real *dout, const real *o, double lse, const real *q,
                            const real *k, const real *v, const lf_attention_dims *d, int64_t b, int64_t h, int64_t i) {
    const int64_t n = d->causal ? i + 1 : d->T;
    const double delta = dot(dout, o, d->D);
    for (int64_t j = 0; j < n; j++) {
        const real *kj = k + j * d->ldkv, *vj = v + j * d->ldkv;
        const double p = exp(d->scale * dot(q, kj, d->D) - lse), keep = attention_dropout(d, b, h, i, j);
        const double ds = d->scale * p * (keep * dot(dout, vj, d->D) - delta);
        for (int64_t c = 0; c < d->D; c++) {
            store(&dq[c], true, ds * kj[c]);
            store(&dk[j * d->ldkv + c], true, ds * q[c]);
            store(&dv[j * d->ldkv + c], true, keep * p * dout[c]);
        }
    }
}

static void zero_rows(real *x, int64_t rows, int64_t columns, int64_t stride) {
    for (int64_t row = 0; row < rows; row++) fill(x + row * stride, 0, columns);
}

static void attention_backward(void *dq_, void *dk_, void *dv_, const void *dout_, const void *o_, const void *lse_,
                               const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                               void *scratch) {
    (void)scratch;
    zero_rows(dq_, d->B * d->T, d->H * d->D, d->ldq);
    zero_rows(dk_, d->B * d->T, d->Hkv * d->D, d->ldkv);
    zero_rows(dv_, d->B * d->T, d->Hkv * d->D, d->ldkv);
    for (int64_t b = 0; b < d->B; b++)
        for (int64_t h = 0; h < d->H; h++) {
            const int64_t kv = b * d->T * d->ldkv + h / (d->H / d->Hkv) * d->D;
            for (int64_t i = 0; i < d->T; i++) {
                const int64_t qi = (b * d->T + i) * d->ldq + h * d->D, oi = (b * d->T + i) * d->ldo + h * d->D;
                attend_backward((real *)dq_ + qi, (real *)dk_ + kv, (real *)dv_ + kv, (const real *)dout_ + oi,
                                (const real *)o_ + oi, ((const real *)lse_)[(b * d->H + h) * d->T + i],
                                (const real *)q_ + qi, (const real *)k_ + kv, (const real *)v_ + kv, d, b, h, i);
            }
        }
}

/* ---- tokens of a picture ----------------------------------------------------------------------------------------- */

static void patchify(void *patches, const float *pixels, int64_t B, int64_t channels, int64_t H, int64_t W, int64_t P) {
    real *out = patches;
    for (int64_t b = 0; b < B; b++)
        for (int64_t row = 0; row < H / P; row++)
            for (int64_t column = 0; column < W / P; column++)
                for (int64_t c = 0; c < channels; c++)
                    for (int64_t y = 0; y < P; y++)
                        for (int64_t x = 0; x < P; x++)
                            *out++ = (real)pixels[((b * channels + c) * H + row * P + y) * W + column * P + x];
}

static void embed_tokens(void *x_, const void *patches, const void *cls, const void *pos_, int64_t B, int64_t N,
                         int64_t C) {
    real *x = x_;
    const real *pos = pos_;
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0; t <= N; t++) {
            const real *token = t == 0 ? cls : (const real *)patches + (b * N + t - 1) * C;
            for (int64_t c = 0; c < C; c++) x[(b * (N + 1) + t) * C + c] = token[c] + pos[t * C + c];
        }
}

static void embed_tokens_backward(void *dpatches_, void *dcls_, void *dpos_, const void *dx_, int64_t B, int64_t N,
                                  int64_t C) {
    real *dpatches = dpatches_, *dcls = dcls_, *dpos = dpos_;
    for (int64_t t = 0; t <= N; t++)
        for (int64_t c = 0; c < C; c++) {
            double sum = 0;
            for (int64_t b = 0; b < B; b++) {
                const real dx = ((const real *)dx_)[(b * (N + 1) + t) * C + c];
                if (dpatches && t > 0) dpatches[(b * N + t - 1) * C + c] = dx;
                sum += dx;
            }
            if (dcls && t == 0) store(&dcls[c], true, sum);
            if (dpos) store(&dpos[t * C + c], true, sum);
        }
}

static void select_token(void *y, const void *x_, int64_t B, int64_t T, int64_t C, int64_t t) {
    const real *x = x_;
    for (int64_t b = 0; b < B; b++) memcpy((real *)y + b * C, x + (b * T + t) * C, (size_t)C * sizeof(real));
}

static void select_token_backward(void *dx_, bool add, const void *dy_, int64_t B, int64_t T, int64_t C, int64_t t) {
    real *dx = dx_;
    const real *dy = dy_;
    if (!add) fill(dx, 0, B * T * C);
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++) dx[(b * T + t) * C + c] += dy[b * C + c];
}

/* ---- loss -------------------------------------------------------------------------------------------------------- */

static double cross_entropy(void *lse_, const void *logits, const int32_t *labels, int64_t rows, int64_t V,
                            double smoothing) {
    real *lse = lse_;
    double loss = 0;
    for (int64_t row = 0; row < rows; row++) {
        const real *x = (const real *)logits + row * V;
        double max = -INFINITY, sum = 0, total = 0;
        for (int64_t v = 0; v < V; v++) max = x[v] > max ? x[v] : max;
        for (int64_t v = 0; v < V; v++) {
            sum += exp(x[v] - max);
            total += x[v];
        }
        const double log_sum = max + log(sum);
        lse[row] = (real)log_sum;
        if (labels[row] < 0) continue;
        assert(labels[row] < V);
        loss += (1 - smoothing) * (log_sum - x[labels[row]]);
        if (smoothing > 0) loss += smoothing * (log_sum - total / (double)V);
    }
    return loss;
}

static void cross_entropy_backward(void *dlogits, bool add, double dloss, const void *lse, const void *logits,
                                   const int32_t *labels, int64_t rows, int64_t V, double smoothing) {
    for (int64_t row = 0; row < rows; row++) {
        real *dx = (real *)dlogits + row * V;
        const real *x = (const real *)logits + row * V;
        for (int64_t v = 0; v < V; v++) {
            const double p = exp(x[v] - (double)((const real *)lse)[row]);
            const double target = (v == labels[row] ? 1 - smoothing : 0) + smoothing / (double)V;
            store(&dx[v], add, labels[row] < 0 ? 0 : dloss * (p - target));
        }
    }
}

/* ---- optimisers -------------------------------------------------------------------------------------------------- */

static void adamw(void *p_, void *m_, void *v_, const void *g_, int64_t n, const lf_adamw_step *s) {
    real *p = p_, *m = m_, *v = v_;
    for (int64_t i = 0; i < n; i++) {
        const double g = s->gradient_scale * ((const real *)g_)[i];
        m[i] = (real)(s->beta1 * m[i] + (1 - s->beta1) * g);
        v[i] = (real)(s->beta2 * v[i] + (1 - s->beta2) * g * g);
        const double step = m[i] / s->correction1 / (sqrt(v[i] / s->correction2) + s->epsilon);
        p[i] = (real)(p[i] - s->learning_rate * (s->weight_decay * p[i] + step));
    }
}

static void sgd(void *p_, void *buf_, const void *g_, int64_t n, double lr, double momentum, double weight_decay,
                double gradient_scale, bool first) {
    real *p = p_, *buf = buf_;
    for (int64_t i = 0; i < n; i++) {
        const double g = gradient_scale * ((const real *)g_)[i] + weight_decay * p[i];
        buf[i] = (real)(first ? g : momentum * buf[i] + g);
        p[i] = (real)(p[i] - lr * buf[i]);
    }
}

const lf_kernels REF_TABLE = {
    .name = "ref",
    .precision = "fp32", /* or better */
    .dtype = REF_DTYPE,
    .frozen_exact = true,
    .gemm = gemm,
    .frozen_size = frozen_size,
    .frozen_prepare = frozen_prepare,
    .frozen_restore = frozen_restore,
    .frozen_scratch = frozen_scratch,
    .frozen_forward = frozen_forward,
    .frozen_backward = frozen_backward,
    .fill = fill,
    .from_f32 = from_f32,
    .to_f32 = to_f32,
    .add = add_arrays,
    .axpy = axpy,
    .sub = sub_arrays,
    .bias = bias,
    .column_sums = column_sums,
    .layernorm = layernorm,
    .layernorm_backward = layernorm_backward,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
    .dropout = dropout,
    .attention_scratch = attention_scratch,
    .attention = attention,
    .attention_backward = attention_backward,
    .patchify = patchify,
    .embed_tokens = embed_tokens,
    .embed_tokens_backward = embed_tokens_backward,
    .select_token = select_token,
    .select_token_backward = select_token_backward,
    .cross_entropy = cross_entropy,
    .cross_entropy_backward = cross_entropy_backward,
    .sum_squares = sum_squares,
    .adamw = adamw,
    .sgd = sgd,
};

/* The plain reference: the definition of every kernel, over numbers of types `real` and `act` (kernels.h). Included
 * once for double, float and bf16, by files that define real, act             the types REF_DTYPE, REF_ACT    their
 * lf_dtype REF_TABLE, REF_WIDE   the lf_kernels to define, and its `wide` LD(a), ST(x)          act to double and back
 *   REF_NAME, REF_PRECISION, REF_EXACT
 * Everything is sequential and computed in double; only what is stored is rounded. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mapping.h"
#include "base/mem.h"
#include "kernels/int8.h"
#include "kernels/kernels.h"
#include "kernels/nf4.h"

/* y or y + value, rounded */
static void store(act *y, bool add, double value) { *y = ST(add ? LD(*y) + value : value); }
static void store_real(real *y, bool add, double value) { *y = (real)(add ? *y + value : value); }

/* ---- products -------------------------------------------------------------------------------------------------- */

static double product_entry(bool transpose_a, bool transpose_b, int64_t i, int64_t j, int64_t K, const act *A,
                            int64_t lda, const act *B, int64_t ldb) {
    double sum = 0;
    for (int64_t k = 0; k < K; k++)
        sum += LD(A[transpose_a ? k * lda + i : i * lda + k]) * LD(B[transpose_b ? j * ldb + k : k * ldb + j]);
    return sum;
}

static bool gemm(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, const void *A, int64_t lda,
                 const void *B, int64_t ldb, bool add, void *C, int64_t ldc) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++)
            store((act *)C + i * ldc + j, add, product_entry(transpose_a, transpose_b, i, j, K, A, lda, B, ldb));
    return true;
}

static bool gemm_real(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, const void *A, int64_t lda,
                      const void *B, int64_t ldb, bool add, void *C, int64_t ldc) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++)
            store_real((real *)C + i * ldc + j, add, product_entry(transpose_a, transpose_b, i, j, K, A, lda, B, ldb));
    return true;
}

#include "kernels/ref/frozen.inc.c"

static void put_factor(void *as_act, void *as_real, int64_t i_act, int64_t i_real, double value) {
    if (as_act) ((act *)as_act)[i_act] = ST(value);
    if (as_real) ((real *)as_real)[i_real] = (real)value;
}

static void lora_factors(void *A_act, void *A_real, void *B_act, int64_t ldb, void *B_real, const void *A_,
                         const void *B_, const void *A0_, const void *B0_, int64_t r, int64_t in, int64_t out,
                         double scale_a, double scale_b) {
    const real *A = A_, *B = B_, *A0 = A0_, *B0 = B0_;
    for (int64_t i = 0; i < r * in; i++) {
        put_factor(A_act, A_real, i, i, scale_a * A[i]);
        if (A0) put_factor(A_act, A_real, r * in + i, r * in + i, scale_a * (A[i] - A0[i]));
    }
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < r; i++) {
            put_factor(B_act, B_real, o * ldb + i, i * out + o, scale_b * (B[o * r + i] - (B0 ? B0[o * r + i] : 0)));
            if (B0) put_factor(B_act, B_real, o * ldb + r + i, (r + i) * out + o, scale_b * B0[o * r + i]);
        }
}

static void low_rank_add(void *y, int64_t ldy, const void *u, int64_t ldu, const void *F, int64_t ldf, int64_t rows,
                         int64_t C, int64_t R) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < C; c++) {
            double sum = 0;
            for (int64_t r = 0; r < R; r++) sum += LD(((const act *)u)[i * ldu + r]) * ((const real *)F)[r * ldf + c];
            store((act *)y + i * ldy + c, true, sum);
        }
}

static bool low_rank_sum(void *S, int64_t lds, bool add, const void *u, int64_t ldu, const void *z, int64_t ldz,
                         int64_t rows, int64_t R, int64_t C) {
    return gemm_real(true, false, R, C, rows, u, ldu, z, ldz, add, S, lds);
}

static void add_transposed(void *y, const void *x, int64_t ldx, int64_t rows, int64_t C) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < C; c++)
            store_real((real *)y + row * C + c, true, (double)((const real *)x)[c * ldx + row]);
}

/* ---- elementwise and sums --------------------------------------------------------------------------------------- */

static void fill(void *y, double value, int64_t n) {
    for (int64_t i = 0; i < n; i++) store((act *)y + i, false, value);
}

static void from_f32(void *y_, const float *x, int64_t n) {
    real *y = y_;
    for (int64_t i = 0; i < n; i++) y[i] = (real)x[i];
}

static void to_f32(float *y, const void *x_, int64_t n) {
    const real *x = x_;
    for (int64_t i = 0; i < n; i++) y[i] = (float)x[i];
}

static void to_act(void *y, bool add, const void *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) store((act *)y + i, add, (double)((const real *)x)[i]);
}

static void to_real(void *y, bool add, const void *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) store_real((real *)y + i, add, LD(((const act *)x)[i]));
}

static void add(void *y, const void *a, const void *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) store((act *)y + i, false, LD(((const act *)a)[i]) + LD(((const act *)b)[i]));
}

static void axpy(void *y, double alpha, const void *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) store((act *)y + i, true, alpha * LD(((const act *)x)[i]));
}

static void bias(void *y, int64_t ld, const void *b, int64_t rows, int64_t C) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < C; c++) store((act *)y + row * ld + c, true, (double)((const real *)b)[c]);
}

static void column_sums(void *db_, const void *dy_, int64_t ld, int64_t rows, int64_t C) {
    real *db = db_;
    const act *dy = dy_;
    for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        for (int64_t row = 0; row < rows; row++) sum += LD(dy[row * ld + c]);
        db[c] = (real)(db[c] + sum);
    }
}

static void scale_columns(void *y, bool add, const void *x, const void *w, int64_t rows, int64_t C) {
    for (int64_t i = 0; i < rows * C; i++)
        store((act *)y + i, add, LD(((const act *)x)[i]) * (double)((const real *)w)[i % C]);
}

static void column_products(void *dw, const void *dy, const void *x, int64_t rows, int64_t C) {
    for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        for (int64_t row = 0; row < rows; row++)
            sum += LD(((const act *)dy)[row * C + c]) * LD(((const act *)x)[row * C + c]);
        store_real((real *)dw + c, true, sum);
    }
}

static void copy_block(void *y, int64_t ldy, bool add, const void *x, int64_t ldx, int64_t rows, int64_t C) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < C; c++) store((act *)y + row * ldy + c, add, LD(((const act *)x)[row * ldx + c]));
}

static double sum_squares(const void *x_, int64_t n) {
    const real *x = x_;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sum;
}

/* ---- layer norm -------------------------------------------------------------------------------------------------- */

static void layernorm(void *y_, void *mean_, void *rstd_, const void *x_, const void *w_, const void *b_, int64_t rows,
                      int64_t C, double epsilon) {
    real *mean = mean_, *rstd = rstd_;
    const real *w = w_, *b = b_;
    for (int64_t row = 0; row < rows; row++) {
        act *y = (act *)y_ + row * C;
        const act *x = (const act *)x_ + row * C;
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < C; c++) sum += LD(x[c]);
        const double m = sum / (double)C;
        for (int64_t c = 0; c < C; c++) squares += (LD(x[c]) - m) * (LD(x[c]) - m);
        const double r = 1 / sqrt(squares / (double)C + epsilon);
        for (int64_t c = 0; c < C; c++) y[c] = ST((LD(x[c]) - m) * r * w[c] + b[c]);
        mean[row] = (real)m;
        rstd[row] = (real)r;
    }
}

/* With n = (x - mean) rstd and g = dy w: dx = rstd (g - mean(g) - n mean(g n)). */
static void layernorm_backward(void *dx_, bool add, void *dw_, void *db_, const void *dy_, const void *x_,
                               const void *mean_, const void *rstd_, const void *w_, int64_t rows, int64_t C) {
    act *dx = dx_;
    real *dw = dw_, *db = db_;
    const act *dy = dy_, *x = x_;
    const real *mean = mean_, *rstd = rstd_, *w = w_;
    for (int64_t row = 0; dx && row < rows; row++) {
        double sum_g = 0, sum_gn = 0;
        for (int64_t c = 0; c < C; c++) {
            const double g = LD(dy[row * C + c]) * w[c];
            const double n = (LD(x[row * C + c]) - mean[row]) * rstd[row];
            sum_g += g;
            sum_gn += g * n;
        }
        for (int64_t c = 0; c < C; c++) {
            const double g = LD(dy[row * C + c]) * w[c];
            const double n = (LD(x[row * C + c]) - mean[row]) * rstd[row];
            store(&dx[row * C + c], add, rstd[row] * (g - sum_g / (double)C - n * sum_gn / (double)C));
        }
    }
    for (int64_t c = 0; c < C; c++) {
        double sum_w = 0, sum_b = 0;
        for (int64_t row = 0; row < rows; row++) {
            const double n = (LD(x[row * C + c]) - mean[row]) * rstd[row];
            sum_w += LD(dy[row * C + c]) * n;
            sum_b += LD(dy[row * C + c]);
        }
        if (dw) store_real(&dw[c], true, sum_w);
        if (db) store_real(&db[c], true, sum_b);
    }
}

#include "kernels/ref/activation.inc.c"

/* ---- dropout ----------------------------------------------------------------------------------------------------- */

/* What entry `index` is multiplied by. p = 1 drops everything, so there is nothing to divide by. */
static double dropout_factor(double p, lf_rng_key key, int64_t index) {
    return lf_rng_u32(key, (uint64_t)index) >= p * 0x1p32 ? 1 / (1 - p) : 0;
}

static void dropout(void *y_, bool add, const void *x_, int64_t n, double p, lf_rng_key key) {
    act *y = y_;
    const act *x = x_;
    for (int64_t i = 0; i < n; i++) store(&y[i], add, LD(x[i]) * dropout_factor(p, key, i));
}

static void noise(void *y, const void *x, int64_t n, double size, lf_rng_key key) {
    for (int64_t i = 0; i < n; i++)
        store((act *)y + i, false, LD(((const act *)x)[i]) + size * (2 * (lf_rng_u32(key, (uint64_t)i) / 0x1p32) - 1));
}

/* ---- DoRA ---- */

static void row_norms(void *norm, const void *squares, const void *B_, const void *P, int64_t ldp, const void *G,
                      int64_t out, int64_t r, double scaling) {
    for (int64_t o = 0; o < out; o++) {
        const real *B = (const real *)B_ + o * r;
        double cross = 0, square = 0;
        for (int64_t k = 0; k < r; k++) {
            cross += B[k] * ((const real *)P)[k * ldp + o];
            for (int64_t l = 0; l < r; l++) square += B[k] * B[l] * ((const real *)G)[k * r + l];
        }
        const double sum = ((const real *)squares)[o] + 2 * scaling * cross + scaling * scaling * square;
        ((real *)norm)[o] = (real)sqrt(sum < 0 ? 0 : sum);
    }
}

static void apply_magnitudes(void *y, const void *z, const void *m, const void *norm, const void *b, int64_t rows,
                             int64_t C) {
    for (int64_t i = 0; i < rows * C; i++) {
        const int64_t c = i % C;
        const double factor = (double)((const real *)m)[c] / (double)((const real *)norm)[c];
        store((act *)y + i, false, LD(((const act *)z)[i]) * factor + (b ? (double)((const real *)b)[c] : 0));
    }
}

static void apply_magnitudes_backward(void *dz, bool add, void *dm, const void *dy_, const void *z_, const void *m,
                                      const void *norm_, int64_t rows, int64_t C) {
    const act *dy = dy_, *z = z_;
    for (int64_t c = 0; c < C; c++) {
        const double norm = (double)((const real *)norm_)[c], factor = (double)((const real *)m)[c] / norm;
        double sum = 0;
        for (int64_t row = 0; row < rows; row++) {
            sum += LD(dy[row * C + c]) * LD(z[row * C + c]);
            if (dz) store((act *)dz + row * C + c, add, LD(dy[row * C + c]) * factor);
        }
        if (dm) store_real((real *)dm + c, true, sum / norm);
    }
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

static double dot(const act *a, const act *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += LD(a[i]) * LD(b[i]);
    return sum;
}

static double attention_dropout(const lf_attention_dims *d, int64_t b, int64_t h, int64_t i, int64_t j) {
    return d->dropout > 0 ? dropout_factor(d->dropout, d->key, ((b * d->H + h) * d->Tq + i) * d->T + j) : 1;
}

/* Query i of example b sees keys *begin .. *end - 1: none if the two are the same. */
static void visible(const lf_attention_dims *d, int64_t b, int64_t i, int64_t *begin, int64_t *end) {
    const int64_t at = d->T - d->Tq + i, behind = d->causal ? d->window - 1 : d->window;
    *begin = d->window > 0 && at > behind ? at - behind : 0;
    *end = d->causal ? at + 1 : d->lengths ? d->lengths[b] : d->T;
    if (!d->causal && d->window > 0 && *end > at + d->window + 1) *end = at + d->window + 1;
    if (d->causal && d->first && d->first[b * d->Tq + i] > *begin) *begin = d->first[b * d->Tq + i];
    if (*end < *begin) *end = *begin;
}

/* The score of query i and key j in head h; *slope = its derivative by q.k. */
static double score_of(const act *q, const act *k, const lf_attention_dims *d, int64_t h, int64_t i, int64_t j,
                       double *slope) {
    const double u = d->scale * dot(q, k + j * d->ldkv, d->D), cap = d->softcap,
                 bias = d->bias ? (double)((const real *)d->bias)[(h * d->Tq + i) * d->T + j] : 0;
    *slope = cap > 0 ? d->scale * tanh_slope(u / cap) : d->scale;
    return (cap > 0 ? cap * tanh(u / cap) : u) + bias;
}

/* Forward: one row of probabilities. Backward: dq of one query, dk and dv of one head. */
static int64_t attention_scratch(const lf_attention_dims *d, bool backward) {
    return (backward ? d->D + 2 * d->T * d->D : d->T) * (int64_t)sizeof(double);
}

/* o_i = sum_j keep_ij p_ij v_j for one query; p_i is left in p. */
static void attend(act *o, real *lse, double *p, const act *q, const act *k, const act *v, const lf_attention_dims *d,
                   int64_t b, int64_t h, int64_t i) {
    int64_t begin, end;
    visible(d, b, i, &begin, &end);
    double max = -INFINITY, sum = 0, slope;
    for (int64_t j = begin; j < end; j++) {
        p[j] = score_of(q, k, d, h, i, j, &slope);
        max = p[j] > max ? p[j] : max;
    }
    for (int64_t j = begin; j < end; j++) sum += exp(p[j] - max);
    for (int64_t j = begin; j < end; j++) p[j] = exp(p[j] - max) / sum * attention_dropout(d, b, h, i, j);
    for (int64_t c = 0; c < d->D; c++) {
        double total = 0;
        for (int64_t j = begin; j < end; j++) total += p[j] * LD(v[j * d->ldkv + c]);
        o[c] = ST(total);
    }
    *lse = begin < end ? (real)(max + log(sum)) : 0;
}

static void attention(void *o_, void *lse_, const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                      void *scratch) {
    for (int64_t b = 0; b < d->B; b++)
        for (int64_t h = 0; h < d->H; h++) {
            const int64_t kv = b * d->T * d->ldkv + h / (d->H / d->Hkv) * d->D;
            for (int64_t i = 0; i < d->Tq; i++)
                attend((act *)o_ + (b * d->Tq + i) * d->ldo + h * d->D, (real *)lse_ + (b * d->H + h) * d->Tq + i,
                       scratch, (const act *)q_ + (b * d->Tq + i) * d->ldq + h * d->D, (const act *)k_ + kv,
                       (const act *)v_ + kv, d, b, h, i);
        }
}

/* Adds what query i of head h gives to dk, dv of all keys, and writes its dq. ds_ij = p_ij (keep_ij do_i.v_j -
 * do_i.o_i), times the score's slope. */
static void attend_backward(double *dq, double *dk, double *dv, const act *dout, const act *o, double lse, const act *q,
                            const act *k, const act *v, const lf_attention_dims *d, int64_t b, int64_t h, int64_t i) {
    int64_t begin, end;
    visible(d, b, i, &begin, &end);
    const double delta = dot(dout, o, d->D);
    for (int64_t c = 0; c < d->D; c++) dq[c] = 0;
    for (int64_t j = begin; j < end; j++) {
        const act *kj = k + j * d->ldkv, *vj = v + j * d->ldkv;
        double slope;
        const double p = exp(score_of(q, k, d, h, i, j, &slope) - lse), keep = attention_dropout(d, b, h, i, j);
        const double ds = slope * p * (keep * dot(dout, vj, d->D) - delta);
        for (int64_t c = 0; c < d->D; c++) {
            dq[c] += ds * LD(kj[c]);
            dk[j * d->D + c] += ds * LD(q[c]);
            dv[j * d->D + c] += keep * p * LD(dout[c]);
        }
    }
}

static void attention_backward(void *dq_, void *dk_, void *dv_, const void *dout_, const void *o_, const void *lse_,
                               const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                               void *scratch) {
    double *dq = scratch, *dk = dq + d->D, *dv = dk + d->T * d->D;
    const int64_t group = d->H / d->Hkv;
    for (int64_t b = 0; b < d->B; b++)
        for (int64_t hkv = 0; hkv < d->Hkv; hkv++) {
            const int64_t kv = b * d->T * d->ldkv + hkv * d->D;
            memset(dk, 0, (size_t)(2 * d->T * d->D) * sizeof *dk);
            for (int64_t h = hkv * group; h < (hkv + 1) * group; h++)
                for (int64_t i = 0; i < d->Tq; i++) {
                    const int64_t qi = (b * d->Tq + i) * d->ldq + h * d->D, oi = (b * d->Tq + i) * d->ldo + h * d->D;
                    attend_backward(dq, dk, dv, (const act *)dout_ + oi, (const act *)o_ + oi,
                                    (double)((const real *)lse_)[(b * d->H + h) * d->Tq + i], (const act *)q_ + qi,
                                    (const act *)k_ + kv, (const act *)v_ + kv, d, b, h, i);
                    for (int64_t c = 0; c < d->D; c++) ((act *)dq_)[qi + c] = ST(dq[c]);
                }
            for (int64_t j = 0; j < d->T; j++)
                for (int64_t c = 0; c < d->D; c++) {
                    ((act *)dk_)[kv + j * d->ldkv + c] = ST(dk[j * d->D + c]);
                    ((act *)dv_)[kv + j * d->ldkv + c] = ST(dv[j * d->D + c]);
                }
        }
}

/* ---- tokens of a picture ----------------------------------------------------------------------------------------- */

static void patchify(void *patches, const float *pixels, int64_t B, int64_t channels, int64_t H, int64_t W, int64_t P) {
    act *out = patches;
    for (int64_t b = 0; b < B; b++)
        for (int64_t row = 0; row < H / P; row++)
            for (int64_t column = 0; column < W / P; column++)
                for (int64_t c = 0; c < channels; c++)
                    for (int64_t y = 0; y < P; y++)
                        for (int64_t x = 0; x < P; x++)
                            *out++ = ST((double)pixels[((b * channels + c) * H + row * P + y) * W + column * P + x]);
}

static void embed_tokens(void *x, const void *patches, const void *prefix, const void *pos, int64_t B, int64_t N,
                         int64_t C, int64_t P, int64_t K) {
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0; t < P + N; t++)
            for (int64_t c = 0; c < C; c++) {
                const int64_t place = t < P ? t : K + t - P; /* in pos */
                const double token = t < P ? (double)((const real *)prefix)[t * C + c]
                                           : LD(((const act *)patches)[(b * N + t - P) * C + c]);
                const bool placed = pos && (t >= P || t < K);
                ((act *)x)[(b * (P + N) + t) * C + c] =
                    ST(token + (placed ? (double)((const real *)pos)[place * C + c] : 0));
            }
}

static void embed_tokens_backward(void *dpatches_, void *dprefix_, void *dpos_, const void *dx_, int64_t B, int64_t N,
                                  int64_t C, int64_t P, int64_t K) {
    act *dpatches = dpatches_;
    real *dprefix = dprefix_, *dpos = dpos_;
    for (int64_t t = 0; t < P + N; t++)
        for (int64_t c = 0; c < C; c++) {
            double sum = 0;
            for (int64_t b = 0; b < B; b++) {
                const act dx = ((const act *)dx_)[(b * (P + N) + t) * C + c];
                if (dpatches && t >= P) dpatches[(b * N + t - P) * C + c] = dx;
                sum += LD(dx);
            }
            if (dprefix && t < P) store_real(&dprefix[t * C + c], true, sum);
            if (dpos && (t >= P || t < K)) store_real(&dpos[(t < P ? t : K + t - P) * C + c], true, sum);
        }
}

static void select_token(void *y, const void *x_, int64_t B, int64_t T, int64_t C, int64_t t) {
    const act *x = x_;
    for (int64_t b = 0; b < B; b++) memcpy((act *)y + b * C, x + (b * T + t) * C, (size_t)C * sizeof(act));
}

static void select_token_backward(void *dx_, bool add, const void *dy_, int64_t B, int64_t T, int64_t C, int64_t t) {
    act *dx = dx_;
    const act *dy = dy_;
    if (!add) fill(dx, 0, B * T * C);
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++) store(&dx[(b * T + t) * C + c], true, LD(dy[b * C + c]));
}

static void select_tokens(void *y, const void *x_, const int32_t *columns, int64_t B, int64_t T, int64_t C) {
    const act *x = x_;
    for (int64_t b = 0; b < B; b++) memcpy((act *)y + b * C, x + (b * T + columns[b]) * C, (size_t)C * sizeof(act));
}

static void select_tokens_backward(void *dx_, bool add, const void *dy_, const int32_t *columns, int64_t B, int64_t T,
                                   int64_t C) {
    act *dx = dx_;
    const act *dy = dy_;
    if (!add) fill(dx, 0, B * T * C);
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++) store(&dx[(b * T + columns[b]) * C + c], true, LD(dy[b * C + c]));
}

static void mean_tokens(void *y, const void *x, int64_t first, const int32_t *lengths, int64_t B, int64_t T,
                        int64_t C) {
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++) {
            const int64_t end = lengths ? lengths[b] : T;
            double sum = 0;
            for (int64_t t = first; t < end; t++) sum += LD(((const act *)x)[(b * T + t) * C + c]);
            store((act *)y + b * C + c, false, sum / (double)(end - first));
        }
}

static void mean_tokens_backward(void *dx, bool add, const void *dy, int64_t first, const int32_t *lengths, int64_t B,
                                 int64_t T, int64_t C) {
    if (!add) fill(dx, 0, B * T * C);
    for (int64_t b = 0; b < B; b++) {
        const int64_t end = lengths ? lengths[b] : T;
        for (int64_t t = first; t < end; t++)
            for (int64_t c = 0; c < C; c++)
                store((act *)dx + (b * T + t) * C + c, true, LD(((const act *)dy)[b * C + c]) / (double)(end - first));
    }
}

/* ---- loss -------------------------------------------------------------------------------------------------------- */

static double class_weight(const float *weights, int64_t v) { return weights ? (double)weights[v] : 1; }

static double cross_entropy(void *lse_, const void *logits, const int32_t *labels, const float *weights, int64_t rows,
                            int64_t V, double smoothing) {
    real *lse = lse_;
    double loss = 0;
    for (int64_t row = 0; row < rows; row++) {
        const act *x = (const act *)logits + row * V;
        double max = -INFINITY, sum = 0, total = 0;
        for (int64_t v = 0; v < V; v++) max = LD(x[v]) > max ? LD(x[v]) : max;
        for (int64_t v = 0; v < V; v++) sum += exp(LD(x[v]) - max);
        const double log_sum = max + log(sum);
        for (int64_t v = 0; v < V; v++) total += class_weight(weights, v) * (log_sum - LD(x[v]));
        lse[row] = (real)log_sum;
        if (labels[row] < 0) continue;
        assert(labels[row] < V);
        loss += (1 - smoothing) * class_weight(weights, labels[row]) * (log_sum - LD(x[labels[row]]));
        if (smoothing > 0) loss += smoothing * total / (double)V;
    }
    return loss;
}

static void cross_entropy_backward(void *dlogits, bool add, double dloss, const void *lse, const void *logits,
                                   const int32_t *labels, const float *weights, int64_t rows, int64_t V,
                                   double smoothing) {
    double mean = 0; /* weight */
    for (int64_t v = 0; v < V; v++) mean += class_weight(weights, v) / (double)V;
    for (int64_t row = 0; row < rows; row++) {
        act *dx = (act *)dlogits + row * V;
        const act *x = (const act *)logits + row * V;
        const double own = labels[row] < 0 ? 0 : (1 - smoothing) * class_weight(weights, labels[row]);
        for (int64_t v = 0; v < V; v++) {
            const double p = exp(LD(x[v]) - (double)((const real *)lse)[row]);
            const double target = (v == labels[row] ? own : 0) + smoothing * class_weight(weights, v) / (double)V;
            store(&dx[v], add, labels[row] < 0 ? 0 : dloss * (p * (own + smoothing * mean) - target));
        }
    }
}

/* -[t log s(x) + (1 - t) log(1 - s(x))] = max(x, 0) - t x + log(1 + e^-|x|) */
static double bce_value(double x, double t) { return (x < 0 ? 0 : x) - t * x + log1p(exp(-fabs(x))); }
static double bce_slope(double x, double t) { return logistic(x) - t; }
static double mse_value(double x, double t) { return (x - t) * (x - t); }
static double mse_slope(double x, double t) { return 2 * (x - t); }

static const struct {
    double (*value)(double x, double t), (*slope)(double x, double t);
} value_losses[] = {[LF_BCE] = {bce_value, bce_slope}, [LF_MSE] = {mse_value, mse_slope}};

static double value_loss(const void *logits, const float *targets, int64_t n, lf_value_loss_kind kind) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(targets[i])) sum += value_losses[kind].value(LD(((const act *)logits)[i]), (double)targets[i]);
    return sum;
}

static void value_loss_backward(void *dlogits, bool add, double dloss, const void *logits, const float *targets,
                                int64_t n, lf_value_loss_kind kind) {
    for (int64_t i = 0; i < n; i++) {
        const double x = LD(((const act *)logits)[i]), t = (double)targets[i];
        store((act *)dlogits + i, add, isnan(t) ? 0 : dloss * value_losses[kind].slope(x, t));
    }
}

#include "kernels/ref/language.inc.c"

#include "kernels/ref/optim.inc.c"

const lf_kernels REF_TABLE = {
    .name = REF_NAME,
    .precision = REF_PRECISION, /* or better */
    .dtype = REF_DTYPE,
    .act_dtype = REF_ACT,
    .wide = REF_WIDE,
    .frozen_exact = REF_EXACT,
#define LF_KERNEL(kind, result, name, parameters, arguments) .name = name,
#include "kernels/kernels.def"
#undef LF_KERNEL
};

/* Every kernel of every backend that runs here, with activations in fp32 and in bf16, against the reference in double,
 * from one table: same inputs (rounded as the backend holds them), then all buffers are compared, also those that must
 * not change. Each case is run twice (same bytes), may not allocate, and carries NaN from an input to an output. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum { BUFFERS = 9, DIMS = 6, SOURCE = 1 << 17, MAX_ROWS = 512, SHAPES = 9 };

static float source[SOURCE]; /* what kernels that read plain floats are given */
static int32_t labels[MAX_ROWS];
static const lf_rng_key key = {{0x12345678, 0x9abcdef0}};

/* One case's buffers, in the backend's own numbers. */
typedef struct context {
    const lf_kernels *k;
    void *b[BUFFERS];
    int64_t n[BUFFERS];
    void *scratch;
    const int64_t *s; /* the shape */
    unsigned variant;
} context;

typedef struct kernel_case {
    const char *name;
    void (*sizes)(const int64_t *s, int64_t *n); /* numbers in each buffer */
    void (*run)(context *c);
    int64_t shapes[SHAPES][DIMS]; /* ends with a first number 0 */
    unsigned variants;            /* `run` reads the bits of context.variant */
    unsigned real;                /* bit i: buffer i holds real numbers, else activations (kernels.h) */
    unsigned positive;            /* bit i: buffer i is filled with 0.1 + |normal| */
    int nan_in, nan_out;          /* NaN in buffer nan_in must show in nan_out; nan_out -1: not asked */
    double tolerance;             /* of the largest number of a buffer (at least 1) */
} kernel_case;

static void put_number(void *b, lf_dtype type, int64_t i, double value) {
    if (type == LF_F64)
        ((double *)b)[i] = value;
    else if (type == LF_F32)
        ((float *)b)[i] = (float)value;
    else
        ((uint16_t *)b)[i] = lf_f32_to_bf16((float)value);
}

static double get(const void *b, lf_dtype type, int64_t i) {
    return type == LF_F64   ? ((const double *)b)[i]
           : type == LF_F32 ? (double)((const float *)b)[i]
                            : (double)lf_bf16_to_f32(((const uint16_t *)b)[i]);
}

static lf_dtype type_of(const kernel_case *kc, const lf_kernels *k, int buffer) {
    return kc->real >> buffer & 1 ? k->dtype : k->act_dtype;
}

static void put(context *c, int buffer, double value) {
    put_number(c->b[buffer], c->k->dtype, 0, value);
} /* a real one */

/* ---- the kernels ------------------------------------------------------------------------------------------------- */

static void gemm_sizes(const int64_t *s, int64_t *n) { /* M, N, K; every matrix has rows of up to 3 more */
    n[0] = (s[0] + 3) * (s[2] + 3);
    n[1] = (s[1] + 3) * (s[2] + 3);
    n[2] = s[0] * (s[1] + 3);
}

static void gemm_with(context *c, bool real) {
    const bool ta = c->variant & 1, tb = c->variant & 2, add = c->variant & 4;
    const int64_t M = c->s[0], N = c->s[1], K = c->s[2];
    assert_true((real ? c->k->gemm_real : c->k->gemm)(ta, tb, M, N, K, c->b[0], (ta ? M : K) + 1, c->b[1],
                                                      (tb ? K : N) + 2, add, c->b[2], N + 3));
}
static void gemm_run(context *c) { gemm_with(c, false); }
static void gemm_real_run(context *c) { gemm_with(c, true); }

static void frozen_sizes(const int64_t *s, int64_t *n) { /* rows, out, in: x, y, dy, dx, W restored, bias, y in full */
    n[0] = s[0] * s[2];
    n[1] = n[2] = n[6] = s[0] * s[1];
    n[3] = s[0] * s[2];
    n[4] = s[1] * s[2];
    n[5] = s[1];
}

static void frozen_run(context *c) { /* bit 0: add; bit 1: bias */
    lf_frozen w = {.out = c->s[1], .in = c->s[2], .data = c->scratch};
    static float W[SOURCE];
    for (int64_t i = 0; i < w.out * w.in; i++)
        W[i] = lf_bf16_to_f32(lf_f32_to_bf16(source[i])); /* a number of every type */
    assert_true(c->k->frozen_prepare(&w, W));
    assert_true(c->k->frozen_forward(&w, c->b[1], c->b[0], c->s[0], c->variant & 2 ? c->b[5] : NULL));
    assert_true(c->k->frozen_backward(&w, c->b[3], c->b[2], c->s[0], c->variant & 1));
    assert_true(c->k->frozen_forward_real(&w, c->b[6], c->b[0], c->s[0]));
    memset(W, 0, sizeof W);
    assert_true(c->k->frozen_restore(&w, W));
    for (int64_t i = 0; i < w.out * w.in; i++) put_number(c->b[4], c->k->dtype, i, (double)W[i]);
}

static void factor_sizes(const int64_t *s, int64_t *n) { /* r, in, out: the four factors, A, B, A0, B0 */
    n[0] = n[1] = 2 * s[0] * s[1];
    n[2] = (2 * s[0] + 3) * s[2];
    n[3] = 2 * s[0] * s[2];
    n[4] = n[6] = s[0] * s[1];
    n[5] = n[7] = s[0] * s[2];
}
static void factors_run(context *c) { /* bit 0: delta form; bits 1, 2: without those as activations, as real numbers */
    const bool delta = c->variant & 1, no_act = c->variant & 2, no_real = c->variant & 4;
    void **b = c->b;
    c->k->lora_factors(no_act ? NULL : b[0], no_real ? NULL : b[1], no_act ? NULL : b[2], 2 * c->s[0] + 3,
                       no_real ? NULL : b[3], b[4], b[5], delta ? b[6] : NULL, delta ? b[7] : NULL, c->s[0], c->s[1],
                       c->s[2], 1.5, 0.75);
}

static void low_rank_sizes(const int64_t *s, int64_t *n) { /* rows, C, R: y or z, u, F, S */
    n[0] = s[0] * (s[1] + 3);
    n[1] = s[0] * (s[2] + 2);
    n[2] = n[3] = s[2] * (s[1] + 1);
}
static void low_rank_add_run(context *c) {
    c->k->low_rank_add(c->b[0], c->s[1] + 3, c->b[1], c->s[2] + 2, c->b[2], c->s[1] + 1, c->s[0], c->s[1], c->s[2]);
}
static void low_rank_sum_run(context *c) {
    assert_true(c->k->low_rank_sum(c->b[3], c->s[1] + 1, c->variant, c->b[1], c->s[2] + 2, c->b[0], c->s[1] + 3,
                                   c->s[0], c->s[2], c->s[1]));
}

static void transposed_sizes(const int64_t *s, int64_t *n) { /* rows, C */
    n[0] = s[0] * s[1];
    n[1] = (s[0] + 5) * s[1];
}
static void add_transposed_run(context *c) { c->k->add_transposed(c->b[0], c->b[1], c->s[0] + 5, c->s[0], c->s[1]); }

static void three_vectors(const int64_t *s, int64_t *n) { n[0] = n[1] = n[2] = s[0]; }

static void fill_run(context *c) { c->k->fill(c->b[0], 0.25, c->s[0]); }
static void add_run(context *c) {
    c->k->add(c->b[c->variant], c->b[0], c->b[1], c->s[0]);
} /* variants 0, 1: in place */
static void to_act_run(context *c) { c->k->to_act(c->b[0], c->variant, c->b[1], c->s[0]); }
static void to_real_run(context *c) { c->k->to_real(c->b[1], c->variant, c->b[0], c->s[0]); }
static void axpy_run(context *c) { c->k->axpy(c->b[2], -0.3, c->b[0], c->s[0]); }
static void from_f32_run(context *c) { c->k->from_f32(c->b[0], source, c->s[0]); }

static lf_activation_kind function(const context *c) { return (lf_activation_kind)(c->variant / 2); }

static void activation_run(context *c) { /* variant: the kind */
    c->k->activation(c->b[2], c->b[0], c->s[0], (lf_activation_kind)c->variant);
}
static void activation_backward_run(context *c) { /* bit 0: add; the others: the kind */
    c->k->activation_backward(c->b[2], c->variant & 1, c->b[1], c->b[0], c->s[0], function(c));
}

static void dropout_run(context *c) {
    static const double p[] = {0.1, 0, 1, 0.999};
    c->k->dropout(c->b[c->variant & 2 ? 0 : 2], c->variant & 1, c->b[0], c->s[0], p[c->variant >> 2], key);
}

static void sum_squares_run(context *c) { put(c, 1, c->k->sum_squares(c->b[0], c->s[0])); }

static void adamw_sizes(const int64_t *s, int64_t *n) { n[0] = n[1] = n[2] = n[3] = s[0]; }
static void adamw_run(context *c) {
    const lf_adamw_step step = {.learning_rate = 0.01,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .epsilon = 1e-8,
                                .weight_decay = 0.1,
                                .correction1 = 0.19,
                                .correction2 = 0.001999,
                                .gradient_scale = 0.7};
    c->k->adamw(c->b[0], c->b[1], c->b[2], c->b[3], c->s[0], &step);
}
static void sgd_run(context *c) { c->k->sgd(c->b[0], c->b[1], c->b[2], c->s[0], 0.1, 0.9, 0.01, 0.7, c->variant & 1); }

static void rows_sizes(const int64_t *s, int64_t *n) { /* rows, C: matrices 0, 1, 2; rows 3, 4; columns 5, 6, 7, 8 */
    n[0] = n[1] = n[2] = s[0] * s[1];
    n[3] = n[4] = s[0];
    n[5] = n[6] = n[7] = n[8] = s[1];
}

static void bias_run(context *c) { c->k->bias(c->b[0], c->s[1], c->b[5], c->s[0], c->s[1]); }
static void column_sums_run(context *c) { c->k->column_sums(c->b[5], c->b[0], c->s[1], c->s[0], c->s[1]); }
static void layernorm_run(context *c) {
    c->k->layernorm(c->b[1], c->b[3], c->b[4], c->b[0], c->b[5], c->b[6], c->s[0], c->s[1], 1e-5);
}
static void layernorm_backward_run(context *c) { /* bit 0: add; bits 1, 2, 3: dx, dw, db not wanted */
    const unsigned v = c->variant;
    c->k->layernorm_backward(v & 2 ? NULL : c->b[2], v & 1, v & 4 ? NULL : c->b[7], v & 8 ? NULL : c->b[8], c->b[1],
                             c->b[0], c->b[3], c->b[4], c->b[5], c->s[0], c->s[1]);
}

static void cross_entropy_run(context *c) { /* bit 0: add; bit 1: smoothing */
    const double smoothing = c->variant & 2 ? 0.1 : 0;
    for (int64_t row = 0; row < c->s[0]; row++) labels[row] = row % 3 == 2 ? -1 : (int32_t)(row * 7 % c->s[1]);
    put(c, 5, c->k->cross_entropy(c->b[3], c->b[0], labels, c->s[0], c->s[1], smoothing));
    c->k->cross_entropy_backward(c->b[1], c->variant & 1, 0.3, c->b[3], c->b[0], labels, c->s[0], c->s[1], smoothing);
}

/* Documents that begin at 0, T/3 and T/2. */
static const int32_t *documents(int64_t B, int64_t T, int64_t Tq) {
    static int32_t first[4096];
    assert_true(B * Tq <= 4096);
    for (int64_t i = 0; i < B * Tq; i++) {
        const int64_t at = T - Tq + i % Tq;
        first[i] = (int32_t)(at >= T / 2 ? T / 2 : at >= T / 3 ? T / 3 : 0);
    }
    return first;
}

/* bit 0: causal; bit 1: dropout; bits 2, 3: a window, documents (both need causal). s[5]: queries, 0: as many as keys
 */
static lf_attention_dims attention_dims(const context *c) {
    const int64_t *s = c->s;
    const int64_t Tq = s[5] ? s[5] : s[1];
    return (lf_attention_dims){.B = s[0],
                               .T = s[1],
                               .Tq = Tq,
                               .window = c->variant & 4 ? s[1] / 3 + 1 : 0,
                               .first = c->variant & 8 ? documents(s[0], s[1], Tq) : NULL,
                               .H = s[2],
                               .Hkv = s[3],
                               .D = s[4],
                               .ldq = s[2] * s[4] + 5,
                               .ldkv = s[3] * s[4] + 3,
                               .ldo = s[2] * s[4] + 1,
                               .scale = 1 / sqrt((double)s[4]),
                               .causal = c->variant & 1,
                               .dropout = c->variant & 2 ? 0.2 : 0,
                               .key = key};
}

static void attention_sizes(const int64_t *s, int64_t *n) { /* q, k, v, o, lse, do, dq, dk, dv */
    const int64_t tokens = s[0] * s[1], queries = s[0] * (s[5] ? s[5] : s[1]);
    n[0] = n[6] = queries * (s[2] * s[4] + 5);
    n[1] = n[2] = n[7] = n[8] = tokens * (s[3] * s[4] + 3);
    n[3] = n[5] = queries * (s[2] * s[4] + 1);
    n[4] = queries * s[2];
}

static void attention_run(context *c) {
    lf_attention_dims d = attention_dims(c);
    void **b = c->b;
    if (c->variant >= 4) d.causal = true;
    c->k->attention(b[3], b[4], b[0], b[1], b[2], &d, c->scratch);
    c->k->attention_backward(b[6], b[7], b[8], b[5], b[3], b[4], b[0], b[1], b[2], &d, c->scratch);
}

static void patchify_sizes(const int64_t *s, int64_t *n) { n[0] = s[0] * s[1] * s[2] * s[3]; }
static void patchify_run(context *c) {
    const int64_t *s = c->s; /* B, channels, H, W, P */
    c->k->patchify(c->b[0], source, s[0], s[1], s[2], s[3], s[4]);
}

static void embed_sizes(const int64_t *s, int64_t *n) { /* x, patches, cls, pos, dpatches, dcls, dpos of B, N, C */
    n[0] = s[0] * (s[1] + 1) * s[2];
    n[1] = n[4] = s[0] * s[1] * s[2];
    n[2] = n[5] = s[2];
    n[3] = n[6] = (s[1] + 1) * s[2];
}
static void embed_run(context *c) { c->k->embed_tokens(c->b[0], c->b[1], c->b[2], c->b[3], c->s[0], c->s[1], c->s[2]); }
static void embed_backward_run(context *c) { /* bits 0, 1, 2: not wanted */
    c->k->embed_tokens_backward(c->variant & 1 ? NULL : c->b[4], c->variant & 2 ? NULL : c->b[5],
                                c->variant & 4 ? NULL : c->b[6], c->b[0], c->s[0], c->s[1], c->s[2]);
}

static void token_sizes(const int64_t *s, int64_t *n) { /* B, T, C, t */
    n[0] = s[0] * s[1] * s[2];
    n[1] = s[0] * s[2];
}
static void select_run(context *c) { c->k->select_token(c->b[1], c->b[0], c->s[0], c->s[1], c->s[2], c->s[3]); }
static void select_backward_run(context *c) {
    c->k->select_token_backward(c->b[0], c->variant & 1, c->b[1], c->s[0], c->s[1], c->s[2], c->s[3]);
}

/* ---- language models ---- */

static void rmsnorm_sizes(const int64_t *s,
                          int64_t *n) { /* rows, groups, C, padding: x, y, dx, rstd given, rstd, w, dw */
    n[0] = n[1] = n[2] = s[0] * (s[1] * s[2] + s[3]);
    n[3] = n[4] = s[0] * s[1];
    n[5] = n[6] = s[2];
}
static void rmsnorm_run(context *c) {
    c->k->rmsnorm(c->b[1], c->b[4], c->b[0], c->b[5], c->s[0], c->s[1], c->s[2], c->s[1] * c->s[2] + c->s[3], 1e-5);
}
static void rmsnorm_backward_run(context *c) { /* bit 0: add; bits 1, 2: dx, dw not wanted */
    c->k->rmsnorm_backward(c->variant & 2 ? NULL : c->b[2], c->variant & 1, c->variant & 4 ? NULL : c->b[6], c->b[1],
                           c->b[0], c->b[3], c->b[5], c->s[0], c->s[1], c->s[2], c->s[1] * c->s[2] + c->s[3]);
}

static void copy_sizes(const int64_t *s, int64_t *n) { n[0] = n[1] = s[0] * (s[1] + s[2]); } /* rows, C, padding */
static void copy_run(context *c) {
    c->k->copy_columns(c->b[1], c->variant, c->b[0], c->s[1] + c->s[2], c->s[0], c->s[1]);
}

/* Numbers below `limit` in no order; some come again and again. */
static const int32_t *some_ids(int64_t n, int64_t limit) {
    static int32_t ids[MAX_ROWS];
    assert_true(n <= MAX_ROWS);
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)((i % 4 == 3 ? 3 : i * 37 + 5) % limit);
    return ids;
}

static void rope_sizes(const int64_t *s, int64_t *n) {
    n[0] = n[1] = s[0] * (s[1] * s[2] + s[3]);
} /* rows, heads, D, padding */
static void rope_run(context *c) { /* bit 0: add; bit 1: inverse */
    const int64_t *s = c->s;
    c->k->rope(c->b[1], c->variant & 1, c->b[0], source, source + SOURCE / 2, some_ids(s[0], 300), c->variant & 2, s[0],
               s[1], s[2], s[1] * s[2] + s[3]);
}

static void gated_sizes(const int64_t *s, int64_t *n) { /* rows, C: x, y, dx */
    n[0] = n[2] = 2 * s[0] * s[1];
    n[1] = s[0] * s[1];
}
static void gated_run(context *c) { c->k->gated(c->b[1], c->b[0], c->s[0], c->s[1], (lf_activation_kind)c->variant); }
static void gated_backward_run(context *c) {
    c->k->gated_backward(c->b[2], c->variant & 1, c->b[1], c->b[0], c->s[0], c->s[1], function(c));
}

static void table_sizes(const int64_t *s, int64_t *n) { /* rows, V, C: y, table of activations, real table */
    n[0] = s[0] * s[2];
    n[1] = n[2] = s[1] * s[2];
}
static void gather_run(context *c) { /* bit 0: add; bit 1: real */
    const bool real = c->variant & 2;
    c->k->gather_rows(c->b[0], c->variant & 1, c->b[real ? 2 : 1], real, some_ids(c->s[0], c->s[1]), c->s[0], c->s[2]);
}
static void scatter_run(context *c) {
    c->k->scatter_rows(c->b[2], c->b[0], some_ids(c->s[0], c->s[1]), c->s[0], c->s[2]);
}

static void lm_sizes(const int64_t *s, int64_t *n) { /* rows, V: logits, others, dlogits; rows 3 .. 6 */
    n[0] = n[1] = n[2] = s[0] * s[1];
    n[3] = n[4] = n[5] = n[6] = s[0];
}
static void put_all(context *c, int buffer, const double *values) {
    for (int64_t i = 0; i < c->s[0]; i++) put_number(c->b[buffer], c->k->dtype, i, values[i]);
}
static void lm_cross_entropy_run(context *c) { /* bit 0: smoothing */
    static double nll[MAX_ROWS], uniform[MAX_ROWS], right[MAX_ROWS];
    static bool correct[MAX_ROWS];
    const bool smooth = c->variant & 1;
    const int32_t *label = some_ids(c->s[0], c->s[1]);
    c->k->lm_cross_entropy(c->b[3], nll, smooth ? uniform : NULL, correct, c->b[0], label, c->s[0], c->s[1]);
    c->k->lm_cross_entropy_backward(c->b[2], 0.3, c->b[3], c->b[0], label, c->s[0], c->s[1], smooth ? 0.1 : 0);
    for (int64_t i = 0; i < c->s[0]; i++) right[i] = correct[i];
    put_all(c, 4, nll);
    if (smooth) put_all(c, 5, uniform);
    put_all(c, 6, right);
}
static void lm_compare_run(context *c) {
    static double ce[MAX_ROWS], kl[MAX_ROWS];
    c->k->lm_compare(ce, kl, c->b[0], c->b[1], c->s[0], c->s[1]);
    put_all(c, 3, ce);
    put_all(c, 4, kl);
    c->k->lm_compare(ce, kl, c->b[0], c->b[0], c->s[0], c->s[1]);
    put_all(c, 5, kl);
    for (int64_t i = 0; i < c->s[0]; i++) assert_true(kl[i] == 0 || isnan(kl[i]));
}

/* Tolerances: 1e-6 for a few roundings of 6e-8; 1e-5 for sums of some hundred products, whose rounding grows like the
 * root of their number; 5e-5 for attention's gradients, three such sums one after the other. 40000 and 300 x 200 are
 * above what runs on one thread. */
#define VECTORS                                                                                                        \
    {                                                                                                                  \
        {1}, {7}, {64}, {1000}, {1025}, { 40000 }                                                                      \
    }
#define ROWS                                                                                                           \
    {                                                                                                                  \
        {1, 1}, {1, 17}, {3, 1}, {5, 33}, {130, 64}, {300, 200}, { 40, 1030 }                                          \
    }
#define NORMS                                                                                                          \
    {                                                                                                                  \
        {1, 1, 1, 0}, {1, 1, 17, 0}, {3, 2, 1, 4}, {5, 3, 33, 7}, {130, 4, 64, 20}, { 40, 1, 1030, 0 }                 \
    }
#define GATED                                                                                                          \
    {                                                                                                                  \
        {1, 1}, {3, 5}, {4, 1027}, { 130, 300 }                                                                        \
    }
static const kernel_case cases[] = {
    {"gemm",
     gemm_sizes,
     gemm_run,
     {{1, 1, 1}, {3, 5, 7}, {33, 17, 65}, {300, 16, 250}, {16, 300, 250}, {300, 260, 20}},
     8,
     0,
     0,
     0,
     2,
     1e-5},
    {"gemm_real",
     gemm_sizes,
     gemm_real_run,
     {{1, 1, 1}, {3, 5, 7}, {33, 17, 65}, {300, 16, 250}, {16, 300, 250}, {300, 260, 20}},
     8,
     0x4,
     0,
     0,
     2,
     1e-5},
    {"frozen", frozen_sizes, frozen_run, {{1, 1, 1}, {5, 7, 3}, {300, 33, 130}}, 4, 0x70, 0, 0, 1, 1e-5},
    {"fill", three_vectors, fill_run, VECTORS, 1, 0, 0, 0, -1, 0},
    {"add", three_vectors, add_run, VECTORS, 3, 0, 0, 0, -1, 1e-6},
    {"lora_factors", factor_sizes, factors_run, {{1, 1, 1}, {3, 5, 7}, {16, 130, 33}}, 8, 0xfa, 0, 4, -1, 1e-6},
    {"low_rank_add",
     low_rank_sizes,
     low_rank_add_run,
     {{1, 1, 1}, {5, 7, 3}, {33, 70, 16}, {130, 200, 24}, {7, 65, 300}},
     1,
     0xc,
     0,
     1,
     0,
     1e-5},
    {"low_rank_sum",
     low_rank_sizes,
     low_rank_sum_run,
     {{1, 1, 1}, {5, 7, 3}, {33, 70, 16}, {130, 200, 24}, {300, 65, 9}},
     2,
     0xc,
     0,
     1,
     3,
     1e-5},
    {"add_transposed", transposed_sizes, add_transposed_run, {{1, 1}, {5, 33}, {300, 16}}, 1, 0x3, 0, 1, 0, 1e-6},
    {"to_act", three_vectors, to_act_run, VECTORS, 2, 0x2, 0, 1, 0, 1e-6},
    {"to_real", three_vectors, to_real_run, VECTORS, 2, 0x2, 0, 0, 1, 1e-6},
    {"axpy", three_vectors, axpy_run, VECTORS, 1, 0, 0, 0, 2, 1e-6},
    {"from_f32", three_vectors, from_f32_run, VECTORS, 1, 0x7, 0, 0, -1, 0},
    {"activation", three_vectors, activation_run, VECTORS, LF_ACTIVATIONS, 0, 0, 0, 2, 1e-6},
    {"activation_backward", three_vectors, activation_backward_run, VECTORS, 2 * LF_ACTIVATIONS, 0, 0, 0, 2, 1e-6},
    {"dropout", three_vectors, dropout_run, VECTORS, 2, 0, 0, 0, 2, 1e-6},
    {"dropout p 0, 1, near 1", three_vectors, dropout_run, {{1000}}, 16, 0, 0, 0, -1, 1e-6},
    {"sum_squares", three_vectors, sum_squares_run, VECTORS, 1, 0x7, 0, 0, 1, 1e-6},
    {"adamw", adamw_sizes, adamw_run, VECTORS, 1, 0xf, 1 << 2, 3, 0, 1e-6},
    {"sgd", three_vectors, sgd_run, VECTORS, 2, 0x7, 0, 2, 0, 1e-6},
    {"bias", rows_sizes, bias_run, ROWS, 1, 0x20, 0, 5, 0, 1e-6},
    {"column_sums", rows_sizes, column_sums_run, ROWS, 1, 0x20, 0, 0, 5, 1e-5},
    {"layernorm", rows_sizes, layernorm_run, ROWS, 1, 0x1f8, 0, 0, 1, 1e-5},
    {"layernorm_backward", rows_sizes, layernorm_backward_run, ROWS, 16, 0x1f8, 1 << 4, 0, -1, 1e-5},
    {"cross_entropy", rows_sizes, cross_entropy_run, ROWS, 4, 0x28, 0, 0, 3, 1e-5},
    {"attention",
     attention_sizes,
     attention_run,
     {{2, 1, 1, 1, 1},
      {1, 5, 2, 1, 7},
      {2, 17, 4, 2, 8},
      {1, 197, 1, 1, 64},
      {1, 270, 2, 1, 20},
      {2, 33, 6, 2, 1, 1},
      {1, 600, 1, 1, 3},
      {1, 300, 2, 2, 6, 290}},
     16,
     0x10,
     0,
     0,
     3,
     5e-5},
    {"patchify",
     patchify_sizes,
     patchify_run,
     {{1, 1, 1, 1, 1}, {2, 3, 8, 12, 4}, {2, 3, 96, 64, 16}},
     1,
     0,
     0,
     0,
     -1,
     0},
    {"embed_tokens", embed_sizes, embed_run, {{1, 1, 1}, {3, 4, 5}, {6, 50, 130}}, 1, 0x6c, 0, 3, 0, 1e-6},
    {"embed_tokens_backward",
     embed_sizes,
     embed_backward_run,
     {{1, 1, 1}, {3, 4, 5}, {6, 50, 130}},
     8,
     0x6c,
     0,
     0,
     -1,
     1e-6},
    {"select_token", token_sizes, select_run, {{1, 1, 1, 0}, {3, 4, 5, 2}, {6, 50, 130, 0}}, 1, 0, 0, 0, -1, 0},
    {"select_token_backward",
     token_sizes,
     select_backward_run,
     {{1, 1, 1, 0}, {3, 4, 5, 2}, {6, 50, 130, 0}},
     2,
     0,
     0,
     0,
     -1,
     1e-6},
    {"rmsnorm", rmsnorm_sizes, rmsnorm_run, NORMS, 1, 0x78, 0, 0, 1, 1e-5},
    {"rmsnorm_backward", rmsnorm_sizes, rmsnorm_backward_run, NORMS, 8, 0x78, 1 << 3, 0, -1, 1e-5},
    {"copy_columns", copy_sizes, copy_run, {{1, 1, 0}, {7, 5, 3}, {300, 150, 70}}, 2, 0, 0, 0, 1, 1e-6},
    {"rope", rope_sizes, rope_run, {{1, 1, 2, 0}, {3, 2, 6, 5}, {9, 3, 34, 0}, {200, 6, 64, 128}}, 4, 0, 0, 0, 1, 1e-6},
    {"gated", gated_sizes, gated_run, GATED, LF_ACTIVATIONS, 0, 0, 0, 1, 1e-6},
    {"gated_backward", gated_sizes, gated_backward_run, GATED, 2 * LF_ACTIVATIONS, 0, 0, 0, 2, 1e-6},
    {"gather_rows", table_sizes, gather_run, {{1, 1, 1}, {9, 5, 3}, {300, 40, 130}}, 4, 0x4, 0, 0, -1, 1e-6},
    {"scatter_rows",
     table_sizes,
     scatter_run,
     {{1, 1, 1}, {9, 5, 3}, {300, 40, 130}, {30, 7, 1100}},
     1,
     0x4,
     0,
     0,
     2,
     1e-5},
    {"lm_cross_entropy",
     lm_sizes,
     lm_cross_entropy_run,
     {{1, 1}, {1, 33}, {5, 7}, {300, 200}, {3, 5001}},
     2,
     0x7b,
     0,
     0,
     4,
     1e-5},
    {"lm_compare", lm_sizes, lm_compare_run, {{1, 1}, {1, 33}, {5, 7}, {300, 200}, {3, 5001}}, 1, 0x7f, 0, 0, 3, 1e-5},
};
enum { N_CASES = (int)(sizeof cases / sizeof *cases) };

/* ---- the table's machine ------------------------------------------------------------------------------------------
 */

static void *must(void *p) {
    assert_non_null(p);
    return p;
}

static int64_t scratch_bytes(const kernel_case *kc, const context *c) {
    if (kc->run == attention_run) {
        const lf_attention_dims d = attention_dims(c);
        const int64_t a = c->k->attention_scratch(&d, false), b = c->k->attention_scratch(&d, true);
        return a > b ? a : b;
    }
    return kc->run == frozen_run ? c->k->frozen_size(c->s[1], c->s[2]) : 1;
}

static double start_value(const kernel_case *kc, int buffer, int64_t i) {
    const double x = (double)(float)lf_rng_normal(lf_rng_make(7, LF_RNG_TEST, (uint64_t)buffer), (uint64_t)i);
    return kc->positive >> buffer & 1 ? (double)(float)(0.1 + fabs(x)) : x;
}

/* `like`: a table whose roundings the inputs have, so that all tables are given the same numbers. */
static double input_value(const kernel_case *kc, const lf_kernels *like, int buffer, int64_t i) {
    const double x = start_value(kc, buffer, i);
    return type_of(kc, like, buffer) == LF_BF16 ? (double)lf_bf16_to_f32(lf_f32_to_bf16((float)x)) : x;
}

static context context_new(const kernel_case *kc, const lf_kernels *k, const lf_kernels *like, const int64_t *s,
                           unsigned variant, bool with_nan) {
    context c = {.k = k, .s = s, .variant = variant};
    kc->sizes(s, c.n);
    for (int b = 0; b < BUFFERS; b++) {
        c.b[b] = must(lf_aligned_alloc((size_t)(c.n[b] + 1) * lf_dtype_size(type_of(kc, k, b))));
        for (int64_t i = 0; i < c.n[b]; i++)
            put_number(c.b[b], type_of(kc, k, b), i,
                       with_nan && b == kc->nan_in && i == 0 ? NAN : input_value(kc, like, b, i));
    }
    c.scratch = must(lf_aligned_alloc((size_t)scratch_bytes(kc, &c)));
    return c;
}

static void context_free(context *c) {
    for (int b = 0; b < BUFFERS; b++) lf_aligned_free(c->b[b]);
    lf_aligned_free(c->scratch);
}

static void run_counted(const kernel_case *kc, context *c) {
    const uint64_t calls = lf_alloc_calls();
    kc->run(c);
    if (lf_alloc_calls() != calls) fail_msg("%s/%s allocates", c->k->name, kc->name);
}

/* What is stored in bf16 may be half a unit in the last place off, 2^-8 of itself; a backward kernel that reads such a
 * number (o, in attention) passes it on. */
static double tolerance_of(const kernel_case *kc, const lf_kernels *k, int buffer, double value, double largest) {
    const double base = kc->tolerance * largest;
    if (k->act_dtype != LF_BF16) return base;
    return base + (type_of(kc, k, buffer) == LF_BF16 ? 0x1.02p-8 * fabs(value) : 0) +
           (kc->run == attention_run ? 0x1p-7 * largest : 0);
}

static void compare(const kernel_case *kc, const context *want, const context *got, int shape) {
    for (int b = 0; b < BUFFERS; b++) {
        const lf_dtype type = type_of(kc, got->k, b);
        double largest = 1;
        for (int64_t i = 0; i < want->n[b]; i++) largest = fmax(largest, fabs(get(want->b[b], LF_F64, i)));
        for (int64_t i = 0; i < want->n[b]; i++) {
            const double x = get(want->b[b], LF_F64, i), y = get(got->b[b], type, i),
                         tolerance = tolerance_of(kc, got->k, b, x, largest);
            if (!(fabs(x - y) <= tolerance) && !(isnan(x) && isnan(y)))
                fail_msg("%s/%s shape %d variant %u: buffer %d [%lld]: expected %.9g, got %.9g (tolerance %.2g)",
                         got->k->name, kc->name, shape, got->variant, b, (long long)i, x, y, tolerance);
        }
    }
}

static void check_same_bytes(const kernel_case *kc, const context *a, const context *b) {
    for (int i = 0; i < BUFFERS; i++)
        if (memcmp(a->b[i], b->b[i], (size_t)a->n[i] * lf_dtype_size(type_of(kc, a->k, i))) != 0)
            fail_msg("%s/%s: two runs differ in buffer %d", a->k->name, kc->name, i);
}

static void check_nan_travels(const kernel_case *kc, const lf_kernels *k, const int64_t *s, unsigned variant) {
    context c = context_new(kc, k, k, s, variant, true);
    int64_t n = 0;
    kc->run(&c);
    for (int64_t i = 0; i < c.n[kc->nan_out]; i++)
        n += isnan(get(c.b[kc->nan_out], type_of(kc, k, kc->nan_out), i)) != 0;
    if (n == 0) fail_msg("%s/%s variant %u: NaN in buffer %d is lost", k->name, kc->name, variant, kc->nan_in);
    context_free(&c);
}

static bool is_reference(const lf_kernels *k) { return k == &lf_kernels_ref_f32 || k == &lf_kernels_ref_bf16; }

/* One table against what the reference in double made of the same numbers. The plain references are sequential: asking
 * whether they give the same bytes twice would only take time. */
static void check_table(const kernel_case *kc, const context *want, const lf_kernels *k, int shape, unsigned variant) {
    const int64_t *s = kc->shapes[shape];
    context got = context_new(kc, k, k, s, variant, false);
    run_counted(kc, &got);
    compare(kc, want, &got, shape);
    if (!is_reference(k)) {
        context again = context_new(kc, k, k, s, variant, false);
        run_counted(kc, &again);
        check_same_bytes(kc, &got, &again);
        context_free(&again);
    }
    if (kc->nan_out >= 0) check_nan_travels(kc, k, s, variant);
    context_free(&got);
}

static char *const *only; /* names of the cases that are asked for on the command line; none: all */

static bool is_asked_for(const kernel_case *kc) {
    for (char *const *name = only; *name; name++)
        if (strcmp(*name, kc->name) == 0) return true;
    return !*only;
}

static void check_all(const char *precision) {
    const lf_kernels *k[8];
    const int n = lf_kernels_available(precision, k, 8);
    assert_true(n >= 2);
    for (int j = 0; j < N_CASES; j++)
        for (int shape = 0; is_asked_for(&cases[j]) && shape < SHAPES && cases[j].shapes[shape][0] > 0; shape++)
            for (unsigned v = 0; v < cases[j].variants; v++) {
                context want = context_new(&cases[j], &lf_kernels_ref_f64, k[0], cases[j].shapes[shape], v, false);
                run_counted(&cases[j], &want);
                for (int i = 0; i < n; i++) check_table(&cases[j], &want, k[i], shape, v);
                context_free(&want);
            }
}

static void test_fp32(void **state) {
    (void)state;
    check_all("fp32");
}

static void test_bf16(void **state) {
    (void)state;
    check_all("bf16");
}

/* ---- what the table does not say -----------------------------------------------------------------------------------
 */

static void test_to_f32(void **state) {
    (void)state;
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    static float y[1000];
    static double d[1000];
    for (int i = 0; i < n; i++) {
        memset(y, 0, sizeof y);
        k[i]->to_f32(y, source, 1000);
        assert_memory_equal(y, source, sizeof y);
    }
    lf_kernels_ref_f64.from_f32(d, source, 1000);
    memset(y, 0, sizeof y);
    lf_kernels_ref_f64.to_f32(y, d, 1000);
    assert_memory_equal(y, source, sizeof y);
}

/* At -3, -0.5 and 2, by the formulas of transformers in Python's math. */
static const struct {
    const char *name;
    double at[3];
} definitions[LF_ACTIVATIONS] = {
    [LF_GELU] = {"gelu", {-0.004049694094890287, -0.15426876936299344, 1.9544997361036416}},
    [LF_GELU_TANH] = {"gelu_tanh", {-0.0036373920817729943, -0.15428599017485606, 1.954597694087775}},
    [LF_QUICK_GELU] = {"quick_gelu", {-0.01807130970778597, -0.1496115633936199, 1.9356586231442083}},
    [LF_SILU] = {"silu", {-0.14227761953270035, -0.1887703343990727, 1.7615941559557646}},
    [LF_RELU] = {"relu", {0, 0, 2}},
};

static void test_definitions(void **state) {
    (void)state;
    static const double x[] = {-3, -0.5, 2};
    for (lf_activation_kind f = 0; f < LF_ACTIVATIONS; f++) {
        double y[3];
        if (!definitions[f].name) fail_msg("activation function %d has no values to compare with", (int)f);
        lf_kernels_ref_f64.activation(y, x, 3, f);
        for (int i = 0; i < 3; i++)
            if (!(fabs(y[i] - definitions[f].at[i]) <= 1e-12))
                fail_msg("%s(%g): expected %.15g, got %.15g", definitions[f].name, x[i], definitions[f].at[i], y[i]);
    }
}

/* Relative to each value, over where e^x ends: the exponent is rounded to 6e-8 of itself, and x^2/2 is 84 at -13. */
static void test_activations_everywhere(void **state) {
    (void)state;
    enum { N = 26001 };
    static float x[N], y[N], slope[N], one[N];
    static double xd[N], yd[N], sd[N], od[N];
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    for (int i = 0; i < N; i++) {
        x[i] = -13.0f + (float)i * 1e-3f;
        xd[i] = (double)x[i];
        one[i] = 1;
        od[i] = 1;
    }
    for (int i = 0; i < n; i++)
        for (lf_activation_kind f = 0; f < LF_ACTIVATIONS; f++) {
            k[i]->activation(y, x, N, f);
            k[i]->activation_backward(slope, false, one, x, N, f);
            lf_kernels_ref_f64.activation(yd, xd, N, f);
            lf_kernels_ref_f64.activation_backward(sd, false, od, xd, N, f);
            for (int j = 0; j < N; j++) {
                /* the reference of the tanh form cancels far below zero: its 1 + tanh is a multiple of 1e-16 */
                const double tolerance = 1e-5 * fabs(yd[j]) + (f == LF_GELU_TANH ? 1e-14 : 1e-37);
                if (!(fabs((double)y[j] - yd[j]) <= tolerance))
                    fail_msg("%s %s(%g): expected %.9g, got %.9g", k[i]->name, definitions[f].name, xd[j], yd[j],
                             (double)y[j]);
                if (!(fabs((double)slope[j] - sd[j]) <= 1e-6))
                    fail_msg("%s %s'(%g): expected %.9g, got %.9g", k[i]->name, definitions[f].name, xd[j], sd[j],
                             (double)slope[j]);
            }
        }
}

/* Where exponentials overflow or vanish, a function is x above zero and 0 below. */
static const float large[] = {20, -20, 100, -100, 1e20f, -1e20f, 3e38f, -3e38f};
enum { LARGE = (int)(sizeof large / sizeof *large) };
static bool is_nearly(float y, float want) { return fabsf(y - want) <= 1e-6f * fabsf(want) + 1e-6f; }

static void test_large_numbers(void **state) {
    (void)state;
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    float x[2 * LARGE], y[LARGE], one[LARGE], dx[2 * LARGE];
    for (int j = 0; j < LARGE; j++) {
        x[j] = large[j];
        x[LARGE + j] = one[j] = 1;
    }
    for (int i = 0; i < n; i++)
        for (lf_activation_kind f = 0; f < LF_ACTIVATIONS; f++)
            for (int gate = 0; gate < 2; gate++) {
                if (gate) {
                    k[i]->gated(y, x, 1, LARGE, f);
                    k[i]->gated_backward(dx, false, one, x, 1, LARGE, f);
                } else {
                    k[i]->activation(y, x, LARGE, f);
                    k[i]->activation_backward(dx, false, one, x, LARGE, f);
                }
                for (int j = 0; j < LARGE; j++) {
                    const float value = large[j] > 0 ? large[j] : 0, slope = large[j] > 0 ? 1 : 0;
                    if (!is_nearly(y[j], value) || !is_nearly(dx[j], slope) ||
                        (gate && !is_nearly(dx[LARGE + j], value)))
                        fail_msg("%s %s(%g)%s: value %g, slope %g", k[i]->name, definitions[f].name, (double)large[j],
                                 gate ? " as a gate" : "", (double)y[j], (double)dx[j]);
                }
            }
}

/* Around zero a function is x times its slope there; of infinity it is infinity. */
static void test_around_zero(void **state) {
    (void)state;
    static const float x[] = {0, 1e-30f, -1e-30f, INFINITY};
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    for (int i = 0; i < n; i++)
        for (lf_activation_kind f = 0; f < LF_ACTIVATIONS; f++) {
            const float half = f == LF_RELU ? 1 : 0.5f, below = f == LF_RELU ? 0 : 0.5f;
            float y[4];
            k[i]->activation(y, x, 4, f);
            assert_true(y[0] == 0 && fabsf(y[1] - half * x[1]) < 1e-36f && fabsf(y[2] - below * x[2]) < 1e-36f);
            assert_true(y[3] == INFINITY);
        }
}

/* Scores of any size: softmax takes the largest out first. */
static void test_softmax_of_large_scores(void **state) {
    (void)state;
    const float logits[] = {1e30f, -1e30f, 200, -200, 88, 90};
    const int32_t label[] = {0, 1, 1};
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    float lse[3], d[6];
    for (int i = 0; i < n; i++) {
        const double loss = k[i]->cross_entropy(lse, logits, label, 3, 2, 0);
        assert_true(fabs(loss - 400 - 0.126928) < 1e-4);
        k[i]->cross_entropy_backward(d, false, 1, lse, logits, label, 3, 2, 0);
        assert_true(d[0] == 0 && d[1] == 0 && d[2] == 1 && d[3] == -1 && fabsf(d[4] - 0.119203f) < 1e-5f);
    }
}

/* Of equal logits the first is what a model would say. Logits of any size are no harm. */
static void test_vocabulary_loss(void **state) {
    (void)state;
    const float logits[] = {5, 1, 5, 1e30f, -1e30f, 0, 88, 90, 89};
    const int32_t first[] = {0, 0, 1}, other[] = {2, 1, 2};
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    float lse[3];
    double nll[3];
    bool correct[3];
    for (int i = 0; i < n; i++) {
        k[i]->lm_cross_entropy(lse, nll, NULL, correct, logits, first, 3, 3);
        assert_true(correct[0] && correct[1] && correct[2] && nll[1] == 0 && fabs(nll[2] - 0.407606) < 1e-5);
        k[i]->lm_cross_entropy(lse, nll, NULL, correct, logits, other, 3, 3);
        assert_true(!correct[0] && !correct[1] && !correct[2] && nll[1] > 1e30);
    }
}

static void test_select(void **state) {
    (void)state;
    const lf_kernels *k = NULL, *all[8];
    lf_err err = {0};
    unsetenv("LF_KERNELS");
    assert_int_equal(lf_kernels_available("fp32", all, 8) >= 2, 1);
    assert_int_equal(lf_kernels_select(&k, "fp32", &err), LF_OK);
    assert_ptr_equal(k, all[0]);
    setenv("LF_KERNELS", "ref", 1);
    assert_int_equal(lf_kernels_select(&k, "fp32", &err), LF_OK);
    assert_ptr_equal(k, &lf_kernels_ref_f32);
    setenv("LF_KERNELS", "mmx", 1);
    assert_int_equal(lf_kernels_select(&k, "fp32", &err), LF_EUSAGE);
    assert_non_null(strstr(err.message, "mmx"));
    assert_non_null(strstr(err.message, "ref"));
    unsetenv("LF_KERNELS");
}

static void count(void *seen, int64_t i) { ((int *)seen)[i]++; }

static void test_threads(void **state) {
    (void)state;
    int seen[100] = {0};
    setenv("OMP_NUM_THREADS", "3,1", 1);
    assert_int_equal(lf_threads_set(0), 3);
    assert_int_equal(lf_threads(), 3);
    assert_int_equal(lf_threads_set(2), 2);
    lf_parallel_for(100, count, seen);
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
}

/* Column sums and whatever else is cut into fixed pieces does not depend on the threads at all. */
static void test_sums_whatever_the_threads(void **state) {
    (void)state;
    const lf_kernels *k;
    float one[200] = {0}, four[200] = {0}, table_one[100 * 150] = {0}, table_four[100 * 150] = {0};
    const int32_t *ids = some_ids(400, 100);
    assert_int_equal(lf_kernels_select(&k, "fp32", NULL), LF_OK);
    lf_threads_set(1);
    const double a = k->sum_squares(source, SOURCE);
    k->column_sums(one, source, 200, SOURCE / 200, 200);
    k->scatter_rows(table_one, source, ids, 400, 150);
    lf_threads_set(4);
    const double b = k->sum_squares(source, SOURCE);
    k->column_sums(four, source, 200, SOURCE / 200, 200);
    k->scatter_rows(table_four, source, ids, 400, 150);
    lf_threads_set(2);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(one, four, sizeof one);
    assert_memory_equal(table_one, table_four, sizeof table_one);
}

int main(int argc, char **argv) {
    (void)argc;
    only = argv + 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_to_f32),
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_activations_everywhere),
        cmocka_unit_test(test_large_numbers),
        cmocka_unit_test(test_around_zero),
        cmocka_unit_test(test_softmax_of_large_scores),
        cmocka_unit_test(test_vocabulary_loss),
        cmocka_unit_test(test_sums_whatever_the_threads),
    };
    for (int64_t i = 0; i < SOURCE; i++) source[i] = (float)lf_rng_normal(lf_rng_make(11, LF_RNG_TEST, 0), (uint64_t)i);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

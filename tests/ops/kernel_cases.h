/* The cases of test_kernels.c: for each kernel its buffers, with names, the shapes that it is tried with, how it is
 * called, and a row in the table at the end. */
#ifndef LF_KERNEL_CASES_H
#define LF_KERNEL_CASES_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum { BUFFERS = 10, DIMS = 6, SOURCE = 1 << 17, MAX_ROWS = 512 };

typedef int64_t kernel_shape[DIMS]; /* a list of them ends with a first number 0 */

static float source[SOURCE]; /* what kernels that read plain floats are given */
static const lf_rng_key random_key = {{0x12345678, 0x9abcdef0}};

/* One case's buffers, in the backend's own numbers. The cases name them by enums. */
typedef struct context {
    const lf_kernels *k;
    void *b[BUFFERS];
    int64_t n[BUFFERS];
    void *scratch;
    const int64_t *s; /* the shape */
    unsigned variant; /* its bits say what is asked for; `run` reads them */
} context;

#define BIT(buffer) (1u << (buffer))

typedef struct kernel_case {
    const char *name;
    void (*sizes)(const int64_t *s, int64_t *n); /* numbers in each buffer; 0: there is none */
    void (*run)(context *c);
    const kernel_shape *shapes;
    unsigned variants;                    /* how many; 0: one */
    unsigned real;                        /* buffers that hold real numbers; the others: activations (kernels.h) */
    unsigned positive;                    /* buffers that are filled with 0.1 + |normal| */
    int nan[2];                           /* NaN in the first must show in the second; the same: not asked */
    double tolerance;                     /* of the largest number of a buffer (at least 1) */
    double tolerance_bf16;                /* more of it where activations are bf16 */
    int64_t (*scratch)(const context *c); /* bytes; NULL: none */
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

/* What a kernel returns or writes as plain numbers goes to a buffer of real ones, to be compared. */
static void put_real(context *c, int buffer, const double *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) put_number(c->b[buffer], c->k->dtype, i, values[i]);
}
static void put_floats(context *c, int buffer, const float *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) put_number(c->b[buffer], c->k->dtype, i, (double)values[i]);
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

enum { GEMM_A, GEMM_B, GEMM_C };
static void gemm_sizes(const int64_t *s, int64_t *n) { /* M, N, K; every matrix has rows of up to 3 more */
    n[GEMM_A] = (s[0] + 3) * (s[2] + 3);
    n[GEMM_B] = (s[1] + 3) * (s[2] + 3);
    n[GEMM_C] = s[0] * (s[1] + 3);
}
static const kernel_shape gemm_shapes[] = {{1, 1, 1},      {3, 5, 7},      {33, 17, 65}, {300, 16, 250},
                                           {16, 300, 250}, {300, 260, 20}, {0}};
static void gemm_with(context *c, bool real) { /* bits: either transposed, add */
    const bool ta = c->variant & 1, tb = c->variant & 2, add = c->variant & 4;
    const int64_t M = c->s[0], N = c->s[1], K = c->s[2];
    assert_true((real ? c->k->gemm_real : c->k->gemm)(ta, tb, M, N, K, c->b[GEMM_A], (ta ? M : K) + 1, c->b[GEMM_B],
                                                      (tb ? K : N) + 2, add, c->b[GEMM_C], N + 3));
}
static void gemm_run(context *c) { gemm_with(c, false); }
static void gemm_real_run(context *c) { gemm_with(c, true); }

enum { FROZEN_X, FROZEN_Y, FROZEN_DY, FROZEN_DX, FROZEN_W, FROZEN_BIAS, FROZEN_Y_REAL };
static void frozen_sizes(const int64_t *s, int64_t *n) { /* rows, out, in */
    n[FROZEN_X] = n[FROZEN_DX] = s[0] * s[2];
    n[FROZEN_Y] = n[FROZEN_DY] = n[FROZEN_Y_REAL] = s[0] * s[1];
    n[FROZEN_W] = s[1] * s[2];
    n[FROZEN_BIAS] = s[1];
}
static const kernel_shape frozen_shapes[] = {{1, 1, 1}, {5, 7, 3}, {300, 33, 130}, {0}};
/* Bits 2 and up; where a table lacks the format (packed), one that has the same numbers. */
static lf_frozen_format frozen_format(const context *c) {
    const lf_frozen_format format = (lf_frozen_format)(c->variant >> 2);
    return c->k->frozen_size(format, c->s[1], c->s[2]) > 0 ? format : LF_FROZEN_PLAIN;
}
static int64_t frozen_data(const context *c) {
    return (c->k->frozen_size(frozen_format(c), c->s[1], c->s[2]) + LF_ALIGN - 1) / LF_ALIGN * LF_ALIGN;
}
static int64_t frozen_memory(const context *c) {
    return frozen_data(c) + c->k->frozen_scratch(frozen_format(c), c->s[1], c->s[2]);
}
static void frozen_run(context *c) { /* bits: add, bias, then the format */
    const int64_t rows = c->s[0];
    const lf_scratch scratch = {.data = (char *)c->scratch + frozen_data(c)};
    lf_frozen w = {.out = c->s[1],
                   .in = c->s[2],
                   .data = c->scratch,
                   .format = frozen_format(c),
                   .act_dtype = c->k->act_dtype,
                   .scratch = &scratch};
    static float W[SOURCE];
    for (int64_t i = 0; i < w.out * w.in; i++)
        W[i] = lf_bf16_to_f32(lf_f32_to_bf16(source[i])); /* a number of every type */
    assert_true(c->k->frozen_prepare(&w, W));
    assert_true(
        c->k->frozen_forward(&w, c->b[FROZEN_Y], c->b[FROZEN_X], rows, c->variant & 2 ? c->b[FROZEN_BIAS] : NULL));
    assert_true(c->k->frozen_backward(&w, c->b[FROZEN_DX], c->b[FROZEN_DY], rows, c->variant & 1));
    assert_true(c->k->frozen_forward_real(&w, c->b[FROZEN_Y_REAL], c->b[FROZEN_X], rows));
    memset(W, 0, sizeof W);
    assert_true(c->k->frozen_restore(&w, W));
    put_floats(c, FROZEN_W, W, w.out * w.in);
}

/* ---- int8 ---- */

static int8_t *some_bytes(int64_t n, int64_t from) {
    static int8_t bytes[2][SOURCE];
    int8_t *b = bytes[from != 0];
    for (int64_t i = 0; i < n; i++) {
        const float x = 50 * source[(from + i) % SOURCE];
        b[i] = (int8_t)(x > 127 ? 127 : x < -127 ? -127 : x);
    }
    return b;
}

enum { BYTES_X, BYTES_Q, BYTES_SCALES };
static void quantise_sizes(const int64_t *s, int64_t *n) { /* rows, C, group */
    n[BYTES_X] = n[BYTES_Q] = s[0] * s[1];
    n[BYTES_SCALES] = s[0] * ((s[1] + s[2] - 1) / s[2]);
}
static const kernel_shape quantise_shapes[] = {{1, 1, 1}, {5, 7, 3}, {130, 300, 128}, {3, 257, 257}, {0}};
static void quantise_run(context *c) { /* bit: fold */
    static int8_t q[SOURCE];
    static float scales[SOURCE], numbers[SOURCE];
    const int64_t rows = c->s[0], C = c->s[1];
    c->k->int8_quantise(q, scales, c->b[BYTES_X], c->variant & 1 ? source : NULL, rows, C, c->s[2]);
    for (int64_t i = 0; i < rows * C; i++) numbers[i] = q[i];
    put_floats(c, BYTES_Q, numbers, rows * C);
    put_floats(c, BYTES_SCALES, scales, c->n[BYTES_SCALES]);
}

static void bytes_sizes(const int64_t *s, int64_t *n) { n[0] = s[0] * s[1]; } /* M, N, K */
static const kernel_shape bytes_shapes[] = {{1, 1, 1}, {5, 7, 3}, {7, 130, 33}, {270, 65, 261}, {0}};
static void bytes_run(context *c) { /* bit: transposed; rows stand a few numbers apart */
    static int32_t sums[SOURCE];
    static float numbers[SOURCE];
    const int64_t M = c->s[0], N = c->s[1], K = c->s[2], ldb = (c->variant & 1 ? K : N) + 2;
    const int8_t *A = some_bytes(M * (K + 1), 0), *B = some_bytes((c->variant & 1 ? N : K) * ldb, 77);
    assert_true(c->k->int8_product(sums, N + 3, A, K + 1, B, ldb, c->variant & 1, M, N, K));
    for (int64_t i = 0; i < M * N; i++) numbers[i] = (float)sums[i / N * (N + 3) + i % N];
    put_floats(c, 0, numbers, M * N);
}

enum { STORE_Y, STORE_REAL, STORE_BEFORE, STORE_BIAS };
static void bytes_store_sizes(const int64_t *s, int64_t *n) { /* rows, C */
    n[STORE_Y] = n[STORE_REAL] = s[0] * (s[1] + 2);
    n[STORE_BEFORE] = s[0] * s[1];
    n[STORE_BIAS] = s[1];
}
static const kernel_shape store_shapes[] = {{1, 1}, {5, 7}, {20, 2100}, {0}};
static void bytes_store_run(context *c) { /* bits: add, before, columns, bias */
    static int32_t sums[SOURCE];
    const int64_t rows = c->s[0], C = c->s[1];
    for (int64_t i = 0; i < rows * C; i++) sums[i] = (int32_t)(1000 * source[i]);
    for (int real = 0; real < 2; real++)
        c->k->int8_store(c->b[real ? STORE_REAL : STORE_Y], C + 2, real, c->variant & 1, sums,
                         c->variant & 2 ? c->b[STORE_BEFORE] : NULL, source + 5, 2, c->variant & 4 ? source + 3 : NULL,
                         c->variant & 8 ? c->b[STORE_BIAS] : NULL, rows, C);
}

enum { A_ACT, A_REAL, B_ACT, B_REAL, LORA_A, LORA_B, LORA_A0, LORA_B0 };
static void factor_sizes(const int64_t *s, int64_t *n) { /* r, in, out */
    n[A_ACT] = n[A_REAL] = 2 * s[0] * s[1];
    n[B_ACT] = (2 * s[0] + 3) * s[2];
    n[B_REAL] = 2 * s[0] * s[2];
    n[LORA_A] = n[LORA_A0] = s[0] * s[1];
    n[LORA_B] = n[LORA_B0] = s[0] * s[2];
}
static const kernel_shape factor_shapes[] = {{1, 1, 1}, {3, 5, 7}, {16, 130, 33}, {0}};
static void
factors_run(context *c) { /* bits: delta form; without those as activations; without those as real numbers */
    const bool delta = c->variant & 1, no_act = c->variant & 2, no_real = c->variant & 4;
    const int64_t r = c->s[0], in = c->s[1], out = c->s[2];
    void **b = c->b;
    c->k->lora_factors(no_act ? NULL : b[A_ACT], no_real ? NULL : b[A_REAL], no_act ? NULL : b[B_ACT], 2 * r + 3,
                       no_real ? NULL : b[B_REAL], b[LORA_A], b[LORA_B], delta ? b[LORA_A0] : NULL,
                       delta ? b[LORA_B0] : NULL, r, in, out, 1.5, 0.75);
}

enum { LOW_RANK_Z, LOW_RANK_U, LOW_RANK_F, LOW_RANK_S };   /* Z: what is summed, or added to */
static void low_rank_sizes(const int64_t *s, int64_t *n) { /* rows, C, R */
    n[LOW_RANK_Z] = s[0] * (s[1] + 3);
    n[LOW_RANK_U] = s[0] * (s[2] + 2);
    n[LOW_RANK_F] = n[LOW_RANK_S] = s[2] * (s[1] + 1);
}
static const kernel_shape low_rank_shapes[] = {{1, 1, 1},    {5, 7, 3},    {33, 70, 16}, {130, 200, 24},
                                               {7, 65, 300}, {300, 65, 9}, {0}};
static void low_rank_add_run(context *c) {
    const int64_t rows = c->s[0], C = c->s[1], R = c->s[2];
    c->k->low_rank_add(c->b[LOW_RANK_Z], C + 3, c->b[LOW_RANK_U], R + 2, c->b[LOW_RANK_F], C + 1, rows, C, R);
}
static void low_rank_sum_run(context *c) { /* variant: add */
    const int64_t rows = c->s[0], C = c->s[1], R = c->s[2];
    assert_true(c->k->low_rank_sum(c->b[LOW_RANK_S], C + 1, c->variant, c->b[LOW_RANK_U], R + 2, c->b[LOW_RANK_Z],
                                   C + 3, rows, R, C));
}

enum { TRANSPOSED_Y, TRANSPOSED_X };
static void transposed_sizes(const int64_t *s, int64_t *n) { /* rows, C */
    n[TRANSPOSED_Y] = s[0] * s[1];
    n[TRANSPOSED_X] = (s[0] + 5) * s[1];
}
static const kernel_shape transposed_shapes[] = {{1, 1}, {5, 33}, {300, 16}, {0}};
static void add_transposed_run(context *c) {
    c->k->add_transposed(c->b[TRANSPOSED_Y], c->b[TRANSPOSED_X], c->s[0] + 5, c->s[0], c->s[1]);
}

enum { DORA_NORM, DORA_SQUARES, DORA_B, DORA_P, DORA_G, DORA_M, DORA_Z, DORA_Y };
static void dora_sizes(const int64_t *s, int64_t *n) { /* rows, C, r */
    n[DORA_NORM] = n[DORA_SQUARES] = n[DORA_M] = s[1];
    n[DORA_B] = s[1] * s[2];
    n[DORA_P] = s[2] * (s[1] + 3);
    n[DORA_G] = s[2] * s[2];
    n[DORA_Z] = n[DORA_Y] = s[0] * s[1];
}
static const kernel_shape dora_shapes[] = {{1, 1, 1}, {5, 7, 3}, {130, 300, 8}, {3, 1030, 2}, {0}};
#define REAL_DORA (~(BIT(DORA_Z) | BIT(DORA_Y)))
static void row_norms_run(context *c) {
    c->k->row_norms(c->b[DORA_NORM], c->b[DORA_SQUARES], c->b[DORA_B], c->b[DORA_P], c->s[1] + 3, c->b[DORA_G], c->s[1],
                    c->s[2], 0.05);
}
static void apply_magnitudes_run(context *c) { /* variant: bias */
    c->k->apply_magnitudes(c->b[DORA_Y], c->b[DORA_Z], c->b[DORA_M], c->b[DORA_SQUARES],
                           c->variant ? c->b[DORA_NORM] : NULL, c->s[0], c->s[1]);
}
static void apply_magnitudes_backward_run(context *c) { /* bits: add; dz, dm not wanted; its dy is Y */
    c->k->apply_magnitudes_backward(c->variant & 2 ? NULL : c->b[DORA_Z], c->variant & 1,
                                    c->variant & 4 ? NULL : c->b[DORA_NORM], c->b[DORA_Y], c->b[DORA_Z], c->b[DORA_M],
                                    c->b[DORA_SQUARES], c->s[0], c->s[1]);
}

/* ---- one pass over memory each ----------------------------------------------------------------------------------- */

enum { X, DY, Y }; /* of n numbers each; DY: any second one */
static void three_vectors(const int64_t *s, int64_t *n) { n[X] = n[DY] = n[Y] = s[0]; }
static const kernel_shape thousand[] = {{1000}, {0}};
static const kernel_shape vectors[] = {{1}, {7}, {64}, {1000}, {1025}, {40000}, {0}};

static void fill_run(context *c) { c->k->fill(c->b[Y], 0.25, c->s[0]); }
static void from_f32_run(context *c) { c->k->from_f32(c->b[Y], source, c->s[0]); }
static void to_f32_run(context *c) {
    static float y[SOURCE];
    c->k->to_f32(y, c->b[X], c->s[0]);
    put_floats(c, Y, y, c->s[0]);
}
static void to_act_run(context *c) { c->k->to_act(c->b[Y], c->variant, c->b[X], c->s[0]); }   /* variant: add */
static void to_real_run(context *c) { c->k->to_real(c->b[Y], c->variant, c->b[X], c->s[0]); } /* the same */
static void add_run(context *c) { /* variant: the result's buffer, so also in place */
    c->k->add(c->b[c->variant], c->b[X], c->b[DY], c->s[0]);
}
static void axpy_run(context *c) { c->k->axpy(c->b[Y], -0.3, c->b[X], c->s[0]); }
static void dropout_run(context *c) { /* bits: add, in place; the others: p */
    static const double p[] = {0.1, 0, 1, 0.999};
    c->k->dropout(c->b[c->variant & 2 ? X : Y], c->variant & 1, c->b[X], c->s[0], p[c->variant >> 2], random_key);
}
static void noise_run(context *c) { /* bit: in place */
    c->k->noise(c->b[c->variant & 1 ? X : Y], c->b[X], c->s[0], 0.4, random_key);
}

static void activation_run(context *c) { /* variant: the function */
    c->k->activation(c->b[Y], c->b[X], c->s[0], (lf_activation_kind)c->variant);
}
static void activation_backward_run(context *c) { /* bit: add; the others: the function */
    c->k->activation_backward(c->b[Y], c->variant & 1, c->b[DY], c->b[X], c->s[0],
                              (lf_activation_kind)(c->variant >> 1));
}

enum { GATED_X, GATED_Y, GATED_DX };
static void gated_sizes(const int64_t *s, int64_t *n) { /* rows, C */
    n[GATED_X] = n[GATED_DX] = 2 * s[0] * s[1];
    n[GATED_Y] = s[0] * s[1];
}
static const kernel_shape gate_shapes[] = {{1, 1}, {3, 5}, {4, 1027}, {130, 300}, {0}};
static void gated_run(context *c) { /* as activation_run */
    c->k->gated(c->b[GATED_Y], c->b[GATED_X], c->s[0], c->s[1], (lf_activation_kind)c->variant);
}
static void gated_backward_run(context *c) { /* as activation_backward_run */
    c->k->gated_backward(c->b[GATED_DX], c->variant & 1, c->b[GATED_Y], c->b[GATED_X], c->s[0], c->s[1],
                         (lf_activation_kind)(c->variant >> 1));
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

enum { ROWS_X, ROWS_DY, ROWS_DX, MEAN, RSTD, WEIGHT, BIAS, DWEIGHT, DBIAS };
static void rows_sizes(const int64_t *s, int64_t *n) { /* rows, C */
    n[ROWS_X] = n[ROWS_DY] = n[ROWS_DX] = s[0] * s[1];
    n[MEAN] = n[RSTD] = s[0];
    n[WEIGHT] = n[BIAS] = n[DWEIGHT] = n[DBIAS] = s[1];
}
static const kernel_shape row_shapes[] = {{1, 1}, {1, 17}, {3, 1}, {5, 33}, {130, 64}, {300, 200}, {40, 1030}, {0}};
#define REAL_ROWS (BIT(MEAN) | BIT(RSTD) | BIT(WEIGHT) | BIT(BIAS) | BIT(DWEIGHT) | BIT(DBIAS))

static void bias_run(context *c) { c->k->bias(c->b[ROWS_X], c->s[1], c->b[BIAS], c->s[0], c->s[1]); }
static void column_sums_run(context *c) { c->k->column_sums(c->b[DBIAS], c->b[ROWS_DY], c->s[1], c->s[0], c->s[1]); }
static void layernorm_run(context *c) { /* its y is the buffer DY */
    c->k->layernorm(c->b[ROWS_DY], c->b[MEAN], c->b[RSTD], c->b[ROWS_X], c->b[WEIGHT], c->b[BIAS], c->s[0], c->s[1],
                    1e-5);
}
static void layernorm_backward_run(context *c) { /* bits: add; dx, dw, db not wanted */
    const unsigned v = c->variant;
    c->k->layernorm_backward(v & 2 ? NULL : c->b[ROWS_DX], v & 1, v & 4 ? NULL : c->b[DWEIGHT],
                             v & 8 ? NULL : c->b[DBIAS], c->b[ROWS_DY], c->b[ROWS_X], c->b[MEAN], c->b[RSTD],
                             c->b[WEIGHT], c->s[0], c->s[1]);
}

enum { RMS_X, RMS_Y, RMS_DX, RMS_RSTD_GIVEN, RMS_RSTD, RMS_W, RMS_DW };
static void rmsnorm_sizes(const int64_t *s, int64_t *n) { /* rows, groups, C, padding */
    n[RMS_X] = n[RMS_Y] = n[RMS_DX] = s[0] * (s[1] * s[2] + s[3]);
    n[RMS_RSTD_GIVEN] = n[RMS_RSTD] = s[0] * s[1];
    n[RMS_W] = n[RMS_DW] = s[2];
}
static const kernel_shape norm_shapes[] = {{1, 1, 1, 0},     {1, 1, 17, 0},    {3, 2, 1, 4}, {5, 3, 33, 7},
                                           {130, 4, 64, 20}, {40, 1, 1030, 0}, {0}};
#define REAL_RMS (BIT(RMS_RSTD_GIVEN) | BIT(RMS_RSTD) | BIT(RMS_W) | BIT(RMS_DW))
static void rmsnorm_run(context *c) {
    c->k->rmsnorm(c->b[RMS_Y], c->b[RMS_RSTD], c->b[RMS_X], c->b[RMS_W], c->s[0], c->s[1], c->s[2],
                  c->s[1] * c->s[2] + c->s[3], 1e-5);
}
static void rmsnorm_backward_run(context *c) { /* bits: add; dx, dw not wanted */
    c->k->rmsnorm_backward(c->variant & 2 ? NULL : c->b[RMS_DX], c->variant & 1, c->variant & 4 ? NULL : c->b[RMS_DW],
                           c->b[RMS_Y], c->b[RMS_X], c->b[RMS_RSTD_GIVEN], c->b[RMS_W], c->s[0], c->s[1], c->s[2],
                           c->s[1] * c->s[2] + c->s[3]);
}

enum { SCALE_X, SCALE_Y, SCALE_W, SCALE_DW };
static void scale_sizes(const int64_t *s, int64_t *n) { /* rows, C */
    n[SCALE_X] = n[SCALE_Y] = s[0] * s[1];
    n[SCALE_W] = n[SCALE_DW] = s[1];
}
static const kernel_shape scale_shapes[] = {{1, 1}, {7, 5}, {300, 150}, {40, 1030}, {0}};
static void scale_run(context *c) { /* variant: add */
    c->k->scale_columns(c->b[SCALE_Y], c->variant, c->b[SCALE_X], c->b[SCALE_W], c->s[0], c->s[1]);
}
static void column_products_run(context *c) {
    c->k->column_products(c->b[SCALE_DW], c->b[SCALE_Y], c->b[SCALE_X], c->s[0], c->s[1]);
}

static void block_sizes(const int64_t *s, int64_t *n) { /* rows, C, padding of x, of y */
    n[0] = s[0] * (s[1] + s[2]);
    n[1] = s[0] * (s[1] + s[3]);
}
static const kernel_shape block_shapes[] = {{1, 1, 0, 0}, {7, 5, 3, 0}, {300, 150, 70, 11}, {0}};
static void block_run(context *c) { /* variant: add */
    c->k->copy_block(c->b[1], c->s[1] + c->s[3], c->variant, c->b[0], c->s[1] + c->s[2], c->s[0], c->s[1]);
}

enum { COPY_X, COPY_Y };
static void copy_sizes(const int64_t *s, int64_t *n) {
    n[COPY_X] = n[COPY_Y] = s[0] * (s[1] + s[2]);
} /* rows, C, padding */
static const kernel_shape copy_shapes[] = {{1, 1, 0}, {7, 5, 3}, {300, 150, 70}, {0}};
static void copy_run(context *c) { /* variant: add */
    c->k->copy_columns(c->b[COPY_Y], c->variant, c->b[COPY_X], c->s[1] + c->s[2], c->s[0], c->s[1]);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

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

enum { ATT_Q, ATT_K, ATT_V, ATT_O, ATT_LSE, ATT_DO, ATT_DQ, ATT_DK, ATT_DV, ATT_BIAS };
static void attention_sizes(const int64_t *s, int64_t *n) { /* B, T, H, Hkv, D, Tq (0: T) */
    const int64_t tokens = s[0] * s[1], queries = s[0] * (s[5] ? s[5] : s[1]);
    n[ATT_Q] = n[ATT_DQ] = queries * (s[2] * s[4] + 5);
    n[ATT_K] = n[ATT_V] = n[ATT_DK] = n[ATT_DV] = tokens * (s[3] * s[4] + 3);
    n[ATT_O] = n[ATT_DO] = queries * (s[2] * s[4] + 1);
    n[ATT_LSE] = queries * s[2];
    n[ATT_BIAS] = queries / s[0] * s[1] * s[2];
}
static const kernel_shape attention_shapes[] = {{2, 1, 1, 1, 1},    {1, 5, 2, 1, 7},        {2, 17, 4, 2, 8},
                                                {1, 197, 1, 1, 64}, {1, 270, 2, 1, 20},     {2, 33, 6, 2, 1, 1},
                                                {1, 600, 1, 1, 3},  {1, 300, 2, 2, 6, 290}, {0}};
static lf_attention_dims attention_base(const context *c) {
    const int64_t *s = c->s, Tq = s[5] ? s[5] : s[1];
    return (lf_attention_dims){.B = s[0],
                               .T = s[1],
                               .Tq = Tq,
                               .H = s[2],
                               .Hkv = s[3],
                               .D = s[4],
                               .ldq = s[2] * s[4] + 5,
                               .ldkv = s[3] * s[4] + 3,
                               .ldo = s[2] * s[4] + 1,
                               .scale = 1 / sqrt((double)s[4]),
                               .key = random_key};
}
static lf_attention_dims attention_dims(const context *c) { /* bits: causal, dropout; a window, documents: causal too */
    lf_attention_dims d = attention_base(c);
    d.causal = c->variant & 1 || c->variant >= 4;
    d.window = c->variant & 4 ? d.T / 3 + 1 : 0;
    d.first = c->variant & 8 ? documents(d.B, d.T, d.Tq) : NULL;
    d.dropout = c->variant & 2 ? 0.2 : 0;
    return d;
}
/* The other options, in these ways together. */
static const kernel_shape more_attention_shapes[] = {{2, 1, 1, 1, 1},    {2, 17, 4, 2, 8},       {2, 33, 6, 2, 1, 1},
                                                     {1, 270, 2, 1, 20}, {1, 300, 2, 2, 6, 290}, {0}};
static const struct {
    bool causal, dropout, lengths, bias;
    int window; /* the sequence in so many parts */
    double softcap;
} more_attention[] = {{.softcap = 0.8},
                      {.causal = true, .dropout = true, .window = 2, .softcap = 1.5},
                      {.lengths = true},
                      {.lengths = true, .dropout = true, .window = 9},
                      {.window = 20},
                      {.bias = true},
                      {.bias = true, .lengths = true, .dropout = true, .softcap = 2}};
enum { MORE_ATTENTION = (int)(sizeof more_attention / sizeof *more_attention) };
static lf_attention_dims more_attention_dims(const context *c) { /* variant: the row of the table */
    static int32_t lengths[2];                                   /* the last example ends half way */
    lf_attention_dims d = attention_base(c);
    assert_true(d.B <= 2);
    for (int64_t b = 0; b < 2; b++) lengths[b] = (int32_t)(b < d.B - 1 ? d.T : (d.T + 1) / 2);
    d.causal = more_attention[c->variant].causal;
    d.dropout = more_attention[c->variant].dropout ? 0.2 : 0;
    d.lengths = more_attention[c->variant].lengths ? lengths : NULL;
    d.window = more_attention[c->variant].window ? d.T / more_attention[c->variant].window + 1 : 0;
    d.softcap = more_attention[c->variant].softcap;
    d.bias = more_attention[c->variant].bias ? c->b[ATT_BIAS] : NULL;
    return d;
}
static int64_t scratch_for(const lf_kernels *k, const lf_attention_dims *d) {
    const int64_t forward = k->attention_scratch(d, false), backward = k->attention_scratch(d, true);
    return forward > backward ? forward : backward;
}
static int64_t attention_scratch(const context *c) {
    const lf_attention_dims d = attention_dims(c);
    return scratch_for(c->k, &d);
}
static int64_t more_attention_scratch(const context *c) {
    const lf_attention_dims d = more_attention_dims(c);
    return scratch_for(c->k, &d);
}
static void attention_with(context *c, const lf_attention_dims *d) {
    void **b = c->b;
    c->k->attention(b[ATT_O], b[ATT_LSE], b[ATT_Q], b[ATT_K], b[ATT_V], d, c->scratch);
    c->k->attention_backward(b[ATT_DQ], b[ATT_DK], b[ATT_DV], b[ATT_DO], b[ATT_O], b[ATT_LSE], b[ATT_Q], b[ATT_K],
                             b[ATT_V], d, c->scratch);
}
static void attention_run(context *c) {
    const lf_attention_dims d = attention_dims(c);
    attention_with(c, &d);
}
static void more_attention_run(context *c) {
    const lf_attention_dims d = more_attention_dims(c);
    attention_with(c, &d);
}

/* Numbers below `limit` in no order; some come again and again. */
static const int32_t *some_ids(int64_t n, int64_t limit) {
    static int32_t ids[MAX_ROWS];
    assert_true(n <= MAX_ROWS);
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)((i % 4 == 3 ? 3 : i * 37 + 5) % limit);
    return ids;
}

enum { ROPE_X, ROPE_Y };
static void rope_sizes(const int64_t *s, int64_t *n) { /* rows, heads, D, padding, of each head not turned */
    n[ROPE_X] = n[ROPE_Y] = s[0] * (s[1] * s[2] + s[3]);
}
static const kernel_shape rope_shapes[] = {{1, 1, 2, 0},    {3, 2, 6, 5},      {9, 3, 34, 0},        {200, 6, 64, 128},
                                           {2, 3, 7, 0, 1}, {5, 2, 34, 3, 22}, {100, 4, 64, 64, 16}, {0}};
static void rope_run(context *c) { /* bits: add, inverse */
    const int64_t *s = c->s;
    c->k->rope(c->b[ROPE_Y], c->variant & 1, c->b[ROPE_X], source, source + SOURCE / 2, some_ids(s[0], 300),
               c->variant & 2, s[0], s[1], s[2], s[2] - s[4], s[1] * s[2] + s[3]);
}

/* ---- embeddings and tokens --------------------------------------------------------------------------------------- */

enum { PATCHES };
static void patchify_sizes(const int64_t *s, int64_t *n) {
    n[PATCHES] = s[0] * s[1] * s[2] * s[3];
} /* B, channels, H, W, P */
static const kernel_shape patchify_shapes[] = {{1, 1, 1, 1, 1}, {2, 3, 8, 12, 4}, {2, 3, 96, 64, 16}, {0}};
static void patchify_run(context *c) {
    const int64_t *s = c->s;
    c->k->patchify(c->b[PATCHES], source, s[0], s[1], s[2], s[3], s[4]);
}

enum { EMBED_X, EMBED_PATCHES, CLS, POS, DPATCHES, DCLS, DPOS };
static void embed_sizes(const int64_t *s, int64_t *n) { /* B, N, C, P, K (-1: no positions) */
    n[EMBED_X] = s[0] * (s[1] + s[3]) * s[2];
    n[EMBED_PATCHES] = n[DPATCHES] = s[0] * s[1] * s[2];
    n[CLS] = n[DCLS] = (s[3] ? s[3] : 1) * s[2];
    n[POS] = n[DPOS] = (s[1] + (s[4] > 0 ? s[4] : 0)) * s[2];
}
static const kernel_shape embedding_shapes[] = {{1, 1, 1, 1, 1}, {3, 4, 5, 2, 2},    {2, 3, 7, 0, 0},
                                                {2, 6, 5, 5, 1}, {6, 50, 130, 1, 1}, {0}};
static const kernel_shape embedding_shapes_forward[] = {
    {1, 1, 1, 1, 1}, {3, 4, 5, 2, 2}, {2, 3, 7, 0, 0}, {2, 6, 5, 5, 1}, {6, 50, 130, 1, 1}, {2, 4, 6, 1, -1}, {0}};
#define REAL_EMBED (BIT(CLS) | BIT(POS) | BIT(DCLS) | BIT(DPOS))
static void embed_run(context *c) {
    const bool placed = c->s[4] >= 0;
    c->k->embed_tokens(c->b[EMBED_X], c->b[EMBED_PATCHES], c->s[3] ? c->b[CLS] : NULL, placed ? c->b[POS] : NULL,
                       c->s[0], c->s[1], c->s[2], c->s[3], placed ? c->s[4] : 0);
}
static void embed_backward_run(context *c) { /* bits: not wanted */
    c->k->embed_tokens_backward(c->variant & 1 ? NULL : c->b[DPATCHES], c->variant & 2 ? NULL : c->b[DCLS],
                                c->variant & 4 ? NULL : c->b[DPOS], c->b[EMBED_X], c->s[0], c->s[1], c->s[2], c->s[3],
                                c->s[4]);
}

enum { TOKENS, TOKEN };
static void token_sizes(const int64_t *s, int64_t *n) { /* B, T, C, t */
    n[TOKENS] = s[0] * s[1] * s[2];
    n[TOKEN] = s[0] * s[2];
}
static const kernel_shape selections[] = {{1, 1, 1, 0}, {3, 4, 5, 2}, {6, 50, 130, 0}, {0}};
static void select_run(context *c) {
    c->k->select_token(c->b[TOKEN], c->b[TOKENS], c->s[0], c->s[1], c->s[2], c->s[3]);
}
static void select_backward_run(context *c) { /* variant: add */
    c->k->select_token_backward(c->b[TOKENS], c->variant, c->b[TOKEN], c->s[0], c->s[1], c->s[2], c->s[3]);
}

static void select_tokens_run(context *c) {
    c->k->select_tokens(c->b[TOKEN], c->b[TOKENS], some_ids(c->s[0], c->s[1]), c->s[0], c->s[1], c->s[2]);
}
static void select_tokens_backward_run(context *c) { /* variant: add */
    c->k->select_tokens_backward(c->b[TOKENS], c->variant, c->b[TOKEN], some_ids(c->s[0], c->s[1]), c->s[0], c->s[1],
                                 c->s[2]);
}
/* Lengths of 1 .. T tokens after the first s[3]. */
static const int32_t *some_lengths(const int64_t *s) {
    static int32_t lengths[MAX_ROWS];
    for (int64_t b = 0; b < s[0]; b++) lengths[b] = (int32_t)(b == 0 ? s[1] : s[3] + 1 + b * 7 % (s[1] - s[3]));
    return lengths;
}
static const kernel_shape means[] = {{1, 1, 1, 0}, {3, 4, 5, 2}, {6, 50, 130, 1}, {2, 9, 1500, 0}, {0}};
static void mean_tokens_run(context *c) { /* variant: lengths */
    c->k->mean_tokens(c->b[TOKEN], c->b[TOKENS], c->s[3], c->variant ? some_lengths(c->s) : NULL, c->s[0], c->s[1],
                      c->s[2]);
}
static void mean_tokens_backward_run(context *c) { /* bits: add, lengths */
    c->k->mean_tokens_backward(c->b[TOKENS], c->variant & 1, c->b[TOKEN], c->s[3],
                               c->variant & 2 ? some_lengths(c->s) : NULL, c->s[0], c->s[1], c->s[2]);
}

enum { GATHERED, TABLE_ACT, TABLE_REAL };
static void table_sizes(const int64_t *s, int64_t *n) { /* rows, V, C */
    n[GATHERED] = s[0] * s[2];
    n[TABLE_ACT] = n[TABLE_REAL] = s[1] * s[2];
}
static const kernel_shape table_shapes[] = {{1, 1, 1}, {9, 5, 3}, {300, 40, 130}, {30, 7, 1100}, {0}};
static void gather_run(context *c) { /* bits: add, the real table */
    const bool real = c->variant & 2;
    c->k->gather_rows(c->b[GATHERED], c->variant & 1, c->b[real ? TABLE_REAL : TABLE_ACT], real,
                      some_ids(c->s[0], c->s[1]), c->s[0], c->s[2]);
}
static void scatter_run(context *c) {
    c->k->scatter_rows(c->b[TABLE_REAL], c->b[GATHERED], some_ids(c->s[0], c->s[1]), c->s[0], c->s[2]);
}

enum { COLUMNS_U, COLUMNS_A, COLUMNS_A0 };
static void columns_sizes(const int64_t *s, int64_t *n) { /* rows, V, r */
    n[COLUMNS_U] = 2 * s[0] * s[2];
    n[COLUMNS_A] = n[COLUMNS_A0] = s[2] * s[1];
}
static const kernel_shape columns_shapes[] = {{1, 1, 1}, {9, 5, 3}, {300, 40, 16}, {30, 700, 5}, {0}};
static void gather_columns_run(context *c) { /* variant: with A0 */
    c->k->gather_columns(c->b[COLUMNS_U], c->b[COLUMNS_A], c->variant ? c->b[COLUMNS_A0] : NULL,
                         some_ids(c->s[0], c->s[1]), c->s[0], c->s[2], c->s[1], 1.3);
}
static void scatter_columns_run(context *c) { /* bits: two parts, padding */
    c->k->scatter_columns(c->b[COLUMNS_A], c->b[COLUMNS_U], some_ids(c->s[0], c->s[1]), c->variant & 2 ? 0 : -1,
                          c->s[0], c->s[2], c->variant & 1 ? 2 : 1, c->s[1]);
}

/* ---- losses ------------------------------------------------------------------------------------------------------ */

enum { LOGITS, DLOGITS, CLASS_LSE, CLASS_LOSS };
static void class_sizes(const int64_t *s, int64_t *n) { /* rows, V */
    n[LOGITS] = n[DLOGITS] = s[0] * s[1];
    n[CLASS_LSE] = s[0];
    n[CLASS_LOSS] = 1;
}
static void cross_entropy_run(context *c) { /* bits: add, smoothing, weights */
    static int32_t labels[MAX_ROWS];
    const int64_t rows = c->s[0], classes = c->s[1];
    const double smoothing = c->variant & 2 ? 0.1 : 0;
    const float *weights = c->variant & 4 ? source : NULL; /* also below 0 */
    void **b = c->b;
    for (int64_t row = 0; row < rows; row++) labels[row] = row % 3 == 2 ? -1 : (int32_t)(row * 7 % classes);
    const double loss = c->k->cross_entropy(b[CLASS_LSE], b[LOGITS], labels, weights, rows, classes, smoothing);
    put_real(c, CLASS_LOSS, &loss, 1);
    c->k->cross_entropy_backward(b[DLOGITS], c->variant & 1, 0.3, b[CLASS_LSE], b[LOGITS], labels, weights, rows,
                                 classes, smoothing);
}

/* Targets 0, 1 and between; some are missing. */
static const float *some_targets(int64_t n) {
    static float targets[SOURCE];
    assert_true(n <= SOURCE);
    for (int64_t i = 0; i < n; i++) targets[i] = i % 7 == 6 ? NAN : (float)(i % 3) / 2;
    return targets;
}
static void value_loss_run(context *c) { /* bits: add, mse */
    const int64_t n = c->s[0] * c->s[1];
    const lf_value_loss_kind kind = c->variant & 2 ? LF_MSE : LF_BCE;
    const double loss = c->k->value_loss(c->b[LOGITS], some_targets(n), n, kind);
    put_real(c, CLASS_LOSS, &loss, 1);
    c->k->value_loss_backward(c->b[DLOGITS], c->variant & 1, 0.3, c->b[LOGITS], some_targets(n), n, kind);
}

enum {
    LM_LOGITS,
    LM_BASE,
    LM_DLOGITS,
    LM_LSE,
    LM_NLL,
    LM_UNIFORM,
    LM_CORRECT,
    LM_BIAS,
    LM_CE = LM_NLL,
    LM_KL = LM_UNIFORM
};
static void lm_sizes(const int64_t *s, int64_t *n) { /* rows, V */
    n[LM_LOGITS] = n[LM_BASE] = n[LM_DLOGITS] = s[0] * s[1];
    n[LM_LSE] = n[LM_NLL] = n[LM_UNIFORM] = n[LM_CORRECT] = s[0];
    n[LM_BIAS] = s[1];
}
static const kernel_shape logit_shapes[] = {{1, 1}, {1, 33}, {5, 7}, {300, 200}, {3, 5001}, {0}};
#define REAL_LM                                                                                                        \
    (BIT(LM_LOGITS) | BIT(LM_BASE) | BIT(LM_LSE) | BIT(LM_NLL) | BIT(LM_UNIFORM) | BIT(LM_CORRECT) | BIT(LM_BIAS))
static void lm_cross_entropy_run(context *c) { /* bit: smoothing */
    static double nll[MAX_ROWS], uniform[MAX_ROWS], right[MAX_ROWS];
    static bool correct[MAX_ROWS];
    const bool smooth = c->variant & 1;
    const int64_t rows = c->s[0], words = c->s[1];
    const int32_t *label = some_ids(rows, words);
    void **b = c->b;
    c->k->lm_cross_entropy(b[LM_LSE], nll, smooth ? uniform : NULL, correct, b[LM_LOGITS], label, rows, words);
    c->k->lm_cross_entropy_backward(b[LM_DLOGITS], 0.3, b[LM_LSE], b[LM_LOGITS], label, rows, words, smooth ? 0.1 : 0);
    for (int64_t i = 0; i < rows; i++) right[i] = correct[i];
    put_real(c, LM_NLL, nll, rows);
    if (smooth) put_real(c, LM_UNIFORM, uniform, rows);
    put_real(c, LM_CORRECT, right, rows);
}
static void lm_logits_run(context *c) { /* bits: bias, softcap */
    const double softcap = c->variant & 2 ? 1.5 : 0;
    c->k->lm_logits(c->b[LM_LOGITS], c->variant & 1 ? c->b[LM_BIAS] : NULL, c->s[0], c->s[1], 0.7, softcap);
    c->k->lm_logits_backward(c->b[LM_DLOGITS], softcap > 0 ? c->b[LM_LOGITS] : NULL, c->s[0] * c->s[1], 0.3, softcap);
}
/* An entry of each row but of every fifth. */
static const int32_t *some_taken_out(int64_t rows, int64_t words) {
    static int32_t out[MAX_ROWS];
    const int32_t *ids = some_ids(rows, words);
    for (int64_t i = 0; i < rows; i++) out[i] = i % 5 == 4 ? -1 : ids[i];
    return out;
}

static void lm_compare_run(context *c) { /* bit: an entry is taken out */
    static double ce[MAX_ROWS], kl[MAX_ROWS];
    const int64_t rows = c->s[0], words = c->s[1];
    const int32_t *out = c->variant & 1 ? some_taken_out(rows, words) : NULL;
    c->k->lm_compare(ce, kl, c->b[LM_LOGITS], c->b[LM_BASE], out, rows, words);
    put_real(c, LM_CE, ce, rows);
    put_real(c, LM_KL, kl, rows);
    c->k->lm_compare(ce, kl, c->b[LM_LOGITS], c->b[LM_LOGITS], out, rows, words);
    for (int64_t i = 0; i < rows; i++) assert_true(kl[i] == 0 || isnan(kl[i]));
}

static void lm_compare_backward_run(context *c) { /* bits: add, once, an entry is taken out */
    const int64_t rows = c->s[0], words = c->s[1];
    const int32_t *out = c->variant & 4 ? some_taken_out(rows, words) : NULL;
    c->k->lm_compare_backward(c->b[LM_DLOGITS], c->variant & 1, 0.3, c->b[LM_LOGITS], c->b[LM_BASE], out, rows, words);
    if (c->variant & 2) return;
    c->k->lm_compare_backward(c->b[LM_BASE], false, 0.3, c->b[LM_LOGITS], c->b[LM_LOGITS], out, rows, words);
    for (int64_t i = 0; i < rows * words; i++) {
        const double x = get(c->b[LM_BASE], c->k->act_dtype, i);
        assert_true(x == 0 || isnan(x));
    }
    c->k->wide->fill(c->b[LM_BASE], 0, rows * words); /* it is real, and holds activations now */
}

/* ---- optimisers -------------------------------------------------------------------------------------------------- */

enum { PARAMETER, MOMENT_1, MOMENT_2, GRADIENT };
static void optimiser_sizes(const int64_t *s, int64_t *n) {
    n[PARAMETER] = n[MOMENT_1] = n[MOMENT_2] = n[GRADIENT] = s[0];
}
#define REAL_OPTIMISER (BIT(PARAMETER) | BIT(MOMENT_1) | BIT(MOMENT_2) | BIT(GRADIENT))
static void sum_squares_run(context *c) { /* the sum goes to the first of the parameters */
    const double sum = c->k->sum_squares(c->b[GRADIENT], c->s[0]);
    put_real(c, PARAMETER, &sum, 1);
}
static void average_run(context *c) { c->k->average(c->b[PARAMETER], c->b[GRADIENT], c->s[0], 0.9); }
static void adamw_run(context *c) {
    const lf_adamw_step step = {.learning_rate = 0.01,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .epsilon = 1e-8,
                                .weight_decay = 0.1,
                                .correction1 = 0.19,
                                .correction2 = 0.001999,
                                .gradient_scale = 0.7};
    c->k->adamw(c->b[PARAMETER], c->b[MOMENT_1], c->b[MOMENT_2], c->b[GRADIENT], c->s[0], &step);
}
static void sgd_run(context *c) { /* variant: first */
    c->k->sgd(c->b[PARAMETER], c->b[MOMENT_1], c->b[GRADIENT], c->s[0], 0.1, 0.9, 0.01, 0.7, c->variant);
}

static void lion_run(context *c) {
    c->k->lion(c->b[PARAMETER], c->b[MOMENT_1], c->b[GRADIENT], c->s[0], 0.1, 0.9, 0.99, 0.01, 0.7);
}
static const lf_adafactor_step adafactor_step = {
    .learning_rate = 0.01, .weight_decay = 0.1, .gradient_scale = 0.7, .keep = 0.4, .epsilon = 1e-30, .threshold = 1};
static void adafactor_sizes(const int64_t *s, int64_t *n) {
    n[PARAMETER] = n[GRADIENT] = s[0] * s[1] * s[2];
    n[MOMENT_1] = s[0] * s[1];
    n[MOMENT_2] = s[0] * s[2];
}
static const kernel_shape adafactor_shapes[] = {{1, 1, 1},   {1, 7, 3},   {1, 3, 1},     {1, 1, 200}, {5, 4, 6},
                                                {1, 8, 300}, {1, 300, 8}, {1, 300, 200}, {0}};
static void adafactor_run(context *c) {
    c->k->adafactor(c->b[PARAMETER], c->b[MOMENT_1], c->b[MOMENT_2], c->b[GRADIENT], c->s[0], c->s[1], c->s[2],
                    &adafactor_step);
}
static void adafactor_vector_run(context *c) {
    c->k->adafactor_vector(c->b[PARAMETER], c->b[MOMENT_1], c->b[GRADIENT], c->s[0], &adafactor_step);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Tolerances: 1e-6 for a few roundings of 6e-8; 1e-5 for sums of some hundred products, whose rounding grows like the
 * root of their number; 5e-5 for attention's gradients, three such sums one after the other. There bf16 costs more: o
 * is rounded and then read. 40000 and 300 x 200 are above what runs on one thread. */
static const kernel_case cases[] = {
    {.name = "gemm",
     .sizes = gemm_sizes,
     .run = gemm_run,
     .shapes = gemm_shapes,
     .variants = 8,
     .nan = {GEMM_A, GEMM_C},
     .tolerance = 1e-5},
    {.name = "gemm_real",
     .sizes = gemm_sizes,
     .run = gemm_real_run,
     .shapes = gemm_shapes,
     .variants = 8,
     .real = BIT(GEMM_C),
     .nan = {GEMM_A, GEMM_C},
     .tolerance = 1e-5},
    {.name = "frozen",
     .sizes = frozen_sizes,
     .run = frozen_run,
     .shapes = frozen_shapes,
     .variants = 4 * LF_FROZEN_FORMATS,
     .real = BIT(FROZEN_W) | BIT(FROZEN_BIAS) | BIT(FROZEN_Y_REAL),
     .nan = {FROZEN_X, FROZEN_Y},
     .tolerance = 1e-5,
     .tolerance_bf16 = 3e-3, /* of nf4, whose numbers are rounded once more than those of the reference in double */
     .scratch = frozen_memory},
    {.name = "int8_quantise",
     .sizes = quantise_sizes,
     .run = quantise_run,
     .shapes = quantise_shapes,
     .variants = 2,
     .real = BIT(BYTES_Q) | BIT(BYTES_SCALES),
     .nan = {BYTES_X, BYTES_SCALES},
     .tolerance = 1e-9},
    {.name = "int8_product", .sizes = bytes_sizes, .run = bytes_run, .shapes = bytes_shapes, .variants = 2, .real = 1},
    {.name = "int8_store",
     .sizes = bytes_store_sizes,
     .run = bytes_store_run,
     .shapes = store_shapes,
     .variants = 16,
     .real = BIT(STORE_REAL) | BIT(STORE_BEFORE) | BIT(STORE_BIAS),
     .tolerance = 1e-6},
    {.name = "lora_factors",
     .sizes = factor_sizes,
     .run = factors_run,
     .shapes = factor_shapes,
     .variants = 8,
     .real = ~(BIT(A_ACT) | BIT(B_ACT)),
     .tolerance = 1e-6},
    {.name = "low_rank_add",
     .sizes = low_rank_sizes,
     .run = low_rank_add_run,
     .shapes = low_rank_shapes,
     .real = BIT(LOW_RANK_F) | BIT(LOW_RANK_S),
     .nan = {LOW_RANK_U, LOW_RANK_Z},
     .tolerance = 1e-5,
     .tolerance_bf16 = 0x1p-8},
    {.name = "low_rank_sum",
     .sizes = low_rank_sizes,
     .run = low_rank_sum_run,
     .shapes = low_rank_shapes,
     .variants = 2,
     .real = BIT(LOW_RANK_F) | BIT(LOW_RANK_S),
     .nan = {LOW_RANK_U, LOW_RANK_S},
     .tolerance = 1e-5},
    {.name = "add_transposed",
     .sizes = transposed_sizes,
     .run = add_transposed_run,
     .shapes = transposed_shapes,
     .real = BIT(TRANSPOSED_Y) | BIT(TRANSPOSED_X),
     .nan = {TRANSPOSED_X, TRANSPOSED_Y},
     .tolerance = 1e-6},
    {.name = "row_norms",
     .sizes = dora_sizes,
     .run = row_norms_run,
     .shapes = dora_shapes,
     .real = REAL_DORA,
     .positive = BIT(DORA_SQUARES) | BIT(DORA_B) | BIT(DORA_P) | BIT(DORA_G),
     .nan = {DORA_B, DORA_NORM},
     .tolerance = 1e-6},
    {.name = "apply_magnitudes",
     .sizes = dora_sizes,
     .run = apply_magnitudes_run,
     .shapes = dora_shapes,
     .variants = 2,
     .real = REAL_DORA,
     .positive = BIT(DORA_SQUARES),
     .nan = {DORA_Z, DORA_Y},
     .tolerance = 1e-6},
    {.name = "apply_magnitudes_backward",
     .sizes = dora_sizes,
     .run = apply_magnitudes_backward_run,
     .shapes = dora_shapes,
     .variants = 8,
     .real = REAL_DORA,
     .positive = BIT(DORA_SQUARES),
     .tolerance = 1e-5},
    {.name = "fill", .sizes = three_vectors, .run = fill_run, .shapes = vectors},
    {.name = "from_f32", .sizes = three_vectors, .run = from_f32_run, .shapes = vectors, .real = BIT(Y)},
    {.name = "to_f32",
     .sizes = three_vectors,
     .run = to_f32_run,
     .shapes = vectors,
     .real = BIT(X) | BIT(Y),
     .nan = {X, Y}},
    {.name = "to_act",
     .sizes = three_vectors,
     .run = to_act_run,
     .shapes = vectors,
     .variants = 2,
     .real = BIT(X),
     .nan = {X, Y},
     .tolerance = 1e-6},
    {.name = "to_real",
     .sizes = three_vectors,
     .run = to_real_run,
     .shapes = vectors,
     .variants = 2,
     .real = BIT(Y),
     .nan = {X, Y},
     .tolerance = 1e-6},
    {.name = "add", .sizes = three_vectors, .run = add_run, .shapes = vectors, .variants = 3, .tolerance = 1e-6},
    {.name = "axpy", .sizes = three_vectors, .run = axpy_run, .shapes = vectors, .nan = {X, Y}, .tolerance = 1e-6},
    {.name = "dropout",
     .sizes = three_vectors,
     .run = dropout_run,
     .shapes = vectors,
     .variants = 2,
     .nan = {X, Y},
     .tolerance = 1e-6},
    {.name = "noise",
     .sizes = three_vectors,
     .run = noise_run,
     .shapes = vectors,
     .variants = 2,
     .nan = {X, X},
     .tolerance = 1e-6},
    {.name = "dropout p 0, 1, near 1",
     .sizes = three_vectors,
     .run = dropout_run,
     .shapes = thousand,
     .variants = 16,
     .tolerance = 1e-6},
    {.name = "activation",
     .sizes = three_vectors,
     .run = activation_run,
     .shapes = vectors,
     .variants = LF_ACTIVATIONS,
     .nan = {X, Y},
     .tolerance = 1e-6},
    {.name = "activation_backward",
     .sizes = three_vectors,
     .run = activation_backward_run,
     .shapes = vectors,
     .variants = 2 * LF_ACTIVATIONS,
     .nan = {X, Y},
     .tolerance = 1e-6},
    {.name = "gated",
     .sizes = gated_sizes,
     .run = gated_run,
     .shapes = gate_shapes,
     .variants = LF_ACTIVATIONS,
     .nan = {GATED_X, GATED_Y},
     .tolerance = 1e-6},
    {.name = "gated_backward",
     .sizes = gated_sizes,
     .run = gated_backward_run,
     .shapes = gate_shapes,
     .variants = 2 * LF_ACTIVATIONS,
     .nan = {GATED_X, GATED_DX},
     .tolerance = 1e-6},
    {.name = "bias",
     .sizes = rows_sizes,
     .run = bias_run,
     .shapes = row_shapes,
     .real = REAL_ROWS,
     .nan = {BIAS, ROWS_X},
     .tolerance = 1e-6},
    {.name = "column_sums",
     .sizes = rows_sizes,
     .run = column_sums_run,
     .shapes = row_shapes,
     .real = REAL_ROWS,
     .nan = {ROWS_DY, DBIAS},
     .tolerance = 1e-5},
    {.name = "layernorm",
     .sizes = rows_sizes,
     .run = layernorm_run,
     .shapes = row_shapes,
     .real = REAL_ROWS,
     .nan = {ROWS_X, ROWS_DY},
     .tolerance = 1e-5},
    {.name = "layernorm_backward",
     .sizes = rows_sizes,
     .run = layernorm_backward_run,
     .shapes = row_shapes,
     .variants = 16,
     .real = REAL_ROWS,
     .positive = BIT(RSTD),
     .tolerance = 1e-5},
    {.name = "rmsnorm",
     .sizes = rmsnorm_sizes,
     .run = rmsnorm_run,
     .shapes = norm_shapes,
     .real = REAL_RMS,
     .nan = {RMS_X, RMS_Y},
     .tolerance = 1e-5},
    {.name = "rmsnorm_backward",
     .sizes = rmsnorm_sizes,
     .run = rmsnorm_backward_run,
     .shapes = norm_shapes,
     .variants = 8,
     .real = REAL_RMS,
     .positive = BIT(RMS_RSTD_GIVEN),
     .tolerance = 1e-5},
    {.name = "scale_columns",
     .sizes = scale_sizes,
     .run = scale_run,
     .shapes = scale_shapes,
     .variants = 2,
     .real = BIT(SCALE_W) | BIT(SCALE_DW),
     .nan = {SCALE_X, SCALE_Y},
     .tolerance = 1e-6},
    {.name = "column_products",
     .sizes = scale_sizes,
     .run = column_products_run,
     .shapes = scale_shapes,
     .real = BIT(SCALE_W) | BIT(SCALE_DW),
     .nan = {SCALE_Y, SCALE_DW},
     .tolerance = 1e-5},
    {.name = "copy_block",
     .sizes = block_sizes,
     .run = block_run,
     .shapes = block_shapes,
     .variants = 2,
     .nan = {0, 1},
     .tolerance = 1e-6},
    {.name = "copy_columns",
     .sizes = copy_sizes,
     .run = copy_run,
     .shapes = copy_shapes,
     .variants = 2,
     .nan = {COPY_X, COPY_Y},
     .tolerance = 1e-6},
    {.name = "attention",
     .sizes = attention_sizes,
     .run = attention_run,
     .shapes = attention_shapes,
     .variants = 16,
     .real = BIT(ATT_LSE) | BIT(ATT_BIAS),
     .nan = {ATT_Q, ATT_O},
     .tolerance = 5e-5,
     .tolerance_bf16 = 0x1p-7,
     .scratch = attention_scratch},
    {.name = "attention, more",
     .sizes = attention_sizes,
     .run = more_attention_run,
     .shapes = more_attention_shapes,
     .variants = MORE_ATTENTION,
     .real = BIT(ATT_LSE) | BIT(ATT_BIAS),
     .nan = {ATT_Q, ATT_O},
     .tolerance = 5e-5,
     .tolerance_bf16 = 0x1p-7,
     .scratch = more_attention_scratch},
    {.name = "rope",
     .sizes = rope_sizes,
     .run = rope_run,
     .shapes = rope_shapes,
     .variants = 4,
     .nan = {ROPE_X, ROPE_Y},
     .tolerance = 1e-6},
    {.name = "patchify", .sizes = patchify_sizes, .run = patchify_run, .shapes = patchify_shapes},
    {.name = "embed_tokens",
     .sizes = embed_sizes,
     .run = embed_run,
     .shapes = embedding_shapes_forward,
     .real = REAL_EMBED,
     .nan = {EMBED_PATCHES, EMBED_X},
     .tolerance = 1e-6},
    {.name = "embed_tokens_backward",
     .sizes = embed_sizes,
     .run = embed_backward_run,
     .shapes = embedding_shapes,
     .variants = 8,
     .real = REAL_EMBED,
     .tolerance = 1e-6},
    {.name = "select_token", .sizes = token_sizes, .run = select_run, .shapes = selections},
    {.name = "select_token_backward",
     .sizes = token_sizes,
     .run = select_backward_run,
     .shapes = selections,
     .variants = 2,
     .nan = {TOKEN, TOKENS},
     .tolerance = 1e-6},
    {.name = "select_tokens", .sizes = token_sizes, .run = select_tokens_run, .shapes = selections},
    {.name = "select_tokens_backward",
     .sizes = token_sizes,
     .run = select_tokens_backward_run,
     .shapes = selections,
     .variants = 2,
     .nan = {TOKEN, TOKENS},
     .tolerance = 1e-6},
    {.name = "mean_tokens",
     .sizes = token_sizes,
     .run = mean_tokens_run,
     .shapes = means,
     .variants = 2,
     .tolerance = 1e-6},
    {.name = "mean_tokens_backward",
     .sizes = token_sizes,
     .run = mean_tokens_backward_run,
     .shapes = means,
     .variants = 4,
     .nan = {TOKEN, TOKENS},
     .tolerance = 1e-6},
    {.name = "gather_rows",
     .sizes = table_sizes,
     .run = gather_run,
     .shapes = table_shapes,
     .variants = 4,
     .real = BIT(TABLE_REAL),
     .tolerance = 1e-6},
    {.name = "scatter_rows",
     .sizes = table_sizes,
     .run = scatter_run,
     .shapes = table_shapes,
     .real = BIT(TABLE_REAL),
     .nan = {GATHERED, TABLE_REAL},
     .tolerance = 1e-5},
    {.name = "gather_columns",
     .sizes = columns_sizes,
     .run = gather_columns_run,
     .shapes = columns_shapes,
     .variants = 2,
     .real = BIT(COLUMNS_A) | BIT(COLUMNS_A0),
     .tolerance = 1e-6},
    {.name = "scatter_columns",
     .sizes = columns_sizes,
     .run = scatter_columns_run,
     .shapes = columns_shapes,
     .variants = 4,
     .real = BIT(COLUMNS_A) | BIT(COLUMNS_A0),
     .tolerance = 1e-5},
    {.name = "cross_entropy",
     .sizes = class_sizes,
     .run = cross_entropy_run,
     .shapes = row_shapes,
     .variants = 8,
     .real = BIT(CLASS_LSE) | BIT(CLASS_LOSS),
     .nan = {LOGITS, CLASS_LSE},
     .tolerance = 1e-5},
    {.name = "value_loss",
     .sizes = class_sizes,
     .run = value_loss_run,
     .shapes = row_shapes,
     .variants = 4,
     .real = BIT(CLASS_LSE) | BIT(CLASS_LOSS),
     .nan = {LOGITS, CLASS_LOSS},
     .tolerance = 1e-5},
    {.name = "lm_cross_entropy",
     .sizes = lm_sizes,
     .run = lm_cross_entropy_run,
     .shapes = logit_shapes,
     .variants = 2,
     .real = REAL_LM,
     .nan = {LM_LOGITS, LM_NLL},
     .tolerance = 1e-5},
    {.name = "lm_logits",
     .sizes = lm_sizes,
     .run = lm_logits_run,
     .shapes = logit_shapes,
     .variants = 4,
     .real = REAL_LM,
     .tolerance = 1e-6},
    {.name = "lm_compare",
     .sizes = lm_sizes,
     .run = lm_compare_run,
     .shapes = logit_shapes,
     .variants = 2,
     .real = REAL_LM,
     .nan = {LM_LOGITS, LM_CE},
     .tolerance = 1e-5},
    {.name = "lm_compare_backward",
     .sizes = lm_sizes,
     .run = lm_compare_backward_run,
     .shapes = logit_shapes,
     .variants = 8,
     .real = REAL_LM,
     .nan = {LM_LOGITS, LM_DLOGITS},
     .tolerance = 1e-6},
    {.name = "sum_squares",
     .sizes = optimiser_sizes,
     .run = sum_squares_run,
     .shapes = vectors,
     .real = REAL_OPTIMISER,
     .nan = {GRADIENT, PARAMETER},
     .tolerance = 1e-6},
    {.name = "average",
     .sizes = optimiser_sizes,
     .run = average_run,
     .shapes = vectors,
     .real = REAL_OPTIMISER,
     .nan = {GRADIENT, PARAMETER},
     .tolerance = 1e-6},
    {.name = "adamw",
     .sizes = optimiser_sizes,
     .run = adamw_run,
     .shapes = vectors,
     .real = REAL_OPTIMISER,
     .positive = BIT(MOMENT_2),
     .nan = {GRADIENT, PARAMETER},
     .tolerance = 1e-6},
    {.name = "sgd",
     .sizes = optimiser_sizes,
     .run = sgd_run,
     .shapes = vectors,
     .variants = 2,
     .real = REAL_OPTIMISER,
     .nan = {GRADIENT, PARAMETER},
     .tolerance = 1e-6},
    {.name = "lion",
     .sizes = optimiser_sizes,
     .run = lion_run,
     .shapes = vectors,
     .real = REAL_OPTIMISER,
     .nan = {GRADIENT, PARAMETER},
     .tolerance = 1e-6},
    {.name = "adafactor",
     .sizes = adafactor_sizes,
     .run = adafactor_run,
     .shapes = adafactor_shapes,
     .real = REAL_OPTIMISER,
     .positive = BIT(MOMENT_1) | BIT(MOMENT_2),
     .nan = {GRADIENT, PARAMETER},
     .tolerance = 1e-6},
    {.name = "adafactor_vector",
     .sizes = optimiser_sizes,
     .run = adafactor_vector_run,
     .shapes = vectors,
     .real = REAL_OPTIMISER,
     .positive = BIT(MOMENT_1),
     .nan = {GRADIENT, PARAMETER},
     .tolerance = 1e-6},
};
enum { N_CASES = (int)(sizeof cases / sizeof *cases) };

#endif

/* Frozen weights in int8 and in four bits, beside what test_kernels asks of every kernel: the tables of nf4 by their
 * definition, whole numbers at their ends, oneDNN's products of bytes, other numbers of threads, and inputs with
 * outliers. */
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
#include "kernels/int8.h"
#include "kernels/nf4.h"
#include "kernels/product/products.h"

static void *block(size_t size) {
    void *p = lf_aligned_alloc(size);
    assert_non_null(p);
    return p;
}

static float *normals(int64_t n, uint64_t stream) {
    float *x = block((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)lf_rng_normal(lf_rng_make(9, LF_RNG_TEST, stream), (uint64_t)i);
    return x;
}

/* ---- nf4 ---- */

/* The number below which a share p of the normal distribution lies. */
static double quantile(double p) {
    double low = -10, high = 10;
    for (int i = 0; i < 100; i++) {
        const double middle = (low + high) / 2;
        *(0.5 * erfc(-middle / sqrt(2)) < p ? &low : &high) = middle;
    }
    return low;
}

static void test_values_are_quantiles(void **state) {
    (void)state;
    const double last = 1 - (1.0 / 30 + 1.0 / 32) / 2, largest = quantile(last);
    for (int i = 0; i < 8; i++) {
        const double above = quantile(last - i * (last - 0.5) / 8) / largest;
        assert_true(fabs((double)lf_nf4_values[15 - i] - above) < 2e-6);
    }
    for (int i = 0; i < 7; i++) {
        const double below = -quantile(last - i * (last - 0.5) / 7) / largest;
        assert_true(fabs((double)lf_nf4_values[i] - below) < 2e-6);
    }
    assert_true(lf_nf4_values[7] == 0);
}

static void test_values_of_scales(void **state) {
    (void)state;
    float v[LF_NF4_BLOCKS];
    lf_nf4_scale_values(v);
    for (int i = 1; i < LF_NF4_BLOCKS; i++) assert_true(v[i] > v[i - 1]);
    /* as bitsandbytes' create_dynamic_map() has them */
    assert_true(v[0] == -0.99296875f && v[127] == 0 && v[128] == 5.5e-7f && v[254] == 0.99296875f && v[255] == 1);
}

static lf_scratch scratch;

static void hold(lf_frozen *w, const lf_kernels *k, lf_frozen_format format, int64_t out, int64_t in, const float *W) {
    const int64_t size = k->frozen_size(format, out, in);
    assert_true(size > 0);
    *w = (lf_frozen){.out = out, .in = in, .format = format, .act_dtype = k->act_dtype, .scratch = &scratch};
    w->data = block((size_t)size);
    scratch.data = block((size_t)k->frozen_scratch(format, out, in));
    assert_true(k->frozen_prepare(w, W));
}

static void let_go(lf_frozen *w) {
    lf_aligned_free(w->data);
    lf_aligned_free(scratch.data);
}

static const lf_kernels *fastest(void) {
    const lf_kernels *k;
    assert_int_equal(lf_kernels_select(&k, "fp32", NULL), LF_OK);
    return k;
}

/* 130 columns: the third block of a row has two numbers, and rows do not end at a byte's end when there are 131. */
static void test_four_bits_come_back(void **state) {
    (void)state;
    for (int64_t in = 130; in <= 131; in++) {
        enum { OUT = 70 };
        lf_frozen w;
        double error = 0, all = 0;
        float *W = normals(OUT * in, 1), *back = block((size_t)(OUT * in) * sizeof *back);
        for (int64_t i = 0; i < in; i++) W[3 * in + i] = 0; /* a row of zeros */
        hold(&w, fastest(), LF_FROZEN_NF4, OUT, in, W);
        assert_true(fastest()->frozen_restore(&w, back));
        for (int64_t i = 0; i < OUT * in; i++) {
            error += pow((double)(back[i] - W[i]), 2);
            all += pow((double)W[i], 2);
            /* half of the widest step (0.304), at a scale of at most 5 */
            if (!(fabsf(back[i] - W[i]) < 0.16f * 5)) fail_msg("%lld: %g became %g", (long long)i, W[i], back[i]);
        }
        for (int64_t i = 0; i < in; i++) assert_true(back[3 * in + i] == 0);
        const double relative = sqrt(error / all); /* of normal numbers in blocks of 64 about 0.09 */
        if (!(relative > 0.06 && relative < 0.12)) fail_msg("relative error %g", relative);
        lf_aligned_free(W);
        lf_aligned_free(back);
        let_go(&w);
    }
    const double bits = 8 * (double)lf_nf4_size(4096, 4096) / (4096.0 * 4096);
    assert_true(bits > 4.126 && bits < 4.129);
    assert_int_equal(lf_alloc_live(), 0);
}

/* ---- whole numbers ---- */

static void check_product(const lf_kernels *k, const int8_t *A, const int8_t *B, int64_t M, int64_t N, int64_t K,
                          bool (*product)(int32_t *, int64_t, const int8_t *, int64_t, const int8_t *, int64_t, bool,
                                          int64_t, int64_t, int64_t)) {
    int32_t *C = block((size_t)(M * (N + 1)) * sizeof *C);
    for (int transposed = 0; transposed < 2; transposed++) {
        const int64_t ldb = transposed ? K + 3 : N + 3;
        assert_true(product(C, N + 1, A, K + 2, B, ldb, transposed, M, N, K));
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++) {
                int32_t want = 0;
                for (int64_t n = 0; n < K; n++) want += A[i * (K + 2) + n] * B[transposed ? j * ldb + n : n * ldb + j];
                if (C[i * (N + 1) + j] != want)
                    fail_msg("%s, %d: [%lld,%lld] is %d, expected %d", k ? k->name : "oneDNN", transposed, (long long)i,
                             (long long)j, C[i * (N + 1) + j], want);
            }
    }
    lf_aligned_free(C);
}

static int8_t *bytes(int64_t n, int most, bool extreme) {
    int8_t *x = block((size_t)n);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t draw = lf_rng_below(lf_rng_make(9, LF_RNG_TEST, 5), (uint64_t)i, (uint64_t)(2 * most + 1));
        x[i] = (int8_t)(extreme ? (draw % 16 ? most : -most) : (int)draw - most);
    }
    return x;
}

/* Nearly all are the largest: what adds pairs in 16 bits would be wrong at once. */
static void test_bytes_at_their_ends(void **state) {
    (void)state;
    enum { M = 265, N = 70, K = 515 };
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    int8_t *A = bytes(M * (K + 2), 127, true), *B = bytes((N + 3) * (K + 3), 127, true);
    for (int i = 0; i < n; i++) check_product(k[i], A, B, M, N, K, k[i]->int8_product);
    lf_aligned_free(A);
    lf_aligned_free(B);
}

/* Below 64, where oneDNN is exact without VNNI, too: what it is asked is the product that is meant. */
static void test_bytes_by_onednn(void **state) {
    (void)state;
    enum { M = 33, N = 70, K = 130 };
    int8_t *A = bytes(M * (K + 2), 60, false), *B = bytes((N + 3) * (K + 3), 60, false);
    check_product(NULL, A, B, M, N, K, lf_onednn_int8_product);
    check_product(NULL, A, B, 1, 1, 1, lf_onednn_int8_product);
    lf_aligned_free(A);
    lf_aligned_free(B);
}

/* What is no number, or too small for a scale. */
static void test_rows_without_a_scale(void **state) {
    (void)state;
    static const float x[4][3] = {{0, 0, 0}, {1e-38f, -1e-38f, 0}, {1, INFINITY, 2}, {NAN, 1, 2}};
    const lf_kernels *k[8];
    const int n = lf_kernels_available("fp32", k, 8);
    for (int i = 0; i < n; i++) {
        int8_t q[12];
        float scales[4];
        k[i]->int8_quantise(q, scales, x, NULL, 4, 3, 3);
        for (int j = 0; j < 12; j++) assert_int_equal(q[j], 0);
        assert_true(scales[0] == 0 && scales[1] == 0 && isinf(scales[2]) && isnan(scales[3]));
    }
}

/* ---- weights ---- */

enum { ROWS = 300, OUT = 66, IN = 384 };

static void check_threads(int64_t out, int64_t in) {
    const lf_kernels *k = fastest();
    const size_t y_bytes = (size_t)(ROWS * out) * sizeof(float), dx_bytes = (size_t)(ROWS * in) * sizeof(float);
    float *W = normals(out * in, 1), *x = normals(ROWS * in, 2), *y[3], *dx[3];
    for (int t = 0; t < 3; t++) {
        lf_frozen w;
        lf_threads_set(t + 1);
        hold(&w, k, LF_FROZEN_INT8, out, in, W);
        y[t] = block(y_bytes);
        dx[t] = block(dx_bytes);
        assert_true(k->frozen_forward(&w, y[t], x, ROWS, NULL) && k->frozen_backward(&w, dx[t], y[t], ROWS, false));
        let_go(&w);
    }
    lf_threads_set(2);
    for (int t = 1; t < 3; t++) {
        assert_memory_equal(y[0], y[t], y_bytes);
        assert_memory_equal(dx[0], dx[t], dx_bytes);
    }
    for (int t = 0; t < 3; t++) {
        lf_aligned_free(y[t]);
        lf_aligned_free(dx[t]);
    }
    lf_aligned_free(W);
    lf_aligned_free(x);
}

static void test_bytes_whatever_the_threads(void **state) {
    (void)state;
    check_threads(OUT, IN);
    check_threads(112, 240); /* of 7 and 15 vectors of columns two threads' shares end with a panel of three */
}

/* What a frozen weight gives both ways, as floats: y, y as real, dx, and dx added to what is there. */
enum { FORWARD, REAL, BACKWARD, ADDED, GIVEN };

static void floats_of(const lf_kernels *k, float *to, const void *from, int64_t n) { k->to_real(to, false, from, n); }

/* All that a frozen weight W in `format` gives for x and dy. */
static void products_of(const lf_kernels *k, lf_frozen_format format, const float *W, int64_t out, int64_t in,
                        int64_t rows, float *given[GIVEN], float *restored) {
    float *x = normals(rows * in, 2), *dy = normals(rows * out, 3), *bias = normals(out, 4);
    void *x_act = block((size_t)(rows * in) * sizeof(float)), *dy_act = block((size_t)(rows * out) * sizeof(float)),
         *y = block((size_t)(rows * out) * sizeof(float)), *dx = block((size_t)(rows * in) * sizeof(float));
    lf_frozen w;
    hold(&w, k, format, out, in, W);
    if (restored) assert_true(k->frozen_restore(&w, restored));
    k->to_act(x_act, false, x, rows * in);
    k->to_act(dy_act, false, dy, rows * out);
    assert_true(k->frozen_forward(&w, y, x_act, rows, bias));
    floats_of(k, given[FORWARD], y, rows * out);
    assert_true(k->frozen_forward_real(&w, given[REAL], x_act, rows));
    assert_true(k->frozen_backward(&w, dx, dy_act, rows, false));
    floats_of(k, given[BACKWARD], dx, rows * in);
    memcpy(dx, x_act, (size_t)(rows * in) * lf_dtype_size(k->act_dtype));
    assert_true(k->frozen_backward(&w, dx, dy_act, rows, true));
    floats_of(k, given[ADDED], dx, rows * in);
    let_go(&w);
    void *const mine[] = {x, dy, bias, x_act, dy_act, y, dx};
    for (size_t i = 0; i < sizeof mine / sizeof mine[0]; i++) lf_aligned_free(mine[i]);
}

static void all_products(const lf_kernels *k, lf_frozen_format format, int64_t out, int64_t in, int64_t rows,
                         float *given[GIVEN]) {
    float *W = normals(out * in, 1);
    products_of(k, format, W, out, in, rows, given, NULL);
    lf_aligned_free(W);
}

static void check_given(const lf_kernels *k, int what, const float *got, const float *want, int64_t n, double exact) {
    static const char *const names[GIVEN] = {"forward", "forward_real", "backward", "backward, added"};
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= exact * most))
            fail_msg("%s, %s of %lld: number %lld is %g, by the definition %g", k->name, names[what], (long long)n,
                     (long long)i, (double)got[i], (double)want[i]);
}

/* Whole numbers are the same everywhere, so all that backends may differ by is how a few floats are added and rounded.
 * Sides that are no multiple of a panel, a vector or four; several panels of both sides; blocks of rows that do not
 * fill a tile. */
static void check_agreement(const char *precision, double exact) {
    static const struct {
        int64_t out, in, rows;
    } cases[] = {{2120, 388, 7}, {34, 1028, 263}, {20, 1156, 1}, {2101, 515, 5}, {19, 515, 261}, {192, 192, 50}};
    const lf_kernels *k[8];
    const int n = lf_kernels_available(precision, k, 8);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int f = 0; f < 2; f++) {
            const int64_t out = cases[c].out, in = cases[c].in, rows = cases[c].rows,
                          most = rows * (out > in ? out : in);
            float *given[8][GIVEN];
            for (int i = n - 1; i >= 0; i--) {
                for (int what = 0; what < GIVEN; what++) given[i][what] = block((size_t)most * sizeof(float));
                all_products(k[i], f ? LF_FROZEN_INT8_BLOCKS : LF_FROZEN_INT8, out, in, rows, given[i]);
                for (int what = 0; what < GIVEN; what++)
                    check_given(k[i], what, given[i][what], given[n - 1][what], rows * (what < BACKWARD ? out : in),
                                what == REAL ? 1e-6 : exact);
            }
            for (int i = 0; i < n; i++)
                for (int what = 0; what < GIVEN; what++) lf_aligned_free(given[i][what]);
        }
}

static void test_backends_agree(void **state) {
    (void)state;
    check_agreement("fp32", 1e-6);
    check_agreement("bf16", 1.0 / 256);
    assert_int_equal(lf_alloc_live(), 0);
}

/* A weight of more than one panel in both directions, the last one smaller, against one copy of the numbers that it
 * stands for. */
static void check_panels(const char *precision, double exact) {
    enum { TALL = 1100, WIDE = 1030, FEW = 3, LARGER = FEW * TALL };
    const lf_kernels *k[8];
    const int n = lf_kernels_available(precision, k, 8);
    float *W = normals(TALL * WIDE, 1), *same = block((size_t)(TALL * WIDE) * sizeof *same);
    for (int i = 0; i < n; i++) {
        float *given[2][GIVEN];
        for (int what = 0; what < 2 * GIVEN; what++)
            given[what / GIVEN][what % GIVEN] = block((size_t)LARGER * sizeof(float));
        products_of(k[i], LF_FROZEN_NF4, W, TALL, WIDE, FEW, given[0], same);
        products_of(k[i], LF_FROZEN_PLAIN, same, TALL, WIDE, FEW, given[1], NULL);
        for (int what = 0; what < GIVEN; what++)
            check_given(k[i], what, given[0][what], given[1][what], FEW * (what < BACKWARD ? TALL : WIDE),
                        what == REAL ? 1e-5 : exact);
        for (int what = 0; what < 2 * GIVEN; what++) lf_aligned_free(given[what / GIVEN][what % GIVEN]);
    }
    lf_aligned_free(W);
    lf_aligned_free(same);
}

static void test_four_bits_in_panels(void **state) {
    (void)state;
    check_panels("fp32", 1e-5);
    check_panels("bf16", 1.0 / 128);
    assert_int_equal(lf_alloc_live(), 0);
}

/* |y - y of the weight itself| / |y| */
static double error_of(lf_frozen_format format, const float *W, const float *x) {
    const lf_kernels *k = fastest();
    lf_frozen w, plain;
    float *y = block(ROWS * OUT * sizeof *y), *exact = block(ROWS * OUT * sizeof *exact);
    double error = 0, all = 0;
    hold(&w, k, format, OUT, IN, W);
    assert_true(k->frozen_forward(&w, y, x, ROWS, NULL));
    let_go(&w);
    plain = (lf_frozen){.out = OUT, .in = IN, .data = (void *)(uintptr_t)W, .act_dtype = k->act_dtype};
    assert_true(k->frozen_forward(&plain, exact, x, ROWS, NULL));
    for (int64_t i = 0; i < ROWS * OUT; i++) {
        error += pow((double)(y[i] - exact[i]), 2);
        all += pow((double)exact[i], 2);
    }
    lf_aligned_free(y);
    lf_aligned_free(exact);
    return sqrt(error / all);
}

/* A column of x a hundred times as large as the others takes all steps of its row, but only those of its block; where
 * W does not look at it, that is what y loses. */
static void test_outliers(void **state) {
    (void)state;
    float *W = normals(OUT * IN, 1), *x = normals(ROWS * IN, 2);
    assert_true(error_of(LF_FROZEN_INT8, W, x) < 0.015 && error_of(LF_FROZEN_INT8_BLOCKS, W, x) < 0.015);
    for (int64_t i = 0; i < ROWS; i++) x[i * IN + 7] = 300;
    for (int64_t o = 0; o < OUT; o++) W[o * IN + 7] = 0;
    const double row = error_of(LF_FROZEN_INT8, W, x), blocks = error_of(LF_FROZEN_INT8_BLOCKS, W, x);
    if (!(row > 0.3 && blocks < 0.7 * row)) fail_msg("a scale a row: %g, a scale a block: %g", row, blocks);
    lf_aligned_free(W);
    lf_aligned_free(x);
    assert_int_equal(lf_alloc_live(), 0);
}

/* A sum of more numbers than 32 bits hold has no such format. */
static void test_too_long(void **state) {
    (void)state;
    assert_true(fastest()->frozen_size(LF_FROZEN_INT8, 2, LF_INT8_LONGEST) > 0);
    assert_int_equal(fastest()->frozen_size(LF_FROZEN_INT8, 2, LF_INT8_LONGEST + 1), 0);
    assert_int_equal(fastest()->frozen_size(LF_FROZEN_INT8, LF_INT8_LONGEST + 1, 2), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values_are_quantiles),
                                       cmocka_unit_test(test_values_of_scales),
                                       cmocka_unit_test(test_four_bits_come_back),
                                       cmocka_unit_test(test_bytes_at_their_ends),
                                       cmocka_unit_test(test_bytes_by_onednn),
                                       cmocka_unit_test(test_rows_without_a_scale),
                                       cmocka_unit_test(test_bytes_whatever_the_threads),
                                       cmocka_unit_test(test_backends_agree),
                                       cmocka_unit_test(test_four_bits_in_panels),
                                       cmocka_unit_test(test_outliers),
                                       cmocka_unit_test(test_too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Frozen products in bf16, by oneDNN where it runs here and by the reference, against sums in double over inputs rounded to
 * bf16. Run three times: as the machine is, and with oneDNN held to AVX-512 without bf16 and to AVX2 (DNNL_MAX_CPU_ISA). */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"

static const struct { int64_t rows, out, in; } shapes[] = {
    {1, 1, 1}, {7, 1, 5}, {5, 7, 3}, {1, 33, 130}, {7, 33, 130}, {300, 33, 130}, {300, 64, 128}, {513, 65, 31}, {1030, 16, 1500}};

/* Both tables: oneDNN's, if the processor has bf16, and the reference's. */
static int tables(const lf_kernels *out[2]) {
    lf_err err = {0};
    setenv("LF_KERNELS", "ref", 1);
    assert_int_equal(lf_kernels_select(&out[0], "bf16", &err), LF_OK);
    unsetenv("LF_KERNELS");
    assert_int_equal(lf_kernels_select(&out[1], "bf16", &err), LF_OK);
    return 2;
}

static float *numbers(int64_t n, uint64_t stream) {
    float *x = lf_aligned_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)lf_rng_normal(lf_rng_make(5, LF_RNG_TEST, stream), (uint64_t)i);
    return x;
}

static double rounded(float x) { return (double)lf_bf16_to_f32(lf_f32_to_bf16(x)); }

/* fp32 sums of n products: a few roundings of the largest partial sum, which is about that of the absolute values. */
static void check_number(float got, double want, double absolute, int64_t n) {
    const double tolerance = 1e-7 * absolute * (2 + sqrt((double)n));
    if (!(fabs((double)got - want) <= tolerance)) fail_msg("%.9g, expected %.9g within %g", (double)got, want, tolerance);
}

static void check_forward(const float *y, const float *x, const float *W, int64_t rows, int64_t out, int64_t in) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = 0, absolute = 0;
            for (int64_t i = 0; i < in; i++) {
                const double term = rounded(x[r * in + i]) * rounded(W[o * in + i]);
                sum += term;
                absolute += fabs(term);
            }
            check_number(y[r * out + o], sum, absolute, in);
        }
}

static void check_backward(const float *dx, const float *before, const float *dy, const float *W, int64_t rows, int64_t out, int64_t in) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < in; i++) {
            double sum = before ? (double)before[r * in + i] : 0, absolute = fabs(sum);
            for (int64_t o = 0; o < out; o++) {
                const double term = rounded(dy[r * out + o]) * rounded(W[o * in + i]);
                sum += term;
                absolute += fabs(term);
            }
            check_number(dx[r * in + i], sum, absolute, out);
        }
}

static void *scratch_for(const lf_kernels *k, const lf_frozen *w, int64_t rows) {
    const int64_t a = k->frozen_scratch(w, rows, false), b = k->frozen_scratch(w, rows, true);
    assert_true(a >= 0 && b >= 0);
    void *scratch = lf_aligned_alloc((size_t)(a > b ? a : b));
    assert_non_null(scratch);
    return scratch;
}

static void check_shape(const lf_kernels *k, int64_t rows, int64_t out, int64_t in) {
    const int64_t size = k->frozen_size(out, in);
    assert_true(size > 0);
    lf_frozen w = {.out = out, .in = in, .data = lf_aligned_alloc((size_t)size)};
    float *W = numbers(out * in, 1), *x = numbers(rows * in, 2), *dy = numbers(rows * out, 3), *before = numbers(rows * in, 4);
    float *y = numbers(rows * out, 5), *dx = numbers(rows * in, 6), *again = numbers(rows * (out > in ? out : in), 7), *back = numbers(out * in, 8);
    assert_true(k->frozen_prepare(&w, W));
    assert_true(k->frozen_restore(&w, back));
    for (int64_t i = 0; i < out * in; i++) assert_true((double)back[i] == rounded(W[i]));
    void *scratch = scratch_for(k, &w, rows);

    assert_true(k->frozen_forward(&w, y, x, rows, scratch));
    check_forward(y, x, W, rows, out, in);
    const uint64_t calls = lf_alloc_calls();
    assert_int_equal(k->frozen_scratch(&w, rows, false), k->frozen_scratch(&w, rows, false));
    assert_true(k->frozen_forward(&w, again, x, rows, scratch));
    assert_memory_equal(y, again, (size_t)(rows * out) * sizeof *y);

    for (int add = 0; add < 2; add++) {
        memcpy(dx, before, (size_t)(rows * in) * sizeof *dx);
        memcpy(again, before, (size_t)(rows * in) * sizeof *dx);
        assert_true(k->frozen_backward(&w, dx, dy, rows, add, scratch));
        check_backward(dx, add ? before : NULL, dy, W, rows, out, in);
        assert_true(k->frozen_backward(&w, again, dy, rows, add, scratch));
        assert_memory_equal(dx, again, (size_t)(rows * in) * sizeof *dx);
    }
    assert_int_equal(lf_alloc_calls(), calls);
    float *const all[] = {W, x, dy, before, y, dx, again, back, scratch, w.data};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) lf_aligned_free(all[i]);
}

static void test_products(void **state) {
    (void)state;
    const lf_kernels *k[2];
    const int n = tables(k);
    for (int i = 0; i < n; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) check_shape(k[i], shapes[s].rows, shapes[s].out, shapes[s].in);
    assert_int_equal(lf_alloc_live(), 0);
}

/* More numbers of rows than primitives are kept: old ones are given up, results stay right. */
static void test_many_numbers_of_rows(void **state) {
    (void)state;
    const lf_kernels *k[2];
    tables(k);
    for (int64_t rows = 1; rows < 70; rows++) check_shape(k[1], rows, 9, 17);
    check_shape(k[1], 1, 9, 17);
}

static void test_threads_may_change(void **state) {
    (void)state;
    const lf_kernels *k[2];
    tables(k);
    for (int threads = 1; threads <= 3; threads++) {
        lf_threads_set(threads);
        check_shape(k[1], 300, 64, 128);
    }
    lf_threads_set(2);
}

/* NaN and infinity in an activation are seen in the result. */
static void test_nan(void **state) {
    (void)state;
    const lf_kernels *k[2];
    const int n = tables(k);
    for (int i = 0; i < n; i++) {
        float W[6] = {1, 2, 3, 4, 5, 6}, y[4];
        const float x[6] = {1, NAN, 1, INFINITY, 1, 1};
        lf_frozen w = {.out = 2, .in = 3, .data = lf_aligned_alloc((size_t)k[i]->frozen_size(2, 3))};
        assert_true(k[i]->frozen_prepare(&w, W));
        void *scratch = scratch_for(k[i], &w, 2);
        assert_true(k[i]->frozen_forward(&w, y, x, 2, scratch));
        assert_true(isnan(y[0]) && isnan(y[1]) && isinf(y[2]) && isinf(y[3]));
        lf_aligned_free(scratch);
        lf_aligned_free(w.data);
    }
}

static void test_select(void **state) {
    (void)state;
    const lf_kernels *bf16[2], *fp32, *automatic, *other;
    lf_err err = {0};
    tables(bf16);
    assert_int_equal(lf_kernels_select(&fp32, "fp32", &err), LF_OK);
    assert_int_equal(lf_kernels_select(&automatic, "auto", &err), LF_OK);
    assert_string_equal(fp32->precision, "fp32");
    assert_string_equal(bf16[1]->precision, "bf16");
    assert_string_equal(bf16[0]->name, "ref+bf16ref");
    assert_true(fp32->frozen_exact && !bf16[0]->frozen_exact && !bf16[1]->frozen_exact);
    const bool native = !strstr(bf16[1]->name, "bf16ref");
    assert_ptr_equal(automatic, native ? bf16[1] : fp32);
    if (getenv("DNNL_MAX_CPU_ISA")) assert_false(native); /* both values that ctest sets have no bf16 */
#if defined(__x86_64__)
    else assert_int_equal(native, __builtin_cpu_supports("avx512bf16") != 0);
#endif
    assert_int_equal(lf_kernels_select(&other, "fp8", &err), LF_EUSAGE);
    assert_non_null(strstr(err.message, "fp8"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_select), cmocka_unit_test(test_products), cmocka_unit_test(test_many_numbers_of_rows),
                                       cmocka_unit_test(test_threads_may_change), cmocka_unit_test(test_nan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

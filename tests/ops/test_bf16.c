/* What test_kernels does not ask of bf16: which table is chosen, products of many sizes one after the other, other
 * numbers of threads, no allocation once a product was made. Run three times: as the machine is, and with oneDNN held
 * to AVX-512 without bf16 and to AVX2 (DNNL_MAX_CPU_ISA). */
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

static const lf_kernels *table(void) {
    const lf_kernels *k;
    unsetenv("LF_KERNELS");
    assert_int_equal(lf_kernels_select(&k, "bf16", NULL), LF_OK);
    return k;
}

static void *block(size_t size) {
    void *p = lf_aligned_alloc(size);
    assert_non_null(p);
    return p;
}

static uint16_t *numbers(int64_t n, uint64_t stream) {
    uint16_t *x = block((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = lf_f32_to_bf16((float)lf_rng_normal(lf_rng_make(5, LF_RNG_TEST, stream), (uint64_t)i));
    return x;
}

/* y and dx of a table's frozen weight of ones and twos, next to the reference's. */
static void check_shape(const lf_kernels *k, int64_t rows, int64_t out, int64_t in) {
    const lf_kernels *const both[] = {&lf_kernels_ref_bf16, k};
    float *W = block((size_t)(out * in) * sizeof *W);
    for (int64_t i = 0; i < out * in; i++) W[i] = i % 3 ? 1.0f : 2.0f;
    uint16_t *x = numbers(rows * in, 1), *dy = numbers(rows * out, 2), *y[2], *dx[2];
    for (int t = 0; t < 2; t++) {
        const bool packed = both[t]->frozen_size(LF_FROZEN_PACKED, out, in) > 0;
        const lf_frozen_format format = packed ? LF_FROZEN_PACKED : LF_FROZEN_PLAIN;
        const int64_t size = both[t]->frozen_size(format, out, in);
        assert_true(size > 0);
        lf_frozen w = {.out = out, .in = in, .data = block((size_t)size), .format = format};
        y[t] = numbers(rows * out, 3);
        dx[t] = numbers(rows * in, 4);
        assert_true(both[t]->frozen_prepare(&w, W));
        assert_true(both[t]->frozen_forward(&w, y[t], x, rows, NULL));
        const uint64_t calls = lf_alloc_calls();
        assert_true(both[t]->frozen_forward(&w, y[t], x, rows, NULL));
        assert_true(both[t]->frozen_backward(&w, dx[t], dy, rows, true));
        assert_int_equal(lf_alloc_calls(), calls);
        lf_aligned_free(w.data);
    }
    for (int64_t i = 0; i < rows * out; i++) {
        const double a = (double)lf_bf16_to_f32(y[0][i]), b = (double)lf_bf16_to_f32(y[1][i]);
        if (!(fabs(a - b) <= 0x1p-7 * fabs(a) + 1e-4 * sqrt((double)in)))
            fail_msg("%lld x %lld, %lld rows: y[%lld] %g, expected %g", (long long)out, (long long)in, (long long)rows,
                     (long long)i, b, a);
    }
    for (int64_t i = 0; i < rows * in; i++) {
        const double a = (double)lf_bf16_to_f32(dx[0][i]), b = (double)lf_bf16_to_f32(dx[1][i]);
        if (!(fabs(a - b) <= 0x1p-7 * fabs(a) + 1e-4 * sqrt((double)out)))
            fail_msg("%lld x %lld, %lld rows: dx[%lld] %g, expected %g", (long long)out, (long long)in, (long long)rows,
                     (long long)i, b, a);
    }
    void *const all[] = {W, x, dy, y[0], y[1], dx[0], dx[1]};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) lf_aligned_free(all[i]);
}

/* More shapes than primitives are kept: old ones are given up, results stay right. */
static void test_many_numbers_of_rows(void **state) {
    (void)state;
    for (int64_t rows = 1; rows < 600; rows++) check_shape(table(), rows, 9, 17);
    check_shape(table(), 1, 9, 17);
    assert_int_equal(lf_alloc_live(), 0);
}

static void test_threads_may_change(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        lf_threads_set(threads);
        check_shape(table(), 300, 64, 128);
    }
    lf_threads_set(2);
}

static void test_select(void **state) {
    (void)state;
    const lf_kernels *bf16 = table(), *ref, *fp32, *automatic, *other;
    lf_err err = {0};
    setenv("LF_KERNELS", "ref", 1);
    assert_int_equal(lf_kernels_select(&ref, "bf16", &err), LF_OK);
    unsetenv("LF_KERNELS");
    assert_int_equal(lf_kernels_select(&fp32, "fp32", &err), LF_OK);
    assert_int_equal(lf_kernels_select(&automatic, "auto", &err), LF_OK);
    assert_string_equal(fp32->precision, "fp32");
    assert_string_equal(bf16->precision, "bf16");
    assert_string_equal(ref->name, "ref+bf16ref");
    assert_true(fp32->frozen_exact && !ref->frozen_exact && !bf16->frozen_exact);
    assert_ptr_equal(fp32->wide, fp32);
    assert_ptr_equal(bf16->wide, fp32);
    const bool native = !strstr(bf16->name, "bf16ref");
    assert_ptr_equal(automatic, native ? bf16 : fp32);
    if (getenv("DNNL_MAX_CPU_ISA")) assert_false(native); /* both values that ctest sets have no bf16 */
#if defined(__x86_64__)
    else
        assert_int_equal(native, __builtin_cpu_supports("avx512bf16") != 0);
#endif
    assert_int_equal(lf_kernels_select(&other, "fp8", &err), LF_EUSAGE);
    assert_non_null(strstr(err.message, "fp8"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_select), cmocka_unit_test(test_many_numbers_of_rows),
                                       cmocka_unit_test(test_threads_may_change)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

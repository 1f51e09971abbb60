/* base: random numbers against the published vectors, number formats exhaustively, memory, regular expressions, errors,
 * messages. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory_fixture.h"

#include "base/csv.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/left_out.h"
#include "base/log.h"
#include "base/pcre.h"
#include "base/plain.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/slice.h"
#include "base/string.h"
#include "base/terminal.h"
#include "base/utf8.h"

/* ---- random numbers ---- */

/* Random123's kat_vectors, philox4x32 with 10 rounds. */
static void test_philox_known_answers(void **state) {
    (void)state;
    static const struct {
        uint64_t hi, lo;
        uint32_t key[2], out[4];
    } kat[] = {
        {0, 0, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, {UINT32_MAX, UINT32_MAX}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x0370734413198a2e,
         0x85a308d3243f6a88,
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t out[4];
        lf_rng_block((lf_rng_key){{kat[i].key[0], kat[i].key[1]}}, kat[i].hi, kat[i].lo, out);
        assert_memory_equal(out, kat[i].out, sizeof out);
    }
}

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_rng_keys(void **state) {
    (void)state;
    enum { N = 20 * 10 * 200 };
    static uint64_t keys[N];
    size_t n = 0;
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int purpose = LF_RNG_HEAD_INIT; purpose <= LF_RNG_TEST; purpose++)
            for (uint64_t stream = 0; stream < 200; stream++) {
                const lf_rng_key k = lf_rng_make(seed, (lf_rng_purpose)purpose, stream);
                keys[n++] = (uint64_t)k.k[1] << 32 | k.k[0];
            }
    assert_int_equal(n, N);
    qsort(keys, n, sizeof *keys, by_value);
    for (size_t i = 1; i < n; i++) assert_true(keys[i - 1] != keys[i]);
}

static void test_rng_numbers(void **state) {
    (void)state;
    enum { N = 200000, SIDES = 7 };
    const lf_rng_key key = lf_rng_make(1, LF_RNG_TEST, 2);
    double sum = 0, squares = 0, normal[5] = {0};
    int64_t faces[SIDES] = {0};
    for (uint64_t i = 0; i < N; i++) {
        const double u = lf_rng_uniform(key, i), z = lf_rng_normal(key, i);
        const uint64_t face = lf_rng_below(key, i, SIDES);
        assert_true(u >= 0 && u < 1 && isfinite(z) && face < SIDES);
        sum += u;
        squares += u * u;
        for (int p = 1; p <= 4; p++) normal[p] += pow(z, p);
        faces[face]++;
        uint32_t w[4];
        lf_rng_block(key, 0, i / 4, w);
        assert_int_equal(lf_rng_u32(key, i), w[i % 4]);
    }
    /* five standard errors each: the numbers are fixed, so this either always holds or never */
    assert_true(fabs(sum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    assert_true(fabs(squares / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    assert_true(fabs(normal[1] / N) < 5 * sqrt(1.0 / N));
    assert_true(fabs(normal[2] / N - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(normal[3] / N) < 5 * sqrt(15.0 / N));
    assert_true(fabs(normal[4] / N - 3) < 5 * sqrt(96.0 / N));
    for (int f = 0; f < SIDES; f++)
        assert_true(fabs((double)faces[f] - (double)N / SIDES) < 5 * sqrt((double)N / SIDES));
    assert_int_equal(lf_rng_below(key, 3, 1), 0);
}

static void test_rng_permutation(void **state) {
    (void)state;
    enum { N = 1000 };
    int64_t p[N], fixed_points = 0;
    bool seen[N] = {false};
    lf_rng_permutation(lf_rng_make(7, LF_RNG_TEST, 0), p, N);
    for (int i = 0; i < N; i++) {
        assert_true(p[i] >= 0 && p[i] < N && !seen[p[i]]);
        seen[p[i]] = true;
        fixed_points += p[i] == i;
    }
    assert_true(fixed_points < 10); /* one is expected */
    int counts[6] = {0};            /* of the orders of three */
    for (uint64_t stream = 0; stream < 6000; stream++) {
        lf_rng_permutation(lf_rng_make(7, LF_RNG_TEST, stream), p, 3);
        counts[p[0] * 2 + (p[1] > p[2])]++;
    }
    for (int i = 0; i < 6; i++) assert_in_range(counts[i], 850, 1150);
    p[0] = 5;
    lf_rng_permutation(lf_rng_make(7, LF_RNG_TEST, 0), p, 0);
    assert_int_equal(p[0], 5);
    lf_rng_permutation(lf_rng_make(7, LF_RNG_TEST, 0), p, 1);
    assert_int_equal(p[0], 0);
}

/* ---- number formats ---- */

typedef struct half_format {
    float (*widen)(uint16_t);
    uint16_t (*narrow)(float);
    int exponent_bits, mantissa_bits;
} half_format;

static const half_format half_formats[] = {
    {lf_f16_to_f32, lf_f32_to_f16, 5, 10},
    {lf_bf16_to_f32, lf_f32_to_bf16, 8, 7},
};

/* The value of the bits by the definition of the format, in double. */
static double value_of(const half_format *f, unsigned h) {
    const int exponent = (int)(h >> f->mantissa_bits) & ((1 << f->exponent_bits) - 1),
              bias = (1 << (f->exponent_bits - 1)) - 1;
    const unsigned mantissa = h & ((1u << f->mantissa_bits) - 1);
    const double magnitude = exponent ? ldexp(1.0 + ldexp(mantissa, -f->mantissa_bits), exponent - bias)
                                      : ldexp(mantissa, 1 - bias - f->mantissa_bits);
    return h & 0x8000u ? -magnitude : magnitude;
}

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static void test_halves_widen(void **state) {
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const half_format *f = &half_formats[k];
        const unsigned infinity = ((1u << f->exponent_bits) - 1) << f->mantissa_bits;
        for (unsigned h = 0; h < 0x10000; h++) {
            const float x = f->widen((uint16_t)h);
            assert_int_equal(signbit(x) != 0, h >> 15);
            if ((h & 0x7fff) > infinity) {
                assert_true(isnan(x));
                assert_true(isnan(f->widen(f->narrow(x))));
                continue;
            }
            if ((h & 0x7fff) == infinity)
                assert_true(isinf(x));
            else
                assert_true((double)x == value_of(f, h));
            assert_int_equal(f->narrow(x), h);
        }
    }
}

/* Between each two neighbours: exactly the middle goes to the even one, a bit to either side to the nearer. */
static void test_halves_round(void **state) {
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const half_format *f = &half_formats[k];
        const unsigned infinity = ((1u << f->exponent_bits) - 1) << f->mantissa_bits;
        for (unsigned h = 0; h < infinity; h++) {
            const double low = value_of(f, h), high = value_of(f, h + 1); /* past the largest: as if there were more */
            const float middle = (float)((low + high) / 2);
            if (isinf(middle)) continue; /* bf16's largest is within half a step of float's */
            assert_true((double)middle == (low + high) / 2);
            const unsigned even = h & 1 ? h + 1 : h;
            for (unsigned sign = 0; sign <= 0x8000; sign += 0x8000) {
                const float s = sign ? -1.0f : 1.0f;
                assert_int_equal(f->narrow(s * middle), sign | even);
                assert_int_equal(f->narrow(s * nextafterf(middle, 0)), sign | h);
                assert_int_equal(f->narrow(s * nextafterf(middle, INFINITY)), sign | (h + 1));
            }
        }
        assert_int_equal(f->narrow(INFINITY), infinity);
        assert_int_equal(f->narrow(3.4028235e38f), infinity);
        assert_int_equal(f->narrow(1e-45f), 0);
        /* a NaN whose mantissa bits are all below the format's must not become infinity */
        float nan;
        memcpy(&nan, &(uint32_t){0x7f800001}, sizeof nan);
        assert_true(isnan(f->widen(f->narrow(nan))));
    }
}

static void test_dtype_arrays(void **state) {
    (void)state;
    static const lf_dtype types[] = {LF_F64, LF_F32, LF_F16, LF_BF16};
    const float numbers[5] = {0, -1.5f, 3, 0.0078125f, 256};
    unsigned char bytes[5 * 8 + 1];
    float back[5];
    for (size_t k = 0; k < 4; k++) {
        lf_from_f32(bytes + 1, types[k], numbers, 5); /* unaligned */
        lf_to_f32(back, bytes + 1, types[k], 5);
        assert_memory_equal(back, numbers, sizeof numbers);
        lf_to_f32(back, NULL, types[k], 0);
        lf_from_f32(NULL, types[k], NULL, 0);
    }
    const double tenth = 0.1;
    lf_to_f32(back, &tenth, LF_F64, 1);
    assert_int_equal(bits_of(back[0]), bits_of(0.1f));
}

static void test_dtype_table(void **state) {
    (void)state;
    lf_dtype t = LF_F64;
    for (int i = 0; i < LF_N_DTYPES; i++) {
        assert_true(lf_dtype_parse(lf_dtype_name((lf_dtype)i), &t));
        assert_int_equal(t, i);
        assert_int_equal(lf_dtype_is_float(t), strchr(lf_dtype_name(t), 'F') != NULL);
        const char *digits = strpbrk(lf_dtype_name(t), "0123456789");
        assert_int_equal(lf_dtype_size(t), digits ? atoi(digits) / 8 : 1);
    }
    assert_false(lf_dtype_parse("f32", &t));
    assert_false(lf_dtype_parse("", &t));
    assert_false(lf_dtype_parse("F8_E4M3", &t));
}

/* ---- memory ---- */

static void test_mem(void **state) {
    (void)state;
    const uint64_t calls = lf_alloc_calls();
    char *p = lf_malloc(0), *q = lf_strdup("abc"), *r = lf_format("%s-%d", q, 7);
    int *zeros = lf_calloc(10, sizeof *zeros);
    double *aligned = lf_aligned_alloc(1), *empty = lf_aligned_alloc(0);
    assert_int_equal(lf_alloc_live(), 6);
    assert_int_equal(lf_alloc_calls() - calls, 6);
    assert_non_null(p);
    assert_string_equal(r, "abc-7");
    for (int i = 0; i < 10; i++) assert_int_equal(zeros[i], 0);
    assert_int_equal((uintptr_t)aligned % LF_ALIGN, 0);
    assert_int_equal((uintptr_t)empty % LF_ALIGN, 0);
    q = lf_realloc(q, 1000);
    assert_string_equal(q, "abc");
    char *fresh = lf_realloc(NULL, 5);
    assert_int_equal(lf_alloc_live(), 7);
    assert_null(lf_calloc(SIZE_MAX / 2, 4));
    assert_null(lf_aligned_alloc(SIZE_MAX));
    assert_int_equal(lf_alloc_live(), 7);
    lf_free(NULL);
    lf_aligned_free(NULL);
    lf_free(p);
    lf_free(q);
    lf_free(r);
    lf_free(zeros);
    lf_free(fresh);
    lf_aligned_free(aligned);
    lf_aligned_free(empty);
    assert_int_equal(lf_alloc_live(), 0);
}

static void test_mem_failing(void **state) {
    (void)state;
    lf_alloc_fail_after(2);
    char *a = lf_strdup("a"), *b = lf_malloc(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(lf_malloc(1));
    assert_null(lf_calloc(1, 1));
    assert_null(lf_strdup("c"));
    assert_null(lf_format("c"));
    assert_null(lf_aligned_alloc(1));
    assert_null(lf_realloc(a, 100));
    assert_string_equal(a, "a"); /* the old block is still there */
    lf_alloc_fail_after(-1);
    lf_free(a);
    lf_free(b);
    uint64_t n;
    assert_true(lf_mul_overflow(UINT64_C(1) << 32, UINT64_C(1) << 32, &n));
    assert_false(lf_mul_overflow(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &n));
    assert_true(lf_add_overflow(UINT64_MAX, 1, &n));
}

enum { THREADS = 4, EACH = 20000 };
static void *take_many(void *count) {
    for (int i = 0; i < EACH; i++) {
        void *p = lf_malloc(8);
        if (p) ++*(int *)count;
        lf_free(p);
    }
    return NULL;
}

/* Of all threads' allocations together, exactly as many succeed as were allowed. */
static void test_mem_threads(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    int counts[THREADS] = {0}, sum = 0;
    lf_alloc_fail_after(THREADS * EACH / 2);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, take_many, &counts[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        sum += counts[i];
    }
    lf_alloc_fail_after(-1);
    assert_int_equal(sum, THREADS * EACH / 2);
}

static void test_pool(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 64, 65, 1000, 1024, 1025, 5000, 100000, 3000000};
    enum { N = sizeof sizes / sizeof *sizes };
    unsigned char *blocks[N];
    lf_pool *p = lf_pool_new();
    uint64_t calls = 0;
    int64_t held = 0;
    assert_int_equal(lf_pool_bytes(p), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            blocks[i] = lf_pool_take(p, sizes[i]);
            assert_int_equal((uintptr_t)blocks[i] % LF_ALIGN, 0);
            memset(blocks[i], i, sizes[i]);
        }
        for (int i = 0; i < N; i++) /* no two overlap */
            for (size_t b = 0; b < sizes[i]; b += 63) assert_int_equal(blocks[i][b], i);
        if (round > 0) {
            assert_int_equal(lf_alloc_calls(), calls); /* a warm round takes nothing from the heap */
            assert_int_equal(lf_pool_bytes(p), held);
        }
        calls = lf_alloc_calls();
        held = lf_pool_bytes(p);
        if (round == 1)
            lf_pool_reset(p);
        else
            for (int i = N - 1; i >= 0; i--) lf_pool_give(p, blocks[i]);
    }
    assert_true(held >= 3109000 && held < 4000000);
    void *a = lf_pool_take(p, 1000);
    lf_pool_give(p, a);
    assert_ptr_equal(lf_pool_take(p, 1000), a); /* the block that is warm in the cache comes back first */
    lf_pool_give(p, NULL);
    assert_null(lf_pool_take(p, SIZE_MAX));
    lf_alloc_fail_after(0);
    assert_null(lf_pool_take(p, 77777));
    assert_null(lf_pool_new());
    lf_alloc_fail_after(-1);
    lf_pool_free(p); /* with a block in use */
    lf_pool_free(NULL);
}

static void test_arena(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 63, 64, 65, 0, 500000, 600000, 3000000, 8};
    enum { N = sizeof sizes / sizeof *sizes };
    unsigned char *blocks[N];
    lf_arena *a = lf_arena_new();
    for (int i = 0; i < N; i++) {
        blocks[i] = lf_arena_alloc(a, sizes[i]);
        assert_int_equal((uintptr_t)blocks[i] % LF_ALIGN, 0);
        for (size_t b = 0; b < sizes[i]; b++)
            if (blocks[i][b] != 0) fail_msg("block %d is not cleared", i);
        memset(blocks[i], i + 1, sizes[i]);
    }
    for (int i = 0; i < N; i++)
        for (size_t b = 0; b < sizes[i]; b++)
            if (blocks[i][b] != i + 1) fail_msg("block %d was written over", i);
    assert_string_equal(lf_arena_strdup(a, "vit"), "vit");
    const uint64_t calls = lf_alloc_calls();
    for (int i = 0; i < 100; i++) assert_non_null(lf_arena_alloc(a, 100));
    assert_true(lf_alloc_calls() - calls <= 1);
    assert_null(lf_arena_alloc(a, SIZE_MAX));
    lf_alloc_fail_after(0);
    assert_null(lf_arena_alloc(a, 2 << 20));
    assert_null(lf_arena_new());
    lf_alloc_fail_after(-1);
    lf_arena_free(a);
    lf_arena_free(NULL);
}

/* ---- errors and messages ---- */

static void test_errors(void **state) {
    (void)state;
    lf_err err = {0};
    assert_int_equal(lf_fail(NULL, LF_EDATA, "x"), LF_EDATA);
    assert_int_equal(lf_fail(&err, LF_EDATA, "%s: line %d", "a\nb\x1b[31m\x7f", 3), LF_EDATA);
    assert_string_equal(err.message, "a?b?[31m?: line 3");
    assert_int_equal(lf_fail(&err, LF_EIO, "later"), LF_EDATA); /* the first failure stays */
    assert_string_equal(err.message, "a?b?[31m?: line 3");

    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    err = (lf_err){0};
    assert_int_equal(lf_fail(&err, LF_EFAIL, "%s", longer), LF_EFAIL);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);

    err = (lf_err){0};
    assert_int_equal(lf_no_memory(NULL, "x"), LF_ENOMEM);
    assert_int_equal(lf_no_memory(&err, "a batch of %d\n", 8), LF_ENOMEM);
    assert_string_equal(err.message, "out of memory for a batch of 8?");
    assert_int_equal(lf_no_memory(&err, "later"), LF_ENOMEM);
    assert_string_equal(err.message, "out of memory for a batch of 8?");
    err = (lf_err){.status = LF_EDATA, .message = "first"};
    assert_int_equal(lf_no_memory(&err, "%s", "later"), LF_EDATA);
    assert_string_equal(err.message, "first");
    err = (lf_err){0};
    assert_int_equal(lf_no_memory(&err, "%s", longer), LF_ENOMEM);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);

    static const struct {
        int number;
        lf_status status;
    } numbers[] = {
        {ENOENT, LF_ENOTFOUND}, {ENOTDIR, LF_ENOTFOUND}, {ENOMEM, LF_ENOMEM}, {EACCES, LF_EIO}, {ENOSPC, LF_EIO}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        err = (lf_err){0};
        errno = numbers[i].number;
        assert_int_equal(lf_fail_errno(&err, "open", "f.bin"), numbers[i].status);
        assert_non_null(strstr(err.message, "f.bin: cannot open: "));
        assert_non_null(strstr(err.message, strerror(numbers[i].number)));
    }
#define CHECK(name, code, text)                                                                                        \
    assert_int_equal(lf_status_exit_code(name), code);                                                                 \
    assert_string_equal(lf_status_text(name), text);
    LF_STATUS_LIST(CHECK)
    assert_int_equal(lf_status_exit_code((lf_status)99), 1);
    assert_string_equal(lf_status_text((lf_status)99), "unknown status");
}

/* What `say` writes to stderr. */
static void captured(char *out, size_t size, void (*say)(void)) {
    FILE *f = tmpfile();
    const int stderr_copy = dup(STDERR_FILENO);
    assert_non_null(f);
    fflush(stderr);
    assert_true(stderr_copy >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
    say();
    fflush(stderr);
    assert_true(dup2(stderr_copy, STDERR_FILENO) >= 0);
    close(stderr_copy);
    rewind(f);
    out[fread(out, 1, size - 1, f)] = 0;
    fclose(f);
}

static void say_things(void) {
    lf_info("loss %.1f", 0.5);
    lf_warn("two are %s", "missing");
}

static void show_progress(void) {
    lf_progress p;
    lf_progress_begin(&p, "train", 10);
    lf_progress_update(&p, 1, "too early for a plain line");
    p.last -= 11;
    p.started -= 20;
    lf_progress_update(&p, 5, "loss 0.3");
    lf_progress_end(&p, "10 steps");
    lf_progress_end(&p, "");
}

static void test_messages(void **state) {
    (void)state;
    char text[500];
    captured(text, sizeof text, say_things);
    assert_string_equal(text, "loss 0.5\nwarning: two are missing\n");
    lf_log_set_level(LF_LOG_WARN);
    captured(text, sizeof text, say_things);
    assert_string_equal(text, "warning: two are missing\n");
    captured(text, sizeof text, show_progress);
    assert_string_equal(text, "");
    lf_log_set_level(LF_LOG_QUIET);
    captured(text, sizeof text, say_things);
    assert_string_equal(text, "");
    lf_log_set_level(LF_LOG_INFO);
    captured(text, sizeof text, show_progress);
    const size_t time = strlen("2026-11-30 09:15:02 ");
    static const char line[] = "train 5/10 (50%)  loss 0.3  ETA 0:20\n";
    assert_int_equal(strlen(text), 2 * time + strlen(line) + strlen("train: 10 steps\n"));
    assert_memory_equal(text + time, line, strlen(line));
    assert_string_equal(text + 2 * time + strlen(line), "train: 10 steps\n");
}

/* ---- terminals ---- */

static void test_columns_of_texts(void **state) {
    (void)state;
    char cut[40];
    assert_int_equal(lf_text_columns("abc"), 3);
    assert_int_equal(lf_text_columns("\u00e4\u00f6"), 2);
    assert_int_equal(lf_text_columns("e\u0301"), 1);      /* combines */
    assert_int_equal(lf_text_columns("\u6f22\u5b57"), 4); /* wide */
    assert_int_equal(lf_text_columns("a\xff-"), 3);
    assert_int_equal(lf_text_fitting("\u6f22\u5b57", 3), 3);
    assert_string_equal(lf_text_cut(cut, sizeof cut, "abcdef", 6), "abcdef");
    assert_string_equal(lf_text_cut(cut, sizeof cut, "abcdefg", 6), "abc...");
    assert_string_equal(lf_text_cut(cut, sizeof cut, "\u6f22\u5b57\u6f22\u5b57", 6), "\u6f22...");
    assert_string_equal(lf_text_cut(cut, 8, "abcdefghijk", 11), "abcd...");
}

static const char *wrapped(const char *words, int columns, int taken, int indent) {
    static char text[400];
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    lf_print_wrapped(f, words, columns, taken, indent);
    fclose(f);
    return text;
}

static void test_lines_are_broken_between_words(void **state) {
    (void)state;
    assert_string_equal(wrapped("", 40, 0, 2), "\n");
    assert_string_equal(wrapped("one two", 7, 0, 2), "one two\n");
    assert_string_equal(wrapped("one two three", 8, 0, 2), "one two\n  three\n");
    assert_string_equal(wrapped("one two three", 8, 4, 1), "one\n two\n three\n");
    assert_string_equal(wrapped("/a/very/long/path then", 8, 0, 2), "/a/very/long/path\n  then\n");
}

static void test_clock_and_interrupt(void **state) {
    (void)state;
    const double t = lf_now();
    assert_true(lf_now() >= t);
    assert_true(lf_peak_rss_bytes() > 1 << 20);
    assert_false(lf_interrupted());
    lf_interrupt();
    assert_true(lf_interrupted());
    lf_interrupt_reset();
    assert_false(lf_interrupted());
}

static void test_utf8(void **state) {
    (void)state;
    const struct {
        const char *text;
        size_t good; /* bytes before the first that is wrong */
    } cases[] = {{"", 0},
                 {"plain, and more than eight", 26},
                 {"12345678\xc3\xa4", 10},
                 {"\xf4\x8f\xbf\xbf", 4},
                 {"\xed\x9f\xbf\xee\x80\x80", 6},
                 {"a\xc3", 1},        /* cut off */
                 {"12345678\x80", 8}, /* a continuation without a beginning */
                 {"\xc0\x80", 0},     /* overlong; so the next two */
                 {"\xe0\x9f\xbf", 0},
                 {"\xf0\x8f\xbf\xbf", 0},
                 {"\xed\xa0\x80", 0},     /* a surrogate */
                 {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
                 {"\xff", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(lf_utf8_invalid(cases[i].text, strlen(cases[i].text)), cases[i].good);
}

static const char dated[] = "on 1999-12 or 2024";
/* ---- text that grows, arrays that double, lists in tables ---- */

static void test_string(void **state) {
    (void)state;
    lf_string t = {0};
    for (int i = 0; i < 1000; i++) assert_true(i % 2 ? lf_string_add(&t, "%d;", i) : lf_string_put(&t, "a\0b", 3));
    assert_int_equal(t.n, 500 * 3 + 5 * 2 + 45 * 3 + 450 * 4);
    assert_memory_equal(t.s, "a\0b1;a\0b3;", 10); /* the ends of what was added are written over */
    assert_int_equal(t.s[t.n], 0);
    assert_string_equal(t.s + t.n - 4, "999;");
    assert_true(lf_string_put_char(&t, 0x20ac));
    assert_string_equal(t.s + t.n - 3, "\xe2\x82\xac");

    char *kept = t.s;
    lf_string_empty(&t);
    assert_true(t.n == 0 && t.s == kept); /* the memory stays */
    lf_string other = {0};
    assert_true(lf_string_add(&other, "%s", "x"));
    lf_string_swap(&t, &other);
    assert_string_equal(t.s, "x");
    assert_ptr_equal(other.s, kept);
    lf_string_free(&other);

    char *taken = lf_string_take(&t);
    assert_string_equal(taken, "x");
    assert_true(!t.s && t.n == 0 && t.capacity == 0);
    lf_free(taken);
    taken = lf_string_take(&t);
    assert_string_equal(taken, ""); /* of a text in which nothing was put */
    lf_free(taken);

    assert_true(lf_string_put(&t, "abcdef", 6));
    t.n = 2; /* who cuts a text gets a whole one */
    taken = lf_string_take(&t);
    assert_string_equal(taken, "ab");
    lf_free(taken);
}

static void test_string_failing(void **state) {
    (void)state;
    lf_string t = {0};
    assert_true(lf_string_put(&t, "before", 6));
    lf_alloc_fail_after(0);
    assert_false(lf_string_reserve(&t, 4096));
    assert_false(t.failed); /* asking for room is no failure */
    assert_true(lf_string_put(&t, "!", 1));
    assert_false(lf_string_add(&t, "%4096d", 1));
    assert_true(t.failed);
    lf_alloc_fail_after(-1);
    assert_false(lf_string_put(&t, "x", 1)); /* sticky, though there is memory again and was room */
    assert_false(lf_string_add(&t, "x"));
    assert_string_equal(t.s, "before!");
    lf_string_empty(&t);
    assert_true(lf_string_put(&t, "after", 5)); /* emptied, it is as new */
    assert_string_equal(t.s, "after");

    lf_alloc_fail_after(0);
    assert_false(lf_string_put(&t, "x", (size_t)-1 / 2)); /* refused before anything is read */
    assert_null(lf_string_take(&t));
    assert_null(lf_string_take(&t)); /* there is none for "" either */
    lf_alloc_fail_after(-1);
    assert_null(t.s);
    assert_false(t.failed);
}

static void test_grow(void **state) {
    (void)state;
    int64_t *a = NULL, capacity = 0;
    const uint64_t before = lf_alloc_calls();
    for (int64_t n = 0; n < 10000; n++) {
        assert_true(lf_grow(&a, &capacity, n + 1));
        a[n] = n;
    }
    assert_true(lf_alloc_calls() - before < 12); /* it doubles */
    for (int64_t n = 0; n < 10000; n++) assert_int_equal(a[n], n);

    int64_t *const kept = a, room = capacity;
    lf_alloc_fail_after(0);
    assert_true(lf_grow(&a, &capacity, room)); /* there is room */
    assert_false(lf_grow(&a, &capacity, room + 1));
    lf_alloc_fail_after(-1);
    assert_true(a == kept && capacity == room && a[9999] == 9999);
    assert_false(lf_grow(&a, &capacity, INT64_MAX)); /* more bytes than there can be */
    assert_true(a == kept && capacity == room);
    lf_free(a);

    char *bytes = NULL;
    size_t n_bytes = 0;
    assert_true(lf_grow(&bytes, &n_bytes, 0)); /* nothing was wanted */
    assert_null(bytes);
    assert_true(lf_grow(&bytes, &n_bytes, 100) && n_bytes >= 100);
    memset(bytes, 1, n_bytes);
    assert_false(lf_grow(&bytes, &n_bytes, SIZE_MAX));
    lf_free(bytes);
}

static void test_lists(void **state) {
    (void)state;
    static const char *const expected[] = {"one", "", "three"};
    const char *list = "one||three";
    lf_slice item;
    for (int i = 0; i < 3; i++) {
        assert_true(lf_next_item(&list, &item));
        assert_true(lf_slice_equal(item, expected[i]));
    }
    assert_false(lf_next_item(&list, &item));
    list = "";
    assert_false(lf_next_item(&list, &item));
    list = NULL;
    assert_false(lf_next_item(&list, &item));
    assert_true(lf_has_item("one|two", "two"));
    assert_false(lf_has_item("one|twofold", "two"));
    assert_false(lf_has_item("one|tw", "two"));
    assert_false(lf_has_item("one|two", "one|two"));
    assert_false(lf_has_item(NULL, "one"));
    assert_false(lf_has_item("one", ""));
    char names[24] = ""; /* lists in messages */
    lf_list_append(names, sizeof names, "a");
    lf_list_append(names, sizeof names, "b c");
    assert_string_equal(names, "'a', 'b c'");
    for (int i = 0; i < 3; i++) lf_list_append(names, sizeof names, "a long one");
    assert_string_equal(names, "'a', 'b c', ...");
}

static const lf_pcre_limits sensible = {.steps = 1000};

static void test_pcre_groups(void **state) {
    (void)state;
    static const char pattern[] = "(?<year>\\d{4})(-\\d\\d)?";
    lf_pcre_fault fault;
    lf_pcre *p = lf_pcre_new(pattern, strlen(pattern), PCRE2_UTF, false, &fault);
    lf_pcre_matcher *m = lf_pcre_matcher_new(p, &sensible), *whole = lf_pcre_matcher_new(NULL, &sensible);
    size_t begin, end;
    char year[5], small[4];
    assert_int_equal(lf_pcre_match(p, m, dated, strlen(dated), 0, 0, &fault), LF_PCRE_HIT);
    assert_true(lf_pcre_group(m, 0, &begin, &end) && begin == 3 && end == 10);
    assert_true(lf_pcre_group(m, 2, &begin, &end) && begin == 7 && end == 10);
    assert_false(lf_pcre_group(m, 3, &begin, &end));
    assert_true(lf_pcre_copy_group(m, "year", year, sizeof year));
    assert_string_equal(year, "1999");
    assert_false(lf_pcre_copy_group(m, "year", small, sizeof small));
    assert_false(lf_pcre_copy_group(m, "month", year, sizeof year));
    assert_int_equal(lf_pcre_match(p, m, dated, strlen(dated), 10, 0, &fault), LF_PCRE_HIT);
    assert_false(lf_pcre_group(m, 2, &begin, &end)); /* took no part */
    assert_int_equal(lf_pcre_match(p, m, dated, 6, 0, 0, &fault), LF_PCRE_NONE);
    assert_int_equal(lf_pcre_match(p, whole, dated, strlen(dated), 0, 0, &fault), LF_PCRE_HIT);
    assert_true(lf_pcre_group(whole, 0, &begin, &end) && begin == 3 && end == 10);
    assert_false(lf_pcre_group(whole, 1, &begin, &end));
    lf_pcre_matcher_free(whole);
    lf_pcre_matcher_free(m);
    lf_pcre_free(p);
}

static void test_pcre_faults(void **state) {
    (void)state;
    lf_pcre_fault fault;
    assert_null(lf_pcre_new("a(b", 3, 0, false, &fault));
    assert_true(!fault.no_memory && fault.at == 3 && strstr(fault.why, "parenthesis"));
    static const char slow[] = "(a+)+b", text[] = "aaaaaaaaaaaaaaaaaaaaaaaaac";
    for (int jit = 0; jit < 2; jit++) {
        lf_pcre *p = lf_pcre_new(slow, strlen(slow), PCRE2_NO_START_OPTIMIZE, jit, &fault);
        lf_pcre_matcher *m = lf_pcre_matcher_new(p, &(lf_pcre_limits){.steps = 1000, .jit_stack = jit ? 1 << 20 : 0});
        assert_int_equal(lf_pcre_match(p, m, text, strlen(text), 0, 0, &fault), LF_PCRE_FAULT);
        assert_true(!fault.no_memory && strstr(fault.why, "limit"));
        lf_pcre_matcher_free(m);
        lf_pcre_free(p);
    }
    lf_pcre *p = NULL;
    for (long k = 0; !p; k++) {
        lf_alloc_fail_after(k);
        p = lf_pcre_new("a", 1, 0, false, &fault);
        lf_alloc_fail_after(-1);
        assert_true(p || (fault.no_memory && lf_alloc_live() == 0));
    }
    const int64_t live = lf_alloc_live();
    lf_pcre_matcher *m = NULL;
    for (long k = 0; !m; k++) {
        lf_alloc_fail_after(k);
        m = lf_pcre_matcher_new(p, &sensible);
        lf_alloc_fail_after(-1);
        assert_true(m || lf_alloc_live() == live);
    }
    lf_pcre_matcher_free(m);
    lf_pcre_free(p);
}

/* ---- what was left out ---- */

static void test_left_out(void **state) {
    (void)state;
    lf_left_out l = {0};
    char text[128];
    assert_string_equal(lf_left_out_text(&l, text, sizeof text), "");
    static const char *const files[] = {"b.TIFF", "a/x.webp",   "y.WebP",
                                        "z.webp", "a.b/README", ".hidden",
                                        "x.",     "c.txt.gz",   "x.anextensionofseventeen"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) assert_true(lf_left_out_add_file(&l, files[i]));
    assert_int_equal(l.total, 9);
    assert_string_equal(lf_left_out_text(&l, text, sizeof text), "4 no extension, 3 .webp, 1 .gz, 1 .tiff");
    char small[66];
    assert_string_equal(lf_left_out_text(&l, small, sizeof small), "4 no extension, 5 of 3 other kinds");
    char tiny[8]; /* cut, and within its bounds */
    assert_true(strlen(lf_left_out_text(&l, tiny, sizeof tiny)) < sizeof tiny);
    lf_left_out_free(&l);
    for (long k = 0;; k++) {
        lf_alloc_fail_after(k);
        const bool added = lf_left_out_add(&l, "key 'weight'");
        lf_alloc_fail_after(-1);
        assert_int_equal(l.total, added);
        if (added) break;
    }
    lf_alloc_fail_after(0); /* no memory to sort in */
    assert_string_equal(lf_left_out_text(&l, text, sizeof text), "1 of 1 kinds");
    lf_alloc_fail_after(-1);
    lf_left_out_free(&l);
}

/* What a spreadsheet would run gets a quote in front; numbers are numbers. What would command a terminal is '?'. */
static void test_text_for_others(void **state) {
    (void)state;
    static const struct {
        const char *text, *cell;
    } cells[] = {{"", ""},
                 {"plain", "plain"},
                 {"-1", "-1"},
                 {"+5.25e-3", "+5.25e-3"},
                 {"-", "'-"},
                 {"-1+1", "'-1+1"},
                 {"=1", "'=1"},
                 {"@SUM(A1)", "'@SUM(A1)"},
                 {"+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"},
                 {"\t=1", "'\t=1"},
                 {"\r=1", "\"'\r=1\""},
                 {"=a,\"b\"", "\"'=a,\"\"b\"\"\""},
                 {"a=b", "a=b"}};
    static const struct {
        const char *text, *shown;
    } lines[] = {{"caf\xc3\xa9 \xe2\x80\x9cx\xe2\x80\x9d", "caf\xc3\xa9 \xe2\x80\x9cx\xe2\x80\x9d"},
                 {"a\x1b[2Jb\x7f\n", "a?[2Jb??"},
                 {"\xc2\x9b"
                  "2J",
                  "?2J"},
                 {"\xe2\x80\xae"
                  "x\xe2\x81\xa9",
                  "?x?"},
                 {"\xc2", "\xc2"},
                 {"\xe2\x80", "\xe2\x80"}};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        char *out = NULL;
        size_t size;
        FILE *f = open_memstream(&out, &size);
        lf_csv_text(f, cells[i].text);
        fclose(f);
        assert_string_equal(out, cells[i].cell);
        free(out);
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char copy[64], *out = NULL;
        size_t size;
        FILE *f = open_memstream(&out, &size);
        lf_print_plain(f, lines[i].text);
        fclose(f);
        snprintf(copy, sizeof copy, "%s", lines[i].text);
        lf_make_plain(copy);
        assert_string_equal(out, lines[i].shown);
        assert_string_equal(copy, lines[i].shown);
        free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LEAKLESS(test_philox_known_answers),
        LEAKLESS(test_rng_keys),
        LEAKLESS(test_rng_numbers),
        LEAKLESS(test_rng_permutation),
        LEAKLESS(test_halves_widen),
        LEAKLESS(test_halves_round),
        LEAKLESS(test_dtype_arrays),
        LEAKLESS(test_dtype_table),
        LEAKLESS(test_mem),
        LEAKLESS(test_mem_failing),
        LEAKLESS(test_mem_threads),
        LEAKLESS(test_pool),
        LEAKLESS(test_arena),
        LEAKLESS(test_utf8),
        LEAKLESS(test_string),
        LEAKLESS(test_string_failing),
        LEAKLESS(test_grow),
        LEAKLESS(test_lists),
        LEAKLESS(test_left_out),
        LEAKLESS(test_pcre_groups),
        LEAKLESS(test_pcre_faults),
        LEAKLESS(test_errors),
        LEAKLESS(test_messages),
        LEAKLESS(test_columns_of_texts),
        cmocka_unit_test(test_lines_are_broken_between_words),
        LEAKLESS(test_text_for_others),
        LEAKLESS(test_clock_and_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

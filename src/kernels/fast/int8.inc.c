/* The arithmetic of frozen weights in int8 (kernels.def). Products are oneDNN's where the processor multiplies bytes
 * (VNNI, AMX); else tiles of our own: bytes are widened to 16 bits and multiplied in pairs, whose sums fit in 32
 * (2 x 127 x 127). The instruction that multiplies bytes without VNNI saturates, and oneDNN uses it there. All sums are
 * whole numbers, so no order and no number of threads changes them. */

typedef int32_t ints __attribute__((vector_size(FAST_VECTOR)));
typedef int16_t shorts __attribute__((vector_size(FAST_VECTOR)));

#if FAST_VECTOR == 32 || (FAST_VECTOR == 16 && defined(__x86_64__))
#include <immintrin.h>
#endif

/* Lane i: a[2i] b[2i] + a[2i+1] b[2i+1]. */
static inline ints multiply_pairs(shorts a, shorts b) {
#if FAST_VECTOR == 64
    return (ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif FAST_VECTOR == 32
    return (ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
    return (ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    ints sum;
    for (int i = 0; i < VECTOR_LANES; i++) sum[i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    return sum;
#endif
}

/* ---- rows to bytes ---- */

static inline float folded(const act *x, const float *fold, int64_t c) { return fold ? LD(x[c]) * fold[c] : LD(x[c]); }

#if FAST_VECTOR == 64

static inline floats folded_vector(const act *x, const float *fold, int64_t c) {
    return fold ? load_act(x + c) * load_floats(fold + c) : load_act(x + c);
}

/* Of the first *done numbers, as many as there are whole pairs of vectors: two, so that neither waits for itself. */
static int32_t largest_of_vectors(const act *x, const float *fold, int64_t n, int64_t *done) {
    __m512i most = _mm512_setzero_si512(), also = most;
    for (*done = 0; *done + 2 * VECTOR_LANES <= n; *done += 2 * VECTOR_LANES) {
        const words a = (words)folded_vector(x, fold, *done) & MAGNITUDE,
                    b = (words)folded_vector(x, fold, *done + VECTOR_LANES) & MAGNITUDE;
        most = _mm512_max_epi32(most, (__m512i)a);
        also = _mm512_max_epi32(also, (__m512i)b);
    }
    return _mm512_reduce_max_epi32(_mm512_max_epi32(most, also));
}

/* Rounded to the nearest, as rintf does. Returns how many. */
static int64_t vectors_to_bytes(int8_t *q, const act *x, const float *fold, int64_t n, float inverse) {
    int64_t c = 0;
    for (; c + VECTOR_LANES <= n; c += VECTOR_LANES)
        _mm_storeu_si128((void *)(q + c),
                         _mm512_cvtepi32_epi8(_mm512_cvtps_epi32((__m512)(folded_vector(x, fold, c) * inverse))));
    return c;
}

#else

static int32_t largest_of_vectors(const act *x, const float *fold, int64_t n, int64_t *done) {
    (void)x, (void)fold, (void)n;
    *done = 0;
    return 0;
}

static int64_t vectors_to_bytes(int8_t *q, const act *x, const float *fold, int64_t n, float inverse) {
    (void)q, (void)x, (void)fold, (void)n, (void)inverse;
    return 0;
}

#endif

/* The bits of the largest magnitude order as magnitudes do, with infinity and NaN above all. */
static float largest_magnitude(const act *x, const float *fold, int64_t n) {
    int64_t done;
    int32_t most = largest_of_vectors(x, fold, n, &done);
#pragma omp simd reduction(max : most)
    for (int64_t c = done; c < n; c++) {
        const float_bits u = {.value = folded(x, fold, c)};
        const int32_t magnitude = u.bits & MAGNITUDE;
        most = most > magnitude ? most : magnitude;
    }
    const float_bits found = {.bits = most};
    return found.value;
}

static void to_bytes(int8_t *q, const act *x, const float *fold, int64_t n, float inverse) {
    const int64_t done = vectors_to_bytes(q, x, fold, n, inverse);
    SIMD for (int64_t c = done; c < n; c++) q[c] = (int8_t)(int32_t)rintf(folded(x, fold, c) * inverse);
}

static void int8_quantise(int8_t *q, float *scales, const void *x_, const float *fold, int64_t rows, int64_t C,
                          int64_t group) {
    const act *x = x_;
    const int64_t groups = (C + group - 1) / group;
    PARALLEL(rows * C)
    for (int64_t i = 0; i < rows * groups; i++) {
        const int64_t row = i / groups, from = i % groups * group, at = row * C + from, n = min64(group, C - from);
        const float *f = fold ? fold + from : NULL;
        const float most = largest_magnitude(x + at, f, n);
        const bool is_small = most < LF_INT8_LEAST, is_finite = most <= LF_INT8_MOST;
        scales[i] = is_small ? 0 : most / 127.0f;
        if (!is_small && is_finite)
            to_bytes(q + at, x + at, f, n, 127.0f / most);
        else
            memset(q + at, 0, (size_t)n);
    }
}

/* ---- products ---- */

enum { BYTE_ROWS = 256, BYTE_COLUMNS = 64, BYTE_DEPTH = 256, PAIRS = BYTE_DEPTH / 2 }; /* of a tile of ours */
enum {
    PAIR_ROWS = 6,
    PAIR_VECTORS = 2,
    PAIR_COLUMNS = PAIR_VECTORS * VECTOR_LANES
}; /* of a tile's sums in registers */

/* Rows of A as pairs of 16 bits [rows, PAIRS], the last one padded. */
static void widen_rows(int16_t *to, const int8_t *A, int64_t lda, int64_t rows, int64_t depth) {
    for (int64_t i = 0; i < rows; i++) {
        SIMD for (int64_t k = 0; k < depth; k++) to[i * BYTE_DEPTH + k] = A[i * lda + k];
        if (depth & 1) to[i * BYTE_DEPTH + depth] = 0;
    }
}

/* `n` columns of op(B) as pairs [PAIRS, BYTE_COLUMNS]: numbers 2p and 2p + 1 of a column side by side, zero beyond. */
static void pair_columns(int16_t *to, const int8_t *B, int64_t ldb, bool transposed, int64_t n, int64_t depth) {
    const int64_t next = transposed ? 1 : ldb, column = transposed ? ldb : 1, pairs = (depth + 1) / 2;
    if (n < BYTE_COLUMNS || (depth & 1)) memset(to, 0, (size_t)(pairs * BYTE_COLUMNS * 2) * sizeof *to);
    if (!transposed) {
        for (int64_t k = 0; k < depth; k++)
            for (int64_t j = 0; j < n; j++) to[(k / 2 * BYTE_COLUMNS + j) * 2 + (k & 1)] = B[k * next + j * column];
    } else {
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < depth; k++) to[(k / 2 * BYTE_COLUMNS + j) * 2 + (k & 1)] = B[j * column + k * next];
    }
}

/* sums [m, BYTE_COLUMNS] += A [m, pairs] B [pairs, PAIR_COLUMNS] */
static inline __attribute__((always_inline)) void pair_tile(int32_t *sums, const int16_t *A, const int16_t *B,
                                                            int64_t pairs, int m) {
    ints sum[PAIR_ROWS][PAIR_VECTORS];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < PAIR_VECTORS; j++)
            memcpy(&sum[i][j], sums + i * BYTE_COLUMNS + j * VECTOR_LANES, sizeof sum[i][j]);
    for (int64_t p = 0; p < pairs; p++) {
        shorts b[PAIR_VECTORS];
        for (int j = 0; j < PAIR_VECTORS; j++)
            memcpy(&b[j], B + (p * BYTE_COLUMNS + j * VECTOR_LANES) * 2, sizeof b[j]);
        for (int i = 0; i < m; i++) {
            int32_t pair;
            memcpy(&pair, A + i * BYTE_DEPTH + 2 * p, sizeof pair);
            const ints a = pair - (ints){0};
            for (int j = 0; j < PAIR_VECTORS; j++) sum[i][j] += multiply_pairs((shorts)a, b[j]);
        }
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < PAIR_VECTORS; j++)
            memcpy(sums + i * BYTE_COLUMNS + j * VECTOR_LANES, &sum[i][j], sizeof sum[i][j]);
}

static void multiply_tile(int32_t *sums, const int16_t *A, const int16_t *B, int64_t pairs, int64_t rows) {
    int64_t i = 0;
    for (; i + PAIR_ROWS <= rows; i += PAIR_ROWS)
        for (int64_t j = 0; j < BYTE_COLUMNS; j += PAIR_COLUMNS)
            pair_tile(sums + i * BYTE_COLUMNS + j, A + i * BYTE_DEPTH, B + 2 * j, pairs, PAIR_ROWS);
    for (; i < rows; i++)
        for (int64_t j = 0; j < BYTE_COLUMNS; j += PAIR_COLUMNS)
            pair_tile(sums + i * BYTE_COLUMNS + j, A + i * BYTE_DEPTH, B + 2 * j, pairs, 1);
}

static bool int8_product(int32_t *C, int64_t ldc, const int8_t *A, int64_t lda, const int8_t *B, int64_t ldb,
                         bool transpose_b, int64_t M, int64_t N, int64_t K) {
    if (FAST_ONEDNN && lf_onednn_has_int8())
        return lf_onednn_int8_product(C, ldc, A, lda, B, ldb, transpose_b, M, N, K);
    const int64_t down = (M + BYTE_ROWS - 1) / BYTE_ROWS, across = (N + BYTE_COLUMNS - 1) / BYTE_COLUMNS;
    PARALLEL(M * N * K)
    for (int64_t t = 0; t < down * across; t++) {
        const int64_t i = t % down * BYTE_ROWS, j = t / down * BYTE_COLUMNS, m = min64(BYTE_ROWS, M - i),
                      n = min64(BYTE_COLUMNS, N - j);
        int16_t a[BYTE_ROWS * BYTE_DEPTH], b[PAIRS * BYTE_COLUMNS * 2];
        int32_t sums[BYTE_ROWS * BYTE_COLUMNS];
        memset(sums, 0, (size_t)(m * BYTE_COLUMNS) * sizeof *sums);
        for (int64_t k = 0; k < K; k += BYTE_DEPTH) {
            const int64_t depth = min64(BYTE_DEPTH, K - k);
            widen_rows(a, A + i * lda + k, lda, m, depth);
            pair_columns(b, transpose_b ? B + j * ldb + k : B + k * ldb + j, ldb, transpose_b, n, depth);
            multiply_tile(sums, a, b, (depth + 1) / 2, m);
        }
        for (int64_t row = 0; row < m; row++)
            memcpy(C + (i + row) * ldc + j, sums + row * BYTE_COLUMNS, (size_t)n * sizeof *sums);
    }
    return true;
}

/* ---- sums to numbers ---- */

static void int8_store(void *y, int64_t ldy, bool as_real, bool add, const int32_t *sums, const void *before_,
                       const float *scales, int64_t step, const float *columns, const void *bias_, int64_t rows,
                       int64_t C) {
    const float *before = before_, *bias = bias_;
    PARALLEL(rows * C)
    for (int64_t i = 0; i < rows; i++) {
        const float scale = scales[i * step];
        for (int64_t from = 0; from < C; from += CHUNK) {
            const int64_t n = min64(CHUNK, C - from), at = i * C + from;
            float z[CHUNK];
            SIMD for (int64_t c = 0; c < n; c++) z[c] = (float)sums[at + c] * scale;
            if (before) SIMD for (int64_t c = 0; c < n; c++) z[c] += before[at + c];
            if (columns) SIMD for (int64_t c = 0; c < n; c++) z[c] *= columns[from + c];
            if (bias) SIMD for (int64_t c = 0; c < n; c++) z[c] += bias[from + c];
            float *real_row = (float *)y + i * ldy + from;
            act *act_row = (act *)y + i * ldy + from;
            if (as_real) {
                SIMD for (int64_t c = 0; c < n; c++) real_row[c] = add ? real_row[c] + z[c] : z[c];
            } else {
                SIMD for (int64_t c = 0; c < n; c++) act_row[c] = ST(add ? LD(act_row[c]) + z[c] : z[c]);
            }
        }
    }
}

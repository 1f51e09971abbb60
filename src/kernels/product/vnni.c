/* Products of bytes by VNNI. A thread takes columns: of 64 at a time it makes a panel, four numbers of a column side by
 * side, as the instruction wants them, and multiplies all rows with it; what comes out of a tile's registers is scaled
 * and stored at once. The instruction multiplies bytes without a sign by bytes with one: the panel's numbers are
 * shifted by 128, and each sum begins at -128 times the sum of its row's numbers. */
#include <immintrin.h>
#include <omp.h>
#include <string.h>

#include "kernels/int8.h"
#include "kernels/product/products.h"

enum { LANES = 16, VECTORS = 4, WIDTH = VECTORS * LANES, TILE_ROWS = 6, FOUR = 4, DEPTH = 1024, SHIFT = 128 };

_Static_assert(DEPTH % LF_INT8_BLOCK == 0, "a block of columns with its scale ends where a panel does, or before");

typedef struct panel {
    uint8_t bytes[DEPTH / FOUR][VECTORS][LANES * FOUR];
} panel;

/* Of all rows what is not finished at the end of a panel: whole numbers, or sums of blocks as floats. */
typedef union partial {
    int32_t whole[LF_VNNI_ROWS][WIDTH];
    float real[LF_VNNI_ROWS][WIDTH];
} partial;

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- a panel ---- */

static inline void lanes_4x4(__m512i v[4]) {
    const __m512i even = _mm512_shuffle_i32x4(v[0], v[1], 0x88), odd = _mm512_shuffle_i32x4(v[0], v[1], 0xdd),
                  even2 = _mm512_shuffle_i32x4(v[2], v[3], 0x88), odd2 = _mm512_shuffle_i32x4(v[2], v[3], 0xdd);
    v[0] = _mm512_shuffle_i32x4(even, even2, 0x88);
    v[1] = _mm512_shuffle_i32x4(odd, odd2, 0x88);
    v[2] = _mm512_shuffle_i32x4(even, even2, 0xdd);
    v[3] = _mm512_shuffle_i32x4(odd, odd2, 0xdd);
}

/* Vector i of 16 words becomes lane i of 16 vectors. */
static inline void transpose_words(__m512i v[16]) {
    __m512i pairs[16];
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int c = 0; c < 4; c++) { /* words 4 L + c of rows 4 i .. 4 i + 3 are lane L of lanes[i] */
        __m512i lanes[4];
        for (int i = 0; i < 4; i++) {
            const __m512i a = pairs[4 * i + c / 2], b = pairs[4 * i + c / 2 + 2];
            lanes[i] = c % 2 ? _mm512_unpackhi_epi64(a, b) : _mm512_unpacklo_epi64(a, b);
        }
        lanes_4x4(lanes);
        for (int i = 0; i < 4; i++) v[4 * i + c] = lanes[i];
    }
}

static inline __mmask64 first(int64_t n) {
    return n >= 64 ? ~(__mmask64)0 : n <= 0 ? (__mmask64)0 : ((__mmask64)1 << n) - 1;
}

/* op(B) is B [N,K] transposed: `n` rows of B. */
static void panel_of_rows(panel *to, const int8_t *B, int64_t ldb, int64_t n, int64_t depth) {
    const __m512i shift = _mm512_set1_epi8((char)SHIFT);
    for (int64_t j = 0; j < n; j += LANES)
        for (int64_t k = 0; k < depth; k += 64) {
            __m512i v[16];
            for (int64_t i = 0; i < 16; i++)
                v[i] = _mm512_maskz_loadu_epi8(j + i < n ? first(depth - k) : 0, B + (j + i < n ? j + i : j) * ldb + k);
            transpose_words(v);
            for (int64_t i = 0; i < 16 && k + i * FOUR < depth; i++)
                _mm512_storeu_si512(to->bytes[k / FOUR + i][j / LANES], _mm512_xor_si512(v[i], shift));
        }
}

/* op(B) is B [K,N]: `n` columns of B. */
static void panel_of_columns(panel *to, const int8_t *B, int64_t ldb, int64_t n, int64_t depth) {
    const __m512i shift = _mm512_set1_epi8((char)SHIFT);
    const __mmask64 columns = first(n);
    for (int64_t k = 0; k < depth; k += FOUR) {
        __m512i row[FOUR], v[FOUR];
        for (int i = 0; i < FOUR; i++) row[i] = _mm512_maskz_loadu_epi8(columns, B + (k + i) * ldb);
        const __m512i low = _mm512_unpacklo_epi8(row[0], row[1]), high = _mm512_unpackhi_epi8(row[0], row[1]),
                      low2 = _mm512_unpacklo_epi8(row[2], row[3]), high2 = _mm512_unpackhi_epi8(row[2], row[3]);
        v[0] = _mm512_unpacklo_epi16(low, low2), v[1] = _mm512_unpackhi_epi16(low, low2);
        v[2] = _mm512_unpacklo_epi16(high, high2), v[3] = _mm512_unpackhi_epi16(high, high2);
        lanes_4x4(v);
        for (int i = 0; i < VECTORS; i++) _mm512_storeu_si512(to->bytes[k / FOUR][i], _mm512_xor_si512(v[i], shift));
    }
}

/* ---- a tile ---- */

typedef struct tile {
    const lf_bytes_product *p;
    const panel *B;
    partial *partial;
    int64_t row, column, end, from, to; /* of the product: its first row, its columns, and the panel's part of K */
} tile;

static inline __m512i bf16_of(__m512 x) { /* to the nearest, ties to even; a NaN stays one */
    const __m512i u = _mm512_castps_si512(x), upper = _mm512_srli_epi32(u, 16),
                  odd = _mm512_and_si512(upper, _mm512_set1_epi32(1)),
                  rounded =
                      _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd), 16);
    return _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), upper, _mm512_set1_epi32(0x40));
}

static inline __m512 float_of(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

/* Columns from `end` on are not this thread's: a panel is as wide as a tile, which may be wider than what is left. */
static inline void store_vector(const lf_bytes_product *p, int64_t row, int64_t column, int64_t end, __m512 z) {
    const __mmask16 mask = (__mmask16)first(end - column);
    if (p->columns) z = _mm512_mul_ps(z, _mm512_maskz_loadu_ps(mask, p->columns + column));
    if (p->bias) z = _mm512_add_ps(z, _mm512_maskz_loadu_ps(mask, p->bias + column));
    if (p->out_bf16) {
        uint16_t *y = (uint16_t *)p->C + row * p->ldc + column;
        if (p->add) z = _mm512_add_ps(z, float_of(_mm256_maskz_loadu_epi16(mask, y)));
        _mm256_mask_storeu_epi16(y, mask, _mm512_cvtepi32_epi16(bf16_of(z)));
    } else {
        float *y = (float *)p->C + row * p->ldc + column;
        if (p->add) z = _mm512_add_ps(z, _mm512_maskz_loadu_ps(mask, y));
        _mm512_mask_storeu_ps(y, mask, z);
    }
}

/* Every lane of the sum gets four products. By its own name gcc 12 copies all sums in each round of the loop, and it
 * finds registers for them only where the loops over a tile are unrolled first. */
#define ADD_FOURS(sum, unsigned_bytes, bytes)                                                                          \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(unsigned_bytes), "v"(bytes))
#define EACH(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < (n); i++)

/* Numbers k .. end - 1 of a block, m rows and n vectors of columns. */
static inline __attribute__((always_inline)) void multiply_block(const tile *t, int64_t k, int64_t end, int m, int n) {
    const lf_bytes_product *p = t->p;
    const int64_t blocks = (p->K + p->block - 1) / p->block, b = k / p->block;
    const bool begins = k % p->block == 0, ends = end == p->K || end % p->block == 0;
    __m512i sum[TILE_ROWS][VECTORS];
    EACH(i, m)
    EACH(j, n)
    sum[i][j] = begins ? _mm512_set1_epi32(-SHIFT * p->sums[(t->row + i) * blocks + b])
                       : _mm512_loadu_si512(&t->partial->whole[t->row + i][j * LANES]);
    const int8_t *a = p->A + t->row * p->K;
    for (; k < end; k += FOUR) {
        __m512i columns[VECTORS];
        EACH(j, n) columns[j] = _mm512_loadu_si512(t->B->bytes[(k - t->from) / FOUR][j]);
        EACH(i, m) {
            int32_t four;
            memcpy(&four, a + i * p->K + k, sizeof four);
            const __m512i x = _mm512_set1_epi32(four);
            EACH(j, n) ADD_FOURS(sum[i][j], columns[j], x);
        }
    }
    EACH(i, m)
    EACH(j, n) {
        if (!ends) {
            _mm512_storeu_si512(&t->partial->whole[t->row + i][j * LANES], sum[i][j]);
            continue;
        }
        float *before = &t->partial->real[t->row + i][j * LANES];
        __m512 z = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[i][j]), _mm512_set1_ps(p->scales[(t->row + i) * blocks + b]));
        if (b > 0) z = _mm512_add_ps(z, _mm512_loadu_ps(before));
        if (end < p->K)
            _mm512_storeu_ps(before, z);
        else
            store_vector(p, t->row + i, t->column + j * LANES, t->end, z);
    }
}

static inline __attribute__((always_inline)) void multiply_tile(const tile *t, int m, int n) {
    for (int64_t k = t->from, end; k < t->to; k = end) {
        end = smaller(t->to, (k / t->p->block + 1) * t->p->block);
        multiply_block(t, k, end, m, n);
    }
}

/* The bytes that the next panel is made of come from memory while this one is multiplied with: a weight is read but
 * once in a pass, rows apart, which no processor foresees. */
typedef struct ahead {
    const int8_t *B;
    int64_t ldb, lines, of_row; /* lines of the cache in all, and those of a row */
} ahead;

enum { LINE = 64 };

static ahead ahead_of(const lf_bytes_product *p, int64_t begin, int64_t end, int64_t k) {
    if (begin >= end) return (ahead){0};
    const int64_t n = smaller(WIDTH, end - begin), depth = smaller(DEPTH, p->K - k),
                  of_row = p->transpose_b ? (depth + LINE - 1) / LINE : 1;
    return (ahead){.B = p->transpose_b ? p->B + begin * p->ldb + k : p->B + k * p->ldb + begin,
                   .ldb = p->ldb,
                   .lines = p->transpose_b ? n * of_row : depth,
                   .of_row = of_row};
}

static inline void fetch(const ahead *a, int64_t done, int64_t all) {
    for (int64_t i = a->lines * done / all; i < a->lines * (done + 1) / all; i++)
        _mm_prefetch((const char *)a->B + i / a->of_row * a->ldb + i % a->of_row * LINE, _MM_HINT_T1);
}

/* All rows with a panel of n vectors. */
static inline __attribute__((always_inline)) void multiply_rows(tile t, const ahead *next, int n) {
    const int64_t tiles = (t.p->M + TILE_ROWS - 1) / TILE_ROWS;
    for (t.row = 0; t.row + TILE_ROWS <= t.p->M; t.row += TILE_ROWS) {
        fetch(next, t.row / TILE_ROWS, tiles);
        multiply_tile(&t, TILE_ROWS, n);
    }
    if (t.row < t.p->M) fetch(next, tiles - 1, tiles);
    for (; t.row + 2 <= t.p->M; t.row += 2) multiply_tile(&t, 2, n);
    if (t.row < t.p->M) multiply_tile(&t, 1, n);
}

/* The first columns, at most WIDTH, of begin .. end - 1. */
static void multiply_columns(const lf_bytes_product *p, int64_t begin, int64_t end) {
    panel B;
    partial unfinished;
    const int64_t n = smaller(WIDTH, end - begin);
    for (int64_t k = 0; k < p->K; k += DEPTH) {
        const int64_t depth = smaller(DEPTH, p->K - k);
        const ahead next = k + DEPTH < p->K ? ahead_of(p, begin, end, k + DEPTH) : ahead_of(p, begin + WIDTH, end, 0);
        if (p->transpose_b)
            panel_of_rows(&B, p->B + begin * p->ldb + k, p->ldb, n, depth);
        else
            panel_of_columns(&B, p->B + k * p->ldb + begin, p->ldb, n, depth);
        const tile t = {
            .p = p, .B = &B, .partial = &unfinished, .column = begin, .end = begin + n, .from = k, .to = k + depth};
        if (n > 2 * LANES)
            multiply_rows(t, &next, VECTORS);
        else if (n > LANES)
            multiply_rows(t, &next, 2);
        else
            multiply_rows(t, &next, 1);
    }
}

static int32_t sum_of_bytes(const int8_t *a, int64_t n) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();
    for (int64_t c = 0; c < n; c += LINE)
        sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi8(first(n - c), a + c));
    return _mm512_reduce_add_epi32(sum);
}

static void sum_rows(const lf_bytes_product *p) {
    const int64_t blocks = (p->K + p->block - 1) / p->block;
#pragma omp parallel for schedule(static) num_threads(lf_threads()) if (p->M * p->K > 32768)
    for (int64_t i = 0; i < p->M * blocks; i++) {
        const int64_t k = i % blocks * p->block;
        p->sums[i] = sum_of_bytes(p->A + i / blocks * p->K + k, smaller(p->block, p->K - k));
    }
}

/* Where there is AMX, oneDNN's products are several times as fast as any of VNNI's. */
bool lf_vnni_runs_here(int64_t K) {
    return K % FOUR == 0 && lf_onednn_has_int8() && !lf_onednn_has_amx() && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

void lf_vnni_product(const lf_bytes_product *p) {
    sum_rows(p);
    const int64_t vectors = (p->N + LANES - 1) / LANES, pieces = smaller(vectors, lf_threads());
#pragma omp parallel for schedule(static) num_threads(lf_threads()) if (p->M * p->N * p->K > 32768)
    for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t end = smaller(vectors * (piece + 1) / pieces * LANES, p->N);
        for (int64_t begin = vectors * piece / pieces * LANES; begin < end; begin += WIDTH)
            multiply_columns(p, begin, end);
    }
}

/* The products of attention's blocks in bf16, by the processor's dot products of pairs (AVX512_BF16): sums in floats,
 * and probabilities rounded to bf16 before they are multiplied.
 *
 * A product is C [M,N] += A B with K in pairs: A gives for each row and pair one word (two bf16), wherever it stands; B
 * is packed, [pairs, N] words. What is [rows, D] in memory has its pairs along D side by side; pairs along rows are
 * made by interleaving two rows. So the transposed probabilities need not be transposed: interleaved, they are read the
 * other way. */
#include <immintrin.h>

/* Of one thread. D2: pairs along D; words: what is packed; rows of floats are `width` long, a multiple of a vector. */
typedef struct attention_buffers {
    int64_t queries, keys, width;
    float *p, *dp;          /* [queries, keys] */
    float *max, *sum;       /* [queries] */
    float *o, *dq;          /* [queries, width] */
    float *dk, *dv;         /* [T, width] */
    uint32_t *q, *dout;     /* [queries, D2] */
    uint32_t *k_t, *v_t;    /* [D2, keys]: transposed, for scores */
    uint32_t *k, *v;        /* [keys / 2, width] */
    uint32_t *q_b, *dout_b; /* [queries / 2, width] */
    uint32_t *p_a, *ds_a;   /* [queries, keys / 2] */
    uint32_t *p_t, *ds_t;   /* [queries / 2, keys]: interleaved rows */
} attention_buffers;

#define DK_FACTOR(d) ((float)(d)->scale) /* the scores' scale is left out of the products */

static int64_t lay_out(attention_buffers *w, const lf_attention_dims *d, bool backward, float *base) {
    *w = (attention_buffers){
        .queries = query_block(d), .keys = block_size(d->T, MAX_KEYS), .width = (d->D + 15) / 16 * 16};
    const int64_t D2 = (d->D + 1) / 2, square = w->queries * w->keys, q = w->queries * w->width, k = w->keys * w->width,
                  b = backward;
    const struct {
        float **at;
        int64_t n;
    } parts[] = {{&w->p, square}, {&w->dp, b * square}, {&w->max, w->queries},         {&w->sum, w->queries},
                 {&w->o, q},      {&w->dq, b * q},      {&w->dk, b * d->T * w->width}, {&w->dv, b * d->T * w->width}};
    const struct {
        uint32_t **at;
        int64_t n;
    } packed[] = {{&w->q, w->queries * D2},  {&w->dout, b * w->queries * D2},
                  {&w->k_t, D2 * w->keys},   {&w->v_t, b * D2 * w->keys},
                  {&w->k, b * k / 2},        {&w->v, k / 2},
                  {&w->q_b, b * q / 2},      {&w->dout_b, b * q / 2},
                  {&w->p_a, square / 2},     {&w->ds_a, b * square / 2},
                  {&w->p_t, b * square / 2}, {&w->ds_t, b * square / 2}};
    int64_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (base) *parts[i].at = base + used;
        used += (parts[i].n + 15) / 16 * 16;
    }
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++) {
        if (base) *packed[i].at = (uint32_t *)(void *)(base + used);
        used += (packed[i].n + 15) / 16 * 16;
    }
    return used;
}

#include "kernels/fast/attention_rows.inc.c"

/* ---- packing ---- */

static inline uint32_t word(uint16_t low, uint16_t high) { return (uint32_t)low | (uint32_t)high << 16; }

/* [n,D] -> [n,D2] */
static void pack_pairs(uint32_t *to, const act *from, int64_t stride, int64_t n, int64_t D) {
    const int64_t D2 = (D + 1) / 2;
    for (int64_t i = 0; i < n; i++) {
        to[i * D2 + D2 - 1] = 0;
        memcpy(to + i * D2, from + i * stride, (size_t)D * sizeof *from);
    }
}

/* Vector i of 16 words becomes lane i of 16 vectors. Blocks of 1, 2, 4, 8 lanes change places. */
static inline void transpose_16(__m512i v[16]) {
    __m512i w[16];
    for (int i = 0; i < 16; i += 2) {
        w[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        w[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int c = 0; c < 2; c++) {
            v[i + 2 * c] = _mm512_unpacklo_epi64(w[i + c], w[i + 2 + c]);
            v[i + 2 * c + 1] = _mm512_unpackhi_epi64(w[i + c], w[i + 2 + c]);
        }
    for (int i = 0; i < 16; i += 8)
        for (int c = 0; c < 4; c++) {
            w[i + c] = _mm512_shuffle_i32x4(v[i + c], v[i + 4 + c], 0x88);
            w[i + 4 + c] = _mm512_shuffle_i32x4(v[i + c], v[i + 4 + c], 0xdd);
        }
    for (int c = 0; c < 8; c++) {
        v[c] = _mm512_shuffle_i32x4(w[c], w[8 + c], 0x88);
        v[8 + c] = _mm512_shuffle_i32x4(w[c], w[8 + c], 0xdd);
    }
}

/* [n,D] -> [D2,ld], columns beyond n zero up to the next multiple of 16. */
static void pack_transposed(uint32_t *to, int64_t ld, const act *from, int64_t stride, int64_t n, int64_t D) {
    const int64_t D2 = (D + 1) / 2;
    for (int64_t j = 0; j < n; j += 16)
        for (int64_t d = 0; d < D2; d += 16) {
            const __mmask32 numbers = (__mmask32)((1ull << min64(32, D - 2 * d)) - 1);
            __m512i v[16];
            for (int64_t i = 0; i < 16; i++)
                v[i] = j + i < n ? _mm512_maskz_loadu_epi16(numbers, from + (j + i) * stride + 2 * d)
                                 : _mm512_setzero_si512();
            transpose_16(v);
            for (int64_t i = 0; i < min64(16, D2 - d); i++) _mm512_storeu_si512(to + (d + i) * ld + j, v[i]);
        }
}

/* [n,D] -> [n/2,width]: rows 2i and 2i + 1 interleaved; a row beyond the last and columns beyond D are zero. */
static void pack_rows(uint32_t *to, int64_t width, const act *from, int64_t stride, int64_t n, int64_t D) {
    for (int64_t i = 0; i < n; i += 2) {
        uint32_t *out = to + i / 2 * width;
        const act *a = from + i * stride, *b = i + 1 < n ? a + stride : NULL;
        if (b) {
            SIMD for (int64_t c = 0; c < D; c++) out[c] = word(a[c], b[c]);
        } else {
            SIMD for (int64_t c = 0; c < D; c++) out[c] = a[c];
        }
        for (int64_t c = D; c < width; c++) out[c] = 0;
    }
}

/* 16 floats, those beyond n zero, rounded. */
static inline __m256i rounded_of(const float *x, int64_t n) { return rounded(load_real_number(x, n)); }

/* Floats [n,m], rows ld apart -> pairs along m [n,m2], rounded. */
static void round_pairs(uint32_t *to, int64_t m2, const float *from, int64_t ld, int64_t n, int64_t m) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j += 16)
            _mm256_mask_storeu_epi16((uint16_t *)(void *)(to + i * m2) + j, first_lanes(2 * m2 - j),
                                     rounded_of(from + i * ld + j, m - j));
}

/* Floats [n,m], rows ld apart -> rows interleaved [n/2,ld], rounded. */
static void round_rows(uint32_t *to, const float *from, int64_t ld, int64_t n, int64_t m) {
    for (int64_t i = 0; i < n; i += 2)
        for (int64_t j = 0; j < m; j += 16) {
            const float *a = from + i * ld + j;
            const __m512i low = _mm512_cvtepu16_epi32(rounded_of(a, m - j)),
                          high = _mm512_cvtepu16_epi32(rounded_of(a + (i + 1 < n ? ld : 0), i + 1 < n ? m - j : 0));
            _mm512_mask_storeu_epi32(to + i / 2 * ld + j, first_lanes(m - j),
                                     _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
}

/* ---- products ---- */

enum { DOT_ROWS = 6, DOT_VECTORS = 4 };

/* The word of row i and pair k is A[i * row + k * pair]. */
typedef struct dot_side {
    const uint32_t *words;
    int64_t row, pair;
} dot_side;

/* m rows, n vectors of C, from `pairs` pairs. */
static inline __attribute__((always_inline)) void dot_tile(float *C, int64_t ldc, dot_side A, const uint32_t *B,
                                                           int64_t ldb, int64_t pairs, bool add, int m, int n) {
    __m512 sum[DOT_ROWS][DOT_VECTORS];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) sum[i][j] = add ? _mm512_loadu_ps(C + i * ldc + 16 * j) : _mm512_setzero_ps();
    for (int64_t k = 0; k < pairs; k++) {
        __m512i b[DOT_VECTORS];
        for (int j = 0; j < n; j++) b[j] = _mm512_loadu_si512(B + k * ldb + 16 * j);
        for (int i = 0; i < m; i++) {
            const __m512i a = _mm512_set1_epi32((int)A.words[i * A.row + k * A.pair]);
            for (int j = 0; j < n; j++) sum[i][j] = _mm512_dpbf16_ps(sum[i][j], (__m512bh)a, (__m512bh)b[j]);
        }
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) _mm512_storeu_ps(C + i * ldc + 16 * j, sum[i][j]);
}

#define DOT_CASE(m, n)                                                                                                 \
    case DOT_VECTORS *m + n - 1:                                                                                       \
        dot_tile(C, ldc, A, B, ldb, pairs, add, m, n);                                                                 \
        break;
#define DOT_CASES(m) DOT_CASE(m, 1) DOT_CASE(m, 2) DOT_CASE(m, 3) DOT_CASE(m, 4)

static void dot_any(float *C, int64_t ldc, dot_side A, const uint32_t *B, int64_t ldb, int64_t pairs, bool add, int m,
                    int n) {
    switch (DOT_VECTORS * m + n - 1) { DOT_CASES(1) DOT_CASES(2) DOT_CASES(3) DOT_CASES(4) DOT_CASES(5) DOT_CASES(6) }
}

/* C [M,N] = or += A B; N is rounded up to whole vectors, which C and B have room for. */
static void dot_product(float *C, int64_t ldc, dot_side A, const uint32_t *B, int64_t ldb, int64_t M, int64_t N,
                        int64_t pairs, bool add) {
    const int64_t vectors = (N + 15) / 16;
    for (int64_t j = 0; j < vectors; j += DOT_VECTORS)
        for (int64_t i = 0; i < M; i += DOT_ROWS) {
            const dot_side from = {A.words + i * A.row, A.row, A.pair};
            dot_any(C + i * ldc + 16 * j, ldc, from, B + 16 * j, ldb, pairs, add, (int)min64(DOT_ROWS, M - i),
                    (int)min64(DOT_VECTORS, vectors - j));
        }
}

/* ---- softmax, and its results in pairs ---- */

/* Scores that are products times a scale, and no more, need but two passes over a row. */
static bool is_plain(const lf_attention_dims *d) {
    return !(d->softcap > 0) && !d->bias && !(d->dropout > 0) && d->scale > 0;
}

static inline __mmask16 lanes_between(int64_t from, int64_t to) {
    return (__mmask16)(first_lanes(to) & ~first_lanes(from));
}

static inline bool are_all_between(int64_t j, int64_t from, int64_t to) { return from <= j && j + 16 <= to; }

static float largest_between(const float *x, int64_t from, int64_t to) {
    __m512 most = _mm512_set1_ps(-INFINITY);
    for (int64_t j = from / 16 * 16; j < to; j += 16) /* a NaN is passed over: the maximum is the second operand */
        most = _mm512_mask_max_ps(most, lanes_between(from - j, to - j), _mm512_loadu_ps(x + j), most);
    return _mm512_reduce_max_ps(most);
}

/* Vector j of a row of e^(scale x - shift), zero for what is not seen. */
static inline __m512 exp_between(const float *x, int64_t j, int64_t from, int64_t to, float scale, float shift) {
    const __m512 e = (__m512)exp_of((num)_mm512_loadu_ps(x + j) * scale - shift);
    return are_all_between(j, from, to) ? e : _mm512_maskz_mov_ps(lanes_between(from - j, to - j), e);
}

static inline void store_pairs(uint16_t *to, int64_t n, __m256i x) { /* the first n of x */
    if (n >= 16)
        _mm256_storeu_si256((void *)to, x);
    else
        _mm256_mask_storeu_epi16(to, first_lanes(n), x);
}

/* As softmax_row and round_pairs. */
static void plain_row(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d, int64_t row,
                      uint16_t *p_a, int64_t m) {
    const float *x = w->p + row * w->keys, scale = (float)d->scale;
    int64_t from, to;
    seen(t, d, row, &from, &to);
    const float max = from == to ? 0 : raise_max(w, d, row, scale * largest_between(x, from, to));
    __m512 sum = _mm512_setzero_ps();
    for (int64_t j = 0; j < m; j += 16) {
        const bool any = j + 16 > from && j < to;
        const __m512 e = any ? exp_between(x, j, from, to, scale, max) : _mm512_setzero_ps();
        sum = _mm512_add_ps(sum, e);
        store_pairs(p_a + j, m - j, rounded((num)e));
    }
    w->sum[row] += _mm512_reduce_add_ps(sum);
}

/* Products in w->p to e^(score - max), as pairs in w->p_a. */
static void probabilities(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                          const dropout_rule *rule) {
    const int64_t m2 = (t->m + 1) / 2;
    if (is_plain(d)) {
        for (int64_t row = 0; row < t->n; row++)
            plain_row(w, t, d, row, (uint16_t *)(void *)(w->p_a + row * m2), 2 * m2);
        return;
    }
    for (int64_t row = 0; row < t->n; row++) {
        scale_row(w->p + row * w->keys, (float)d->scale, t->m);
        softmax_row(w, t, d, rule, row);
    }
    round_pairs(w->p_a, m2, w->p, w->keys, t->n, t->m);
}

typedef struct slopes {
    __m256i p, ds; /* rounded */
} slopes;

/* Vector j of a row: as softmax_backward_row. */
static inline slopes slopes_between(const attention_buffers *w, int64_t row, int64_t j, int64_t from, int64_t to,
                                    float scale, float lse, float delta) {
    if (j + 16 <= from || j >= to) return (slopes){_mm256_setzero_si256(), _mm256_setzero_si256()};
    const __m512 p = exp_between(w->p + row * w->keys, j, from, to, scale, lse);
    __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(w->dp + row * w->keys + j), _mm512_set1_ps(delta));
    if (!are_all_between(j, from, to)) difference = _mm512_maskz_mov_ps(lanes_between(from - j, to - j), difference);
    return (slopes){rounded((num)p), rounded((num)_mm512_mul_ps(p, difference))};
}

static inline void store_interleaved(uint32_t *to, __m256i even, __m256i odd) {
    _mm512_storeu_si512(
        to, _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16)));
}

/* Rows `row` and, unless it is the last, `row` + 1: as softmax_backward_row, round_pairs and round_rows. */
static void plain_rows_backward(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                                int64_t row, const float *lse, const float *delta) {
    const int64_t m2 = (t->m + 1) / 2;
    const bool both = row + 1 < t->n;
    const float scale = (float)d->scale;
    int64_t from, to, next_from = 0, next_to = 0;
    seen(t, d, row, &from, &to);
    if (both) seen(t, d, row + 1, &next_from, &next_to);
    for (int64_t j = 0; j < t->m; j += 16) {
        const slopes a = slopes_between(w, row, j, from, to, scale, lse[row], delta[row]);
        const slopes b = both ? slopes_between(w, row + 1, j, next_from, next_to, scale, lse[row + 1], delta[row + 1])
                              : slopes_between(w, row, j, 0, 0, 0, 0, 0);
        uint16_t *ds = (uint16_t *)(void *)(w->ds_a + row * m2) + j;
        store_pairs(ds, 2 * m2 - j, a.ds);
        if (both) store_pairs(ds + 2 * m2, 2 * m2 - j, b.ds);
        store_interleaved(w->p_t + row / 2 * w->keys + j, a.p, b.p);
        store_interleaved(w->ds_t + row / 2 * w->keys + j, a.ds, b.ds);
    }
}

/* Products in w->p and w->dp to probabilities in w->p_t, and ds in w->ds_t and w->ds_a. */
static void probabilities_backward(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                                   const dropout_rule *rule, const float *lse, const float *delta) {
    const int64_t m2 = (t->m + 1) / 2;
    if (is_plain(d)) {
        for (int64_t row = 0; row < t->n; row += 2) plain_rows_backward(w, t, d, row, lse, delta);
        return;
    }
    for (int64_t row = 0; row < t->n; row++) {
        scale_row(w->p + row * w->keys, (float)d->scale, t->m);
        softmax_backward_row(w, t, d, rule, row, lse[row], delta[row]);
    }
    round_pairs(w->ds_a, m2, w->dp, w->keys, t->n, t->m);
    round_rows(w->ds_t, w->dp, w->keys, t->n, t->m);
    round_rows(w->p_t, w->p, w->keys, t->n, t->m);
}

/* ---- blocks ---- */

/* o and lse of one block of queries; k, v: of the tile's head, from the first key on. */
static void attend(const attention_buffers *w, attention_tile t, const lf_attention_dims *d, const dropout_rule *rule,
                   act *o, float *lse, const act *q, const act *k, const act *v) {
    const int64_t D = d->D, D2 = (D + 1) / 2;
    int64_t begin, end;
    pack_pairs(w->q, q, d->ldq, t.n, D);
    clear(w->o, t.n * w->width);
    for (int64_t row = 0; row < t.n; row++) {
        w->max[row] = -INFINITY;
        w->sum[row] = 0;
    }
    tile_range(&t, d, &begin, &end);
    for (t.j = begin; t.j < end; t.j += w->keys) {
        t.m = min64(w->keys, end - t.j);
        const int64_t m2 = (t.m + 1) / 2;
        pack_transposed(w->k_t, w->keys, k + t.j * d->ldkv, d->ldkv, t.m, D);
        dot_product(w->p, w->keys, (dot_side){w->q, D2, 1}, w->k_t, w->keys, t.n, t.m, D2, false);
        probabilities(w, &t, d, rule);
        pack_rows(w->v, w->width, v + t.j * d->ldkv, d->ldkv, t.m, D);
        dot_product(w->o, w->width, (dot_side){w->p_a, m2, 1}, w->v, w->width, t.n, D, m2, true);
    }
    for (int64_t row = 0; row < t.n; row++) {
        copy_out(o + row * d->ldo, d->ldo, w->o + row * w->width, w->width, 1, D, share_of(w->sum[row]));
        lse[row] = logsumexp_of(w->max[row], w->sum[row]);
    }
}

static float row_delta(const act *a, const act *b, int64_t n) {
    float sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) sum += LD(a[i]) * LD(b[i]);
    return sum;
}

/* Writes dq of one block of queries, adds to the head's dk (without the scale) and dv in the buffers. */
static void attend_backward(const attention_buffers *w, attention_tile t, const lf_attention_dims *d,
                            const dropout_rule *rule, act *dq, const act *dout, const act *o, const float *lse,
                            const act *q, const act *k, const act *v) {
    const int64_t D = d->D, D2 = (D + 1) / 2, n2 = (t.n + 1) / 2;
    int64_t begin, end;
    float *delta = w->sum;
    pack_pairs(w->q, q, d->ldq, t.n, D);
    pack_pairs(w->dout, dout, d->ldo, t.n, D);
    pack_rows(w->q_b, w->width, q, d->ldq, t.n, D);
    pack_rows(w->dout_b, w->width, dout, d->ldo, t.n, D);
    clear(w->dq, t.n * w->width);
    for (int64_t row = 0; row < t.n; row++) delta[row] = row_delta(dout + row * d->ldo, o + row * d->ldo, D);
    tile_range(&t, d, &begin, &end);
    for (t.j = begin; t.j < end; t.j += w->keys) {
        t.m = min64(w->keys, end - t.j);
        const int64_t m2 = (t.m + 1) / 2;
        pack_transposed(w->k_t, w->keys, k + t.j * d->ldkv, d->ldkv, t.m, D);
        pack_transposed(w->v_t, w->keys, v + t.j * d->ldkv, d->ldkv, t.m, D);
        pack_rows(w->k, w->width, k + t.j * d->ldkv, d->ldkv, t.m, D);
        dot_product(w->p, w->keys, (dot_side){w->q, D2, 1}, w->k_t, w->keys, t.n, t.m, D2, false);
        dot_product(w->dp, w->keys, (dot_side){w->dout, D2, 1}, w->v_t, w->keys, t.n, t.m, D2, false);
        probabilities_backward(w, &t, d, rule, lse, delta);
        dot_product(w->dv + t.j * w->width, w->width, (dot_side){w->p_t, 1, w->keys}, w->dout_b, w->width, t.m, D, n2,
                    true);
        dot_product(w->dk + t.j * w->width, w->width, (dot_side){w->ds_t, 1, w->keys}, w->q_b, w->width, t.m, D, n2,
                    true);
        dot_product(w->dq, w->width, (dot_side){w->ds_a, m2, 1}, w->k, w->width, t.n, D, m2, true);
    }
    copy_out(dq, d->ldq, w->dq, w->width, t.n, D, (float)d->scale);
}

/* The adapter's thin products by the processor's dot products of pairs of bf16 (AVX512_BF16): sums in floats, factors
 * rounded to bf16. K is in pairs, a word each: the word of one side is broadcast, those of the other are a vector. */

static inline __m512i interleaved(__m256i even, __m256i odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

static inline uint32_t pair_of(act low, act high) { return (uint32_t)low | (uint32_t)high << 16; }

static inline __m512 add_dots(__m512 sum, uint32_t pair, __m512i vector) {
    return _mm512_dpbf16_ps(sum, (__m512bh)vector, (__m512bh)_mm512_set1_epi32((int)pair));
}

/* ---- y += u F ---- */

/* A thread's rows, ADD_BLOCK at a time, meet 64 columns of F after the other, packed for them. */
enum { ADD_ROWS = 6, ADD_VECTORS = 4, ADD_COLUMNS = ADD_VECTORS * VECTOR_LANES, ADD_BLOCK = 48, MAX_PAIRS = 512 };

typedef uint32_t panel_words[MAX_PAIRS][ADD_VECTORS][VECTOR_LANES];

/* `n` columns of F [R,..], rows in pairs; zero beyond. */
static void pack_panel(panel_words to, const float *F, int64_t ldf, int64_t R, int64_t n) {
    for (int64_t r = 0; r < R; r += 2)
        for (int64_t j = 0; j < ADD_VECTORS; j++) {
            const float *f = F + r * ldf + j * VECTOR_LANES;
            const int64_t left = n - j * VECTOR_LANES, next = r + 1 < R ? left : 0;
            _mm512_storeu_si512(to[r / 2][j], interleaved(rounded(load_real_number(f, left)),
                                                          rounded(load_real_number(next > 0 ? f + ldf : f, next))));
        }
}

/* m rows of u [m, pairs] and a panel: n columns of y. */
static inline __attribute__((always_inline)) void add_tile(act *y, int64_t ldy, const uint32_t *u, int64_t pairs,
                                                           const panel_words F, int64_t n, int m) {
    __m512 sum[ADD_ROWS][ADD_VECTORS];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < ADD_VECTORS; j++)
            sum[i][j] = (__m512)load_number(y + i * ldy + j * VECTOR_LANES, n - j * VECTOR_LANES);
    for (int64_t k = 0; k < pairs; k++) {
        __m512i f[ADD_VECTORS];
        for (int j = 0; j < ADD_VECTORS; j++) f[j] = _mm512_loadu_si512(F[k][j]);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < ADD_VECTORS; j++) sum[i][j] = add_dots(sum[i][j], u[i * pairs + k], f[j]);
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < ADD_VECTORS; j++)
            store_number(y + i * ldy + j * VECTOR_LANES, n - j * VECTOR_LANES, (num)sum[i][j]);
}

static void add_panel(act *y, int64_t ldy, const uint32_t *u, int64_t pairs, const panel_words F, int64_t rows,
                      int64_t n) {
    int64_t i = 0;
    for (; i + ADD_ROWS <= rows; i += ADD_ROWS) add_tile(y + i * ldy, ldy, u + i * pairs, pairs, F, n, ADD_ROWS);
    for (; i + 2 <= rows; i += 2) add_tile(y + i * ldy, ldy, u + i * pairs, pairs, F, n, 2);
    if (i < rows) add_tile(y + i * ldy, ldy, u + i * pairs, pairs, F, n, 1);
}

static void add_block(act *y, int64_t ldy, const act *u, int64_t ldu, const float *F, int64_t ldf, int64_t rows,
                      int64_t C, int64_t R) {
    const int64_t pairs = (R + 1) / 2;
    uint32_t words_of_u[ADD_BLOCK * MAX_PAIRS];
    panel_words panel;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < pairs; k++)
            words_of_u[i * pairs + k] = pair_of(u[i * ldu + 2 * k], 2 * k + 1 < R ? u[i * ldu + 2 * k + 1] : 0);
    for (int64_t c = 0; c < C; c += ADD_COLUMNS) {
        const int64_t n = min64(ADD_COLUMNS, C - c);
        pack_panel(panel, F + c, ldf, R, n);
        add_panel(y + c, ldy, words_of_u, pairs, (const void *)panel, rows, n);
    }
}

static void low_rank_add(void *y_, int64_t ldy, const void *u_, int64_t ldu, const void *F, int64_t ldf, int64_t rows,
                         int64_t C, int64_t R) {
    act *y = y_;
    const act *u = u_;
    const int64_t all = lf_threads() * ADD_BLOCK, blocks = (rows + all - 1) / all * lf_threads(); /* as many for each */
    PARALLEL(rows * C * R)
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t i = rows * block / blocks, n = rows * (block + 1) / blocks - i;
        for (int64_t from = 0; from < R && n > 0; from += 2 * MAX_PAIRS) /* once, but for ranks that are not small */
            add_block(y + i * ldy, ldy, u + i * ldu + from, ldu, (const float *)F + from * ldf, ldf, n, C,
                      min64(2 * MAX_PAIRS, R - from));
    }
}

/* ---- S = u^T z ---- */

enum { SUM_RANKS = 8, SUM_COLUMNS = 2 * VECTOR_LANES, SUM_CHUNK = 64, SUM_PAIRS = SUM_CHUNK / 2 };

/* Two vectors side by side to the order in which unpacking leaves columns, and back. */
static inline void to_unpacked(__m512 v[2]) {
    const __m512 low = _mm512_shuffle_f32x4(v[0], v[1], 0x88), high = _mm512_shuffle_f32x4(v[0], v[1], 0xdd);
    v[0] = low;
    v[1] = high;
}

static inline void from_unpacked(__m512 v[2]) {
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                  second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    const __m512d low = _mm512_castps_pd(v[0]), high = _mm512_castps_pd(v[1]);
    v[0] = _mm512_castpd_ps(_mm512_permutex2var_pd(low, first, high));
    v[1] = _mm512_castpd_ps(_mm512_permutex2var_pd(low, second, high));
}

static inline __m512i load_columns(const act *z, int64_t n) {
    return _mm512_maskz_loadu_epi16(n >= SUM_COLUMNS ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1, z);
}

/* The first m ranks and n columns of S += u^T z over a chunk's rows, in pairs; u [pairs, SUM_RANKS]. */
static inline __attribute__((always_inline)) void sum_tile(float *S, int64_t lds, const uint32_t *u, const act *z,
                                                           int64_t ldz, int64_t rows, int64_t n, int m) {
    __m512 sum[SUM_RANKS][2];
    for (int r = 0; r < m; r++) {
        for (int j = 0; j < 2; j++)
            sum[r][j] = (__m512)load_real_number(S + r * lds + j * VECTOR_LANES, n - j * VECTOR_LANES);
        to_unpacked(sum[r]);
    }
    for (int64_t row = 0; row < rows; row += 2) {
        const __m512i even = load_columns(z + row * ldz, n),
                      odd = row + 1 < rows ? load_columns(z + (row + 1) * ldz, n) : _mm512_setzero_si512(),
                      low = _mm512_unpacklo_epi16(even, odd), high = _mm512_unpackhi_epi16(even, odd);
        for (int r = 0; r < m; r++) {
            const uint32_t pair = u[row / 2 * SUM_RANKS + r];
            sum[r][0] = add_dots(sum[r][0], pair, low);
            sum[r][1] = add_dots(sum[r][1], pair, high);
        }
    }
    for (int r = 0; r < m; r++) {
        from_unpacked(sum[r]);
        for (int j = 0; j < 2; j++)
            store_real_number(S + r * lds + j * VECTOR_LANES, n - j * VECTOR_LANES, (num)sum[r][j]);
    }
}

/* Columns begin .. end - 1, a chunk of rows after the other: z is read in the order in which it stands in memory. */
static void sum_columns(float *S, int64_t lds, const act *u, int64_t ldu, const act *z, int64_t ldz, int64_t rows,
                        int64_t R, int64_t begin, int64_t end) {
    uint32_t chunk[SUM_PAIRS * SUM_RANKS];
    for (int64_t from = 0; from < rows; from += SUM_CHUNK)
        for (int64_t first = 0; first < R; first += SUM_RANKS) {
            const int64_t n = min64(SUM_CHUNK, rows - from), m = min64(SUM_RANKS, R - first);
            for (int64_t row = 0; row < n; row += 2)
                for (int64_t r = 0; r < m; r++) {
                    const act *at = u + (from + row) * ldu + first + r;
                    chunk[row / 2 * SUM_RANKS + r] = pair_of(at[0], row + 1 < n ? at[ldu] : 0);
                }
            for (int64_t c = begin; c < end; c += SUM_COLUMNS) {
                const act *zc = z + from * ldz + c;
                float *Sc = S + first * lds + c;
                const int64_t columns = min64(SUM_COLUMNS, end - c);
                if (m == SUM_RANKS)
                    sum_tile(Sc, lds, chunk, zc, ldz, n, columns, SUM_RANKS);
                else
                    for (int r = 0; r < m; r++) sum_tile(Sc + r * lds, lds, chunk + r, zc, ldz, n, columns, 1);
            }
        }
}

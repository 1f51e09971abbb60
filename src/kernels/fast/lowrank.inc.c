/* The adapter's products whose one side is its small rank: limited by memory and by what a library spends on each tile,
 * so they are ours. Where the processor has dot products of bf16 they are lowrank_dot.inc.c's, else vectors of floats
 * keep the sums of a tile in registers. */

#if FAST_DOT

#include "kernels/fast/lowrank_dot.inc.c"

#else

/* ---- y += u F ---- */

enum { ADD_ROWS = 4, ADD_VECTORS = 4, MAX_RANK = 1024 };

/* m rows, n vectors; u [m,R] floats. */
static inline __attribute__((always_inline)) void add_tile(act *y, int64_t ldy, const float *u, const float *F,
                                                           int64_t ldf, int64_t R, int m, int n) {
    floats sum[ADD_ROWS][ADD_VECTORS];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) sum[i][j] = load_act(y + i * ldy + j * VECTOR_LANES);
    for (int64_t r = 0; r < R; r++)
        for (int j = 0; j < n; j++) {
            const floats f = load_floats(F + r * ldf + j * VECTOR_LANES);
            for (int i = 0; i < m; i++) sum[i][j] += u[i * R + r] * f;
        }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) store_act(y + i * ldy + j * VECTOR_LANES, sum[i][j]);
}

static void add_rows(act *y, int64_t ldy, const float *u, const float *F, int64_t ldf, int64_t C, int64_t R, int m) {
    int64_t c = 0;
    for (; c + ADD_VECTORS * VECTOR_LANES <= C; c += ADD_VECTORS * VECTOR_LANES) {
        if (m == ADD_ROWS)
            add_tile(y + c, ldy, u, F + c, ldf, R, ADD_ROWS, ADD_VECTORS);
        else
            for (int i = 0; i < m; i++) add_tile(y + i * ldy + c, ldy, u + i * R, F + c, ldf, R, 1, ADD_VECTORS);
    }
    for (; c + VECTOR_LANES <= C; c += VECTOR_LANES)
        for (int i = 0; i < m; i++) add_tile(y + i * ldy + c, ldy, u + i * R, F + c, ldf, R, 1, 1);
    for (int i = 0; i < m; i++)
        for (int64_t rest = c; rest < C; rest++) {
            float sum = LD(y[i * ldy + rest]);
            for (int64_t r = 0; r < R; r++) sum += u[i * R + r] * F[r * ldf + rest];
            y[i * ldy + rest] = ST(sum);
        }
}

static void low_rank_add(void *y_, int64_t ldy, const void *u_, int64_t ldu, const void *F, int64_t ldf, int64_t rows,
                         int64_t C, int64_t R) {
    act *y = y_;
    const act *u = u_;
    PARALLEL(rows * C * R)
    for (int64_t i = 0; i < rows; i += ADD_ROWS) {
        float widened[ADD_ROWS * MAX_RANK];
        const int m = (int)min64(ADD_ROWS, rows - i);
        for (int64_t from = 0; from < R; from += MAX_RANK) { /* once, but for ranks that are not small */
            const int64_t n = min64(MAX_RANK, R - from);
            for (int row = 0; row < m; row++)
                for (int64_t r = 0; r < n; r++) widened[row * n + r] = LD(u[(i + row) * ldu + from + r]);
            add_rows(y + i * ldy, ldy, widened, (const float *)F + from * ldf, ldf, C, n, m);
        }
    }
}

/* ---- S = u^T z ---- */

enum { SUM_RANKS = 8, SUM_VECTORS = 3, SUM_COLUMNS = SUM_VECTORS * VECTOR_LANES, SUM_CHUNK = 32 };

/* The first m ranks and `vectors` vectors of S += u^T z over a chunk's rows; u [n, SUM_RANKS] floats. */
static inline __attribute__((always_inline)) void sum_tile(float *S, int64_t lds, const float *u, const act *z,
                                                           int64_t ldz, int64_t n, int m, int vectors) {
    floats sum[SUM_RANKS][SUM_VECTORS];
    for (int r = 0; r < SUM_RANKS; r++)
        for (int j = 0; j < vectors; j++) sum[r][j] = r < m ? load_floats(S + r * lds + j * VECTOR_LANES) : (floats){0};
    for (int64_t row = 0; row < n; row++) {
        floats x[SUM_VECTORS];
        for (int j = 0; j < vectors; j++) x[j] = load_act(z + row * ldz + j * VECTOR_LANES);
        for (int r = 0; r < SUM_RANKS; r++)
            for (int j = 0; j < vectors; j++) sum[r][j] += u[row * SUM_RANKS + r] * x[j];
    }
    for (int r = 0; r < m; r++)
        for (int j = 0; j < vectors; j++) memcpy(S + r * lds + j * VECTOR_LANES, &sum[r][j], sizeof sum[r][j]);
}

static void sum_rest(float *S, int64_t lds, const float *u, const act *z, int64_t ldz, int64_t n, int m, int64_t C) {
    for (int r = 0; r < m; r++)
        for (int64_t row = 0; row < n; row++)
            for (int64_t c = 0; c < C; c++) S[r * lds + c] += u[row * SUM_RANKS + r] * LD(z[row * ldz + c]);
}

/* Columns begin .. end - 1, a chunk of rows after the other: z is read in the order in which it stands in memory. */
static void sum_columns(float *S, int64_t lds, const act *u, int64_t ldu, const act *z, int64_t ldz, int64_t rows,
                        int64_t R, int64_t begin, int64_t end) {
    float chunk[SUM_CHUNK * SUM_RANKS];
    for (int64_t from = 0; from < rows; from += SUM_CHUNK)
        for (int64_t first = 0; first < R; first += SUM_RANKS) {
            const int64_t n = min64(SUM_CHUNK, rows - from);
            const int m = (int)min64(SUM_RANKS, R - first);
            for (int64_t row = 0; row < n; row++)
                for (int r = 0; r < SUM_RANKS; r++)
                    chunk[row * SUM_RANKS + r] = r < m ? LD(u[(from + row) * ldu + first + r]) : 0;
            int64_t c = begin;
            for (; c + SUM_COLUMNS <= end; c += SUM_COLUMNS)
                sum_tile(S + first * lds + c, lds, chunk, z + from * ldz + c, ldz, n, m, SUM_VECTORS);
            for (; c + VECTOR_LANES <= end; c += VECTOR_LANES)
                sum_tile(S + first * lds + c, lds, chunk, z + from * ldz + c, ldz, n, m, 1);
            if (c < end) sum_rest(S + first * lds + c, lds, chunk, z + from * ldz + c, ldz, n, m, end - c);
        }
}

#endif

/* Threads take columns, so that a sum's order depends on nothing. Above a rank of SUM_OURS the library's
 * products of bf16 are faster: they outweigh what it spends on tiles. */
enum { SUM_OURS = FAST_DOT ? 32 : 16 };

static bool low_rank_sum(void *S_, int64_t lds, bool add, const void *u, int64_t ldu, const void *z, int64_t ldz,
                         int64_t rows, int64_t R, int64_t C) {
    float *S = S_;
    if (FAST_BF16 && by_onednn() && R > SUM_OURS)
        return gemm_real(true, false, R, C, rows, u, ldu, z, ldz, add, S_, lds);
    const int64_t tiles = (C + VECTOR_LANES - 1) / VECTOR_LANES, pieces = min64(tiles, lf_threads());
    PARALLEL(rows * R * C)
    for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t begin = tiles * piece / pieces * VECTOR_LANES,
                      end = min64(tiles * (piece + 1) / pieces * VECTOR_LANES, C);
        for (int64_t r = 0; r < R && !add; r++) memset(S + r * lds + begin, 0, (size_t)(end - begin) * sizeof *S);
        sum_columns(S, lds, u, ldu, z, ldz, rows, R, begin, end);
    }
    return true;
}

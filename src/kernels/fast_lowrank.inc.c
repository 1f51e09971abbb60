/* The adapter's products whose one side is its small rank: limited by memory and by what a library spends on each tile, so
 * they are ours. Vectors of the compiler's own kind keep the sums of a tile in registers. */

enum { VECTOR_LANES = FAST_VECTOR / 4 };
typedef float floats __attribute__((vector_size(FAST_VECTOR)));
typedef uint32_t words __attribute__((vector_size(FAST_VECTOR)));
typedef uint16_t halves __attribute__((vector_size(FAST_VECTOR / 2)));

#if FAST_BF16
static inline floats load_act(const act *p) {
    halves h;
    memcpy(&h, p, sizeof h);
    return (floats)(__builtin_convertvector(h, words) << 16);
}

static inline void store_act(act *p, floats x) { /* as float_to_bf16 */
    const words u = (words)x, rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
    const words is_nan = (words)((u & 0x7fffffffu) > 0x7f800000u);
    const halves h = __builtin_convertvector((rounded & ~is_nan) | (nan & is_nan), halves);
    memcpy(p, &h, sizeof h);
}
#else
static inline floats load_act(const act *p) {
    floats x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void store_act(act *p, floats x) { memcpy(p, &x, sizeof x); }
#endif

static inline floats load_floats(const float *p) {
    floats x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* ---- y += u F ---- */

enum { ADD_ROWS = 4, ADD_VECTORS = 4, MAX_RANK = 256 };

/* m rows, ADD_VECTORS vectors; u [m,R] floats. */
static inline __attribute__((always_inline)) void add_tile(act *y, int64_t ldy, const float *u, const float *F, int64_t ldf, int64_t R, int m) {
    floats sum[ADD_ROWS][ADD_VECTORS];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < ADD_VECTORS; j++) sum[i][j] = load_act(y + i * ldy + j * VECTOR_LANES);
    for (int64_t r = 0; r < R; r++)
        for (int j = 0; j < ADD_VECTORS; j++) {
            const floats f = load_floats(F + r * ldf + j * VECTOR_LANES);
            for (int i = 0; i < m; i++) sum[i][j] += u[i * R + r] * f;
        }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < ADD_VECTORS; j++) store_act(y + i * ldy + j * VECTOR_LANES, sum[i][j]);
}

static void add_rows(act *y, int64_t ldy, const float *u, const float *F, int64_t ldf, int64_t C, int64_t R, int m) {
    int64_t c = 0;
    for (; c + ADD_VECTORS * VECTOR_LANES <= C; c += ADD_VECTORS * VECTOR_LANES) {
        if (m == ADD_ROWS) add_tile(y + c, ldy, u, F + c, ldf, R, ADD_ROWS);
        else
            for (int i = 0; i < m; i++) add_tile(y + i * ldy + c, ldy, u + i * R, F + c, ldf, R, 1);
    }
    for (int i = 0; i < m; i++)
        for (int64_t rest = c; rest < C; rest++) {
            float sum = LD(y[i * ldy + rest]);
            for (int64_t r = 0; r < R; r++) sum += u[i * R + r] * F[r * ldf + rest];
            y[i * ldy + rest] = ST(sum);
        }
}

static void low_rank_add(void *y_, int64_t ldy, const void *u_, int64_t ldu, const void *F, int64_t ldf, int64_t rows, int64_t C,
                         int64_t R) {
    act *y = y_;
    const act *u = u_;
    PARALLEL(rows * C * R)
    for (int64_t i = 0; i < rows; i += ADD_ROWS) {
        float widened[ADD_ROWS * MAX_RANK];
        const int m = (int)min64(ADD_ROWS, rows - i);
        for (int64_t from = 0; from < R; from += MAX_RANK) { /* once, for any rank that is small */
            const int64_t n = min64(MAX_RANK, R - from);
            for (int row = 0; row < m; row++)
                for (int64_t r = 0; r < n; r++) widened[row * n + r] = LD(u[(i + row) * ldu + from + r]);
            add_rows(y + i * ldy, ldy, widened, (const float *)F + from * ldf, ldf, C, n, m);
        }
    }
}

/* ---- S = u^T z ---- */

enum { SUM_RANKS = 8, SUM_VECTORS = 3, SUM_COLUMNS = SUM_VECTORS * VECTOR_LANES, SUM_CHUNK = 64 };

/* S [m, SUM_COLUMNS] += the chunk's u [n, SUM_RANKS] times z. */
static inline __attribute__((always_inline)) void sum_chunk(floats sum[SUM_RANKS][SUM_VECTORS], const float *u, const act *z, int64_t ldz, int64_t n) {
    for (int64_t row = 0; row < n; row++)
        for (int j = 0; j < SUM_VECTORS; j++) {
            const floats x = load_act(z + row * ldz + j * VECTOR_LANES);
            for (int r = 0; r < SUM_RANKS; r++) sum[r][j] += u[row * SUM_RANKS + r] * x;
        }
}

/* Columns of a full tile for the ranks r .. r+m-1. */
static void sum_tile(float *S, int64_t lds, bool add, const act *u, int64_t ldu, const act *z, int64_t ldz, int64_t rows, int m) {
    floats sum[SUM_RANKS][SUM_VECTORS];
    float chunk[SUM_CHUNK * SUM_RANKS];
    for (int r = 0; r < SUM_RANKS; r++)
        for (int j = 0; j < SUM_VECTORS; j++) sum[r][j] = add && r < m ? load_floats(S + r * lds + j * VECTOR_LANES) : (floats){0};
    for (int64_t from = 0; from < rows; from += SUM_CHUNK) {
        const int64_t n = min64(SUM_CHUNK, rows - from);
        for (int64_t row = 0; row < n; row++)
            for (int r = 0; r < SUM_RANKS; r++) chunk[row * SUM_RANKS + r] = r < m ? LD(u[(from + row) * ldu + r]) : 0;
        sum_chunk(sum, chunk, z + from * ldz, ldz, n);
    }
    for (int r = 0; r < m; r++)
        for (int j = 0; j < SUM_VECTORS; j++) memcpy(S + r * lds + j * VECTOR_LANES, &sum[r][j], sizeof sum[r][j]);
}

static void sum_rest(float *S, int64_t lds, bool add, const act *u, int64_t ldu, const act *z, int64_t ldz, int64_t rows, int64_t R, int64_t C) {
    for (int64_t r = 0; r < R; r++)
        for (int64_t c = 0; c < C; c++) {
            float sum = add ? S[r * lds + c] : 0;
            for (int64_t row = 0; row < rows; row++) sum += LD(u[row * ldu + r]) * LD(z[row * ldz + c]);
            S[r * lds + c] = sum;
        }
}

/* Threads take columns, so that a sum's order depends on nothing. */
static void low_rank_sum(void *S_, int64_t lds, bool add, const void *u_, int64_t ldu, const void *z_, int64_t ldz, int64_t rows,
                         int64_t R, int64_t C) {
    float *S = S_;
    const act *u = u_, *z = z_;
    PARALLEL(rows * R * C)
    for (int64_t c = 0; c < C; c += SUM_COLUMNS) {
        if (c + SUM_COLUMNS > C) {
            sum_rest(S + c, lds, add, u, ldu, z + c, ldz, rows, R, C - c);
            continue;
        }
        for (int64_t r = 0; r < R; r += SUM_RANKS)
            sum_tile(S + r * lds + c, lds, add, u + r, ldu, z + c, ldz, rows, (int)min64(SUM_RANKS, R - r));
    }
}

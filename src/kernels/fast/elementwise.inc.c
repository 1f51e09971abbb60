/* One pass over memory each. */

static void fill(void *y_, double value, int64_t n) {
    act *y = y_;
    const act a = ST((float)value);
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) y[i] = a;
}

static void to_f32(float *y, const void *x_, int64_t n) {
    const float *x = x_;
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) y[i] = x[i];
}

static void from_f32(void *y, const float *x, int64_t n) { to_f32(y, x, n); }

static void to_act(void *y_, bool add, const void *x_, int64_t n) {
    act *y = y_;
    const float *x = x_;
    if (add) {
        PARALLEL_SIMD(n)
        for (int64_t i = 0; i < n; i++) y[i] = ST(LD(y[i]) + x[i]);
    } else {
        PARALLEL_SIMD(n)
        for (int64_t i = 0; i < n; i++) y[i] = ST(x[i]);
    }
}

static void to_real(void *y_, bool add, const void *x_, int64_t n) {
    float *y = y_;
    const act *x = x_;
    if (add) {
        PARALLEL_SIMD(n)
        for (int64_t i = 0; i < n; i++) y[i] += LD(x[i]);
    } else {
        PARALLEL_SIMD(n)
        for (int64_t i = 0; i < n; i++) y[i] = LD(x[i]);
    }
}

static void add(void *y_, const void *a_, const void *b_, int64_t n) {
    act *y = y_;
    const act *a = a_, *b = b_;
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) y[i] = ST(LD(a[i]) + LD(b[i]));
}

static void axpy(void *y_, double alpha_, const void *x_, int64_t n) {
    act *y = y_;
    const act *x = x_;
    const float alpha = (float)alpha_;
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) y[i] = ST(LD(y[i]) + alpha * LD(x[i]));
}

static void bias(void *y_, int64_t ld, const void *b_, int64_t rows, int64_t C) {
    act *y = y_;
    const float *b = b_;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++)
        SIMD for (int64_t c = 0; c < C; c++) y[row * ld + c] = ST(LD(y[row * ld + c]) + b[c]);
}

/* Column sums are cut by columns, so that a sum's order does not depend on the threads and no partial buffers are
 * needed. A column's rows are added in blocks, which keeps the rounding of thousands of rows small. */
enum { COLUMNS = 512, ROWS = 64 };

static int64_t columns_per_piece(int64_t C) {
    const int64_t even = (C + lf_threads() - 1) / lf_threads(), width = (even + 15) / 16 * 16;
    return width < COLUMNS ? width : COLUMNS;
}

static void column_sums_piece(float *restrict db, const act *restrict dy, int64_t rows, int64_t stride, int64_t n) {
    float total[COLUMNS] = {0};
    for (int64_t begin = 0; begin < rows; begin += ROWS) {
        const int64_t end = min64(begin + ROWS, rows);
        float part[COLUMNS] = {0};
        for (int64_t row = begin; row < end; row++)
            SIMD for (int64_t c = 0; c < n; c++) part[c] += LD(dy[row * stride + c]);
        SIMD for (int64_t c = 0; c < n; c++) total[c] += part[c];
    }
    SIMD for (int64_t c = 0; c < n; c++) db[c] += total[c];
}

static void column_sums(void *db, const void *dy, int64_t ld, int64_t rows, int64_t C) {
    const int64_t width = columns_per_piece(C);
    PARALLEL(rows * C)
    for (int64_t c = 0; c < C; c += width)
        column_sums_piece((float *)db + c, (const act *)dy + c, rows, ld, min64(width, C - c));
}

/* Columns of dw; see column_sums. */
static void column_products_piece(float *restrict dw, const act *restrict dy, const act *restrict x, int64_t rows,
                                  int64_t C, int64_t n) {
    float total[COLUMNS] = {0};
    for (int64_t begin = 0; begin < rows; begin += ROWS) {
        const int64_t end = min64(begin + ROWS, rows);
        float part[COLUMNS] = {0};
        for (int64_t row = begin; row < end; row++)
            SIMD for (int64_t c = 0; c < n; c++) part[c] += LD(dy[row * C + c]) * LD(x[row * C + c]);
        SIMD for (int64_t c = 0; c < n; c++) total[c] += part[c];
    }
    SIMD for (int64_t c = 0; c < n; c++) dw[c] += total[c];
}

static void column_products(void *dw, const void *dy, const void *x, int64_t rows, int64_t C) {
    const int64_t width = columns_per_piece(C);
    PARALLEL(rows * C)
    for (int64_t c = 0; c < C; c += width)
        column_products_piece((float *)dw + c, (const act *)dy + c, (const act *)x + c, rows, C, min64(width, C - c));
}

static void scale_channels(act *y, bool add, const act *x, const float *restrict w, int64_t C) {
    if (add) {
        SIMD for (int64_t c = 0; c < C; c++) y[c] = ST(LD(y[c]) + LD(x[c]) * w[c]);
    } else {
        SIMD for (int64_t c = 0; c < C; c++) y[c] = ST(LD(x[c]) * w[c]);
    }
}

static void scale_columns(void *y, bool add, const void *x, const void *w, int64_t rows, int64_t C) {
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++) scale_channels((act *)y + row * C, add, (const act *)x + row * C, w, C);
}

/* In double: a square of a float neither overflows nor vanishes. A fixed number of pieces makes the sum independent of
 * the threads. */
static double sum_squares(const void *x_, int64_t n) {
    const float *x = x_;
    double part[PIECES], sum = 0;
    PARALLEL(n)
    for (int64_t piece = 0; piece < PIECES; piece++) {
        const int64_t begin = piece_begin(n, piece), end = piece_begin(n, piece + 1);
        double s = 0;
        LF_PRAGMA(omp simd reduction(+ : s))
        for (int64_t i = begin; i < end; i++) s += (double)x[i] * (double)x[i];
        part[piece] = s;
    }
    for (int piece = 0; piece < PIECES; piece++) sum += part[piece];
    return sum;
}

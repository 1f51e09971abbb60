/* Rotary positions and embeddings of language models. */

static void copy_row(act *restrict y, bool add, const act *restrict x, int64_t n) {
    if (add) {
        SIMD for (int64_t i = 0; i < n; i++) y[i] = ST(LD(y[i]) + LD(x[i]));
    } else {
        memcpy(y, x, (size_t)n * sizeof *y);
    }
}

static void copy_columns(void *y_, bool add, const void *x_, int64_t ld, int64_t rows, int64_t C) {
    act *y = y_;
    const act *x = x_;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++) copy_row(y + row * ld, add, x + row * ld, C);
}

static void copy_block(void *y_, int64_t ldy, bool add, const void *x_, int64_t ldx, int64_t rows, int64_t C) {
    act *y = y_;
    const act *x = x_;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++) copy_row(y + row * ldy, add, x + row * ldx, C);
}

/* ---- rotary positions ---- */

/* sign: -1 turns back */
static void rope_head(act *restrict y, bool add, const act *restrict x, const float *restrict cosines,
                      const float *restrict sines, float sign, int64_t half) {
    act *restrict y2 = y + half;
    if (add) {
        SIMD for (int64_t i = 0; i < half; i++) {
            const float c = cosines[i], s = sign * sines[i], x1 = LD(x[i]), x2 = LD(x[half + i]);
            y[i] = ST(LD(y[i]) + (x1 * c - x2 * s));
            y2[i] = ST(LD(y2[i]) + (x2 * c + x1 * s));
        }
    } else {
        SIMD for (int64_t i = 0; i < half; i++) {
            const float c = cosines[i], s = sign * sines[i], x1 = LD(x[i]), x2 = LD(x[half + i]);
            y[i] = ST(x1 * c - x2 * s);
            y2[i] = ST(x2 * c + x1 * s);
        }
    }
}

static void rope(void *y_, bool add, const void *x_, const float *cosines, const float *sines, const int32_t *positions,
                 bool inverse, int64_t rows, int64_t heads, int64_t D, int64_t turned, int64_t ld) {
    act *y = y_;
    const act *x = x_;
    const int64_t half = turned / 2;
    PARALLEL(rows * heads * D)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t angle = positions[row] * half;
        for (int64_t h = 0; h < heads; h++) {
            const int64_t at = row * ld + h * D;
            rope_head(y + at, add, x + at, cosines + angle, sines + angle, inverse ? -1.0f : 1.0f, half);
            copy_row(y + at + turned, add, x + at + turned, D - turned);
        }
    }
}

/* ---- embeddings ---- */

static void gather_real_row(act *restrict y, bool add, const float *restrict x, int64_t n) {
    if (add) {
        SIMD for (int64_t i = 0; i < n; i++) y[i] = ST(LD(y[i]) + x[i]);
    } else {
        SIMD for (int64_t i = 0; i < n; i++) y[i] = ST(x[i]);
    }
}

static void gather_rows(void *y_, bool add, const void *table, bool table_is_real, const int32_t *ids, int64_t rows,
                        int64_t C) {
    act *y = y_;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++) {
        if (table_is_real)
            gather_real_row(y + row * C, add, (const float *)table + ids[row] * C, C);
        else
            copy_row(y + row * C, add, (const act *)table + ids[row] * C, C);
    }
}

/* Each thread has columns of its own and takes the rows in their order: an id that comes again is no race, and sums do
 * not depend on the threads. */
static void scatter_rows(void *dtable_, const void *dy_, const int32_t *ids, int64_t rows, int64_t C) {
    float *dtable = dtable_;
    const act *dy = dy_;
    const int64_t width = columns_per_piece(C);
    PARALLEL(rows * C)
    for (int64_t c = 0; c < C; c += width) {
        const int64_t n = min64(width, C - c);
        for (int64_t row = 0; row < rows; row++) {
            float *restrict to = dtable + ids[row] * C + c;
            const act *restrict from = dy + row * C + c;
            SIMD for (int64_t i = 0; i < n; i++) to[i] += LD(from[i]);
        }
    }
}

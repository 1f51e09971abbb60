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
        EACH_NUMBER(i, half) {
            const int64_t n = half - i;
            const num c = load_real_number(cosines + i, n), s = sign * load_real_number(sines + i, n),
                      x1 = load_number(x + i, n), x2 = load_number(x + half + i, n);
            store_number(y + i, n, load_number(y + i, n) + (x1 * c - x2 * s));
            store_number(y2 + i, n, load_number(y2 + i, n) + (x2 * c + x1 * s));
        }
    } else {
        EACH_NUMBER(i, half) {
            const int64_t n = half - i;
            const num c = load_real_number(cosines + i, n), s = sign * load_real_number(sines + i, n),
                      x1 = load_number(x + i, n), x2 = load_number(x + half + i, n);
            store_number(y + i, n, x1 * c - x2 * s);
            store_number(y2 + i, n, x2 * c + x1 * s);
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

static void gather_columns(void *u_, const void *A_, const void *A0_, const int32_t *ids, int64_t rows, int64_t r,
                           int64_t V, double scaling) {
    act *u = u_;
    const float *A = A_, *A0 = A0_, scale = (float)scaling;
    const int64_t R = A0 ? 2 * r : r;
    PARALLEL(rows * R)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < r; k++) {
            const int64_t at = k * V + ids[row];
            u[row * R + k] = ST(scale * A[at]);
            if (A0) u[row * R + r + k] = ST(scale * (A[at] - A0[at]));
        }
}

/* Each thread has rows of dA of its own and takes the ids in their order: no race, and no sum depends on the threads.
 */
static void scatter_columns(void *dA_, const void *v_, const int32_t *ids, int32_t padding, int64_t rows, int64_t r,
                            int64_t parts, int64_t V) {
    float *dA = dA_;
    const act *v = v_;
    PARALLEL(rows * r * parts)
    for (int64_t k = 0; k < r; k++)
        for (int64_t row = 0; row < rows; row++) {
            if (ids[row] == padding) continue;
            for (int64_t part = 0; part < parts; part++) dA[k * V + ids[row]] += LD(v[(row * parts + part) * r + k]);
        }
}

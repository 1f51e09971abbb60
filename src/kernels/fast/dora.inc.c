/* DoRA: norms of the rows of an adapted weight, and columns scaled by magnitudes over norms. */

static void row_norms(void *norm, const void *squares, const void *B_, const void *P, int64_t ldp, const void *G_,
                      int64_t out, int64_t r, double scaling) {
    const float *G = G_;
    PARALLEL(out * r * r)
    for (int64_t o = 0; o < out; o++) {
        const float *B = (const float *)B_ + o * r;
        double cross = 0, square = 0;
        for (int64_t k = 0; k < r; k++) {
            double of_row = 0;
            for (int64_t l = 0; l < r; l++) of_row += (double)B[l] * (double)G[k * r + l];
            cross += (double)B[k] * (double)((const float *)P)[k * ldp + o];
            square += (double)B[k] * of_row;
        }
        const double sum = (double)((const float *)squares)[o] + 2 * scaling * cross + scaling * scaling * square;
        ((float *)norm)[o] = (float)sqrt(sum < 0 ? 0 : sum);
    }
}

static void apply_magnitudes(void *y_, const void *z_, const void *m_, const void *norm_, const void *b_, int64_t rows,
                             int64_t C) {
    act *y = y_;
    const act *z = z_;
    const float *m = m_, *norm = norm_, *b = b_;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++) {
        act *to = y + row * C;
        const act *from = z + row * C;
        if (b) {
            SIMD for (int64_t c = 0; c < C; c++) to[c] = ST(LD(from[c]) * (m[c] / norm[c]) + b[c]);
        } else {
            SIMD for (int64_t c = 0; c < C; c++) to[c] = ST(LD(from[c]) * (m[c] / norm[c]));
        }
    }
}

/* n columns, cut as those of column_sums. */
static void magnitude_gradients(float *restrict dm, const act *restrict dy, const act *restrict z,
                                const float *restrict norm, int64_t rows, int64_t stride, int64_t n) {
    float total[COLUMNS] = {0};
    for (int64_t begin = 0; begin < rows; begin += ROWS) {
        const int64_t end = min64(begin + ROWS, rows);
        float part[COLUMNS] = {0};
        for (int64_t row = begin; row < end; row++)
            SIMD for (int64_t c = 0; c < n; c++) part[c] += LD(dy[row * stride + c]) * LD(z[row * stride + c]);
        SIMD for (int64_t c = 0; c < n; c++) total[c] += part[c];
    }
    SIMD for (int64_t c = 0; c < n; c++) dm[c] += total[c] / norm[c];
}

static void apply_magnitudes_backward(void *dz_, bool add, void *dm, const void *dy_, const void *z_, const void *m_,
                                      const void *norm_, int64_t rows, int64_t C) {
    act *dz = dz_;
    const act *dy = dy_, *z = z_;
    const float *m = m_, *norm = norm_;
    const int64_t width = columns_per_piece(C);
    if (dm) {
        PARALLEL(rows * C)
        for (int64_t c = 0; c < C; c += width)
            magnitude_gradients((float *)dm + c, dy + c, z + c, norm + c, rows, C, min64(width, C - c));
    }
    if (!dz) return;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++) {
        act *to = dz + row * C;
        const act *from = dy + row * C;
        if (add) {
            SIMD for (int64_t c = 0; c < C; c++) to[c] = ST(LD(to[c]) + LD(from[c]) * (m[c] / norm[c]));
        } else {
            SIMD for (int64_t c = 0; c < C; c++) to[c] = ST(LD(from[c]) * (m[c] / norm[c]));
        }
    }
}

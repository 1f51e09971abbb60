/* Layer norm. */

/* The mean is taken out before squaring, and its own rounding is corrected by the sum of what is left. */
static void layernorm_row(act *restrict y, float *mean, float *rstd, const act *restrict x, const float *restrict w,
                          const float *restrict b, int64_t C, double epsilon) {
    float sum = 0, rest = 0, squares = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t c = 0; c < C; c++) sum += LD(x[c]);
    const float rough = sum / (float)C;
    LF_PRAGMA(omp simd reduction(+ : rest, squares))
    for (int64_t c = 0; c < C; c++) {
        const float n = LD(x[c]) - rough;
        rest += n;
        squares += n * n;
    }
    /* A variance rounded below zero is zero; NaN stays NaN. */
    const double shift = (double)rest / (double)C, variance = (double)squares / (double)C - shift * shift;
    const float s = (float)shift, r = (float)(1 / sqrt((variance > 0 ? variance : variance * 0) + epsilon));
    EACH_NUMBER(c, C)
    store_number(y + c, C - c,
                 (load_number(x + c, C - c) - rough - s) * r * load_real_number(w + c, C - c) +
                     load_real_number(b + c, C - c));
    *mean = rough + s;
    *rstd = r;
}

static void layernorm(void *y_, void *mean_, void *rstd_, const void *x_, const void *w, const void *b, int64_t rows,
                      int64_t C, double epsilon) {
    act *y = y_;
    float *mean = mean_, *rstd = rstd_;
    const act *x = x_;
    PARALLEL(rows * C)
    for (int64_t row = 0; row < rows; row++)
        layernorm_row(y + row * C, mean + row, rstd + row, x + row * C, w, b, C, epsilon);
}

/* With n = (x - mean) rstd and g = dy w: dx = rstd (g - mean(g) - n mean(g n)). */
static void layernorm_backward_row(act *restrict dx, bool add, const act *restrict dy, const act *restrict x,
                                   float mean, float rstd, const float *restrict w, int64_t C) {
    float sum_g = 0, sum_gn = 0;
    LF_PRAGMA(omp simd reduction(+ : sum_g, sum_gn))
    for (int64_t c = 0; c < C; c++) {
        const float g = LD(dy[c]) * w[c];
        sum_g += g;
        sum_gn += g * ((LD(x[c]) - mean) * rstd);
    }
    const float mean_g = sum_g / (float)C, mean_gn = sum_gn / (float)C;
    if (add) {
        EACH_NUMBER(c, C)
        store_number(dx + c, C - c,
                     load_number(dx + c, C - c) +
                         rstd * (load_number(dy + c, C - c) * load_real_number(w + c, C - c) - mean_g -
                                 (load_number(x + c, C - c) - mean) * rstd * mean_gn));
    } else {
        EACH_NUMBER(c, C)
        store_number(dx + c, C - c,
                     rstd * (load_number(dy + c, C - c) * load_real_number(w + c, C - c) - mean_g -
                             (load_number(x + c, C - c) - mean) * rstd * mean_gn));
    }
}

/* Columns of dw and db; see column_sums. */
static void layernorm_weights_piece(float *restrict dw, float *restrict db, const act *restrict dy,
                                    const act *restrict x, const float *restrict mean, const float *restrict rstd,
                                    int64_t rows, int64_t stride, int64_t n) {
    float total_w[COLUMNS] = {0}, total_b[COLUMNS] = {0};
    for (int64_t begin = 0; begin < rows; begin += ROWS) {
        const int64_t end = min64(begin + ROWS, rows);
        float part_w[COLUMNS] = {0}, part_b[COLUMNS] = {0};
        for (int64_t row = begin; row < end; row++) {
            const float m = mean[row], r = rstd[row];
            SIMD for (int64_t c = 0; c < n; c++) {
                const float d = LD(dy[row * stride + c]);
                part_w[c] += d * ((LD(x[row * stride + c]) - m) * r);
                part_b[c] += d;
            }
        }
        SIMD for (int64_t c = 0; c < n; c++) {
            total_w[c] += part_w[c];
            total_b[c] += part_b[c];
        }
    }
    for (int64_t c = 0; dw && c < n; c++) dw[c] += total_w[c];
    for (int64_t c = 0; db && c < n; c++) db[c] += total_b[c];
}

static void layernorm_backward(void *dx_, bool add, void *dw_, void *db_, const void *dy_, const void *x_,
                               const void *mean_, const void *rstd_, const void *w, int64_t rows, int64_t C) {
    act *dx = dx_;
    float *dw = dw_, *db = db_;
    const act *dy = dy_, *x = x_;
    const float *mean = mean_, *rstd = rstd_;
    if (dx) {
        PARALLEL(rows * C)
        for (int64_t row = 0; row < rows; row++)
            layernorm_backward_row(dx + row * C, add, dy + row * C, x + row * C, mean[row], rstd[row], w, C);
    }
    if (!dw && !db) return;
    const int64_t width = columns_per_piece(C);
    PARALLEL(rows * C)
    for (int64_t c = 0; c < C; c += width)
        layernorm_weights_piece(dw ? dw + c : NULL, db ? db + c : NULL, dy + c, x + c, mean, rstd, rows, C,
                                min64(width, C - c));
}

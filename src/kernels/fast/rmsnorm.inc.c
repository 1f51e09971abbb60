/* RMS norm, of rows or of the heads in them. */

static void rmsnorm_group(act *restrict y, float *rstd, const act *restrict x, const float *restrict w, int64_t C,
                          double epsilon) {
    float squares = 0;
    LF_PRAGMA(omp simd reduction(+ : squares))
    for (int64_t c = 0; c < C; c++) squares += LD(x[c]) * LD(x[c]);
    const float r = (float)(1 / sqrt((double)squares / (double)C + epsilon));
    EACH_NUMBER(c, C) store_number(y + c, C - c, load_number(x + c, C - c) * r * load_real_number(w + c, C - c));
    *rstd = r;
}

static void rmsnorm(void *y_, void *rstd_, const void *x_, const void *w, int64_t rows, int64_t groups, int64_t C,
                    int64_t ld, double epsilon) {
    act *y = y_;
    float *rstd = rstd_;
    const act *x = x_;
    PARALLEL(rows * groups * C)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < groups; i++)
            rmsnorm_group(y + row * ld + i * C, rstd + row * groups + i, x + row * ld + i * C, w, C, epsilon);
}

/* With n = x rstd and g = dy w: dx = rstd (g - n mean(g n)). */
static void rmsnorm_backward_group(act *restrict dx, bool add, const act *restrict dy, const act *restrict x,
                                   float rstd, const float *restrict w, int64_t C) {
    float sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t c = 0; c < C; c++) sum += LD(dy[c]) * w[c] * (LD(x[c]) * rstd);
    const float mean = sum / (float)C;
    if (add) {
        EACH_NUMBER(c, C)
        store_number(dx + c, C - c,
                     load_number(dx + c, C - c) + rstd * (load_number(dy + c, C - c) * load_real_number(w + c, C - c) -
                                                          load_number(x + c, C - c) * rstd * mean));
    } else {
        EACH_NUMBER(c, C)
        store_number(dx + c, C - c,
                     rstd * (load_number(dy + c, C - c) * load_real_number(w + c, C - c) -
                             load_number(x + c, C - c) * rstd * mean));
    }
}

/* Columns of dw; see column_sums. A group counts as a row. */
static void rmsnorm_weights_piece(float *restrict dw, const act *restrict dy, const act *restrict x,
                                  const float *restrict rstd, int64_t rows, int64_t groups, int64_t C, int64_t ld,
                                  int64_t n) {
    float total[COLUMNS] = {0};
    for (int64_t begin = 0; begin < rows * groups; begin += ROWS) {
        const int64_t end = min64(begin + ROWS, rows * groups);
        float part[COLUMNS] = {0};
        for (int64_t i = begin; i < end; i++) {
            const int64_t at = i / groups * ld + i % groups * C;
            const float r = rstd[i];
            SIMD for (int64_t c = 0; c < n; c++) part[c] += LD(dy[at + c]) * (LD(x[at + c]) * r);
        }
        SIMD for (int64_t c = 0; c < n; c++) total[c] += part[c];
    }
    SIMD for (int64_t c = 0; c < n; c++) dw[c] += total[c];
}

static void rmsnorm_backward(void *dx_, bool add, void *dw_, const void *dy_, const void *x_, const void *rstd_,
                             const void *w, int64_t rows, int64_t groups, int64_t C, int64_t ld) {
    act *dx = dx_;
    float *dw = dw_;
    const act *dy = dy_, *x = x_;
    const float *rstd = rstd_;
    if (dx) {
        PARALLEL(rows * groups * C)
        for (int64_t row = 0; row < rows; row++)
            for (int64_t i = 0; i < groups; i++) {
                const int64_t at = row * ld + i * C;
                rmsnorm_backward_group(dx + at, add, dy + at, x + at, rstd[row * groups + i], w, C);
            }
    }
    if (!dw) return;
    const int64_t width = columns_per_piece(C);
    PARALLEL(rows * groups * C)
    for (int64_t c = 0; c < C; c += width)
        rmsnorm_weights_piece(dw + c, dy + c, x + c, rstd, rows, groups, C, ld, min64(width, C - c));
}

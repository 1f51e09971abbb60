/* Optimisers. */

static void average(void *a_, const void *x_, int64_t n, double keep) {
    float *a = a_;
    const float *x = x_;
    const float old = (float)keep, new = (float)(1 - keep);
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) a[i] = old * a[i] + new *x[i];
}

static void adamw(void *p_, void *m_, void *v_, const void *g_, int64_t n, const lf_adamw_step *s) {
    float *p = p_, *m = m_, *v = v_;
    const float *g = g_;
    const float scale = (float)s->gradient_scale, epsilon = (float)s->epsilon;
    const float keep_m = (float)s->beta1, take_m = (float)(1 - s->beta1);
    const float keep_v = (float)s->beta2, take_v = (float)(1 - s->beta2), correct_v = (float)(1 / s->correction2);
    const float decay = (float)(s->learning_rate * s->weight_decay), rate = (float)(s->learning_rate / s->correction1);
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) {
        const float gi = scale * g[i];
        const float mi = keep_m * m[i] + take_m * gi, vi = keep_v * v[i] + take_v * gi * gi;
        m[i] = mi;
        v[i] = vi;
        p[i] -= decay * p[i] + rate * mi / (sqrtf(vi * correct_v) + epsilon);
    }
}

static void sgd(void *p_, void *buf_, const void *g_, int64_t n, double lr, double momentum, double weight_decay,
                double gradient_scale, bool first) {
    float *p = p_, *buf = buf_;
    const float *g = g_;
    const float rate = (float)lr, keep = (float)momentum, decay = (float)weight_decay, scale = (float)gradient_scale;
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) {
        const float gi = scale * g[i] + decay * p[i];
        const float old = first ? 0.0f : keep * buf[i];
        buf[i] = old + gi;
        p[i] -= rate * buf[i];
    }
}

static void lion(void *p_, void *m_, const void *g_, int64_t n, double lr, double beta1, double beta2,
                 double weight_decay, double gradient_scale) {
    float *p = p_, *m = m_;
    const float *g = g_;
    const float rate = (float)lr, decay = (float)(lr * weight_decay), scale = (float)gradient_scale;
    const float keep = (float)beta1, take = (float)(1 - beta1), keep_m = (float)beta2, take_m = (float)(1 - beta2);
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) {
        const float gi = scale * g[i], c = keep * m[i] + take * gi;
        p[i] -= decay * p[i] + rate * (c > 0 ? 1 : c < 0 ? -1 : c); /* NaN stays NaN */
        m[i] = keep_m * m[i] + take_m * gi;
    }
}

/* ---- Adafactor: the running means, the sum of the updates' squares, and the step, a matrix at a time ---- */

/* Columns whose sums stand on the stack of a thread. */
enum { ADAFACTOR_COLUMNS = 128 };

static void adafactor_rows(float *row, const float *g, int64_t rows, int64_t cols, const lf_adafactor_step *s) {
    PARALLEL(rows * cols)
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        LF_PRAGMA(omp simd reduction(+ : sum))
        for (int64_t j = 0; j < cols; j++) sum += (double)g[r * cols + j] * (double)g[r * cols + j];
        const double mean = s->gradient_scale * s->gradient_scale * sum / (double)cols + s->epsilon;
        row[r] = (float)(s->keep * (double)row[r] + (1 - s->keep) * mean);
    }
}

static void adafactor_columns(float *col, const float *g, int64_t rows, int64_t cols, const lf_adafactor_step *s) {
    PARALLEL(rows * cols)
    for (int64_t begin = 0; begin < cols; begin += ADAFACTOR_COLUMNS) {
        const int64_t n = min64(ADAFACTOR_COLUMNS, cols - begin);
        double sum[ADAFACTOR_COLUMNS] = {0};
        for (int64_t r = 0; r < rows; r++) SIMD for (int64_t j = 0; j < n; j++) {
                const double x = (double)g[r * cols + begin + j];
                sum[j] += x * x;
            }
        for (int64_t j = 0; j < n; j++) {
            const double mean = s->gradient_scale * s->gradient_scale * sum[j] / (double)rows + s->epsilon;
            col[begin + j] = (float)(s->keep * (double)col[begin + j] + (1 - s->keep) * mean);
        }
    }
}

static double adafactor_mean(const float *row, int64_t rows) {
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) sum += (double)row[r];
    return sum / (double)rows;
}

/* What a row's gradients are multiplied by, but for their columns' part. */
static inline float adafactor_factor(float row, double mean, const lf_adafactor_step *s) {
    return (float)(s->gradient_scale / sqrt((double)row / mean));
}

static double adafactor_squares(const float *row, const float *col, const float *g, int64_t rows, int64_t cols,
                                const lf_adafactor_step *s) {
    const double mean = adafactor_mean(row, rows);
    double part[PIECES], sum = 0;
    PARALLEL(rows * cols)
    for (int64_t piece = 0; piece < PIECES; piece++) {
        double of_piece = 0;
        for (int64_t r = piece_begin(rows, piece); r < piece_begin(rows, piece + 1); r++) {
            const float factor = adafactor_factor(row[r], mean, s);
            LF_PRAGMA(omp simd reduction(+ : of_piece))
            for (int64_t j = 0; j < cols; j++) {
                const float u = factor * g[r * cols + j] / sqrtf(col[j]);
                of_piece += (double)u * (double)u;
            }
        }
        part[piece] = of_piece;
    }
    for (int piece = 0; piece < PIECES; piece++) sum += part[piece];
    return sum;
}

/* The rate of all updates, scaled down where their root mean square is above the threshold. NaN stays NaN. */
static double adafactor_rate(double squares, int64_t n, const lf_adafactor_step *s) {
    const double size = sqrt(squares / (double)n) / s->threshold;
    return size <= 1 ? s->learning_rate : s->learning_rate / size;
}

static void adafactor(void *p_, void *row_, void *col_, const void *g_, int64_t matrices, int64_t rows, int64_t cols,
                      const lf_adafactor_step *s) {
    float *p = p_, *row = row_, *col = col_;
    const float *g = g_;
    const float decay = (float)(s->learning_rate * s->weight_decay);
    const int64_t size = rows * cols;
    double squares = 0;
    for (int64_t m = 0; m < matrices; m++) {
        adafactor_rows(row + m * rows, g + m * size, rows, cols, s);
        adafactor_columns(col + m * cols, g + m * size, rows, cols, s);
        squares += adafactor_squares(row + m * rows, col + m * cols, g + m * size, rows, cols, s);
    }
    const float rate = (float)adafactor_rate(squares, matrices * size, s);
    for (int64_t m = 0; m < matrices; m++) {
        const double mean = adafactor_mean(row + m * rows, rows);
        PARALLEL(size)
        for (int64_t r = 0; r < rows; r++) {
            const float factor = adafactor_factor(row[m * rows + r], mean, s);
            float *restrict pr = p + m * size + r * cols;
            const float *gr = g + m * size + r * cols, *c = col + m * cols;
            SIMD for (int64_t j = 0; j < cols; j++) pr[j] -= decay * pr[j] + rate * (factor * gr[j] / sqrtf(c[j]));
        }
    }
}

static void adafactor_vector(void *p_, void *v_, const void *g_, int64_t n, const lf_adafactor_step *s) {
    float *p = p_, *v = v_;
    const float *g = g_;
    const float scale = (float)s->gradient_scale, epsilon = (float)s->epsilon;
    const float keep = (float)s->keep, take = (float)(1 - s->keep), decay = (float)(s->learning_rate * s->weight_decay);
    double part[PIECES], squares = 0;
    PARALLEL(n)
    for (int64_t piece = 0; piece < PIECES; piece++) {
        double of_piece = 0;
        LF_PRAGMA(omp simd reduction(+ : of_piece))
        for (int64_t i = piece_begin(n, piece); i < piece_begin(n, piece + 1); i++) {
            const float gi = scale * g[i];
            v[i] = keep * v[i] + take * (gi * gi + epsilon);
            const float u = gi / sqrtf(v[i]);
            of_piece += (double)u * (double)u;
        }
        part[piece] = of_piece;
    }
    for (int piece = 0; piece < PIECES; piece++) squares += part[piece];
    const float rate = (float)adafactor_rate(squares, n, s);
    PARALLEL_SIMD(n)
    for (int64_t i = 0; i < n; i++) p[i] -= decay * p[i] + rate * (scale * g[i] / sqrtf(v[i]));
}

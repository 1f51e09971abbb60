/* Part of ref/body.inc.c: optimisers. */

static void average(void *a_, const void *x, int64_t n, double keep) {
    real *a = a_;
    for (int64_t i = 0; i < n; i++) a[i] = (real)(keep * a[i] + (1 - keep) * ((const real *)x)[i]);
}

static void adamw(void *p_, void *m_, void *v_, const void *g_, int64_t n, const lf_adamw_step *s) {
    real *p = p_, *m = m_, *v = v_;
    for (int64_t i = 0; i < n; i++) {
        const double g = s->gradient_scale * ((const real *)g_)[i];
        m[i] = (real)(s->beta1 * m[i] + (1 - s->beta1) * g);
        v[i] = (real)(s->beta2 * v[i] + (1 - s->beta2) * g * g);
        const double step = m[i] / s->correction1 / (sqrt(v[i] / s->correction2) + s->epsilon);
        p[i] = (real)(p[i] - s->learning_rate * (s->weight_decay * p[i] + step));
    }
}

static void sgd(void *p_, void *buf_, const void *g_, int64_t n, double lr, double momentum, double weight_decay,
                double gradient_scale, bool first) {
    real *p = p_, *buf = buf_;
    for (int64_t i = 0; i < n; i++) {
        const double g = gradient_scale * ((const real *)g_)[i] + weight_decay * p[i];
        buf[i] = (real)(first ? g : momentum * buf[i] + g);
        p[i] = (real)(p[i] - lr * buf[i]);
    }
}

static double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; } /* NaN stays NaN */

static void lion(void *p_, void *m_, const void *g_, int64_t n, double lr, double beta1, double beta2,
                 double weight_decay, double gradient_scale) {
    real *p = p_, *m = m_;
    for (int64_t i = 0; i < n; i++) {
        const double g = gradient_scale * ((const real *)g_)[i];
        p[i] = (real)(p[i] - lr * (weight_decay * p[i] + sign(beta1 * m[i] + (1 - beta1) * g)));
        m[i] = (real)(beta2 * m[i] + (1 - beta2) * g);
    }
}

/* ---- Adafactor: what an update of p[i] is, then its root mean square over all of them, then the step ---- */

/* A matrix, or with col NULL a vector with a mean of its own for each number. */
typedef struct adafactor_means {
    const real *row, *col, *g;
    int64_t rows, cols;
    double scale;   /* of g */
    double mean;    /* of row, of the matrix that was asked for last */
    int64_t matrix; /* which that was; -1: none yet */
} adafactor_means;

static double adafactor_update(adafactor_means *a, int64_t i) {
    const double g = a->scale * a->g[i];
    if (!a->col) return g / sqrt(a->row[i]);
    const int64_t matrix = i / (a->rows * a->cols), r = i / a->cols, c = i % a->cols;
    if (matrix != a->matrix) {
        a->mean = 0;
        for (int64_t j = 0; j < a->rows; j++) a->mean += a->row[matrix * a->rows + j] / (double)a->rows;
        a->matrix = matrix;
    }
    return g / sqrt(a->row[r] / a->mean) / sqrt(a->col[matrix * a->cols + c]);
}

static void adafactor_apply(real *p, adafactor_means *a, int64_t n, const lf_adafactor_step *s) {
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += pow(adafactor_update(a, i), 2);
    const double size = sqrt(squares / (double)n) / s->threshold, shrink = size > 1 ? 1 / size : size <= 1 ? 1 : size;
    for (int64_t i = 0; i < n; i++)
        p[i] = (real)(p[i] - s->learning_rate * (s->weight_decay * p[i] + shrink * adafactor_update(a, i)));
}

static void adafactor(void *p, void *row_, void *col_, const void *g_, int64_t matrices, int64_t rows, int64_t cols,
                      const lf_adafactor_step *s) {
    real *row = row_, *col = col_;
    const real *g = g_;
    for (int64_t i = 0; i < matrices * rows; i++) {
        double mean = 0;
        for (int64_t j = 0; j < cols; j++) mean += pow(s->gradient_scale * g[i * cols + j], 2) + s->epsilon;
        row[i] = (real)(s->keep * row[i] + (1 - s->keep) * mean / (double)cols);
    }
    for (int64_t i = 0; i < matrices * cols; i++) {
        const real *column = g + i / cols * rows * cols + i % cols;
        double mean = 0;
        for (int64_t j = 0; j < rows; j++) mean += pow(s->gradient_scale * column[j * cols], 2) + s->epsilon;
        col[i] = (real)(s->keep * col[i] + (1 - s->keep) * mean / (double)rows);
    }
    adafactor_apply(p, &(adafactor_means){row, col, g, rows, cols, s->gradient_scale, 0, -1}, matrices * rows * cols,
                    s);
}

static void adafactor_vector(void *p, void *v_, const void *g_, int64_t n, const lf_adafactor_step *s) {
    real *v = v_;
    const real *g = g_;
    for (int64_t i = 0; i < n; i++)
        v[i] = (real)(s->keep * v[i] + (1 - s->keep) * (pow(s->gradient_scale * g[i], 2) + s->epsilon));
    adafactor_apply(p, &(adafactor_means){.row = v, .g = g, .scale = s->gradient_scale}, n, s);
}

/* Part of ref/body.inc.c: what language models need. */

static void rmsnorm(void *y_, void *rstd_, const void *x_, const void *w_, int64_t rows, int64_t groups, int64_t C,
                    int64_t ld, double epsilon) {
    real *rstd = rstd_;
    const real *w = w_;
    for (int64_t i = 0; i < rows * groups; i++) {
        const int64_t at = i / groups * ld + i % groups * C;
        act *y = (act *)y_ + at;
        const act *x = (const act *)x_ + at;
        double squares = 0;
        for (int64_t c = 0; c < C; c++) squares += LD(x[c]) * LD(x[c]);
        const double r = 1 / sqrt(squares / (double)C + epsilon);
        for (int64_t c = 0; c < C; c++) y[c] = ST(LD(x[c]) * r * w[c]);
        rstd[i] = (real)r;
    }
}

/* With n = x rstd and g = dy w: dx = rstd (g - n mean(g n)). */
static void rmsnorm_backward(void *dx_, bool add, void *dw_, const void *dy_, const void *x_, const void *rstd_,
                             const void *w_, int64_t rows, int64_t groups, int64_t C, int64_t ld) {
    act *dx = dx_;
    real *dw = dw_;
    const act *dy = dy_, *x = x_;
    const real *rstd = rstd_, *w = w_;
    for (int64_t i = 0; dx && i < rows * groups; i++) {
        const int64_t at = i / groups * ld + i % groups * C;
        double sum = 0;
        for (int64_t c = 0; c < C; c++) sum += LD(dy[at + c]) * w[c] * LD(x[at + c]) * rstd[i];
        for (int64_t c = 0; c < C; c++)
            store(&dx[at + c], add, rstd[i] * (LD(dy[at + c]) * w[c] - LD(x[at + c]) * rstd[i] * sum / (double)C));
    }
    for (int64_t c = 0; dw && c < C; c++) {
        double sum = 0;
        for (int64_t i = 0; i < rows * groups; i++) {
            const int64_t at = i / groups * ld + i % groups * C + c;
            sum += LD(dy[at]) * LD(x[at]) * rstd[i];
        }
        store_real(&dw[c], true, sum);
    }
}

static void copy_columns(void *y, bool add, const void *x, int64_t ld, int64_t rows, int64_t C) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < C; c++) store((act *)y + row * ld + c, add, LD(((const act *)x)[row * ld + c]));
}

static void rope(void *y_, bool add, const void *x_, const float *cosines, const float *sines, const int32_t *positions,
                 bool inverse, int64_t rows, int64_t heads, int64_t D, int64_t turned, int64_t ld) {
    const int64_t half = turned / 2;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t h = 0; h < heads; h++) {
            for (int64_t i = 0; i < half; i++) {
                const int64_t first = row * ld + h * D + i, angle = positions[row] * half + i;
                const double c = (double)cosines[angle], s = inverse ? -(double)sines[angle] : (double)sines[angle];
                const double x1 = LD(((const act *)x_)[first]), x2 = LD(((const act *)x_)[first + half]);
                store((act *)y_ + first, add, x1 * c - x2 * s);
                store((act *)y_ + first + half, add, x2 * c + x1 * s);
            }
            for (int64_t i = row * ld + h * D + turned; i < row * ld + (h + 1) * D; i++)
                store((act *)y_ + i, add, LD(((const act *)x_)[i]));
        }
}

static void gather_rows(void *y, bool add, const void *table, bool table_is_real, const int32_t *ids, int64_t rows,
                        int64_t C) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < C; c++) {
            const int64_t at = ids[row] * C + c;
            store((act *)y + row * C + c, add,
                  table_is_real ? (double)((const real *)table)[at] : LD(((const act *)table)[at]));
        }
}

static void scatter_rows(void *dtable, const void *dy, const int32_t *ids, int64_t rows, int64_t C) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t c = 0; c < C; c++)
            store_real((real *)dtable + ids[row] * C + c, true, LD(((const act *)dy)[row * C + c]));
}

static void gather_columns(void *u, const void *A_, const void *A0_, const int32_t *ids, int64_t rows, int64_t r,
                           int64_t V, double scaling) {
    const real *A = A_, *A0 = A0_;
    const int64_t R = A0 ? 2 * r : r;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < r; k++) {
            const int64_t at = k * V + ids[row];
            store((act *)u + row * R + k, false, scaling * A[at]);
            if (A0) store((act *)u + row * R + r + k, false, scaling * (A[at] - A0[at]));
        }
}

static void scatter_columns(void *dA, const void *v, const int32_t *ids, int32_t padding, int64_t rows, int64_t r,
                            int64_t parts, int64_t V) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; ids[row] != padding && k < parts * r; k++)
            store_real((real *)dA + k % r * V + ids[row], true, LD(((const act *)v)[row * parts * r + k]));
}

/* ---- loss over a vocabulary: logits are real ---- */

static void lm_logits(void *logits, const void *bias, int64_t rows, int64_t V, double scale, double softcap) {
    for (int64_t i = 0; i < rows * V; i++) {
        real *x = (real *)logits + i;
        const double z = scale * *x + (bias ? (double)((const real *)bias)[i % V] : 0);
        *x = (real)(softcap > 0 ? softcap * tanh(z / softcap) : z);
    }
}

static void lm_logits_backward(void *dlogits, const void *logits, int64_t n, double scale, double softcap) {
    for (int64_t i = 0; i < n; i++) {
        const double y = softcap > 0 ? (double)((const real *)logits)[i] / softcap : 0;
        store((act *)dlogits + i, false, LD(((act *)dlogits)[i]) * scale * (1 - y * y));
    }
}

/* Of all numbers but that at `without`; -1: of all. */
static double logsumexp(const real *x, int64_t n, int64_t without) {
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) max = i != without && (double)x[i] > max ? (double)x[i] : max;
    for (int64_t i = 0; i < n; i++) sum += i != without ? exp((double)x[i] - max) : 0;
    return max + log(sum);
}

static int64_t first_largest(const real *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void lm_cross_entropy(void *lse, double *nll, double *uniform, bool *correct, const void *logits,
                             const int32_t *labels, int64_t rows, int64_t V) {
    for (int64_t row = 0; row < rows; row++) {
        const real *x = (const real *)logits + row * V;
        const double log_sum = logsumexp(x, V, -1);
        double total = 0;
        for (int64_t v = 0; uniform && v < V; v++) total += (double)x[v];
        assert(labels[row] >= 0 && labels[row] < V);
        ((real *)lse)[row] = (real)log_sum;
        nll[row] = log_sum - (double)x[labels[row]];
        if (uniform) uniform[row] = log_sum - total / (double)V;
        correct[row] = first_largest(x, V) == labels[row];
    }
}

static void lm_cross_entropy_backward(void *dlogits, double scale, const void *lse, const void *logits,
                                      const int32_t *labels, int64_t rows, int64_t V, double smoothing) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t v = 0; v < V; v++) {
            const double p = exp((double)((const real *)logits)[row * V + v] - (double)((const real *)lse)[row]);
            const double target = (v == labels[row] ? 1 - smoothing : 0) + smoothing / (double)V;
            ((act *)dlogits)[row * V + v] = ST(scale * (p - target));
        }
}

/* What is taken out is not looked at, but for being a number: NaN is not hidden. */
static double left_out(const real *x, const real *base, int64_t at) {
    return at < 0 ? 0 : 0 * ((double)x[at] + (double)base[at]);
}

/* What is summed is divided by the sum of the very same q, so that its rounding does not show in kl. */
static void lm_compare(double *ce, double *kl, const void *logits, const void *base, const int32_t *without,
                       int64_t rows, int64_t V) {
    for (int64_t row = 0; row < rows; row++) {
        const real *x = (const real *)logits + row * V, *b = (const real *)base + row * V;
        const int64_t out = without ? without[row] : -1;
        const double lse = logsumexp(x, V, out), lse_base = logsumexp(b, V, out), zero = left_out(x, b, out);
        double sum = 0, mean = 0, difference = 0;
        for (int64_t v = 0; v < V; v++) {
            if (v == out) continue;
            const double q = exp((double)b[v] - lse_base);
            sum += q;
            mean += q * (double)x[v];
            difference += q * ((double)b[v] - (double)x[v]);
        }
        ce[row] = kl[row] = zero;
        if (V == 1 && out == 0) continue;
        ce[row] += lse - mean / sum;
        kl[row] += difference / sum + (lse - lse_base);
    }
}

static void lm_compare_backward(void *dlogits, bool add, double scale, const void *logits, const void *base,
                                const int32_t *without, int64_t rows, int64_t V) {
    for (int64_t row = 0; row < rows; row++) {
        const real *x = (const real *)logits + row * V, *b = (const real *)base + row * V;
        const int64_t out = without ? without[row] : -1;
        const double lse = logsumexp(x, V, out), lse_base = logsumexp(b, V, out), zero = left_out(x, b, out);
        for (int64_t v = 0; v < V; v++)
            store((act *)dlogits + row * V + v, add,
                  scale * (v == out ? zero : exp((double)x[v] - lse) - exp((double)b[v] - lse_base)));
    }
}

/* Cross-entropy over a vocabulary, from logits in float. A vocabulary has 10^5 entries, so sums are in double. */

#if FAST_DOT
static double sum_of_exp(const float *x, float max, int64_t n) {
    double sum = 0;
    for (int64_t begin = 0; begin < n; begin += CHUNK) { /* sixteen sums of 64 numbers at most are floats */
        const int64_t end = min64(begin + CHUNK, n);
        num part = number_of(0);
        int64_t i = begin;
        for (; i + VECTOR_LANES <= end; i += VECTOR_LANES) part += exp_of(load_floats(x + i) - max);
        sum += (double)_mm512_reduce_add_ps((__m512)part);
        for (; i < end; i++) sum += (double)fast_exp(x[i] - max);
    }
    return sum;
}
#else
static double sum_of_exp(const float *x, float max, int64_t n) {
    double sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) sum += (double)fast_exp(x[i] - max);
    return sum;
}
#endif

static double sum_of_floats(const float *x, int64_t n) {
    double sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

/* Nothing before it is as large. */
static bool is_first_largest(const float *x, int64_t at, float max) {
    if (!(x[at] == max)) return false;
    for (int64_t i = 0; i < at; i++)
        if (x[i] == max) return false;
    return true;
}

static void lm_cross_entropy(void *lse_, double *nll, double *uniform, bool *correct, const void *logits,
                             const int32_t *labels, int64_t rows, int64_t V) {
    float *lse = lse_;
    PARALLEL(rows * V)
    for (int64_t row = 0; row < rows; row++) {
        const float *x = (const float *)logits + row * V, max = row_max(x, V);
        const double log_sum = (double)max + log(sum_of_exp(x, max, V));
        assert(labels[row] >= 0 && labels[row] < V);
        lse[row] = (float)log_sum;
        nll[row] = log_sum - (double)x[labels[row]];
        if (uniform) uniform[row] = log_sum - sum_of_floats(x, V) / (double)V;
        correct[row] = is_first_largest(x, labels[row], max);
    }
}

/* dx may be x where both are floats: read before written, entry by entry. */
static void lm_cross_entropy_backward_row(act *dx, float scale, float lse, const float *x, int32_t label, int64_t V,
                                          float smoothing) {
    const float rest = smoothing / (float)V, of_label = fast_exp(x[label] - lse) - rest - (1 - smoothing);
    EACH_NUMBER(v, V) store_number(dx + v, V - v, scale * (exp_of(load_real_number(x + v, V - v) - lse) - rest));
    dx[label] = ST(scale * of_label);
}

static void lm_cross_entropy_backward(void *dlogits_, double scale, const void *lse, const void *logits,
                                      const int32_t *labels, int64_t rows, int64_t V, double smoothing) {
    act *dlogits = dlogits_;
    PARALLEL(rows * V)
    for (int64_t row = 0; row < rows; row++)
        lm_cross_entropy_backward_row(dlogits + row * V, (float)scale, ((const float *)lse)[row],
                                      (const float *)logits + row * V, labels[row], V, (float)smoothing);
}

static void lm_logits_row(float *restrict x, const float *restrict bias, float scale, float softcap, int64_t V) {
    if (bias) {
        SIMD for (int64_t v = 0; v < V; v++) x[v] = scale * x[v] + bias[v];
    } else {
        SIMD for (int64_t v = 0; v < V; v++) x[v] *= scale;
    }
    if (softcap > 0)
        EACH_NUMBER(v, V) store_real_number(x + v, V - v, softcap * tanh_of(load_real_number(x + v, V - v) / softcap));
}

static void lm_logits(void *logits, const void *bias, int64_t rows, int64_t V, double scale, double softcap) {
    PARALLEL(rows * V)
    for (int64_t row = 0; row < rows; row++)
        lm_logits_row((float *)logits + row * V, bias, (float)scale, (float)softcap, V);
}

static void lm_logits_backward(void *dlogits_, const void *logits, int64_t n, double scale_, double softcap_) {
    act *dlogits = dlogits_;
    const float *y = logits, scale = (float)scale_, softcap = (float)softcap_;
    if (softcap > 0) {
        PARALLEL_SIMD(n)
        for (int64_t i = 0; i < n; i++) {
            const float share = y[i] / softcap;
            dlogits[i] = ST(LD(dlogits[i]) * (scale * (1 - share * share)));
        }
    } else {
        PARALLEL_SIMD(n)
        for (int64_t i = 0; i < n; i++) dlogits[i] = ST(LD(dlogits[i]) * scale);
    }
}

/* A row but for the entry that is taken out: the n numbers before it, and those from `from` on. Of a whole row the
 * second part is empty, and adds nothing to a sum. */
typedef struct rest {
    int64_t n, from, out; /* -1: none */
} rest;

static rest rest_of(const int32_t *without, int64_t row, int64_t V) {
    const int64_t out = without ? without[row] : -1;
    assert(out < V);
    return out < 0 ? (rest){V, V, -1} : (rest){out, out + 1, out};
}

static bool nothing_is_left(const rest *r, int64_t V) { return r->n == 0 && r->from == V; }

/* What is taken out is not looked at, but for being a number: NaN is not hidden. */
static double left_out(const float *x, const float *b, const rest *r) {
    return r->out < 0 ? 0 : 0 * ((double)x[r->out] + (double)b[r->out]);
}

static float rest_max(const float *x, const rest *r, int64_t V) {
    const float before = row_max(x, r->n), behind = row_max(x + r->from, V - r->from);
    return behind > before ? behind : before;
}

static double rest_logsumexp(const float *x, float max, const rest *r, int64_t V) {
    return (double)max + log(sum_of_exp(x, max, r->n) + sum_of_exp(x + r->from, max, V - r->from));
}

/* With e = e^(b - max): sums of e, e x and e (b - x). What is summed is divided by the sum of the very same e, so that
 * the rounding of e does not show in kl. */
typedef struct compared {
    double e, x, difference;
} compared;

static compared compare_row(const float *x, const float *b, float max, int64_t V) {
    double sum = 0, sum_x = 0, sum_difference = 0;
    LF_PRAGMA(omp simd reduction(+ : sum, sum_x, sum_difference))
    for (int64_t i = 0; i < V; i++) {
        const double e = (double)fast_exp(b[i] - max);
        sum += e;
        sum_x += e * (double)x[i];
        sum_difference += e * ((double)b[i] - (double)x[i]);
    }
    return (compared){sum, sum_x, sum_difference};
}

static compared compare_rest(const float *x, const float *b, float max, const rest *r, int64_t V) {
    const compared before = compare_row(x, b, max, r->n),
                   behind = compare_row(x + r->from, b + r->from, max, V - r->from);
    return (compared){before.e + behind.e, before.x + behind.x, before.difference + behind.difference};
}

static void lm_compare(double *ce, double *kl, const void *logits, const void *base, const int32_t *without,
                       int64_t rows, int64_t V) {
    PARALLEL(rows * V)
    for (int64_t row = 0; row < rows; row++) {
        const float *x = (const float *)logits + row * V, *b = (const float *)base + row * V;
        const rest r = rest_of(without, row, V);
        ce[row] = kl[row] = left_out(x, b, &r);
        if (nothing_is_left(&r, V)) continue;
        const float max = rest_max(x, &r, V), max_base = rest_max(b, &r, V);
        const double lse = rest_logsumexp(x, max, &r, V);
        const compared c = compare_rest(x, b, max_base, &r, V);
        ce[row] += lse - c.x / c.e;
        /* not log(c.e): the same loop for both, so that equal logits give equal numbers */
        kl[row] += c.difference / c.e + (lse - rest_logsumexp(b, max_base, &r, V));
    }
}

/* Of n numbers. dx may be x where both are floats, as in lm_cross_entropy_backward_row. */
static void compare_backward(act *dx, bool add, float scale, const float *x, float lse, const float *b, float lse_base,
                             int64_t n) {
    if (add) {
        SIMD for (int64_t v = 0; v < n; v++) dx[v] =
            ST(LD(dx[v]) + scale * (fast_exp(x[v] - lse) - fast_exp(b[v] - lse_base)));
    } else {
        SIMD for (int64_t v = 0; v < n; v++) dx[v] = ST(scale * (fast_exp(x[v] - lse) - fast_exp(b[v] - lse_base)));
    }
}

static void lm_compare_backward_row(act *dx, bool add, float scale, const float *x, const float *b, const rest *r,
                                    int64_t V) {
    const float zero = (float)left_out(x, b, r);
    if (!nothing_is_left(r, V)) {
        const float lse = (float)rest_logsumexp(x, rest_max(x, r, V), r, V),
                    lse_base = (float)rest_logsumexp(b, rest_max(b, r, V), r, V);
        compare_backward(dx, add, scale, x, lse, b, lse_base, r->n);
        compare_backward(dx + r->from, add, scale, x + r->from, lse, b + r->from, lse_base, V - r->from);
    }
    if (r->out >= 0) dx[r->out] = add ? ST(LD(dx[r->out]) + zero) : ST(zero);
}

static void lm_compare_backward(void *dlogits_, bool add, double scale, const void *logits, const void *base,
                                const int32_t *without, int64_t rows, int64_t V) {
    act *dlogits = dlogits_;
    PARALLEL(rows * V)
    for (int64_t row = 0; row < rows; row++) {
        const rest r = rest_of(without, row, V);
        lm_compare_backward_row(dlogits + row * V, add, (float)scale, (const float *)logits + row * V,
                                (const float *)base + row * V, &r, V);
    }
}

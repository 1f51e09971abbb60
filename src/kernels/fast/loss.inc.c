/* Softmax rows and cross-entropy. */

/* The largest number; NaN is passed over (the exponentials carry it). */
static float row_max(const float *x, int64_t n) {
    enum { LANES = 32 };
    float lane[LANES], max = -INFINITY;
    int64_t i = 0;
    for (int l = 0; l < LANES; l++) lane[l] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        SIMD for (int l = 0; l < LANES; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    for (int l = 0; l < LANES; l++) max = lane[l] > max ? lane[l] : max;
    return max;
}

/* x = e^(x - max); returns the sum */
static float row_exp(float *x, float max, int64_t n) {
    float sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) {
        x[i] = fast_exp(x[i] - max);
        sum += x[i];
    }
    return sum;
}

/* By way of floats: clang makes no vectors of a reduction to the largest. */
static float row_max_of(const act *x, int64_t n) {
    float max = -INFINITY, part[CHUNK];
    for (int64_t begin = 0; begin < n; begin += CHUNK) {
        const int64_t size = min64(CHUNK, n - begin);
        SIMD for (int64_t i = 0; i < size; i++) part[i] = LD(x[begin + i]);
        const float m = row_max(part, size);
        max = m > max ? m : max;
    }
    return max;
}

static float row_logsumexp(const act *x, int64_t n) {
    const float max = row_max_of(x, n);
    float sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) sum += fast_exp(LD(x[i]) - max);
    return max + logf(sum);
}

static double row_sum(const act *x, int64_t n) {
    double sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) sum += (double)LD(x[i]);
    return sum;
}

/* Of all classes, by their weights: -log p each. */
static double weighted_sum(const act *x, const float *weights, float lse, int64_t V) {
    double sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t v = 0; v < V; v++) sum += (double)weights[v] * ((double)lse - (double)LD(x[v]));
    return sum;
}

static double cross_entropy_row(float *lse, const act *x, int32_t label, const float *weights, int64_t V,
                                double smoothing) {
    *lse = row_logsumexp(x, V);
    if (label < 0) return 0;
    assert(label < V);
    if (weights)
        return (1 - smoothing) * (double)weights[label] * ((double)*lse - (double)LD(x[label])) +
               (smoothing > 0 ? smoothing * weighted_sum(x, weights, *lse, V) / (double)V : 0);
    const double loss = (1 - smoothing) * ((double)*lse - (double)LD(x[label]));
    return smoothing > 0 ? loss + smoothing * ((double)*lse - row_sum(x, V) / (double)V) : loss;
}

static double cross_entropy(void *lse_, const void *logits_, const int32_t *labels, const float *weights, int64_t rows,
                            int64_t V, double smoothing) {
    float *lse = lse_;
    const act *logits = logits_;
    double part[PIECES], loss = 0;
    PARALLEL(rows * V)
    for (int64_t piece = 0; piece < PIECES; piece++) {
        double sum = 0;
        for (int64_t row = piece_begin(rows, piece); row < piece_begin(rows, piece + 1); row++)
            sum += cross_entropy_row(lse + row, logits + row * V, labels[row], weights, V, smoothing);
        part[piece] = sum;
    }
    for (int piece = 0; piece < PIECES; piece++) loss += part[piece];
    return loss;
}

static void cross_entropy_backward_row(act *restrict dx, bool add, float dloss, float lse, const act *restrict x,
                                       int32_t label, int64_t V, float smoothing) {
    const float rest = smoothing / (float)V;
    const float before = add ? LD(dx[label]) : 0, p = fast_exp(LD(x[label]) - lse) - rest;
    if (add) {
        SIMD for (int64_t v = 0; v < V; v++) dx[v] = ST(LD(dx[v]) + dloss * (fast_exp(LD(x[v]) - lse) - rest));
    } else {
        SIMD for (int64_t v = 0; v < V; v++) dx[v] = ST(dloss * (fast_exp(LD(x[v]) - lse) - rest));
    }
    dx[label] = ST(before + dloss * (p - (1 - smoothing)));
}

/* With w the weights, m their mean, y the label and e the smoothing: p ((1 - e) w[y] + e m) - e w / V, less (1 - e)
 * w[y] at the label. */
static void cross_entropy_backward_weighted(act *restrict dx, bool add, float dloss, float lse, const act *restrict x,
                                            int32_t label, const float *weights, float mean, int64_t V,
                                            float smoothing) {
    const float own = (1 - smoothing) * weights[label], of_p = own + smoothing * mean, rest = smoothing / (float)V;
    const float before = add ? LD(dx[label]) : 0,
                at_label = fast_exp(LD(x[label]) - lse) * of_p - rest * weights[label] - own;
    if (add) {
        SIMD for (int64_t v = 0; v < V; v++) dx[v] =
            ST(LD(dx[v]) + dloss * (fast_exp(LD(x[v]) - lse) * of_p - rest * weights[v]));
    } else {
        SIMD for (int64_t v = 0; v < V; v++) dx[v] = ST(dloss * (fast_exp(LD(x[v]) - lse) * of_p - rest * weights[v]));
    }
    dx[label] = ST(before + dloss * at_label);
}

static float mean_weight(const float *weights, int64_t V) {
    double sum = 0;
    for (int64_t v = 0; weights && v < V; v++) sum += (double)weights[v];
    return (float)(sum / (double)V);
}

static void cross_entropy_backward(void *dlogits_, bool add, double dloss, const void *lse_, const void *logits_,
                                   const int32_t *labels, const float *weights, int64_t rows, int64_t V,
                                   double smoothing) {
    act *dlogits = dlogits_;
    const float *lse = lse_, mean = mean_weight(weights, V);
    const act *logits = logits_;
    PARALLEL(rows * V)
    for (int64_t row = 0; row < rows; row++) {
        if (labels[row] >= 0 && weights)
            cross_entropy_backward_weighted(dlogits + row * V, add, (float)dloss, lse[row], logits + row * V,
                                            labels[row], weights, mean, V, (float)smoothing);
        else if (labels[row] >= 0)
            cross_entropy_backward_row(dlogits + row * V, add, (float)dloss, lse[row], logits + row * V, labels[row], V,
                                       (float)smoothing);
        else if (!add)
            fill(dlogits + row * V, 0, V);
    }
}

/* Losses of numbers: a few each example, so one function a number. Value as in ref/body.inc.c, in double, as the sum;
 * the slope in float. */
static double bce_value(double x, double t) { return (x < 0 ? 0 : x) - t * x + log1p(exp(-fabs(x))); }
static float bce_slope(float x, float t) { return 1 / (1 + fast_exp(-x)) - t; }
static double mse_value(double x, double t) { return (x - t) * (x - t); }
static float mse_slope(float x, float t) { return 2 * (x - t); }

static const struct {
    double (*value)(double x, double t);
    float (*slope)(float x, float t);
} value_losses[] = {[LF_BCE] = {bce_value, bce_slope}, [LF_MSE] = {mse_value, mse_slope}};

static double value_loss(const void *logits_, const float *targets, int64_t n, lf_value_loss_kind kind) {
    const act *logits = logits_;
    double part[PIECES], loss = 0;
    PARALLEL(n)
    for (int64_t piece = 0; piece < PIECES; piece++) {
        double sum = 0;
        for (int64_t i = piece_begin(n, piece); i < piece_begin(n, piece + 1); i++)
            if (!isnan(targets[i])) sum += value_losses[kind].value((double)LD(logits[i]), (double)targets[i]);
        part[piece] = sum;
    }
    for (int piece = 0; piece < PIECES; piece++) loss += part[piece];
    return loss;
}

static void value_loss_backward(void *dlogits_, bool add, double dloss, const void *logits_, const float *targets,
                                int64_t n, lf_value_loss_kind kind) {
    act *dlogits = dlogits_;
    const act *logits = logits_;
    PARALLEL(n)
    for (int64_t i = 0; i < n; i++) {
        const float d = isnan(targets[i]) ? 0 : (float)dloss * value_losses[kind].slope(LD(logits[i]), targets[i]);
        dlogits[i] = ST(add ? LD(dlogits[i]) + d : d);
    }
}

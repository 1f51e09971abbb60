/* Optimisers. */

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

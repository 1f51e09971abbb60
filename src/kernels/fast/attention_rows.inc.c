/* The softmax of attention's rows, over the buffers that the including file has defined. */

static void cap_row(float *restrict u, float cap, int64_t n) {
    EACH_NUMBER(j, n) store_real_number(u + j, n - j, cap * tanh_of(load_real_number(u + j, n - j) / cap));
}

static void cap_slopes(float *restrict slope, const float *restrict u, float cap, int64_t n) {
    EACH_NUMBER(j, n) store_real_number(slope + j, n - j, tanh_slope_of(load_real_number(u + j, n - j) / cap));
}

/* From the scaled products u of one row with n keys from `from` on to its scores, in place (kernels.h); slope, if it is
 * wanted: their derivatives by u. */
static void score_row(float *u, float *slope, const attention_tile *t, const lf_attention_dims *d, int64_t row,
                      int64_t from, int64_t n) {
    if (d->softcap > 0) {
        if (slope) cap_slopes(slope, u, (float)d->softcap, n);
        cap_row(u, (float)d->softcap, n);
    }
    if (d->bias) {
        const float *bias = (const float *)d->bias + (t->h * d->Tq + t->i + row) * d->T + t->j + from;
        SIMD for (int64_t j = 0; j < n; j++) u[j] += bias[j];
    }
}

/* The running maximum of a row, of which a block has block_max. What was summed so far is scaled to it. */
static float raise_max(const attention_buffers *w, const lf_attention_dims *d, int64_t row, float block_max) {
    const float max = block_max > w->max[row] ? block_max : w->max[row];
    if (max > w->max[row] && w->max[row] > -INFINITY) {
        const float shrink = fast_exp(w->max[row] - max);
        w->sum[row] *= shrink;
        scale_row(w->o + row * w->width, shrink, d->D);
    }
    w->max[row] = max;
    return max;
}

/* Products of one row to e^(score - max), dropped out; updates the running max and sum and rescales what o has so far.
 */
static void softmax_row(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                        const dropout_rule *rule, int64_t row) {
    int64_t from, to;
    see(t, d, row, &from, &to, w->p + row * w->keys, NULL);
    if (from == to) return;
    float *p = w->p + row * w->keys + from;
    const int64_t n = to - from;
    score_row(p, NULL, t, d, row, from, n);
    const float max = raise_max(w, d, row, row_max(p, n));
    w->sum[row] += row_exp(p, max, n);
    if (d->dropout > 0) {
        float factor[MAX_KEYS];
        dropout_factors(factor, rule, entry_number(t, d, row, from), n);
        SIMD for (int64_t j = 0; j < n; j++) p[j] *= factor[j];
    }
}

/* From products and do v^T of one row to keep p (for dv) and ds = p (keep do v^T - delta) (for dq and dk), times the
 * slope of a capped score. */
static void softmax_backward_row(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                                 const dropout_rule *rule, int64_t row, float lse, float delta) {
    int64_t from, to;
    see(t, d, row, &from, &to, w->p + row * w->keys, w->dp + row * w->keys);
    float *restrict p = w->p + row * w->keys + from, *restrict dp = w->dp + row * w->keys + from;
    const int64_t n = to - from;
    float slope[MAX_KEYS];
    score_row(p, slope, t, d, row, from, n);
    if (d->dropout > 0) {
        float factor[MAX_KEYS];
        dropout_factors(factor, rule, entry_number(t, d, row, from), n);
        SIMD for (int64_t j = 0; j < n; j++) {
            const float e = fast_exp(p[j] - lse);
            dp[j] = e * (factor[j] * dp[j] - delta);
            p[j] = e * factor[j];
        }
    } else {
        SIMD for (int64_t j = 0; j < n; j++) {
            p[j] = fast_exp(p[j] - lse);
            dp[j] = p[j] * (dp[j] - delta);
        }
    }
    if (d->softcap > 0) SIMD for (int64_t j = 0; j < n; j++) dp[j] *= slope[j];
}

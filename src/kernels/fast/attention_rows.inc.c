/* The softmax of attention's rows, over the buffers that the including file has defined. */

/* Scores of one row to e^(score - max), dropped out; updates the running max and sum and rescales what o has so far. */
static void softmax_row(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                        const dropout_rule *rule, int64_t row) {
    int64_t from, to;
    see(t, d, row, &from, &to, w->p + row * w->keys, NULL);
    if (from == to) return;
    float *p = w->p + row * w->keys + from, *o = w->o + row * w->width;
    const int64_t n = to - from;
    const float block_max = row_max(p, n), max = block_max > w->max[row] ? block_max : w->max[row];
    if (max > w->max[row] && w->max[row] > -INFINITY) {
        const float shrink = fast_exp(w->max[row] - max);
        w->sum[row] *= shrink;
        scale_row(o, shrink, d->D);
    }
    w->max[row] = max;
    w->sum[row] += row_exp(p, max, n);
    if (d->dropout > 0) {
        float factor[MAX_KEYS];
        dropout_factors(factor, rule, entry_number(t, d, row, from), n);
        SIMD for (int64_t j = 0; j < n; j++) p[j] *= factor[j];
    }
}

/* From scores and do v^T of one row to keep p (for dv) and ds = p (keep do v^T - delta) (for dq and dk). */
static void softmax_backward_row(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                                 const dropout_rule *rule, int64_t row, float lse, float delta) {
    int64_t from, to;
    see(t, d, row, &from, &to, w->p + row * w->keys, w->dp + row * w->keys);
    float *restrict p = w->p + row * w->keys + from, *restrict dp = w->dp + row * w->keys + from;
    const int64_t n = to - from;
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
}

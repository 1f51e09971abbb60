/* Attention, block by block: a block of queries meets one block of keys after the other, with a running maximum and sum
 * of each softmax row (forward), or with the row's log-sum-exp (backward). No [T, T] matrix is kept.
 *
 * The key block of a causal head ends at the last query; within the blocks on the diagonal, what lies above it is zero
 * before the product with v. */

enum { MAX_QUERIES = 128, MAX_KEYS = 256 };

/* Of one thread. */
typedef struct attention_buffers {
    int64_t queries, keys; /* block sizes */
    float *p, *dp;         /* [queries, keys] */
    float *max, *sum;      /* [queries] */
} attention_buffers;

/* T in as few blocks as may be, and these of about the same size; a multiple of 16, so that rows are aligned. */
static int64_t block_size(int64_t T, int64_t most) {
    const int64_t blocks = (T + most - 1) / most;
    return blocks == 0 ? 16 : ((T + blocks - 1) / blocks + 15) / 16 * 16;
}

static int64_t floats_per_thread(int64_t queries, int64_t keys) { return 2 * queries * keys + 2 * queries; }

static int64_t attention_scratch(const lf_attention_dims *d) {
    return lf_threads() * floats_per_thread(block_size(d->T, MAX_QUERIES), block_size(d->T, MAX_KEYS)) *
           (int64_t)sizeof(float);
}

static attention_buffers thread_buffers(const lf_attention_dims *d, float *scratch) {
    attention_buffers w = {.queries = block_size(d->T, MAX_QUERIES), .keys = block_size(d->T, MAX_KEYS)};
    w.p = scratch + omp_get_thread_num() * floats_per_thread(w.queries, w.keys);
    w.dp = w.p + w.queries * w.keys;
    w.max = w.dp + w.queries * w.keys;
    w.sum = w.max + w.queries;
    return w;
}

/* A block of queries of head h of example b, and the block of keys it meets. */
typedef struct attention_tile {
    int64_t b, h, i, n; /* queries i .. i + n - 1 */
    int64_t j, m;       /* keys j .. j + m - 1 */
} attention_tile;

/* Sets m; false if no query of the tile sees key j. */
static bool tile_keys(attention_tile *t, const lf_attention_dims *d, int64_t keys) {
    const int64_t end = d->causal ? t->i + t->n : d->T;
    t->m = min64(keys, end - t->j);
    return t->m > 0;
}

/* How many keys of the tile the query in `row` sees. */
static int64_t visible_keys(const attention_tile *t, const lf_attention_dims *d, int64_t row) {
    const int64_t n = d->causal ? t->i + row + 1 - t->j : t->m;
    return n < 0 ? 0 : min64(n, t->m);
}

static int64_t entry_number(const attention_tile *t, const lf_attention_dims *d, int64_t row) {
    return ((t->b * d->H + t->h) * d->T + t->i + row) * d->T + t->j;
}

static int64_t query_offset(const lf_attention_dims *d, int64_t b, int64_t h, int64_t i, int64_t stride) {
    return (b * d->T + i) * stride + h * d->D;
}

static int64_t key_offset(const lf_attention_dims *d, int64_t b, int64_t h, int64_t j) {
    return (b * d->T + j) * d->ldkv + h / (d->H / d->Hkv) * d->D;
}

static void scale_row(float *x, float factor, int64_t n) {
    SIMD
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
}

/* Scores of one row to e^(score - max), dropped out; updates the running max and sum and rescales what o has so far. */
static void softmax_row(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                        const dropout_rule *rule, int64_t row, float *o) {
    float *p = w->p + row * w->keys;
    const int64_t n = visible_keys(t, d, row);
    const float block_max = row_max(p, n), max = block_max > w->max[row] ? block_max : w->max[row];
    if (t->j > 0 && max > w->max[row]) {
        const float shrink = fast_exp(w->max[row] - max);
        w->sum[row] *= shrink;
        scale_row(o, shrink, d->D);
    }
    w->max[row] = max;
    w->sum[row] += row_exp(p, max, n);
    if (d->dropout > 0) {
        float factor[MAX_KEYS];
        dropout_factors(factor, rule, entry_number(t, d, row), n);
        SIMD
        for (int64_t j = 0; j < n; j++) p[j] *= factor[j];
    }
    for (int64_t j = n; j < t->m; j++) p[j] = 0;
}

/* o and lse of one block of queries. */
static void attend(const attention_buffers *w, attention_tile t, const lf_attention_dims *d, const dropout_rule *rule,
                   float *o, float *lse, const float *q, const float *k, const float *v) {
    for (int64_t row = 0; row < t.n; row++) {
        w->max[row] = -INFINITY;
        w->sum[row] = 0;
    }
    for (t.j = 0; t.j < d->T && tile_keys(&t, d, w->keys); t.j += w->keys) {
        sgemm(false, true, t.n, t.m, d->D, (float)d->scale, q, d->ldq, k + t.j * d->ldkv, d->ldkv, 0, w->p, w->keys);
        for (int64_t row = 0; row < t.n; row++) softmax_row(w, &t, d, rule, row, o + row * d->ldo);
        sgemm(false, false, t.n, d->D, t.m, 1, w->p, w->keys, v + t.j * d->ldkv, d->ldkv, t.j > 0, o, d->ldo);
    }
    for (int64_t row = 0; row < t.n; row++) {
        scale_row(o + row * d->ldo, 1 / w->sum[row], d->D);
        lse[row] = w->max[row] + logf(w->sum[row]);
    }
}

static void attention(void *o_, void *lse_, const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                      void *scratch) {
    float *o = o_, *lse = lse_;
    const float *q = q_, *k = k_, *v = v_;
    const dropout_rule rule = dropout_rule_make(d->dropout, d->key);
    const int64_t size = block_size(d->T, MAX_QUERIES), blocks = (d->T + size - 1) / size;
    PARALLEL(d->B * d->H * d->T * d->T)
    for (int64_t task = 0; task < d->B * d->H * blocks; task++) {
        const int64_t head = task / blocks, b = head / d->H, h = head % d->H, i = task % blocks * size;
        const attention_buffers w = thread_buffers(d, scratch);
        const attention_tile t = {.b = b, .h = h, .i = i, .n = min64(size, d->T - i)};
        const int64_t kv = key_offset(d, b, h, 0);
        attend(&w, t, d, &rule, o + query_offset(d, b, h, i, d->ldo), lse + head * d->T + i,
               q + query_offset(d, b, h, i, d->ldq), k + kv, v + kv);
    }
}

/* From scores and do v^T of one row to keep p (for dv) and ds = p (keep do v^T - delta) (for dq and dk). */
static void softmax_backward_row(const attention_buffers *w, const attention_tile *t, const lf_attention_dims *d,
                                 const dropout_rule *rule, int64_t row, float lse, float delta) {
    float *restrict p = w->p + row * w->keys, *restrict dp = w->dp + row * w->keys;
    const int64_t n = visible_keys(t, d, row);
    if (d->dropout > 0) {
        float factor[MAX_KEYS];
        dropout_factors(factor, rule, entry_number(t, d, row), n);
        SIMD
        for (int64_t j = 0; j < n; j++) {
            const float e = fast_exp(p[j] - lse);
            dp[j] = e * (factor[j] * dp[j] - delta);
            p[j] = e * factor[j];
        }
    } else {
        SIMD
        for (int64_t j = 0; j < n; j++) {
            p[j] = fast_exp(p[j] - lse);
            dp[j] = p[j] * (dp[j] - delta);
        }
    }
    for (int64_t j = n; j < t->m; j++) p[j] = dp[j] = 0;
}

static float dot(const float *a, const float *b, int64_t n) {
    float sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Writes dq of one block of queries, adds to dk and dv. */
static void attend_backward(const attention_buffers *w, attention_tile t, const lf_attention_dims *d,
                            const dropout_rule *rule, float *dq, float *dk, float *dv, const float *dout, const float *o,
                            const float *lse, const float *q, const float *k, const float *v) {
    const float scale = (float)d->scale;
    float *delta = w->sum;
    for (int64_t row = 0; row < t.n; row++) delta[row] = dot(dout + row * d->ldo, o + row * d->ldo, d->D);
    for (t.j = 0; t.j < d->T && tile_keys(&t, d, w->keys); t.j += w->keys) {
        const int64_t at = t.j * d->ldkv;
        sgemm(false, true, t.n, t.m, d->D, scale, q, d->ldq, k + at, d->ldkv, 0, w->p, w->keys);
        sgemm(false, true, t.n, t.m, d->D, 1, dout, d->ldo, v + at, d->ldkv, 0, w->dp, w->keys);
        for (int64_t row = 0; row < t.n; row++) softmax_backward_row(w, &t, d, rule, row, lse[row], delta[row]);
        sgemm(true, false, t.m, d->D, t.n, 1, w->p, w->keys, dout, d->ldo, 1, dv + at, d->ldkv);
        sgemm(false, false, t.n, d->D, t.m, scale, w->dp, w->keys, k + at, d->ldkv, t.j > 0, dq, d->ldq);
        sgemm(true, false, t.m, d->D, t.n, scale, w->dp, w->keys, q, d->ldq, 1, dk + at, d->ldkv);
    }
}

static void attention_backward(void *dq_, void *dk_, void *dv_, const void *dout_, const void *o_, const void *lse_,
                               const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                               void *scratch) {
    float *dq = dq_, *dk = dk_, *dv = dv_;
    const float *dout = dout_, *o = o_, *lse = lse_, *q = q_, *k = k_, *v = v_;
    const dropout_rule rule = dropout_rule_make(d->dropout, d->key);
    const int64_t size = block_size(d->T, MAX_QUERIES), group = d->H / d->Hkv;
    PARALLEL(d->B * d->H * d->T * d->T)
    for (int64_t task = 0; task < d->B * d->Hkv; task++) { /* a task owns the dk and dv of its key head */
        const int64_t b = task / d->Hkv, first = task % d->Hkv * group, kv = key_offset(d, b, first, 0);
        const attention_buffers w = thread_buffers(d, scratch);
        for (int64_t j = 0; j < d->T; j++) {
            fill(dk + kv + j * d->ldkv, 0, d->D);
            fill(dv + kv + j * d->ldkv, 0, d->D);
        }
        for (int64_t h = first; h < first + group; h++)
            for (int64_t i = 0; i < d->T; i += size) {
                const attention_tile t = {.b = b, .h = h, .i = i, .n = min64(size, d->T - i)};
                const int64_t at = query_offset(d, b, h, i, d->ldq), out = query_offset(d, b, h, i, d->ldo);
                attend_backward(&w, t, d, &rule, dq + at, dk + kv, dv + kv, dout + out, o + out,
                                lse + (b * d->H + h) * d->T + i, q + at, k + kv, v + kv);
            }
    }
}

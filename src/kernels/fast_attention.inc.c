/* Attention, block by block: a block of queries meets one block of keys after the other, with a running maximum and sum
 * of each softmax row (forward), or with the row's log-sum-exp (backward). No [T, T] matrix is kept. Blocks are copied to
 * floats, which makes them contiguous, and everything is computed in them whatever the type of activations.
 *
 * The key blocks of a causal head end at the last query and begin at the first key that one of the queries sees; within a
 * block, what a query does not see is zero before the product with v. */

enum { MAX_QUERIES = 256, MAX_KEYS = 256 };

/* Of one thread. */
typedef struct attention_buffers {
    int64_t queries, keys;       /* block sizes */
    float *p, *dp;               /* [queries, keys] */
    float *max, *sum;            /* [queries] */
    float *q, *o, *dout, *dq;    /* [queries, D]; q times scale */
    float *k, *v;                /* [keys, D] */
    float *dk, *dv;              /* [T, D] */
} attention_buffers;

/* T in as few blocks as may be, and these of about the same size; a multiple of 16, so that rows are aligned. */
static int64_t block_size(int64_t T, int64_t most) {
    const int64_t blocks = (T + most - 1) / most;
    return blocks == 0 ? 16 : ((T + blocks - 1) / blocks + 15) / 16 * 16;
}

/* Puts the buffers at `base` (NULL: only counts); returns how many floats they take. */
static int64_t lay_out(attention_buffers *w, const lf_attention_dims *d, bool backward, float *base) {
    *w = (attention_buffers){.queries = block_size(d->Tq, MAX_QUERIES), .keys = block_size(d->T, MAX_KEYS)};
    const int64_t queries = w->queries * d->D, keys = w->keys * d->D, all = backward ? d->T * d->D : 0;
    const struct { float **at; int64_t n; } parts[] = {
        {&w->p, w->queries * w->keys}, {&w->dp, backward ? w->queries * w->keys : 0}, {&w->max, w->queries}, {&w->sum, w->queries},
        {&w->q, queries}, {&w->o, queries}, {&w->dout, backward ? queries : 0}, {&w->dq, backward ? queries : 0},
        {&w->k, keys}, {&w->v, keys}, {&w->dk, all}, {&w->dv, all}};
    int64_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (base) *parts[i].at = base + used;
        used += (parts[i].n + 15) / 16 * 16;
    }
    return used;
}

static int64_t attention_scratch(const lf_attention_dims *d, bool backward) {
    attention_buffers w;
    return lf_threads() * lay_out(&w, d, backward, NULL) * (int64_t)sizeof(float);
}

static attention_buffers thread_buffers(const lf_attention_dims *d, bool backward, float *scratch) {
    attention_buffers w;
    const int64_t size = lay_out(&w, d, backward, NULL);
    lay_out(&w, d, backward, scratch + omp_get_thread_num() * size);
    return w;
}

static void copy_in(float *to, const act *from, int64_t rows, int64_t D, int64_t stride, float factor) {
    for (int64_t i = 0; i < rows; i++)
        SIMD
        for (int64_t c = 0; c < D; c++) to[i * D + c] = factor * LD(from[i * stride + c]);
}

static void copy_out(act *to, const float *from, int64_t rows, int64_t D, int64_t stride, float factor) {
    for (int64_t i = 0; i < rows; i++)
        SIMD
        for (int64_t c = 0; c < D; c++) to[i * stride + c] = ST(factor * from[i * D + c]);
}

static void clear(float *x, int64_t n) {
    SIMD
    for (int64_t i = 0; i < n; i++) x[i] = 0;
}

/* A block of queries of head h of example b, and the block of keys it meets. */
typedef struct attention_tile {
    int64_t b, h, i, n; /* queries i .. i + n - 1 */
    int64_t j, m;       /* keys j .. j + m - 1 */
} attention_tile;

/* Query i of example b sees keys *begin .. *end - 1. */
static void visible(const lf_attention_dims *d, int64_t b, int64_t i, int64_t *begin, int64_t *end) {
    *begin = 0;
    *end = d->causal ? d->T - d->Tq + i + 1 : d->T;
    if (d->causal && d->window > 0 && *end > d->window) *begin = *end - d->window;
    if (d->causal && d->first && d->first[b * d->Tq + i] > *begin) *begin = d->first[b * d->Tq + i];
}

/* The keys that any query of the tile sees. */
static void tile_range(const attention_tile *t, const lf_attention_dims *d, int64_t *begin, int64_t *end) {
    *begin = d->T;
    *end = 0;
    for (int64_t row = 0; row < t->n; row++) {
        int64_t from, to;
        visible(d, t->b, t->i + row, &from, &to);
        *begin = from < *begin ? from : *begin;
        *end = to > *end ? to : *end;
    }
}

/* Of the tile's keys, the query in `row` sees those from *from up to, not including, *to; zeroes the others in x (and y). */
static void see(const attention_tile *t, const lf_attention_dims *d, int64_t row, int64_t *from, int64_t *to, float *x, float *y) {
    int64_t begin, end;
    visible(d, t->b, t->i + row, &begin, &end);
    *from = begin > t->j ? min64(begin - t->j, t->m) : 0;
    *to = min64(end - t->j, t->m);
    if (*to < *from) *to = *from;
    for (int64_t j = 0; j < *from; j++) x[j] = 0;
    for (int64_t j = *to; j < t->m; j++) x[j] = 0;
    for (int64_t j = 0; y && j < *from; j++) y[j] = 0;
    for (int64_t j = *to; y && j < t->m; j++) y[j] = 0;
}

static int64_t entry_number(const attention_tile *t, const lf_attention_dims *d, int64_t row, int64_t from) {
    return ((t->b * d->H + t->h) * d->Tq + t->i + row) * d->T + t->j + from;
}

static int64_t query_offset(const lf_attention_dims *d, int64_t b, int64_t h, int64_t i, int64_t stride) {
    return (b * d->Tq + i) * stride + h * d->D;
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
                        const dropout_rule *rule, int64_t row) {
    int64_t from, to;
    see(t, d, row, &from, &to, w->p + row * w->keys, NULL);
    if (from == to) return;
    float *p = w->p + row * w->keys + from, *o = w->o + row * d->D;
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
        SIMD
        for (int64_t j = 0; j < n; j++) p[j] *= factor[j];
    }
}

/* o and lse of one block of queries; k, v: of the tile's head, from the first key on. */
static void attend(const attention_buffers *w, attention_tile t, const lf_attention_dims *d, const dropout_rule *rule, act *o,
                   float *lse, const act *q, const act *k, const act *v) {
    int64_t begin, end;
    const int64_t D = d->D;
    copy_in(w->q, q, t.n, D, d->ldq, (float)d->scale);
    clear(w->o, t.n * D);
    for (int64_t row = 0; row < t.n; row++) {
        w->max[row] = -INFINITY;
        w->sum[row] = 0;
    }
    tile_range(&t, d, &begin, &end);
    for (t.j = begin; t.j < end; t.j += w->keys) {
        t.m = min64(w->keys, end - t.j);
        copy_in(w->k, k + t.j * d->ldkv, t.m, D, d->ldkv, 1);
        copy_in(w->v, v + t.j * d->ldkv, t.m, D, d->ldkv, 1);
        sgemm(false, true, t.n, t.m, D, 1, w->q, D, w->k, D, false, w->p, w->keys);
        for (int64_t row = 0; row < t.n; row++) softmax_row(w, &t, d, rule, row);
        sgemm(false, false, t.n, D, t.m, 1, w->p, w->keys, w->v, D, true, w->o, D);
    }
    for (int64_t row = 0; row < t.n; row++) {
        copy_out(o + row * d->ldo, w->o + row * D, 1, D, d->ldo, 1 / w->sum[row]);
        lse[row] = w->max[row] + logf(w->sum[row]);
    }
}

static void attention(void *o_, void *lse_, const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                      void *scratch) {
    act *o = o_;
    float *lse = lse_;
    const act *q = q_, *k = k_, *v = v_;
    const dropout_rule rule = dropout_rule_make(d->dropout, d->key);
    const int64_t size = block_size(d->Tq, MAX_QUERIES), blocks = (d->Tq + size - 1) / size;
    PARALLEL(d->B * d->H * d->Tq * d->T)
    for (int64_t task = 0; task < d->B * d->H * blocks; task++) {
        const int64_t head = task / blocks, b = head / d->H, h = head % d->H, i = task % blocks * size;
        const attention_buffers w = thread_buffers(d, false, scratch);
        const attention_tile t = {.b = b, .h = h, .i = i, .n = min64(size, d->Tq - i)};
        const int64_t kv = key_offset(d, b, h, 0);
        attend(&w, t, d, &rule, o + query_offset(d, b, h, i, d->ldo), lse + head * d->Tq + i,
               q + query_offset(d, b, h, i, d->ldq), k + kv, v + kv);
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
}

static float dot(const float *a, const float *b, int64_t n) {
    float sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Writes dq of one block of queries, adds to the head's dk and dv in the buffers. */
static void attend_backward(const attention_buffers *w, attention_tile t, const lf_attention_dims *d,
                            const dropout_rule *rule, act *dq, const act *dout, const act *o, const float *lse, const act *q,
                            const act *k, const act *v) {
    int64_t begin, end;
    const int64_t D = d->D;
    float *delta = w->sum;
    copy_in(w->q, q, t.n, D, d->ldq, (float)d->scale);
    copy_in(w->dout, dout, t.n, D, d->ldo, 1);
    copy_in(w->o, o, t.n, D, d->ldo, 1);
    clear(w->dq, t.n * D);
    for (int64_t row = 0; row < t.n; row++) delta[row] = dot(w->dout + row * D, w->o + row * D, D);
    tile_range(&t, d, &begin, &end);
    for (t.j = begin; t.j < end; t.j += w->keys) {
        t.m = min64(w->keys, end - t.j);
        copy_in(w->k, k + t.j * d->ldkv, t.m, D, d->ldkv, 1);
        copy_in(w->v, v + t.j * d->ldkv, t.m, D, d->ldkv, 1);
        sgemm(false, true, t.n, t.m, D, 1, w->q, D, w->k, D, false, w->p, w->keys);
        sgemm(false, true, t.n, t.m, D, 1, w->dout, D, w->v, D, false, w->dp, w->keys);
        for (int64_t row = 0; row < t.n; row++) softmax_backward_row(w, &t, d, rule, row, lse[row], delta[row]);
        sgemm(true, false, t.m, D, t.n, 1, w->p, w->keys, w->dout, D, true, w->dv + t.j * D, D);
        sgemm(false, false, t.n, D, t.m, 1, w->dp, w->keys, w->k, D, true, w->dq, D);
        sgemm(true, false, t.m, D, t.n, 1, w->dp, w->keys, w->q, D, true, w->dk + t.j * D, D);
    }
    copy_out(dq, w->dq, t.n, D, d->ldq, (float)d->scale);
}

static void attention_backward(void *dq_, void *dk_, void *dv_, const void *dout_, const void *o_, const void *lse_,
                               const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                               void *scratch) {
    act *dq = dq_, *dk = dk_, *dv = dv_;
    const act *dout = dout_, *o = o_, *q = q_, *k = k_, *v = v_;
    const float *lse = lse_;
    const dropout_rule rule = dropout_rule_make(d->dropout, d->key);
    const int64_t size = block_size(d->Tq, MAX_QUERIES), group = d->H / d->Hkv;
    PARALLEL(d->B * d->H * d->Tq * d->T)
    for (int64_t task = 0; task < d->B * d->Hkv; task++) { /* a task owns the dk and dv of its key head */
        const int64_t b = task / d->Hkv, first = task % d->Hkv * group, kv = key_offset(d, b, first, 0);
        const attention_buffers w = thread_buffers(d, true, scratch);
        clear(w.dk, d->T * d->D);
        clear(w.dv, d->T * d->D);
        for (int64_t h = first; h < first + group; h++)
            for (int64_t i = 0; i < d->Tq; i += size) {
                const attention_tile t = {.b = b, .h = h, .i = i, .n = min64(size, d->Tq - i)};
                const int64_t at = query_offset(d, b, h, i, d->ldq), out = query_offset(d, b, h, i, d->ldo);
                attend_backward(&w, t, d, &rule, dq + at, dout + out, o + out, lse + (b * d->H + h) * d->Tq + i, q + at, k + kv,
                                v + kv);
            }
        copy_out(dk + kv, w.dk, d->T, d->D, d->ldkv, 1);
        copy_out(dv + kv, w.dv, d->T, d->D, d->ldkv, 1);
    }
}

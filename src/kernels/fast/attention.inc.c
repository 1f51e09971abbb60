/* Attention, block by block: a block of queries meets one block of keys after the other, with a running maximum and sum
 * of each softmax row (forward), or with the row's log-sum-exp (backward). No [T, T] matrix is kept. Scores, softmax
 * and sums are floats whatever the type of activations; the products of blocks are attention_float.inc.c's or, for
 * processors that multiply bf16, attention_dot.inc.c's. They define attention_buffers, lay_out, attend and
 * attend_backward.
 *
 * The key blocks begin and end with the first and the last key that one of the queries sees; within a block, what a
 * query does not see is zero before the product with v. */

enum { MAX_QUERIES = 256, MAX_CAUSAL_QUERIES = 64, MAX_KEYS = 256 };

/* T in as few blocks as may be, and these of about the same size; a multiple of 16, so that rows are aligned. */
static int64_t block_size(int64_t T, int64_t most) {
    const int64_t blocks = (T + most - 1) / most;
    return blocks == 0 ? 16 : ((T + blocks - 1) / blocks + 15) / 16 * 16;
}

/* A block of a causal head, or of one with a window, meets keys that only some of its queries see: small blocks meet
 * fewer. */
static int64_t query_block(const lf_attention_dims *d) {
    return block_size(d->Tq, d->causal || d->window > 0 ? MAX_CAUSAL_QUERIES : MAX_QUERIES);
}

static void copy_out(act *to, int64_t stride, const float *from, int64_t width, int64_t rows, int64_t D, float factor) {
    for (int64_t i = 0; i < rows; i++) EACH_NUMBER(c, D)
    store_number(to + i * stride + c, D - c, factor * load_real_number(from + i * width + c, D - c));
}

static void clear(float *x, int64_t n) { SIMD for (int64_t i = 0; i < n; i++) x[i] = 0; }

/* A block of queries of head h of example b, and the block of keys it meets. */
typedef struct attention_tile {
    int64_t b, h, i, n; /* queries i .. i + n - 1 */
    int64_t j, m;       /* keys j .. j + m - 1 */
} attention_tile;

/* Query i of example b sees keys *begin .. *end - 1: none if the two are the same. */
static void visible(const lf_attention_dims *d, int64_t b, int64_t i, int64_t *begin, int64_t *end) {
    const int64_t at = d->T - d->Tq + i, behind = d->causal ? d->window - 1 : d->window;
    *begin = d->window > 0 && at > behind ? at - behind : 0;
    *end = d->causal ? at + 1 : d->lengths ? d->lengths[b] : d->T;
    if (!d->causal && d->window > 0 && *end > at + d->window + 1) *end = at + d->window + 1;
    if (d->causal && d->first && d->first[b * d->Tq + i] > *begin) *begin = d->first[b * d->Tq + i];
    if (*end < *begin) *end = *begin;
}

/* The keys that any query of the tile sees. */
static void tile_range(const attention_tile *t, const lf_attention_dims *d, int64_t *begin, int64_t *end) {
    *begin = d->T;
    *end = 0;
    for (int64_t row = 0; row < t->n; row++) {
        int64_t from, to;
        visible(d, t->b, t->i + row, &from, &to);
        if (from == to) continue;
        *begin = from < *begin ? from : *begin;
        *end = to > *end ? to : *end;
    }
}

/* Of the tile's keys, the query in `row` sees those from *from up to, not including, *to. */
static void seen(const attention_tile *t, const lf_attention_dims *d, int64_t row, int64_t *from, int64_t *to) {
    int64_t begin, end;
    visible(d, t->b, t->i + row, &begin, &end);
    *from = begin > t->j ? min64(begin - t->j, t->m) : 0;
    *to = min64(end - t->j, t->m);
    if (*to < *from) *to = *from;
}

/* As seen; zeroes the others in x (and y). */
static void see(const attention_tile *t, const lf_attention_dims *d, int64_t row, int64_t *from, int64_t *to, float *x,
                float *y) {
    seen(t, d, row, from, to);
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

/* What a row's sum of exponentials divides by; a query that saw no key has the sum 0, and o = 0. */
static float share_of(float sum) { return sum == 0 ? 0 : 1 / sum; }
static float logsumexp_of(float max, float sum) { return sum == 0 ? 0 : max + logf(sum); }

static void scale_row(float *x, float factor, int64_t n) { SIMD for (int64_t i = 0; i < n; i++) x[i] *= factor; }

#if FAST_DOT
#include "kernels/fast/attention_dot.inc.c"
#else
#include "kernels/fast/attention_float.inc.c"
#endif

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

static void attention(void *o_, void *lse_, const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                      void *scratch) {
    act *o = o_;
    float *lse = lse_;
    const act *q = q_, *k = k_, *v = v_;
    const dropout_rule rule = dropout_rule_make(d->dropout, d->key);
    const int64_t size = query_block(d), blocks = (d->Tq + size - 1) / size;
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

static void attention_backward(void *dq_, void *dk_, void *dv_, const void *dout_, const void *o_, const void *lse_,
                               const void *q_, const void *k_, const void *v_, const lf_attention_dims *d,
                               void *scratch) {
    act *dq = dq_, *dk = dk_, *dv = dv_;
    const act *dout = dout_, *o = o_, *q = q_, *k = k_, *v = v_;
    const float *lse = lse_;
    const dropout_rule rule = dropout_rule_make(d->dropout, d->key);
    const int64_t size = query_block(d), group = d->H / d->Hkv;
    PARALLEL(d->B * d->H * d->Tq * d->T)
    for (int64_t task = 0; task < d->B * d->Hkv; task++) { /* a task owns the dk and dv of its key head */
        const int64_t b = task / d->Hkv, first = task % d->Hkv * group, kv = key_offset(d, b, first, 0);
        const attention_buffers w = thread_buffers(d, true, scratch);
        clear(w.dk, d->T * w.width);
        clear(w.dv, d->T * w.width);
        for (int64_t h = first; h < first + group; h++)
            for (int64_t i = 0; i < d->Tq; i += size) {
                const attention_tile t = {.b = b, .h = h, .i = i, .n = min64(size, d->Tq - i)};
                const int64_t at = query_offset(d, b, h, i, d->ldq), out = query_offset(d, b, h, i, d->ldo);
                attend_backward(&w, t, d, &rule, dq + at, dout + out, o + out, lse + (b * d->H + h) * d->Tq + i, q + at,
                                k + kv, v + kv);
            }
        copy_out(dk + kv, d->ldkv, w.dk, w.width, d->T, d->D, DK_FACTOR(d));
        copy_out(dv + kv, d->ldkv, w.dv, w.width, d->T, d->D, 1);
    }
}

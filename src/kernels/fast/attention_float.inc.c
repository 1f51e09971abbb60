/* The products of attention's blocks in floats, by the library; blocks are copied to floats, which makes them
 * contiguous. */

/* Of one thread. */
typedef struct attention_buffers {
    int64_t queries, keys;    /* block sizes */
    float *p, *dp;            /* [queries, keys] */
    float *max, *sum;         /* [queries] */
    int64_t width;            /* of a row of o, dq, dk, dv */
    float *q, *o, *dout, *dq; /* [queries, D]; q times scale */
    float *k, *v;             /* [keys, D] */
    float *dk, *dv;           /* [T, D] */
} attention_buffers;

/* One thread's product of floats, within parallel regions: alpha op(A) op(B), or added to C. */
static void sgemm(bool transpose_a, bool transpose_b, int64_t M, int64_t N, int64_t K, float alpha, const float *A,
                  int64_t lda, const float *B, int64_t ldb, bool add, float *C, int64_t ldc) {
    const float beta = add ? 1.0f : 0.0f;
#if FAST_ONEDNN
    if (lf_onednn_has_float() && dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', M, N, K, alpha, A, lda, B,
                                            ldb, beta, C, ldc) == dnnl_success)
        return;
#endif
    assert(M <= INT32_MAX && N <= INT32_MAX && K <= INT32_MAX && lda <= INT32_MAX && ldb <= INT32_MAX &&
           ldc <= INT32_MAX);
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)M, (blasint)N, (blasint)K, alpha, A, (blasint)lda, B, (blasint)ldb, beta, C, (blasint)ldc);
}

#define DK_FACTOR(d) 1.0f /* q is scaled when it is copied */

/* Puts the buffers at `base` (NULL: only counts); returns how many floats they take. */
static int64_t lay_out(attention_buffers *w, const lf_attention_dims *d, bool backward, float *base) {
    *w = (attention_buffers){.queries = query_block(d), .keys = block_size(d->T, MAX_KEYS), .width = d->D};
    const int64_t queries = w->queries * d->D, keys = w->keys * d->D, all = backward ? d->T * d->D : 0;
    const struct {
        float **at;
        int64_t n;
    } parts[] = {{&w->p, w->queries * w->keys},
                 {&w->dp, backward ? w->queries * w->keys : 0},
                 {&w->max, w->queries},
                 {&w->sum, w->queries},
                 {&w->q, queries},
                 {&w->o, queries},
                 {&w->dout, backward ? queries : 0},
                 {&w->dq, backward ? queries : 0},
                 {&w->k, keys},
                 {&w->v, keys},
                 {&w->dk, all},
                 {&w->dv, all}};
    int64_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (base) *parts[i].at = base + used;
        used += (parts[i].n + 15) / 16 * 16;
    }
    return used;
}

#include "kernels/fast/attention_rows.inc.c"

static void copy_in(float *to, const act *from, int64_t rows, int64_t D, int64_t stride, float factor) {
    for (int64_t i = 0; i < rows; i++)
        SIMD for (int64_t c = 0; c < D; c++) to[i * D + c] = factor * LD(from[i * stride + c]);
}

static float dot(const float *a, const float *b, int64_t n) {
    float sum = 0;
    LF_PRAGMA(omp simd reduction(+ : sum))
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* o and lse of one block of queries; k, v: of the tile's head, from the first key on. */
static void attend(const attention_buffers *w, attention_tile t, const lf_attention_dims *d, const dropout_rule *rule,
                   act *o, float *lse, const act *q, const act *k, const act *v) {
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
        copy_out(o + row * d->ldo, d->ldo, w->o + row * D, D, 1, D, share_of(w->sum[row]));
        lse[row] = logsumexp_of(w->max[row], w->sum[row]);
    }
}

/* Writes dq of one block of queries, adds to the head's dk and dv in the buffers. */
static void attend_backward(const attention_buffers *w, attention_tile t, const lf_attention_dims *d,
                            const dropout_rule *rule, act *dq, const act *dout, const act *o, const float *lse,
                            const act *q, const act *k, const act *v) {
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
    copy_out(dq, d->ldq, w->dq, D, t.n, D, (float)d->scale);
}

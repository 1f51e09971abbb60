/* Generation: each layer's keys and values of the tokens so far stand in a row of the cache as attention wants them, so that a
 * new token costs one row of every product and one row of scores. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "model/lm.h"

struct lf_kv_cache {
    const lf_model *model;
    int64_t max_T, length, n_new; /* length: tokens of finished passes; n_new: of the running one */
    size_t kv_row, q_row;         /* bytes: k and v of a token side by side; its q */
    char **kv;                    /* [n_layers] of [max_T] rows, in activations */
    char *q;                      /* of the running layer: room for q_rows */
    int64_t q_rows;
    int32_t *positions;           /* [max_T] 0, 1, 2, ... */
};

void lf_kv_cache_free(lf_kv_cache *c) {
    if (!c) return;
    for (int64_t i = 0; c->kv && i < c->model->n_layers; i++) lf_aligned_free(c->kv[i]);
    lf_free(c->kv);
    lf_aligned_free(c->q);
    lf_free(c->positions);
    lf_free(c);
}

lf_status lf_kv_cache_new(lf_kv_cache **out, const lf_model *m, int64_t max_T, lf_err *err) {
    assert(m->is_lm && max_T > 0);
    const size_t number = lf_dtype_size(m->nn.k->act_dtype);
    lf_kv_cache *c = *out = lf_calloc(1, sizeof *c);
    bool ok = c != NULL;
    if (ok) {
        *c = (lf_kv_cache){.model = m, .max_T = max_T, .kv_row = (size_t)(2 * m->kv_heads * m->head_size) * number,
                           .q_row = (size_t)(m->heads * m->head_size) * number};
        c->kv = lf_calloc((size_t)m->n_layers, sizeof *c->kv);
        c->positions = lf_malloc((size_t)max_T * sizeof *c->positions);
        ok = c->kv && c->positions;
    }
    for (int64_t i = 0; ok && i < max_T; i++) c->positions[i] = (int32_t)i;
    for (int64_t i = 0; ok && i < m->n_layers; i++) ok = (c->kv[i] = lf_aligned_alloc((size_t)max_T * c->kv_row)) != NULL;
    if (ok) return LF_OK;
    lf_kv_cache_free(c);
    *out = NULL;
    return lf_fail(err, LF_ENOMEM, "%s: out of memory for the keys and values of %lld tokens", m->path, (long long)max_T);
}

int64_t lf_kv_cache_length(const lf_kv_cache *c) { return c->length; }
void lf_kv_cache_cut(lf_kv_cache *c, int64_t length) {
    assert(length >= 0 && length <= c->length);
    c->length = length;
}

static bool make_room_for_q(lf_kv_cache *c, lf_graph *g) {
    if (c->n_new <= c->q_rows) return true;
    lf_aligned_free(c->q);
    c->q = lf_aligned_alloc((size_t)c->n_new * c->q_row);
    c->q_rows = c->q ? c->n_new : 0;
    if (!c->q) lf_graph_fail(g, LF_ENOMEM, "out of memory for the queries of %lld tokens", (long long)c->n_new);
    return c->q != NULL;
}

lf_tensor *lf_lm_attention(lf_graph *g, lf_tensor *qkv, const lf_attention_opts *opts, lf_kv_cache *c, int64_t layer) {
    if (!qkv || !c) {
        lf_tensor *y = lf_attention(g, qkv, opts);
        lf_done(g, qkv);
        return y;
    }
    const lf_model *m = c->model;
    const int64_t T = c->length + c->n_new, D = m->head_size;
    const char *row = qkv->data;
    for (int64_t t = 0; t < c->n_new; t++, row += c->q_row + c->kv_row) {
        memcpy(c->q + (size_t)t * c->q_row, row, c->q_row);
        memcpy(c->kv[layer] + (size_t)(c->length + t) * c->kv_row, row + c->q_row, c->kv_row);
    }
    lf_done(g, qkv);
    lf_tensor *q = lf_graph_input(g, 3, (int64_t[]){1, c->n_new, m->heads * D}, c->q);
    lf_tensor *kv = lf_graph_input(g, 3, (int64_t[]){1, T, 2 * m->kv_heads * D}, c->kv[layer]);
    return lf_attention_of(g, q, kv, opts);
}

lf_tensor *lf_model_hidden_cached(lf_model *m, lf_graph *g, const lf_model_input *in, lf_kv_cache *c) {
    assert(m->is_lm && m == c->model && in->B == 1 && in->ids && in->T > 0);
    if (in->T > c->max_T - c->length) {
        lf_graph_fail(g, LF_EDATA, "%lld more tokens do not fit behind the %lld in a cache for %lld", (long long)in->T, (long long)c->length,
                      (long long)c->max_T);
        return NULL;
    }
    c->n_new = in->T;
    if (!make_room_for_q(c, g)) return NULL;
    const lf_model_input here = {.B = 1, .T = in->T, .ids = in->ids, .positions = c->positions + c->length};
    lf_tensor *hidden = lf_lm_hidden(m, g, &here, c);
    if (hidden) c->length += in->T;
    return hidden;
}

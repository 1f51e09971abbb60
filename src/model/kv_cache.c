/* The cache of keys and values that makes generating a token cost one token. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "model/model_internal.h"

lf_status lf_kv_cache_new(lf_kv_cache **out, const lf_model *m, int64_t capacity, lf_err *err) {
    const lf_kernels *k = m->nn.k;
    lf_kv_cache *c = lf_calloc(1, sizeof *c);
    const int64_t n_layers = m->n_layers;
    if (c) {
        *c = (lf_kv_cache){.n_layers = n_layers, .width = m->tokens.kv_width, .number = lf_dtype_size(k->act_dtype)};
        c->layers = lf_calloc((size_t)n_layers, sizeof *c->layers);
    }
    const lf_status rc =
        c && c->layers ? lf_kv_cache_reserve(c, capacity, err) : lf_no_memory(err, "a cache of keys and values");
    if (rc)
        lf_kv_cache_free(c);
    else
        *out = c;
    return rc;
}

lf_status lf_kv_cache_reserve(lf_kv_cache *c, int64_t capacity, lf_err *err) {
    if (capacity <= c->capacity) return LF_OK;
    for (int64_t i = 0; i < c->n_layers; i++) { /* after a failure some layers are longer than capacity says: no harm */
        char *grown = lf_aligned_alloc((size_t)(capacity * c->width) * c->number);
        if (!grown) return lf_no_memory(err, "a cache of %lld tokens", (long long)capacity);
        if (c->n) memcpy(grown, c->layers[i], (size_t)(c->n * c->width) * c->number);
        lf_aligned_free(c->layers[i]);
        c->layers[i] = grown;
    }
    c->capacity = capacity;
    return LF_OK;
}

void lf_kv_cache_free(lf_kv_cache *c) {
    if (!c) return;
    for (int64_t i = 0; c->layers && i < c->n_layers; i++) lf_aligned_free(c->layers[i]);
    lf_free(c->layers);
    lf_free(c);
}

int64_t lf_kv_cache_capacity(const lf_kv_cache *c) { return c->capacity; }
int64_t lf_kv_cache_count(const lf_kv_cache *c) { return c->n; }
void lf_kv_cache_cut(lf_kv_cache *c, int64_t n) {
    if (n < c->n) c->n = n;
}

/* Puts the keys and values of qkv [1,n,..] behind the layer's own; *q and *kv are leaves over the queries and all keys.
 */
static void append(lf_kv_cache *c, lf_graph *g, int64_t layer, const lf_tensor *qkv, int64_t q_width, lf_tensor **q,
                   lf_tensor **kv) {
    const int64_t n = qkv->shape[1], row = qkv->shape[2];
    assert(qkv->shape[0] == 1 && c->n + n <= c->capacity && row == q_width + c->width);
    char *queries = lf_graph_take(g, qkv->dtype, n * q_width),
         *to = c->layers[layer] + (size_t)(c->n * c->width) * c->number;
    for (int64_t i = 0; i < n && queries; i++) {
        const char *from = (const char *)qkv->data + (size_t)(i * row) * c->number;
        memcpy(queries + (size_t)(i * q_width) * c->number, from, (size_t)q_width * c->number);
        memcpy(to + (size_t)(i * c->width) * c->number, from + (size_t)q_width * c->number,
               (size_t)c->width * c->number);
    }
    *q = queries ? lf_graph_input(g, 3, (int64_t[]){1, n, q_width}, queries) : NULL;
    *kv = lf_graph_input(g, 3, (int64_t[]){1, c->n + n, c->width}, c->layers[layer]);
}

lf_tensor *lf_kv_attention(lf_kv_cache *c, lf_graph *g, int64_t layer, lf_tensor *qkv, int64_t q_width,
                           const lf_attention_opts *opts) {
    lf_tensor *q, *kv;
    if (!qkv) return NULL;
    append(c, g, layer, qkv, q_width, &q, &kv);
    return lf_attention_of(g, q, kv, opts);
}

lf_tensor *lf_lm_hidden_cached(const lf_model *m, lf_graph *g, const int32_t *ids, int64_t n, lf_kv_cache *c) {
    int32_t *positions = lf_graph_take_bytes(g, n * (int64_t)sizeof *positions);
    if (!positions) return NULL;
    for (int64_t i = 0; i < n; i++) positions[i] = (int32_t)(c->n + i);
    lf_tensor *hidden =
        lf_lm_hidden(m, g, &(lf_pass){.in = {.B = 1, .T = n, .ids = ids, .positions = positions}, .cache = c});
    if (hidden) c->n += n;
    return hidden;
}

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

/* Puts the keys and values of a text's columns of qkv, from `column` on, behind the layer's own; *q and *kv are leaves
 * over its queries and all its keys. */
static void append(const lf_cached_text *t, lf_graph *g, int64_t layer, const lf_tensor *qkv, int64_t column,
                   int64_t q_width, lf_tensor **q, lf_tensor **kv) {
    lf_kv_cache *c = t->cache;
    const int64_t row = qkv->shape[2];
    assert(qkv->shape[0] == 1 && c->n + t->n <= c->capacity && row == q_width + c->width);
    char *queries = lf_graph_take(g, qkv->dtype, t->n * q_width),
         *to = c->layers[layer] + (size_t)(c->n * c->width) * c->number;
    for (int64_t i = 0; i < t->n && queries; i++) {
        const char *from = (const char *)qkv->data + (size_t)((column + i) * row) * c->number;
        memcpy(queries + (size_t)(i * q_width) * c->number, from, (size_t)q_width * c->number);
        memcpy(to + (size_t)(i * c->width) * c->number, from + (size_t)q_width * c->number,
               (size_t)c->width * c->number);
    }
    *q = queries ? lf_graph_input(g, 3, (int64_t[]){1, t->n, q_width}, queries) : NULL;
    *kv = lf_graph_input(g, 3, (int64_t[]){1, c->n + t->n, c->width}, c->layers[layer]);
}

/* A call for each text is the call that it would get alone, so it gets the same numbers. */
lf_tensor *lf_kv_attention(const lf_cached_texts *c, lf_graph *g, int64_t layer, lf_tensor *qkv, int64_t q_width,
                           const lf_attention_opts *opts) {
    lf_attention_opts own = *opts;
    lf_tensor *q, *kv, *all = NULL;
    if (!qkv) return NULL;
    own.first = NULL; /* a text begins where its cache does */
    const size_t row = (size_t)q_width * lf_dtype_size(qkv->dtype);
    char *out = c->n > 1 ? lf_graph_take(g, qkv->dtype, qkv->shape[1] * q_width) : NULL;
    if (c->n > 1) all = out ? lf_graph_input(g, 3, (int64_t[]){1, qkv->shape[1], q_width}, out) : NULL;
    if (c->n > 1 && !all) return NULL;
    for (int64_t i = 0, column = 0; i < c->n; column += c->texts[i++].n) {
        append(&c->texts[i], g, layer, qkv, column, q_width, &q, &kv);
        lf_tensor *o = lf_attention_of(g, q, kv, &own);
        if (q) lf_graph_give(g, q->data); /* it has been read */
        if (c->n == 1 || !o) return o;
        memcpy(out + (size_t)column * row, o->data, (size_t)c->texts[i].n * row);
        lf_done(g, o);
    }
    return all;
}

/* Where the tokens of each text stand, and in which column it begins, for what looks at a text's length. */
static bool lay_out(lf_model_input *in, lf_graph *g, const lf_cached_text *texts, int64_t n_texts) {
    const int64_t bytes = in->T * (int64_t)sizeof(int32_t);
    int32_t *ids = lf_graph_take_bytes(g, bytes), *positions = lf_graph_take_bytes(g, bytes),
            *first = lf_graph_take_bytes(g, bytes);
    if (!ids || !positions || !first) return false;
    for (int64_t i = 0, column = 0; i < n_texts; column += texts[i++].n)
        for (int64_t k = 0; k < texts[i].n; k++) {
            ids[column + k] = texts[i].ids[k];
            positions[column + k] = (int32_t)(texts[i].cache->n + k);
            first[column + k] = (int32_t)column;
        }
    in->ids = ids;
    in->positions = positions;
    in->first = first;
    return true;
}

lf_tensor *lf_lm_hidden_of_texts(const lf_model *m, lf_graph *g, const lf_cached_text *texts, int64_t n_texts) {
    const lf_cached_texts cached = {texts, n_texts};
    lf_pass pass = {.in = {.B = 1}, .cache = &cached};
    for (int64_t i = 0; i < n_texts; i++) pass.in.T += texts[i].n;
    lf_tensor *hidden = lay_out(&pass.in, g, texts, n_texts) ? lf_lm_hidden(m, g, &pass) : NULL;
    for (int64_t i = 0; i < n_texts && hidden; i++) texts[i].cache->n += texts[i].n;
    return hidden;
}

lf_tensor *lf_lm_hidden_cached(const lf_model *m, lf_graph *g, const int32_t *ids, int64_t n, lf_kv_cache *c) {
    return lf_lm_hidden_of_texts(m, g, &(lf_cached_text){c, ids, n}, 1);
}

#include "text/word_cache.h"

#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

enum { SLOTS = 1 << 16, MOST_BYTES = 4 << 20, LONGEST = 256 };

void lf_word_cache_free(lf_word_cache *c) {
    lf_free(c->slots);
    lf_string_free(&c->keys);
    lf_string_free(&c->ids);
    *c = (lf_word_cache){0};
}

const int32_t *lf_word_cache_find(const lf_word_cache *c, const char *word, size_t size, uint32_t *n) {
    if (!c->slots || size > LONGEST) return NULL;
    const uint64_t hash = XXH3_64bits(word, size);
    const lf_cached_word *slot = &c->slots[hash & (SLOTS - 1)];
    if (slot->hash != hash || slot->key_size != size || memcmp(c->keys.s + slot->key, word, size) != 0) return NULL;
    *n = slot->n_ids;
    return (const int32_t *)(const void *)c->ids.s + slot->ids;
}

void lf_word_cache_put(lf_word_cache *c, const char *word, size_t size, const int32_t *ids, size_t n) {
    if (size == 0 || size > LONGEST || n > LONGEST) return;
    if (!c->slots && !(c->slots = lf_calloc(SLOTS, sizeof *c->slots))) return;
    if (c->keys.n > MOST_BYTES || c->ids.n > MOST_BYTES) {
        memset(c->slots, 0, SLOTS * sizeof *c->slots);
        lf_string_empty(&c->keys);
        lf_string_empty(&c->ids);
    }
    if (!lf_string_reserve(&c->keys, size) || !lf_string_reserve(&c->ids, n * sizeof *ids)) return;
    const uint64_t hash = XXH3_64bits(word, size);
    /* A word that is there under the same slot is overwritten; its bytes go when the cache is emptied. */
    c->slots[hash & (SLOTS - 1)] = (lf_cached_word){.hash = hash,
                                                    .key = (uint32_t)c->keys.n,
                                                    .key_size = (uint32_t)size,
                                                    .ids = (uint32_t)(c->ids.n / sizeof *ids),
                                                    .n_ids = (uint32_t)n};
    lf_string_put(&c->keys, word, size); /* there is room */
    lf_string_put(&c->ids, ids, n * sizeof *ids);
}

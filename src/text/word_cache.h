/* The ids of words seen before. Natural text repeats its words, and looking one up is ten times as fast as merging. */
#ifndef LF_TEXT_WORD_CACHE_H
#define LF_TEXT_WORD_CACHE_H

#include "base/string.h"

typedef struct lf_cached_word {
    uint64_t hash;
    uint32_t key, key_size; /* in keys; size 0: an empty slot */
    uint32_t ids, n_ids;    /* in ids */
} lf_cached_word;

/* Start with {0}. Never grows above some megabytes: a full cache is emptied. */
typedef struct lf_word_cache {
    lf_cached_word *slots;
    lf_string keys, ids;
} lf_word_cache;

/* The ids of a word, *n of them; NULL if it is not there. Valid until the next put. */
const int32_t *lf_word_cache_find(const lf_word_cache *c, const char *word, size_t size, uint32_t *n);
/* Does nothing if there is no memory or the word is very long: a cache may forget. */
void lf_word_cache_put(lf_word_cache *c, const char *word, size_t size, const int32_t *ids, size_t n);
void lf_word_cache_free(lf_word_cache *c);

#endif

#include "base/pool.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* Every block has a header in front of it, one alignment unit long, so that the block itself stays aligned. */
typedef struct header {
    struct header *next; /* in the free list of its size */
    struct header *all;  /* every block of the pool */
    size_t size;
    int in_use;
} header;

enum { N_CLASSES = 64 }; /* a model has far fewer distinct sizes; more share a list and are searched */

struct lf_pool {
    header *free_lists[N_CLASSES];
    header *all;
    int64_t bytes;
};

static_assert(sizeof(header) <= LF_ALIGN, "the header must fit into one alignment unit");

static size_t rounded(size_t size) {
    /* Large blocks share sizes that differ a little (last batch smaller): round up to 1/16 of the leading power. */
    size_t unit = LF_ALIGN;
    while (unit * 16 < size) unit *= 2;
    return (size + unit - 1) / unit * unit;
}

static unsigned class_of(size_t size) { return (unsigned)((size * 0x9e3779b97f4a7c15u) >> 58); }

lf_pool *lf_pool_new(void) { return lf_calloc(1, sizeof(lf_pool)); }

void lf_pool_free(lf_pool *p) {
    if (!p) return;
    for (header *h = p->all, *next; h; h = next) {
        next = h->all;
        lf_aligned_free(h);
    }
    lf_free(p);
}

void *lf_pool_take(lf_pool *p, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size = rounded(size ? size : 1);
    header **list = &p->free_lists[class_of(size)];
    for (header **at = list; *at; at = &(*at)->next)
        if ((*at)->size == size) {
            header *h = *at;
            *at = h->next;
            h->in_use = 1;
            return (char *)h + LF_ALIGN;
        }
    header *h = lf_aligned_alloc(size + LF_ALIGN);
    if (!h) return NULL;
    *h = (header){.all = p->all, .size = size, .in_use = 1};
    p->all = h;
    p->bytes += (int64_t)(size + LF_ALIGN);
    return (char *)h + LF_ALIGN;
}

void lf_pool_give(lf_pool *p, void *block) {
    if (!block) return;
    header *h = (header *)(void *)((char *)block - LF_ALIGN);
    assert(h->in_use);
#ifndef NDEBUG
    memset(block, 0xff, h->size); /* NaN in every float format: a use after the give is seen at once */
#endif
    h->in_use = 0;
    header **list = &p->free_lists[class_of(h->size)];
    h->next = *list;
    *list = h;
}

void lf_pool_reset(lf_pool *p) {
    for (header *h = p->all; h; h = h->all)
        if (h->in_use) lf_pool_give(p, (char *)h + LF_ALIGN);
}

void lf_pool_shrink(lf_pool *p) {
    memset(p->free_lists, 0, sizeof p->free_lists);
    for (header **at = &p->all, *h; (h = *at);) {
        if (h->in_use) {
            at = &h->all;
            continue;
        }
        *at = h->all;
        p->bytes -= (int64_t)(h->size + LF_ALIGN);
        lf_aligned_free(h);
    }
}

int64_t lf_pool_bytes(const lf_pool *p) { return p->bytes; }

typedef struct chunk {
    struct chunk *next;
    size_t size, used;
} chunk;

struct lf_arena {
    chunk *chunks;
};

lf_arena *lf_arena_new(void) { return lf_calloc(1, sizeof(lf_arena)); }

void lf_arena_free(lf_arena *a) {
    if (!a) return;
    for (chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        lf_aligned_free(c);
    }
    lf_free(a);
}

void *lf_arena_alloc(lf_arena *a, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size = (size + LF_ALIGN - 1) / LF_ALIGN * LF_ALIGN;
    if (!a->chunks || a->chunks->size - a->chunks->used < size) {
        const size_t want = size > (1u << 20) ? size : (1u << 20);
        chunk *c = lf_aligned_alloc(want + LF_ALIGN);
        if (!c) return NULL;
        *c = (chunk){.next = a->chunks, .size = want};
        a->chunks = c;
    }
    void *p = (char *)a->chunks + LF_ALIGN + a->chunks->used;
    a->chunks->used += size;
    return memset(p, 0, size);
}

int64_t lf_arena_bytes(const lf_arena *a) {
    int64_t bytes = 0;
    for (const chunk *c = a->chunks; c; c = c->next) bytes += (int64_t)c->size;
    return bytes;
}

char *lf_arena_strdup(lf_arena *a, const char *s) {
    const size_t n = strlen(s) + 1;
    char *p = lf_arena_alloc(a, n);
    return p ? memcpy(p, s, n) : NULL;
}

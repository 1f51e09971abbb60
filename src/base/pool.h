/* Memory for one training step: blocks of a few sizes that come back again and again, in one growing arena.
 * Blocks that are given back go to a list for their exact size, so that a warm step takes every block from a list
 * and makes no heap call, and so that gradients live in what activations left behind. */
#ifndef LF_BASE_POOL_H
#define LF_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

typedef struct lf_pool lf_pool;

lf_pool *lf_pool_new(void); /* NULL when out of memory */
void lf_pool_free(lf_pool *p);
void *lf_pool_take(lf_pool *p, size_t size); /* aligned to LF_ALIGN, not cleared; NULL when out of memory */
void lf_pool_give(lf_pool *p, void *block);  /* accepts NULL */
void lf_pool_reset(lf_pool *p);              /* gives all blocks back */
void lf_pool_shrink(lf_pool *p);             /* what is given back goes back to the heap */
int64_t lf_pool_bytes(const lf_pool *p);     /* held from the heap */

/* A plain arena for what lives as long as a model or a run: bump allocation, freed at once. */
typedef struct lf_arena lf_arena;
lf_arena *lf_arena_new(void);
void lf_arena_free(lf_arena *a);
void *lf_arena_alloc(lf_arena *a, size_t size); /* aligned to LF_ALIGN, cleared; NULL when out of memory */
int64_t lf_arena_bytes(const lf_arena *a);      /* held from the heap */
char *lf_arena_strdup(lf_arena *a, const char *s);

#endif

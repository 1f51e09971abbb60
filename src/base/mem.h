/* The one door to the heap. It counts, so that tests can require that nothing leaks and that a warm training step
 * makes no call, and it can be told to fail, so that tests walk every out-of-memory path. */
#ifndef LF_BASE_MEM_H
#define LF_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LF_ALIGN 64 /* one cache line, one AVX-512 register */
static inline int64_t lf_align_up(int64_t bytes) { return (bytes + LF_ALIGN - 1) / LF_ALIGN * LF_ALIGN; }

/* size 0 gives a valid pointer. NULL on failure. Freed by lf_free, which accepts NULL. Thread safe. */
void *lf_malloc(size_t size);
void *lf_calloc(size_t count, size_t size); /* overflow of count * size: NULL */
void *lf_realloc(void *p, size_t size);
char *lf_strdup(const char *s);
char *lf_copy_text(const char *s, size_t n); /* n bytes, NUL bytes among them, and a NUL behind */
char *lf_format(const char *format, ...) __attribute__((format(printf, 1, 2))); /* sprintf into a new string */
void lf_free(void *p);

/* An array that doubles: `array` is the address of its pointer (freed by lf_free), *capacity (size_t or int64_t) for
 * how many elements there is room. Afterwards there is room for `wanted`; false: no memory, and both are as they were.
 */
#define lf_grow(array, capacity, wanted)                                                                               \
    _Generic((capacity), size_t * : lf_grow_size, int64_t * : lf_grow_i64)(array, capacity, wanted, sizeof **(array))
bool lf_grow_size(void *array, size_t *capacity, size_t wanted, size_t element);
bool lf_grow_i64(void *array, int64_t *capacity, int64_t wanted, size_t element);

/* Aligned to LF_ALIGN, not cleared. Freed by lf_aligned_free. */
void *lf_aligned_alloc(size_t size);
void lf_aligned_free(void *p);

/* *out = a * b (or a + b); true on overflow. */
static inline bool lf_mul_overflow(uint64_t a, uint64_t b, uint64_t *out) { return __builtin_mul_overflow(a, b, out); }
static inline bool lf_add_overflow(uint64_t a, uint64_t b, uint64_t *out) { return __builtin_add_overflow(a, b, out); }

/* For tests. */
uint64_t lf_alloc_calls(void);       /* calls of malloc, calloc, realloc and aligned_alloc so far */
int64_t lf_alloc_live(void);         /* blocks not yet freed */
void lf_alloc_fail_after(int64_t n); /* the n-th next allocation (0 = the next) and all later ones fail; -1: never */

#endif

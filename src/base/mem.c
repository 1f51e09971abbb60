#include "base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t calls;
static atomic_int_fast64_t live;
static atomic_int_fast64_t fail_after = -1;

uint64_t lf_alloc_calls(void) { return atomic_load(&calls); }
int64_t lf_alloc_live(void) { return atomic_load(&live); }
void lf_alloc_fail_after(int64_t n) { atomic_store(&fail_after, n); }

static bool refuse(void) {
    atomic_fetch_add(&calls, 1);
    int_fast64_t left = atomic_load(&fail_after);
    while (left > 0) /* two threads must not both take the last one: below 0 means "never" */
        if (atomic_compare_exchange_weak(&fail_after, &left, left - 1)) return false;
    return left == 0;
}

static void *counted(void *p) {
    if (p) atomic_fetch_add(&live, 1);
    return p;
}

void *lf_malloc(size_t size) { return refuse() ? NULL : counted(malloc(size ? size : 1)); }

void *lf_calloc(size_t count, size_t size) {
    uint64_t bytes; /* checked here: sanitizers end the program where calloc would say NULL */
    if (refuse() || lf_mul_overflow(count, size, &bytes)) return NULL;
    return counted(calloc(count ? count : 1, size ? size : 1));
}

void *lf_realloc(void *p, size_t size) {
    if (refuse()) return NULL;
    void *q = realloc(p, size ? size : 1);
    return p ? q : counted(q);
}

bool lf_grow_size(void *array, size_t *capacity, size_t wanted, size_t element) {
    if (wanted <= *capacity) return true;
    if (wanted > SIZE_MAX / 4 / element) return false;
    const size_t more = 2 * wanted + 16;
    void *old, *grown;
    memcpy(&old, array, sizeof old); /* `array` is the address of a pointer of any type */
    if (!(grown = lf_realloc(old, more * element))) return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = more;
    return true;
}

bool lf_grow_i64(void *array, int64_t *capacity, int64_t wanted, size_t element) {
    size_t room = (size_t)*capacity;
    if (!lf_grow_size(array, &room, (size_t)wanted, element)) return false;
    *capacity = (int64_t)room;
    return true;
}

char *lf_copy_text(const char *s, size_t n) {
    char *copy = n < SIZE_MAX ? lf_malloc(n + 1) : NULL;
    if (!copy) return NULL;
    memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

char *lf_strdup(const char *s) { return lf_copy_text(s, strlen(s)); }

char *lf_format(const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) return NULL;
    char *p = lf_malloc((size_t)n + 1);
    if (!p) return NULL;
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return p;
}

void lf_free(void *p) {
    if (p) atomic_fetch_sub(&live, 1);
    free(p);
}

void *lf_aligned_alloc(size_t size) {
    if (refuse() || size > SIZE_MAX - LF_ALIGN) return NULL;
    const size_t rounded = (size + LF_ALIGN - 1) / LF_ALIGN * LF_ALIGN;
    return counted(aligned_alloc(LF_ALIGN, rounded ? rounded : LF_ALIGN));
}

void lf_aligned_free(void *p) { lf_free(p); }

/* Text that grows, by pieces or by format: the one such buffer. It may hold any bytes; a 0 that is not counted stands
 * behind them once something was put. */
#ifndef LF_BASE_STRING_H
#define LF_BASE_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lf_string {
    char *s; /* NULL while nothing was put */
    size_t n, capacity;
    bool
        failed; /* there was no memory: sticky, nothing is put until it is emptied; a caller may ask once, at the end */
} lf_string;

/* False if it has failed, now or before. */
bool lf_string_put(lf_string *t, const void *s, size_t n);
bool lf_string_put_char(lf_string *t, uint32_t c); /* a character, as UTF-8 */
bool lf_string_add(lf_string *t, const char *format, ...) LF_PRINTF(2, 3);

/* Room for that many bytes (and the 0) behind n, for who writes there himself. False: no memory, but not failed: a
 * cache may do without. */
bool lf_string_reserve(lf_string *t, size_t more);

/* The text, freed by lf_free; t is as new. "" if nothing was put, NULL if it has failed. */
char *lf_string_take(lf_string *t);
void lf_string_empty(lf_string *t); /* keeps its memory for what comes next; not failed any more */
void lf_string_free(lf_string *t);
void lf_string_swap(lf_string *a, lf_string *b);

/* s with a U+FFFD for each of what lf_utf8_bad_size counts: file names, which may be any bytes, where text must be
 * UTF-8. Freed by lf_free; NULL when out of memory. */
char *lf_string_repaired(const char *s);

#endif

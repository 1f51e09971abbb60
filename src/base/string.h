/* Text that grows. Failure is sticky: after it nothing is added, and lf_string_take gives NULL. */
#ifndef LF_BASE_STRING_H
#define LF_BASE_STRING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct lf_string {
    char *s; /* NULL while empty */
    size_t length, capacity;
    bool failed;
} lf_string;

void lf_string_add(lf_string *t, const char *format, ...) LF_PRINTF(2, 3);
char *
lf_string_take(lf_string *t); /* "" for an empty text, NULL when out of memory; freed by lf_free; t is empty after */
void lf_string_clear(lf_string *t);

#endif

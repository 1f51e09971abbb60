/* Text that grows. Failure is sticky: after it nothing is added, and lf_text_take gives NULL. */
#ifndef LF_ADAPTER_TEXT_H
#define LF_ADAPTER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct lf_text {
    char *s; /* NULL while empty */
    size_t length, capacity;
    bool failed;
} lf_text;

void lf_text_add(lf_text *t, const char *format, ...) LF_PRINTF(2, 3);
char *lf_text_take(lf_text *t); /* "" for an empty text, NULL when out of memory; freed by lf_free; t is empty after */
void lf_text_clear(lf_text *t);

#endif

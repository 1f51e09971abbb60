#include "base/string.h"

#include <stdarg.h>

#include "base/mem.h"

static bool reserve(lf_string *t, size_t more) {
    if (t->capacity - t->length > more) return true;
    const size_t capacity = 2 * (t->length + more) + 64;
    char *grown = lf_realloc(t->s, capacity);
    if (!grown) return false;
    t->s = grown;
    t->capacity = capacity;
    return true;
}

void lf_string_add(lf_string *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (t->failed || n < 0 || !reserve(t, (size_t)n)) {
        t->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(t->s + t->length, (size_t)n + 1, format, args);
    va_end(args);
    t->length += (size_t)n;
}

char *lf_string_take(lf_string *t) {
    char *s = t->s;
    if (t->failed) {
        lf_free(s);
        s = NULL;
    } else if (!s) {
        s = lf_strdup("");
    }
    *t = (lf_string){0};
    return s;
}

void lf_string_clear(lf_string *t) {
    lf_free(t->s);
    *t = (lf_string){0};
}

#include "base/string.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

bool lf_string_reserve(lf_string *t, size_t more) {
    if (t->capacity - t->n > more) return true;
    if (more > SIZE_MAX / 4 || t->n > SIZE_MAX / 4) return false;
    const size_t capacity = 2 * (t->n + more) + 64;
    char *grown = lf_realloc(t->s, capacity);
    if (!grown) return false;
    t->s = grown;
    t->capacity = capacity;
    return true;
}

/* Room to write, or it has failed. */
static bool ready(lf_string *t, size_t more) {
    t->failed = t->failed || !lf_string_reserve(t, more);
    return !t->failed;
}

bool lf_string_put(lf_string *t, const void *s, size_t n) {
    if (!ready(t, n)) return false;
    if (n > 0) memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = 0;
    return true;
}

bool lf_string_put_char(lf_string *t, uint32_t c) {
    char s[4];
    return lf_string_put(t, s, lf_utf8_put(s, c));
}

bool lf_string_add(lf_string *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) t->failed = true;
    if (!ready(t, n < 0 ? 0 : (size_t)n)) return false;
    va_start(args, format);
    vsnprintf(t->s + t->n, (size_t)n + 1, format, args);
    va_end(args);
    t->n += (size_t)n;
    return true;
}

char *lf_string_take(lf_string *t) {
    char *s = NULL;
    if (lf_string_put(t, "", 0)) {
        s = t->s;
        t->s = NULL;
    }
    lf_string_free(t);
    return s;
}

void lf_string_empty(lf_string *t) {
    t->n = 0;
    t->failed = false;
}

void lf_string_free(lf_string *t) {
    lf_free(t->s);
    *t = (lf_string){0};
}

void lf_string_swap(lf_string *a, lf_string *b) {
    const lf_string c = *a;
    *a = *b;
    *b = c;
}

char *lf_string_repaired(const char *s) {
    lf_string t = {0};
    for (size_t n = strlen(s); n > 0;) {
        const size_t good = lf_utf8_invalid(s, n), bad = good < n ? lf_utf8_bad_size(s + good, n - good) : 0;
        lf_string_put(&t, s, good);
        if (bad) lf_string_put_char(&t, 0xfffd);
        s += good + bad;
        n -= good + bad;
    }
    return lf_string_take(&t);
}

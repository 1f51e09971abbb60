/* Counts by kind. There are few kinds, so they are looked through. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/left_out.h"
#include "base/mem.h"

enum { LONGEST_EXTENSION = 16, TAIL = 48 }; /* bytes; of " of N other kinds" with the widest numbers */

bool lf_left_out_add(lf_left_out *l, const char *kind) {
    size_t i = 0;
    while (i < l->n && strcmp(l->kinds[i].name, kind) != 0) i++;
    if (i == l->n) {
        char *name = lf_grow(&l->kinds, &l->room, l->n + 1) ? lf_strdup(kind) : NULL;
        if (!name) return false;
        l->kinds[l->n++] = (struct lf_left_out_kind){name, 0};
    }
    l->kinds[i].count++;
    l->total++;
    return true;
}

bool lf_left_out_add_file(lf_left_out *l, const char *name) {
    char kind[LONGEST_EXTENSION + 1] = "no extension";
    const char *base = lf_path_base(name), *dot = strrchr(base, '.');
    const size_t n = dot && dot != base ? strlen(dot) : 0;
    if (n > 1 && n <= LONGEST_EXTENSION)
        for (size_t i = 0; i <= n; i++) kind[i] = (char)tolower((unsigned char)dot[i]);
    return lf_left_out_add(l, kind);
}

static int by_count(const void *a, const void *b) {
    const struct lf_left_out_kind *x = *(const struct lf_left_out_kind *const *)a,
                                  *y = *(const struct lf_left_out_kind *const *)b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

const char *lf_left_out_text(const lf_left_out *l, char *buf, size_t size) {
    const struct lf_left_out_kind **sorted = lf_malloc(l->n * sizeof *sorted);
    buf[0] = 0;
    if (!sorted) { /* a message: less of it rather than none */
        snprintf(buf, size, "%" PRId64 " of %zu kinds", l->total, l->n);
        return buf;
    }
    for (size_t i = 0; i < l->n; i++) sorted[i] = &l->kinds[i];
    qsort(sorted, l->n, sizeof *sorted, by_count);
    int64_t left = l->total;
    size_t at = 0;
    for (size_t i = 0; i < l->n; i++) {
        const size_t room = size - at;
        const bool last = i + 1 == l->n;
        const int n = snprintf(NULL, 0, "%s%" PRId64 " %s", i ? ", " : "", sorted[i]->count, sorted[i]->name);
        if (n < 0 || (size_t)n + (last ? 1 : TAIL) > room) {
            snprintf(buf + at, room, "%s%" PRId64 " of %zu other kinds", i ? ", " : "", left, l->n - i);
            break;
        }
        at += (size_t)snprintf(buf + at, room, "%s%" PRId64 " %s", i ? ", " : "", sorted[i]->count, sorted[i]->name);
        left -= sorted[i]->count;
    }
    lf_free(sorted);
    return buf;
}

void lf_left_out_free(lf_left_out *l) {
    for (size_t i = 0; i < l->n; i++) lf_free(l->kinds[i].name);
    lf_free(l->kinds);
    *l = (lf_left_out){0};
}

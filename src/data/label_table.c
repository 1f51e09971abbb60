#include "data/label_table.h"

#include <string.h>

#include "base/mem.h"

static uint64_t hash_of(const char *s) { /* FNV-1a */
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *s; s++) h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
    return h;
}

int32_t *lf_label_table_at(const lf_label_table *t, const char *const *names, const char *name) {
    size_t at = (size_t)hash_of(name) & (t->size - 1);
    while (t->slots[at] >= 0 && strcmp(names[t->slots[at]], name)) at = (at + 1) & (t->size - 1);
    return &t->slots[at];
}

bool lf_label_table_fill(lf_label_table *t, const char *const *names, int64_t n) {
    size_t size = 64;
    while (size < 4 * (size_t)n) size *= 2;
    int32_t *slots = lf_malloc(size * sizeof *slots);
    if (!slots) return false;
    memset(slots, -1, size * sizeof *slots);
    lf_free(t->slots);
    t->slots = slots;
    t->size = size;
    for (int64_t i = 0; i < n; i++) *lf_label_table_at(t, names, names[i]) = (int32_t)i;
    return true;
}

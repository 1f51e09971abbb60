/* A growing list of token ids. */
#ifndef LF_TEXT_IDS_H
#define LF_TEXT_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

typedef struct lf_ids {
    int32_t *ids;
    int64_t n, capacity;
} lf_ids;

/* Room for `more` ids behind the n that are there; false when out of memory, and the list is as it was. */
static inline bool lf_ids_reserve(lf_ids *l, int64_t more) { return lf_grow(&l->ids, &l->capacity, l->n + more); }

static inline bool lf_ids_append(lf_ids *l, const int32_t *ids, int64_t n) {
    if (!lf_ids_reserve(l, n)) return false;
    if (n > 0) memcpy(l->ids + l->n, ids, (size_t)n * sizeof *ids);
    l->n += n;
    return true;
}

static inline void lf_ids_free(lf_ids *l) {
    lf_free(l->ids);
    *l = (lf_ids){0};
}

#endif

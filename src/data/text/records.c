/* Where the records of a file begin, and what they are called in messages. */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "data/text/internal.h"

enum { DROP_EVERY = 1 << 26 }; /* bytes */

lf_status lf_text_store_add(lf_text_store *s, uint64_t begin, lf_err *err) {
    if (!lf_grow(&s->begin, &s->capacity, s->n + 1))
        return lf_no_memory(err, "an index of %" PRId64 " records of %s", s->n + 1, s->path);
    s->begin[s->n++] = begin;
    if (s->map.mapping && begin - s->dropped > DROP_EVERY) {
        lf_text_map_drop(&s->map, begin);
        s->dropped = begin;
    }
    return LF_OK;
}

const char *lf_text_store_record_name(const lf_text_store *s, int64_t i, char *buf, size_t size) {
    if (s->format->name_of)
        s->format->name_of(s, i, buf, size);
    else if (s->format->windowed)
        snprintf(buf, size, "%s", s->names[i]);
    else
        snprintf(buf, size, "%s: line %" PRIu64, s->map.path, lf_text_map_line(&s->map, s->begin[i]));
    return buf;
}

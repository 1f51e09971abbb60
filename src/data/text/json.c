/* A list of objects, or objects one after the other: records that may go over several lines. The index only tells where
 * objects begin and end; what is in them is checked when one is parsed. */
#include <inttypes.h>
#include <string.h>

#include "base/mistaken.h"
#include "data/text/internal.h"

static uint64_t skip_blank(const lf_text_map *m, uint64_t at) {
    while (at < m->size && memchr(" \t\r\n", m->data[at], 4)) at++;
    return at;
}

/* Behind the closing bracket of the object at `at`; 0 if there is none. */
static uint64_t object_end(const lf_text_map *m, uint64_t at) {
    uint64_t depth = 0;
    bool quoted = false;
    for (; at < m->size; at++) {
        const char c = m->data[at];
        if (quoted) {
            if (c == '\\') at++;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return at + 1;
        }
    }
    return 0;
}

static lf_status expected(const lf_text_store *s, uint64_t at, const char *what, lf_err *err) {
    const uint64_t line = lf_text_map_line(&s->map, at);
    const char *mistaken = lf_mistaken_text(s->map.data, s->map.size);
    if (mistaken) return lf_fail(err, LF_EDATA, "%s: expected JSON, found %s", s->map.path, mistaken);
    if (at >= s->map.size)
        return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": expected %s, found the end of the file; is it whole?",
                       s->map.path, line, what);
    return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": expected %s, found '%c'", s->map.path, line, what,
                   s->map.data[at]);
}

static lf_status index_objects(lf_text_store *s, lf_err *err) {
    const lf_text_map *m = &s->map;
    uint64_t at = skip_blank(m, 0);
    lf_status rc = LF_OK;
    const bool list = at < m->size && m->data[at] == '[';
    if (list) at = skip_blank(m, at + 1);
    bool more = at < m->size && !(list && m->data[at] == ']');
    while (more && !rc) {
        if (at >= m->size || m->data[at] != '{') return expected(s, at, "an object, '{'", err);
        const uint64_t end = object_end(m, at);
        if (!end)
            return lf_fail(err, LF_EDATA,
                           "%s: line %" PRIu64 ": the object that begins here is not closed; is the file whole?",
                           m->path, lf_text_map_line(m, at));
        rc = lf_text_store_add(s, at, err);
        at = skip_blank(m, end);
        more = list ? at < m->size && m->data[at] == ',' : at < m->size;
        if (list && more) at = skip_blank(m, at + 1);
    }
    if (rc || !list) return rc;
    if (at >= m->size || m->data[at] != ']') return expected(s, at, "',' or ']'", err);
    at = skip_blank(m, at + 1);
    return at < m->size ? expected(s, at, "nothing behind the list", err) : LF_OK;
}

static lf_status record(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    return lf_text_parse_object(s, s->begin[i], object_end(&s->map, s->begin[i]), out, err);
}

const lf_text_format lf_text_json = {.name = "json", .index = index_objects, .record = record};

/* A JSON object a line. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "data/text/internal.h"

static const char *line_end(const lf_text_map *m, uint64_t begin) {
    const char *s = m->data + begin, *end = memchr(s, '\n', m->size - (size_t)begin);
    return end ? end : m->data + m->size;
}

static bool is_blank(const char *s, const char *end) {
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\r')) s++;
    return s == end;
}

/* Is there another object behind a carriage return in the first line? JSON itself may hold one between its parts. */
static bool has_bare_returns(const lf_text_map *m) {
    if (!m->size) return false;
    const char *const end = line_end(m, 0), *s = m->data;
    while ((s = memchr(s, '\r', (size_t)(end - s)))) {
        const char *before = s++;
        while (s < end && *s == '\r') s++;
        if (before > m->data && before[-1] == '}' && s < end && *s == '{') return true;
    }
    return false;
}

static lf_status index_lines(lf_text_store *s, lf_err *err) {
    if (has_bare_returns(&s->map))
        return lf_fail(
            err, LF_EDATA,
            "%s: its lines end in a carriage return alone, as on old Macs; write line feeds: tr '\\r' '\\n' < "
            "IN > OUT",
            s->map.path);
    lf_status rc = LF_OK;
    for (uint64_t at = 0; at < s->map.size && !rc;) {
        const char *end = line_end(&s->map, at);
        if (!is_blank(s->map.data + at, end)) rc = lf_text_store_add(s, at, err);
        at = (uint64_t)(end - s->map.data) + 1;
    }
    return rc;
}

static lf_status record(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    const uint64_t begin = s->begin[i];
    return lf_text_parse_object(s, begin, (uint64_t)(line_end(&s->map, begin) - s->map.data), out, err);
}

lf_status lf_text_parse_object(const lf_text_store *s, uint64_t begin, uint64_t end, cJSON **out, lf_err *err) {
    const char *text = s->map.data + begin, *path = s->map.path;
    lf_status rc = lf_json_parse(out, text, (size_t)(end - begin), path, NULL);
    if (rc) /* the line is counted only now: that reads the file up to here */
        return lf_json_parse_at(out, text, (size_t)(end - begin), path, lf_text_map_line(&s->map, begin), err);
    if (cJSON_IsObject(*out)) return LF_OK;
    rc = lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": expected an object such as {\"text\": \"...\"}, found %s", path,
                 lf_text_map_line(&s->map, begin),
                 cJSON_IsArray(*out) ? "a list; is it a .json file?" : "another value");
    cJSON_Delete(*out);
    *out = NULL;
    return rc;
}

const lf_text_format lf_text_jsonl = {.name = "jsonl", .index = index_lines, .record = record};

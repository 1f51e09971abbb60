/* Questions as TREC's own files have them (train_5500.label, TREC_10.label): a line "DESC:manner How did it end ?" is a
 * class, a subclass and the text. A record's fields are those that the data set has on a hub: "text", "coarse_label"
 * ("DESC") and "fine_label" ("DESC:manner": the subclasses of two classes may be called the same). */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "data/text/trec.h"

/* ---- a line ---- */

typedef struct line {
    const char *begin, *class_end, *label_end, *text, *end;
} line;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
static bool is_capital(char c) { return isupper((unsigned char)c); }
static bool is_sub(char c) { return isalnum((unsigned char)c) || c == '_' || c == '-'; }

static const char *line_end(const lf_text_map *m, const char *begin) {
    const char *const end = m->data + m->size, *found = memchr(begin, '\n', (size_t)(end - begin));
    return found ? found : end;
}

/* Without the blanks at both ends; false: there is nothing else in it. */
static bool cut_line(line *l, const char *begin, const char *end) {
    while (begin < end && is_blank(*begin)) begin++;
    while (end > begin && is_blank(end[-1])) end--;
    *l = (line){.begin = begin, .end = end};
    return begin < end;
}

/* Two capitals or more, a colon, letters, a blank, a text. */
static bool read_line(line *l) {
    const char *s = l->begin;
    while (s < l->end && is_capital(*s)) s++;
    l->class_end = s;
    if (s - l->begin < 2 || s == l->end || *s != ':') return false;
    while (++s < l->end && is_sub(*s)) continue;
    l->label_end = s;
    while (s < l->end && is_blank(*s)) s++;
    l->text = s;
    return l->label_end > l->class_end + 1 && l->text > l->label_end && l->text < l->end;
}

bool lf_text_trec_fits(const lf_text_map *m) {
    bool any = false;
    for (const char *at = m->data, *end; at && at < m->data + m->size; at = end + 1) {
        line l;
        end = line_end(m, at);
        if (!cut_line(&l, at, end)) continue;
        if (!read_line(&l)) return false;
        any = true;
    }
    return any;
}

/* ---- the index ---- */

static lf_status bad_line(const lf_text_store *s, const line *l, lf_err *err) {
    const int shown = l->end - l->begin < 60 ? (int)(l->end - l->begin) : 60;
    return lf_fail(err, LF_EDATA,
                   "%s: line %" PRIu64 ": expected a class, a subclass and a text, as in 'DESC:manner How did it end "
                   "?', found '%.*s'",
                   s->map.path, lf_text_map_line(&s->map, (uint64_t)(l->begin - s->map.data)), shown, l->begin);
}

static size_t bad_bytes(const line *l) {
    size_t n = 0;
    for (const char *s = l->text + lf_utf8_invalid(l->text, (size_t)(l->end - l->text)); s < l->end;
         s += lf_utf8_invalid(s, (size_t)(l->end - s))) {
        s++;
        n++;
    }
    return n;
}

static lf_status index_lines(lf_text_store *s, lf_err *err) {
    const lf_text_map *m = &s->map;
    size_t bad = 0;
    uint64_t first_bad = 0;
    lf_status rc = LF_OK;
    for (const char *at = m->data, *end; !rc && at < m->data + m->size; at = end + 1) {
        line l;
        end = line_end(m, at);
        if (!cut_line(&l, at, end)) continue;
        if (!read_line(&l)) return bad_line(s, &l, err);
        const size_t here = bad_bytes(&l);
        if (here && !bad) first_bad = (uint64_t)(at - m->data);
        bad += here;
        rc = lf_text_store_add(s, (uint64_t)(at - m->data), err);
    }
    if (bad)
        lf_warn("%s: %zu bytes are not UTF-8, first in line %" PRIu64 "; each is read as a blank", m->path, bad,
                lf_text_map_line(m, first_bad));
    return rc;
}

/* ---- a record ---- */

static bool put(cJSON *record, const char *field, const char *begin, const char *end) {
    char *copy = lf_copy_text(begin, (size_t)(end - begin));
    for (char *s = copy, *const last = copy ? copy + (end - begin) : NULL; s < last;) {
        s += lf_utf8_invalid(s, (size_t)(last - s));
        if (s < last) *s++ = ' '; /* TREC's file has one byte that is no letter, between two words */
    }
    const bool ok = copy && cJSON_AddStringToObject(record, field, copy);
    lf_free(copy);
    return ok;
}

static lf_status record(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    const char *const begin = s->map.data + s->begin[i];
    line l;
    if (!cut_line(&l, begin, line_end(&s->map, begin)) || !read_line(&l)) return bad_line(s, &l, err);
    if (memchr(l.text, 0, (size_t)(l.end - l.text)))
        return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": a NUL byte; is this a text file?", s->map.path,
                       lf_text_map_line(&s->map, s->begin[i]));
    cJSON *made = cJSON_CreateObject();
    const bool ok = made && put(made, "text", l.text, l.end) && put(made, "coarse_label", l.begin, l.class_end) &&
                    put(made, "fine_label", l.begin, l.label_end);
    *out = ok ? made : NULL;
    if (!ok) cJSON_Delete(made);
    return ok ? LF_OK : lf_no_memory(err, "a record of %s", s->map.path);
}

const lf_text_format lf_text_trec = {.name = "trec", .labelled = true, .index = index_lines, .record = record};

/* CSV and TSV as RFC 4180 has them: a field may be quoted and then hold delimiters, line breaks and doubled quotes. A
 * quote inside a field that does not begin with one stands for itself. The first record names the columns. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "data/text/internal.h"

/* ---- fields -------------------------------------------------------------------------------------------------------
 */

typedef struct cursor {
    const char *at, *end;
    char delimiter;
} cursor;

typedef enum field_end { MORE_FIELDS, RECORD_ENDS, NOT_CLOSED, TEXT_BEHIND_QUOTE } field_end;

/* A carriage return goes with the line feed behind it, or with the end of the file. */
static bool is_return(const cursor *c, const char *s) {
    return s < c->end && *s == '\r' && (s + 1 == c->end || s[1] == '\n');
}

static void put(lf_string *out, const char *s, const char *end) {
    if (out) lf_string_put(out, s, (size_t)(end - s));
}

/* Moves behind the field and what ends it. out may be NULL. */
static field_end next_field(cursor *c, lf_string *out) {
    const char *s = c->at;
    if (s < c->end && *s == '"') {
        do {
            const char *quote = memchr(s + 1, '"', (size_t)(c->end - s - 1));
            if (!quote) return NOT_CLOSED;
            /* of a doubled quote, the second begins the next part and is put with it */
            const char *const from = s > c->at ? s : s + 1;
            put(out, from, quote);
            s = quote + 1;
        } while (s < c->end && *s == '"');
    } else {
        while (s < c->end && *s != c->delimiter && *s != '\n' && !is_return(c, s)) s++;
        put(out, c->at, s);
    }
    if (is_return(c, s)) s++;
    const bool ends = s == c->end || *s == '\n';
    if (!ends && *s != c->delimiter) {
        c->at = s;
        return TEXT_BEHIND_QUOTE;
    }
    c->at = s < c->end ? s + 1 : s;
    return ends ? RECORD_ENDS : MORE_FIELDS;
}

static lf_status bad_field(const lf_text_store *s, const char *begin, field_end end, lf_err *err) {
    return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": %s", s->map.path,
                   lf_text_map_line(&s->map, (uint64_t)(begin - s->map.data)),
                   end == NOT_CLOSED
                       ? "the quoted field that begins here is not closed; is the file whole?"
                       : "text behind the closing quote of the field that begins here; inside quotes, write "
                         "a quote twice");
}

static cursor cursor_at(const lf_text_store *s, uint64_t at, char delimiter) {
    return (cursor){s->map.data + at, s->map.data + s->map.size, delimiter};
}

static void skip_blank_lines(cursor *c) {
    while (c->at < c->end && (*c->at == '\n' || is_return(c, c->at))) c->at++;
}

/* ---- columns ------------------------------------------------------------------------------------------------------
 */

enum { MAX_COLUMNS = 4096 }; /* names are compared with one another */

static lf_status add_column(lf_text_store *s, const lf_string *name, int64_t *capacity, lf_err *err) {
    if (s->n_names == *capacity) {
        *capacity = 2 * *capacity + 8;
        const char **grown = lf_arena_alloc(s->arena, (size_t)*capacity * sizeof *grown);
        if (!grown) return lf_no_memory(err, "the columns of %s", s->map.path);
        if (s->n_names) memcpy(grown, s->names, (size_t)s->n_names * sizeof *grown);
        s->names = grown;
    }
    if (s->n_names == MAX_COLUMNS)
        return lf_fail(err, LF_EDATA, "%s: line 1: more than %d columns; is it CSV?", s->map.path, MAX_COLUMNS);
    for (int64_t i = 0; i < s->n_names; i++)
        if (!strcmp(s->names[i], name->s))
            return lf_fail(err, LF_EDATA, "%s: line 1: column '%.100s' is there twice; rename one", s->map.path,
                           name->s);
    if (!(s->names[s->n_names] = lf_arena_strdup(s->arena, name->s)))
        return lf_no_memory(err, "the columns of %s", s->map.path);
    s->n_names++;
    return LF_OK;
}

static lf_status read_header(lf_text_store *s, cursor *c, lf_err *err) {
    int64_t capacity = 0;
    lf_string name = {0};
    lf_status rc = LF_OK;
    field_end end = MORE_FIELDS;
    skip_blank_lines(c);
    const char *const begin = c->at;
    while (!rc && end == MORE_FIELDS) {
        const char *const field = c->at;
        lf_string_empty(&name);
        end = next_field(c, &name);
        lf_string_put(&name, "", 0);
        if (end > RECORD_ENDS)
            rc = bad_field(s, field, end, err);
        else if (name.failed)
            rc = lf_no_memory(err, "the columns of %s", s->map.path);
        else
            rc = add_column(s, &name, &capacity, err);
    }
    if (!rc)
        rc = lf_text_map_check_utf8(&s->map, (uint64_t)(begin - s->map.data), (uint64_t)(c->at - s->map.data), err);
    lf_string_free(&name);
    return rc;
}

/* ---- the index ----------------------------------------------------------------------------------------------------
 */

static lf_status index_records(lf_text_store *s, char delimiter, lf_err *err) {
    cursor c = cursor_at(s, 0, delimiter);
    lf_status rc = read_header(s, &c, err);
    while (!rc) {
        skip_blank_lines(&c);
        if (c.at == c.end) break;
        field_end end = MORE_FIELDS;
        rc = lf_text_store_add(s, (uint64_t)(c.at - s->map.data), err);
        while (!rc && end == MORE_FIELDS) {
            const char *const field = c.at;
            if ((end = next_field(&c, NULL)) > RECORD_ENDS) rc = bad_field(s, field, end, err);
        }
    }
    return rc;
}

/* ---- a record -----------------------------------------------------------------------------------------------------
 */

/* Lists have no form of their own in CSV: choices and messages are written as JSON. */
static bool holds_list(const char *column, const lf_string *field) {
    return (!strcmp(column, "choices") || !strcmp(column, "messages")) && field->s[0] == '[';
}

static lf_status add_field(const lf_text_store *s, uint64_t at, cJSON *record, const char *column,
                           const lf_string *field, lf_err *err) {
    cJSON *value = NULL;
    if (field->n && memchr(field->s, 0, field->n))
        return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": a NUL byte in column '%.100s'; is this a text file?",
                       s->map.path, lf_text_map_line(&s->map, at), column);
    const lf_status rc =
        holds_list(column, field) ? lf_json_parse(&value, field->s, field->n, s->map.path, NULL) : LF_OK;
    if (rc && rc != LF_ENOMEM)
        return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": column '%.100s': expected a JSON list, found %.100s",
                       s->map.path, lf_text_map_line(&s->map, at), column, field->s);
    if (!rc && !value) value = cJSON_CreateString(field->s);
    if (value && cJSON_AddItemToObject(record, column, value)) return LF_OK;
    cJSON_Delete(value);
    return lf_no_memory(err, "a record of %s", s->map.path);
}

static lf_status read_record(const lf_text_store *s, int64_t i, char delimiter, cJSON **out, lf_err *err) {
    const uint64_t at = s->begin[i];
    cursor c = cursor_at(s, at, delimiter);
    lf_string field = {0};
    lf_status rc = LF_OK;
    field_end end = MORE_FIELDS;
    int64_t n = 0;
    cJSON *record = cJSON_CreateObject();
    if (!record) rc = lf_no_memory(err, "a record of %s", s->map.path);
    for (; !rc && end == MORE_FIELDS; n++) {
        lf_string_empty(&field);
        end = next_field(&c, &field);
        lf_string_put(&field, "", 0);
        if (field.failed)
            rc = lf_no_memory(err, "a record of %s", s->map.path);
        else if (n < s->n_names)
            rc = add_field(s, at, record, s->names[n], &field, err);
    }
    if (!rc) rc = lf_text_map_check_utf8(&s->map, at, (uint64_t)(c.at - s->map.data), err);
    if (!rc && n != s->n_names)
        rc = lf_fail(err, LF_EDATA,
                     "%s: line %" PRIu64 ": expected %" PRId64 " fields as the first line has, found %" PRId64
                     "; is a quote missing?",
                     s->map.path, lf_text_map_line(&s->map, at), s->n_names, n);
    lf_string_free(&field);
    if (rc)
        cJSON_Delete(record);
    else
        *out = record;
    return rc;
}

/* ---- the two formats ----------------------------------------------------------------------------------------------
 */

static lf_status index_csv(lf_text_store *s, lf_err *err) { return index_records(s, ',', err); }
static lf_status index_tsv(lf_text_store *s, lf_err *err) { return index_records(s, '\t', err); }
static lf_status record_csv(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    return read_record(s, i, ',', out, err);
}
static lf_status record_tsv(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    return read_record(s, i, '\t', out, err);
}

const lf_text_format lf_text_csv = {.name = "csv", .index = index_csv, .record = record_csv};
const lf_text_format lf_text_tsv = {.name = "tsv", .index = index_tsv, .record = record_tsv};

/* CSV and TSV (data/delimited.h): the first record, or who asks for the file, names the columns; the others are objects
 * of them. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/mistaken.h"
#include "data/text/internal.h"

static lf_fields fields_at(const lf_text_store *s, uint64_t at) {
    return (lf_fields){s->map.data + at, s->map.data + s->map.size, s->dialect};
}

static uint64_t line_of(const lf_text_store *s, uint64_t at) {
    return lf_delimited_line(s->map.data, s->map.size, (size_t)at);
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

/* Those that are given, of a file without a heading. */
static lf_status take_names(lf_text_store *s, lf_err *err) {
    int64_t capacity = 0, found = 0;
    lf_status rc = LF_OK;
    lf_string name = {0};
    for (const char *at = s->dialect_spec.columns, *end; at && !rc; at = *end ? end + 1 : NULL) {
        at += strspn(at, " ");
        end = at + strcspn(at, ",");
        lf_string_empty(&name);
        lf_string_put(&name, at, (size_t)(end - at));
        rc = name.failed ? lf_no_memory(err, "the columns of %s", s->map.path) : add_column(s, &name, &capacity, err);
    }
    lf_string_free(&name);
    lf_fields f = fields_at(s, s->begin[0]);
    do found++;
    while (lf_field_next(&f, NULL) == LF_MORE_FIELDS);
    if (rc || found == s->n_names) return rc;
    return lf_fail(err, LF_EDATA,
                   "%s: line %" PRIu64 ": expected the %" PRId64 " columns of 'columns' (%s), found %" PRId64 " fields",
                   s->map.path, line_of(s, s->begin[0]), s->n_names, s->dialect_spec.columns, found);
}

static lf_status read_heading(lf_text_store *s, uint64_t at, lf_err *err) {
    lf_fields f = fields_at(s, at);
    int64_t capacity = 0;
    lf_string name = {0};
    lf_status rc = LF_OK;
    for (bool more = true; more && !rc;) {
        lf_string_empty(&name);
        more = lf_field_next(&f, &name) == LF_MORE_FIELDS;
        lf_string_put(&name, "", 0);
        rc = name.failed ? lf_no_memory(err, "the columns of %s", s->map.path) : add_column(s, &name, &capacity, err);
    }
    if (!rc) rc = lf_text_map_check_utf8(&s->map, at, (uint64_t)(f.at - s->map.data), err);
    lf_string_free(&name);
    return rc;
}

/* ---- the index ----------------------------------------------------------------------------------------------------
 */

typedef struct indexing {
    lf_text_store *store;
    bool has_heading;
    uint64_t heading; /* its place, where the file has one */
} indexing;

static lf_status take_record(void *context, size_t begin, lf_err *err) {
    indexing *x = context;
    if (x->has_heading) return lf_text_store_add(x->store, begin, err);
    x->has_heading = true;
    x->heading = begin;
    return LF_OK;
}

static void start_again(void *context) {
    indexing *x = context;
    x->has_heading = x->store->dialect_spec.columns;
    x->store->n = 0;
    x->store->dropped = 0;
}

static lf_status index_records(lf_text_store *s, bool tabs, lf_err *err) {
    indexing x = {.store = s, .has_heading = s->dialect_spec.columns};
    const char *mistaken = lf_mistaken_text(s->map.data, s->map.size);
    if (mistaken) return lf_fail(err, LF_EDATA, "%s: expected a table, found %s", s->map.path, mistaken);
    const lf_delimited d = {.path = s->map.path,
                            .text = s->map.data,
                            .n = s->map.size,
                            .tabs = tabs,
                            .spec = s->dialect_spec,
                            .record = take_record,
                            .again = start_again,
                            .context = &x};
    const lf_status rc = lf_delimited_index(&s->dialect, &d, err);
    if (rc || !x.has_heading) return rc;
    if (s->dialect_spec.columns) return s->n ? take_names(s, err) : LF_OK;
    return read_heading(s, x.heading, err);
}

static lf_status index_csv(lf_text_store *s, lf_err *err) { return index_records(s, false, err); }
static lf_status index_tsv(lf_text_store *s, lf_err *err) { return index_records(s, true, err); }

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
                       s->map.path, line_of(s, at), column);
    const lf_status rc =
        holds_list(column, field) ? lf_json_parse(&value, field->s, field->n, s->map.path, NULL) : LF_OK;
    if (rc && rc != LF_ENOMEM)
        return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": column '%.100s': expected a JSON list, found %.100s",
                       s->map.path, line_of(s, at), column, field->s);
    if (!rc && !value) value = cJSON_CreateString(field->s);
    if (value && cJSON_AddItemToObject(record, column, value)) return LF_OK;
    cJSON_Delete(value);
    return lf_no_memory(err, "a record of %s", s->map.path);
}

/* It has as many fields as there are columns: the index saw to that. */
static lf_status read_fields(const lf_text_store *s, uint64_t at, cJSON *record, lf_err *err) {
    lf_fields f = fields_at(s, at);
    lf_string field = {0};
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < s->n_names && !rc; i++) {
        lf_string_empty(&field);
        lf_field_next(&f, &field);
        lf_string_put(&field, "", 0);
        rc = field.failed ? lf_no_memory(err, "a record of %s", s->map.path)
                          : add_field(s, at, record, s->names[i], &field, err);
    }
    if (!rc) rc = lf_text_map_check_utf8(&s->map, at, (uint64_t)(f.at - s->map.data), err);
    lf_string_free(&field);
    return rc;
}

static lf_status record(const lf_text_store *s, int64_t i, cJSON **out, lf_err *err) {
    cJSON *made = cJSON_CreateObject();
    const lf_status rc =
        made ? read_fields(s, s->begin[i], made, err) : lf_no_memory(err, "a record of %s", s->map.path);
    if (rc)
        cJSON_Delete(made);
    else
        *out = made;
    return rc;
}

const lf_text_format lf_text_csv = {.name = "csv", .delimited = true, .index = index_csv, .record = record};
const lf_text_format lf_text_tsv = {.name = "tsv", .delimited = true, .index = index_tsv, .record = record};

#include "data/rows.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "data/delimited.h"

typedef struct reading {
    const char *path, *text; /* text: without a byte order mark */
    size_t n;
    size_t *begin; /* [rows] */
    size_t rows, room;
    lf_string *fields; /* [columns] of the row at hand */
    const char **texts;
    size_t columns, columns_room, texts_room;
} reading;

static lf_status take_row(void *context, size_t begin, lf_err *err) {
    reading *r = context;
    if (!lf_grow(&r->begin, &r->room, r->rows + 1)) return lf_no_memory(err, "the rows of %s", r->path);
    r->begin[r->rows++] = begin;
    return LF_OK;
}

static void start_again(void *context) { ((reading *)context)->rows = 0; }

static lf_status find_rows(reading *r, lf_dialect *dialect, lf_err *err) {
    const char *dot = strrchr(r->path, '.');
    const lf_delimited d = {.path = r->path,
                            .text = r->text,
                            .n = r->n,
                            .tabs = dot && strcasecmp(dot, ".tsv") == 0,
                            .record = take_row,
                            .again = start_again,
                            .context = r};
    const size_t bad = lf_utf8_invalid(r->text, r->n);
    if (bad < r->n)
        return lf_fail(err, LF_EDATA, "%s: line %" PRIu64 ": byte 0x%02x is not UTF-8; save the file as UTF-8", r->path,
                       lf_delimited_line(r->text, r->n, bad), (unsigned)(unsigned char)r->text[bad]);
    if (memchr(r->text, 0, r->n)) return lf_fail(err, LF_EDATA, "%s: a NUL byte; is this a text file?", r->path);
    return lf_delimited_index(dialect, &d, err);
}

static bool add_column(reading *r) {
    if (!lf_grow(&r->fields, &r->columns_room, r->columns + 1) || !lf_grow(&r->texts, &r->texts_room, r->columns + 1))
        return false;
    r->fields[r->columns++] = (lf_string){0};
    return true;
}

/* The fields of a row into texts. */
static bool read_row(reading *r, lf_fields f, int64_t *n) {
    lf_field_end end = LF_MORE_FIELDS;
    for (*n = 0; end == LF_MORE_FIELDS; ++*n) {
        if ((size_t)*n == r->columns && !add_column(r)) return false;
        lf_string *field = &r->fields[*n];
        lf_string_empty(field);
        end = lf_field_next(&f, field);
        if (!lf_string_put(field, "", 0)) return false;
        r->texts[*n] = field->s;
    }
    return true;
}

static lf_status tell_rows(reading *r, lf_dialect dialect, lf_status (*row)(void *, const lf_row *, lf_err *),
                           void *context, lf_err *err) {
    uint64_t line = 1;
    size_t at = 0;
    lf_status rc = LF_OK;
    for (size_t i = 0; i < r->rows && !rc; at = r->begin[i++]) {
        lf_row out = {.fields = NULL};
        line += lf_delimited_line(r->text + at, r->n - at, r->begin[i] - at) - 1;
        if (!read_row(r, (lf_fields){r->text + r->begin[i], r->text + r->n, dialect}, &out.n))
            return lf_no_memory(err, "the rows of %s", r->path);
        out.line = line;
        out.fields = r->texts;
        rc = row(context, &out, err);
    }
    return rc;
}

lf_status lf_rows_each(const char *path, lf_status (*row)(void *context, const lf_row *row, lf_err *err), void *context,
                       lf_err *err) {
    char *bytes = NULL;
    lf_dialect dialect;
    reading r = {.path = path};
    lf_status rc = lf_file_read(&bytes, &r.n, path, err);
    if (rc) return rc;
    const size_t skip = lf_utf8_mark_size(bytes, r.n);
    r.text = bytes + skip;
    r.n -= skip;
    if (!(rc = find_rows(&r, &dialect, err))) rc = tell_rows(&r, dialect, row, context, err);
    for (size_t i = 0; i < r.columns; i++) lf_string_free(&r.fields[i]);
    lf_free(r.fields);
    lf_free(r.texts);
    lf_free(r.begin);
    lf_free(bytes);
    return rc;
}

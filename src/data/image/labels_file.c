#include "data/image/labels_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "data/rows.h"

#define FILE_NAME "file_name"

/* ---- finding it ---------------------------------------------------------------------------------------------------
 */

lf_status lf_labels_file_find(lf_labels_file *out, const char *folder, const char *key, lf_err *err) {
    static const char *const names[] = {"metadata.csv", "metadata.tsv", "metadata.jsonl",
                                        "labels.csv",   "labels.tsv",   "labels.jsonl"};
    *out = (lf_labels_file){.folder = folder};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = lf_path_join(folder, names[i]);
        if (!path) return lf_no_memory(err, "the folder %s", folder);
        if (!lf_is_file(path)) {
            lf_free(path);
        } else if (!out->path) {
            out->path = path;
        } else {
            const lf_status rc = lf_fail(
                err, LF_EUSAGE, "%s: %s and %s may both hold the labels; move one of them away", key, out->path, path);
            lf_free(path);
            return rc;
        }
    }
    return LF_OK;
}

void lf_labels_file_free(lf_labels_file *f) {
    lf_free(f->path);
    lf_free(f->rows);
    lf_labels_free(f->labels);
    lf_arena_free(f->arena);
    *f = (lf_labels_file){0};
}

/* ---- its columns --------------------------------------------------------------------------------------------------
 */

typedef struct reading {
    lf_labels_file *file;
    const lf_data_request *request;
    lf_label_reader labels;
    char label_name[128]; /* the column's; "": columns of 0 and 1 */
    const char **columns; /* of CSV: [n_columns], in the arena */
    int64_t n_columns;
    bool begun;
    lf_err *err;
} reading;

static lf_status two_labels(const reading *r, const char *a, const char *b) {
    return lf_fail(r->err, LF_EUSAGE,
                   "%s: '%s' and '%s' may both be the label; say which: {\"path\": ..., \"label_field\": \"%s\"}",
                   r->file->path, a, b, a);
}

/* The one of the fields "a|b" among names; *label stays NULL if there is none, LF_EUSAGE if there are several. */
static lf_status find_label(const reading *r, const char *fields, const char *const *names, int64_t n,
                            const char **label) {
    for (int64_t i = 0; i < n; i++) {
        if (!lf_has_item(fields, names[i])) continue;
        if (*label) return two_labels(r, *label, names[i]);
        *label = names[i];
    }
    return LF_OK;
}

/* What label_field says, else one of the usual names: of one class before those of several. */
static lf_status choose_label(const reading *r, const char *const *names, int64_t n, const char **label) {
    static const char *const usual[] = {"label|class|category", "labels|classes|categories|tags"};
    const char *asked = r->request->label_field;
    lf_status rc = LF_OK;
    if (asked) {
        const int64_t at = lf_class_names_find(asked, names, n);
        *label = at < 0 ? NULL : names[at];
        return LF_OK;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual && !*label && !rc; i++)
        rc = find_label(r, usual[i], names, n, label);
    return rc;
}

/* Into `lacks`: which of label_columns are not among names. */
static void check_label_columns(const reading *r, const char *const *names, int64_t n) {
    lf_labels_file *f = r->file;
    char missing[200] = "";
    const cJSON *v;
    cJSON_ArrayForEach(v, r->labels.form.columns) if (lf_class_names_find(v->valuestring, names, n) < 0)
        lf_list_append(missing, sizeof missing, v->valuestring);
    if (missing[0]) snprintf(f->lacks, sizeof f->lacks, "no column %s (label_columns)", missing);
}

static void say_no_label(const reading *r, const char *all) {
    lf_labels_file *f = r->file;
    const char *asked = r->request->label_field;
    if (asked)
        snprintf(f->lacks, sizeof f->lacks, "no column '%.100s' (label_field); it has %s", asked, all);
    else
        snprintf(f->lacks, sizeof f->lacks,
                 "no column label, class or category; it has %s; \"label_field\" may name another, \"label_columns\" "
                 "those of 0 and 1",
                 all);
}

/* The columns of name and label among names. */
static lf_status choose_columns(reading *r, const char *const *names, int64_t n) {
    lf_labels_file *f = r->file;
    const lf_label_form *form = &r->labels.form;
    char all[256] = "";
    const char *label = NULL;
    const lf_status rc = form->columns ? LF_OK : choose_label(r, names, n, &label);
    if (rc) return rc;
    for (int64_t i = 0; i < n; i++) {
        lf_list_append(all, sizeof all, names[i]);
        const bool read = names[i] == label || !strcmp(names[i], FILE_NAME) || lf_label_form_has(form, names[i]);
        if (!read) lf_list_append(f->unread, sizeof f->unread, names[i]);
    }
    if (lf_class_names_find(FILE_NAME, names, n) < 0)
        snprintf(f->lacks, sizeof f->lacks, "no column 'file_name'; it has %s", all);
    else if (form->columns)
        check_label_columns(r, names, n);
    else if (!label)
        say_no_label(r, all);
    else
        snprintf(r->label_name, sizeof r->label_name, "%s", label);
    return LF_OK;
}

/* ---- its rows -----------------------------------------------------------------------------------------------------
 */

static bool leaves_folder(const char *name) {
    if (name[0] == '/') return true;
    for (const char *s = name; s; s = strchr(s, '/')) {
        s += *s == '/';
        if (!strncmp(s, "..", 2) && (s[2] == '/' || !s[2])) return true;
    }
    return false;
}

static const char *name_of_row(const void *file, int64_t i, char *buf, size_t size) {
    const lf_labels_file *f = file;
    snprintf(buf, size, "%s: line %" PRIu64, f->path, f->rows[i].line);
    return buf;
}

static lf_status add_row(reading *r, const char *name, uint64_t line) {
    lf_labels_file *f = r->file;
    while (!strncmp(name, "./", 2)) name += 2;
    if (!*name) return lf_fail(r->err, LF_EDATA, "%s: line %" PRIu64 ": the file_name is empty", f->path, line);
    if (leaves_folder(name))
        return lf_fail(r->err, LF_EDATA, "%s: line %" PRIu64 ": file_name '%.200s': expected a path below %s", f->path,
                       line, name, f->folder);
    const struct lf_labels_row row = {lf_arena_strdup(f->arena, name), line, f->n, false};
    if (!row.name || !lf_grow(&f->rows, &f->room, f->n + 1)) return lf_no_memory(r->err, "the rows of %s", f->path);
    f->rows[f->n++] = row;
    return LF_OK;
}

/* Where names stand in one text, one that is empty is of no class. */
static lf_status add_label(reading *r, const cJSON *record, uint64_t line) {
    if (r->labels.form.columns) return lf_label_reader_add_columns(&r->labels, record, r->err);
    const cJSON *label = cJSON_GetObjectItemCaseSensitive(record, r->label_name);
    const char *text = cJSON_GetStringValue(label);
    if (text && !*text && !r->labels.form.separator)
        return lf_fail(r->err, LF_EDATA, "%s: line %" PRIu64 ": the label is empty", r->file->path, line);
    if (label && !cJSON_IsNull(label)) return lf_label_reader_add(&r->labels, label, r->err);
    return lf_fail(r->err, LF_EDATA,
                   "%s: line %" PRIu64 ": expected '%s' with a text or a number, or a list of them, found none",
                   r->file->path, line, r->label_name);
}

static lf_status take_record(reading *r, const cJSON *record, uint64_t line) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(record, FILE_NAME);
    if (!cJSON_IsString(name))
        return lf_fail(r->err, LF_EDATA, "%s: line %" PRIu64 ": expected '" FILE_NAME "' with a text", r->file->path,
                       line);
    const lf_status rc = add_row(r, name->valuestring, line);
    return rc ? rc : add_label(r, record, line);
}

/* ---- as CSV -------------------------------------------------------------------------------------------------------
 */

static lf_status take_heading(reading *r, const lf_row *row) {
    r->columns = lf_arena_alloc(r->file->arena, (size_t)row->n * sizeof *r->columns);
    for (r->n_columns = 0; r->columns && r->n_columns < row->n; r->n_columns++)
        if (!(r->columns[r->n_columns] = lf_arena_strdup(r->file->arena, row->fields[r->n_columns]))) break;
    if (!r->columns || r->n_columns < row->n) return lf_no_memory(r->err, "the columns of %s", r->file->path);
    return choose_columns(r, r->columns, r->n_columns);
}

static bool is_read(const reading *r, const char *column) {
    return !strcmp(column, FILE_NAME) || !strcmp(column, r->label_name) || lf_label_form_has(&r->labels.form, column);
}

/* A row as the record that it is; its texts are borrowed. NULL: out of memory. */
static cJSON *record_of(const reading *r, const lf_row *row) {
    cJSON *record = cJSON_CreateObject();
    for (int64_t i = 0; record && i < row->n; i++) {
        if (!is_read(r, r->columns[i])) continue;
        cJSON *field = cJSON_CreateStringReference(row->fields[i]);
        if (field && cJSON_AddItemToObject(record, r->columns[i], field)) continue;
        cJSON_Delete(field);
        cJSON_Delete(record);
        return NULL;
    }
    return record;
}

static lf_status take_row(void *context, const lf_row *row, lf_err *err) {
    reading *r = context;
    if (!r->begun) {
        r->begun = true;
        return take_heading(r, row);
    }
    if (r->file->lacks[0]) return LF_OK;
    cJSON *record = record_of(r, row);
    const lf_status rc = record ? take_record(r, record, row->line) : lf_no_memory(err, "%s", r->file->path);
    cJSON_Delete(record);
    return rc;
}

/* ---- as JSON lines ------------------------------------------------------------------------------------------------
 */

static lf_status choose_keys(reading *r, const cJSON *record) {
    const int n = cJSON_GetArraySize(record);
    const char **names = lf_malloc((size_t)(n + 1) * sizeof *names);
    if (!names) return lf_no_memory(r->err, "%s", r->file->path);
    const cJSON *v;
    int64_t i = 0;
    cJSON_ArrayForEach(v, record) names[i++] = v->string;
    const lf_status rc = choose_columns(r, names, n);
    lf_free(names);
    return rc;
}

static lf_status take_line(reading *r, const cJSON *record, uint64_t line) {
    if (!cJSON_IsObject(record))
        return lf_fail(r->err, LF_EDATA,
                       "%s: line %" PRIu64 ": expected an object such as {\"file_name\": ..., "
                       "\"label\": ...}",
                       r->file->path, line);
    if (!r->begun) {
        r->begun = true;
        const lf_status rc = choose_keys(r, record);
        if (rc) return rc;
    }
    return r->file->lacks[0] ? LF_OK : take_record(r, record, line);
}

static lf_status read_lines(reading *r) {
    char *bytes = NULL;
    size_t n = 0;
    uint64_t line = 1;
    lf_status rc = lf_file_read(&bytes, &n, r->file->path, r->err);
    if (!rc && memchr(bytes, 0, n))
        rc = lf_fail(r->err, LF_EDATA, "%s: a NUL byte; is this a text file?", r->file->path);
    for (char *s = bytes, *end; !rc && s && *s; line++, s = end) {
        end = s + strcspn(s, "\n");
        cJSON *record = NULL;
        if (s + strspn(s, " \t\r\xef\xbb\xbf") < end) {
            if (line == 1) s += lf_utf8_mark_size(s, (size_t)(end - s));
            rc = lf_json_parse_at(&record, s, (size_t)(end - s), r->file->path, line, r->err);
            if (!rc) rc = take_line(r, record, line);
            cJSON_Delete(record);
        }
        if (*end) end++;
    }
    lf_free(bytes);
    return rc;
}

/* ---- reading it ---------------------------------------------------------------------------------------------------
 */

static int by_name(const void *a, const void *b) {
    const struct lf_labels_row *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static lf_status check_once(const lf_labels_file *f, lf_err *err) {
    for (int64_t i = 1; i < f->n; i++)
        if (!strcmp(f->rows[i - 1].name, f->rows[i].name))
            return lf_fail(err, LF_EDATA,
                           "%s: '%.200s' is named twice, in lines %" PRIu64 " and %" PRIu64 "; a picture has one label",
                           f->path, f->rows[i].name, f->rows[i - 1].line, f->rows[i].line);
    return LF_OK;
}

static lf_status read_rows(reading *r, const lf_data_request *request) {
    lf_labels_file *f = r->file;
    const char *dot = strrchr(f->path, '.');
    lf_status rc = lf_label_reader_open(&r->labels, r->err);
    if (!rc) rc = !strcmp(dot, ".jsonl") ? read_lines(r) : lf_rows_each(f->path, take_row, r, r->err);
    if (!rc && !r->begun) snprintf(f->lacks, sizeof f->lacks, "nothing in it");
    if (rc || f->lacks[0]) return rc;
    if (!f->n) return lf_fail(r->err, LF_EDATA, "%s: %s: a heading, and no row", request->key, f->path);
    return lf_store_take_labels(&r->labels, request, &f->labels, r->err);
}

lf_status lf_labels_file_read(lf_labels_file *f, const lf_data_request *r, lf_err *err) {
    reading all = {.file = f,
                   .request = r,
                   .labels = {.path = f->path,
                              .form = r->form,
                              .written_lists = strcmp(strrchr(f->path, '.'), ".jsonl") != 0,
                              .name_of = name_of_row,
                              .data = f},
                   .err = err};
    if (!(f->arena = lf_arena_new())) return lf_no_memory(err, "%s", f->path);
    const lf_status rc = read_rows(&all, r);
    lf_label_reader_free(&all.labels);
    if (rc || f->lacks[0]) return rc;
    qsort(f->rows, (size_t)f->n, sizeof *f->rows, by_name);
    return check_once(f, err);
}

/* ---- labels of pictures -------------------------------------------------------------------------------------------
 */

/* What follows the folder in a path. */
static const char *below(const char *path, const char *folder) {
    path += strlen(folder);
    while (*path == '/') path++;
    return path;
}

static int name_order(const void *key, const void *row) {
    return strcmp(key, ((const struct lf_labels_row *)row)->name);
}

static struct lf_labels_row *find_row(const lf_labels_file *f, const char *name) {
    return bsearch(name, f->rows, (size_t)f->n, sizeof *f->rows, name_order);
}

static bool is_of(const char *name, const char *part) {
    const size_t n = strlen(part);
    return n == 0 || (!strncmp(name, part, n) && name[n] == '/');
}

static lf_status check_all_there(const lf_labels_file *f, const char *part, const char *key, lf_err *err) {
    char names[256] = "";
    int64_t missing = 0, of = 0;
    for (int64_t i = 0; i < f->n; i++) {
        if (!is_of(f->rows[i].name, part)) continue;
        of++;
        if (f->rows[i].used) continue;
        missing++;
        lf_list_append(names, sizeof names, f->rows[i].name);
    }
    if (!missing) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: %s: of %" PRId64 " files that it names, %" PRId64
                   " are not there, or are no pictures that are read: %s",
                   key, f->path, of, missing, names);
}

/* The numbers that the classes get; -1: no row that is used has it. Where columns are the classes all of them are. */
static int64_t number_classes(const lf_labels_file *f, int32_t *to, bool all) {
    const lf_labels *l = f->labels;
    int64_t n = 0;
    for (int64_t c = 0; c < l->n_names; c++) to[c] = all ? 0 : -1;
    for (int64_t i = 0; i < f->n; i++) {
        const int64_t row = f->rows[i].number;
        for (int64_t k = l->sets.begin[row]; f->rows[i].used && k < l->sets.begin[row + 1]; k++) to[l->sets.ids[k]] = 0;
    }
    for (int64_t c = 0; c < l->n_names; c++)
        if (to[c] == 0) to[c] = (int32_t)n++;
    return n;
}

/* Names the store's classes, and gives f's their numbers there. */
static lf_status name_classes(lf_labels_file *f, lf_store *s, bool all, lf_err *err) {
    const lf_labels *l = f->labels;
    const char **names = lf_malloc((size_t)(l->n_names + 1) * sizeof *names);
    int32_t *to = lf_malloc((size_t)(l->n_names + 1) * sizeof *to);
    lf_status rc = names && to ? LF_OK : lf_no_memory(err, "the classes of %s", f->path);
    if (!rc) {
        const int64_t n = number_classes(f, to, all);
        for (int64_t c = 0; c < l->n_names; c++)
            if (to[c] >= 0) names[to[c]] = l->names[c];
        rc = lf_store_name_classes(s, names, n, err);
        lf_class_sets_renumber(&f->labels->sets, to);
    }
    lf_free(to);
    lf_free(names);
    return rc;
}

/* Room for the classes of all pictures, which are those of rows. */
static lf_status open_sets(const lf_labels_file *f, lf_store *s, lf_err *err) {
    const lf_class_sets *rows = &f->labels->sets;
    s->several = (lf_class_sets){.ids = lf_malloc((size_t)(rows->begin[rows->n] + 1) * sizeof *rows->ids),
                                 .begin = lf_calloc((size_t)s->n + 1, sizeof *rows->begin)};
    return s->several.ids && s->several.begin ? LF_OK : lf_no_memory(err, "the labels of %s", f->path);
}

/* The classes of row `row` to picture `at`; pictures come in order, and a row is of one of them. */
static void take_classes(const lf_labels_file *f, lf_store *s, int64_t at, int64_t row) {
    const lf_class_sets *rows = &f->labels->sets;
    lf_class_sets *sets = &s->several;
    int64_t n = rows->begin[row + 1] - rows->begin[row];
    if (!sets->begin) {
        s->labels[at] = rows->ids[rows->begin[row]];
        return;
    }
    memcpy(sets->ids + sets->begin[at], rows->ids + rows->begin[row], (size_t)n * sizeof *rows->ids);
    sets->begin[at + 1] = sets->begin[at] + n;
    sets->n = at + 1;
}

lf_status lf_labels_file_apply(lf_labels_file *f, lf_store *s, const char **paths, int64_t *unnamed,
                               const lf_data_request *r, lf_err *err) {
    const bool several = f->labels->problem == LF_MULTI_LABEL;
    for (int64_t i = 0; i < s->n; i++) {
        struct lf_labels_row *row = find_row(f, below(paths[i], f->folder));
        if (row) row->used = true;
    }
    lf_status rc = check_all_there(f, below(s->path, f->folder), r->key, err);
    if (rc || (rc = name_classes(f, s, r->form.columns, err)) || (several && (rc = open_sets(f, s, err)))) return rc;
    int64_t kept = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const struct lf_labels_row *row = find_row(f, below(paths[i], f->folder));
        if (!row) continue;
        paths[kept] = paths[i];
        s->labels[kept] = -1;
        take_classes(f, s, kept++, row->number);
    }
    *unnamed = s->n - kept;
    s->n = kept;
    return LF_OK;
}

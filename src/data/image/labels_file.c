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

#define FILE_NAME    "file_name"
#define LABEL_FIELDS "label|class|category"

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
    lf_arena_free(f->arena);
    *f = (lf_labels_file){0};
}

/* ---- its columns --------------------------------------------------------------------------------------------------
 */

typedef struct reading {
    lf_labels_file *file;
    const char *label_field;   /* asked for, or NULL */
    char label_name[128];      /* the column's */
    int64_t name_at, label_at; /* of CSV; -1: none */
    bool begun;
    lf_err *err;
} reading;

/* The column of the label among names; LF_EUSAGE if it may be several. `has` tells what a column is called. */
static lf_status choose_columns(reading *r, const char *const *names, int64_t n) {
    lf_labels_file *f = r->file;
    char all[256] = "";
    const char *label = NULL;
    r->name_at = lf_class_names_find(FILE_NAME, names, n);
    r->label_at = -1;
    for (int64_t i = 0; i < n; i++) {
        lf_list_append(all, sizeof all, names[i]);
        if (r->label_field ? strcmp(names[i], r->label_field) != 0 : !lf_has_item(LABEL_FIELDS, names[i])) continue;
        if (label)
            return lf_fail(
                r->err, LF_EUSAGE,
                "%s: '%s' and '%s' may both be the label; say which: {\"path\": ..., \"label_field\": \"%s\"}", f->path,
                label, names[i], label);
        label = names[i];
        r->label_at = i;
    }
    for (int64_t i = 0; i < n; i++)
        if (i != r->name_at && i != r->label_at) lf_list_append(f->unread, sizeof f->unread, names[i]);
    if (r->name_at < 0)
        snprintf(f->lacks, sizeof f->lacks, "no column 'file_name'; it has %s", all);
    else if (!label)
        snprintf(f->lacks, sizeof f->lacks,
                 r->label_field ? "no column '%.100s' (label_field); it has %s"
                                : "no column label, class or category%.0s; it has %s; \"label_field\" may name another",
                 r->label_field ? r->label_field : "", all);
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

static lf_status add_row(reading *r, const char *name, const char *label, uint64_t line) {
    lf_labels_file *f = r->file;
    while (!strncmp(name, "./", 2)) name += 2;
    if (!*name || !*label)
        return lf_fail(r->err, LF_EDATA, "%s: line %" PRIu64 ": the %s is empty", f->path, line,
                       *name ? "label" : "file_name");
    if (leaves_folder(name))
        return lf_fail(r->err, LF_EDATA, "%s: line %" PRIu64 ": file_name '%.200s': expected a path below %s", f->path,
                       line, name, f->folder);
    const struct lf_labels_row row = {lf_arena_strdup(f->arena, name), lf_arena_strdup(f->arena, label), line, false};
    if (!row.name || !row.label || !lf_grow(&f->rows, &f->room, f->n + 1))
        return lf_no_memory(r->err, "the rows of %s", f->path);
    f->rows[f->n++] = row;
    return LF_OK;
}

static lf_status take_row(void *context, const lf_row *row, lf_err *err) {
    reading *r = context;
    (void)err;
    if (!r->begun) {
        r->begun = true;
        return choose_columns(r, row->fields, row->n);
    }
    return r->file->lacks[0] ? LF_OK : add_row(r, row->fields[r->name_at], row->fields[r->label_at], row->line);
}

/* ---- as JSON lines ------------------------------------------------------------------------------------------------
 */

static lf_status choose_keys(reading *r, const cJSON *record) {
    const int n = cJSON_GetArraySize(record);
    const char **names = lf_malloc((size_t)n * sizeof *names);
    if (!names) return lf_no_memory(r->err, "%s", r->file->path);
    const cJSON *v;
    int64_t i = 0;
    cJSON_ArrayForEach(v, record) names[i++] = v->string;
    const lf_status rc = choose_columns(r, names, n);
    lf_free(names);
    return rc;
}

static lf_status take_record(reading *r, const cJSON *record, uint64_t line) {
    lf_labels_file *f = r->file;
    if (!cJSON_IsObject(record))
        return lf_fail(r->err, LF_EDATA,
                       "%s: line %" PRIu64 ": expected an object such as {\"file_name\": ..., "
                       "\"label\": ...}",
                       f->path, line);
    if (!r->begun) {
        r->begun = true;
        const lf_status rc = choose_keys(r, record);
        if (rc) return rc;
    }
    if (f->lacks[0]) return LF_OK;
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(record, FILE_NAME),
                *label = cJSON_GetObjectItemCaseSensitive(record, r->label_name);
    if (!cJSON_IsString(name) || !(cJSON_IsString(label) || cJSON_IsNumber(label)))
        return lf_fail(r->err, LF_EDATA,
                       "%s: line %" PRIu64 ": expected '" FILE_NAME "' with a text and '%s' with a text "
                       "or a number, one label a picture",
                       f->path, line, r->label_name);
    char *number = cJSON_IsNumber(label) ? lf_json_print_line(label) : NULL;
    if (cJSON_IsNumber(label) && !number) return lf_no_memory(r->err, "%s", f->path);
    const lf_status rc = add_row(r, name->valuestring, number ? number : label->valuestring, line);
    lf_free(number);
    return rc;
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
            if (!rc) rc = take_record(r, record, line);
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

lf_status lf_labels_file_read(lf_labels_file *f, const lf_data_request *r, lf_err *err) {
    const char *dot = strrchr(f->path, '.');
    reading all = {.file = f, .label_field = r->label_field, .err = err};
    if (!(f->arena = lf_arena_new())) return lf_no_memory(err, "%s", f->path);
    lf_status rc = !strcmp(dot, ".jsonl") ? read_lines(&all) : lf_rows_each(f->path, take_row, &all, err);
    if (!rc && !all.begun) snprintf(f->lacks, sizeof f->lacks, "nothing in it");
    if (rc || f->lacks[0]) return rc;
    if (!f->n) return lf_fail(err, LF_EDATA, "%s: %s: a heading, and no row", r->key, f->path);
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

/* The classes of the rows that are used, in order. */
static lf_status name_classes(const lf_labels_file *f, lf_store *s, lf_err *err) {
    const char **names = lf_malloc((size_t)f->n * sizeof *names);
    int64_t n = 0;
    if (!names) return lf_no_memory(err, "the classes of %s", f->path);
    for (int64_t i = 0; i < f->n; i++)
        if (f->rows[i].used) names[n++] = f->rows[i].label;
    n = lf_class_names_sort(names, n);
    const lf_status rc = lf_store_name_classes(s, names, n, err);
    lf_free(names);
    return rc;
}

lf_status lf_labels_file_apply(lf_labels_file *f, lf_store *s, const char **paths, int64_t *unnamed, const char *key,
                               lf_err *err) {
    for (int64_t i = 0; i < s->n; i++) {
        struct lf_labels_row *row = find_row(f, below(paths[i], f->folder));
        if (row) row->used = true;
    }
    lf_status rc = check_all_there(f, below(s->path, f->folder), key, err);
    if (rc || (rc = name_classes(f, s, err))) return rc;
    int64_t kept = 0;
    const char *last = NULL; /* pictures of a class often stand together */
    int64_t label = -1;
    for (int64_t i = 0; i < s->n; i++) {
        const struct lf_labels_row *row = find_row(f, below(paths[i], f->folder));
        if (!row) continue;
        if (!last || strcmp(last, row->label)) label = lf_class_names_find(row->label, s->class_names, s->n_classes);
        last = row->label;
        paths[kept] = paths[i];
        s->labels[kept++] = (int32_t)label;
    }
    *unnamed = s->n - kept;
    s->n = kept;
    return LF_OK;
}

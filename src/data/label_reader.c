#include "data/label_reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/json_number.h"
#include "base/mem.h"

lf_status lf_label_reader_open(lf_label_reader *r, lf_err *err) {
    lf_labels *l = r->out = lf_calloc(1, sizeof *l);
    if (l) l->arena = lf_arena_new();
    if (!l || !l->arena || !lf_grow(&l->sets.begin, &r->begin_room, 1)) return lf_label_reader_full(r, err);
    l->sets.begin[0] = 0;
    return LF_OK;
}

void lf_label_reader_free(lf_label_reader *r) {
    lf_labels_free(r->out);
    lf_free(r->table.slots);
    lf_string_free(&r->atom);
    r->out = NULL;
    r->table.slots = NULL;
}

lf_status lf_label_reader_full(const lf_label_reader *r, lf_err *err) {
    return lf_no_memory(err, "the labels of %s", r->path);
}

lf_status lf_label_reader_bad(const lf_label_reader *r, int64_t i, lf_err *err, const char *expected,
                              const char *found) {
    char name[600];
    return lf_fail(err, LF_EDATA, "%s: expected %s, found %s", r->name_of(r->data, i, name, sizeof name), expected,
                   found);
}

bool lf_label_is_number(const char *name, double *out) {
    char *end;
    if (!*name || strchr(" \t\r\n", *name)) return false;
    *out = strtod(name, &end);
    return !*end && isfinite(*out);
}

/* ---- names ---- */

static lf_status find_name(lf_label_reader *r, const char *name, int32_t *number, lf_err *err) {
    lf_labels *l = r->out;
    if (2 * (size_t)l->n_names >= r->table.size && !lf_label_table_fill(&r->table, l->names, l->n_names))
        return lf_label_reader_full(r, err);
    int32_t *slot = lf_label_table_at(&r->table, l->names, name);
    if (*slot < 0) {
        const char *copy = lf_arena_strdup(l->arena, name);
        if (!copy || !lf_grow(&l->names, &r->names_room, l->n_names + 1)) return lf_label_reader_full(r, err);
        l->names[l->n_names] = copy;
        *slot = (int32_t)l->n_names++;
    }
    *number = *slot;
    return LF_OK;
}

lf_status lf_label_reader_fix(lf_label_reader *r, const cJSON *names, lf_err *err) {
    const cJSON *v;
    int32_t ignored;
    r->fixed = true;
    cJSON_ArrayForEach(v, names) {
        if (!cJSON_IsString(v)) return lf_fail(err, LF_EDATA, "%s: the names of the classes are no texts", r->path);
        const lf_status rc = find_name(r, v->valuestring, &ignored, err);
        if (rc) return rc;
    }
    if (r->out->n_names == cJSON_GetArraySize(names)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: two classes have one name", r->path);
}

static lf_status add_number(lf_label_reader *r, int32_t number, lf_err *err) {
    lf_class_sets *s = &r->out->sets;
    const int64_t n = s->begin[s->n + 1];
    if (!lf_grow(&s->ids, &r->ids_room, n + 1)) return lf_label_reader_full(r, err);
    s->ids[n] = number;
    s->begin[s->n + 1] = n + 1;
    return LF_OK;
}

static lf_status add_name(lf_label_reader *r, const char *name, lf_err *err) {
    int32_t number = 0;
    const int64_t known = r->out->n_names;
    const lf_status rc = find_name(r, name, &number, err);
    if (rc) return rc;
    if (r->fixed && r->out->n_names > known)
        return lf_label_reader_bad(r, r->out->sets.n, err, "a class that is known", name);
    return add_number(r, number, err);
}

/* A string, a number or a truth value, as text: 1.0 is 1. */
static lf_status add_value(lf_label_reader *r, const cJSON *v, lf_err *err) {
    int64_t whole;
    const bool number = cJSON_IsNumber(v) && lf_json_exact_i64(v, &whole);
    if (number && r->fixed && whole >= 0 && whole < r->out->n_names) return add_number(r, (int32_t)whole, err);
    lf_string_empty(&r->atom);
    if (number)
        lf_string_add(&r->atom, "%" PRId64, whole);
    else if (!lf_json_put_value(&r->atom, v))
        return lf_label_reader_bad(r, r->out->sets.n, err, "a label that is a text or a number, or a list of them",
                                   cJSON_IsNull(v) ? "null in a list" : "something else");
    lf_string_put(&r->atom, "", 0);
    return r->atom.failed ? lf_label_reader_full(r, err) : add_name(r, r->atom.s, err);
}

static lf_status add_list(lf_label_reader *r, const cJSON *list, lf_err *err) {
    const cJSON *v;
    lf_status rc = LF_OK;
    r->lists = true;
    cJSON_ArrayForEach(v, list) if (!rc) rc = add_value(r, v, err);
    return rc;
}

static lf_status add_written_list(lf_label_reader *r, const char *text, lf_err *err) {
    cJSON *list = NULL;
    lf_err why = {0};
    const lf_status parsed = lf_json_parse(&list, text, strlen(text), "it", &why);
    if (parsed == LF_ENOMEM) return lf_label_reader_full(r, err);
    if (parsed) {
        char found[400];
        snprintf(found, sizeof found, "%.80s (%.300s)", text, why.message);
        return lf_label_reader_bad(r, r->out->sets.n, err,
                                   "a list as JSON, as which labels in brackets are read ([\"cat\", \"dog\"])", found);
    }
    r->wrote_lists = true;
    const lf_status rc = add_list(r, list, err);
    cJSON_Delete(list);
    return rc;
}

static bool is_written_list(const lf_label_reader *r, const cJSON *v) {
    const char *text = cJSON_GetStringValue(v);
    return r->written_lists && text && *text == '[' && text[strlen(text) - 1] == ']';
}

/* The names between separators, without the blanks around them; of nothing there are none. */
static lf_status add_separated(lf_label_reader *r, const char *text, lf_err *err) {
    const size_t width = strlen(r->form.separator);
    lf_status rc = LF_OK;
    r->lists = true;
    for (const char *end; text && !rc; text = end ? end + width : NULL) {
        end = strstr(text, r->form.separator);
        size_t n = end ? (size_t)(end - text) : strlen(text);
        while (n && strchr(" \t", *text)) text++, n--;
        while (n && strchr(" \t", text[n - 1])) n--;
        if (!n) continue;
        lf_string_empty(&r->atom);
        rc = lf_string_put(&r->atom, text, n) ? add_name(r, r->atom.s, err) : lf_label_reader_full(r, err);
    }
    return rc;
}

/* Room for one example more, of no class yet. */
static lf_status begin_example(lf_label_reader *r, lf_err *err) {
    lf_class_sets *s = &r->out->sets;
    if (!lf_grow(&s->begin, &r->begin_room, s->n + 2)) return lf_label_reader_full(r, err);
    s->begin[s->n + 1] = s->begin[s->n];
    return LF_OK;
}

lf_status lf_label_reader_add(lf_label_reader *r, const cJSON *label, lf_err *err) {
    lf_status rc = begin_example(r, err);
    if (rc) return rc;
    if (cJSON_IsArray(label))
        rc = add_list(r, label, err);
    else if (is_written_list(r, label))
        rc = add_written_list(r, label->valuestring, err);
    else if (r->form.separator && cJSON_IsString(label))
        rc = add_separated(r, label->valuestring, err);
    else if (label)
        rc = add_value(r, label, err);
    if (!rc) r->out->sets.n++;
    return rc;
}

/* 1 or 0, as numbers, truth values, or what tables write for them; -1: neither. */
static int mark_of(const cJSON *v) {
    static const char *const no[] = {"0", "0.0", "false"}, *const yes[] = {"1", "1.0", "true"};
    const char *text = cJSON_GetStringValue(v);
    if (cJSON_IsBool(v)) return cJSON_IsTrue(v);
    if (cJSON_IsNumber(v)) return v->valuedouble == 0 ? 0 : v->valuedouble == 1 ? 1 : -1; /* exactly these */
    for (size_t i = 0; text && i < sizeof no / sizeof *no; i++) {
        if (!strcasecmp(text, no[i])) return 0;
        if (!strcasecmp(text, yes[i])) return 1;
    }
    return -1;
}

static lf_status add_mark(lf_label_reader *r, const cJSON *record, const char *column, int32_t number, lf_err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, column);
    char expected[160], found[140];
    double x;
    const int mark = mark_of(v);
    if (mark >= 0) return mark ? add_number(r, number, err) : LF_OK;
    snprintf(expected, sizeof expected, "0 or 1 in the column '%.60s' (label_columns)", column);
    snprintf(found, sizeof found, cJSON_IsString(v) ? "'%.60s'" : "%.60s",
             cJSON_IsString(v)   ? v->valuestring
             : !v                ? "no such column"
             : cJSON_IsNull(v)   ? "null"
             : cJSON_IsNumber(v) ? "another number"
                                 : "something else");
    if (cJSON_IsNumber(v) || (cJSON_IsString(v) && lf_label_is_number(v->valuestring, &x)))
        snprintf(found + strlen(found), sizeof found - strlen(found), "; of numbers say problem_type regression");
    return lf_label_reader_bad(r, r->out->sets.n, err, expected, found);
}

/* A column of a label of several numbers: what is none is found when they are taken. */
static lf_status add_column(lf_label_reader *r, const cJSON *record, const char *column, lf_err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, column);
    const char *text = cJSON_GetStringValue(v);
    char expected[120];
    if (v && !cJSON_IsNull(v) && !(text && !*text)) return add_value(r, v, err);
    snprintf(expected, sizeof expected, "a number in the column '%.60s' (label_columns)", column);
    return lf_label_reader_bad(r, r->out->sets.n, err, expected, v ? "nothing" : "no such column");
}

static lf_status add_numbers(lf_label_reader *r, const cJSON *record, lf_err *err) {
    const cJSON *column;
    lf_status rc = begin_example(r, err);
    cJSON_ArrayForEach(column, r->form.columns) if (!rc) rc = add_column(r, record, column->valuestring, err);
    if (!rc) r->out->sets.n++;
    return rc;
}

lf_status lf_label_reader_add_columns(lf_label_reader *r, const cJSON *record, lf_err *err) {
    const cJSON *column;
    if (r->numbers) return add_numbers(r, record, err);
    int32_t number = 0;
    lf_status rc = r->fixed ? LF_OK : lf_label_reader_fix(r, r->form.columns, err);
    r->lists = true;
    if (rc || (rc = begin_example(r, err))) return rc;
    cJSON_ArrayForEach(column, r->form.columns) if (!rc) rc = add_mark(r, record, column->valuestring, number++, err);
    if (!rc) r->out->sets.n++;
    return rc;
}

#include "data/label_sets.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/json_number.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/class_names.h"

/* ---- which classes an example is of ---- */

void lf_class_sets_free(lf_class_sets *s) {
    lf_free(s->ids);
    lf_free(s->begin);
    *s = (lf_class_sets){0};
}

void lf_class_sets_values(const lf_class_sets *s, int64_t i, int64_t n_classes, float *out) {
    for (int64_t c = 0; c < n_classes; c++) out[c] = 0;
    for (int64_t k = s->begin[i]; k < s->begin[i + 1]; k++) out[s->ids[k]] = 1;
}

void lf_class_sets_renumber(lf_class_sets *s, const int32_t *to) {
    for (int64_t k = 0; k < s->begin[s->n]; k++) s->ids[k] = to[s->ids[k]];
}

/* ---- labels ---- */

void lf_labels_free(lf_labels *l) {
    if (!l) return;
    lf_class_sets_free(&l->sets);
    lf_arena_free(l->arena);
    lf_free(l->names);
    lf_free(l->numbers);
    lf_free(l);
}

lf_status lf_labels_rename(lf_labels *l, const char *const *names, int64_t n, const int32_t *to, const char *path,
                           lf_err *err) {
    const char **copies = lf_malloc((size_t)n * sizeof *copies);
    bool good = copies;
    for (int64_t i = 0; i < n && good; i++) good = (copies[i] = lf_arena_strdup(l->arena, names[i]));
    if (!good) {
        lf_free(copies);
        return lf_no_memory(err, "the classes of %s", path);
    }
    lf_class_sets_renumber(&l->sets, to);
    lf_free(l->names);
    l->names = copies;
    l->n_names = n;
    return LF_OK;
}

/* ---- how several classes are written ---- */

static lf_status check_columns(const cJSON *columns, const char *key, lf_err *err) {
    const cJSON *v, *w;
    bool good = cJSON_IsArray(columns) && columns->child;
    cJSON_ArrayForEach(v, columns) {
        good = good && cJSON_IsString(v) && *v->valuestring;
        for (w = columns->child; good && w != v; w = w->next) good = strcmp(w->valuestring, v->valuestring) != 0;
    }
    if (good) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "%s: 'label_columns': expected a list of the columns of 0 and 1, each once: [\"cat\", \"dog\"]",
                   key);
}

lf_status lf_label_form_take(lf_label_form *out, const cJSON *member, bool *taken, const char *key, lf_err *err) {
    *taken = true;
    if (!strcmp(member->string, "label_columns")) {
        out->columns = member;
        return check_columns(member, key, err);
    }
    *taken = !strcmp(member->string, "label_separator");
    if (!*taken) return LF_OK;
    out->separator = cJSON_GetStringValue(member);
    if (out->separator && *out->separator) return LF_OK;
    return lf_fail(err, LF_EUSAGE, "%s: 'label_separator': expected what stands between the names of classes: \"|\"",
                   key);
}

bool lf_label_form_has(const lf_label_form *f, const char *column) {
    const cJSON *v;
    cJSON_ArrayForEach(v, f->columns) if (!strcmp(v->valuestring, column)) return true;
    return false;
}

bool lf_label_form_keep(lf_label_form *f, lf_arena *arena) {
    const int n = cJSON_GetArraySize(f->columns);
    cJSON *list = f->columns ? lf_arena_alloc(arena, (size_t)(n + 1) * sizeof *list) : NULL, *to = list;
    const cJSON *v;
    bool good = list || !f->columns;
    if (list) *list = (cJSON){.type = cJSON_Array, .child = n ? list + 1 : NULL};
    cJSON_ArrayForEach(v, f->columns) {
        if (!good) break;
        to++;
        *to = (cJSON){.type = cJSON_String,
                      .next = to < list + n ? to + 1 : NULL,
                      .valuestring = lf_arena_strdup(arena, v->valuestring)};
        good = to->valuestring;
    }
    f->columns = list;
    if (f->separator && !(f->separator = lf_arena_strdup(arena, f->separator))) good = false;
    return good;
}

/* ---- names, each once ---- */

static uint64_t hash_of(const char *s) { /* FNV-1a */
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *s; s++) h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
    return h;
}

/* Where a name is in the table, or would be; slots are numbers of names, -1: free, and size is a power of two. */
static size_t slot_of(const lf_label_reader *r, const char *const *names, const char *name) {
    size_t at = (size_t)hash_of(name) & (r->table.size - 1);
    while (r->table.slots[at] >= 0 && strcmp(names[r->table.slots[at]], name)) at = (at + 1) & (r->table.size - 1);
    return at;
}

/* A table with room for twice as many names, of which the first n are in it. */
static bool make_larger(lf_label_reader *r, const char *const *names, int64_t n) {
    size_t size = 64;
    while (size < 4 * (size_t)n) size *= 2;
    int32_t *slots = lf_malloc(size * sizeof *slots);
    if (!slots) return false;
    memset(slots, -1, size * sizeof *slots);
    lf_free(r->table.slots);
    r->table.slots = slots;
    r->table.size = size;
    for (int64_t i = 0; i < n; i++) slots[slot_of(r, names, names[i])] = (int32_t)i;
    return true;
}

static lf_status out_of_memory(const lf_label_reader *r, lf_err *err) {
    return lf_no_memory(err, "the labels of %s", r->path);
}

static lf_status find_name(lf_label_reader *r, const char *name, int32_t *number, lf_err *err) {
    lf_labels *l = r->out;
    if (2 * (size_t)l->n_names >= r->table.size && !make_larger(r, l->names, l->n_names)) return out_of_memory(r, err);
    const size_t at = slot_of(r, l->names, name);
    if (r->table.slots[at] < 0) {
        const char *copy = lf_arena_strdup(l->arena, name);
        if (!copy || !lf_grow(&l->names, &r->names_room, l->n_names + 1)) return out_of_memory(r, err);
        l->names[l->n_names] = copy;
        r->table.slots[at] = (int32_t)l->n_names++;
    }
    *number = r->table.slots[at];
    return LF_OK;
}

/* ---- reading ---- */

lf_status lf_label_reader_open(lf_label_reader *r, lf_err *err) {
    lf_labels *l = r->out = lf_calloc(1, sizeof *l);
    if (l) l->arena = lf_arena_new();
    if (!l || !l->arena || !lf_grow(&l->sets.begin, &r->begin_room, 1)) return out_of_memory(r, err);
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

static lf_status bad_label(const lf_label_reader *r, int64_t i, lf_err *err, const char *expected, const char *found) {
    char name[600];
    return lf_fail(err, LF_EDATA, "%s: expected %s, found %s", r->name_of(r->data, i, name, sizeof name), expected,
                   found);
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
    if (!lf_grow(&s->ids, &r->ids_room, n + 1)) return out_of_memory(r, err);
    s->ids[n] = number;
    s->begin[s->n + 1] = n + 1;
    return LF_OK;
}

static lf_status add_name(lf_label_reader *r, const char *name, lf_err *err) {
    int32_t number;
    const int64_t known = r->out->n_names;
    const lf_status rc = find_name(r, name, &number, err);
    if (rc) return rc;
    if (r->fixed && r->out->n_names > known) return bad_label(r, r->out->sets.n, err, "a class that is known", name);
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
        return bad_label(r, r->out->sets.n, err, "a label that is a text or a number, or a list of them",
                         cJSON_IsNull(v) ? "null in a list" : "something else");
    lf_string_put(&r->atom, "", 0);
    return r->atom.failed ? out_of_memory(r, err) : add_name(r, r->atom.s, err);
}

static lf_status add_list(lf_label_reader *r, const cJSON *list, lf_err *err) {
    const cJSON *v;
    lf_status rc = LF_OK;
    r->lists = true;
    cJSON_ArrayForEach(v, list) if (!rc) rc = add_value(r, v, err);
    return rc;
}

static lf_status add_written_list(lf_label_reader *r, const char *text, lf_err *err) {
    char name[600];
    cJSON *list = NULL;
    lf_status rc =
        lf_json_parse(&list, text, strlen(text), r->name_of(r->data, r->out->sets.n, name, sizeof name), err);
    if (!rc) rc = add_list(r, list, err);
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
        rc = lf_string_put(&r->atom, text, n) ? add_name(r, r->atom.s, err) : out_of_memory(r, err);
    }
    return rc;
}

/* Room for one example more, of no class yet. */
static lf_status begin_example(lf_label_reader *r, lf_err *err) {
    lf_class_sets *s = &r->out->sets;
    if (!lf_grow(&s->begin, &r->begin_room, s->n + 2)) return out_of_memory(r, err);
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

static bool as_number(const char *name, double *out) {
    char *end;
    if (!*name || strchr(" \t\r\n", *name)) return false;
    *out = strtod(name, &end);
    return !*end && isfinite(*out);
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
    if (cJSON_IsNumber(v) || (cJSON_IsString(v) && as_number(v->valuestring, &x)))
        snprintf(found + strlen(found), sizeof found - strlen(found), "; of numbers say problem_type regression");
    return bad_label(r, r->out->sets.n, err, expected, found);
}

/* A column of a label of several numbers: what is none is found when they are taken. */
static lf_status add_column(lf_label_reader *r, const cJSON *record, const char *column, lf_err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, column);
    const char *text = cJSON_GetStringValue(v);
    char expected[120];
    if (v && !cJSON_IsNull(v) && !(text && !*text)) return add_value(r, v, err);
    snprintf(expected, sizeof expected, "a number in the column '%.60s' (label_columns)", column);
    return bad_label(r, r->out->sets.n, err, expected, v ? "nothing" : "no such column");
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

/* ---- what they are ---- */

/* All names are numbers; *whole: and none has a fraction. */
static bool are_numbers(const lf_labels *l, bool *whole) {
    double x;
    *whole = true;
    for (int64_t i = 0; i < l->n_names; i++) {
        if (!as_number(l->names[i], &x)) return false;
        *whole = *whole && x == floor(x) && fabs(x) < 1e9;
    }
    return l->n_names > 0;
}

static int64_t labels_of(const lf_class_sets *s, int64_t i) { return s->begin[i + 1] - s->begin[i]; }

static bool are_of_one_length(const lf_class_sets *s) {
    for (int64_t i = 1; i < s->n; i++)
        if (labels_of(s, i) != labels_of(s, 0)) return false;
    return s->n > 0 && labels_of(s, 0) > 0;
}

static lf_problem problem_of(const lf_label_reader *r) {
    bool whole;
    const bool numbers = are_numbers(r->out, &whole) && !whole && !r->fixed && !r->form.separator;
    if (r->lists) return numbers && are_of_one_length(&r->out->sets) ? LF_REGRESSION : LF_MULTI_LABEL;
    return numbers ? LF_REGRESSION : LF_SINGLE_LABEL;
}

/* ---- numbers ---- */

/* What several numbers are called: as their columns, else as transformers calls labels. */
static lf_status name_numbers(lf_label_reader *r, lf_err *err) {
    lf_labels *l = r->out;
    const cJSON *column = r->form.columns ? r->form.columns->child : NULL;
    if (l->width == 1) return LF_OK;
    if (!(l->parts = lf_arena_alloc(l->arena, (size_t)l->width * sizeof *l->parts))) return out_of_memory(r, err);
    for (int64_t k = 0; k < l->width; k++, column = column ? column->next : NULL) {
        char name[32];
        snprintf(name, sizeof name, "LABEL_%" PRId64, k);
        if (!(l->parts[k] = lf_arena_strdup(l->arena, column ? column->valuestring : name)))
            return out_of_memory(r, err);
    }
    return LF_OK;
}

static lf_status bad_length(const lf_label_reader *r, int64_t i, lf_err *err) {
    char expected[80], found[40];
    snprintf(expected, sizeof expected, "%" PRId64 " number%s as label, as the first record has", r->out->width,
             r->out->width == 1 ? "" : "s");
    snprintf(found, sizeof found, "%" PRId64, labels_of(&r->out->sets, i));
    return bad_label(r, i, err, expected, found);
}

static lf_status make_numbers(lf_label_reader *r, lf_err *err) {
    lf_labels *l = r->out;
    const lf_class_sets *s = &l->sets;
    l->width = s->n && labels_of(s, 0) > 1 ? labels_of(s, 0) : 1;
    if (!(l->numbers = lf_calloc((size_t)(s->n * l->width), sizeof *l->numbers))) return out_of_memory(r, err);
    for (int64_t i = 0; i < s->n; i++) {
        if (labels_of(s, i) != l->width) return bad_length(r, i, err);
        for (int64_t k = 0; k < l->width; k++) {
            const char *name = l->names[s->ids[s->begin[i] + k]];
            double x;
            if (!as_number(name, &x) || fabs(x) > FLT_MAX)
                return bad_label(r, i, err, "a number as label (problem_type regression), not above 3.4e38", name);
            l->numbers[i * l->width + k] = (float)x;
        }
    }
    l->n_names = 0;
    return name_numbers(r, err);
}

/* ---- classes ---- */

/* Lists of 0 and 1, all of one length, say of each class whether it is one; that some list holds a number twice shows
 * that these are no names. Returns that length, else 0. */
static int64_t length_of_marks(const lf_label_reader *r) {
    const lf_labels *l = r->out;
    const lf_class_sets *s = &l->sets;
    const int64_t length = s->n ? labels_of(s, 0) : 0;
    bool twice = false;
    if (!r->lists || r->fixed || length < 2) return 0;
    for (int64_t i = 0; i < l->n_names; i++)
        if (strcmp(l->names[i], "0") && strcmp(l->names[i], "1")) return 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (labels_of(s, i) != length) return 0;
        twice = twice || length > 2 || s->ids[s->begin[i]] == s->ids[s->begin[i] + 1];
    }
    return twice ? length : 0;
}

/* The names "0", "1", ... of n classes; NULL: out of memory. */
static const char **numbered(lf_arena *arena, int64_t n) {
    const char **names = lf_calloc((size_t)n, sizeof *names);
    for (int64_t k = 0; names && k < n; k++) {
        char name[24];
        snprintf(name, sizeof name, "%" PRId64, k);
        if ((names[k] = lf_arena_strdup(arena, name))) continue;
        lf_free(names);
        return NULL;
    }
    return names;
}

static lf_status take_marks(lf_label_reader *r, int64_t length, lf_err *err) {
    lf_labels *l = r->out;
    lf_class_sets *s = &l->sets;
    const char **names = numbered(l->arena, length);
    int64_t at = 0, begin = 0;
    if (!names) return out_of_memory(r, err);
    for (int64_t i = 0; i < s->n; i++) {
        for (int64_t k = 0; k < length; k++)
            if (!strcmp(l->names[s->ids[begin + k]], "1")) s->ids[at++] = (int32_t)k; /* at <= begin + k */
        begin = s->begin[i + 1];
        s->begin[i + 1] = at;
    }
    lf_free(l->names);
    l->names = names;
    l->n_names = length;
    return LF_OK;
}

/* Of numbers "1.0" is "1". */
static bool shorten_numbers(lf_labels *l) {
    bool whole;
    if (!are_numbers(l, &whole) || !whole) return true;
    for (int64_t i = 0; i < l->n_names; i++) {
        char name[32];
        double x;
        if (!as_number(l->names[i], &x)) continue;
        snprintf(name, sizeof name, "%.0f", x);
        if (strcmp(name, l->names[i]) && !(l->names[i] = lf_arena_strdup(l->arena, name))) return false;
    }
    return true;
}

/* Into `sorted`, and into `to` the new number of each; there is room for all. Returns how many there are, -1: out of
 * memory. */
static int64_t sort_into(lf_label_reader *r, const char **sorted, int32_t *to) {
    const lf_labels *l = r->out;
    for (int64_t i = 0; i < l->n_names; i++) sorted[i] = l->names[i];
    const int64_t n = lf_class_names_sort(sorted, l->n_names);
    if (!make_larger(r, sorted, n)) return -1;
    for (int64_t i = 0; i < l->n_names; i++) to[i] = r->table.slots[slot_of(r, sorted, l->names[i])];
    return n;
}

static lf_status sort_names(lf_label_reader *r, lf_err *err) {
    lf_labels *l = r->out;
    const size_t room = (size_t)l->n_names + 1;
    const char **sorted = lf_malloc(room * sizeof *sorted);
    int32_t *to = lf_malloc(room * sizeof *to);
    const int64_t n = sorted && to && shorten_numbers(l) ? sort_into(r, sorted, to) : -1;
    if (n >= 0) {
        lf_class_sets_renumber(&l->sets, to);
        lf_free(l->names);
        l->names = sorted;
        l->n_names = n;
        sorted = NULL;
    }
    lf_free(sorted);
    lf_free(to);
    return n < 0 ? out_of_memory(r, err) : LF_OK;
}

static lf_status check_one_each(const lf_label_reader *r, lf_err *err) {
    const lf_class_sets *s = &r->out->sets;
    for (int64_t i = 0; i < s->n; i++)
        if (labels_of(s, i) != 1)
            return bad_label(r, i, err, "one label (problem_type single_label_classification)",
                             labels_of(s, i) ? "several" : "an empty list");
    return LF_OK;
}

/* A field of texts taken for one of labels has almost as many values as there are examples. */
static void warn_of_texts(const lf_label_reader *r) {
    enum { FEW = 100 };
    const lf_labels *l = r->out;
    if (r->field && l->n_names > FEW && 2 * l->n_names > l->sets.n)
        lf_warn("%s: the labels of %" PRId64 " records are %" PRId64 " classes, as '%.60s'; is '%s' the field of the "
                "label? label_field names another, and problem_type regression takes numbers as such",
                r->path, l->sets.n, l->n_names, l->names[0], r->field);
}

/* What looks like several names in one text is one class, unless it is said. */
static void warn_of_joined(const lf_label_reader *r) {
    const lf_labels *l = r->out;
    for (int64_t i = 0; i < l->n_names && !r->form.separator && !r->fixed; i++) {
        if (!strchr(l->names[i], '|')) continue;
        lf_warn("%s: one of its %" PRId64 " classes is '%.60s'; are these several classes? "
                "\"label_separator\": \"|\" says so",
                r->path, l->n_names, l->names[i]);
        return;
    }
}

static lf_status make_classes(lf_label_reader *r, lf_err *err) {
    lf_labels *l = r->out;
    const int64_t marks = l->problem == LF_MULTI_LABEL ? length_of_marks(r) : 0;
    lf_status rc = l->problem == LF_SINGLE_LABEL ? check_one_each(r, err) : LF_OK;
    if (rc || r->fixed) return rc;
    if ((rc = marks ? take_marks(r, marks, err) : sort_names(r, err))) return rc;
    if (!l->n_names) return lf_fail(err, LF_EDATA, "%s: no record has a label: all lists are empty", r->path);
    warn_of_texts(r);
    warn_of_joined(r);
    return LF_OK;
}

lf_status lf_label_reader_take(lf_label_reader *r, const lf_problem *known, lf_labels **out, lf_err *err) {
    r->out->problem = known ? *known : problem_of(r);
    const lf_status rc = r->out->problem == LF_REGRESSION ? make_numbers(r, err) : make_classes(r, err);
    if (rc) return rc;
    *out = r->out;
    r->out = NULL;
    return LF_OK;
}

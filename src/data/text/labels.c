/* The labels of all records, read through once: what they are (classes, several of them, numbers), what the classes are
 * called, and which each record has. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/class_names.h"
#include "data/text/labelled.h"
#include "data/text/making.h"

/* ---- names, each once ---- */

typedef struct table {
    int32_t *slots; /* [size] number of a name, -1: free; size is a power of two */
    size_t size;
} table;

static uint64_t hash_of(const char *s) { /* FNV-1a */
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *s; s++) h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
    return h;
}

static size_t slot_of(const table *t, const char *const *names, const char *name) {
    size_t at = (size_t)hash_of(name) & (t->size - 1);
    while (t->slots[at] >= 0 && strcmp(names[t->slots[at]], name)) at = (at + 1) & (t->size - 1);
    return at;
}

static bool make_larger(table *t, const char *const *names, int64_t n) {
    const size_t size = t->size ? 2 * t->size : 64;
    int32_t *slots = lf_malloc(size * sizeof *slots);
    if (!slots) return false;
    memset(slots, -1, size * sizeof *slots);
    lf_free(t->slots);
    *t = (table){slots, size};
    for (int64_t i = 0; i < n; i++) t->slots[slot_of(t, names, names[i])] = (int32_t)i;
    return true;
}

/* ---- reading ---- */

typedef struct reading {
    lf_text_labels *out;
    const lf_text_shards *shards;
    const lf_text_labelling *how;
    table table;
    int64_t names_room, ids_room;
    lf_string atom;
    bool lists;                     /* some record has a list */
    int64_t missing, first_missing; /* records without a label */
    int64_t empty, first_empty;     /* without a text */
    lf_err *err;
} reading;

static lf_status out_of_memory(const reading *r) { return lf_no_memory(r->err, "the labels of %s", r->shards->path); }

static const char *name_of_record(const reading *r, int64_t i, char *buf, size_t size) {
    const lf_text_store *s = lf_text_shards_at(r->shards, &i);
    return lf_text_store_record_name(s, i, buf, size);
}

static lf_status add_id(reading *r, const char *name) {
    lf_text_labels *l = r->out;
    if (2 * (size_t)l->n_names >= r->table.size && !make_larger(&r->table, l->names, l->n_names))
        return out_of_memory(r);
    const size_t at = slot_of(&r->table, l->names, name);
    if (r->table.slots[at] < 0) {
        const char *copy = lf_arena_strdup(l->arena, name);
        if (!copy || !lf_grow(&l->names, &r->names_room, l->n_names + 1)) return out_of_memory(r);
        l->names[l->n_names] = copy;
        r->table.slots[at] = (int32_t)l->n_names++;
    }
    const int64_t n = l->begin[l->n + 1];
    if (!lf_grow(&l->ids, &r->ids_room, n + 1)) return out_of_memory(r);
    l->ids[n] = r->table.slots[at];
    l->begin[l->n + 1] = n + 1;
    return LF_OK;
}

static lf_status bad_label(const reading *r, int64_t i, const char *expected, const char *found) {
    char name[600];
    return lf_fail(r->err, LF_EDATA, "%s: expected %s, found %s", name_of_record(r, i, name, sizeof name), expected,
                   found);
}

/* A string, a number or a truth value, as text: 1.0 is 1. */
static lf_status add_value(reading *r, const cJSON *v) {
    int64_t whole;
    lf_string_empty(&r->atom);
    if (cJSON_IsNumber(v) && lf_json_exact_i64(v, &whole))
        lf_string_add(&r->atom, "%" PRId64, whole);
    else if (!lf_text_put_value(&r->atom, v))
        return bad_label(r, r->out->n, "a label that is a text or a number, or a list of them",
                         cJSON_IsNull(v) ? "null in a list" : "something else");
    lf_string_put(&r->atom, "", 0);
    return r->atom.failed ? out_of_memory(r) : add_id(r, r->atom.s);
}

static lf_status add_list(reading *r, const cJSON *list) {
    const cJSON *v;
    lf_status rc = LF_OK;
    r->lists = true;
    cJSON_ArrayForEach(v, list) if (!rc) rc = add_value(r, v);
    return rc;
}

/* Tables have no lists of their own: one is written as JSON. */
static lf_status add_written_list(reading *r, const cJSON *v) {
    char name[600];
    cJSON *list = NULL;
    lf_status rc = lf_json_parse(&list, v->valuestring, strlen(v->valuestring),
                                 name_of_record(r, r->out->n, name, sizeof name), r->err);
    if (!rc) rc = add_list(r, list);
    cJSON_Delete(list);
    return rc;
}

static bool is_written_list(const lf_text_store *s, const cJSON *v) {
    const char *text = cJSON_GetStringValue(v);
    return s->format->delimited && text && *text == '[' && text[strlen(text) - 1] == ']';
}

static lf_status add_label(reading *r, const lf_text_store *s, const cJSON *record) {
    const cJSON *v = lf_text_label_of(s, record);
    if (cJSON_IsArray(v)) return add_list(r, v);
    if (is_written_list(s, v)) return add_written_list(r, v);
    if (!lf_text_is_empty(v)) return add_value(r, v);
    if (r->missing++ == 0) r->first_missing = r->out->n;
    return LF_OK;
}

static void look_at_texts(reading *r, const lf_text_store *s, const cJSON *record) {
    const bool second = s->fields.second && !lf_text_is_empty(lf_text_field(record, s->fields.second));
    if (second || !lf_text_is_empty(lf_text_field(record, s->fields.text))) return;
    if (r->empty++ == 0) r->first_empty = r->out->n;
}

static lf_status read_store(reading *r, const lf_text_store *s, lf_progress *bar) {
    enum { SHOWN_EVERY = 1024 };
    lf_text_labels *l = r->out;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < s->n && !rc; i++) {
        cJSON *record = NULL;
        l->begin[l->n + 1] = l->begin[l->n];
        if (!(rc = s->format->record(s, i, &record, r->err))) rc = add_label(r, s, record);
        if (!rc) look_at_texts(r, s, record);
        cJSON_Delete(record);
        l->n++;
        if (l->n % SHOWN_EVERY) continue;
        lf_progress_update(bar, l->n, "");
        if (!rc && lf_interrupted()) rc = lf_fail(r->err, LF_EINTERRUPTED, "interrupted while labels were read");
    }
    return rc;
}

static lf_status read_all(reading *r) {
    const lf_text_shards *s = r->shards;
    lf_progress bar;
    lf_status rc = LF_OK;
    lf_progress_begin(&bar, "reading labels", s->first[s->n_stores]);
    for (int64_t i = 0; i < s->n_stores && !rc; i++) rc = read_store(r, s->stores[i], &bar);
    lf_progress_end(&bar, "");
    return rc;
}

/* ---- what they are ---- */

static bool as_number(const char *name, double *out) {
    char *end;
    if (!*name || strchr(" \t\r\n", *name)) return false;
    *out = strtod(name, &end);
    return !*end && isfinite(*out);
}

/* All names are numbers; *whole: and none has a fraction. */
static bool are_numbers(const lf_text_labels *l, bool *whole) {
    double x;
    *whole = true;
    for (int64_t i = 0; i < l->n_names; i++) {
        if (!as_number(l->names[i], &x)) return false;
        *whole = *whole && x == floor(x) && fabs(x) < 1e9;
    }
    return l->n_names > 0;
}

static lf_problem problem_of(const reading *r) {
    bool whole;
    if (r->how->problem_known) return r->how->problem;
    if (r->lists) return LF_MULTI_LABEL;
    return are_numbers(r->out, &whole) && !whole ? LF_REGRESSION : LF_SINGLE_LABEL;
}

static lf_status check_there(const reading *r) {
    const lf_text_labels *l = r->out;
    const char *path = r->shards->path;
    char name[600];
    if (r->empty)
        lf_warn("%s: %" PRId64 " of %" PRId64 " texts are empty, first that of %s; they are classified all the same",
                path, r->empty, l->n, name_of_record(r, r->first_empty, name, sizeof name));
    if (l->n_names == 1 && !strcmp(l->names[0], "-1"))
        return lf_fail(r->err, LF_EDATA,
                       "%s: each of the %" PRId64 " labels is -1: a test part whose labels are hidden, as GLUE's are; "
                       "take the validation part",
                       path, l->n);
    if (!r->missing) return LF_OK;
    return lf_fail(r->err, LF_EDATA,
                   "%s: %" PRId64 " of %" PRId64 " records have no label (the field '%s' is absent, empty or null), "
                   "first %s; %s",
                   path, r->missing, l->n, r->shards->stores[0]->fields.label,
                   name_of_record(r, r->first_missing, name, sizeof name),
                   r->missing == l->n ? "a test part whose labels are hidden? take the validation part"
                                      : "leave them out");
}

/* ---- numbers ---- */

static lf_status make_numbers(reading *r) {
    lf_text_labels *l = r->out;
    if (!(l->numbers = lf_malloc((size_t)l->n * sizeof *l->numbers))) return out_of_memory(r);
    for (int64_t i = 0; i < l->n; i++) {
        double x;
        if (l->begin[i + 1] - l->begin[i] != 1) return bad_label(r, i, "one number as label", "a list");
        const char *name = l->names[l->ids[l->begin[i]]];
        if (!as_number(name, &x)) return bad_label(r, i, "a number as label (problem_type regression)", name);
        l->numbers[i] = (float)x;
    }
    l->n_names = 0;
    return LF_OK;
}

/* ---- classes ---- */

/* Lists of 0 and 1, all of one length, say of each class whether it is one; that some list holds a number twice shows
 * that these are no names. Returns that length, else 0. */
static int64_t length_of_marks(const reading *r) {
    const lf_text_labels *l = r->out;
    const int64_t length = l->n ? l->begin[1] - l->begin[0] : 0;
    bool twice = false;
    if (!r->lists || length < 2) return 0;
    for (int64_t i = 0; i < l->n_names; i++)
        if (strcmp(l->names[i], "0") && strcmp(l->names[i], "1")) return 0;
    for (int64_t i = 0; i < l->n; i++) {
        if (l->begin[i + 1] - l->begin[i] != length) return 0;
        twice = twice || length > 2 || l->ids[l->begin[i]] == l->ids[l->begin[i] + 1];
    }
    return twice ? length : 0;
}

static lf_status take_marks(reading *r, int64_t length) {
    lf_text_labels *l = r->out;
    const char **names = lf_calloc((size_t)length, sizeof *names);
    int64_t at = 0, begin = 0;
    for (int64_t k = 0; names && k < length; k++) {
        char name[24];
        snprintf(name, sizeof name, "%" PRId64, k);
        if (!(names[k] = lf_arena_strdup(l->arena, name))) {
            lf_free(names);
            names = NULL;
        }
    }
    if (!names) return out_of_memory(r);
    for (int64_t i = 0; i < l->n; i++) {
        for (int64_t k = 0; k < length; k++)
            if (!strcmp(l->names[l->ids[begin + k]], "1")) l->ids[at++] = (int32_t)k; /* at <= begin + k */
        begin = l->begin[i + 1];
        l->begin[i + 1] = at;
    }
    lf_free(l->names);
    l->names = names;
    l->n_names = length;
    return LF_OK;
}

/* Of numbers "1.0" is "1". */
static bool shorten_numbers(lf_text_labels *l) {
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

static lf_status sort_names(reading *r) {
    lf_text_labels *l = r->out;
    const size_t n = (size_t)l->n_names;
    const char **sorted = lf_malloc((n + 1) * sizeof *sorted);
    int32_t *to = lf_malloc((n + 1) * sizeof *to);
    const bool good = sorted && to && shorten_numbers(l);
    if (good) {
        if (n) memcpy(sorted, l->names, n * sizeof *sorted);
        const int64_t kept = lf_class_names_sort(sorted, l->n_names);
        table t = {0};
        while (t.size < 2 * n + 2)
            if (!make_larger(&t, NULL, 0)) break;
        if (t.size >= 2 * n + 2) {
            for (int64_t i = 0; i < kept; i++) t.slots[slot_of(&t, sorted, sorted[i])] = (int32_t)i;
            for (size_t i = 0; i < n; i++) to[i] = t.slots[slot_of(&t, sorted, l->names[i])];
            for (int64_t i = 0; i < l->begin[l->n]; i++) l->ids[i] = to[l->ids[i]];
            lf_free(l->names);
            l->names = sorted;
            l->n_names = kept;
            sorted = NULL;
        }
        lf_free(t.slots);
    }
    const bool done = good && !sorted;
    lf_free(sorted);
    lf_free(to);
    return done ? LF_OK : out_of_memory(r);
}

static lf_status check_one_each(const reading *r) {
    const lf_text_labels *l = r->out;
    for (int64_t i = 0; i < l->n; i++)
        if (l->begin[i + 1] - l->begin[i] != 1)
            return bad_label(r, i, "one label (problem_type single_label_classification)",
                             l->begin[i + 1] == l->begin[i] ? "an empty list" : "several");
    return LF_OK;
}

/* A field of texts taken for one of labels has almost as many values as there are records. */
static void warn_of_texts(const reading *r) {
    enum { FEW = 100 };
    const lf_text_labels *l = r->out;
    if (l->n_names > FEW && 2 * l->n_names > l->n)
        lf_warn("%s: the labels of %" PRId64 " records are %" PRId64 " classes, as '%.60s'; is '%s' the field of the "
                "label? label_field names another, and problem_type regression takes numbers as such",
                r->shards->path, l->n, l->n_names, l->names[0], r->shards->stores[0]->fields.label);
}

static lf_status make_classes(reading *r) {
    lf_text_labels *l = r->out;
    const int64_t marks = l->problem == LF_MULTI_LABEL ? length_of_marks(r) : 0;
    lf_status rc = l->problem == LF_SINGLE_LABEL ? check_one_each(r) : LF_OK;
    if (rc || (rc = marks ? take_marks(r, marks) : sort_names(r))) return rc;
    if (!l->n_names)
        return lf_fail(r->err, LF_EDATA, "%s: no record has a label: all lists are empty", r->shards->path);
    warn_of_texts(r);
    return LF_OK;
}

/* ---- all of it ---- */

lf_status lf_text_labels_read(lf_text_labels **out, const lf_text_shards *s, const lf_text_labelling *how,
                              lf_err *err) {
    const int64_t n = s->first[s->n_stores];
    lf_text_labels *l = lf_calloc(1, sizeof *l);
    reading r = {.out = l, .shards = s, .how = how, .err = err};
    if (l) {
        l->arena = lf_arena_new();
        l->begin = lf_calloc((size_t)n + 1, sizeof *l->begin);
    }
    lf_status rc = l && l->arena && l->begin ? read_all(&r) : out_of_memory(&r);
    if (!rc && !(rc = check_there(&r))) {
        l->problem = problem_of(&r);
        rc = l->problem == LF_REGRESSION ? make_numbers(&r) : make_classes(&r);
    }
    lf_free(r.table.slots);
    lf_string_free(&r.atom);
    if (rc)
        lf_text_labels_free(l);
    else
        *out = l;
    return rc;
}

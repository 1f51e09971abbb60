/* What the labels that were read are: classes, several of them, marks of 0 and 1, or numbers. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "data/class_names.h"
#include "data/label_reader.h"

/* All names are numbers; *whole: and none has a fraction. */
static bool are_numbers(const lf_labels *l, bool *whole) {
    double x;
    *whole = true;
    for (int64_t i = 0; i < l->n_names; i++) {
        if (!lf_label_is_number(l->names[i], &x)) return false;
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
    if (!(l->parts = lf_arena_alloc(l->arena, (size_t)l->width * sizeof *l->parts)))
        return lf_label_reader_full(r, err);
    for (int64_t k = 0; k < l->width; k++, column = column ? column->next : NULL) {
        char name[32];
        snprintf(name, sizeof name, "LABEL_%" PRId64, k);
        if (!(l->parts[k] = lf_arena_strdup(l->arena, column ? column->valuestring : name)))
            return lf_label_reader_full(r, err);
    }
    return LF_OK;
}

static lf_status bad_length(const lf_label_reader *r, int64_t i, lf_err *err) {
    char expected[80], found[40];
    snprintf(expected, sizeof expected, "%" PRId64 " number%s as label, as the first record has", r->out->width,
             r->out->width == 1 ? "" : "s");
    snprintf(found, sizeof found, "%" PRId64, labels_of(&r->out->sets, i));
    return lf_label_reader_bad(r, i, err, expected, found);
}

static lf_status make_numbers(lf_label_reader *r, lf_err *err) {
    lf_labels *l = r->out;
    const lf_class_sets *s = &l->sets;
    l->width = s->n && labels_of(s, 0) > 1 ? labels_of(s, 0) : 1;
    if (!(l->numbers = lf_calloc((size_t)(s->n * l->width), sizeof *l->numbers))) return lf_label_reader_full(r, err);
    for (int64_t i = 0; i < s->n; i++) {
        if (labels_of(s, i) != l->width) return bad_length(r, i, err);
        for (int64_t k = 0; k < l->width; k++) {
            const char *name = l->names[s->ids[s->begin[i] + k]];
            double x;
            if (!lf_label_is_number(name, &x) || fabs(x) > FLT_MAX)
                return lf_label_reader_bad(r, i, err, "a number as label (problem_type regression), not above 3.4e38",
                                           name);
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
    if (!names) return lf_label_reader_full(r, err);
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
        if (!lf_label_is_number(l->names[i], &x)) continue;
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
    if (!lf_label_table_fill(&r->table, sorted, n)) return -1;
    for (int64_t i = 0; i < l->n_names; i++) to[i] = *lf_label_table_at(&r->table, sorted, l->names[i]);
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
    return n < 0 ? lf_label_reader_full(r, err) : LF_OK;
}

static lf_status check_one_each(const lf_label_reader *r, lf_err *err) {
    const lf_class_sets *s = &r->out->sets;
    for (int64_t i = 0; i < s->n; i++)
        if (labels_of(s, i) != 1)
            return lf_label_reader_bad(r, i, err, "one label (problem_type single_label_classification)",
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
    if (r->wrote_lists) lf_info("%s: labels in brackets are read as lists of classes, or of numbers", r->path);
    r->out->problem = known ? *known : problem_of(r);
    const lf_status rc = r->out->problem == LF_REGRESSION ? make_numbers(r, err) : make_classes(r, err);
    if (rc) return rc;
    *out = r->out;
    r->out = NULL;
    return LF_OK;
}

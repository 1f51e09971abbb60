/* Pictures in Parquet files: their labels, which are numbers, texts, or several of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/files.h"
#include "data/image/dataset_parquet.h"

/* A class that is a text, and how many were met before it. */
typedef struct text_class {
    char *text; /* lf_malloc */
    int32_t number;
} text_class;

/* The names of the classes as they are met: those of a ClassLabel, or texts, or numbers. */
typedef struct naming {
    lf_store *store;
    const lf_data_request *request;
    const cJSON *names; /* of a ClassLabel, or NULL */
    const char *column; /* of the labels, by the first file; NULL: columns of 0 and 1 */
    text_class *texts;  /* [n_texts] sorted by bytes */
    int64_t n_texts, room;
    int64_t highest; /* of numbers */
    bool numbers;    /* labels are numbers */
    bool by_rows;    /* they are lists, or several in one text, or in several columns */
} naming;

static lf_status bad_label(const naming *g, int64_t row, int64_t label, lf_err *err) {
    char name[600];
    const int n = cJSON_GetArraySize(g->names);
    g->store->format->name_of(g->store, row, name, sizeof name);
    if (label == -1)
        return lf_fail(err, LF_EDATA, "%s: the label is -1, which stands for none; is it a split without labels?",
                       name);
    return lf_fail(err, LF_EDATA, "%s: label %" PRId64 ": expected 0 to %d", name, label, n ? n - 1 : INT32_MAX);
}

static lf_status read_number(const naming *g, const lf_shard *s, int64_t i, int64_t row, int64_t *label, lf_err *err) {
    enum { MOST = 1 << 24 };
    bool is_null;
    const lf_status rc = lf_parquet_get_integer(s->file, s->label, i, label, &is_null, err);
    if (rc) return rc;
    if (is_null) *label = -1;
    if (*label < 0 || *label > MOST || (g->names && *label >= cJSON_GetArraySize(g->names)))
        return bad_label(g, row, *label, err);
    return LF_OK;
}

/* Where a text is among those that were met, or belongs. */
static int64_t place_of(const naming *g, const char *text) {
    int64_t low = 0, high = g->n_texts;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (strcmp(g->texts[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes text over. */
static lf_status add_text(naming *g, char *text, int64_t at, lf_err *err) {
    if (!lf_grow(&g->texts, &g->room, g->n_texts + 1)) {
        lf_free(text);
        return lf_no_memory(err, "the classes of %s", g->store->path);
    }
    memmove(g->texts + at + 1, g->texts + at, (size_t)(g->n_texts - at) * sizeof *g->texts);
    g->texts[at] = (text_class){text, (int32_t)g->n_texts++};
    return LF_OK;
}

static lf_status read_text(naming *g, const lf_shard *s, int64_t i, int64_t row, int64_t *label, lf_err *err) {
    unsigned char *text;
    size_t n;
    lf_status rc = lf_parquet_get_bytes(s->file, s->label, i, &text, &n, err);
    if (rc) return rc;
    if (!text || memchr(text, 0, n)) {
        lf_free(text);
        return bad_label(g, row, -1, err);
    }
    const int64_t k = place_of(g, (char *)text);
    const bool known = k < g->n_texts && !strcmp(g->texts[k].text, (char *)text);
    if (known)
        lf_free(text);
    else
        rc = add_text(g, (char *)text, k, err);
    if (!rc) *label = g->texts[k].number;
    return rc;
}

static lf_status read_labels(naming *g, const lf_shards *all, lf_err *err) {
    lf_store *s = g->store;
    lf_status rc = LF_OK;
    for (int64_t f = 0; f < all->n && !rc; f++) {
        const lf_shard *at = &all->at[f];
        for (int64_t i = 0; i < lf_parquet_rows(at->file) && !rc; i++) {
            int64_t label = -1;
            rc = g->numbers ? read_number(g, at, i, at->first + i, &label, err)
                            : read_text(g, at, i, at->first + i, &label, err);
            if (label > g->highest) g->highest = label;
            s->labels[at->first + i] = (int32_t)label;
        }
    }
    return rc;
}

/* Classes that are texts are numbered in sorted order, as those of folders are. */
static lf_status name_by_texts(naming *g, lf_err *err) {
    const int64_t n = g->n_texts;
    const char **sorted = lf_malloc((size_t)(n + 1) * sizeof *sorted);
    if (!sorted) return lf_no_memory(err, "the classes of %s", g->store->path);
    for (int64_t i = 0; i < n; i++) sorted[i] = g->texts[i].text;
    lf_class_names_sort(sorted, n);
    int32_t *to = lf_malloc((size_t)(n + 1) * sizeof *to);
    lf_status rc = to ? LF_OK : lf_no_memory(err, "the classes of %s", g->store->path);
    for (int64_t i = 0; i < n && !rc; i++) to[g->texts[place_of(g, sorted[i])].number] = (int32_t)i;
    for (int64_t i = 0; i < g->store->n && !rc; i++) g->store->labels[i] = to[g->store->labels[i]];
    if (!rc) rc = lf_store_name_classes(g->store, sorted, n, err);
    lf_free(to);
    lf_free(sorted);
    return rc;
}

/* Those of a ClassLabel, or "0", "1", ... */
static lf_status name_by_numbers(const naming *g, lf_err *err) {
    const int64_t n = g->names ? cJSON_GetArraySize(g->names) : g->highest + 1;
    lf_paths made = {0};
    lf_status rc = LF_OK;
    const cJSON *name = g->names ? g->names->child : NULL;
    for (int64_t i = 0; i < n && !rc; i++) {
        char number[24];
        snprintf(number, sizeof number, "%" PRId64, i);
        const char *text = g->names ? cJSON_GetStringValue(name) : number;
        if (!text)
            rc = lf_fail(err, LF_EDATA, "%s: the names of the classes are no texts", g->store->path);
        else if (!lf_paths_add(&made, text))
            rc = lf_no_memory(err, "the classes of %s", g->store->path);
        if (name) name = name->next;
    }
    if (!rc) rc = lf_store_name_classes(g->store, (const char *const *)made.at, n, err);
    lf_paths_free(&made);
    return rc;
}

/* ---- several labels ------------------------------------------------------------------------------------------------
 */

static const char *name_of_picture(const void *store, int64_t i, char *buf, size_t size) {
    const lf_store *s = store;
    return s->format->name_of(s, i, buf, size);
}

static lf_status read_row(const naming *g, lf_label_reader *reader, const lf_shard *at, int64_t i, lf_err *err) {
    cJSON *row = NULL;
    lf_status rc = lf_parquet_row(at->file, i, &row, err);
    if (rc) return rc;
    const cJSON *label = g->column ? cJSON_GetObjectItemCaseSensitive(row, g->column) : NULL;
    if (!g->column)
        rc = lf_label_reader_add_columns(reader, row, err);
    else if (!label || cJSON_IsNull(label))
        rc = bad_label(g, at->first + i, -1, err);
    else
        rc = lf_label_reader_add(reader, label, err);
    cJSON_Delete(row);
    return rc;
}

/* Those of one class each become labels, all others the store's sets. */
static lf_status take_labels(lf_store *s, lf_labels *l, lf_err *err) {
    const lf_status rc = lf_store_name_classes(s, l->names, l->n_names, err);
    const bool several = l->problem == LF_MULTI_LABEL;
    for (int64_t i = 0; i < s->n; i++) s->labels[i] = several ? -1 : l->sets.ids[l->sets.begin[i]];
    if (!several) return rc;
    s->several = l->sets;
    l->sets = (lf_class_sets){0};
    return rc;
}

static lf_status read_rows(const naming *g, const lf_shards *all, lf_err *err) {
    lf_label_reader reader = {
        .path = g->store->path, .form = g->request->form, .name_of = name_of_picture, .data = g->store};
    lf_labels *l = NULL;
    lf_status rc = lf_label_reader_open(&reader, err);
    if (!rc && g->names) rc = lf_label_reader_fix(&reader, g->names, err);
    for (int64_t f = 0; f < all->n && !rc; f++)
        for (int64_t i = 0; i < lf_parquet_rows(all->at[f].file) && !rc; i++)
            rc = read_row(g, &reader, &all->at[f], i, err);
    if (!rc) rc = lf_store_take_labels(&reader, g->request, &l, err);
    if (!rc) rc = take_labels(g->store, l, err);
    lf_labels_free(l);
    lf_label_reader_free(&reader);
    return rc;
}

/* ---- all -----------------------------------------------------------------------------------------------------------
 */

lf_status lf_shards_read_labels(lf_store *s, const lf_shards *all, const lf_data_request *r, const char *column,
                                lf_err *err) {
    const lf_shard *first = &all->at[0];
    naming g = {.store = s, .request = r, .column = column, .numbers = lf_shard_has_numbers(first)};
    g.by_rows = !column || first->label < 0 || (r->form.separator && !g.numbers);
    g.names = g.numbers || (g.by_rows && column) ? lf_shard_class_names(first, column) : NULL;
    lf_status rc;
    if (g.by_rows)
        rc = read_rows(&g, all, err);
    else if (!(rc = read_labels(&g, all, err)))
        rc = g.numbers ? name_by_numbers(&g, err) : name_by_texts(&g, err);
    for (int64_t i = 0; i < g.n_texts; i++) lf_free(g.texts[i].text);
    lf_free(g.texts);
    return rc;
}

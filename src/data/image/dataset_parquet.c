/* Pictures in Parquet files, as `datasets` and the Hub have them: a column with the bytes of picture files, another
 * with labels. Files of a split are one data set, in their order. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/files.h"
#include "data/image/dataset_internal.h"
#include "parquet/parquet.h"

typedef struct shard {
    lf_parquet *file;
    int64_t first;        /* number of its first row among all */
    int64_t image, label; /* leaves; label: -1 if there is none, or it is read from rows */
    int64_t path;         /* what `datasets` calls a picture; -1: nothing */
} shard;

typedef struct shards {
    shard *at;
    int64_t n;
} shards;

/* ---- columns -------------------------------------------------------------------------------------------------------
 */

/* What `datasets` says of a column; of a list, of what is in it. */
static const cJSON *feature_of(const lf_parquet *p, const char *column) {
    const cJSON *feature = cJSON_GetObjectItemCaseSensitive(lf_parquet_features(p), column);
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(feature, "feature");
    return cJSON_IsArray(feature) ? feature->child : inner ? inner : feature;
}

static bool is_feature(const lf_parquet *p, const char *column, const char *type) {
    const cJSON *feature = feature_of(p, column);
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(feature, "_type"));
    return found && !strcmp(found, type);
}

enum { PATH_ROOM = 300 };

/* "NAME.PART"; false: it is longer than any name that is used. */
static bool part_of(char path[PATH_ROOM], const char *name, const char *part) {
    return snprintf(path, PATH_ROOM, "%s.%s", name, part) < PATH_ROOM;
}

/* The leaf "NAME.bytes", or NAME itself; -1: it holds no bytes. */
static int64_t bytes_of(const lf_parquet *p, const char *name) {
    char path[PATH_ROOM];
    int64_t leaf = part_of(path, name, "bytes") ? lf_parquet_leaf(p, path) : -1;
    if (leaf < 0) leaf = lf_parquet_leaf(p, name);
    return leaf >= 0 && lf_parquet_leaf_is_bytes(p, leaf) ? leaf : -1;
}

static int64_t label_of(const lf_parquet *p, const char *name) {
    const int64_t leaf = lf_parquet_leaf(p, name);
    return leaf >= 0 && (lf_parquet_leaf_is_integer(p, leaf) || lf_parquet_leaf_is_bytes(p, leaf)) ? leaf : -1;
}

/* Lists and structs are no leaves. */
static bool is_nested(const lf_parquet *p, const char *name) {
    for (int64_t i = 0; i < lf_parquet_columns(p); i++)
        if (!strcmp(lf_parquet_column_at(p, i)->name, name))
            return !lf_parquet_column_at(p, i)->left_out && lf_parquet_leaf(p, name) < 0;
    return false;
}

static bool can_be_picture(const lf_parquet *p, const char *name) { return bytes_of(p, name) >= 0; }
static bool can_be_label(const lf_parquet *p, const char *name) { return label_of(p, name) >= 0 || is_nested(p, name); }

/* How a column is looked for: by what `datasets` says that it is, else by names that are usual for it. */
typedef struct role {
    const char *what, *key, *feature, *names[4];
    bool (*fits)(const lf_parquet *p, const char *name);
} role;

static const role image_role = {"picture", "image_field", "Image", {"image", "img", "pixel_values"}, can_be_picture};
static const role label_role = {"label", "label_field", "ClassLabel", {"label", "labels", "fine_label"}, can_be_label};

static lf_status not_found(const lf_parquet *p, const char *path, const role *r, const char *wanted, bool many,
                           lf_err *err) {
    char there[300] = "";
    for (int64_t i = 0; i < lf_parquet_columns(p); i++)
        if (r->fits(p, lf_parquet_column_at(p, i)->name))
            lf_list_append(there, sizeof there, lf_parquet_column_at(p, i)->name);
    return lf_fail(err, LF_EDATA, "%s: %s; columns that can hold a %s: %s; name one with {\"path\": ..., \"%s\": ...}",
                   path,
                   wanted ? "there is no such column"
                   : many ? "several columns may be meant"
                          : "no column is known",
                   r->what, *there ? there : "none", r->key);
}

/* *name: that of the column; borrowed from p. */
static lf_status find_column(const char **name, const lf_parquet *p, const char *path, const role *r,
                             const char *wanted, lf_err *err) {
    int64_t n = 0;
    *name = NULL;
    for (int64_t i = 0; i < lf_parquet_columns(p); i++) {
        const char *column = lf_parquet_column_at(p, i)->name;
        if (wanted ? strcmp(column, wanted) != 0 : !is_feature(p, column, r->feature)) continue;
        if (r->fits(p, column) && !n++) *name = column;
    }
    if (n == 1) return LF_OK;
    if (n > 1 || wanted) return not_found(p, path, r, wanted, n > 1, err);
    for (int k = 0; r->names[k] && !*name; k++)
        for (int64_t i = 0; i < lf_parquet_columns(p) && !*name; i++) {
            const char *column = lf_parquet_column_at(p, i)->name;
            if (!strcmp(column, r->names[k]) && r->fits(p, column)) *name = column;
        }
    return *name ? LF_OK : not_found(p, path, r, NULL, false, err);
}

/* ---- labels --------------------------------------------------------------------------------------------------------
 */

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
    const char *column; /* of the labels, of the first file; NULL: columns of 0 and 1 */
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

static lf_status read_number(const naming *g, const shard *s, int64_t i, int64_t row, int64_t *label, lf_err *err) {
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

static lf_status read_text(naming *g, const shard *s, int64_t i, int64_t row, int64_t *label, lf_err *err) {
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

static lf_status read_labels(naming *g, const shards *all, lf_err *err) {
    lf_store *s = g->store;
    lf_status rc = LF_OK;
    for (int64_t f = 0; f < all->n && !rc; f++) {
        const shard *at = &all->at[f];
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

static lf_status read_row(const naming *g, lf_label_reader *reader, const shard *at, int64_t i, lf_err *err) {
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

static lf_status read_rows(const naming *g, const shards *all, lf_err *err) {
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

/* ---- opening -------------------------------------------------------------------------------------------------------
 */

static bool is_parquet_name(const char *name) { return lf_has_extension(name, LF_PARQUET_EXTENSIONS); }

/* *image and *label: names of columns, borrowed from the file. */
static lf_status open_shard(shard *s, const char *path, const lf_data_request *r, const char **image,
                            const char **label, lf_err *err) {
    lf_status rc = lf_parquet_open(&s->file, path, err);
    if (!rc) rc = find_column(image, s->file, path, &image_role, r->image_field, err);
    if (rc) return rc;
    s->image = bytes_of(s->file, *image);
    char name[PATH_ROOM];
    s->path = part_of(name, *image, "path") ? lf_parquet_leaf(s->file, name) : -1;
    if (s->path >= 0 && !lf_parquet_leaf_is_bytes(s->file, s->path)) s->path = -1;
    s->label = -1;
    if (r->unlabelled || r->form.columns || (rc = find_column(label, s->file, path, &label_role, r->label_field, err)))
        return rc;
    s->label = label_of(s->file, *label);
    return LF_OK;
}

static const cJSON *class_names(const lf_parquet *p, const char *column) {
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(feature_of(p, column), "names");
    return cJSON_IsArray(names) && names->child ? names : NULL;
}

static bool is_integer(const shard *s) { return s->label >= 0 && lf_parquet_leaf_is_integer(s->file, s->label); }

/* Labels mean the same in all files. */
static lf_status check_like_first(const shards *all, const shard *s, const char *path, const char *label,
                                  const cJSON *names, lf_err *err) {
    const shard *first = &all->at[0];
    if (s == first || !label) return LF_OK;
    bool same;
    if (!lf_json_same(&same, names, class_names(s->file, label))) return lf_no_memory(err, "%s", path);
    if (same && is_integer(s) == is_integer(first) && (s->label < 0) == (first->label < 0)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: the column '%s' has other classes than in the files before it", path, label);
}

/* What the first file says of its labels. */
static void note_labels(naming *g, const shard *first, const char *label) {
    const lf_label_form *form = &g->request->form;
    if (g->request->unlabelled) return;
    g->column = label;
    g->numbers = is_integer(first);
    g->by_rows = !label || first->label < 0 || (form->separator && !g->numbers);
    g->names = g->numbers || (g->by_rows && label) ? class_names(first->file, label) : NULL;
}

static lf_status open_shards(shards *all, naming *g, lf_err *err) {
    lf_store *s = g->store;
    lf_status rc = LF_OK;
    int64_t without_rows = 0;
    const char *without = NULL;
    for (int64_t f = 0; f < s->n_files && !rc; f++) {
        const char *label = NULL;
        shard *at = &all->at[all->n++];
        at->first = s->n;
        if ((rc = open_shard(at, s->files[f], g->request, &s->columns[f], &label, err))) break;
        s->n += lf_parquet_rows(at->file);
        if (lf_parquet_rows(at->file) == 0 && !without_rows++) without = s->files[f];
        if (f == 0) note_labels(g, at, label);
        rc = check_like_first(all, at, s->files[f], label, g->names, err);
    }
    if (!rc && s->n) lf_data_files_warn_of_no_rows(without, without_rows);
    return rc;
}

static bool has_files(const char *folder, const char *split) {
    return lf_data_files_has_split(folder, split, is_parquet_name);
}

/* Where no split is asked for, the one that there is. */
static const char *split_of(const lf_data_request *r) {
    const char *only = NULL, *split, *usual = lf_split_at(0);
    if (r->split || !r->path || !lf_is_dir(r->path)) return r->split ? r->split : usual;
    for (int i = 0, n = 0; (split = lf_split_at(i)); i++)
        if (has_files(r->path, split)) only = n++ ? usual : split;
    return only ? only : usual;
}

static lf_status take_files(lf_store *s, const lf_data_request *r, lf_err *err) {
    const lf_data_wanted w = {.key = r->key, .split = split_of(r), .ours = is_parquet_name};
    char text[1024];
    lf_data_files files;
    lf_status rc = lf_data_files_find(&files, r->paths, &w, err);
    if (rc) return rc;
    if (files.folder)
        rc = lf_fail(err, LF_ENOTFOUND, "%s: %s: no Parquet files of the split '%s'; expected names like %s-*.parquet",
                     r->key, files.paths.at[0], w.split, w.split);
    lf_data_files_warn(&files);
    s->n_files = files.paths.n;
    if (!rc && (!(s->files = lf_arena_alloc(s->arena, (size_t)files.paths.n * sizeof *s->files)) ||
                !(s->columns = lf_arena_alloc(s->arena, (size_t)files.paths.n * sizeof *s->columns))))
        rc = lf_no_memory(err, "%s", files.paths.at[0]);
    for (int64_t i = 0; i < files.paths.n && !rc; i++)
        if (!(s->files[i] = lf_arena_strdup(s->arena, files.paths.at[i])))
            rc = lf_no_memory(err, "%s", files.paths.at[i]);
    if (!rc) {
        const char *path = lf_arena_strdup(s->arena, lf_data_files_text(&files.paths, text, sizeof text));
        if (path)
            s->path = path;
        else
            rc = lf_no_memory(err, "%s", files.paths.at[0]);
    }
    lf_data_files_free(&files);
    return rc;
}

static lf_status parquet_open(lf_store *s, const lf_data_request *r, lf_err *err) {
    naming g = {.store = s, .request = r};
    shards *all = s->source = lf_calloc(1, sizeof *all);
    if (r->labels)
        return lf_fail(err, LF_EUSAGE, "%s: 'labels' is for IDX files; of Parquet, label_field names the column",
                       r->key);
    lf_status rc = all ? take_files(s, r, err) : lf_no_memory(err, "%s", r->path);
    if (!rc && !(all->at = lf_calloc((size_t)s->n_files, sizeof *all->at))) rc = lf_no_memory(err, "%s", s->path);
    if (!rc) rc = open_shards(all, &g, err);
    if (!rc && s->n == 0) rc = lf_fail(err, LF_EDATA, "%s: %s: nothing in it; expected pictures", r->key, s->path);
    if (!rc && !(s->labels = lf_malloc((size_t)s->n * sizeof *s->labels)))
        rc = lf_no_memory(err, "the labels of %s", s->path);
    for (int64_t i = 0; i < s->n && !rc && r->unlabelled; i++) s->labels[i] = -1;
    if (!rc && g.by_rows)
        rc = read_rows(&g, all, err);
    else if (!rc && !r->unlabelled && !(rc = read_labels(&g, all, err)))
        rc = g.numbers ? name_by_numbers(&g, err) : name_by_texts(&g, err);
    for (int64_t i = 0; i < g.n_texts; i++) lf_free(g.texts[i].text);
    lf_free(g.texts);
    return rc;
}

static void parquet_close(lf_store *s) {
    shards *all = s->source;
    for (int64_t i = 0; all && i < all->n; i++) lf_parquet_close(all->at[i].file);
    if (all) lf_free(all->at);
    lf_free(all);
}

/* ---- pictures ------------------------------------------------------------------------------------------------------
 */

/* The file of picture i, which becomes its row there. */
static const shard *shard_of(const lf_store *s, int64_t *i) {
    const shards *all = s->source;
    int64_t low = 0, high = all->n - 1;
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if (all->at[middle].first <= *i)
            low = middle;
        else
            high = middle - 1;
    }
    *i -= all->at[low].first;
    return &all->at[low];
}

static const char *parquet_name_of(const lf_store *s, int64_t i, char *buf, size_t size) {
    const shard *at = shard_of(s, &i);
    snprintf(buf, size, "%s: row %" PRId64, s->files[at - ((const shards *)s->source)->at], i);
    return buf;
}

/* A data set that was saved with the paths of its pictures alone. */
static lf_status no_bytes(const shard *at, int64_t row, const char *name, lf_err *err) {
    unsigned char *path = NULL;
    size_t n;
    lf_status rc = at->path >= 0 ? lf_parquet_get_bytes(at->file, at->path, row, &path, &n, err) : LF_OK;
    if (!rc)
        rc = lf_fail(err, LF_EDATA, "%s: the picture is not in the file%s%.200s", name,
                     path ? ", only its path: " : ": it is null", path ? (char *)path : "");
    lf_free(path);
    return rc;
}

/* The bytes of picture i (lf_free), which are there. */
static lf_status read_picture(const lf_store *s, int64_t i, unsigned char **bytes, size_t *n, const char *name,
                              lf_err *err) {
    const shard *at = shard_of(s, &i);
    const lf_status rc = lf_parquet_get_bytes(at->file, at->image, i, bytes, n, err);
    return rc || *bytes ? rc : no_bytes(at, i, name, err);
}

static lf_status parquet_image(const lf_store *s, int64_t i, lf_image *out, lf_err *err) {
    char name[600];
    unsigned char *bytes;
    size_t n;
    *out = (lf_image){0};
    lf_status rc = read_picture(s, i, &bytes, &n, parquet_name_of(s, i, name, sizeof name), err);
    if (!rc) rc = lf_image_decode(out, bytes, n, name, err);
    lf_free(bytes);
    return rc;
}

static lf_status parquet_check(const lf_store *s, int64_t i, lf_err *err) {
    char name[600];
    unsigned char *bytes;
    size_t n;
    lf_status rc = read_picture(s, i, &bytes, &n, parquet_name_of(s, i, name, sizeof name), err);
    if (!rc) rc = lf_image_check_container(bytes, n, name, err);
    lf_free(bytes);
    return rc;
}

/* ---- what it looks like --------------------------------------------------------------------------------------------
 */

static bool parquet_recognises(const char *path, bool unlabelled) {
    (void)unlabelled;
    char head[8];
    size_t n;
    const char *split;
    if (lf_is_dir(path)) {
        for (int i = 0; (split = lf_split_at(i)); i++)
            if (has_files(path, split)) return true;
        return false;
    }
    if (lf_file_begins(head, sizeof head, &n, path, NULL)) return false;
    return lf_parquet_begins(head, n) || is_parquet_name(path);
}

const lf_data_format lf_data_parquet = {
    .name = "parquet",
    .expects = "Parquet files with a column of pictures",
    .takes_lists = true,
    .recognises = parquet_recognises,
    .has_split = has_files,
    .open = parquet_open,
    .image = parquet_image,
    .check = parquet_check,
    .name_of = parquet_name_of,
    .close = parquet_close,
};

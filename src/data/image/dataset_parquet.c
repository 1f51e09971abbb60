/* Pictures in Parquet files, as `datasets` and the Hub have them: a column with the bytes of picture files, another
 * with labels. Files of a split are one data set, in their order. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/files.h"
#include "data/image/dataset_parquet.h"

/* ---- opening -------------------------------------------------------------------------------------------------------
 */

static bool is_parquet_name(const char *name) { return lf_has_extension(name, LF_PARQUET_EXTENSIONS); }

/* Labels mean the same in all files: `label` is the column of this one, `of_first` that of the first. */
static lf_status check_like_first(const lf_shards *all, const lf_shard *s, const char *path, const char *label,
                                  const char *of_first, lf_err *err) {
    const lf_shard *first = &all->at[0];
    if (s == first || !label) return LF_OK;
    bool same;
    if (!lf_json_same(&same, lf_shard_class_names(first, of_first), lf_shard_class_names(s, label)))
        return lf_no_memory(err, "%s", path);
    if (same && lf_shard_has_numbers(s) == lf_shard_has_numbers(first) && (s->label < 0) == (first->label < 0))
        return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: the column '%s' has other classes than in the files before it", path, label);
}

/* *column: of the labels, by the first file; NULL if there is none. */
static lf_status open_shards(lf_shards *all, lf_store *s, const lf_data_request *r, const char **column, lf_err *err) {
    lf_status rc = LF_OK;
    int64_t without_rows = 0;
    const char *without = NULL;
    for (int64_t f = 0; f < s->n_files && !rc; f++) {
        const char *label = NULL;
        lf_shard *at = &all->at[all->n++];
        at->first = s->n;
        if ((rc = lf_shard_open(at, s->files[f], r, &s->columns[f], &label, err))) break;
        s->n += lf_parquet_rows(at->file);
        if (lf_parquet_rows(at->file) == 0 && !without_rows++) without = s->files[f];
        if (f == 0) *column = label;
        rc = check_like_first(all, at, s->files[f], label, *column, err);
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
    const char *column = NULL;
    lf_shards *all = s->source = lf_calloc(1, sizeof *all);
    if (r->labels)
        return lf_fail(err, LF_EUSAGE, "%s: 'labels' is for IDX files; of Parquet, label_field names the column",
                       r->key);
    lf_status rc = all ? take_files(s, r, err) : lf_no_memory(err, "%s", r->path);
    if (!rc && !(all->at = lf_calloc((size_t)s->n_files, sizeof *all->at))) rc = lf_no_memory(err, "%s", s->path);
    if (!rc) rc = open_shards(all, s, r, &column, err);
    if (!rc && s->n == 0) rc = lf_fail(err, LF_EDATA, "%s: %s: nothing in it; expected pictures", r->key, s->path);
    if (!rc && !(s->labels = lf_malloc((size_t)s->n * sizeof *s->labels)))
        rc = lf_no_memory(err, "the labels of %s", s->path);
    for (int64_t i = 0; i < s->n && !rc && r->unlabelled; i++) s->labels[i] = -1;
    return rc || r->unlabelled ? rc : lf_shards_read_labels(s, all, r, column, err);
}

static void parquet_close(lf_store *s) {
    lf_shards *all = s->source;
    for (int64_t i = 0; all && i < all->n; i++) lf_parquet_close(all->at[i].file);
    if (all) lf_free(all->at);
    lf_free(all);
}

/* ---- pictures ------------------------------------------------------------------------------------------------------
 */

/* The file of picture i, which becomes its row there. */
static const lf_shard *shard_of(const lf_store *s, int64_t *i) {
    const lf_shards *all = s->source;
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
    const lf_shard *at = shard_of(s, &i);
    snprintf(buf, size, "%s: row %" PRId64, s->files[at - ((const lf_shards *)s->source)->at], i);
    return buf;
}

/* A data set that was saved with the paths of its pictures alone. */
static lf_status no_bytes(const lf_shard *at, int64_t row, const char *name, lf_err *err) {
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
    const lf_shard *at = shard_of(s, &i);
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

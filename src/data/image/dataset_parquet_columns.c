/* Pictures in Parquet files: which columns hold them and their labels. */
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "data/image/dataset_parquet.h"

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

lf_status lf_shard_open(lf_shard *s, const char *path, const lf_data_request *r, const char **image, const char **label,
                        lf_err *err) {
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

const cJSON *lf_shard_class_names(const lf_shard *s, const char *column) {
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(feature_of(s->file, column), "names");
    return cJSON_IsArray(names) && names->child ? names : NULL;
}

bool lf_shard_has_numbers(const lf_shard *s) { return s->label >= 0 && lf_parquet_leaf_is_integer(s->file, s->label); }

/* Pictures in folders: a subfolder a class, pictures anywhere below it; or labels from a file in the folder; or,
 * without labels, any folder or one file. */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/left_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/image/dataset_internal.h"
#include "data/image/folder_splits.h"
#include "data/image/internal.h"
#include "data/image/labels_file.h"
#include "data/walk.h"

#define LAYOUT "FOLDER/CLASS/picture.jpg, or FOLDER/train/CLASS/picture.jpg (also val, test)"

/* The pictures found so far. */
typedef struct walk {
    lf_store *store;
    const char **paths;
    int64_t capacity;
    int32_t label;
    const char *table;                   /* the file of labels, or NULL */
    lf_left_out left_out, left_out_here; /* files that are no pictures: of all folders, and of the class at hand */
} walk;

static lf_status leave_out(walk *w, const char *name, lf_err *err) {
    const bool counted = lf_left_out_add_file(&w->left_out, name) && lf_left_out_add_file(&w->left_out_here, name);
    return counted ? LF_OK : lf_no_memory(err, "the files of %s", w->store->path);
}

enum { KINDS = 256, EXTENSIONS = 160 }; /* bytes in messages */

/* ", but 6 .heic, 1 .txt" for an error that has found no picture; "" where there is nothing at all. */
static const char *but_others(const walk *w, char *buf, size_t size) {
    char kinds[KINDS];
    buf[0] = 0;
    if (w->left_out_here.total)
        snprintf(buf, size, ", but %s", lf_left_out_text(&w->left_out_here, kinds, sizeof kinds));
    return buf;
}

static void warn_of_left_out(const walk *w, const char *key) {
    char kinds[KINDS], extensions[EXTENSIONS];
    if (w->left_out.total)
        lf_warn("%s: %s: %" PRId64 " file%s left out: %s; read are %s", key, w->store->path, w->left_out.total,
                w->left_out.total == 1 ? "" : "s", lf_left_out_text(&w->left_out, kinds, sizeof kinds),
                lf_image_extensions(extensions, sizeof extensions));
}

static lf_status add_picture(walk *w, const char *path, lf_err *err) {
    lf_store *s = w->store;
    int64_t room = w->capacity;
    const char *copy = lf_arena_strdup(s->arena, path);
    if (!copy || !lf_grow(&w->paths, &room, s->n + 1) || !lf_grow(&s->labels, &w->capacity, s->n + 1))
        return lf_no_memory(err, "the pictures of %s", s->path);
    w->paths[s->n] = copy;
    s->labels[s->n++] = w->label;
    return LF_OK;
}

static lf_status meet_file(void *context, const char *path, lf_err *err) {
    walk *w = context;
    if (lf_image_has_extension(lf_path_base(path))) return add_picture(w, path, err);
    return w->table && !strcmp(path, w->table) ? LF_OK : leave_out(w, path, err);
}

/* All pictures below a folder, as of class w->label. */
static lf_status collect(walk *w, const char *folder, lf_err *err) {
    const lf_walk all = {.context = w, .file = meet_file, .known_file = lf_image_has_extension};
    return lf_walk_files(&all, folder, err);
}

/* ---- class folders ------------------------------------------------------------------------------------------------
 */

/* The folders in a class folder that are called as splits are. */
static void list_splits_in(char *buf, size_t size, const char *folder) {
    const char *name;
    buf[0] = 0;
    for (int i = 0; (name = lf_split_name(i)); i++) {
        char *path = lf_path_join(folder, name);
        if (path && lf_is_dir(path)) lf_list_append(buf, size, name);
        lf_free(path);
    }
}

/* A folder too high, or classes that are divided themselves. */
static lf_status check_no_splits_in(const walk *w, const lf_data_request *r, const lf_folder_listing *l, lf_err *err) {
    char inner[160];
    for (size_t i = 0; i < l->n; i++) {
        char *path = lf_path_join(w->store->path, l->names[i]);
        if (!path) return lf_no_memory(err, "the class folder '%s'", l->names[i]);
        list_splits_in(inner, sizeof inner, path);
        lf_status rc = LF_OK;
        if (inner[0] && l->n == 1)
            rc = lf_fail(err, LF_EDATA,
                         "%s: %s: its only folder '%s' is no class but holds %s; expected " LAYOUT "; did you mean %s?",
                         r->key, w->store->path, l->names[i], inner, path);
        else if (inner[0])
            lf_warn("%s: the class folder %s holds %s: the pictures of all of them are read as one", r->key, path,
                    inner);
        lf_free(path);
        if (rc || inner[0]) return rc;
    }
    return LF_OK;
}

static lf_status collect_class(walk *w, const lf_data_request *r, const char *name, int64_t place, lf_err *err) {
    lf_store *s = w->store;
    char extensions[EXTENSIONS], others[KINDS + 8];
    const int64_t before = s->n;
    char *path = lf_path_join(s->path, name);
    if (!path) return lf_no_memory(err, "the class folder '%s'", name);
    w->label = (int32_t)place;
    lf_left_out_free(&w->left_out_here);
    lf_status rc = collect(w, path, err);
    if (!rc && s->n == before)
        rc = lf_fail(err, LF_EDATA,
                     "%s: %s: the class folder is empty of pictures%s; expected some (%s) in it; remove the folder if "
                     "there is no such class",
                     r->key, path, but_others(w, others, sizeof others),
                     lf_image_extensions(extensions, sizeof extensions));
    lf_free(path);
    return rc;
}

/* The label_map may lie beside the classes, by whatever name it is called for. */
static bool is_label_map(const lf_data_request *r, const char *path) {
    const char *map = cJSON_GetStringValue(r->label_map);
    struct stat a, b;
    return map && !stat(map, &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Files that lie beside the class folders, and are no pictures. */
static lf_status leave_out_beside(walk *w, const lf_data_request *r, lf_err *err) {
    char **names = NULL;
    size_t n = 0;
    lf_status rc = lf_list_dir(&names, &n, w->store->path, err);
    for (size_t i = 0; i < n && !rc; i++) {
        if (lf_is_hidden(names[i]) || lf_image_has_extension(names[i])) continue;
        char *path = lf_path_join(w->store->path, names[i]);
        if (!path)
            rc = lf_no_memory(err, "the folder %s", w->store->path);
        else if (!lf_is_dir(path) && !is_label_map(r, path))
            rc = leave_out(w, names[i], err);
        lf_free(path);
    }
    lf_free(names);
    return rc;
}

static lf_status open_class_folders(walk *w, const lf_data_request *r, const lf_folder_listing *l, lf_err *err) {
    lf_status rc = lf_store_name_classes(w->store, (const char *const *)l->names, (int64_t)l->n, err);
    if (l->pictures)
        lf_warn("%s: %zu pictures beside the class folders belong to no class and are left out", w->store->path,
                l->pictures);
    if (!rc) rc = check_no_splits_in(w, r, l, err);
    if (!rc) rc = leave_out_beside(w, r, err);
    for (size_t i = 0; i < l->n && !rc; i++) rc = collect_class(w, r, l->names[i], (int64_t)i, err);
    return rc;
}

/* ---- labels from a file -------------------------------------------------------------------------------------------
 */

/* The file in the split's folder, else above it. */
static lf_status find_table(lf_labels_file *f, const lf_store *s, const lf_data_request *r, lf_err *err) {
    const lf_status rc = lf_labels_file_find(f, s->path, r->key, err);
    if (rc || f->path || !strcmp(s->path, r->path)) return rc;
    return lf_labels_file_find(f, r->path, r->key, err);
}

static lf_status open_table(walk *w, const lf_data_request *r, lf_labels_file *f, lf_err *err) {
    lf_store *s = w->store;
    int64_t unnamed = 0;
    w->label = -1;
    w->table = f->path;
    lf_status rc = collect(w, s->path, err);
    if (!rc) rc = lf_labels_file_apply(f, s, w->paths, &unnamed, r, err);
    if (rc) return rc;
    lf_info("%s: %s: the labels are those of %s", r->key, s->path, f->path);
    if (unnamed)
        lf_warn("%s: %s: %" PRId64 " pictures are left out: %s does not name them", r->key, s->path, unnamed, f->path);
    if (f->unread[0]) lf_warn("%s: %s: its columns %s are not read", r->key, f->path, f->unread);
    if (!(s->table = lf_arena_strdup(s->arena, f->path))) rc = lf_no_memory(err, "%s", f->path);
    return rc     ? rc
           : s->n ? LF_OK
                  : lf_fail(err, LF_EDATA, "%s: %s: it names no picture below %s", r->key, f->path, s->path);
}

/* ---- opening ------------------------------------------------------------------------------------------------------
 */

static lf_status no_classes(const lf_store *s, const lf_data_request *r, const lf_folder_listing *l,
                            const lf_labels_file *f, lf_err *err) {
    if (f->path)
        return lf_fail(err, LF_EDATA, "%s: %s: no class folders, and %s names no labels: %s", r->key, s->path, f->path,
                       f->lacks);
    return lf_fail(err, LF_EDATA, "%s: %s: %s no class folders; expected " LAYOUT ", or " LF_FOLDER_TABLE, r->key,
                   s->path, l->pictures ? "there are pictures, but" : "no pictures and");
}

/* What the specification says of a file of labels, for a message; NULL: nothing. */
static const char *asks_for_table(const lf_data_request *r, char *buf, size_t size) {
    const bool one = r->label_field;
    if (one || r->form.separator)
        snprintf(buf, size, "'%s' is '%.100s'", one ? "label_field" : "label_separator",
                 one ? r->label_field : r->form.separator);
    else if (r->form.columns)
        snprintf(buf, size, "'label_columns' are given");
    else
        return NULL;
    return buf;
}

static lf_status open_with_labels(walk *w, const lf_data_request *r, const lf_folder_listing *l, lf_labels_file *f,
                                  lf_err *err) {
    lf_status rc = f->path ? lf_labels_file_read(f, r, err) : LF_OK;
    if (rc) return rc;
    const bool table = f->path && !f->lacks[0];
    char asked[160];
    if (asks_for_table(r, asked, sizeof asked) && !table)
        return lf_fail(err, LF_EDATA, "%s: %s, but %s: %s", r->key, asked, f->path ? f->path : w->store->path,
                       f->path ? f->lacks : "there is no metadata.csv (or labels.csv, .tsv, .jsonl) in it");
    if (table) return open_table(w, r, f, err);
    if (!l->n) return no_classes(w->store, r, l, f, err);
    if (f->path) lf_warn("%s: %s is not read: %s; the class folders are the labels", r->key, f->path, f->lacks);
    return open_class_folders(w, r, l, err);
}

static lf_status open_labelled(walk *w, const lf_data_request *r, lf_err *err) {
    lf_folder_listing l;
    lf_labels_file f = {0};
    lf_status rc = lf_folder_list(&l, w->store->path, err);
    if (!rc) rc = find_table(&f, w->store, r, err);
    if (!rc) rc = open_with_labels(w, r, &l, &f, err);
    lf_labels_file_free(&f);
    lf_free(l.names);
    return rc;
}

static lf_status open_unlabelled(walk *w, const lf_data_request *r, lf_err *err) {
    lf_store *s = w->store;
    char extensions[EXTENSIONS], others[KINDS + 8];
    w->label = -1;
    const lf_status rc = lf_is_dir(s->path) ? collect(w, s->path, err) : add_picture(w, s->path, err);
    if (!rc && !s->n)
        return lf_fail(err, LF_EDATA, "%s: %s: no pictures (%s)%s", r->key, s->path,
                       lf_image_extensions(extensions, sizeof extensions), but_others(w, others, sizeof others));
    return rc;
}

static lf_status folder_open(lf_store *s, const lf_data_request *r, lf_err *err) {
    walk w = {.store = s};
    lf_status rc = LF_OK;
    if (r->labels)
        return lf_fail(err, LF_EUSAGE,
                       "%s: 'labels' is for IDX files; in a folder of pictures the subfolders are the labels", r->key);
    if (r->image_field)
        return lf_fail(err, LF_EUSAGE,
                       "%s: 'image_field' names a column of Parquet files; %s is a folder of pictures, so leave it out",
                       r->key, r->path);
    if (!lf_is_dir(s->path) && !r->unlabelled)
        return lf_fail(err, LF_EDATA, "%s: %s is a file; expected a folder: " LAYOUT, r->key, s->path);
    if (lf_is_dir(s->path)) rc = lf_folder_choose_split(s, r, err);
    if (!rc) rc = r->unlabelled ? open_unlabelled(&w, r, err) : open_labelled(&w, r, err);
    if (!rc) warn_of_left_out(&w, r->key);
    lf_left_out_free(&w.left_out);
    lf_left_out_free(&w.left_out_here);
    s->files = s->source = w.paths;
    s->n_files = s->n;
    return rc;
}

static void folder_close(lf_store *s) { lf_free(s->source); }

static const char *path_of(const lf_store *s, int64_t i) { return s->files[i]; }

static lf_status folder_image(const lf_store *s, int64_t i, lf_image *out, lf_err *err) {
    return lf_image_load(out, path_of(s, i), err);
}

static lf_status folder_check(const lf_store *s, int64_t i, lf_err *err) {
    return lf_image_check_file(path_of(s, i), err);
}

static const char *folder_name_of(const lf_store *s, int64_t i, char *buf, size_t size) {
    snprintf(buf, size, "%s", path_of(s, i));
    return buf;
}

static bool folder_recognises(const char *path, bool unlabelled) {
    return lf_is_dir(path) || (unlabelled && lf_image_has_extension(lf_path_base(path)));
}

const lf_data_format lf_data_image_folder = {
    .name = "image_folder",
    .expects = "a folder of pictures (" LAYOUT ")",
    .recognises = folder_recognises,
    .has_split = lf_folder_has_split,
    .open = folder_open,
    .image = folder_image,
    .check = folder_check,
    .name_of = folder_name_of,
    .close = folder_close,
};

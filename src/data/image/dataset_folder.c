/* Pictures in folders: a subfolder a class, pictures anywhere below it; or, without labels, any folder or one file. */
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
#include "data/image/dataset_internal.h"
#include "data/image/internal.h"

#define LAYOUT "FOLDER/CLASS/picture.jpg, or FOLDER/train/CLASS/picture.jpg (also val, test)"

enum { MAX_DEPTH = 32 };

/* The pictures found so far. A folder is entered once a class: links may go round in circles. */
typedef struct walk {
    lf_store *store;
    const char **paths;
    int64_t capacity;
    int32_t label;
    struct place {
        dev_t device;
        ino_t inode;
    } * entered;
    size_t n_entered, room;
    lf_left_out left_out, left_out_here; /* files that are no pictures: of all folders, and of the class at hand */
} walk;

/* What systems put beside a user's files is not the user's, and not worth a word. */
static bool hidden(const char *name) {
    static const char *const of_systems[] = {"Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX", "@eaDir"};
    for (size_t i = 0; i < sizeof of_systems / sizeof *of_systems; i++)
        if (!strcasecmp(name, of_systems[i])) return true;
    return name[0] == '.';
}

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

/* *again: this folder was entered before. */
static lf_status enter(walk *w, const char *path, bool *again, lf_err *err) {
    struct stat st;
    if (stat(path, &st)) return lf_fail_errno(err, "open", path);
    *again = false;
    for (size_t i = 0; i < w->n_entered && !*again; i++)
        *again = w->entered[i].device == st.st_dev && w->entered[i].inode == st.st_ino;
    if (*again) return LF_OK;
    if (!lf_grow(&w->entered, &w->room, w->n_entered + 1))
        return lf_no_memory(err, "the folders below %s", w->store->path);
    w->entered[w->n_entered++] = (struct place){st.st_dev, st.st_ino};
    return LF_OK;
}

static lf_status collect(walk *w, const char *folder, int depth, lf_err *err) {
    bool again;
    lf_status rc = enter(w, folder, &again, err);
    if (rc || again) return rc;
    if (depth > MAX_DEPTH) return lf_fail(err, LF_EDATA, "%s: folders are nested more than %d deep", folder, MAX_DEPTH);
    char **names = NULL;
    size_t n = 0;
    if ((rc = lf_list_dir(&names, &n, folder, err))) return rc;
    for (size_t i = 0; i < n && !rc; i++) {
        if (hidden(names[i])) continue;
        char *path = lf_path_join(folder, names[i]);
        if (!path)
            rc = lf_no_memory(err, "the pictures of %s", folder);
        else if (lf_image_has_extension(names[i]))
            rc = add_picture(w, path, err);
        else if (lf_is_dir(path))
            rc = collect(w, path, depth + 1, err);
        else
            rc = leave_out(w, names[i], err);
        lf_free(path);
    }
    lf_free(names);
    return rc;
}

/* ---- what a folder holds -------------------------------------------------------------------------------------------
 */

typedef struct listing {
    char **names; /* of subfolders, sorted; the first n of a block that lf_list_dir made */
    size_t n;
    size_t pictures; /* directly in the folder */
} listing;

static lf_status list_folder(listing *l, const char *folder, lf_err *err) {
    *l = (listing){0};
    size_t n = 0;
    lf_status rc = lf_list_dir(&l->names, &n, folder, err);
    for (size_t i = 0; i < n && !rc; i++) {
        if (hidden(l->names[i])) continue;
        if (lf_image_has_extension(l->names[i])) {
            l->pictures++;
            continue;
        }
        char *path = lf_path_join(folder, l->names[i]);
        if (!path)
            rc = lf_no_memory(err, "the folder %s", folder);
        else if (lf_is_dir(path))
            l->names[l->n++] = l->names[i];
        lf_free(path);
    }
    if (rc) {
        lf_free(l->names);
        *l = (listing){0};
    }
    return rc;
}

/* A subfolder by the name of a split is one, unless pictures lie in it directly: then it is a class (a data set may
 * well have trains in it). */
static bool is_split(const char *root, const char *name) {
    listing l = {0};
    char *path = lf_path_join(root, name);
    const bool yes = path && !list_folder(&l, path, NULL) && l.pictures == 0;
    lf_free(l.names);
    lf_free(path);
    return yes;
}

/* Which of root's subfolders is `split`? *found is NULL if none, or if split is NULL; *there lists the splits that
 * there are, and is empty if root is not divided. Borrows from l. */
static void find_split(const char **found, char *there, size_t size, const char *root, const listing *l,
                       const char *split) {
    *found = NULL;
    there[0] = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (!lf_split_known(l->names[i]) || !is_split(root, l->names[i])) continue;
        lf_list_append(there, size, l->names[i]);
        for (int a = 0; split && !*found && lf_split_alias(split, a); a++)
            if (!strcasecmp(lf_split_alias(split, a), l->names[i])) *found = l->names[i];
    }
}

/* ---- opening -------------------------------------------------------------------------------------------------------
 */

/* s->path becomes the split's folder, if the folder is divided. */
static lf_status choose_split(lf_store *s, const lf_data_request *r, lf_err *err) {
    listing l;
    lf_status rc = list_folder(&l, s->path, err);
    if (rc) return rc;
    const char *found;
    char there[256];
    find_split(&found, there, sizeof there, s->path, &l, r->split);
    if (found) {
        char *path = lf_path_join(s->path, found);
        s->path = path ? lf_arena_strdup(s->arena, path) : NULL;
        lf_free(path);
        if (!s->path) {
            s->path = "";
            rc = lf_no_memory(err, "%s", r->path);
        }
    } else if (there[0] && r->split) {
        rc = lf_fail(err, LF_ENOTFOUND, "%s: %s: no folder for the split '%s'; there is %s", r->key, s->path, r->split,
                     there);
    } else if (there[0] && !r->unlabelled) {
        rc = lf_fail(err, LF_EUSAGE, "%s: %s is divided into %s; say which one: {\"path\": \"%s\", \"split\": ...}",
                     r->key, s->path, there, r->path);
    }
    lf_free(l.names);
    return rc;
}

static lf_status name_classes(lf_store *s, const lf_data_request *r, const listing *l, lf_err *err) {
    s->n_classes = r->class_names ? r->n_classes : (int64_t)l->n;
    s->class_names = lf_arena_alloc(s->arena, (size_t)s->n_classes * sizeof *s->class_names);
    bool ok = s->class_names;
    for (int64_t i = 0; i < s->n_classes && ok; i++) {
        s->class_names[i] = lf_arena_strdup(s->arena, r->class_names ? r->class_names[i] : l->names[i]);
        ok = s->class_names[i];
    }
    return ok ? LF_OK : lf_no_memory(err, "the classes of %s", s->path);
}

static lf_status collect_class(walk *w, const lf_data_request *r, const char *name, int64_t place, lf_err *err) {
    lf_store *s = w->store;
    char extensions[EXTENSIONS], others[KINDS + 8];
    const int64_t label = r->class_names ? lf_class_find(r, name) : place, before = s->n;
    if (label < 0)
        return lf_fail(err, LF_EDATA,
                       "%s: %s: class folder '%s' is not among the %" PRId64 " expected classes ('%s', ...)", r->key,
                       s->path, name, r->n_classes, r->n_classes ? r->class_names[0] : "");
    char *path = lf_path_join(s->path, name);
    if (!path) return lf_no_memory(err, "the class folder '%s'", name);
    w->label = (int32_t)label;
    w->n_entered = 0;
    lf_left_out_free(&w->left_out_here);
    lf_status rc = collect(w, path, 0, err);
    if (!rc && s->n == before)
        rc = lf_fail(err, LF_EDATA,
                     "%s: %s: the class folder is empty of pictures%s; expected some (%s) in it; remove the folder if "
                     "there is no such class",
                     r->key, path, but_others(w, others, sizeof others),
                     lf_image_extensions(extensions, sizeof extensions));
    lf_free(path);
    return rc;
}

static lf_status open_labelled(walk *w, const lf_data_request *r, lf_err *err) {
    lf_store *s = w->store;
    listing l;
    lf_status rc = list_folder(&l, s->path, err);
    if (rc) return rc;
    if (!l.n)
        rc = lf_fail(err, LF_EDATA, "%s: %s: %s no class folders; expected " LAYOUT, r->key, s->path,
                     l.pictures ? "there are pictures, but" : "no pictures and");
    else if (l.pictures)
        lf_warn("%s: %zu pictures beside the class folders belong to no class and are left out", s->path, l.pictures);
    if (!rc) rc = name_classes(s, r, &l, err);
    for (size_t i = 0; i < l.n && !rc; i++) rc = collect_class(w, r, l.names[i], (int64_t)i, err);
    lf_free(l.names);
    return rc;
}

static lf_status open_unlabelled(walk *w, const lf_data_request *r, lf_err *err) {
    lf_store *s = w->store;
    char extensions[EXTENSIONS], others[KINDS + 8];
    w->label = -1;
    const lf_status rc = lf_is_dir(s->path) ? collect(w, s->path, 0, err) : add_picture(w, s->path, err);
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
    if (!lf_is_dir(s->path) && !r->unlabelled)
        return lf_fail(err, LF_EDATA, "%s: %s is a file; expected a folder: " LAYOUT, r->key, s->path);
    if (lf_is_dir(s->path)) rc = choose_split(s, r, err);
    if (!rc) rc = r->unlabelled ? open_unlabelled(&w, r, err) : open_labelled(&w, r, err);
    if (!rc) warn_of_left_out(&w, r->key);
    lf_left_out_free(&w.left_out);
    lf_left_out_free(&w.left_out_here);
    lf_free(w.entered);
    s->files = s->source = w.paths;
    s->n_files = s->n;
    return rc;
}

static void folder_close(lf_store *s) { lf_free(s->source); }

static const char *path_of(const lf_store *s, int64_t i) { return s->files[i]; }

static lf_status folder_image(const lf_store *s, int64_t i, lf_image *out, lf_err *err) {
    return lf_image_load(out, path_of(s, i), err);
}

static const char *folder_name_of(const lf_store *s, int64_t i, char *buf, size_t size) {
    snprintf(buf, size, "%s", path_of(s, i));
    return buf;
}

static bool folder_recognises(const char *path, bool unlabelled) {
    return lf_is_dir(path) || (unlabelled && lf_image_has_extension(lf_path_base(path)));
}

static bool folder_has_split(const char *path, const char *split) {
    listing l;
    if (list_folder(&l, path, NULL)) return false;
    const char *found;
    char there[256];
    find_split(&found, there, sizeof there, path, &l, split);
    lf_free(l.names);
    return found;
}

const lf_data_format lf_data_image_folder = {
    .name = "image_folder",
    .expects = "a folder of pictures (" LAYOUT ")",
    .recognises = folder_recognises,
    .has_split = folder_has_split,
    .open = folder_open,
    .image = folder_image,
    .name_of = folder_name_of,
    .close = folder_close,
};

#define _POSIX_C_SOURCE 200809L
#include "data/image/folder_splits.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "data/image/internal.h"
#include "data/image/labels_file.h"
#include "data/walk.h"

lf_status lf_folder_list(lf_folder_listing *l, const char *folder, lf_err *err) {
    *l = (lf_folder_listing){0};
    size_t n = 0;
    bool is_dir;
    lf_status rc = lf_list_dir(&l->names, &n, folder, err);
    for (size_t i = 0; i < n && !rc; i++) {
        if (lf_is_hidden(l->names[i])) continue;
        if (lf_image_has_extension(l->names[i])) {
            l->pictures++;
            continue;
        }
        char *path = lf_path_join(folder, l->names[i]);
        if (!path)
            rc = lf_no_memory(err, "the folder %s", folder);
        else if (!(rc = lf_look_for_dir(&is_dir, path, err)) && is_dir)
            l->names[l->n++] = l->names[i];
        lf_free(path);
    }
    if (rc) {
        lf_free(l->names);
        *l = (lf_folder_listing){0};
    }
    return rc;
}

/* ---- splits -------------------------------------------------------------------------------------------------------
 */

static bool has_table(const char *folder) {
    lf_labels_file f;
    const bool yes = lf_labels_file_find(&f, folder, "", NULL) || f.path; /* several: to be told of when it is opened */
    lf_labels_file_free(&f);
    return yes;
}

/* A subfolder by the name of a split is one, unless pictures lie in it directly and no file names their labels. */
static bool is_split(const char *root, const char *name, bool root_has_table) {
    lf_folder_listing l = {0};
    char *path = lf_path_join(root, name);
    const bool yes = /* also one that cannot be read: to be told of when it is opened */
        path && (root_has_table || has_table(path) || lf_folder_list(&l, path, NULL) || l.pictures == 0);
    lf_free(l.names);
    lf_free(path);
    return yes;
}

static bool same_split(const char *a, const char *b) {
    for (int i = 0; lf_split_alias(a, i); i++)
        if (!strcasecmp(lf_split_alias(a, i), b)) return true;
    return false;
}

/* How a folder is divided. Names are borrowed from its lf_folder_listing. */
typedef struct splits {
    const char *found,
        *twin;        /* the folder of the split that was asked for, and another by a name for the same; or NULL */
    const char *flat; /* one that would be, but pictures lie in it directly */
    char there[256];  /* the folders of splits; "": it is not divided */
    char flats[256];  /* the folders with names of splits and pictures directly in them */
    char others[256]; /* the folders with other names */
    const char *first_flat;
    bool several_flats; /* of different splits */
} splits;

static void find_splits(splits *out, const char *root, const lf_folder_listing *l, const char *split) {
    const bool table = has_table(root);
    *out = (splits){0};
    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->names[i];
        const bool asked = split && same_split(split, name);
        if (!lf_split_known(name)) {
            lf_list_append(out->others, sizeof out->others, name);
        } else if (is_split(root, name, table)) {
            lf_list_append(out->there, sizeof out->there, name);
            if (asked && out->found) out->twin = name;
            if (asked && !out->found) out->found = name;
        } else {
            lf_list_append(out->flats, sizeof out->flats, name);
            if (asked) out->flat = name;
            if (!out->first_flat) out->first_flat = name;
            out->several_flats |= !same_split(out->first_flat, name);
        }
    }
}

/* Pictures directly in train/, val/ and test/, and no other classes: those are no classes. One of these names among
 * others may be a class: a data set may well have trains in it. */
static bool taken_for_classes(const splits *d) {
    if (d->there[0]) return d->flat && !d->found;
    return d->first_flat && (!d->others[0] || d->several_flats);
}

static lf_status take_split(lf_store *s, const lf_data_request *r, const char *name, lf_err *err) {
    char *path = lf_path_join(s->path, name);
    s->path = path ? lf_arena_strdup(s->arena, path) : NULL;
    lf_free(path);
    if (s->path) return LF_OK;
    s->path = "";
    return lf_no_memory(err, "%s", r->path);
}

/* Said once a run: with the training data. */
static void warn_of_others(const splits *d, const lf_folder_listing *l, const lf_data_request *r) {
    if (!d->found || !same_split("train", d->found)) return;
    if (d->flats[0])
        lf_warn("%s: %s: pictures lie directly in %s, which have no class there; nothing is read from it; expected "
                "%s/CLASS/picture.jpg, or " LF_FOLDER_TABLE " in it",
                r->key, r->path, d->flats, d->first_flat);
    if (d->others[0] || l->pictures)
        lf_warn("%s: %s: beside the folders of splits there are %zu pictures%s%s, which are not read", r->key, r->path,
                l->pictures, d->others[0] ? " and the folders " : "", d->others);
}

lf_status lf_folder_choose_split(lf_store *s, const lf_data_request *r, lf_err *err) {
    lf_folder_listing l;
    splits d;
    lf_status rc = lf_folder_list(&l, s->path, err);
    if (rc) return rc;
    find_splits(&d, s->path, &l, r->split);
    if (!r->unlabelled && taken_for_classes(&d))
        rc = lf_fail(err, LF_EDATA,
                     "%s: %s: pictures lie directly in %s, which are names of splits and no classes; expected "
                     "%s/CLASS/picture.jpg, or " LF_FOLDER_TABLE " in it",
                     r->key, s->path, d.flats, d.flat ? d.flat : d.first_flat);
    else if (d.twin)
        rc = lf_fail(err, LF_EUSAGE, "%s: %s: '%s' and '%s' may both be the split '%s'; give the path of one", r->key,
                     s->path, d.found, d.twin, r->split);
    else if (d.found)
        rc = take_split(s, r, d.found, err);
    else if (d.there[0] && r->split)
        rc = lf_fail(err, LF_ENOTFOUND, "%s: %s: no folder for the split '%s'; there is %s", r->key, s->path, r->split,
                     d.there);
    else if (d.there[0] && !r->unlabelled)
        rc = lf_fail(err, LF_EUSAGE, "%s: %s is divided into %s; say which one: {\"path\": \"%s\", \"split\": ...}",
                     r->key, s->path, d.there, r->path);
    if (!rc) warn_of_others(&d, &l, r);
    lf_free(l.names);
    return rc;
}

bool lf_folder_has_split(const char *path, const char *split) {
    lf_folder_listing l;
    if (lf_folder_list(&l, path, NULL)) return false;
    splits d;
    find_splits(&d, path, &l, split);
    const bool yes = d.found;
    lf_free(l.names);
    return yes;
}

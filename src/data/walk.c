#define _POSIX_C_SOURCE 200809L
#include "data/walk.h"

#include <stddef.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"

enum { MAX_DEPTH = 32 };

bool lf_is_hidden(const char *name) {
    static const char *const of_systems[] = {"Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX", "@eaDir"};
    for (size_t i = 0; i < sizeof of_systems / sizeof *of_systems; i++)
        if (!strcasecmp(name, of_systems[i])) return true;
    return name[0] == '.';
}

typedef struct walking {
    const lf_walk *walk;
    const char *root;
    struct place {
        dev_t device;
        ino_t inode;
    } * entered;
    size_t n_entered, room;
    lf_err *err;
} walking;

/* *again: this folder was entered before. */
static lf_status enter(walking *w, const char *path, bool *again) {
    struct stat st;
    if (stat(path, &st)) return lf_fail_errno(w->err, "open", path);
    *again = false;
    for (size_t i = 0; i < w->n_entered && !*again; i++)
        *again = w->entered[i].device == st.st_dev && w->entered[i].inode == st.st_ino;
    if (*again) return LF_OK;
    if (!lf_grow(&w->entered, &w->room, w->n_entered + 1)) return lf_no_memory(w->err, "the folders below %s", w->root);
    w->entered[w->n_entered++] = (struct place){st.st_dev, st.st_ino};
    return LF_OK;
}

static lf_status visit(walking *w, const char *folder, int depth);

static lf_status meet(walking *w, const char *folder, const char *name, int depth) {
    const lf_walk *walk = w->walk;
    char *path = lf_path_join(folder, name);
    if (!path) return lf_no_memory(w->err, "the files of %s", folder);
    bool is_dir = false;
    lf_status rc = walk->known_file && walk->known_file(name) ? LF_OK : lf_look_for_dir(&is_dir, path, w->err);
    if (!rc) rc = is_dir ? visit(w, path, depth + 1) : walk->file(walk->context, path, w->err);
    lf_free(path);
    return rc;
}

static lf_status visit(walking *w, const char *folder, int depth) {
    bool again;
    lf_status rc = enter(w, folder, &again);
    if (rc || again) return rc;
    if (depth > MAX_DEPTH)
        return lf_fail(w->err, LF_EDATA, "%s: folders are nested more than %d deep", folder, MAX_DEPTH);
    char **names = NULL;
    size_t n = 0;
    if ((rc = lf_list_dir(&names, &n, folder, w->err))) return rc;
    for (size_t i = 0; i < n && !rc; i++)
        if (!lf_is_hidden(names[i])) rc = meet(w, folder, names[i], depth);
    lf_free(names);
    return rc;
}

lf_status lf_walk_files(const lf_walk *w, const char *folder, lf_err *err) {
    walking state = {.walk = w, .root = folder, .err = err};
    const lf_status rc = visit(&state, folder, 0);
    lf_free(state.entered);
    return rc;
}

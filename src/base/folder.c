#define _POSIX_C_SOURCE 200809L
#include "base/folder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"

/* ---- made ---- */

/* Cuts the last name off, with the slashes before and behind it; false where there is none to cut. */
static bool cut_last(char *path) {
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/') n--;
    while (n > 0 && path[n - 1] != '/') n--;
    while (n > 1 && path[n - 1] == '/') n--;
    path[n] = 0;
    return n > 0 && strcmp(path, "/") != 0;
}

lf_status lf_folder_make(const char *path, int *made, lf_err *err) {
    char *part = lf_strdup(path);
    *made = 0;
    if (!part) return lf_no_memory(err, "%s", path);
    do {
        if (lf_exists(part)) break;
        ++*made;
    } while (cut_last(part));
    lf_free(part);
    const lf_status rc = lf_mkdir_p(path, err);
    if (!rc) return LF_OK;
    lf_folder_unmake(path, *made);
    *made = 0;
    return rc;
}

/* One that is not there, because none was made after it, is passed over. */
void lf_folder_unmake(const char *path, int made) {
    char *part = made ? lf_strdup(path) : NULL;
    for (int i = 0; part && i < made; i++) {
        if (rmdir(part) && lf_exists(part)) break;
        if (!cut_last(part)) break;
    }
    lf_free(part);
}

lf_status lf_folder_try(const char *dir, const char *name, lf_err *err) {
    lf_atomic_file a;
    const lf_status rc = lf_atomic_open_in(&a, dir, name, err);
    if (!rc) lf_atomic_abort(&a);
    return rc;
}

lf_status lf_folder_try_temporary(lf_err *err) {
    lf_err why = {0};
    const lf_status rc = lf_folder_try(lf_temporary_folder(), "lora-ft-try", &why);
    return rc ? lf_fail(err, rc, "%s; set TMPDIR to a folder that can be written into", why.message) : LF_OK;
}

lf_status lf_folder_could(const char *path, lf_err *err) {
    char *there = lf_strdup(path);
    if (!there) return lf_no_memory(err, "%s", path);
    while (!lf_exists(there) && cut_last(there)) {
    }
    lf_err why = {0};
    const lf_status rc = lf_folder_try(there[0] ? there : ".", "config.json", &why);
    lf_free(there);
    return rc ? lf_fail(err, rc, "%s: cannot be written: %s", path, why.message) : LF_OK;
}

/* ---- left over ---- */

/* "-PID-N", as name_beside of base/file.c writes it. */
static bool is_number_pair(const char *text) {
    unsigned long pid, n;
    int end = 0;
    return sscanf(text, "-%lu-%lu%n", &pid, &n, &end) == 2 && !text[end];
}

static const char *find_last(const char *text, const char *word) {
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, word)); at++) last = at;
    return last;
}

size_t lf_leftover_of(const char *name) {
    const char *new = find_last(name, ".tmp"), *old = find_last(name, ".old");
    if (new &&new > name && (!new[4] || is_number_pair(new + 4))) return (size_t)(new - name);
    if (old && old > name && is_number_pair(old + 4)) return (size_t)(old - name);
    return 0;
}

lf_status lf_leftover_settle(const char *dir, const char *name, lf_err *err) {
    const size_t n = lf_leftover_of(name);
    const bool is_old = strncmp(name + n, ".old", 4) == 0;
    char *path = lf_path_join(dir, name), *proper = lf_format("%s/%.*s", dir, (int)n, name);
    lf_status rc = LF_OK;
    if (!path || !proper)
        rc = lf_no_memory(err, "%s", dir);
    else if (is_old && !lf_exists(proper)) {
        if (rename(path, proper)) rc = lf_fail_to(err, "rename", path);
        if (!rc) lf_info("%s is put back: it was being replaced when a run was killed", proper);
    } else
        rc = lf_remove_tree(path, err);
    lf_free(proper);
    lf_free(path);
    return rc;
}

/* A folder of files in an input: each as "PATH\nBYTES", with NULs between; plain names, four deep at most, and
 * whatever else stands there is passed over. */
#ifndef LF_TEST_FUZZ_FILES_H
#define LF_TEST_FUZZ_FILES_H

#include "fuzz.h"

enum { FOLDER_MOST_FILES = 80 };

static inline bool is_plain_name(const char *path) {
    int deep = 0;
    if (!*path || *path == '/' || strlen(path) > 120 || strstr(path, "..") || strstr(path, "//")) return false;
    for (const char *s = path; *s; s++) {
        deep += *s == '/';
        if (*s < 0x20 || *s == 0x7f) return false;
    }
    return deep < 4 && path[strlen(path) - 1] != '/';
}

static inline void put_below(const char *folder, const char *path, fuzz_part bytes) {
    char name[200], above[200];
    snprintf(name, sizeof name, "%s/%s", folder, path);
    snprintf(above, sizeof above, "%s", name);
    *strrchr(above, '/') = 0;
    if (lf_mkdir_p(in_folder(above), NULL) || lf_is_dir(in_folder(name))) return; /* a file has the folder's name */
    put_part(name, bytes);
}

/* All that is left of the input, as the folder `name` of the process's own. */
static inline void put_folder(const char *name, fuzz_input *in) {
    require(lf_remove_tree(in_folder(name), NULL) == LF_OK && lf_mkdir_p(in_folder(name), NULL) == LF_OK);
    for (int i = 0; i < FOLDER_MOST_FILES && in->left; i++) {
        const fuzz_part whole = take_part(in);
        fuzz_input inner = {(const uint8_t *)whole.s, whole.n};
        const fuzz_part path = take_until(&inner, '\n'), bytes = take_rest(&inner);
        if (is_plain_name(path.s)) put_below(name, path.s, bytes);
        free(path.s);
        free(bytes.s);
        free(whole.s);
    }
}

#endif

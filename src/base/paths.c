#define _POSIX_C_SOURCE 200809L
#include "base/paths.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

bool lf_paths_add(lf_paths *p, const char *path) {
    char *copy = lf_grow(&p->at, &p->room, p->n + 1) ? lf_strdup(path) : NULL;
    if (copy) p->at[p->n++] = copy;
    return copy;
}

void lf_paths_free(lf_paths *p) {
    for (int64_t i = 0; i < p->n; i++) lf_free(p->at[i]);
    lf_free(p->at);
    *p = (lf_paths){0};
}

bool lf_is_pattern(const char *path) { return path[strcspn(path, "*?[")] && !lf_is_file(path) && !lf_is_dir(path); }

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* What matched, in the order of bytes: glob's own is the locale's. */
static lf_status take_matches(lf_paths *p, glob_t *found, const char *pattern, const char *key, lf_err *err) {
    const int64_t before = p->n;
    qsort(found->gl_pathv, found->gl_pathc, sizeof *found->gl_pathv, by_bytes);
    for (size_t i = 0; i < found->gl_pathc; i++) {
        if (lf_is_dir(found->gl_pathv[i])) continue;
        if (!lf_paths_add(p, found->gl_pathv[i])) return lf_no_memory(err, "the files of %s", pattern);
    }
    if (p->n > before) return LF_OK;
    return lf_fail(err, LF_ENOTFOUND, "%s: %s: only folders match; expected files, as in FOLDER/*.jsonl", key, pattern);
}

static lf_status expand_pattern(lf_paths *p, const char *pattern, const char *key, lf_err *err) {
    glob_t found = {0};
    if (strstr(pattern, "**"))
        return lf_fail(err, LF_EUSAGE, "%s: %s: '**' is not known; write a '*' for each folder, as in data/*/*.jsonl",
                       key, pattern);
    errno = 0;
    const int rc = glob(pattern, GLOB_ERR, NULL, &found);
    lf_status status;
    if (rc == 0)
        status = take_matches(p, &found, pattern, key, err);
    else if (rc == GLOB_NOMATCH)
        status = lf_fail(err, LF_ENOTFOUND, "%s: %s: no file matches", key, pattern);
    else if (rc == GLOB_NOSPACE)
        status = lf_no_memory(err, "the files of %s", pattern);
    else
        status = lf_fail(err, LF_EIO, "%s: %s: a folder cannot be read: %s", key, pattern, strerror(errno));
    globfree(&found);
    return status;
}

static lf_status expand_one(lf_paths *p, const cJSON *item, const char *key, lf_err *err) {
    if (!cJSON_IsString(item) || !*item->valuestring)
        return lf_fail(err, LF_EUSAGE, "%s: expected a path, or a list of paths; none of them may be empty", key);
    if (lf_is_pattern(item->valuestring)) return expand_pattern(p, item->valuestring, key, err);
    return lf_paths_add(p, item->valuestring) ? LF_OK : lf_no_memory(err, "%s", item->valuestring);
}

lf_status lf_paths_expand(lf_paths *p, const cJSON *given, const char *key, lf_err *err) {
    lf_status rc = LF_OK;
    const cJSON *item;
    if (!cJSON_IsArray(given)) return expand_one(p, given, key, err);
    if (!given->child) return lf_fail(err, LF_EUSAGE, "%s: the list of paths is empty", key);
    cJSON_ArrayForEach(item, given) {
        if (!rc) rc = expand_one(p, item, key, err);
    }
    return rc;
}

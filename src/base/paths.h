/* Paths as a user gives them: one, a list of them, and patterns such as data/part-*.jsonl. */
#ifndef LF_BASE_PATHS_H
#define LF_BASE_PATHS_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lf_paths {
    char **at;
    int64_t n, room;
} lf_paths;

/* Takes a copy. False: out of memory. */
bool lf_paths_add(lf_paths *p, const char *path);
void lf_paths_free(lf_paths *p); /* *p is as new */

/* Has it * ? or [, and is no file or folder by that very name? */
bool lf_is_pattern(const char *path);

/* Appends the files that `given` (a string, or a list of strings; `key` names it) stands for: the list's order, and in
 * the place of a pattern what matches it, sorted by bytes, folders and hidden files left out. What is no pattern is
 * appended as it is, there or not. LF_EUSAGE: neither form, an empty list or path, "**". LF_ENOTFOUND: nothing matches.
 */
lf_status lf_paths_expand(lf_paths *p, const cJSON *given, const char *key, lf_err *err);

#endif

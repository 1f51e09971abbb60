/* What any file or folder is, with counts, sizes and first problems: for `inspect` to say, and for `verify` to know
 * what is to be checked. A kind is a line of what.def. */
#ifndef LF_TOOLS_WHAT_H
#define LF_TOOLS_WHAT_H

#include <stdbool.h>

#include "base/obj.h"

/* Puts {"path", "kind", "said", "facts": {...}, "problems": ["...", ...]} into `list`, and adds the number of problems
 * to *problems; that nobody knows it, or that it is not there, is one ("kind": null). An error is of the program's own:
 * LF_ENOMEM, LF_EINTERRUPTED. */
lf_status lf_what(lf_obj *list, int64_t *problems, const char *path, lf_err *err);
/* What lf_what puts, as lines. */
void lf_what_print(FILE *out, const cJSON *what);

/* The signs by which folders are known. */
bool lf_what_is_checkpoint(const char *path);
bool lf_what_is_adapter(const char *path);
bool lf_what_is_run(const char *path);
bool lf_what_is_model(const char *path); /* asked after the others: runs have a config.json too */

#endif

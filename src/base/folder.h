/* Folders that are written into: made for the purpose, tried, and rid of what was left in them. */
#ifndef LF_BASE_FOLDER_H
#define LF_BASE_FOLDER_H

#include <stddef.h>

#include "base/error.h"

/* lf_mkdir_p, and *made: how many folders were made, the last ones of the path, also after an error. */
lf_status lf_folder_make(const char *path, int *made, lf_err *err);
/* Removes the last `made` folders of the path, as far as they are empty. */
void lf_folder_unmake(const char *path, int made);
/* Whether it could be made, and written into: tries the nearest folder of the path that is there. Nothing is made.
 * LF_EIO, naming it, where it could not. */
lf_status lf_folder_could(const char *path, lf_err *err);
/* Begins to write dir/name and gives it up: LF_EIO, naming it, where that cannot be done. */
lf_status lf_folder_try(const char *dir, const char *name, lf_err *err);
lf_status lf_folder_try_temporary(lf_err *err); /* the same in lf_temporary_folder(), naming TMPDIR */

/* Of a name that a process which was killed has left where it wrote a file or folder ("NAME.tmp-PID-N", "NAME.tmp") or
 * replaced one ("NAME.old-PID-N"): the length of NAME; else 0. */
size_t lf_leftover_of(const char *name);
/* dir/name, which is one: put back where it is the old one and there is no new one, else removed. Only where no other
 * process writes. */
lf_status lf_leftover_settle(const char *dir, const char *name, lf_err *err);

#endif

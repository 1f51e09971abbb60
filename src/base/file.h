/* Files: read whole, written whole or not at all. */
#ifndef LF_BASE_FILE_H
#define LF_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* A descriptor, or -1 and errno. A named pipe into which nobody writes is an empty file: opened as usual it would make
 * us wait for ever, and it may stand in a folder from elsewhere. */
int lf_open_to_read(const char *path);
FILE *lf_fopen_to_read(const char *path); /* the same; NULL and errno */
/* The file's bytes plus a NUL; freed by lf_free. LF_EDATA above 2 GiB, and of a pipe that nobody writes into. */
lf_status lf_file_read(char **out, size_t *size, const char *path, lf_err *err);

/* Its first `room` bytes, or as many as there are. */
lf_status lf_file_begins(void *out, size_t room, size_t *n, const char *path, lf_err *err);

/* "path: cannot <doing>: strerror(errno)". What is wanted and cannot be written is no file that is missing, whatever
 * the reason: LF_EIO, never LF_ENOTFOUND. */
lf_status lf_fail_to(lf_err *err, const char *doing, const char *path);

/* A file that appears under its name only when it is whole: written to a temporary name in the same folder, synced,
 * renamed. lf_atomic_abort (or a crash) leaves the old file, if any, as it was. Of a link, what it points to is
 * replaced; what is neither file nor folder (/dev/stdout, a pipe) is written into. Failures are LF_EIO. */
typedef struct lf_atomic_file {
    FILE *f;
    char *path, *temporary;
} lf_atomic_file;
lf_status lf_atomic_open(lf_atomic_file *a, const char *path, lf_err *err);
/* In a folder that may be from elsewhere: a link, which could lead to any file of the user's, is replaced itself, and
 * so is a pipe, which nobody may read. */
lf_status lf_atomic_replace(lf_atomic_file *a, const char *path, lf_err *err);
lf_status lf_atomic_open_in(lf_atomic_file *a, const char *dir, const char *name, lf_err *err); /* dir/name, likewise */
lf_status lf_atomic_put(lf_atomic_file *a, const void *data, size_t size, lf_err *err); /* the next bytes of it */
lf_status lf_atomic_commit(lf_atomic_file *a, lf_err *err); /* closes; on failure the temporary file is removed */
void lf_atomic_abort(lf_atomic_file *a);                    /* closes and removes; safe after commit */
lf_status lf_file_write(const char *path, const void *data, size_t size, lf_err *err); /* all of the above at once */

lf_status lf_copy_file(const char *from, const char *dir, const char *name, lf_err *err); /* to dir/name */
/* from_dir/name to to_dir/name; nothing where it is no file. */
lf_status lf_copy_if_there(const char *from_dir, const char *to_dir, const char *name, lf_err *err);
int64_t lf_file_size(const char *path); /* in bytes; of a folder, of the files in it (not below); -1: neither */
/* Folders likewise: fill `temporary`, then commit renames it over `path` (an existing folder is moved aside first and
 * removed after). */
lf_status lf_mkdir_p(const char *path, lf_err *err);
lf_status lf_remove_tree(const char *path, lf_err *err);                /* no error when it is not there */
lf_status lf_remove_in(const char *dir, const char *name, lf_err *err); /* dir/name */
/* "PATH.WHAT-..." (lf_free; NULL: no memory), which no other process or thread takes, nor a user's file has; slashes at
 * the end of `path` count for nothing. */
char *lf_name_beside(const char *path, const char *what);
lf_status lf_replace_dir(const char *temporary, const char *path, lf_err *err);

bool lf_exists(const char *path); /* also a link that points nowhere */
bool lf_is_dir(const char *path);
bool lf_is_file(const char *path);
/* *is: lf_is_dir, of a name that stands in a folder whose contents count: one that cannot be looked at (a disk that
 * fails, a folder that may not be entered) is LF_EIO, so that nothing is left out in silence. A link that leads nowhere
 * is none. */
lf_status lf_look_for_dir(bool *is, const char *path, lf_err *err);
bool lf_is_file_in(const char *dir, const char *name); /* dir/name; false where memory runs out, too */
const char *lf_temporary_folder(void);                 /* $TMPDIR, else /tmp */
char *lf_path_join(const char *a, const char *b);      /* freed by lf_free */
const char *lf_path_base(const char *path);            /* what follows the last '/' */

/* Names in a folder, without . and .., sorted by bytes; NULL-terminated array in one block, freed by lf_free. */
lf_status lf_list_dir(char ***out, size_t *count, const char *path, lf_err *err);

#endif

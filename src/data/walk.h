/* The files below a folder. */
#ifndef LF_DATA_WALK_H
#define LF_DATA_WALK_H

#include <stdbool.h>

#include "base/error.h"

typedef struct lf_walk {
    void *context;
    lf_status (*file)(void *context, const char *path, lf_err *err); /* called for each; what fails ends the walk */
    /* True: it is a file by its name alone, so that the disk need not be asked. NULL: always ask. */
    bool (*known_file)(const char *name);
} lf_walk;

/* Folder by folder, names sorted by bytes, hidden ones passed over. Links are followed, and a folder is entered once,
 * for they may go round in circles. LF_EDATA: nested more than 32 deep. */
lf_status lf_walk_files(const lf_walk *w, const char *folder, lf_err *err);

/* What systems and editors put beside the user's files is not the user's, and not worth a word: names that begin with a
 * dot, Thumbs.db and the like. */
bool lf_is_hidden(const char *name);

#endif

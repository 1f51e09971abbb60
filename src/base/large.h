/* Room for much: memory, or a file that has no name any more and goes with the process, mapped. */
#ifndef LF_BASE_LARGE_H
#define LF_BASE_LARGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct lf_large {
    char *data; /* NULL: none */
    size_t size;
    bool in_file;
} lf_large;

/* `size` bytes, above 0, not cleared; in_file: in $TMPDIR, else /tmp, where the room is taken at once, so that a full
 * disk shows here (LF_EIO) and nowhere else. `what` it is for, for errors. */
lf_status lf_large_open(lf_large *out, size_t size, bool in_file, const char *what, lf_err *err);
void lf_large_close(lf_large *l); /* of zeros, too */

#endif

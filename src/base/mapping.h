/* Files that are mapped to be read. Whoever opens the same file again gets the same mapping, so that its pages count
 * once; and an address says of which file it is, for who is told that a page is not there any more (SIGBUS, where a
 * file was cut short). */
#ifndef LF_BASE_MAPPING_H
#define LF_BASE_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Which file it is, and in which state: what changes where its bytes do. */
typedef struct lf_file_state {
    uint64_t device, inode;
    int64_t size, modified[2], changed[2]; /* mtime, ctime: seconds, nanoseconds */
} lf_file_state;

lf_status lf_file_state_of(lf_file_state *out, const char *path, lf_err *err);
bool lf_file_state_same(const lf_file_state *a, const lf_file_state *b);

typedef struct lf_mapping {
    const unsigned char *data;
    size_t size; /* not 0: an empty file cannot be mapped */
    lf_file_state file;
} lf_mapping;

/* All of an open regular file, read only; `path` is copied, for messages. */
lf_status lf_mapping_open(const lf_mapping **out, int fd, const char *path, lf_err *err);
void lf_mapping_close(const lf_mapping *m); /* accepts NULL */
/* Lets go of the pages that [begin, begin + size) touches: nothing was written, so they come back when they are read.
 */
void lf_mapping_drop(const void *begin, size_t size);

/* Is it on a file system behind a network, where pages may be lost at any time, or change without a trace? */
bool lf_is_remote(const char *path);

#endif

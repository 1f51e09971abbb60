/* What the files of a data set hold, in 32 digits: the same files elsewhere have the same fingerprint, and a file that
 * was renamed, exchanged or changed by a bit has another. A run that goes on asks whether its data are still the same.
 *
 * It is XXH3-128 over the files in the order of their names: name (below the data set's folder), size, and the XXH3-128
 * of the bytes. Above LF_FINGERPRINT_WHOLE bytes in all, the bytes are sampled: names, sizes, and XXH3-128 of
 * LF_FINGERPRINT_BLOCKS blocks, at places that depend on the total size alone. Links are followed: what counts is what
 * is read.
 *
 * The bytes are read in a pass of its own. It runs at the speed of the disk or of memory, once for each data set: the
 * process remembers fingerprints by what it may see without reading (each file's name, device, inode, size and times of
 * change). */
#ifndef LF_DATA_FINGERPRINT_H
#define LF_DATA_FINGERPRINT_H

#include <stdint.h>

#include "base/error.h"

#define LF_FINGERPRINT_WHOLE  UINT64_C(2000000000)
#define LF_FINGERPRINT_BLOCKS 4096
#define LF_FINGERPRINT_BLOCK  65536 /* bytes */

typedef struct lf_fingerprint {
    char hash[33]; /* hex digits and NUL */
    int64_t files;
    uint64_t bytes;  /* in all files together */
    bool sampled;    /* a change between the blocks shows only in a file's name or size; lf_fingerprint_note says so */
    bool remembered; /* nothing was read */
    int64_t unreadable; /* files that could not be opened, if that was allowed: they count as such */
} lf_fingerprint;

/* Defaults in lf_fingerprint_usual; tests set others. */
typedef struct lf_fingerprint_limits {
    uint64_t whole;         /* bytes up to which all of them are read */
    uint64_t blocks, block; /* above: how many, of how many bytes; together at most `whole` */
    int64_t settled;        /* seconds: what changed later than that is not remembered, for times are coarse */
} lf_fingerprint_limits;
extern const lf_fingerprint_limits lf_fingerprint_usual;

/* Of n files, in any order. Names are what follows `root` in the paths; a path outside of it has its last part.
 * A file that cannot be opened or is none: an error that names it, or, skip_unreadable, counted in its place. A file
 * that changes while it is read is LF_EDATA. `root` is named in errors that concern all files. */
lf_status lf_fingerprint_files(lf_fingerprint *out, const char *root, const char *const *paths, int64_t n,
                               bool skip_unreadable, const lf_fingerprint_limits *limits, lf_err *err);

/* "" or, if sampled, a sentence that says what the fingerprint cannot see. */
const char *lf_fingerprint_note(const lf_fingerprint *f, char *buf, size_t size);

#endif

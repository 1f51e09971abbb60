/* Results kept on disk to be found again: a few arrays in a safetensors file, with the identity of what they are
 * results of and a checksum over both. A file is taken whole or not at all. */
#ifndef LF_IO_STORED_H
#define LF_IO_STORED_H

#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"

/* Row-major [rows, columns], which the caller owns: filled in reading. */
typedef struct lf_stored_part {
    const char *name;
    void *data;
    int64_t rows, columns;
    lf_dtype dtype;
} lf_stored_part;

/* `kind` is the name under which the identity stands in the file's metadata. LF_EDATA if identity, shapes or checksum
 * are others; then the parts hold anything. */
lf_status lf_stored_read(const char *path, const char *kind, const char *identity, const lf_stored_part *parts,
                         int n_parts, lf_err *err);
lf_status lf_stored_write(const char *path, const char *kind, const char *identity, const lf_stored_part *parts,
                          int n_parts, lf_err *err);
/* XXH3-128 as 32 hex digits and NUL, for names of such files. */
void lf_stored_hash(char out[33], const void *bytes, size_t size);
lf_status lf_stored_hash_file(char out[33], const char *path, lf_err *err); /* the same of a file's bytes */

#endif

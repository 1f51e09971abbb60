/* Compressed files as a whole, and what a file is that is no text: both known by what it begins with, whatever its
 * name says (packings.def, kinds.def). */
#ifndef LF_IO_UNPACK_H
#define LF_IO_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { LF_KIND_BYTES = 512 }; /* of a file's beginning are enough to know what it is */

typedef struct lf_packing lf_packing;
/* NULL: the bytes begin like no compressed file. */
const lf_packing *lf_packing_of(const void *bytes, size_t n);
/* The length of a name without the extension of a packing: "a.jsonl" of "a.jsonl.gz". */
size_t lf_packing_stem(const char *name);

/* What a packed file may grow to: so many times its size, and 64 MiB in any case. Text seldom shrinks to a hundredth;
 * what grows more is taken for a bomb. */
#define LF_UNPACK_MOST_TIMES 500
#define LF_UNPACK_FREE_BYTES (UINT64_C(64) << 20)

/* The content of the file `in` (opened for reading, called `path` in errors) in a new file without a name in $TMPDIR,
 * else /tmp; *out is to be closed. All members of a gzip file, all frames of a Zstandard one. LF_EDATA: damaged, cut
 * short, more behind its end, or a bomb; LF_EIO: no room. */
lf_status lf_unpack(int *out, const lf_packing *p, int in, const char *path, lf_err *err);

/* How many bytes a compressed file has unpacked, which is done, so that damage shows. */
lf_status lf_unpacked_size(int64_t *bytes, const char *path, lf_err *err);

/* LF_EDATA, saying what the file is and what to do with it, if the bytes begin like a file that is no text and that
 * nothing here reads. */
lf_status lf_refuse_kind(const void *bytes, size_t n, const char *path, lf_err *err);

#endif

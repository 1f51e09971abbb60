/* The hash of a model's files, which takes reading all of them, kept beside the state in which they were: whoever opens
 * them again finds it in no time. */
#ifndef LF_IO_KEPT_HASH_H
#define LF_IO_KEPT_HASH_H

#include "io/safetensors.h"

/* Where results are kept that may be found again (key decomposition_cache): `where` a folder, or "auto": what is called
 * `name` in lora-ft of $XDG_CACHE_HOME or ~/.cache; freed by lf_free. LF_ENOTFOUND: auto, and the system says no such
 * folder. The folder is not made. */
#define LF_CACHE_OF_WEIGHTS "decompositions"
lf_status lf_cache_folder(char **out, const char *where, const char *name, lf_err *err);

/* As lf_safetensors_hash, by way of `folder`, which is made (NULL: none). It is found there if device, inode, size,
 * mtime and ctime of every file are what they were, and kept there unless one of them changed so lately that it could
 * change again within the same tick. What cannot be read or written there is no failure. */
lf_status lf_kept_hash(const lf_safetensors *st, const char *folder, char out[33], lf_err *err);

#endif

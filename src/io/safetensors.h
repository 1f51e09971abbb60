/* Reader and writer of safetensors files, and of a Hugging Face model's set of them (one file, or shards + index).
 * Nothing in a file is trusted: every length, range, name and number is checked before use. */
#ifndef LF_IO_SAFETENSORS_H
#define LF_IO_SAFETENSORS_H

#include <stdint.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/mapping.h"

#define LF_MAX_DIMS 8

typedef struct lf_st_tensor {
    const char *name;
    lf_dtype dtype;
    int ndim; /* 0 for a scalar */
    int64_t shape[LF_MAX_DIMS];
    int64_t numel;
    const void *data; /* into the mapping; may be unaligned; little endian */
    size_t size;      /* bytes */
    const char *path; /* of the file it is in */
} lf_st_tensor;

typedef struct lf_safetensors lf_safetensors;

/* Opens one file, or, if `path` is a folder, model.safetensors in it, or the shards that model.safetensors.index.json
 * names. All headers are checked at once: LF_EDATA with file, tensor, expected and found. The caller closes *out. */
lf_status lf_safetensors_open(lf_safetensors **out, const char *path, lf_err *err);
void lf_safetensors_close(lf_safetensors *st);
int64_t lf_safetensors_count(const lf_safetensors *st);
const lf_st_tensor *lf_safetensors_at(const lf_safetensors *st, int64_t i);          /* in name order */
const lf_st_tensor *lf_safetensors_find(const lf_safetensors *st, const char *name); /* NULL if absent */
const char *lf_safetensors_metadata(const lf_safetensors *st, const char *key);      /* first file's; NULL if absent */
const char *lf_safetensors_path(const lf_safetensors *st);
void lf_safetensors_drop_pages(const lf_safetensors *st, const lf_st_tensor *t); /* done with this tensor's bytes */
void lf_safetensors_drop_all(const lf_safetensors *st);
/* Is there a number in it that is none, or infinite? Where the first is, and which. false of types that are not floats.
 */
bool lf_st_has_no_number(const lf_st_tensor *t, int64_t *at, float *value);
/* The state in which file i was opened; false: there are no more. */
bool lf_safetensors_file(const lf_safetensors *st, int64_t i, lf_file_state *out);
/* Are all files still in that state, or in the one that was noted last? */
bool lf_safetensors_as_opened(const lf_safetensors *st);
/* Notes the state of `again`, the same files opened again, whose bytes were found to be the same. */
void lf_safetensors_note_same(lf_safetensors *st, const lf_safetensors *again);
/* XXH3-128 over names, dtypes, shapes and bytes of all tensors in name order: 32 hex digits and NUL. */
lf_status lf_safetensors_hash(const lf_safetensors *st, char out[33], lf_err *err);

/* "[768, 3072]" into buf; returns buf. */
const char *lf_shape_str(char *buf, size_t size, int ndim, const int64_t *shape);

/* Streamed writer: declare all tensors, then write their bytes in the declared order, then commit. The header holds
 * metadata {"format":"pt"} plus what is added, tensors in the declared order, padded so that data starts aligned to 8.
 * The file appears whole or not at all. */
typedef struct lf_st_writer lf_st_writer;
lf_status lf_st_writer_new(lf_st_writer **out, const char *path, lf_err *err);
lf_status lf_st_writer_meta(lf_st_writer *w, const char *key, const char *value, lf_err *err);
lf_status lf_st_writer_declare(lf_st_writer *w, const char *name, lf_dtype dtype, int ndim, const int64_t *shape,
                               lf_err *err);
/* The next declared tensor's bytes, whole. LF_EFAIL if size is not what was declared. */
lf_status lf_st_writer_write(lf_st_writer *w, const void *data, size_t size, lf_err *err);
/* The same from floats, rounded to the declared dtype. A finite number that would become infinite: LF_EDATA naming it.
 */
lf_status lf_st_writer_write_f32(lf_st_writer *w, const float *data, int64_t n, lf_err *err);
lf_status lf_st_writer_commit(lf_st_writer *w, lf_err *err); /* frees w; a declared tensor not written: LF_EFAIL */
void lf_st_writer_abort(lf_st_writer *w);                    /* frees w, removes the temporary file; accepts NULL */

#endif

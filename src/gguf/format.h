/* GGUF: the one file in which llama.cpp, and what is built on it (ollama), has a model or an adapter. A list of typed
 * keys, a list of tensors, and their numbers. Little endian, version 3. Source: docs/gguf.md of ggml. What stands in
 * the keys is not known here (model.c, tokenizer.c, adapter.c). */
#ifndef LF_GGUF_FORMAT_H
#define LF_GGUF_FORMAT_H

#include "base/dtype.h"
#include "base/error.h"

#define LF_GGUF_MAGIC "GGUF"
enum {
    LF_GGUF_VERSION = 3,
    LF_GGUF_ALIGNMENT = 32,  /* of tensors' numbers, where general.alignment does not say another */
    LF_GGUF_DIMS = 4,        /* of a tensor, at most */
    LF_GGUF_NAME = 64,       /* bytes of a tensor's name, at most; llama.cpp, which keeps a NUL behind them, has 63 */
    LF_GGUF_KEY = UINT16_MAX /* bytes of a key, at most */
};

/* Types of values, by their numbers in the file: name, C's type. */
#define LF_GGUF_VALUE_LIST(X)                                                                                          \
    X(U8, uint8_t)                                                                                                     \
    X(I8, int8_t)                                                                                                      \
    X(U16, uint16_t)                                                                                                   \
    X(I16, int16_t)                                                                                                    \
    X(U32, uint32_t)                                                                                                   \
    X(I32, int32_t)                                                                                                    \
    X(F32, float)                                                                                                      \
    X(BOOL, uint8_t)                                                                                                   \
    X(STRING, uint64_t) /* the length; the bytes follow */                                                             \
    X(ARRAY, uint64_t)                                                                                                 \
    X(U64, uint64_t)                                                                                                   \
    X(I64, int64_t)                                                                                                    \
    X(F64, double)
typedef enum lf_gguf_value {
#define LF_GGUF_VALUE_ENUM(name, c) LF_GGUF_##name,
    LF_GGUF_VALUE_LIST(LF_GGUF_VALUE_ENUM)
#undef LF_GGUF_VALUE_ENUM
        LF_GGUF_N_VALUES
} lf_gguf_value;

/* ---- writing ---- */

/* Keys first, then all tensors are declared, then their numbers are written in that order. The file appears whole or
 * not at all. Memory that there was not for keys is told by the first call that returns a status. */
typedef struct lf_gguf_writer lf_gguf_writer;
lf_status lf_gguf_writer_new(lf_gguf_writer **out, const char *path, lf_err *err);
void lf_gguf_put_u32(lf_gguf_writer *w, const char *key, uint32_t value);
void lf_gguf_put_f32(lf_gguf_writer *w, const char *key, double value);
void lf_gguf_put_bool(lf_gguf_writer *w, const char *key, bool value);
void lf_gguf_put_string(lf_gguf_writer *w, const char *key, const char *value);
/* An array of `count` values; each of them follows. */
void lf_gguf_put_array(lf_gguf_writer *w, const char *key, lf_gguf_value type, int64_t count);
void lf_gguf_add_string(lf_gguf_writer *w, const char *s, size_t n);
void lf_gguf_add_f32(lf_gguf_writer *w, double value);
void lf_gguf_add_i32(lf_gguf_writer *w, int32_t value);
/* shape as everywhere here, the numbers of a row beside each other. F32, F16 or BF16. */
lf_status lf_gguf_declare(lf_gguf_writer *w, const char *name, lf_dtype dtype, int ndim, const int64_t *shape,
                          lf_err *err);
/* The next declared tensor, whole, rounded to its format. A finite number that would become infinite: LF_EDATA. */
lf_status lf_gguf_write_f32(lf_gguf_writer *w, const float *data, int64_t n, lf_err *err);
lf_status lf_gguf_writer_commit(lf_gguf_writer *w, lf_err *err); /* frees w; LF_EFAIL: not all were written */
void lf_gguf_writer_abort(lf_gguf_writer *w);                    /* frees w; accepts NULL */

/* ---- reading ---- */

typedef struct lf_gguf_key {
    const char *name; /* not ended by a NUL, so is `string` */
    size_t name_size;
    lf_gguf_value type; /* of an array that of its values */
    bool is_array;
    uint64_t count;            /* of an array; else 1 */
    const unsigned char *data; /* its first value */
    size_t size;               /* bytes of all */
} lf_gguf_key;

typedef struct lf_gguf_tensor {
    const char *name; /* not ended by a NUL */
    size_t name_size;
    uint32_t type; /* a number of types.def */
    int ndim;
    uint64_t shape[LF_GGUF_DIMS]; /* as lf_gguf_declare takes it: the file has it the other way round */
    uint64_t numel;
    const unsigned char *data; /* into the mapping */
    size_t size;               /* bytes */
} lf_gguf_tensor;

typedef struct lf_gguf lf_gguf;

/* All of it is checked: LF_EDATA with file, key or tensor, what was expected and found; LF_EUNSUPPORTED for another
 * version or byte order, an array of arrays, a type of tensors that types.def does not have. */
lf_status lf_gguf_open(lf_gguf **out, const char *path, lf_err *err);
void lf_gguf_close(lf_gguf *g); /* accepts NULL */
int64_t lf_gguf_n_keys(const lf_gguf *g);
const lf_gguf_key *lf_gguf_key_at(const lf_gguf *g, int64_t i);
const lf_gguf_key *lf_gguf_find_key(const lf_gguf *g, const char *name); /* NULL: none */
int64_t lf_gguf_n_tensors(const lf_gguf *g);
const lf_gguf_tensor *lf_gguf_tensor_at(const lf_gguf *g, int64_t i); /* as they stand in the file */
const lf_gguf_tensor *lf_gguf_find(const lf_gguf *g, const char *name);
/* The value of a key that is one string or number; false: there is none such. s is not ended by a NUL. */
bool lf_gguf_string(const lf_gguf *g, const char *key, const char **s, size_t *n);
bool lf_gguf_number(const lf_gguf *g, const char *key, double *value);
const char *lf_gguf_type_name(uint32_t type); /* of types.def; NULL: it has none */

#endif

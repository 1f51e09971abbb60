#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/string.h"
#include "gguf/format.h"
#include "io/rounded.h"

typedef struct declared {
    char name[LF_GGUF_NAME];
    lf_dtype dtype;
    uint64_t numel, size; /* size: bytes, without what pads them */
} declared;

struct lf_gguf_writer {
    lf_atomic_file file;
    lf_string keys, infos; /* as they will stand in the file */
    uint64_t n_keys, data_size;
    declared *tensors;
    size_t n, capacity, next; /* next: the first one that is not written yet */
    bool header_written;
};

static void free_writer(lf_gguf_writer *w) {
    lf_string_free(&w->keys);
    lf_string_free(&w->infos);
    lf_free(w->tensors);
    lf_free(w);
}

lf_status lf_gguf_writer_new(lf_gguf_writer **out, const char *path, lf_err *err) {
    *out = NULL;
    lf_gguf_writer *w = lf_calloc(1, sizeof *w);
    if (!w) return lf_no_memory(err, "the keys of %s", path);
    const lf_status rc = lf_atomic_open(&w->file, path, err);
    if (rc)
        lf_gguf_writer_abort(w);
    else
        *out = w;
    return rc;
}

void lf_gguf_writer_abort(lf_gguf_writer *w) {
    if (!w) return;
    lf_atomic_abort(&w->file);
    free_writer(w);
}

/* ---- keys ---- */

/* The lowest bytes of a number, the first the lowest, whatever the machine has. */
static void put_bytes(lf_string *to, uint64_t value, size_t n) {
    unsigned char bytes[8];
    for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)(value >> (8 * i));
    lf_string_put(to, bytes, n);
}

static uint32_t bits_of(double value) {
    const float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static void put_text(lf_string *to, const char *s, size_t n) {
    put_bytes(to, n, 8);
    lf_string_put(to, s, n);
}

static void begin_key(lf_gguf_writer *w, const char *key, lf_gguf_value type) {
    w->n_keys++;
    put_text(&w->keys, key, strlen(key));
    put_bytes(&w->keys, (uint64_t)type, 4);
}

void lf_gguf_put_u32(lf_gguf_writer *w, const char *key, uint32_t value) {
    begin_key(w, key, LF_GGUF_U32);
    put_bytes(&w->keys, value, 4);
}

void lf_gguf_put_f32(lf_gguf_writer *w, const char *key, double value) {
    begin_key(w, key, LF_GGUF_F32);
    lf_gguf_add_f32(w, value);
}

void lf_gguf_put_bool(lf_gguf_writer *w, const char *key, bool value) {
    begin_key(w, key, LF_GGUF_BOOL);
    put_bytes(&w->keys, value, 1);
}

void lf_gguf_put_string(lf_gguf_writer *w, const char *key, const char *value) {
    begin_key(w, key, LF_GGUF_STRING);
    lf_gguf_add_string(w, value, strlen(value));
}

void lf_gguf_put_array(lf_gguf_writer *w, const char *key, lf_gguf_value type, int64_t count) {
    begin_key(w, key, LF_GGUF_ARRAY);
    put_bytes(&w->keys, (uint64_t)type, 4);
    put_bytes(&w->keys, (uint64_t)count, 8);
}

void lf_gguf_add_string(lf_gguf_writer *w, const char *s, size_t n) { put_text(&w->keys, s, n); }
void lf_gguf_add_f32(lf_gguf_writer *w, double value) { put_bytes(&w->keys, bits_of(value), 4); }
void lf_gguf_add_i32(lf_gguf_writer *w, int32_t value) { put_bytes(&w->keys, (uint32_t)value, 4); }

/* ---- tensors ---- */

static uint64_t padding(uint64_t at) { return (LF_GGUF_ALIGNMENT - at % LF_GGUF_ALIGNMENT) % LF_GGUF_ALIGNMENT; }

static bool type_of(lf_dtype dtype, uint32_t *type) {
    static const struct {
        const char *name;
        uint32_t number;
    } types[] = {
#define LF_GGUF_TENSOR_TYPE(number, name, block, bytes) {#name, number},
#include "gguf/types.def"
#undef LF_GGUF_TENSOR_TYPE
    };
    if (dtype != LF_F32 && dtype != LF_F16 && dtype != LF_BF16) return false;
    size_t i = 0;
    while (strcmp(types[i].name, lf_dtype_name(dtype)) != 0) i++;
    *type = types[i].number;
    return true;
}

lf_status lf_gguf_declare(lf_gguf_writer *w, const char *name, lf_dtype dtype, int ndim, const int64_t *shape,
                          lf_err *err) {
    uint32_t type;
    uint64_t numel = 1, size, end;
    if (w->header_written || ndim < 1 || ndim > LF_GGUF_DIMS || !type_of(dtype, &type))
        return lf_fail(err, LF_EFAIL, "%s: tensor '%s': %d dims of %s, or after the first was written", w->file.path,
                       name, ndim, lf_dtype_name(dtype));
    if (strlen(name) >= LF_GGUF_NAME)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: tensor '%s': its name has %d bytes or more, which llama.cpp refuses",
                       w->file.path, name, LF_GGUF_NAME);
    for (int d = 0; d < ndim; d++)
        if (shape[d] < 1 || lf_mul_overflow(numel, (uint64_t)shape[d], &numel))
            return lf_fail(err, LF_EFAIL, "%s: tensor '%s': dim %d of %" PRId64 " is not possible", w->file.path, name,
                           d, shape[d]);
    if (lf_mul_overflow(numel, lf_dtype_size(dtype), &size) || lf_add_overflow(w->data_size, size, &end) ||
        end > INT64_MAX - LF_GGUF_ALIGNMENT)
        return lf_fail(err, LF_EFAIL, "%s: tensor '%s': more bytes than a file can have", w->file.path, name);
    if (!lf_grow(&w->tensors, &w->capacity, w->n + 1)) return lf_no_memory(err, "the tensors of %s", w->file.path);
    put_text(&w->infos, name, strlen(name));
    put_bytes(&w->infos, (uint64_t)ndim, 4);
    for (int d = ndim; d-- > 0;) put_bytes(&w->infos, (uint64_t)shape[d], 8);
    put_bytes(&w->infos, type, 4);
    put_bytes(&w->infos, w->data_size, 8);
    declared *t = &w->tensors[w->n++];
    *t = (declared){.dtype = dtype, .numel = numel, .size = size};
    memcpy(t->name, name, strlen(name) + 1);
    w->data_size = end + padding(end);
    return LF_OK;
}

static lf_status pad(lf_gguf_writer *w, uint64_t at, lf_err *err) {
    static const char zeros[LF_GGUF_ALIGNMENT];
    return lf_atomic_put(&w->file, zeros, (size_t)padding(at), err);
}

static lf_status write_header(lf_gguf_writer *w, lf_err *err) {
    if (w->header_written) return LF_OK;
    lf_string begin = {0};
    lf_string_put(&begin, LF_GGUF_MAGIC, 4);
    put_bytes(&begin, LF_GGUF_VERSION, 4);
    put_bytes(&begin, w->n, 8);
    put_bytes(&begin, w->n_keys, 8);
    lf_status rc =
        begin.failed || w->keys.failed || w->infos.failed ? lf_no_memory(err, "the keys of %s", w->file.path) : LF_OK;
    w->header_written = true;
    if (!rc && !(rc = lf_atomic_put(&w->file, begin.s, begin.n, err)) &&
        !(rc = lf_atomic_put(&w->file, w->keys.s, w->keys.n, err)) &&
        !(rc = lf_atomic_put(&w->file, w->infos.s, w->infos.n, err)))
        rc = pad(w, begin.n + w->keys.n + w->infos.n, err);
    lf_string_free(&begin);
    return rc;
}

lf_status lf_gguf_write_f32(lf_gguf_writer *w, const float *data, int64_t n, lf_err *err) {
    if (w->next == w->n || n < 0 || (uint64_t)n != w->tensors[w->next].numel)
        return lf_fail(err, LF_EFAIL, "%s: tensor %zu of %zu: %" PRId64 " numbers are not what was declared",
                       w->file.path, w->next, w->n, n);
    const declared *t = &w->tensors[w->next];
    lf_status rc = write_header(w, err);
    if (!rc) rc = lf_put_rounded(&w->file, t->name, t->dtype, data, n, err);
    if (!rc) rc = pad(w, t->size, err);
    if (!rc) w->next++;
    return rc;
}

lf_status lf_gguf_writer_commit(lf_gguf_writer *w, lf_err *err) {
    lf_status rc = write_header(w, err);
    if (!rc && w->next < w->n)
        rc = lf_fail(err, LF_EFAIL, "%s: %zu of %zu tensors were written", w->file.path, w->next, w->n);
    if (rc) {
        lf_gguf_writer_abort(w);
        return rc;
    }
    rc = lf_atomic_commit(&w->file, err);
    free_writer(w);
    return rc;
}

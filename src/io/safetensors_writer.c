#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "io/rounded.h"
#include "io/safetensors.h"

#define MAX_JSON_INTEGER (INT64_C(1) << 53) /* numbers of JSON are doubles to most readers */

typedef struct declared {
    char *name;
    lf_dtype dtype;
    int ndim;
    int64_t shape[LF_MAX_DIMS];
    uint64_t begin, end; /* in the data */
} declared;

struct lf_st_writer {
    lf_atomic_file file;
    cJSON *metadata;
    declared *tensors;
    size_t n, capacity, next; /* next: the first one that is not written yet */
    uint64_t data_size;
    bool header_written;
};

static void free_writer(lf_st_writer *w) {
    for (size_t i = 0; i < w->n; i++) lf_free(w->tensors[i].name);
    lf_free(w->tensors);
    cJSON_Delete(w->metadata);
    lf_free(w);
}

lf_status lf_st_writer_new(lf_st_writer **out, const char *path, lf_err *err) {
    *out = NULL;
    lf_st_writer *w = lf_calloc(1, sizeof *w);
    if (!w) return lf_no_memory(err, "the header of %s", path);
    lf_status rc = lf_atomic_open(&w->file, path, err);
    if (rc == LF_OK && (!(w->metadata = cJSON_CreateObject()) || !cJSON_AddStringToObject(w->metadata, "format", "pt")))
        rc = lf_no_memory(err, "the header of %s", w->file.path);
    if (rc)
        lf_st_writer_abort(w);
    else
        *out = w;
    return rc;
}

lf_status lf_st_writer_meta(lf_st_writer *w, const char *key, const char *value, lf_err *err) {
    if (w->header_written)
        return lf_fail(err, LF_EFAIL, "%s: metadata '%s' comes after the first tensor", w->file.path, key);
    cJSON_DeleteItemFromObjectCaseSensitive(w->metadata, key);
    return cJSON_AddStringToObject(w->metadata, key, value) ? LF_OK
                                                            : lf_no_memory(err, "the header of %s", w->file.path);
}

lf_status lf_st_writer_declare(lf_st_writer *w, const char *name, lf_dtype dtype, int ndim, const int64_t *shape,
                               lf_err *err) {
    uint64_t size = lf_dtype_size(dtype);
    if (w->header_written)
        return lf_fail(err, LF_EFAIL, "%s: tensor '%s' is declared after the first was written", w->file.path, name);
    if (strcmp(name, "__metadata__") == 0)
        return lf_fail(err, LF_EFAIL, "%s: '%s' is no name for a tensor", w->file.path, name);
    if (ndim < 0 || ndim > LF_MAX_DIMS)
        return lf_fail(err, LF_EFAIL, "%s: tensor '%s': expected at most %d dims, found %d", w->file.path, name,
                       LF_MAX_DIMS, ndim);
    declared t = {.dtype = dtype, .ndim = ndim, .begin = w->data_size};
    for (int d = 0; d < ndim; d++) {
        t.shape[d] = shape[d];
        if (shape[d] < 0 || shape[d] > MAX_JSON_INTEGER || lf_mul_overflow(size, (uint64_t)shape[d], &size))
            return lf_fail(err, LF_EFAIL, "%s: tensor '%s': dim %d of %" PRId64 " is not possible", w->file.path, name,
                           d, shape[d]);
    }
    if (lf_add_overflow(t.begin, size, &t.end) || t.end > (uint64_t)MAX_JSON_INTEGER)
        return lf_fail(err, LF_EFAIL, "%s: tensor '%s': more than 2^53 bytes of data", w->file.path, name);
    if (!lf_grow(&w->tensors, &w->capacity, w->n + 1)) return lf_no_memory(err, "the header of %s", w->file.path);
    if (!(t.name = lf_strdup(name))) return lf_no_memory(err, "the header of %s", w->file.path);
    w->tensors[w->n++] = t;
    w->data_size = t.end;
    return LF_OK;
}

/* ---- the header ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static lf_status check_names(const lf_st_writer *w, lf_err *err) {
    const char **names = lf_malloc(w->n * sizeof *names);
    lf_status rc = LF_OK;
    if (!names) return lf_no_memory(err, "the header of %s", w->file.path);
    for (size_t i = 0; i < w->n; i++) names[i] = w->tensors[i].name;
    qsort(names, w->n, sizeof *names, by_text);
    for (size_t i = 1; i < w->n && rc == LF_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            rc = lf_fail(err, LF_EFAIL, "%s: tensor '%s' is declared twice", w->file.path, names[i]);
    lf_free(names);
    return rc;
}

static bool add_number(cJSON *list, uint64_t v) {
    cJSON *item = cJSON_CreateNumber((double)v);
    if (item) cJSON_AddItemToArray(list, item);
    return item != NULL;
}

static bool add_tensor(cJSON *header, const declared *t) {
    cJSON *o = cJSON_AddObjectToObject(header, t->name);
    if (!o || !cJSON_AddStringToObject(o, "dtype", lf_dtype_name(t->dtype))) return false;
    cJSON *shape = cJSON_AddArrayToObject(o, "shape");
    bool ok = shape != NULL;
    for (int d = 0; d < t->ndim && ok; d++) ok = add_number(shape, (uint64_t)t->shape[d]);
    cJSON *offsets = ok ? cJSON_AddArrayToObject(o, "data_offsets") : NULL;
    return offsets && add_number(offsets, t->begin) && add_number(offsets, t->end);
}

static char *header_text(const lf_st_writer *w) {
    cJSON *header = cJSON_CreateObject(), *metadata = cJSON_Duplicate(w->metadata, true);
    bool ok = header && metadata && cJSON_AddItemToObject(header, "__metadata__", metadata);
    if (ok) metadata = NULL;
    for (size_t i = 0; i < w->n && ok; i++) ok = add_tensor(header, &w->tensors[i]);
    char *text = ok ? lf_json_print_line(header) : NULL;
    cJSON_Delete(metadata);
    cJSON_Delete(header);
    return text;
}

static lf_status write_header(lf_st_writer *w, lf_err *err) {
    if (w->header_written) return LF_OK;
    lf_status rc = check_names(w, err);
    if (rc) return rc;
    char *text = header_text(w);
    if (!text) return lf_no_memory(err, "the header of %s", w->file.path);
    const size_t size = strlen(text), padding = (8 - size % 8) % 8;
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)(size + padding) >> (8 * i));
    w->header_written = true;
    if ((rc = lf_atomic_put(&w->file, length, sizeof length, err)) || (rc = lf_atomic_put(&w->file, text, size, err)) ||
        (rc = lf_atomic_put(&w->file, "        ", padding, err)))
        goto out;
out:
    lf_free(text);
    return rc;
}

/* ---- the data ---- */

/* The next tensor, after the header was written if need be. */
static lf_status next_tensor(lf_st_writer *w, const declared **out, lf_err *err) {
    if (w->next == w->n)
        return lf_fail(err, LF_EFAIL, "%s: more tensors written than declared (%zu)", w->file.path, w->n);
    *out = &w->tensors[w->next];
    return write_header(w, err);
}

static lf_status wrong_size(const lf_st_writer *w, const declared *t, uint64_t size, lf_err *err) {
    char shape[160];
    return lf_fail(err, LF_EFAIL, "%s: tensor '%s': declared %s %s of %" PRIu64 " bytes, given %" PRIu64, w->file.path,
                   t->name, lf_dtype_name(t->dtype), lf_shape_str(shape, sizeof shape, t->ndim, t->shape),
                   t->end - t->begin, size);
}

lf_status lf_st_writer_write(lf_st_writer *w, const void *data, size_t size, lf_err *err) {
    const declared *t = NULL;
    lf_status rc = next_tensor(w, &t, err);
    if (rc) return rc;
    if (size != t->end - t->begin) return wrong_size(w, t, size, err);
    if ((rc = lf_atomic_put(&w->file, data, size, err)) != LF_OK) return rc;
    w->next++;
    return LF_OK;
}

lf_status lf_st_writer_write_f32(lf_st_writer *w, const float *data, int64_t n, lf_err *err) {
    const declared *t = NULL;
    lf_status rc = next_tensor(w, &t, err);
    if (rc) return rc;
    const uint64_t bytes = lf_dtype_size(t->dtype);
    if (!lf_dtype_is_float(t->dtype))
        return lf_fail(err, LF_EFAIL, "%s: tensor '%s': floats given for %s", w->file.path, t->name,
                       lf_dtype_name(t->dtype));
    if (n < 0 || (uint64_t)n != (t->end - t->begin) / bytes) return wrong_size(w, t, (uint64_t)n * bytes, err);
    rc = lf_put_rounded(&w->file, t->name, t->dtype, data, n, err);
    if (rc == LF_OK) w->next++;
    return rc;
}

lf_status lf_st_writer_commit(lf_st_writer *w, lf_err *err) {
    lf_status rc = write_header(w, err);
    if (rc == LF_OK && w->next < w->n)
        rc = lf_fail(err, LF_EFAIL, "%s: tensor '%s' was declared and not written", w->file.path,
                     w->tensors[w->next].name);
    if (rc) {
        lf_st_writer_abort(w);
        return rc;
    }
    rc = lf_atomic_commit(&w->file, err);
    free_writer(w);
    return rc;
}

void lf_st_writer_abort(lf_st_writer *w) {
    if (!w) return;
    lf_atomic_abort(&w->file);
    free_writer(w);
}

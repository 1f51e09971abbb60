#define _POSIX_C_SOURCE 200809L
#include "io/safetensors_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

/* The file: 8 bytes little-endian header length, the header in JSON, the tensors' bytes without gap or overlap. */
enum { PREFIX = 8 };
static const uint64_t max_header = 100000000; /* the format's own limit */

/* ---- one tensor's entry of a header ---- */

typedef struct entry {
    const char *path, *name;
    const cJSON *json;
    lf_err *err;
} entry;

static lf_status bad_entry(const entry *e, const char *expected) {
    return lf_fail(e->err, LF_EDATA, "%s: tensor '%.200s': expected %s", e->path, e->name, expected);
}

static lf_status parse_dtype(const entry *e, lf_dtype *out) {
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(e->json, "dtype");
    if (!cJSON_IsString(dtype)) return bad_entry(e, "a string 'dtype'");
    if (lf_dtype_parse(dtype->valuestring, out)) return LF_OK;
#define NAME(id, name, size) " " name
    return lf_fail(e->err, LF_EUNSUPPORTED,
                   "%s: tensor '%.200s': dtype '%.40s' is not supported; expected one of" LF_DTYPE_LIST(
                       NAME) "; is there a bf16 version of this model?",
                   e->path, e->name, dtype->valuestring);
#undef NAME
}

static lf_status parse_shape(const entry *e, lf_st_tensor *t) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(e->json, "shape"), *dim;
    uint64_t numel = 1, bytes;
    if (!cJSON_IsArray(shape)) return bad_entry(e, "a list 'shape'");
    const int ndim = cJSON_GetArraySize(shape);
    if (ndim > LF_MAX_DIMS)
        return lf_fail(e->err, LF_EDATA, "%s: tensor '%.200s': expected at most %d dims in 'shape', found %d", e->path,
                       e->name, LF_MAX_DIMS, ndim);
    cJSON_ArrayForEach(dim, shape) {
        int64_t *extent = &t->shape[t->ndim];
        if (!lf_json_exact_i64(dim, extent) || *extent < 0) return bad_entry(e, "non-negative integers in 'shape'");
        t->ndim++;
        if (lf_mul_overflow(numel, (uint64_t)*extent, &numel) ||
            lf_mul_overflow(numel, lf_dtype_size(t->dtype), &bytes) || bytes > INT64_MAX)
            return bad_entry(e, "a 'shape' whose number of bytes fits into 63 bits");
    }
    t->numel = (int64_t)numel;
    t->size = (size_t)numel * lf_dtype_size(t->dtype);
    return LF_OK;
}

static lf_status parse_offsets(const entry *e, const lf_st_file *f, lf_st_tensor *t) {
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(e->json, "data_offsets");
    int64_t begin, end;
    char shape[160];
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 || !lf_json_exact_i64(offsets->child, &begin) ||
        !lf_json_exact_i64(offsets->child->next, &end) || begin < 0 || begin > end)
        return bad_entry(e, "'data_offsets' of two integers, 0 <= begin <= end <= 2^53");
    if ((uint64_t)end > f->data_size)
        return lf_fail(e->err, LF_EDATA,
                       "%s: tensor '%.200s': expected its bytes at [%" PRId64 ", %" PRId64 "), found %" PRIu64
                       " data bytes in the file; is the download complete?",
                       e->path, e->name, begin, end, f->data_size);
    if ((uint64_t)(end - begin) != t->size)
        return lf_fail(e->err, LF_EDATA,
                       "%s: tensor '%.200s': expected %zu bytes for %s %s, found data_offsets [%" PRId64 ", %" PRId64
                       ")",
                       e->path, e->name, t->size, lf_dtype_name(t->dtype),
                       lf_shape_str(shape, sizeof shape, t->ndim, t->shape), begin, end);
    t->data = f->map->data + f->data_begin + (uint64_t)begin;
    return LF_OK;
}

static lf_status parse_metadata(const entry *e) {
    const cJSON *value;
    if (!cJSON_IsObject(e->json))
        return lf_fail(e->err, LF_EDATA, "%s: __metadata__: expected an object of strings", e->path);
    cJSON_ArrayForEach(value, e->json) if (!cJSON_IsString(value)) return lf_fail(
        e->err, LF_EDATA, "%s: __metadata__: key '%.200s': expected a string", e->path, value->string);
    return LF_OK;
}

/* ---- one file ---- */

static int by_name(const void *a, const void *b) {
    const lf_st_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

void lf_st_sort(lf_st_tensor *tensors, int64_t n) {
    if (n > 0) qsort(tensors, (size_t)n, sizeof *tensors, by_name);
}

static int by_place(const void *a, const void *b) {
    const lf_st_tensor *x = a, *y = b;
    const uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q) return p < q ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size); /* empty tensors first: they take no place */
}

/* The tensors cover the data exactly. */
static lf_status check_coverage(lf_st_file *f, lf_err *err) {
    const unsigned char *const begin = f->map->data + f->data_begin, *at = begin;
    const char *last = NULL;
    if (f->n > 0) qsort(f->tensors, (size_t)f->n, sizeof *f->tensors, by_place);
    for (int64_t i = 0; i < f->n; i++) {
        const lf_st_tensor *t = &f->tensors[i];
        const unsigned char *data = t->data;
        if (data < at)
            return lf_fail(
                err, LF_EDATA,
                "%s: tensor '%.200s' begins at data byte %td, but '%.200s' reaches to %td: expected no overlap",
                f->path, t->name, data - begin, last, at - begin);
        if (data > at)
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%.200s' begins at data byte %td, expected %td: there is a gap before it",
                           f->path, t->name, data - begin, at - begin);
        at += t->size;
        last = t->name;
    }
    if ((uint64_t)(at - begin) != f->data_size)
        return lf_fail(err, LF_EDATA, "%s: expected %td data bytes for its tensors, found %" PRIu64, f->path,
                       at - begin, f->data_size);
    return LF_OK;
}

static lf_status parse_tensors(lf_st_file *f, lf_err *err) {
    const cJSON *item;
    lf_status rc = LF_OK;
    f->tensors = lf_calloc((size_t)cJSON_GetArraySize(f->header), sizeof *f->tensors);
    if (!f->tensors) return lf_no_memory(err, "the list of tensors of %s", f->path);
    cJSON_ArrayForEach(item, f->header) {
        const entry e = {f->path, item->string, item, err};
        if (strcmp(item->string, "__metadata__") == 0) {
            if ((rc = parse_metadata(&e)) != LF_OK) return rc;
            continue;
        }
        lf_st_tensor *t = &f->tensors[f->n++];
        *t = (lf_st_tensor){.name = item->string, .path = f->path};
        if (!cJSON_IsObject(item)) return bad_entry(&e, "an object with dtype, shape and data_offsets");
        if ((rc = parse_dtype(&e, &t->dtype)) || (rc = parse_shape(&e, t)) || (rc = parse_offsets(&e, f, t))) return rc;
    }
    if ((rc = check_coverage(f, err)) != LF_OK) return rc;
    lf_st_sort(f->tensors, f->n);
    return LF_OK;
}

static lf_status map_file(lf_st_file *f, lf_err *err) {
    struct stat st;
    lf_status rc = LF_OK;
    const int fd = lf_open_to_read(f->path);
    if (fd < 0) return lf_fail_errno(err, "open", f->path);
    if (fstat(fd, &st) != 0) {
        rc = lf_fail_errno(err, "read", f->path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = lf_fail(err, LF_EDATA, "%s: expected a safetensors file, found something that is not a regular file",
                     f->path);
    } else if (st.st_size < PREFIX) {
        rc = lf_fail(err, LF_EDATA, "%s: expected a safetensors file, found only %lld bytes; is the download complete?",
                     f->path, (long long)st.st_size);
    } else {
        rc = lf_mapping_open(&f->map, fd, f->path, err);
        if (!rc) f->known = f->map->file;
    }
    close(fd);
    return rc;
}

static uint64_t read_u64(const unsigned char *p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* What people have instead of a complete safetensors file, told by its first bytes. */
static const char *guess(const unsigned char *p) {
    if (memcmp(p, "version", 7) == 0) return "this is a git-lfs pointer: run 'git lfs pull'";
    if (p[0] == '<') return "this looks like a web page: download the file again";
    if (memcmp(p, "PK\3\4", 4) == 0)
        return "this looks like a PyTorch .bin file: save the model with safe_serialization=True";
    return "is it a safetensors file, and the download complete?";
}

lf_status lf_st_file_open(lf_st_file *f, const char *path, lf_err *err) {
    if (!(f->path = lf_strdup(path))) return lf_no_memory(err, "%s", path);
    lf_status rc = map_file(f, err);
    if (rc) return rc;
    const uint64_t header_size = read_u64(f->map->data), most = f->map->size - PREFIX;
    if (header_size > most || header_size > max_header)
        return lf_fail(err, LF_EDATA,
                       "%s: expected a header of at most %" PRIu64 " bytes, found a header length of %" PRIu64 "; %s",
                       path, most < max_header ? most : max_header, header_size, guess(f->map->data));
    f->data_begin = PREFIX + header_size;
    f->data_size = f->map->size - f->data_begin;
    if ((rc = lf_json_parse(&f->header, (const char *)f->map->data + PREFIX, (size_t)header_size, path, err)) != LF_OK)
        return rc;
    if (!cJSON_IsObject(f->header)) return lf_fail(err, LF_EDATA, "%s: expected a JSON object as the header", path);
    return parse_tensors(f, err);
}

void lf_st_file_close(lf_st_file *f) {
    lf_mapping_close(f->map);
    cJSON_Delete(f->header);
    lf_free(f->tensors);
    lf_free(f->path);
}

const lf_st_tensor *lf_st_find(const lf_st_tensor *tensors, int64_t n, const char *name) {
    const lf_st_tensor wanted = {.name = name};
    return n > 0 ? bsearch(&wanted, tensors, (size_t)n, sizeof *tensors, by_name) : NULL;
}

const char *lf_shape_str(char *buf, size_t size, int ndim, const int64_t *shape) {
    size_t at = (size_t)snprintf(buf, size, "[");
    for (int d = 0; d < ndim && at < size; d++)
        at += (size_t)snprintf(buf + at, size - at, "%s%" PRId64, d ? ", " : "", shape[d]);
    if (at < size) snprintf(buf + at, size - at, "]");
    return buf;
}

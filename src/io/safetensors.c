#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */
#include "io/safetensors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/mem.h"

/* The file: 8 bytes little-endian header length, the header in JSON, the tensors' bytes without gap or overlap. */
enum { PREFIX = 8 };
static const uint64_t max_header = 100000000; /* the format's own limit */

typedef struct st_file {
    char *path;
    const lf_mapping *map;
    uint64_t data_begin, data_size;
    cJSON *header;         /* holds the tensors' names */
    lf_st_tensor *tensors; /* in name order */
    int64_t n;
} st_file;

struct lf_safetensors {
    char *path; /* as the caller gave it */
    st_file *files;
    size_t n_files;
    lf_st_tensor *tensors; /* in name order */
    int64_t n;
};

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

static lf_status parse_offsets(const entry *e, const st_file *f, lf_st_tensor *t) {
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

static int by_place(const void *a, const void *b) {
    const lf_st_tensor *x = a, *y = b;
    const uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q) return p < q ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size); /* empty tensors first: they take no place */
}

/* The tensors cover the data exactly. */
static lf_status check_coverage(st_file *f, lf_err *err) {
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

static lf_status parse_tensors(st_file *f, lf_err *err) {
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
    if (f->n > 0) qsort(f->tensors, (size_t)f->n, sizeof *f->tensors, by_name);
    return LF_OK;
}

static lf_status map_file(st_file *f, lf_err *err) {
    struct stat st;
    lf_status rc = LF_OK;
    const int fd = open(f->path, O_RDONLY | O_CLOEXEC);
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

/* f is zeroed; whatever happens, free_file ends it. */
static lf_status open_file(st_file *f, const char *path, lf_err *err) {
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

static void free_file(st_file *f) {
    lf_mapping_close(f->map);
    cJSON_Delete(f->header);
    lf_free(f->tensors);
    lf_free(f->path);
}

static const lf_st_tensor *find(const lf_st_tensor *tensors, int64_t n, const char *name) {
    const lf_st_tensor wanted = {.name = name};
    return n > 0 ? bsearch(&wanted, tensors, (size_t)n, sizeof *tensors, by_name) : NULL;
}

/* ---- a folder: shards and their index ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static lf_status check_shard_name(const cJSON *item, const char *index, lf_err *err) {
    const char *s = cJSON_IsString(item) ? item->valuestring : NULL;
    if (s && *s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: tensor '%.200s': expected the name of a file in the same folder, found '%.200s'",
                   index, item->string, s ? s : "no string");
}

/* *out: each shard named in the map, once, sorted; borrowed strings, the array is the caller's. */
static lf_status shard_names(const char ***out, size_t *count, const cJSON *map, const char *index, lf_err *err) {
    const char **names = lf_malloc((size_t)cJSON_GetArraySize(map) * sizeof *names);
    const cJSON *item;
    size_t n = 0, unique = 0;
    if (!names) return lf_no_memory(err, "the list of tensors of %s", index);
    cJSON_ArrayForEach(item, map) {
        const lf_status rc = check_shard_name(item, index, err);
        if (rc) {
            lf_free(names);
            return rc;
        }
        names[n++] = item->valuestring;
    }
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++)
        if (unique == 0 || strcmp(names[i], names[unique - 1]) != 0) names[unique++] = names[i];
    *out = names;
    *count = unique;
    return LF_OK;
}

static lf_status open_shards(lf_safetensors *st, const char *folder, const char *const *names, size_t n, lf_err *err) {
    lf_status rc = LF_OK;
    if (!(st->files = lf_calloc(n, sizeof *st->files))) return lf_no_memory(err, "%s", folder);
    while (st->n_files < n && rc == LF_OK) {
        char *path = lf_path_join(folder, names[st->n_files]);
        rc = path ? open_file(&st->files[st->n_files++], path, err) : lf_no_memory(err, "%s", folder);
        lf_free(path);
    }
    return rc;
}

static lf_status not_in_shard(const lf_safetensors *st, const cJSON *item, const char *index, lf_err *err) {
    for (size_t i = 0; i < st->n_files; i++)
        if (find(st->files[i].tensors, st->files[i].n, item->string))
            return lf_fail(err, LF_EDATA,
                           "%s: tensor '%.200s': expected in %.200s, found in %s; are index and shards of one model?",
                           index, item->string, item->valuestring, lf_path_base(st->files[i].path));
    return lf_fail(err, LF_EDATA,
                   "%s: tensor '%.200s': expected in %.200s, but no shard has it; are index and shards of one model?",
                   index, item->string, item->valuestring);
}

/* The index decides which tensors there are; what else the shards hold is left out, and said. */
static lf_status collect(lf_safetensors *st, const cJSON *map, const char *const *names, const char *index,
                         lf_err *err) {
    const cJSON *item;
    int64_t there = 0;
    st->tensors = lf_malloc((size_t)cJSON_GetArraySize(map) * sizeof *st->tensors);
    if (!st->tensors) return lf_no_memory(err, "the list of tensors of %s", index);
    cJSON_ArrayForEach(item, map) {
        const char *shard = item->valuestring;
        const char *const *at = bsearch(&shard, names, st->n_files, sizeof *names, by_text);
        const st_file *f = &st->files[at - names];
        const lf_st_tensor *t = find(f->tensors, f->n, item->string);
        if (!t) return not_in_shard(st, item, index, err);
        st->tensors[st->n++] = *t;
    }
    if (st->n > 0) qsort(st->tensors, (size_t)st->n, sizeof *st->tensors, by_name);
    for (size_t i = 0; i < st->n_files; i++) there += st->files[i].n;
    if (there > st->n)
        lf_warn("%s: %" PRId64 " tensors of the shards are not in the index: left out", index, there - st->n);
    return LF_OK;
}

static lf_status open_index(lf_safetensors *st, const char *folder, const char *index, lf_err *err) {
    cJSON *json = NULL;
    const char **names = NULL;
    size_t n = 0;
    lf_status rc = lf_json_read(&json, index, err);
    if (rc) return rc;
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    if (!cJSON_IsObject(map))
        rc = lf_fail(err, LF_EDATA, "%s: expected an object 'weight_map' of tensor names to files", index);
    if (rc == LF_OK) rc = shard_names(&names, &n, map, index, err);
    if (rc == LF_OK) rc = open_shards(st, folder, names, n, err);
    if (rc == LF_OK) rc = collect(st, map, names, index, err);
    lf_free(names);
    cJSON_Delete(json);
    return rc;
}

static lf_status open_single(lf_safetensors *st, const char *path, lf_err *err) {
    if (!(st->files = lf_calloc(1, sizeof *st->files))) return lf_no_memory(err, "%s", path);
    st->n_files = 1;
    const lf_status rc = open_file(&st->files[0], path, err);
    if (rc) return rc;
    st->tensors = st->files[0].tensors; /* handed over */
    st->files[0].tensors = NULL;
    st->n = st->files[0].n;
    return LF_OK;
}

static lf_status open_folder(lf_safetensors *st, const char *path, lf_err *err) {
    char *single = lf_path_join(path, "model.safetensors"), *index = lf_path_join(path, "model.safetensors.index.json");
    lf_status rc;
    if (!single || !index)
        rc = lf_no_memory(err, "%s", path);
    else if (lf_is_file(single))
        rc = open_single(st, single, err);
    else if (lf_is_file(index))
        rc = open_index(st, path, index, err);
    else
        rc = lf_fail(err, LF_ENOTFOUND,
                     "%s: expected model.safetensors or model.safetensors.index.json in this folder, found neither; "
                     "a model saved otherwise must be saved again with safe_serialization=True",
                     path);
    lf_free(index);
    lf_free(single);
    return rc;
}

/* ---- the interface ---- */

lf_status lf_safetensors_open(lf_safetensors **out, const char *path, lf_err *err) {
    lf_safetensors *st = lf_calloc(1, sizeof *st);
    lf_status rc;
    *out = NULL;
    if (!st || !(st->path = lf_strdup(path)))
        rc = lf_no_memory(err, "%s", path);
    else
        rc = lf_is_dir(path) ? open_folder(st, path, err) : open_single(st, path, err);
    if (rc)
        lf_safetensors_close(st);
    else
        *out = st;
    return rc;
}

void lf_safetensors_close(lf_safetensors *st) {
    if (!st) return;
    for (size_t i = 0; i < st->n_files; i++) free_file(&st->files[i]);
    lf_free(st->files);
    lf_free(st->tensors);
    lf_free(st->path);
    lf_free(st);
}

int64_t lf_safetensors_count(const lf_safetensors *st) { return st->n; }
const lf_st_tensor *lf_safetensors_at(const lf_safetensors *st, int64_t i) { return &st->tensors[i]; }
const lf_st_tensor *lf_safetensors_find(const lf_safetensors *st, const char *name) {
    return find(st->tensors, st->n, name);
}
const char *lf_safetensors_path(const lf_safetensors *st) { return st->path; }

const char *lf_safetensors_metadata(const lf_safetensors *st, const char *key) {
    if (st->n_files == 0) return NULL;
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(st->files[0].header, "__metadata__");
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, key));
}

void lf_safetensors_drop_pages(const lf_safetensors *st, const lf_st_tensor *t) {
    (void)st;
    lf_mapping_drop(t->data, t->size); /* whole pages, also those shared with the neighbours */
}

void lf_safetensors_drop_all(const lf_safetensors *st) {
    for (size_t i = 0; i < st->n_files; i++) lf_mapping_drop(st->files[i].map->data, st->files[i].map->size);
}

bool lf_safetensors_file(const lf_safetensors *st, int64_t i, lf_file_state *out) {
    if (i < 0 || (size_t)i >= st->n_files) return false;
    *out = st->files[i].map->file;
    return true;
}

bool lf_safetensors_as_opened(const lf_safetensors *st) {
    lf_file_state now;
    bool same = true;
    for (size_t i = 0; i < st->n_files && same; i++)
        same = !lf_file_state_of(&now, st->files[i].path, NULL) && lf_file_state_same(&now, &st->files[i].map->file);
    return same;
}

static void hash_u64(XXH3_state_t *h, uint64_t v) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(v >> (8 * i));
    XXH3_128bits_update(h, bytes, sizeof bytes);
}

lf_status lf_safetensors_hash(const lf_safetensors *st, char out[33], lf_err *err) {
    XXH3_state_t *h = XXH3_createState();
    XXH128_canonical_t digest;
    if (!h) return lf_no_memory(err, "hashing %s", st->path);
    XXH3_128bits_reset(h);
    for (int64_t i = 0; i < st->n; i++) {
        const lf_st_tensor *t = &st->tensors[i];
        XXH3_128bits_update(h, t->name, strlen(t->name) + 1); /* the NULs keep "ab","c" and "a","bc" apart */
        XXH3_128bits_update(h, lf_dtype_name(t->dtype), strlen(lf_dtype_name(t->dtype)) + 1);
        hash_u64(h, (uint64_t)t->ndim);
        for (int d = 0; d < t->ndim; d++) hash_u64(h, (uint64_t)t->shape[d]);
        XXH3_128bits_update(h, t->data, t->size);
        lf_safetensors_drop_pages(st, t);
    }
    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(h));
    XXH3_freeState(h);
    for (size_t i = 0; i < sizeof digest.digest; i++) snprintf(out + 2 * i, 3, "%02x", digest.digest[i]);
    return LF_OK;
}

const char *lf_shape_str(char *buf, size_t size, int ndim, const int64_t *shape) {
    size_t at = (size_t)snprintf(buf, size, "[");
    for (int d = 0; d < ndim && at < size; d++)
        at += (size_t)snprintf(buf + at, size - at, "%s%" PRId64, d ? ", " : "", shape[d]);
    if (at < size) snprintf(buf + at, size - at, "]");
    return buf;
}

#include "io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/safetensors_file.h"

struct lf_safetensors {
    char *path; /* as the caller gave it */
    lf_st_file *files;
    size_t n_files;
    lf_st_tensor *tensors; /* in name order */
    int64_t n;
};

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
        rc = path ? lf_st_file_open(&st->files[st->n_files++], path, err) : lf_no_memory(err, "%s", folder);
        lf_free(path);
    }
    return rc;
}

static lf_status not_in_shard(const lf_safetensors *st, const cJSON *item, const char *index, lf_err *err) {
    for (size_t i = 0; i < st->n_files; i++)
        if (lf_st_find(st->files[i].tensors, st->files[i].n, item->string))
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
        const lf_st_file *f = &st->files[at - names];
        const lf_st_tensor *t = lf_st_find(f->tensors, f->n, item->string);
        if (!t) return not_in_shard(st, item, index, err);
        st->tensors[st->n++] = *t;
    }
    lf_st_sort(st->tensors, st->n);
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
    const lf_status rc = lf_st_file_open(&st->files[0], path, err);
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
    for (size_t i = 0; i < st->n_files; i++) lf_st_file_close(&st->files[i]);
    lf_free(st->files);
    lf_free(st->tensors);
    lf_free(st->path);
    lf_free(st);
}

int64_t lf_safetensors_count(const lf_safetensors *st) { return st->n; }
const lf_st_tensor *lf_safetensors_at(const lf_safetensors *st, int64_t i) { return &st->tensors[i]; }
const lf_st_tensor *lf_safetensors_find(const lf_safetensors *st, const char *name) {
    return lf_st_find(st->tensors, st->n, name);
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
        same = !lf_file_state_of(&now, st->files[i].path, NULL) && lf_file_state_same(&now, &st->files[i].known);
    return same;
}

void lf_safetensors_note_same(lf_safetensors *st, const lf_safetensors *again) {
    if (again->n_files != st->n_files) return; /* in other pieces: looked at anew each time */
    for (size_t i = 0; i < st->n_files; i++)
        if (strcmp(st->files[i].path, again->files[i].path) == 0) st->files[i].known = again->files[i].map->file;
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

#include "adapter/decompositions.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/safetensors.h"
#include "linalg/svd.h"

static const char OF[] = "decomposition", CHECKSUM[] = "checksum"; /* in the file's metadata */

struct lf_decompositions {
    char *folder;
    char solver[256], solver_hash[9]; /* in words, for inside the file; for its name */
    atomic_int_fast64_t n_read;
    atomic_flag complained; /* of a file that could not be written: the next 71 fail for the same reason */
};

/* ---- the folder ---- */

/* The XDG base directory specification: a relative path in the variable is to be ignored. */
static char *user_folder(void) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/') return lf_path_join(cache, "lora-ft/decompositions");
    if (home && home[0] == '/') return lf_path_join(home, ".cache/lora-ft/decompositions");
    return NULL;
}

static lf_status no_memory(lf_err *err) { return lf_fail(err, LF_ENOMEM, "out of memory for decomposition_cache"); }

lf_status lf_decompositions_open(lf_decompositions **out, const char *where, lf_err *err) {
    *out = NULL;
    if (!where || strcmp(where, "none") == 0) return LF_OK;
    const bool is_auto = strcmp(where, "auto") == 0;
    lf_decompositions *c = lf_calloc(1, sizeof *c);
    if (!c) return no_memory(err);
    c->folder = is_auto ? user_folder() : lf_strdup(where);
    atomic_flag_clear(&c->complained);
    lf_err why = {0};
    lf_status rc = LF_OK;
    if (!c->folder)
        rc = is_auto && !getenv("HOME") ? lf_fail(&why, LF_ENOTFOUND, "neither XDG_CACHE_HOME nor HOME is a folder")
                                        : no_memory(&why);
    if (!rc) rc = lf_mkdir_p(c->folder, &why);
    if (rc) {
        lf_decompositions_close(c);
        if (rc == LF_ENOMEM) return lf_fail(err, rc, "%s", why.message);
        lf_warn("decomposition_cache: %s; going on without it", why.message);
        return LF_OK;
    }
    lf_svd_solver(c->solver, sizeof c->solver);
    snprintf(c->solver_hash, sizeof c->solver_hash, "%08x", (unsigned)XXH3_64bits(c->solver, strlen(c->solver)));
    *out = c;
    return LF_OK;
}

void lf_decompositions_close(lf_decompositions *c) {
    if (!c) return;
    lf_free(c->folder);
    lf_free(c);
}

const char *lf_decompositions_folder(const lf_decompositions *c) { return c ? c->folder : NULL; }
int64_t lf_decompositions_n_read(const lf_decompositions *c) { return c ? (int64_t)atomic_load(&c->n_read) : 0; }

/* ---- what a file is of ---- */

static void put_hex(char text[33], XXH128_hash_t hash) {
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, hash);
    for (size_t i = 0; i < sizeof bytes.digest; i++) snprintf(text + 2 * i, 3, "%02x", bytes.digest[i]);
}

lf_stored_weight lf_decompositions_weight(lf_decompositions *c, const float *W, int64_t out, int64_t in) {
    lf_stored_weight w = {.cache = c, .out = out, .in = in};
    if (c) put_hex(w.hash, XXH3_128bits(W, (size_t)out * (size_t)in * sizeof *W));
    return w;
}

static char *path_of(const lf_stored_weight *w, const char *what) {
    return lf_format("%s/%s-%lldx%lld-%s-%s.safetensors", w->cache->folder, w->hash, (long long)w->out,
                     (long long)w->in, what, w->cache->solver_hash);
}

/* All of it in full: names are cut short (the solver's hash), and files are copied and renamed. */
static char *identity_of(const lf_stored_weight *w, const char *what) {
    return lf_format("%s of %lld x %lld %s by %s", what, (long long)w->out, (long long)w->in, w->hash,
                     w->cache->solver);
}

/* Over the identity and all numbers; each part's hash is the next one's seed. */
static void checksum(char text[33], const char *identity, const lf_stored_part *parts, int n_parts) {
    XXH128_hash_t hash = XXH3_128bits(identity, strlen(identity));
    for (int i = 0; i < n_parts; i++)
        hash = XXH3_128bits_withSeed(parts[i].data, (size_t)(parts[i].rows * parts[i].columns) * sizeof *parts[i].data,
                                     hash.low64 ^ hash.high64);
    put_hex(text, hash);
}

/* ---- reading ---- */

static lf_status expect_metadata(const lf_safetensors *st, const char *key, const char *expected, lf_err *err) {
    const char *found = lf_safetensors_metadata(st, key);
    if (found && strcmp(found, expected) == 0) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: %s: expected '%s', found '%s'", lf_safetensors_path(st), key, expected,
                   found ? found : "nothing");
}

static lf_status read_part(const lf_safetensors *st, const lf_stored_part *part, lf_err *err) {
    const lf_st_tensor *t = lf_safetensors_find(st, part->name);
    if (!t || t->dtype != LF_F64 || t->ndim != 2 || t->shape[0] != part->rows || t->shape[1] != part->columns)
        return lf_fail(err, LF_EDATA, "%s: expected a tensor '%s' F64 [%lld, %lld]", lf_safetensors_path(st),
                       part->name, (long long)part->rows, (long long)part->columns);
    memcpy(part->data, t->data, t->size);
    return LF_OK;
}

static lf_status read_file(const char *path, const char *identity, const lf_stored_part *parts, int n_parts,
                           lf_err *err) {
    lf_safetensors *st = NULL;
    char sum[33];
    lf_status rc;
    if ((rc = lf_safetensors_open(&st, path, err)) || (rc = expect_metadata(st, OF, identity, err))) goto out;
    for (int i = 0; i < n_parts; i++)
        if ((rc = read_part(st, &parts[i], err))) goto out;
    checksum(sum, identity, parts, n_parts); /* of what was taken, not of what lies in the file by now */
    rc = expect_metadata(st, CHECKSUM, sum, err);
out:
    lf_safetensors_close(st);
    return rc;
}

bool lf_decompositions_read(const lf_stored_weight *w, const char *what, const lf_stored_part *parts, int n_parts) {
    if (!w->cache) return false;
    char *path = path_of(w, what), *identity = identity_of(w, what);
    bool found = path && identity && lf_is_file(path);
    if (found) {
        lf_err why = {0};
        found = read_file(path, identity, parts, n_parts, &why) == LF_OK;
        if (found)
            atomic_fetch_add(&w->cache->n_read, 1);
        else
            lf_warn("decomposition_cache: %s; it is computed again", why.message);
    }
    lf_free(path);
    lf_free(identity);
    return found;
}

/* ---- writing ---- */

static lf_status write_file(const char *path, const char *identity, const lf_stored_part *parts, int n_parts,
                            lf_err *err) {
    lf_st_writer *file = NULL;
    char sum[33];
    lf_status rc;
    checksum(sum, identity, parts, n_parts);
    if ((rc = lf_st_writer_new(&file, path, err)) || (rc = lf_st_writer_meta(file, OF, identity, err)) ||
        (rc = lf_st_writer_meta(file, CHECKSUM, sum, err)))
        goto out;
    for (int i = 0; i < n_parts; i++) {
        const int64_t shape[] = {parts[i].rows, parts[i].columns};
        if ((rc = lf_st_writer_declare(file, parts[i].name, LF_F64, 2, shape, err))) goto out;
    }
    for (int i = 0; i < n_parts; i++) {
        const size_t size = (size_t)(parts[i].rows * parts[i].columns) * sizeof *parts[i].data;
        if ((rc = lf_st_writer_write(file, parts[i].data, size, err))) goto out;
    }
    rc = lf_st_writer_commit(file, err);
    file = NULL;
out:
    lf_st_writer_abort(file);
    return rc;
}

void lf_decompositions_write(const lf_stored_weight *w, const char *what, const lf_stored_part *parts, int n_parts) {
    if (!w->cache) return;
    char *path = path_of(w, what), *identity = identity_of(w, what);
    lf_err why = {0};
    const lf_status rc = path && identity ? write_file(path, identity, parts, n_parts, &why) : no_memory(&why);
    if (rc && !atomic_flag_test_and_set(&w->cache->complained))
        lf_warn("decomposition_cache: %s; going on without it", why.message);
    lf_free(path);
    lf_free(identity);
}

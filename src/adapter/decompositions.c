#include "adapter/decompositions.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/kept_hash.h"
#include "linalg/svd.h"

static const char KIND[] = "decomposition"; /* in the file's metadata */

struct lf_decompositions {
    char *folder;
    int lock;                         /* -1: not held */
    char solver[256], solver_hash[9]; /* in words, for inside the file; for its name */
    atomic_int_fast64_t n_read;
    atomic_flag complained; /* of a file that could not be written: the next 71 fail for the same reason */
};

/* ---- the folder ---- */

lf_status lf_decompositions_open(lf_decompositions **out, const char *where, lf_err *err) {
    *out = NULL;
    if (!where || strcmp(where, "none") == 0) return LF_OK;
    lf_decompositions *c = lf_calloc(1, sizeof *c);
    if (!c) return lf_no_memory(err, "decomposition_cache");
    c->lock = -1;
    atomic_flag_clear(&c->complained);
    lf_err why = {0};
    lf_status rc = lf_cache_folder(&c->folder, where, LF_CACHE_OF_WEIGHTS, &why);
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
    lf_lock_drop(c->lock);
    lf_free(c->folder);
    lf_free(c);
}

lf_status lf_decompositions_lock(lf_decompositions *c, lf_err *err) {
    if (!c) return LF_OK;
    lf_err why = {0};
    const lf_status rc = lf_lock_take(&c->lock, c->folder, true, &why);
    if (rc == LF_EINTERRUPTED || rc == LF_ENOMEM) return lf_fail(err, rc, "%s", why.message);
    return LF_OK;
}

const char *lf_decompositions_folder(const lf_decompositions *c) { return c ? c->folder : NULL; }
int64_t lf_decompositions_n_read(const lf_decompositions *c) { return c ? (int64_t)atomic_load(&c->n_read) : 0; }

/* ---- what a file is of ---- */

lf_stored_weight lf_decompositions_weight(lf_decompositions *c, const float *W, int64_t out, int64_t in) {
    lf_stored_weight w = {.cache = c, .out = out, .in = in};
    if (c) lf_stored_hash(w.hash, W, (size_t)out * (size_t)in * sizeof *W);
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

bool lf_decompositions_read(const lf_stored_weight *w, const char *what, const lf_stored_part *parts, int n_parts) {
    if (!w->cache) return false;
    char *path = path_of(w, what), *identity = identity_of(w, what);
    bool found = path && identity && lf_is_file(path);
    if (found) {
        lf_err why = {0};
        found = lf_stored_read(path, KIND, identity, parts, n_parts, &why) == LF_OK;
        if (found)
            atomic_fetch_add(&w->cache->n_read, 1);
        else
            lf_warn("decomposition_cache: %s; it is computed again", why.message);
    }
    lf_free(path);
    lf_free(identity);
    return found;
}

void lf_decompositions_write(const lf_stored_weight *w, const char *what, const lf_stored_part *parts, int n_parts) {
    if (!w->cache) return;
    char *path = path_of(w, what), *identity = identity_of(w, what);
    lf_err why = {0};
    const lf_status rc = path && identity ? lf_stored_write(path, KIND, identity, parts, n_parts, &why)
                                          : lf_no_memory(&why, "decomposition_cache");
    if (rc && !atomic_flag_test_and_set(&w->cache->complained))
        lf_warn("decomposition_cache: %s; going on without it", why.message);
    lf_free(path);
    lf_free(identity);
}

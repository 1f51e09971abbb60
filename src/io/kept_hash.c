#define _POSIX_C_SOURCE 200809L
#include "io/kept_hash.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mapping.h"
#include "base/mem.h"
#include "base/string.h"
#include "io/stored.h"

enum { DIGITS = 32, TICK = 2 /* seconds; coarser than any clock of a file system */ };
static const char KIND[] = "hash of model files"; /* in the file's metadata */

/* The XDG base directory specification: a relative path in the variable is to be ignored. */
lf_status lf_cache_folder(char **out, const char *where, const char *name, lf_err *err) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (strcmp(where, "auto") != 0)
        *out = lf_strdup(where);
    else if (cache && cache[0] == '/')
        *out = lf_format("%s/lora-ft/%s", cache, name);
    else if (home && home[0] == '/')
        *out = lf_format("%s/.cache/lora-ft/%s", home, name);
    else {
        *out = NULL;
        return lf_fail(err, LF_ENOTFOUND, "neither XDG_CACHE_HOME nor HOME is a folder");
    }
    return *out ? LF_OK : lf_no_memory(err, "%s", where);
}

/* All that decides the hash but the bytes themselves: which tensors are meant, and the state of each file. */
static char *identity_of(const lf_safetensors *st) {
    lf_string t = {0};
    char shape[160];
    lf_file_state f;
    for (int64_t i = 0; lf_safetensors_file(st, i, &f); i++)
        lf_string_add(&t, "%llu:%llu %lld %lld.%09lld %lld.%09lld; ", (unsigned long long)f.device,
                      (unsigned long long)f.inode, (long long)f.size, (long long)f.modified[0],
                      (long long)f.modified[1], (long long)f.changed[0], (long long)f.changed[1]);
    for (int64_t i = 0; i < lf_safetensors_count(st); i++) {
        const lf_st_tensor *s = lf_safetensors_at(st, i);
        lf_string_add(&t, "%s %s %s;", s->name, lf_dtype_name(s->dtype),
                      lf_shape_str(shape, sizeof shape, s->ndim, s->shape));
    }
    if (!t.failed) return t.s;
    lf_string_free(&t);
    return NULL;
}

/* Has none of the files changed within the last tick? */
static bool has_settled(const lf_safetensors *st) {
    lf_file_state f;
    for (int64_t i = 0; lf_safetensors_file(st, i, &f); i++) {
        const int64_t last = f.modified[0] > f.changed[0] ? f.modified[0] : f.changed[0];
        if ((int64_t)time(NULL) - last <= TICK) return false;
    }
    return lf_safetensors_as_opened(st);
}

/* Whatever a file says, a hash is written into others, and shown. */
static bool are_digits(const char *s) { return strspn(s, "0123456789abcdef") == DIGITS; }

static lf_status find_or_make(const lf_safetensors *st, const char *path, const char *identity, char out[33],
                              lf_err *err) {
    const lf_stored_part digits = {"hash", out, 1, DIGITS, LF_U8};
    out[DIGITS] = 0;
    if (lf_is_file(path) && lf_stored_read(path, KIND, identity, &digits, 1, NULL) == LF_OK && are_digits(out))
        return LF_OK;
    const lf_status rc = lf_safetensors_hash(st, out, err);
    if (!rc && has_settled(st)) (void)lf_stored_write(path, KIND, identity, &digits, 1, NULL);
    return rc;
}

lf_status lf_kept_hash(const lf_safetensors *st, const char *folder, char out[33], lf_err *err) {
    if (!folder || lf_mkdir_p(folder, NULL)) return lf_safetensors_hash(st, out, err);
    char *identity = identity_of(st), name[33], *path = NULL, *whole = NULL;
    if (identity) {
        lf_stored_hash(name, identity, strlen(identity));
        path = lf_format("%s/model-%s.safetensors", folder, name);
        /* The name says the rest: a header is no place for a list of all tensors. */
        whole = lf_format("%s, %lld tensors", name, (long long)lf_safetensors_count(st));
    }
    const lf_status rc = path && whole ? find_or_make(st, path, whole, out, err) : lf_no_memory(err, "a model's hash");
    lf_free(whole);
    lf_free(path);
    lf_free(identity);
    return rc;
}

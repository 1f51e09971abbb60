#include "io/stored.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/safetensors.h"

static const char CHECKSUM[] = "checksum"; /* in the file's metadata */

static size_t size_of(const lf_stored_part *part) {
    return (size_t)(part->rows * part->columns) * lf_dtype_size(part->dtype);
}

static void put_hex(char text[33], XXH128_hash_t hash) {
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, hash);
    for (size_t i = 0; i < sizeof bytes.digest; i++) snprintf(text + 2 * i, 3, "%02x", bytes.digest[i]);
}

void lf_stored_hash(char out[33], const void *bytes, size_t size) { put_hex(out, XXH3_128bits(bytes, size)); }

lf_status lf_stored_hash_file(char out[33], const char *path, lf_err *err) {
    enum { BLOCK = 1 << 16 };
    XXH3_state_t *state = XXH3_createState();
    unsigned char *block = lf_malloc(BLOCK);
    FILE *f = state && block ? lf_fopen_to_read(path) : NULL;
    lf_status rc = LF_OK;
    if (!state || !block)
        rc = lf_no_memory(err, "%s", path);
    else if (!f)
        rc = lf_fail_errno(err, "open", path);
    else {
        XXH3_128bits_reset(state);
        for (size_t n; (n = fread(block, 1, BLOCK, f)) > 0;) XXH3_128bits_update(state, block, n);
        if (ferror(f)) rc = lf_fail_errno(err, "read", path);
        put_hex(out, XXH3_128bits_digest(state));
    }
    if (f) fclose(f);
    lf_free(block);
    XXH3_freeState(state);
    return rc;
}

/* Over the identity and all numbers; each part's hash is the next one's seed. */
static void checksum(char text[33], const char *identity, const lf_stored_part *parts, int n_parts) {
    XXH128_hash_t hash = XXH3_128bits(identity, strlen(identity));
    for (int i = 0; i < n_parts; i++)
        hash = XXH3_128bits_withSeed(parts[i].data, size_of(&parts[i]), hash.low64 ^ hash.high64);
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
    if (!t || t->dtype != part->dtype || t->ndim != 2 || t->shape[0] != part->rows || t->shape[1] != part->columns)
        return lf_fail(err, LF_EDATA, "%s: expected a tensor '%s' %s [%lld, %lld]", lf_safetensors_path(st), part->name,
                       lf_dtype_name(part->dtype), (long long)part->rows, (long long)part->columns);
    memcpy(part->data, t->data, t->size);
    return LF_OK;
}

lf_status lf_stored_read(const char *path, const char *kind, const char *identity, const lf_stored_part *parts,
                         int n_parts, lf_err *err) {
    lf_safetensors *st = NULL;
    char sum[33];
    lf_status rc;
    if ((rc = lf_safetensors_open(&st, path, err)) || (rc = expect_metadata(st, kind, identity, err))) goto out;
    for (int i = 0; i < n_parts; i++)
        if ((rc = read_part(st, &parts[i], err))) goto out;
    checksum(sum, identity, parts, n_parts); /* of what was taken, not of what lies in the file by now */
    rc = expect_metadata(st, CHECKSUM, sum, err);
out:
    lf_safetensors_close(st);
    return rc;
}

/* ---- writing ---- */

lf_status lf_stored_write(const char *path, const char *kind, const char *identity, const lf_stored_part *parts,
                          int n_parts, lf_err *err) {
    lf_st_writer *file = NULL;
    char sum[33];
    lf_status rc;
    checksum(sum, identity, parts, n_parts);
    if ((rc = lf_st_writer_new(&file, path, err)) || (rc = lf_st_writer_meta(file, kind, identity, err)) ||
        (rc = lf_st_writer_meta(file, CHECKSUM, sum, err)))
        goto out;
    for (int i = 0; i < n_parts; i++) {
        const int64_t shape[] = {parts[i].rows, parts[i].columns};
        if ((rc = lf_st_writer_declare(file, parts[i].name, parts[i].dtype, 2, shape, err))) goto out;
    }
    for (int i = 0; i < n_parts; i++)
        if ((rc = lf_st_writer_write(file, parts[i].data, size_of(&parts[i]), err))) goto out;
    rc = lf_st_writer_commit(file, err);
    file = NULL;
out:
    lf_st_writer_abort(file);
    return rc;
}

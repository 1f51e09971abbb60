#define _XOPEN_SOURCE 700 /* mkstemp */
#include "io/unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/mistaken.h"
#include "base/slice.h"
#include "io/zlib_memory.h"

enum { CHUNK = 1 << 18 }; /* bytes read and written at once */

typedef struct unpacking {
    const lf_packing *packing;
    const char *path;
    int in, out;
    unsigned char *from, *to; /* [CHUNK] each */
    size_t n;                 /* bytes in `from` */
    uint64_t size, most;      /* written so far; at most */
    lf_err *err;
} unpacking;

struct lf_packing {
    const char *name, *magic, *extensions;
    lf_status (*unpack)(unpacking *u);
    const char *command;
};

/* ---- files
 * -----------------------------------------------------------------------------------------------------------
 */

/* The next bytes of the packed file; u->n is 0 at its end. */
static lf_status fetch(unpacking *u) {
    ssize_t n;
    do n = read(u->in, u->from, CHUNK);
    while (n < 0 && errno == EINTR);
    u->n = n > 0 ? (size_t)n : 0;
    return n < 0 ? lf_fail_errno(u->err, "read", u->path) : LF_OK;
}

static lf_status no_room(const unpacking *u, const char *doing) {
    return lf_fail(u->err, LF_EIO,
                   "%s: cannot %s a temporary file in %s for its content (%" PRIu64
                   " bytes so far): %s; set TMPDIR to a folder with more room",
                   u->path, doing, lf_temporary_folder(), u->size, strerror(errno));
}

static lf_status deliver(unpacking *u, size_t n) {
    u->size += n;
    if (u->size > u->most)
        return lf_fail(u->err, LF_EDATA,
                       "%s: unpacks to more than %" PRIu64 " bytes, %d times its size; if it is meant to, unpack it by "
                       "hand: %s",
                       u->path, u->most, LF_UNPACK_MOST_TIMES, u->packing->command);
    for (const unsigned char *s = u->to; n > 0;) {
        const ssize_t put = write(u->out, s, n);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return no_room(u, "write");
        s += put;
        n -= (size_t)put;
    }
    return LF_OK;
}

static lf_status damaged(const unpacking *u, const char *reason) {
    return lf_fail(u->err, LF_EDATA, "%s: damaged %s data (%s); is the download complete?", u->path, u->packing->name,
                   reason);
}

static lf_status cut_short(const unpacking *u) {
    return lf_fail(u->err, LF_EDATA, "%s: the %s data end too early; is the download complete?", u->path,
                   u->packing->name);
}

/* ---- gzip
 * ------------------------------------------------------------------------------------------------------------
 */

/* What is in u->from; *ended: a member's end was the last thing. */
static lf_status inflate_chunk(unpacking *u, z_stream *z, bool *ended) {
    z->next_in = u->from;
    z->avail_in = (uInt)u->n;
    do {
        if (*ended && z->avail_in) { /* another member */
            inflateReset(z);
            *ended = false;
        }
        z->next_out = u->to;
        z->avail_out = CHUNK;
        const int rc = inflate(z, Z_NO_FLUSH);
        if (rc == Z_MEM_ERROR) return lf_no_memory(u->err, "unpacking %s", u->path);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return damaged(u, z->msg ? z->msg : "no reason given");
        *ended = rc == Z_STREAM_END;
        const lf_status put = deliver(u, CHUNK - z->avail_out);
        if (put) return put;
    } while (z->avail_in || (!*ended && z->avail_out == 0));
    return LF_OK;
}

static lf_status unpack_gzip(unpacking *u) {
    enum { GZIP_WINDOW = 16 + MAX_WBITS };
    z_stream z = lf_zlib_stream();
    bool ended = false;
    lf_status rc;
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) return lf_no_memory(u->err, "unpacking %s", u->path);
    while (!(rc = fetch(u)) && u->n && !(rc = inflate_chunk(u, &z, &ended)))
        ;
    inflateEnd(&z);
    return rc || ended ? rc : cut_short(u);
}

/* ---- Zstandard
 * -------------------------------------------------------------------------------------------------------
 */

static lf_status decompress_chunk(unpacking *u, ZSTD_DStream *z, bool *ended) {
    ZSTD_inBuffer in = {u->from, u->n, 0};
    ZSTD_outBuffer out;
    do {
        out = (ZSTD_outBuffer){u->to, CHUNK, 0};
        const size_t left = ZSTD_decompressStream(z, &out, &in);
        if (ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge)
            return lf_fail(
                u->err, LF_EUNSUPPORTED,
                "%s: unpacking it takes a window of more than 128 MiB (zstd --long); unpack it before: unzstd "
                "--long=31",
                u->path);
        if (ZSTD_isError(left)) return damaged(u, ZSTD_getErrorName(left));
        *ended = left == 0;
        const lf_status put = deliver(u, out.pos);
        if (put) return put;
    } while (in.pos < in.size || (!*ended && out.pos == out.size));
    return LF_OK;
}

static lf_status unpack_zstd(unpacking *u) {
    ZSTD_DStream *z = ZSTD_createDStream();
    bool ended = false;
    lf_status rc;
    if (!z) return lf_no_memory(u->err, "unpacking %s", u->path);
    while (!(rc = fetch(u)) && u->n && !(rc = decompress_chunk(u, z, &ended)))
        ;
    ZSTD_freeDStream(z);
    return rc || ended ? rc : cut_short(u);
}

/* ---- tables
 * ----------------------------------------------------------------------------------------------------------
 */

static const lf_packing packings[] = {
#define LF_PACKING(...) {__VA_ARGS__},
#include "io/packings.def"
#undef LF_PACKING
};

enum { N_PACKINGS = sizeof packings / sizeof *packings };

static const struct kind {
    size_t at, n;
    const char *magic, *name, *advice;
} kinds[] = {
#define PICKLE                                                                                                         \
    "pickles can run code and are not read; write it as JSON lines: pandas.DataFrame.to_json(OUT, lines=True, "        \
    "orient='records')"
#define OTHER_PICTURE                         "it is not read; save it as JPEG or PNG: magick IN OUT.png"
#define LF_FILE_KIND(at, magic, name, advice) {at, sizeof magic - 1, magic, name, advice},
#include "io/kinds.def"
#undef LF_FILE_KIND
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static bool fits(const unsigned char *bytes, const char *magic, size_t n) {
    size_t i = 0;
    while (i < n && (magic[i] == '?' || (unsigned char)magic[i] == bytes[i])) i++;
    return i == n;
}

const lf_packing *lf_packing_of(const void *bytes, size_t n) {
    for (int i = 0; i < N_PACKINGS; i++) {
        const char *list = packings[i].magic;
        for (lf_slice s; lf_next_item(&list, &s);)
            if ((size_t)s.length <= n && fits(bytes, s.start, (size_t)s.length)) return &packings[i];
    }
    return NULL;
}

size_t lf_packing_stem(const char *name) {
    for (int i = 0; i < N_PACKINGS; i++)
        if (lf_has_extension(name, packings[i].extensions)) return (size_t)(strrchr(name, '.') - name);
    return strlen(name);
}

lf_status lf_refuse_kind(const void *bytes, size_t n, const char *path, lf_err *err) {
    for (int i = 0; i < N_KINDS; i++) {
        const struct kind *k = &kinds[i];
        if (n >= k->at + k->n && fits((const unsigned char *)bytes + k->at, k->magic, k->n))
            return lf_fail(err, LF_EDATA, "%s: this is %s; %s", path, k->name, k->advice);
    }
    const char *wide = lf_wide_text(bytes, n);
    return wide ? lf_fail(err, LF_EDATA, "%s: this is %s", path, wide) : LF_OK;
}

/* ---- all of it
 * -------------------------------------------------------------------------------------------------------
 */

static lf_status open_temporary(unpacking *u) {
    char *name = lf_format("%s/lora-ft-unpacked-XXXXXX", lf_temporary_folder());
    if (!name) return lf_no_memory(u->err, "unpacking %s", u->path);
    u->out = mkstemp(name);
    if (u->out >= 0) unlink(name);
    lf_free(name);
    return u->out >= 0 ? LF_OK : no_room(u, "make");
}

static void set_limit(unpacking *u, uint64_t packed) {
    if (lf_mul_overflow(packed, LF_UNPACK_MOST_TIMES, &u->most)) u->most = UINT64_MAX;
    if (u->most < LF_UNPACK_FREE_BYTES) u->most = LF_UNPACK_FREE_BYTES;
}

lf_status lf_unpack(int *out, const lf_packing *p, int in, const char *path, lf_err *err) {
    unpacking u = {.packing = p, .path = path, .in = in, .out = -1, .err = err};
    struct stat st;
    *out = -1;
    if (fstat(in, &st) || lseek(in, 0, SEEK_SET) < 0) return lf_fail_errno(err, "read", path);
    set_limit(&u, (uint64_t)st.st_size);
    u.from = lf_malloc(2 * CHUNK);
    u.to = u.from ? u.from + CHUNK : NULL;
    lf_status rc = u.from ? open_temporary(&u) : lf_no_memory(err, "unpacking %s", path);
    if (!rc) rc = p->unpack(&u);
    lf_free(u.from);
    if (rc && u.out >= 0) close(u.out);
    if (!rc) *out = u.out;
    return rc;
}

lf_status lf_unpacked_size(int64_t *bytes, const char *path, lf_err *err) {
    unsigned char begins[LF_KIND_BYTES];
    size_t n;
    struct stat st;
    int content = -1;
    lf_status rc = lf_file_begins(begins, sizeof begins, &n, path, err);
    const lf_packing *p = rc ? NULL : lf_packing_of(begins, n);
    if (!rc && !p) rc = lf_fail(err, LF_EDATA, "%s: is not compressed", path);
    const int in = rc ? -1 : lf_open_to_read(path);
    if (!rc && in < 0) rc = lf_fail_errno(err, "open", path);
    if (!rc) rc = lf_unpack(&content, p, in, path, err);
    if (!rc && fstat(content, &st)) rc = lf_fail_errno(err, "read", path);
    if (!rc) *bytes = (int64_t)st.st_size;
    if (in >= 0) close(in);
    if (content >= 0) close(content);
    return rc;
}

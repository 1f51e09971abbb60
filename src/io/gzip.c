#include "io/gzip.h"

#include <limits.h>
#include <zlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/zlib_memory.h"

typedef struct inflater {
    z_stream z;
    unsigned char *out;
    size_t size, capacity, limit;
    const char *path;
    lf_err *err;
} inflater;

/* Room for at least one byte more; one byte above the limit is enough to know that it is exceeded. */
static lf_status grow(inflater *g) {
    const size_t most = g->limit < SIZE_MAX ? g->limit + 1 : g->limit;
    if (g->size < g->capacity) return LF_OK;
    if (g->size > g->limit)
        return lf_fail(g->err, LF_EDATA, "%s: inflates to more than the %zu bytes expected at most", g->path, g->limit);
    const size_t want = g->capacity > most / 2 ? most : 2 * g->capacity;
    unsigned char *grown = lf_realloc(g->out, want);
    if (!grown) return lf_no_memory(g->err, "%zu bytes inflated from %s", want, g->path);
    g->out = grown;
    g->capacity = want;
    return LF_OK;
}

/* All members of the stream, one after the other. z counts in unsigned int, so both sides are fed in pieces. */
static lf_status inflate_all(inflater *g, const char *data, size_t size) {
    size_t used = 0;
    while (used < size) {
        const lf_status rc = grow(g);
        if (rc) return rc;
        const uInt in = size - used < UINT_MAX ? (uInt)(size - used) : UINT_MAX;
        const uInt room = g->capacity - g->size < UINT_MAX ? (uInt)(g->capacity - g->size) : UINT_MAX;
        g->z.next_in = (z_const Bytef *)(data + used);
        g->z.avail_in = in;
        g->z.next_out = g->out + g->size;
        g->z.avail_out = room;
        const int z = inflate(&g->z, Z_NO_FLUSH);
        used += in - g->z.avail_in;
        g->size += room - g->z.avail_out;
        if (z == Z_STREAM_END) {
            if (used == size) return LF_OK;
            inflateReset(&g->z);
        } else if (z == Z_MEM_ERROR) {
            return lf_no_memory(g->err, "inflating %s", g->path);
        } else if (z != Z_OK && z != Z_BUF_ERROR) {
            return lf_fail(g->err, LF_EDATA, "%s: corrupt gzip data at byte %zu (%s); is the download complete?",
                           g->path, used, g->z.msg ? g->z.msg : "no reason given");
        }
    }
    return lf_fail(g->err, LF_EDATA, "%s: gzip data ends too early, after %zu bytes; is the download complete?",
                   g->path, size);
}

static lf_status gunzip(unsigned char **out, size_t *size, const char *data, size_t data_size, inflater *g) {
    enum { GZIP_WINDOW = 16 + MAX_WBITS };
    g->capacity = data_size < g->limit / 4 ? 4 * data_size : g->limit;
    if (g->capacity == 0) g->capacity = 1;
    if (!(g->out = lf_malloc(g->capacity)) || inflateInit2(&g->z, GZIP_WINDOW) != Z_OK) {
        lf_free(g->out);
        return lf_no_memory(g->err, "inflating %s", g->path);
    }
    lf_status rc = inflate_all(g, data, data_size);
    inflateEnd(&g->z);
    if (rc == LF_OK && g->size > g->limit)
        rc = lf_fail(g->err, LF_EDATA, "%s: inflates to more than the %zu bytes expected at most", g->path, g->limit);
    if (rc == LF_OK) {
        *out = g->out;
        *size = g->size;
    } else {
        lf_free(g->out);
    }
    return rc;
}

lf_status lf_read_maybe_gzip(unsigned char **out, size_t *size, const char *path, size_t limit, lf_err *err) {
    char *data = NULL;
    size_t n = 0;
    *out = NULL;
    *size = 0;
    lf_status rc = lf_file_read(&data, &n, path, err);
    if (rc) return rc;
    if (n >= 2 && (unsigned char)data[0] == 0x1f && (unsigned char)data[1] == 0x8b) {
        inflater g = {.z = lf_zlib_stream(), .limit = limit, .path = path, .err = err};
        rc = gunzip(out, size, data, n, &g);
    } else if (n > limit) {
        rc = lf_fail(err, LF_EDATA, "%s: %zu bytes; expected at most %zu", path, n, limit);
    } else {
        *out = (unsigned char *)data;
        *size = n;
        data = NULL;
    }
    lf_free(data);
    return rc;
}

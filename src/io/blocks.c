#include "io/blocks.h"

#include <limits.h>

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

bool lf_unpack_snappy(void *out, size_t n, const void *packed, size_t size) {
    size_t length = 0;
    if (snappy_uncompressed_length(packed, size, &length) != SNAPPY_OK || length != n) return false;
    return snappy_uncompress(packed, size, out, &length) == SNAPPY_OK && length == n;
}

bool lf_unpack_zstd(void *out, size_t n, const void *packed, size_t size) {
    const size_t got = ZSTD_decompress(out, n, packed, size);
    return !ZSTD_isError(got) && got == n;
}

/* Members of gzip, or zlib's own form. */
bool lf_unpack_gzip(void *out, size_t n, const void *packed, size_t size) {
    enum { EITHER_FORM = 32 + MAX_WBITS };
    z_stream z = {.next_in = (z_const Bytef *)packed, .next_out = out};
    if (n > UINT_MAX || size > UINT_MAX || inflateInit2(&z, EITHER_FORM) != Z_OK) return false;
    z.avail_in = (uInt)size;
    z.avail_out = (uInt)n;
    int rc;
    while ((rc = inflate(&z, Z_FINISH)) == Z_STREAM_END && z.avail_in > 0) inflateReset(&z);
    const bool whole = rc == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    return whole;
}

uint32_t lf_crc32(const void *bytes, size_t n) {
    enum { PIECE = 1 << 30 };
    uLong crc = crc32(0, NULL, 0);
    for (const Bytef *s = bytes; n > 0;) {
        const uInt size = n < PIECE ? (uInt)n : PIECE;
        crc = crc32(crc, s, size);
        s += size;
        n -= size;
    }
    return (uint32_t)crc;
}

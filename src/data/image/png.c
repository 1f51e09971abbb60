/* A PNG before stb_image reads it: are its chunks whole, and is in them what the header says? stb_image takes whatever
 * comes out of the compressed data and looks at their size afterwards; a file of 600 KB that claims 4 x 4 pixels can be
 * made to fill 600 MB. The header says to the byte how much there is to come out, so we unpack once into a window that
 * is overwritten, and only count. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "data/image/internal.h"
#include "io/zlib_memory.h"

enum { FRONT = 8, HEADER = 33, CHUNK = 12, WINDOW = 32768 };

/* As any file may claim a million pixels, so it may hold a million bytes behind its last row: PIL reads such files.
 * Deflate makes at most 1032 bytes of one. */
#define SPARE         LF_IMAGE_FREE_PIXELS
#define MOST_PER_BYTE 1032

static uint32_t big_endian(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* stb_image only says that it knows no such type. */
static bool png_size_fits(const unsigned char *b) {
    const uint64_t w = big_endian(b + 16), h = big_endian(b + 20);
    return w && h && w <= LF_IMAGE_MAX_PIXELS && h <= LF_IMAGE_MAX_PIXELS / w;
}

const char *lf_image_refuse_png(const unsigned char *b, size_t size) {
    if (size < HEADER) return "the PNG header is cut short";
    if (big_endian(b + 8) != 13 || memcmp(b + 12, "IHDR", 4)) /* Apple's "CgBI" has other colours and no zlib header */
        return "the PNG does not begin with its header chunk";
    if (b[24] == 16 && b[25] == 0) return "the PNG is grey of 16 bits, which PIL cuts off at 255; convert it to 8 bits";
    for (size_t at = FRONT; size - at >= CHUNK;) {
        const size_t length = big_endian(b + at);
        if (length > size - at - CHUNK) break;
        const uLong sum = crc32(0, b + at + 4, (uInt)(length + 4));
        if (sum != big_endian(b + at + 8 + length)) return "a PNG chunk fails its checksum";
        if (!memcmp(b + at + 4, "IEND", 4))
            return png_size_fits(b) ? NULL : "the PNG size is out of range (a decompression bomb?)";
        at += length + CHUNK;
    }
    return "the PNG data have no end chunk; is the file whole?";
}

/* Rows of w x h pixels, each behind a byte that names its filter. An empty pass of an interlaced picture has none. */
static uint64_t row_bytes(uint64_t w, uint64_t h, uint64_t bits) { return w && h ? h * (1 + (w * bits + 7) / 8) : 0; }

/* Of the picture that the header at b describes: the passes of Adam7, or all rows at once. */
static uint64_t expected_bytes(const unsigned char *b) {
    static const unsigned char channels[] = {1, 0, 3, 1, 2, 0, 4}; /* of colour types */
    static const struct {
        unsigned char x, y, dx, dy;
    } passes[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    const uint64_t w = big_endian(b + 16), h = big_endian(b + 20);
    const uint64_t bits = b[25] < sizeof channels ? (uint64_t)b[24] * channels[b[25]] : 0;
    if (!b[28]) return row_bytes(w, h, bits);
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        sum += row_bytes((w + passes[i].dx - 1 - passes[i].x) / passes[i].dx,
                         (h + passes[i].dy - 1 - passes[i].y) / passes[i].dy, bits);
    return sum;
}

/* The next chunk of pixel data at or after *at, and *at behind it; NULL behind the last one. lf_image_refuse_png has
 * found all chunks whole, up to the end chunk. */
static const unsigned char *next_pixels(const unsigned char *b, size_t *at, uint32_t *length) {
    for (;;) {
        const unsigned char *chunk = b + *at;
        if (!memcmp(chunk + 4, "IEND", 4)) return NULL;
        *length = big_endian(chunk);
        *at += CHUNK + *length;
        if (!memcmp(chunk + 4, "IDAT", 4)) return chunk + 8;
    }
}

/* Unpacks chunk after chunk until the stream ends or more than `most` bytes came out, into *found how many did. As
 * zlib's inflate: Z_OK and Z_BUF_ERROR: all chunks are read, and the stream has not ended. */
static int count_bytes(uint64_t *found, z_stream *z, const unsigned char *b, uint64_t most) {
    unsigned char window[WINDOW];
    uint32_t length = 0;
    int rc = Z_OK;
    *found = 0;
    for (size_t at = FRONT; rc == Z_OK && (z->next_in = (z_const Bytef *)next_pixels(b, &at, &length));) {
        z->avail_in = length;
        do {
            z->next_out = window;
            z->avail_out = WINDOW;
            rc = inflate(z, Z_NO_FLUSH);
            *found += WINDOW - z->avail_out;
        } while (rc == Z_OK && *found <= most);
        if (*found > most) return Z_OK;
        if (rc == Z_BUF_ERROR) rc = Z_OK; /* it wants the next chunk */
    }
    return rc;
}

static uint64_t packed_bytes(const unsigned char *b) {
    uint64_t sum = 0;
    uint32_t length = 0;
    for (size_t at = FRONT; next_pixels(b, &at, &length);) sum += length;
    return sum;
}

static lf_status check_bytes(const unsigned char *b, const char *name, lf_err *err) {
    const uint64_t expected = expected_bytes(b), most = expected + SPARE;
    if (packed_bytes(b) * MOST_PER_BYTE <= most) return LF_OK; /* small pictures: not worth a look */
    z_stream z = lf_zlib_stream();
    if (inflateInit(&z) != Z_OK) return lf_no_memory(err, "unpacking %s", name);
    inflateValidate(&z, 0); /* neither PIL nor stb_image asks for the checksum at the end: chunks have their own */
    uint64_t found = 0;
    const int rc = count_bytes(&found, &z, b, most);
    char reason[192];
    const char *damage = z.msg ? z.msg : "it asks for a dictionary";
    if (rc == Z_DATA_ERROR || rc == Z_NEED_DICT) snprintf(reason, sizeof reason, "the PNG's pixel data: %s", damage);
    inflateEnd(&z);
    if (rc == Z_MEM_ERROR) return lf_no_memory(err, "unpacking %s", name);
    if (rc == Z_DATA_ERROR || rc == Z_NEED_DICT) return lf_image_not_decoded(name, reason, err);
    if (found >= expected && found <= most) return LF_OK;
    const bool bomb = found > most;
    snprintf(reason, sizeof reason, "expected %llu bytes unpacked for a PNG of %u x %u pixels, found %s%llu%s",
             (unsigned long long)expected, big_endian(b + 16), big_endian(b + 20), bomb ? "more than " : "",
             (unsigned long long)(bomb ? most : found), bomb ? " (a decompression bomb?)" : "; is the file whole?");
    return lf_image_not_decoded(name, reason, err);
}

lf_status lf_image_decode_png(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    const uint32_t w = big_endian(bytes + 16), h = big_endian(bytes + 20);
    lf_status rc = lf_image_check_size((int)w, (int)h, size, name, err);
    if (!rc) rc = check_bytes(bytes, name, err);
    return rc ? rc : lf_image_decode_stb(out, bytes, size, name, err);
}

/* Chunk by chunk: they may stand behind the pixels, too. */
int lf_image_orientation_png(const unsigned char *bytes, size_t size) {
    static const char xmp[] = "XML:com.adobe.xmp";
    int in_exif = 0, in_xmp = 0;
    for (size_t at = FRONT; at + CHUNK <= size && memcmp(bytes + at + 4, "IEND", 4);) {
        const size_t n = big_endian(bytes + at);
        const unsigned char *body = bytes + at + 8;
        if (n > size - at - CHUNK) break;
        if (!in_exif && !memcmp(body - 4, "eXIf", 4)) in_exif = lf_exif_orientation(body, n);
        if (!in_xmp && !memcmp(body - 4, "iTXt", 4) && n >= sizeof xmp && !memcmp(body, xmp, sizeof xmp))
            in_xmp = lf_xmp_orientation(body, n);
        at += n + CHUNK;
    }
    return in_exif ? in_exif : in_xmp;
}

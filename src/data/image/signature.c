/* Is all of a picture there? Only containers, no pixels, of the formats that stb_image decodes: see the column in
 * decoders.def. PNG has a file of its own. */
#include <stdint.h>

#include "data/image/internal.h"

static uint32_t little_endian(const unsigned char *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

const char *lf_image_refuse_bmp(const unsigned char *b, size_t size) {
    if (size < 30) return "the BMP header is cut short";
    const bool old = little_endian(b + 14) == 12; /* BITMAPCOREHEADER: 16-bit sizes */
    const uint32_t height = little_endian(b + 22);
    const uint64_t w = old ? (uint64_t)b[19] << 8 | b[18] : little_endian(b + 18);
    const uint64_t h =
        old ? (uint64_t)b[21] << 8 | b[20] : (height >> 31 ? 0u - height : height); /* negative: top down */
    const uint64_t bits = old ? b[24] : b[28];
    if (w > LF_IMAGE_MAX_PIXELS || h > LF_IMAGE_MAX_PIXELS) return "the BMP size is out of range";
    const uint64_t row = (w * bits + 31) / 32 * 4;
    const uint64_t offset = little_endian(b + 10);
    if (offset > size || (row && h > (size - offset) / row))
        return "the BMP rows are not all there; is the file whole?";
    return NULL;
}

/* Runs and stretches of pixels, each behind a byte that says how many: do they reach the last pixel? */
static bool tga_packets_reach(const unsigned char *b, size_t size, size_t at, size_t pixel_bytes, uint64_t pixels) {
    while (pixels && at < size) {
        const size_t n = 1u + (b[at] & 127u), bytes = b[at] >> 7 ? pixel_bytes : n * pixel_bytes;
        if (bytes > size - at - 1) return false;
        at += 1 + bytes;
        pixels -= n < pixels ? n : pixels;
    }
    return !pixels;
}

const char *lf_image_refuse_tga(const unsigned char *b, size_t size) {
    enum { HEADER = 18, PACKETS = 8 };
    if (size < HEADER) return "the TGA header is cut short";
    const bool has_palette = b[1], has_packets = b[2] & PACKETS;
    if (has_palette && (b[3] || b[4])) return "the TGA's palette begins at another colour than the first";
    const size_t entries = (size_t)b[6] << 8 | b[5], entry_bytes = (b[7] + 7u) / 8, pixel_bytes = (b[16] + 7u) / 8;
    const size_t begin = HEADER + b[0] + (has_palette ? entries * entry_bytes : 0);
    const uint64_t pixels = ((uint64_t)b[13] << 8 | b[12]) * ((uint64_t)b[15] << 8 | b[14]);
    const bool whole = has_packets ? tga_packets_reach(b, size, begin, pixel_bytes, pixels)
                                   : begin <= size && pixels * pixel_bytes <= size - begin;
    return whole ? NULL : "the TGA rows are not all there; is the file whole?";
}

/* Is all of a picture there? Only containers, no pixels: see the column in decoders.def. PNG has a
 * file of its own. */
#include <stdint.h>
#include <string.h>

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

/* The end of a chain of GIF sub-blocks (length, bytes, ..., 0) that starts at `at`; size if it is cut. */
static size_t gif_chain_end(const unsigned char *b, size_t size, size_t at) {
    while (at < size && b[at] != 0) at += 1u + b[at];
    return at < size ? at + 1 : size;
}

static size_t gif_palette_bytes(unsigned char flags) { return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0; }

/* Block by block up to the first picture's end: only that one is used. */
const char *lf_image_refuse_gif(const unsigned char *b, size_t size) {
    enum { EXTENSION = 0x21, PICTURE = 0x2c };
    size_t at = size > 13 ? 13 + gif_palette_bytes(b[10]) : size;
    while (at + 2 < size && b[at] == EXTENSION) at = gif_chain_end(b, size, at + 2);
    if (at + 10 < size && b[at] == PICTURE) {
        at = gif_chain_end(b, size, at + 11 + gif_palette_bytes(b[at + 9]));
        if (at < size) return NULL;
    }
    return "the GIF's first picture is not all there; is the file whole?";
}

/* The next number of a PNM header, after blanks and comments; 0 if there is none. */
static uint64_t pnm_number(const unsigned char *b, size_t size, size_t *at) {
    while (*at < size && (strchr(" \t\r\n", b[*at]) || b[*at] == '#')) {
        if (b[*at] == '#')
            while (*at < size && b[*at] != '\n') ++*at;
        else
            ++*at;
    }
    uint64_t n = 0;
    for (; *at < size && b[*at] >= '0' && b[*at] <= '9' && n < LF_IMAGE_MAX_PIXELS; ++*at)
        n = n * 10 + (b[*at] - (uint64_t)'0');
    return n;
}

const char *lf_image_refuse_pnm(const unsigned char *b, size_t size) {
    size_t at = 2;
    const uint64_t w = pnm_number(b, size, &at), h = pnm_number(b, size, &at), top = pnm_number(b, size, &at);
    if (!w || !h) return "the PNM header is damaged";
    if (top != 255) return "the PNM's largest value is not 255";
    const uint64_t row = w * (b[1] == '6' ? 3 : 1);
    if (at >= size || h > (size - at - 1) / row) return "the PNM rows are not all there; is the file whole?";
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

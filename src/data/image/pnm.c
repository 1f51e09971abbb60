/* PNM: bitmaps, grey and coloured pictures, as bytes or as decimal numbers (P1 to P6), as PIL reads them. Grey of more
 * than 8 bits is refused: PIL's convert("RGB") cuts it off at 255, which makes such pictures white. */
#include <math.h>
#include <string.h>

#include "data/image/internal.h"

typedef struct reader {
    const unsigned char *bytes;
    size_t size, at;
} reader;

/* By the digit behind the P. */
typedef struct kind {
    int channels;
    bool plain, bitmap;
} kind;

static kind kind_of(const unsigned char *b) {
    const int digit = b[1] - '0'; /* 1 to 6: the signature */
    return (kind){.channels = digit % 3 ? 1 : 3, .plain = digit < 4, .bitmap = digit % 3 == 1};
}

static bool is_blank(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* To the next byte that is neither a blank nor in a comment; false at the end. */
static bool skip_blanks(reader *r) {
    for (bool comment = false; r->at < r->size; r->at++) {
        const unsigned char c = r->bytes[r->at];
        if (comment)
            comment = c != '\n' && c != '\r';
        else if (c == '#')
            comment = true;
        else if (!is_blank(c))
            return true;
    }
    return false;
}

/* -1: there is none. Larger ones than any that is allowed are LF_IMAGE_MAX_PIXELS or more. */
static int64_t next_number(reader *r) {
    if (!skip_blanks(r) || r->bytes[r->at] < '0' || r->bytes[r->at] > '9') return -1;
    int64_t n = 0;
    for (; r->at < r->size && r->bytes[r->at] >= '0' && r->bytes[r->at] <= '9'; r->at++)
        if (n < LF_IMAGE_MAX_PIXELS) n = n * 10 + (r->bytes[r->at] - '0');
    return n;
}

/* A header, and where its pixels begin. */
typedef struct header {
    kind is;
    int64_t w, h, top; /* top: the largest value */
    size_t begin;
} header;

static const char *read_header(header *p, const unsigned char *b, size_t size) {
    reader r = {b, size, 2};
    *p = (header){.is = kind_of(b), .top = 1};
    p->w = next_number(&r);
    p->h = next_number(&r);
    if (!p->is.bitmap) p->top = next_number(&r);
    if (p->w < 1 || p->h < 1 || p->top < 1 || p->top > 65535) return "the PNM header is damaged";
    if (p->is.channels == 1 && p->top > 255)
        return "the PNM is grey of more than 8 bits, which PIL cuts off at 255; convert it to 8 bits";
    p->begin = r.at + 1; /* one blank */
    return NULL;
}

static uint64_t row_bytes(const header *p) {
    const uint64_t values = (uint64_t)p->w * (uint64_t)p->is.channels;
    return p->is.bitmap ? (values + 7) / 8 : values * (p->top > 255 ? 2 : 1);
}

const char *lf_image_refuse_pnm(const unsigned char *b, size_t size) {
    header p;
    const char *reason = read_header(&p, b, size);
    if (reason) return reason;
    /* A decimal number takes a byte or more. Of more pixels than are allowed, the decoder has its own word. */
    const uint64_t row = p.is.plain ? (uint64_t)p.w * (uint64_t)p.is.channels : row_bytes(&p);
    if (p.begin > size || (uint64_t)p.h > (size - p.begin) / row)
        return "the PNM rows are not all there; is the file whole?";
    return NULL;
}

/* To 0..255, halves to the even number, as Python rounds. */
static unsigned char scaled(int64_t value, int64_t top) {
    return (unsigned char)nearbyint((double)(value < top ? value : top) / (double)top * 255);
}

static void read_bytes(unsigned char *to, const header *p, const unsigned char *b) {
    const uint64_t row = row_bytes(p), values = (uint64_t)p->w * (uint64_t)p->is.channels;
    for (int64_t y = 0; y < p->h; y++, b += row)
        for (uint64_t i = 0; i < values; i++) {
            if (p->is.bitmap)
                *to++ = b[i / 8] >> (7 - i % 8) & 1 ? 0 : 255; /* 1 is black */
            else if (p->top > 255)
                *to++ = scaled(b[2 * i] << 8 | b[2 * i + 1], p->top);
            else
                *to++ = scaled(b[i], p->top);
        }
}

/* Digits of a bitmap need no blank between them. */
static const char *read_decimals(unsigned char *to, const header *p, const unsigned char *b, size_t size) {
    reader r = {b, size, p->begin};
    const uint64_t values = (uint64_t)p->w * (uint64_t)p->h * (uint64_t)p->is.channels;
    for (uint64_t i = 0; i < values; i++) {
        const int64_t value = !p->is.bitmap ? next_number(&r) : skip_blanks(&r) ? r.bytes[r.at++] - '0' : -1;
        if (value < 0 && r.at >= size) return "the PNM values are not all there; is the file whole?";
        if (value < 0 || value > p->top)
            return "a PNM value is no number, or larger than the largest one that the header says";
        *to++ = p->is.bitmap ? (value ? 0 : 255) : scaled(value, p->top);
    }
    return NULL;
}

lf_status lf_image_decode_pnm(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    header p;
    const char *reason = read_header(&p, bytes, size);
    lf_status rc =
        reason ? lf_image_not_decoded(name, reason, err) : lf_image_check_size((int)p.w, (int)p.h, size, name, err);
    if (rc) return rc;
    lf_image img;
    if (lf_image_new(&img, (int)p.w, (int)p.h, p.is.channels, NULL)) return lf_no_memory(err, "decoding %s", name);
    if (p.is.plain)
        reason = read_decimals(img.pixels, &p, bytes, size);
    else
        read_bytes(img.pixels, &p, bytes + p.begin);
    if (reason) {
        lf_image_free(&img);
        return lf_image_not_decoded(name, reason, err);
    }
    *out = img;
    return LF_OK;
}

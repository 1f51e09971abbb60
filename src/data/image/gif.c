/* GIF: the first picture on its canvas, as PIL opens it. Colours are those of the palette, also of the index that is
 * declared transparent; the canvas around the picture has that index, or 0. */
#include <string.h>

#include "base/mem.h"
#include "data/image/internal.h"

enum { SCREEN = 13, PICTURE = 10, CODES = 4096, LONGEST_CODE = 12 };

/* What the file says before the pixels. */
typedef struct header {
    int screen_w, screen_h, left, top, w, h;
    bool interlaced;
    int transparent; /* -1: none */
    const unsigned char *palette;
    int colours;
    size_t data; /* where the size of the first code stands */
} header;

static int little_endian(const unsigned char *p) { return p[1] << 8 | p[0]; }

static size_t palette_bytes(unsigned char flags) { return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0; }

/* The end of a chain of sub-blocks (length, bytes, ..., 0) that starts at `at`; size if it is cut. */
static size_t chain_end(const unsigned char *b, size_t size, size_t at) {
    while (at < size && b[at] != 0) at += 1u + b[at];
    return at < size ? at + 1 : size;
}

/* The place of the first picture's block; size if there is none. *control: the block of the last extension before it
 * that says which index is transparent, else 0. */
static size_t find_picture(const unsigned char *b, size_t size, size_t *control) {
    enum { EXTENSION = 0x21, CONTROL = 0xf9, SEPARATOR = 0x2c };
    *control = 0;
    size_t at = size > SCREEN ? SCREEN + palette_bytes(b[10]) : size;
    while (at + 2 < size && b[at] == EXTENSION) {
        if (b[at + 1] == CONTROL && b[at + 2] >= 4 && at + 7 < size && b[at + 3] & 1) *control = at + 3;
        at = chain_end(b, size, at + 2);
    }
    return at + PICTURE < size && b[at] == SEPARATOR ? at : size;
}

/* Block by block up to the first picture's end: only that one is used. */
const char *lf_image_refuse_gif(const unsigned char *b, size_t size) {
    size_t control;
    const size_t at = find_picture(b, size, &control);
    if (at < size && chain_end(b, size, at + PICTURE + 1 + palette_bytes(b[at + 9])) < size) return NULL;
    return "the GIF's first picture is not all there; is the file whole?";
}

static void read_header(header *g, const unsigned char *b, size_t size) {
    size_t control;
    const size_t at = find_picture(b, size, &control), own = palette_bytes(b[at + 9]), global = palette_bytes(b[10]);
    *g = (header){.left = little_endian(b + at + 1),
                  .top = little_endian(b + at + 3),
                  .w = little_endian(b + at + 5),
                  .h = little_endian(b + at + 7),
                  .interlaced = b[at + 9] & 0x40,
                  .transparent = control ? b[control + 3] : -1,
                  .palette = own ? b + at + PICTURE : b + SCREEN,
                  .colours = (int)((own ? own : global) / 3),
                  .data = at + PICTURE + own};
    const int w = little_endian(b + 6), h = little_endian(b + 8);
    g->screen_w = g->left + g->w > w ? g->left + g->w : w; /* a picture may reach beyond its screen */
    g->screen_h = g->top + g->h > h ? g->top + g->h : h;
}

/* Without a palette, an index is a level of grey. */
static void put_colour(const header *g, unsigned char *to, int index) {
    if (index < g->colours)
        memcpy(to, g->palette + 3 * index, 3);
    else
        memset(to, index, 3);
}

/* ---- pixels ---- */

/* Where rows go: one after the other, or every eighth, then those between, and so on. */
typedef struct place {
    int x, y, pass;
} place;

static void next_row(const header *g, place *p) {
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    p->x = 0;
    p->y += g->interlaced ? step[p->pass] : 1;
    while (g->interlaced && p->y >= g->h && p->pass < 3) p->y = first[++p->pass];
}

static void put_index(const header *g, lf_image *img, place *p, int index) {
    const size_t row = (size_t)(g->top + p->y), column = (size_t)(g->left + p->x);
    put_colour(g, img->pixels + 3 * (row * (size_t)img->width + column), index);
    if (++p->x == g->w) next_row(g, p);
}

/* The bits of the sub-blocks, which follow each other as if there were no lengths between them. */
typedef struct bits {
    const unsigned char *bytes; /* of a chain that is whole */
    size_t at, left;            /* left: bytes of the current sub-block */
    unsigned have, n;           /* n bits that were read and not used */
} bits;

/* -1 at the end. */
static int next_code(bits *b, unsigned width) {
    while (b->n < width) {
        if (!b->left && !(b->left = b->bytes[b->at++])) return b->at--, -1;
        b->have |= (unsigned)b->bytes[b->at++] << b->n;
        b->n += 8;
        b->left--;
    }
    const unsigned code = b->have & ((1u << width) - 1);
    b->have >>= width;
    b->n -= width;
    return (int)code;
}

/* A code stands for the string of another one and one index more. */
typedef struct dictionary {
    int n, width, root; /* root: the code that empties it; the next one ends the data */
    short before[CODES];
    unsigned char last[CODES], first[CODES], string[CODES + 1];
} dictionary;

static void empty(dictionary *d) {
    d->n = d->root + 2;
    d->width = 1;
    while (1 << d->width < d->n) d->width++; /* one bit more than an index */
}

/* Writes the string of `code`, and `more` behind it if that is not -1, at most `most` indices; returns how many. */
static int64_t put_string(const header *g, lf_image *img, place *p, dictionary *d, int code, int more, int64_t most) {
    int n = 0;
    if (more >= 0) d->string[n++] = (unsigned char)more;
    for (int c = code; c >= 0; c = d->before[c]) d->string[n++] = d->last[c];
    int64_t put = 0;
    for (; n > 0 && put < most; put++) put_index(g, img, p, d->string[--n]);
    return put;
}

static void add_string(dictionary *d, int before, unsigned char last) {
    if (d->n == CODES) return; /* it stays as it is until it is emptied */
    d->before[d->n] = (short)before;
    d->first[d->n] = d->first[before];
    d->last[d->n++] = last;
    if (d->n == 1 << d->width && d->width < LONGEST_CODE) d->width++;
}

/* Returns NULL, or why not all pixels are there. */
static const char *unpack(const header *g, lf_image *img, dictionary *d, bits *b) {
    place at = {0};
    int64_t left = (int64_t)g->w * g->h;
    int before = -1;
    empty(d);
    while (left > 0) {
        const int code = next_code(b, (unsigned)d->width);
        if (code < 0 || code == d->root + 1) return "the GIF's pixel data end before its last pixel";
        if (code == d->root) {
            empty(d);
            before = -1;
            continue;
        }
        const bool is_new = code == d->n && before >= 0; /* the string that this very code makes */
        if ((code >= d->n && !is_new) || (before < 0 && code > d->root)) return "the GIF's pixel data are damaged";
        const int known = is_new ? before : code;
        left -= put_string(g, img, &at, d, known, is_new ? d->first[before] : -1, left);
        if (before >= 0) add_string(d, before, d->first[known]);
        before = code;
    }
    return NULL;
}

lf_status lf_image_decode_gif(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    header g;
    read_header(&g, bytes, size);
    const int index_bits = bytes[g.data];
    if (g.w < 1 || g.h < 1 || index_bits < 1 || index_bits > 8)
        return lf_image_not_decoded(name, "the GIF's first picture has no pixels, or codes of no size that there is",
                                    err);
    lf_status rc = lf_image_check_size(g.screen_w, g.screen_h, size, name, err);
    if (rc) return rc;
    lf_image img = {0};
    dictionary *d = lf_malloc(sizeof *d);
    if (!d || lf_image_new(&img, g.screen_w, g.screen_h, 3, NULL)) {
        lf_free(d);
        return lf_no_memory(err, "decoding %s", name);
    }
    d->root = 1 << index_bits;
    for (int i = 0; i < d->root; i++) d->before[i] = -1, d->first[i] = d->last[i] = (unsigned char)i;
    const size_t pixels = lf_image_bytes(img.width, img.height, 1);
    if (g.w < img.width || g.h < img.height)
        for (size_t i = 0; i < pixels; i++) put_colour(&g, img.pixels + 3 * i, g.transparent < 0 ? 0 : g.transparent);
    bits b = {.bytes = bytes, .at = g.data + 1};
    const char *reason = unpack(&g, &img, d, &b);
    lf_free(d);
    if (reason) {
        lf_image_free(&img);
        return lf_image_not_decoded(name, reason, err);
    }
    *out = img;
    return LF_OK;
}

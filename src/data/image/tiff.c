/* TIFF by libtiff: the first page, to grey or colours as PIL's convert("RGB") has them. What PIL cuts off or does not
 * read (grey of 16 bits, numbers with signs or fractions, Lab) is refused by name. Stricter than PIL in one thing: what
 * libtiff only warns of while it unpacks pixels, going on with what it made up, is refused. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tiffio.h>

#include "base/mem.h"
#include "data/image/internal.h"

enum { MOST_SAMPLES = 6, SPARE_MEMORY = 64 << 20 };

typedef struct reader {
    const unsigned char *bytes;
    uint64_t size, at;
    bool unpacks; /* a warning is damage from here on */
    bool starved;
    char reason[160]; /* the first error's, or such a warning's */
    TIFF *tiff;
} reader;

/* ---- what libtiff calls ---- */

static tmsize_t on_read(thandle_t handle, void *to, tmsize_t n) {
    reader *r = handle;
    const uint64_t left = r->at < r->size ? r->size - r->at : 0, take = (uint64_t)n < left ? (uint64_t)n : left;
    if (take) memcpy(to, r->bytes + r->at, (size_t)take);
    r->at += take;
    return (tmsize_t)take;
}

static tmsize_t on_write(thandle_t handle, void *from, tmsize_t n) { return (void)handle, (void)from, (void)n, 0; }

static toff_t on_seek(thandle_t handle, toff_t to, int whence) {
    reader *r = handle;
    r->at = to + (whence == SEEK_CUR ? r->at : whence == SEEK_END ? r->size : 0);
    return r->at;
}

static int on_close(thandle_t handle) { return (void)handle, 0; }
static toff_t on_size(thandle_t handle) { return ((reader *)handle)->size; }

static void note(reader *r, const char *format, va_list arguments) {
    if (r->reason[0]) return;
    vsnprintf(r->reason, sizeof r->reason, format, arguments);
    for (char *c = r->reason; *c; c++)
        if ((unsigned char)*c < ' ') *c = ' '; /* a message is a line */
}

/* Both return 1: it is dealt with, and nothing goes to stderr. */
static int on_error(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments) {
    reader *r = context;
    (void)tiff, (void)module;
    if (strstr(format, "No space") || strstr(format, "Out of memory") || strstr(format, "Failed to allocate"))
        r->starved = true;
    note(r, format, arguments);
    return 1;
}

static int on_warning(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments) {
    reader *r = context;
    (void)tiff, (void)module;
    if (r->unpacks) note(r, format, arguments);
    return 1;
}

/* ---- pixels ---- */

typedef struct layout layout;

/* `x`-th pixel of a row to one or three bytes. */
typedef void put_fn(unsigned char *to, const layout *l, const unsigned char *row, size_t x);

struct layout {
    uint32_t w, h;
    uint16_t bits, samples, photometric, compression, planar;
    bool premultiplied; /* colours were multiplied by the alpha that follows them */
    int colours;        /* samples that are not extra */
    int channels;       /* of what comes out */
    put_fn *put;
    const uint16_t *map[3]; /* palette */
};

/* As it is stored; of 16 bits the upper 8. */
static unsigned sample(const layout *l, const unsigned char *row, size_t i) {
    if (l->bits == 8) return row[i];
    if (l->bits < 8) {
        const unsigned byte = row[i * l->bits / 8];
        return byte >> (8 - l->bits - i * l->bits % 8) & ((1u << l->bits) - 1);
    }
    uint16_t wide; /* libtiff has put its bytes in our order */
    memcpy(&wide, row + 2 * i, sizeof wide);
    return wide >> 8;
}

static void put_grey(unsigned char *to, const layout *l, const unsigned char *row, size_t x) {
    const unsigned top = (1u << l->bits) - 1, level = sample(l, row, x * l->samples) * 255 / top;
    *to = (unsigned char)(l->photometric == PHOTOMETRIC_MINISWHITE ? 255 - level : level);
}

static void put_palette(unsigned char *to, const layout *l, const unsigned char *row, size_t x) {
    const unsigned index = sample(l, row, x * l->samples);
    for (int c = 0; c < 3; c++) to[c] = (unsigned char)(l->map[c][index] >> 8);
}

static void put_rgb(unsigned char *to, const layout *l, const unsigned char *row, size_t x) {
    for (size_t c = 0; c < 3; c++) to[c] = (unsigned char)sample(l, row, x * l->samples + c);
    if (!l->premultiplied) return;
    const unsigned alpha = sample(l, row, x * l->samples + 3);
    for (int c = 0; c < 3; c++) {
        const unsigned divided = alpha ? to[c] * 255u / alpha : 0;
        to[c] = (unsigned char)(divided < 255 ? divided : 255);
    }
}

/* 255 is full ink. */
static void put_inks(unsigned char *to, const layout *l, const unsigned char *row, size_t x) {
    const unsigned light = 255 - sample(l, row, x * l->samples + 3);
    for (size_t c = 0; c < 3; c++) {
        const unsigned product = sample(l, row, x * l->samples + c) * light + 128,
                       dark = ((product >> 8) + product) >> 8; /* product / 255, rounded */
        to[c] = (unsigned char)(light > dark ? light - dark : 0);
    }
}

/* What is read, by what its samples are; bits: those allowed, each a power of two, as their sum. */
static const struct kind {
    uint16_t photometric;
    unsigned bits;
    int colours, channels;
    put_fn *put;
} kinds[] = {
    {PHOTOMETRIC_MINISWHITE, 1 + 2 + 4 + 8, 1, 1, put_grey}, {PHOTOMETRIC_MINISBLACK, 1 + 2 + 4 + 8, 1, 1, put_grey},
    {PHOTOMETRIC_PALETTE, 1 + 2 + 4 + 8, 1, 3, put_palette}, {PHOTOMETRIC_RGB, 8 + 16, 3, 3, put_rgb},
    {PHOTOMETRIC_SEPARATED, 8 + 16, 4, 3, put_inks},
};

static const struct kind *kind_of(const layout *l) {
    if (!l->bits || l->bits & (l->bits - 1)) return NULL; /* else 12 bits would pass as some of 1 + 2 + 4 + 8 */
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].photometric == l->photometric && kinds[i].bits & l->bits) return &kinds[i];
    return NULL;
}

/* ---- what the first page holds ---- */

/* JPEG inside of a TIFF gives colours at our word. */
static void ask_for_rgb(reader *r, layout *l) {
    if (l->photometric != PHOTOMETRIC_YCBCR || l->compression != COMPRESSION_JPEG || l->planar != PLANARCONFIG_CONTIG)
        return;
    TIFFSetField(r->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    l->photometric = PHOTOMETRIC_RGB;
}

static lf_status refuse(const reader *r, const char *name, const char *otherwise, lf_err *err) {
    if (r->starved) return lf_no_memory(err, "decoding %s", name);
    char reason[sizeof r->reason + 8];
    snprintf(reason, sizeof reason, "TIFF: %s", r->reason[0] ? r->reason : otherwise);
    return lf_image_not_decoded(name, reason, err);
}

static lf_status refuse_layout(const layout *l, uint16_t format, const char *name, lf_err *err) {
    char reason[192];
    snprintf(reason, sizeof reason,
             "a TIFF of %u samples of %u bits, SampleFormat %u, PhotometricInterpretation %u, Compression %u, "
             "PlanarConfiguration %u; convert it to 8-bit grey or RGB",
             l->samples, l->bits, format, l->photometric, l->compression, l->planar);
    return lf_image_not_decoded(name, reason, err);
}

static lf_status read_layout(reader *r, layout *l, const char *name, lf_err *err) {
    uint16_t format = SAMPLEFORMAT_UINT, n_extra = 0, *extra = NULL, *map[3];
    if (!TIFFGetField(r->tiff, TIFFTAG_IMAGEWIDTH, &l->w) || !TIFFGetField(r->tiff, TIFFTAG_IMAGELENGTH, &l->h))
        return refuse(r, name, "no width or no length", err);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_BITSPERSAMPLE, &l->bits);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLESPERPIXEL, &l->samples);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_PLANARCONFIG, &l->planar);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_COMPRESSION, &l->compression);
    if (!TIFFGetField(r->tiff, TIFFTAG_PHOTOMETRIC, &l->photometric))
        l->photometric = PHOTOMETRIC_MINISWHITE; /* as PIL */
    if (TIFFGetFieldDefaulted(r->tiff, TIFFTAG_EXTRASAMPLES, &n_extra, &extra) && n_extra)
        l->premultiplied = extra[0] == EXTRASAMPLE_ASSOCALPHA;
    ask_for_rgb(r, l);
    const struct kind *k = kind_of(l);
    const bool planes = l->planar == PLANARCONFIG_SEPARATE && l->samples > 1;
    const bool fits = k && format == SAMPLEFORMAT_UINT && l->samples >= k->colours && l->samples <= MOST_SAMPLES &&
                      TIFFIsCODECConfigured(l->compression) && l->compression != COMPRESSION_OJPEG &&
                      !(l->premultiplied && (l->photometric != PHOTOMETRIC_RGB || l->samples < 4 || planes)) &&
                      !(planes && l->photometric == PHOTOMETRIC_SEPARATED);
    if (!fits) return refuse_layout(l, format, name, err);
    if (l->photometric == PHOTOMETRIC_PALETTE && !TIFFGetField(r->tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2]))
        return refuse(r, name, "the palette is not there", err);
    for (int c = 0; c < 3 && l->photometric == PHOTOMETRIC_PALETTE; c++) l->map[c] = map[c];
    l->colours = k->colours;
    l->channels = k->channels;
    l->put = k->put;
    return LF_OK;
}

/* ---- reading ---- */

/* Pixels stand in strips of whole rows, or in tiles; each is unpacked at once. */
typedef struct block {
    bool tiled;
    uint32_t w, h;
    tmsize_t row_bytes, bytes;
    unsigned char *buffer;
} block;

static lf_status make_block(const reader *r, block *b, const layout *l, const char *name, lf_err *err) {
    *b = (block){.tiled = TIFFIsTiled(r->tiff), .w = l->w, .h = l->h};
    if (b->tiled) {
        TIFFGetField(r->tiff, TIFFTAG_TILEWIDTH, &b->w);
        TIFFGetField(r->tiff, TIFFTAG_TILELENGTH, &b->h);
        if (b->w > LF_IMAGE_MAX_PIXELS || b->h > LF_IMAGE_MAX_PIXELS)
            return refuse(r, name, "the tiles are out of range (a decompression bomb?)", err);
        const lf_status rc = lf_image_check_size((int)b->w, (int)b->h, (size_t)r->size, name, err);
        if (rc) return rc;
    } else {
        uint32_t rows = l->h;
        TIFFGetFieldDefaulted(r->tiff, TIFFTAG_ROWSPERSTRIP, &rows);
        if (rows < b->h) b->h = rows;
    }
    b->row_bytes = b->tiled ? TIFFTileRowSize(r->tiff) : TIFFScanlineSize(r->tiff);
    b->bytes = b->tiled ? TIFFTileSize(r->tiff) : TIFFVStripSize(r->tiff, b->h);
    const uint64_t samples = (uint64_t)b->w * (l->planar == PLANARCONFIG_SEPARATE ? 1 : l->samples);
    if (!b->h || b->row_bytes < 1 || (uint64_t)b->row_bytes < (samples * l->bits + 7) / 8 ||
        b->bytes < b->row_bytes * (tmsize_t)b->h)
        return refuse(r, name, "the strips or tiles have no size that fits their pixels", err);
    b->buffer = lf_malloc((size_t)b->bytes);
    return b->buffer ? LF_OK : lf_no_memory(err, "decoding %s", name);
}

static bool unpack(reader *r, const block *b, uint32_t x, uint32_t y, uint16_t plane, uint32_t rows) {
    const tmsize_t wanted = b->tiled ? b->bytes : b->row_bytes * (tmsize_t)rows;
    const tmsize_t got = b->tiled
                             ? TIFFReadEncodedTile(r->tiff, TIFFComputeTile(r->tiff, x, y, 0, plane), b->buffer, wanted)
                             : TIFFReadEncodedStrip(r->tiff, TIFFComputeStrip(r->tiff, y, plane), b->buffer, wanted);
    return got == wanted && !r->reason[0];
}

/* The block at (x, y): its pixels, or one plane of them, to their places. */
static void place(lf_image *img, const layout *l, const block *b, uint32_t x, uint32_t y, int plane) {
    const uint32_t w = l->w - x < b->w ? l->w - x : b->w, h = l->h - y < b->h ? l->h - y : b->h;
    const size_t channels = (size_t)img->channels;
    for (uint32_t row = 0; row < h; row++) {
        const unsigned char *from = b->buffer + (size_t)row * (size_t)b->row_bytes;
        unsigned char *to = img->pixels + ((size_t)(y + row) * l->w + x) * channels;
        for (uint32_t i = 0; i < w; i++, to += channels) {
            if (plane < 0)
                l->put(to, l, from, i);
            else
                to[plane] = (unsigned char)sample(l, from, i);
        }
    }
}

static bool read_blocks(reader *r, lf_image *img, const layout *l, const block *b, int plane) {
    for (uint32_t y = 0; y < l->h; y += b->h)
        for (uint32_t x = 0; x < l->w; x += b->w) {
            const uint32_t rows = l->h - y < b->h ? l->h - y : b->h;
            if (!unpack(r, b, x, y, (uint16_t)(plane < 0 ? 0 : plane), rows)) return false;
            place(img, l, b, x, y, plane);
        }
    return true;
}

/* Planes of colours each give their byte of a pixel; a single plane of several gives the pixel, as if alone. */
static bool read_pixels(reader *r, lf_image *img, const layout *l, const block *b) {
    if (l->planar != PLANARCONFIG_SEPARATE) return read_blocks(r, img, l, b, -1);
    layout alone = *l;
    alone.samples = 1;
    if (l->colours == 1) return read_blocks(r, img, &alone, b, -1);
    for (int plane = 0; plane < l->colours; plane++)
        if (!read_blocks(r, img, &alone, b, plane)) return false;
    return true;
}

static lf_status read_page(reader *r, lf_image *img, const char *name, lf_err *err) {
    layout l = {0};
    block b = {0};
    lf_status rc = read_layout(r, &l, name, err);
    if (rc) return rc;
    if (l.w > LF_IMAGE_MAX_PIXELS || l.h > LF_IMAGE_MAX_PIXELS)
        return refuse(r, name, "the size is out of range (a decompression bomb?)", err);
    if ((rc = lf_image_check_size((int)l.w, (int)l.h, (size_t)r->size, name, err)) ||
        (rc = make_block(r, &b, &l, name, err)))
        return rc;
    r->reason[0] = 0;
    r->unpacks = true;
    if (lf_image_new(img, (int)l.w, (int)l.h, l.channels, NULL))
        rc = lf_no_memory(err, "decoding %s", name);
    else if (!read_pixels(r, img, &l, &b))
        rc = refuse(r, name, "the pixels are not all there; is the file whole?", err);
    lf_free(b.buffer);
    return rc;
}

lf_status lf_image_decode_tiff(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    reader r = {.bytes = bytes, .size = size};
    lf_image img = {0};
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o) return lf_no_memory(err, "decoding %s", name);
    TIFFOpenOptionsSetErrorHandlerExtR(o, on_error, &r);
    TIFFOpenOptionsSetWarningHandlerExtR(o, on_warning, &r);
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)size + SPARE_MEMORY);
    r.tiff = TIFFClientOpenExt(name, "rm", &r, on_read, on_write, on_seek, on_close, on_size, NULL, NULL, o);
    TIFFOpenOptionsFree(o);
    const lf_status rc = r.tiff ? read_page(&r, &img, name, err) : refuse(&r, name, "no first page", err);
    if (r.tiff) TIFFClose(r.tiff);
    if (rc) lf_image_free(&img);
    *out = img;
    return rc;
}

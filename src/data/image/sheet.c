/* Drawing a contact sheet: stb_image_write makes the PNG, stb_easy_font the letters, as rectangles. */
#include "data/image/sheet.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/string.h"
#include "data/image/internal.h"

#define STBIW_MALLOC(size)     lf_malloc(size)
#define STBIW_REALLOC(p, size) lf_realloc(p, size)
#define STBIW_FREE(p)          lf_free(p)
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#if defined(__clang__) || defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function" /* a static implementation has parts that nobody calls */
#endif
#include <stb/stb_easy_font.h>
#include <stb/stb_image_write.h>

enum {
    MARGIN = 8,
    CAPTION = 24,
    LETTER = 2,
    LEAST = 96,
    PAPER = 255,
    INK = 32
}; /* LETTER: pixels of one of the font's */

struct lf_sheet {
    lf_image image; /* of 3 channels */
    const lf_image_processor *p;
    int H, W, zoom; /* of one picture; how many times larger it is drawn */
    int64_t columns, n, room;
};

static unsigned char *at(const lf_sheet *s, int x, int y) {
    return s->image.pixels + 3 * ((size_t)y * (size_t)s->image.width + (size_t)x);
}

/* The level that became this number. */
static unsigned char level_of(const lf_image_processor *p, int channel, float number) {
    double v = (double)number;
    if (p->do_normalize) v = v * p->std[channel] + p->mean[channel];
    if (p->do_rescale) v /= p->rescale_factor;
    v = floor(v + 0.5);
    return (unsigned char)(v > 0 ? v < 255 ? v : 255 : 0); /* what is no number is black */
}

static void draw_picture(const lf_sheet *s, int left, int top, const float *pixels) {
    for (int y = 0; y < s->H * s->zoom; y++)
        for (int x = 0; x < s->W * s->zoom; x++)
            for (int c = 0; c < 3; c++) {
                const int channel = s->p->channels == 3 ? c : 0;
                const size_t i =
                    ((size_t)channel * (size_t)s->H + (size_t)(y / s->zoom)) * (size_t)s->W + (size_t)(x / s->zoom);
                at(s, left + x, top + y)[c] = level_of(s->p, channel, pixels[i]);
            }
}

/* As many letters as `width` pixels have room for. */
static void fit_caption(char *out, size_t size, const char *text, int width) {
    size_t n = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c && n + 1 < size; c++) {
        if ((*c & 0xc0) == 0x80) continue; /* the rest of a character */
        out[n] = *c >= 32 && *c < 127 ? (char)*c : '?';
        out[n + 1] = 0;
        if (LETTER * stb_easy_font_width(out) > width) break;
        n++;
    }
    out[n] = 0;
}

static void fill(const lf_sheet *s, int left, int top, int right, int bottom) {
    for (int y = top; y < bottom && y < s->image.height; y++)
        for (int x = left; x < right && x < s->image.width; x++) memset(at(s, x, y), INK, 3);
}

static void draw_caption(const lf_sheet *s, int left, int top, const char *text) {
    typedef struct corner {
        float x, y, z;
        unsigned char color[4];
    } corner;
    corner quads[1024][4];
    char shown[64];
    fit_caption(shown, sizeof shown, text, s->W * s->zoom);
    const int n = stb_easy_font_print((float)left, (float)top, shown, NULL, quads, sizeof quads);
    for (int i = 0; i < n; i++) fill(s, (int)quads[i][0].x, (int)quads[i][0].y, (int)quads[i][2].x, (int)quads[i][2].y);
}

void lf_sheet_put(lf_sheet *s, const float *pixels, const char *caption) {
    assert(s->n < s->room);
    const int left = MARGIN + (int)(s->n % s->columns) * (s->W * s->zoom + MARGIN),
              top = MARGIN + (int)(s->n / s->columns) * (s->H * s->zoom + CAPTION + MARGIN);
    draw_picture(s, left, top, pixels);
    draw_caption(s, left, top + s->H * s->zoom + 3, caption);
    s->n++;
}

static void append(void *context, void *data, int size) { lf_string_put(context, data, (size_t)size); }

lf_status lf_sheet_write(const lf_sheet *s, const char *path, lf_err *err) {
    lf_string bytes = {0};
    const lf_image *image = &s->image;
    const int done = stbi_write_png_to_func(append, &bytes, image->width, image->height, 3, image->pixels, 0);
    const lf_status rc = done && !bytes.failed ? lf_file_write(path, bytes.s, bytes.n, err)
                                               : lf_no_memory(err, "the contact sheet %s", path);
    lf_string_free(&bytes);
    return rc;
}

/* As many columns as rows. */
static lf_status make_room(lf_sheet *s, int64_t n, lf_err *err) {
    lf_image_processor_out_size(s->p, &s->H, &s->W);
    s->zoom = s->W < LEAST ? (LEAST + s->W - 1) / s->W : 1;
    s->columns = (int64_t)ceil(sqrt((double)n));
    s->room = n;
    const int64_t rows = (n + s->columns - 1) / s->columns, width = MARGIN + s->columns * (s->W * s->zoom + MARGIN),
                  height = MARGIN + rows * (s->H * s->zoom + CAPTION + MARGIN);
    if (width > INT_MAX || height > INT_MAX || width * height > LF_IMAGE_MAX_PIXELS)
        return lf_fail(err, LF_EUSAGE, "%lld pictures of %d x %d pixels are too many for a contact sheet; show fewer",
                       (long long)n, s->W, s->H);
    const lf_status rc = lf_image_new(&s->image, (int)width, (int)height, 3, err);
    if (!rc) memset(s->image.pixels, PAPER, lf_image_bytes((int)width, (int)height, 3));
    return rc;
}

lf_status lf_sheet_new(lf_sheet **out, int64_t n, const lf_image_processor *p, lf_err *err) {
    *out = NULL;
    lf_sheet *s = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "a contact sheet");
    s->p = p;
    const lf_status rc = make_room(s, n, err);
    if (rc)
        lf_sheet_free(s);
    else
        *out = s;
    return rc;
}

void lf_sheet_free(lf_sheet *s) {
    if (!s) return;
    lf_image_free(&s->image);
    lf_free(s);
}

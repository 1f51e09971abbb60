#include "data/image/levels.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "data/image/internal.h"

static size_t bytes_of(const lf_image *img) { return lf_image_bytes(img->width, img->height, img->channels); }

static unsigned char clip(float x) { return x <= 0 ? 0 : x >= 255 ? 255 : (unsigned char)x; }

/* PIL's Image.blend: from `grey` to the level, and beyond; cut off, not rounded. */
static unsigned char blend(int grey, int level, float factor) {
    return clip((float)grey + factor * (float)(level - grey));
}

/* PIL's L of a pixel. */
static int luma(const unsigned char *p, int channels) {
    return channels == 1 ? p[0] : (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16;
}

static void blend_with_level(lf_image *img, int grey, double factor) {
    unsigned char table[256];
    for (int i = 0; i < 256; i++) table[i] = blend(grey, i, (float)factor);
    for (size_t i = 0, n = bytes_of(img); i < n; i++) img->pixels[i] = table[img->pixels[i]];
}

void lf_levels_brightness(lf_image *img, double factor) { blend_with_level(img, 0, factor); }

void lf_levels_contrast(lf_image *img, double factor) {
    const size_t n = (size_t)img->width * (size_t)img->height, channels = (size_t)img->channels;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += (uint64_t)luma(img->pixels + i * channels, img->channels);
    blend_with_level(img, (int)((double)sum / (double)n + 0.5), factor);
}

void lf_levels_saturation(lf_image *img, double factor) {
    const size_t n = (size_t)img->width * (size_t)img->height, channels = (size_t)img->channels;
    for (size_t i = 0; i < n; i++) {
        unsigned char *p = img->pixels + i * channels;
        const int grey = luma(p, img->channels);
        for (size_t c = 0; c < channels; c++) p[c] = blend(grey, p[c], (float)factor);
    }
}

/* A copy of the pixels, to read from while they are written. */
static lf_status copy_of(unsigned char **out, const lf_image *img, lf_err *err) {
    *out = lf_malloc(bytes_of(img));
    if (!*out) return lf_no_memory(err, "a picture of %d x %d pixels", img->width, img->height);
    memcpy(*out, img->pixels, bytes_of(img));
    return LF_OK;
}

lf_status lf_levels_sharpness(lf_image *img, double factor, lf_err *err) {
    unsigned char *from;
    const lf_status rc = copy_of(&from, img, err);
    if (rc) return rc;
    const int w = img->width, h = img->height, channels = img->channels;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * channels; x++) {
            const size_t stride = (size_t)w * (size_t)channels, at = (size_t)y * stride + (size_t)x;
            int smooth = from[at]; /* on the border */
            if (y > 0 && y < h - 1 && x >= channels && x < (w - 1) * channels) {
                int sum = 4 * from[at];
                for (int dy = -1; dy <= 1; dy++)
                    for (int dx = -channels; dx <= channels; dx += channels)
                        sum += from[(size_t)((int64_t)at + dy * (int64_t)stride + dx)];
                smooth = (2 * sum + 13) / 26; /* of 13, rounded */
            }
            img->pixels[at] = blend(smooth, from[at], (float)factor);
        }
    lf_free(from);
    return LF_OK;
}

void lf_levels_posterize(lf_image *img, int bits) {
    const unsigned char mask = (unsigned char)(0xff << (8 - bits));
    for (size_t i = 0, n = bytes_of(img); i < n; i++) img->pixels[i] &= mask;
}

void lf_levels_solarize(lf_image *img, double threshold) {
    for (size_t i = 0, n = bytes_of(img); i < n; i++)
        if (img->pixels[i] >= threshold) img->pixels[i] = (unsigned char)(255 - img->pixels[i]);
}

/* ---- by the histogram of a channel ---- */

typedef bool fill_table(unsigned char table[256], const int64_t histogram[256]); /* false: it stays as it is */

static void by_histogram(lf_image *img, fill_table *fill) {
    const size_t n = (size_t)img->width * (size_t)img->height, channels = (size_t)img->channels;
    for (size_t c = 0; c < channels; c++) {
        int64_t histogram[256] = {0};
        unsigned char table[256];
        for (size_t i = 0; i < n; i++) histogram[img->pixels[i * channels + c]]++;
        if (!fill(table, histogram)) continue;
        for (size_t i = 0; i < n; i++) img->pixels[i * channels + c] = table[img->pixels[i * channels + c]];
    }
}

static bool stretch(unsigned char table[256], const int64_t histogram[256]) {
    int low = 0, high = 255;
    while (low < 255 && !histogram[low]) low++;
    while (high > 0 && !histogram[high]) high--;
    if (high <= low) return false;
    const double scale = 255.0 / (high - low), offset = -low * scale;
    for (int i = 0; i < 256; i++) {
        const int level = (int)(i * scale + offset);
        table[i] = (unsigned char)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
    return true;
}

static bool even_out(unsigned char table[256], const int64_t histogram[256]) {
    int64_t all = 0, last = 0, before = 0;
    for (int i = 0; i < 256; i++) {
        all += histogram[i];
        if (histogram[i]) last = histogram[i];
    }
    const int64_t step = (all - last) / 255; /* 0: one level alone, or too few pixels */
    if (!step) return false;
    for (int i = 0; i < 256; i++) {
        const int64_t level = (step / 2 + before) / step;
        table[i] = (unsigned char)(level > 255 ? 255 : level);
        before += histogram[i];
    }
    return true;
}

void lf_levels_autocontrast(lf_image *img) { by_histogram(img, stretch); }
void lf_levels_equalize(lf_image *img) { by_histogram(img, even_out); }

/* ---- moved pixels ---- */

/* PIL counts in 1/65536 of a pixel, from one to the next, so that a border may fall otherwise than by the exact
 * numbers. */
static int64_t fixed(double x) { return (int64_t)floor(x * 65536.0 + 0.5); }

lf_status lf_levels_affine(lf_image *img, const double m[6], lf_err *err) {
    unsigned char *from;
    const lf_status rc = copy_of(&from, img, err);
    if (rc) return rc;
    const size_t channels = (size_t)img->channels;
    int64_t row_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), row_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    unsigned char *to = img->pixels;
    for (int y = 0; y < img->height; y++, row_x += fixed(m[1]), row_y += fixed(m[4])) {
        int64_t fx = row_x, fy = row_y;
        for (int x = 0; x < img->width; x++, to += channels, fx += fixed(m[0]), fy += fixed(m[3])) {
            const int64_t sx = fx >> 16, sy = fy >> 16; /* the floor, below 0 too */
            if (sx >= 0 && sx < img->width && sy >= 0 && sy < img->height)
                memcpy(to, from + (size_t)(sy * img->width + sx) * channels, channels);
            else
                memset(to, 0, channels);
        }
    }
    lf_free(from);
    return LF_OK;
}

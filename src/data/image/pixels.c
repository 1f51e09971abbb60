/* Pictures in memory: made, freed, between grey and colours, turned. */
#include <string.h>

#include "base/mem.h"
#include "data/image/internal.h"

lf_status lf_image_new(lf_image *out, int w, int h, int channels, lf_err *err) {
    if (w < 1 || h < 1 || (int64_t)w * h > LF_IMAGE_MAX_PIXELS)
        return lf_fail(err, LF_EDATA, "a picture of %d x %d pixels: expected 1 to %d pixels", w, h,
                       LF_IMAGE_MAX_PIXELS);
    unsigned char *pixels = lf_malloc(lf_image_bytes(w, h, channels));
    if (!pixels) return lf_no_memory(err, "a picture of %d x %d pixels", w, h);
    *out = (lf_image){.width = w, .height = h, .channels = channels, .pixels = pixels};
    return LF_OK;
}

void lf_image_free(lf_image *img) {
    if (!img) return;
    lf_image_let_go(img);
    lf_free(img->pixels);
    *img = (lf_image){0};
}

lf_status lf_image_convert(lf_image *out, const lf_image *in, int channels, lf_err *err) {
    *out = (lf_image){0};
    const lf_status rc = lf_image_new(out, in->width, in->height, channels, err);
    if (rc) return rc;
    const size_t n = lf_image_bytes(in->width, in->height, 1);
    const unsigned char *p = in->pixels;
    unsigned char *q = out->pixels;
    if (in->channels == channels)
        memcpy(q, p, n * (size_t)channels);
    else if (channels == 1)
        for (size_t i = 0; i < n; i++, p += 3) /* 0.299, 0.587, 0.114 in 1/65536; they add up to 65536 */
            q[i] = (unsigned char)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 32768u) >> 16);
    else
        for (size_t i = 0; i < n; i++, q += 3) q[0] = q[1] = q[2] = p[i];
    return LF_OK;
}

lf_status lf_image_turn(lf_image *img, int orientation, lf_err *err) {
    /* What stands at (x, y) afterwards stood at (x, y), or (y, x), counted from the other side where mirrored. */
    static const struct {
        bool swapped, mirror_x, mirror_y;
    } turns[] = {
        [2] = {false, true, false}, [3] = {false, true, true}, [4] = {false, false, true}, [5] = {true, false, false},
        [6] = {true, false, true},  [7] = {true, true, true},  [8] = {true, true, false}};
    if (orientation < 2 || orientation > 8) return LF_OK;
    const bool swapped = turns[orientation].swapped;
    const int w = swapped ? img->height : img->width, h = swapped ? img->width : img->height;
    lf_image turned = {0};
    const lf_status rc = lf_image_new(&turned, w, h, img->channels, err);
    if (rc) return rc;
    const size_t channels = (size_t)img->channels;
    unsigned char *to = turned.pixels;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, to += channels) {
            const int u = swapped ? y : x, v = swapped ? x : y;
            const size_t column = (size_t)(turns[orientation].mirror_x ? img->width - 1 - u : u),
                         row = (size_t)(turns[orientation].mirror_y ? img->height - 1 - v : v);
            memcpy(to, img->pixels + (row * (size_t)img->width + column) * channels, channels);
        }
    lf_image_free(img);
    *img = turned;
    return LF_OK;
}

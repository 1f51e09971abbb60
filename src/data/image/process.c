/* One picture to the model's floats: convert, resize, then crop, move, rescale and normalise in one pass. */
#include "data/image/internal.h"

/* The float of each of the 256 levels. Rescaled in double and stored as float, then normalised in float: what numpy
 * does in transformers. */
static void fill_levels(float levels[256], const lf_image_processor *p, int channel) {
    const float mean = (float)p->mean[channel], std = (float)p->std[channel];
    for (int i = 0; i < 256; i++) {
        float v = p->do_rescale ? (float)(i * p->rescale_factor) : (float)i;
        if (p->do_normalize) v = (v - mean) / std;
        levels[i] = v;
    }
}

static void resized_size(const lf_image_processor *p, const lf_image *img, int *w, int *h) {
    *w = p->size_w;
    *h = p->size_h;
    if (!p->shortest_edge) return;
    const int edge = p->shortest_edge;
    const bool narrow = img->width <= img->height;
    const double longer = narrow ? (double)edge * img->height / img->width : (double)edge * img->width / img->height;
    const int other =
        longer < LF_IMAGE_MAX_PIXELS ? (int)longer : LF_IMAGE_MAX_PIXELS; /* too large: resize refuses it */
    *w = narrow ? edge : other;
    *h = narrow ? other : edge;
}

/* The resized picture, before the centre crop; if nothing is to be done, *out stays empty and *from is img. */
static lf_status resized(lf_image *out, const lf_image **from, const lf_image *img, const lf_image_processor *p,
                         const lf_placement *place, lf_err *err) {
    int w, h;
    lf_status rc = LF_OK;
    *from = img;
    if (place->cropped) {
        lf_image_processor_out_size(p, &h, &w);
        rc = lf_image_resize(out, img, w, h, p->resample, place->box, err);
        *from = out;
    } else if (p->do_resize) {
        resized_size(p, img, &w, &h);
        rc = lf_image_resize(out, img, w, h, p->resample, NULL, err);
        *from = out;
    }
    return rc;
}

static int floor_half(int a) { return a >= 0 ? a / 2 : -((1 - a) / 2); }

static int clamp(int v, int n) { return v < 0 ? 0 : v >= n ? n - 1 : v; }

/* out(y, x) of H x W is pixel (y + top, x + left) of img after shift and flip; outside it is level 0, as transformers
 * pads a picture that is smaller than the crop. A shift repeats the edge instead: black borders would be a new kind of
 * content, far from the mean of normalised pictures. */
static void write_plane(float *out, int H, int W, const lf_image *img, int channel, const lf_placement *place,
                        const float levels[256]) {
    const int top = floor_half(img->height - H), left = floor_half(img->width - W);
    for (int y = 0; y < H; y++) {
        const int sy = clamp(y + place->dy, H) + top;
        for (int x = 0; x < W; x++, out++) {
            const int across = clamp(x + place->dx, W);
            const int sx = (place->flip ? W - 1 - across : across) + left;
            const bool inside = sy >= 0 && sy < img->height && sx >= 0 && sx < img->width;
            const size_t at = inside ? ((size_t)sy * (size_t)img->width + (size_t)sx) * (size_t)img->channels : 0;
            *out = levels[inside ? img->pixels[at + (size_t)channel] : 0];
        }
    }
}

lf_status lf_image_process(float *out, const lf_image *img, const lf_image_processor *p, lf_augmentation aug,
                           lf_rng_key key, uint64_t example, lf_err *err) {
    if (p->channels != 1 && p->channels != 3)
        return lf_fail(err, LF_EUNSUPPORTED, "the model has %d channels; pictures have 1 or 3", p->channels);
    lf_image grey = {0}, small = {0};
    const lf_image *from = img;
    lf_status rc = LF_OK;
    int H, W;
    lf_image_processor_out_size(p, &H, &W);
    if (img->channels > p->channels) {
        if ((rc = lf_image_convert(&grey, img, 1, err))) goto out;
        from = &grey;
    }
    lf_placement place;
    lf_augment_draw(&place, aug, key, example, from->width, from->height, W, H);
    if ((rc = resized(&small, &from, from, p, &place, err))) goto out;
    if (!p->do_center_crop && (from->width != W || from->height != H)) {
        rc = lf_fail(err, LF_ESHAPE, "a picture of %d x %d pixels where the model takes %d x %d and do_resize is false",
                     from->width, from->height, W, H);
        goto out;
    }
    for (int c = 0; c < p->channels; c++) { /* a grey picture's one channel is written to all three planes */
        float levels[256];
        fill_levels(levels, p, c);
        write_plane(out + (size_t)c * (size_t)H * (size_t)W, H, W, from, from->channels == 1 ? 0 : c, &place, levels);
    }
out:
    lf_image_free(&small);
    lf_image_free(&grey);
    return rc;
}

/* One picture to the model's floats: convert, resize, then crop, move, rescale and normalise in one pass; changes of
 * levels stand before rescaling, and others at the end. */
#include "data/image/changes.h"
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
typedef struct view {
    const lf_image *img;
    const lf_placement *place;
    int H, W, top, left;
} view;

static view view_of(const lf_image *img, const lf_placement *place, int H, int W) {
    return (view){img, place, H, W, floor_half(img->height - H), floor_half(img->width - W)};
}

/* Where its pixel (y, x) stands; -1: outside. */
static inline int64_t source_of(const view *v, int y, int x) {
    const int sy = clamp(y + v->place->dy, v->H) + v->top, across = clamp(x + v->place->dx, v->W);
    const int sx = (v->place->flip ? v->W - 1 - across : across) + v->left;
    const bool inside = sy >= 0 && sy < v->img->height && sx >= 0 && sx < v->img->width;
    return inside ? ((int64_t)sy * v->img->width + sx) * v->img->channels : -1;
}

static void write_plane(float *out, const view *v, int channel, const float levels[256]) {
    for (int y = 0; y < v->H; y++)
        for (int x = 0; x < v->W; x++) {
            const int64_t at = source_of(v, y, x);
            *out++ = levels[at < 0 ? 0 : v->img->pixels[at + channel]];
        }
}

static lf_status place_levels(lf_image *out, const view *v, lf_err *err) {
    const lf_status rc = lf_image_new(out, v->W, v->H, v->img->channels, err);
    unsigned char *to = out->pixels;
    for (int y = 0; !rc && y < v->H; y++)
        for (int x = 0; x < v->W; x++) {
            const int64_t at = source_of(v, y, x);
            for (int c = 0; c < v->img->channels; c++) *to++ = at < 0 ? 0 : v->img->pixels[at + c];
        }
    return rc;
}

/* ---- changes ---- */

static const lf_picture_change *const all_changes[] = {
#define LF_PICTURE_CHANGE(name) &lf_change_##name,
#include "data/image/changes.def"
#undef LF_PICTURE_CHANGE
};
enum { CHANGES = sizeof all_changes / sizeof *all_changes };

/* A space of its own for the draws of each, beside that of the placement (augment.c). */
static lf_dice dice_of(int change, lf_rng_key key, uint64_t example) {
    enum { DRAWS = 64 };
    return (lf_dice){key, (uint64_t)(change + 1) << 56 | example * DRAWS};
}

static bool changes_levels(const lf_picture_changes *c) {
    for (int i = 0; i < CHANGES; i++)
        if (all_changes[i]->levels && all_changes[i]->asked(c)) return true;
    return false;
}

static lf_status change_levels(lf_image *img, const lf_picture_changes *c, lf_rng_key key, uint64_t example,
                               lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < CHANGES && !rc; i++)
        if (all_changes[i]->levels && all_changes[i]->asked(c))
            rc = all_changes[i]->levels(img, c, dice_of(i, key, example), err);
    return rc;
}

static void change_floats(float *x, int channels, int H, int W, const lf_picture_changes *c, lf_rng_key key,
                          uint64_t example) {
    for (int i = 0; i < CHANGES; i++)
        if (all_changes[i]->floats && all_changes[i]->asked(c))
            all_changes[i]->floats(x, channels, H, W, c, dice_of(i, key, example));
}

lf_status lf_image_process_changed(float *out, const lf_image *img, const lf_image_processor *p, lf_augmentation aug,
                                   const lf_picture_changes *changes, lf_rng_key key, uint64_t example, lf_err *err) {
    if (p->channels != 1 && p->channels != 3)
        return lf_fail(err, LF_EUNSUPPORTED, "the model has %d channels; pictures have 1 or 3", p->channels);
    lf_image grey = {0}, small = {0}, placed = {0};
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
    view v = view_of(from, &place, H, W);
    static const lf_placement as_it_is = {0};
    if (changes_levels(changes)) {
        if ((rc = place_levels(&placed, &v, err)) || (rc = change_levels(&placed, changes, key, example, err)))
            goto out;
        v = view_of(&placed, &as_it_is, H, W);
    }
    for (int c = 0; c < p->channels; c++) { /* a grey picture's one channel is written to all three planes */
        float levels[256];
        fill_levels(levels, p, c);
        write_plane(out + (size_t)c * (size_t)H * (size_t)W, &v, v.img->channels == 1 ? 0 : c, levels);
    }
    change_floats(out, p->channels, H, W, changes, key, example);
out:
    lf_image_free(&placed);
    lf_image_free(&small);
    lf_image_free(&grey);
    return rc;
}

lf_status lf_image_process(float *out, const lf_image *img, const lf_image_processor *p, lf_augmentation aug,
                           lf_rng_key key, uint64_t example, lf_err *err) {
    return lf_image_process_changed(out, img, p, aug, &(lf_picture_changes){0}, key, example, err);
}

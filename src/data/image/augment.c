/* Which augmentation a picture gets. Every random number has a place of its own in the counter space of its example, so
 * that it does not depend on how many others were drawn. */
#include <math.h>
#include <string.h>

#include "data/image/dice.h"
#include "data/image/internal.h"

static const char *const names[] = {
    [LF_AUG_NONE] = "none",
    [LF_AUG_FLIP] = "flip",
    [LF_AUG_SHIFT] = "shift",
    [LF_AUG_SHIFT_FLIP] = "shift_flip",
    [LF_AUG_CROP] = "random_resized_crop",
    [LF_AUG_CROP_FLIP] = "random_resized_crop_flip",
};

bool lf_augmentation_parse(const char *name, lf_augmentation *out) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *out = (lf_augmentation)i;
            return true;
        }
    return false;
}

enum { DRAW_FLIP, DRAW_DX, DRAW_DY, DRAW_CROP, DRAWS_A_TRY = 4, TRIES = 10, DRAWS = 64 };
_Static_assert(DRAW_CROP + DRAWS_A_TRY * TRIES <= DRAWS, "the draws of one example must not reach the next one's");

static void set_box(double box[4], int left, int top, int w, int h) {
    box[0] = left;
    box[1] = top;
    box[2] = left + w;
    box[3] = top + h;
}

/* Torchvision's RandomResizedCrop with its own defaults: 0.08 to 1 of the area, aspect 3/4 to 4/3 (uniform in its
 * logarithm); if ten tries do not fit in, the middle with the nearest allowed aspect. */
static void draw_crop(double box[4], lf_dice d, int w, int h) {
    const double low = 3.0 / 4, high = 4.0 / 3, area = (double)w * h;
    for (int i = 0; i < TRIES; i++) {
        const int at = DRAW_CROP + DRAWS_A_TRY * i;
        const double target = area * lf_dice_uniform(d, at, 0.08, 1),
                     aspect = exp(lf_dice_uniform(d, at + 1, log(low), log(high)));
        const double cw = rint(sqrt(target * aspect)), ch = rint(sqrt(target / aspect));
        if (cw < 1 || ch < 1 || cw > w || ch > h) continue;
        set_box(box, lf_dice_below(d, at + 2, w - (int)cw + 1), lf_dice_below(d, at + 3, h - (int)ch + 1), (int)cw,
                (int)ch);
        return;
    }
    int cw = w, ch = h;
    if ((double)w / h < low)
        ch = (int)rint(w / low);
    else if ((double)w / h > high)
        cw = (int)rint(h * high);
    set_box(box, (w - cw) / 2, (h - ch) / 2, cw, ch);
}

void lf_augment_draw(lf_placement *out, lf_augmentation aug, lf_rng_key key, uint64_t example, int image_w, int image_h,
                     int out_w, int out_h) {
    const lf_dice d = {key, example * DRAWS};
    *out = (lf_placement){0};
    if (aug == LF_AUG_FLIP || aug == LF_AUG_SHIFT_FLIP || aug == LF_AUG_CROP_FLIP)
        out->flip = lf_dice_below(d, DRAW_FLIP, 2) == 1;
    if (aug == LF_AUG_SHIFT || aug == LF_AUG_SHIFT_FLIP) {
        out->dx = lf_dice_below(d, DRAW_DX, out_w / 8 * 2 + 1) - out_w / 8;
        out->dy = lf_dice_below(d, DRAW_DY, out_h / 8 * 2 + 1) - out_h / 8;
    }
    if (aug == LF_AUG_CROP || aug == LF_AUG_CROP_FLIP) {
        out->cropped = true;
        draw_crop(out->box, d, image_w, image_h);
    }
}

/* torchvision's RandomErasing (Zhong et al. 2020) with its own defaults: with a chance, a rectangle of 0.02 to 0.33 of
 * the picture, its height to its width 0.3 to 3.3 (uniform in its logarithm), becomes 0, the mean of normalised
 * pictures. If ten tries do not fit in, none is erased. */
#include <math.h>

#include "data/image/changes.h"

enum { DRAW_WHETHER, DRAW_BOX, DRAWS_A_TRY = 4, TRIES = 10 };

static bool asked(const lf_picture_changes *c) { return c->random_erasing > 0; }

static void erase(float *x, int channels, int H, int W, int top, int left, int h, int w) {
    for (int c = 0; c < channels; c++)
        for (int i = top; i < top + h; i++)
            for (int j = left; j < left + w; j++) x[((int64_t)c * H + i) * W + j] = 0;
}

static void floats(float *x, int channels, int H, int W, const lf_picture_changes *c, lf_dice d) {
    if (lf_dice_uniform(d, DRAW_WHETHER, 0, 1) >= c->random_erasing) return;
    for (int i = 0; i < TRIES; i++) {
        const int at = DRAW_BOX + DRAWS_A_TRY * i;
        const double area = (double)H * W * lf_dice_uniform(d, at, 0.02, 0.33),
                     aspect = exp(lf_dice_uniform(d, at + 1, log(0.3), log(3.3)));
        const int h = (int)rint(sqrt(area * aspect)), w = (int)rint(sqrt(area / aspect));
        if (h >= H || w >= W) continue;
        erase(x, channels, H, W, lf_dice_below(d, at + 2, H - h + 1), lf_dice_below(d, at + 3, W - w + 1), h, w);
        return;
    }
}

const lf_picture_change lf_change_random_erasing = {.asked = asked, .floats = floats};

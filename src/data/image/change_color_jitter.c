/* torchvision's ColorJitter(v, v, v): brightness, contrast and saturation by factors of 1 - v (not below 0) to 1 + v,
 * in an order that is drawn. That is what timm's color_jitter is, too. */
#include "data/image/changes.h"
#include "data/image/levels.h"

enum { DRAW_ORDER, DRAW_FACTOR, CHANGES = 3, ORDERS = 6 };

static bool asked(const lf_picture_changes *c) { return c->color_jitter > 0; }

static lf_status levels(lf_image *img, const lf_picture_changes *c, lf_dice d, lf_err *err) {
    static void (*const change[CHANGES])(lf_image * img, double factor) = {lf_levels_brightness, lf_levels_contrast,
                                                                           lf_levels_saturation};
    static const unsigned char orders[ORDERS][CHANGES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const unsigned char *order = orders[lf_dice_below(d, DRAW_ORDER, ORDERS)];
    const double low = c->color_jitter < 1 ? 1 - c->color_jitter : 0;
    (void)err;
    for (int i = 0; i < CHANGES; i++)
        change[order[i]](img, lf_dice_uniform(d, DRAW_FACTOR + order[i], low, 1 + c->color_jitter));
    return LF_OK;
}

const lf_picture_change lf_change_color_jitter = {.asked = asked, .levels = levels};

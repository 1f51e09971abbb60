/* RandAugment (Cubuk et al. 2020) as torchvision.transforms.RandAugment does it on PIL's pictures, with its 31
 * magnitudes, the nearest pixel, and black where there is none: so many operations, one behind the other, each drawn
 * from all. */
#include <math.h>

#include "data/image/changes.h"
#include "data/image/levels.h"

static const double PI = 3.14159265358979323846;
enum { MOST = 30 }; /* magnitude */

/* ---- the operations ---- */

static lf_status identity(lf_image *img, double by, lf_err *err) { return (void)img, (void)by, (void)err, LF_OK; }

static lf_status shear_x(lf_image *img, double by, lf_err *err) {
    return lf_levels_affine(img, (double[]){1, by, 0, 0, 1, 0}, err);
}
static lf_status shear_y(lf_image *img, double by, lf_err *err) {
    return lf_levels_affine(img, (double[]){1, 0, 0, by, 1, 0}, err);
}
static lf_status translate_x(lf_image *img, double by, lf_err *err) {
    return lf_levels_affine(img, (double[]){1, 0, -trunc(by), 0, 1, 0}, err);
}
static lf_status translate_y(lf_image *img, double by, lf_err *err) {
    return lf_levels_affine(img, (double[]){1, 0, 0, 0, 1, -trunc(by)}, err);
}

/* Counter-clockwise about the middle, in degrees. */
static lf_status rotate(lf_image *img, double by, lf_err *err) {
    const double angle = -by * (PI / 180), x = img->width / 2.0, y = img->height / 2.0;
    const double c = rint(cos(angle) * 1e15) / 1e15, s = rint(sin(angle) * 1e15) / 1e15; /* as PIL rounds them */
    return lf_levels_affine(img, (double[]){c, s, c * -x + s * -y + x, -s, c, -s * -x + c * -y + y}, err);
}

#define ENHANCE(name, change)                                                                                          \
    static lf_status name(lf_image *img, double by, lf_err *err) {                                                     \
        (void)err;                                                                                                     \
        change;                                                                                                        \
        return LF_OK;                                                                                                  \
    }
ENHANCE(brightness, lf_levels_brightness(img, 1 + by))
ENHANCE(color, lf_levels_saturation(img, 1 + by))
ENHANCE(contrast, lf_levels_contrast(img, 1 + by))
ENHANCE(posterize, lf_levels_posterize(img, (int)by))
ENHANCE(solarize, lf_levels_solarize(img, by))
ENHANCE(autocontrast, (void)by; lf_levels_autocontrast(img))
ENHANCE(equalize, (void)by; lf_levels_equalize(img))
static lf_status sharpness(lf_image *img, double by, lf_err *err) { return lf_levels_sharpness(img, 1 + by, err); }

/* Of magnitude 0 to 30: `from` + (to - from) m / 30; of translations in pixels of a picture that is 331 wide or high.
 */
enum { OF_ALL, OF_WIDTH, OF_HEIGHT, OF_BITS };
static const struct {
    const char *name; /* torchvision's */
    lf_status (*apply)(lf_image *img, double by, lf_err *err);
    double from, to;
    int unit;
    bool is_signed;
} operations[] = {
    {"Identity", identity, 0, 0, OF_ALL, false},
    {"ShearX", shear_x, 0, 0.3, OF_ALL, true},
    {"ShearY", shear_y, 0, 0.3, OF_ALL, true},
    {"TranslateX", translate_x, 0, 150.0 / 331, OF_WIDTH, true},
    {"TranslateY", translate_y, 0, 150.0 / 331, OF_HEIGHT, true},
    {"Rotate", rotate, 0, 30, OF_ALL, true},
    {"Brightness", brightness, 0, 0.9, OF_ALL, true},
    {"Color", color, 0, 0.9, OF_ALL, true},
    {"Contrast", contrast, 0, 0.9, OF_ALL, true},
    {"Sharpness", sharpness, 0, 0.9, OF_ALL, true},
    {"Posterize", posterize, 8, 4, OF_BITS, false},
    {"Solarize", solarize, 255, 0, OF_ALL, false},
    {"AutoContrast", autocontrast, 0, 0, OF_ALL, false},
    {"Equalize", equalize, 0, 0, OF_ALL, false},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

int lf_randaugment_count(void) { return OPERATIONS; }
const char *lf_randaugment_name(int op) { return operations[op].name; }

double lf_randaugment_strength(int op, int magnitude, int w, int h, bool *is_signed) {
    const double share = (double)magnitude / MOST,
                 by = operations[op].from + (operations[op].to - operations[op].from) * share;
    *is_signed = operations[op].is_signed;
    switch (operations[op].unit) {
    case OF_WIDTH: return by * w;
    case OF_HEIGHT: return by * h;
    case OF_BITS: return 8 - rint(magnitude / (MOST / 4.0)); /* to the even of two, as torch rounds */
    default: return by;
    }
}

lf_status lf_randaugment_apply(lf_image *img, int op, double strength, lf_err *err) {
    return operations[op].apply(img, strength, err);
}

/* ---- the change ---- */

static bool asked(const lf_picture_changes *c) { return c->randaugment_magnitude > 0; }

static lf_status levels(lf_image *img, const lf_picture_changes *c, lf_dice d, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < c->randaugment_ops && !rc; i++) {
        bool is_signed;
        const int op = lf_dice_below(d, 2 * i, OPERATIONS);
        double by = lf_randaugment_strength(op, c->randaugment_magnitude, img->width, img->height, &is_signed);
        if (is_signed && lf_dice_below(d, 2 * i + 1, 2)) by = -by;
        rc = lf_randaugment_apply(img, op, by, err);
    }
    return rc;
}

const lf_picture_change lf_change_randaugment = {.asked = asked, .levels = levels};

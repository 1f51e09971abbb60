/* Between process.c and the changes of changes.def. */
#ifndef LF_DATA_IMAGE_CHANGES_H
#define LF_DATA_IMAGE_CHANGES_H

#include "data/image/dice.h"
#include "data/image/image.h"

/* One of the two is NULL: of levels, as large as the model's input and placed, or of the input that was made of them.
 */
typedef struct lf_picture_change {
    bool (*asked)(const lf_picture_changes *c);
    lf_status (*levels)(lf_image *img, const lf_picture_changes *c, lf_dice d, lf_err *err);
    void (*floats)(float *x, int channels, int H, int W, const lf_picture_changes *c, lf_dice d);
} lf_picture_change;

#define LF_PICTURE_CHANGE(name) extern const lf_picture_change lf_change_##name;
#include "data/image/changes.def"
#undef LF_PICTURE_CHANGE

/* ---- of randaugment, for tests: torchvision's operations, by number ---- */

int lf_randaugment_count(void);
const char *lf_randaugment_name(int op);
/* The strength of an operation at a magnitude from 0 to 30, on a picture of w x h; *is_signed: half of the draws turn
 * it. */
double lf_randaugment_strength(int op, int magnitude, int w, int h, bool *is_signed);
lf_status lf_randaugment_apply(lf_image *img, int op, double strength, lf_err *err);

#endif

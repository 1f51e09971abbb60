/* A contact sheet: pictures as the model gets them, side by side in one PNG, each over its caption. */
#ifndef LF_DATA_IMAGE_SHEET_H
#define LF_DATA_IMAGE_SHEET_H

#include "data/image/image.h"

typedef struct lf_sheet lf_sheet;

/* Room for n pictures of the size that p (borrowed) makes; small ones are enlarged by a whole number. LF_EUSAGE where
 * they are too many for a picture. */
lf_status lf_sheet_new(lf_sheet **out, int64_t n, const lf_image_processor *p, lf_err *err);
void lf_sheet_free(lf_sheet *s);
/* The next picture, [channels, H, W] as lf_image_process made it: its mean and std are undone. Of a caption that is
 * wider than its picture the beginning is drawn, and of what is no ASCII a '?'. */
void lf_sheet_put(lf_sheet *s, const float *pixels, const char *caption);
lf_status lf_sheet_write(const lf_sheet *s, const char *path, lf_err *err); /* whole or not at all */

#endif

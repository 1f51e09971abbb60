/* Changes of a picture's levels and of where its pixels are, as PIL makes them (ImageEnhance, ImageOps,
 * Image.transform), in place: what color_jitter and randaugment are made of. Pictures of 1 or 3 channels. */
#ifndef LF_DATA_IMAGE_LEVELS_H
#define LF_DATA_IMAGE_LEVELS_H

#include "data/image/image.h"

/* img + (1 - factor) (grey - img): grey is black, the mean level of the picture, or each pixel's own. factor 1 leaves
 * it. */
void lf_levels_brightness(lf_image *img, double factor);
void lf_levels_contrast(lf_image *img, double factor);
void lf_levels_saturation(lf_image *img, double factor);
/* The same against the picture smoothed by its neighbours, of which the border has none. LF_ENOMEM. */
lf_status lf_levels_sharpness(lf_image *img, double factor, lf_err *err);
void lf_levels_posterize(lf_image *img, int bits);        /* keeps so many bits of each level, 1 to 8 */
void lf_levels_solarize(lf_image *img, double threshold); /* levels from there on become 255 - level */
void lf_levels_autocontrast(lf_image *img);               /* each channel from its darkest to its lightest */
void lf_levels_equalize(lf_image *img);                   /* each channel's levels alike often */
/* out(x, y) = in(m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]), of pixels' middles, the nearest; outside black. */
lf_status lf_levels_affine(lf_image *img, const double m[6], lf_err *err);

#endif

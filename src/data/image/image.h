/* Pictures: decoding, the preprocessing that a Hugging Face image processor does, augmentation. */
#ifndef LF_DATA_IMAGE_IMAGE_H
#define LF_DATA_IMAGE_IMAGE_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rng.h"

typedef struct lf_image {
    int width, height, channels; /* channels 1 or 3, interleaved */
    unsigned char *pixels;       /* [height, width, channels]; freed by lf_image_free */
} lf_image;

/* The formats of decoders.def, as PIL's convert("RGB") has them after ImageOps.exif_transpose: turned upright (EXIF, or
 * XMP where there is none), transparent pixels with the colours that they have in the file, of animations and pages the
 * first, inks to RGB, colours of 16 bits reduced to 8. LF_EDATA naming the file if the bytes are no such picture, or
 * not all of one; a picture of more than 178,956,970 pixels is refused (a decompression bomb), and one of more than a
 * file of its size can hold. */
lf_status lf_image_decode(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err);
lf_status lf_image_load(lf_image *out, const char *path, lf_err *err);
void lf_image_free(lf_image *img);
bool lf_image_has_extension(const char *name); /* that of a format, in small letters or capitals */
/* The name of the format that a file begins like, or whose extension it has, where that tells: "PNG". NULL: none. */
const char *lf_image_format(const unsigned char *bytes, size_t size, const char *name);
/* Is it a picture, and all of it there, by what its format says of itself (lengths, checksums, ends)? Much cheaper than
 * decoding, which only a format that says nothing needs. Fails as lf_image_decode does. */
lf_status lf_image_check_container(const unsigned char *bytes, size_t size, const char *name, lf_err *err);
lf_status lf_image_check_file(const char *path, lf_err *err);

typedef enum lf_resample {
    LF_NEAREST = 0,
    LF_LANCZOS = 1,
    LF_BILINEAR = 2,
    LF_BICUBIC = 3,
    LF_BOX = 4,
    LF_HAMMING = 5
} lf_resample; /* PIL's numbers */

/* Antialiased resize of box (left, top, right, bottom in source pixels, may be fractional) to w x h, to within one
 * level of PIL's Image.resize(box=...): separable, 8-bit intermediate, fixed-point coefficients as PIL's. */
lf_status lf_image_resize(lf_image *out, const lf_image *in, int w, int h, lf_resample how, const double box[4],
                          lf_err *err);

/* preprocessor_config.json as transformers 4 and 5 write it: do_resize, size ({"height","width"}, {"shortest_edge"},
 * or a number), resample, do_center_crop, crop_size, do_rescale, rescale_factor, do_normalize, image_mean, image_std,
 * do_convert_rgb. What is asked for and not supported (do_pad, ...) is LF_EUNSUPPORTED naming the key. */
typedef struct lf_image_processor {
    bool do_resize, do_center_crop, do_rescale, do_normalize;
    int size_h, size_w, shortest_edge; /* shortest_edge 0: size_h x size_w */
    int crop_h, crop_w;
    lf_resample resample;
    double rescale_factor, mean[4], std[4];
    int channels; /* of the model: grey pictures become RGB for 3, RGB becomes grey (L) for 1 */
} lf_image_processor;

/* The values a ViTImageProcessor has by itself: resize to the model's image_size, bilinear, 1/255, mean = std = 0.5. */
void lf_image_processor_default(lf_image_processor *p, int image_h, int image_w, int channels);
/* LF_ESHAPE if what it makes is not image_h x image_w. */
lf_status lf_image_processor_read(lf_image_processor *p, const cJSON *json, int image_h, int image_w, int channels,
                                  const char *path, lf_err *err);
cJSON *lf_image_processor_to_json(const lf_image_processor *p); /* as transformers reads it; caller deletes */

/* `augmentation`: what is done in training in the place of resize and crop. */
typedef enum lf_augmentation {
    LF_AUG_NONE,
    LF_AUG_FLIP,
    LF_AUG_SHIFT,
    LF_AUG_SHIFT_FLIP,
    LF_AUG_CROP,
    LF_AUG_CROP_FLIP
} lf_augmentation;
bool lf_augmentation_parse(const char *name, lf_augmentation *out); /* "shift_flip" is LF_AUG_SHIFT_FLIP */

/* What else is done to a training picture (changes.def), by torchvision's definitions; zeros: nothing. */
typedef struct lf_picture_changes {
    int randaugment_magnitude, randaugment_ops; /* of 30; how many one behind the other, up to 16 */
    double color_jitter;   /* factors of brightness, contrast and saturation: within 1 +- so much */
    double random_erasing; /* chance of a rectangle of zeros */
} lf_picture_changes;

/* One picture to the model's input: out [channels, H, W] floats, H x W being the processor's final size.
 * With augmentation the random numbers are a function of key and example alone (key is made from seed and epoch). */
lf_status lf_image_process(float *out, const lf_image *img, const lf_image_processor *p, lf_augmentation aug,
                           lf_rng_key key, uint64_t example, lf_err *err);
/* The same, and then those changes. */
lf_status lf_image_process_changed(float *out, const lf_image *img, const lf_image_processor *p, lf_augmentation aug,
                                   const lf_picture_changes *changes, lf_rng_key key, uint64_t example, lf_err *err);
void lf_image_processor_out_size(const lf_image_processor *p, int *h, int *w);

#endif

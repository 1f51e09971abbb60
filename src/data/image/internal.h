/* What the picture files of this folder share and nobody else needs. */
#ifndef LF_DATA_IMAGE_INTERNAL_H
#define LF_DATA_IMAGE_INTERNAL_H

#include "data/image/image.h"

/* PIL refuses more as a decompression bomb: a quarter of a gigabyte of 3-byte pixels, doubled. */
#define LF_IMAGE_MAX_PIXELS 178956970

/* What a file may claim by its size, so that a few bytes cost little: no format has more pixels in a byte than PNG,
 * whose deflate makes 1032 bytes of one, each of up to 8 pixels. Any file may claim a million (a blank canvas). */
#define LF_IMAGE_FREE_PIXELS     1048576
#define LF_IMAGE_PIXELS_PER_BYTE 8256

static inline size_t lf_image_bytes(int w, int h, int channels) { return (size_t)w * (size_t)h * (size_t)channels; }

/* LF_EDATA above LF_IMAGE_MAX_PIXELS. The pixels are not cleared. */
lf_status lf_image_new(lf_image *out, int w, int h, int channels, lf_err *err);

/* To 1 channel (ITU-R 601 luma in 16-bit fixed point, as PIL's "L") or 3. */
lf_status lf_image_convert(lf_image *out, const lf_image *in, int channels, lf_err *err);

/* budget.c: the memory of pictures that are decoded, and of those that are and not freed, over all threads at most 1
 * GiB (or one picture). lf_image_enter waits until there is room; then the picture is held, until lf_image_free lets it
 * go, or left. */
void lf_image_enter(int w, int h);
void lf_image_leave(void);
void lf_image_hold(const lf_image *img);
void lf_image_let_go(const lf_image *img);
int64_t lf_image_most_bytes(int64_t *now); /* at once, since this was last asked; and now. For tests */

/* The same check of what a file of `size` bytes claims; where it passes, there is room for the picture
 * (lf_image_enter). And the error for one that cannot be decoded. */
lf_status lf_image_check_size(int w, int h, size_t size, const char *name, lf_err *err);
lf_status lf_image_not_decoded(const char *name, const char *reason, lf_err *err);
/* Of such an error: without what to try, where that is what is done. */
void lf_image_drop_advice(lf_err *err);

/* lf_image_decode for bytes of one format. */
typedef lf_status lf_image_decode_fn(lf_image *out, const unsigned char *bytes, size_t size, const char *name,
                                     lf_err *err);
/* NULL if all of the picture is there, else the reason why not. stb_image fills what a truncated file lacks with black
 * without a word, so this is asked before. */
typedef const char *lf_image_refuse_fn(const unsigned char *bytes, size_t size);
/* Of bytes that were decoded: how to turn the picture, as EXIF numbers it (1 to 8); any other number: it says nothing.
 */
typedef int lf_image_orientation_fn(const unsigned char *bytes, size_t size);

/* A line of decoders.def. */
typedef struct lf_image_decoder {
    const char *name, *signatures, *extensions;
    lf_image_decode_fn *decode;
    lf_image_refuse_fn *refuse;
    lf_image_orientation_fn *orientation;
} lf_image_decoder;
#define LF_IMAGE_DECODER(name, signatures, extensions, decode, refuse, orientation)                                    \
    extern lf_image_decode_fn decode;                                                                                  \
    extern lf_image_refuse_fn refuse;                                                                                  \
    extern lf_image_orientation_fn orientation;
#include "data/image/decoders.def"
#undef LF_IMAGE_DECODER

/* What an EXIF block (a TIFF, also one that is a picture; "Exif\0\0" may stand before it) or an XMP text says. */
int lf_exif_orientation(const unsigned char *bytes, size_t size);
int lf_xmp_orientation(const unsigned char *bytes, size_t size);
/* So that it stands upright; numbers that are no orientation leave it. */
lf_status lf_image_turn(lf_image *img, int orientation, lf_err *err);

const lf_image_decoder *lf_image_decoder_of(const unsigned char *bytes, size_t size, const char *name); /* NULL: none */
const char *lf_image_extensions(char *buf, size_t size); /* "jpg, jpeg, png, ..." for messages */
const char *lf_image_names(char *buf, size_t size);      /* "JPEG, PNG, ...": those that have a signature */

/* How a picture of the data set is moved in training; drawn by lf_augment_draw. */
typedef struct lf_placement {
    bool flip;     /* left to right */
    int dx, dy;    /* out(y, x) = in(y + dy, x + dx), edge pixels repeated */
    bool cropped;  /* box is what becomes the input, in the place of resize and centre crop */
    double box[4]; /* left, top, right, bottom */
} lf_placement;

void lf_augment_draw(lf_placement *out, lf_augmentation aug, lf_rng_key key, uint64_t example, int image_w, int image_h,
                     int out_w, int out_h);

#endif

/* What the families of pictures share beside vit.c: position embeddings of another grid than the file's, and BEiT's
 * bias of attention by relative position. */
#ifndef LF_MODEL_VISION_H
#define LF_MODEL_VISION_H

#include "model/family.h"

/* A grid of patches. */
typedef struct lf_patch_grid {
    int64_t height, width;
} lf_patch_grid;

/* The size of pictures that the file preprocessor_config.json beside config.json makes, where it says one: that of
 * the crop, else of the resize. *out is left as it is where the file is not there or leaves the size open. What is
 * wrong in the file is said by who prepares pictures with it. */
lf_status lf_vision_prepared_size(const lf_model *m, lf_pixel_facts *out, lf_err *err);

/* A matrix [front + to, front + from] that makes position embeddings of one grid from those of another, bicubically as
 * torch's interpolate does it (align_corners=False; `antialias`: with its filter widened where the grid shrinks). The
 * first `front` rows stay. Real numbers of the model's backend, in its arena. NULL: out of memory. */
lf_tensor *lf_vision_resample(lf_nn *nn, int64_t front, lf_patch_grid from, lf_patch_grid to, bool antialias);

/* matrix [to, from] times table (from rows, real), as lf_mix_rows makes it. In the model's arena. NULL: out of memory.
 */
lf_tensor *lf_vision_placed(lf_nn *nn, const lf_tensor *table, const lf_tensor *matrix);

/* Of a table [(2H-1)(2W-1) + 3, heads] (real, as the file has it): the bias [heads, T, T] that attention adds between T
 * = 1 + HW tokens, the class token first. The last three rows of the table are: class to patch, patch to class, class
 * to itself. NULL: out of memory. */
lf_tensor *lf_vision_relative_bias(lf_nn *nn, const lf_tensor *table, lf_patch_grid grid);

#endif

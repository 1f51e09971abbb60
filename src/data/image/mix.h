/* Pictures of a batch that are mixed with each other, each with the one before it and the first with the last, as
 * torchvision's transforms.v2 MixUp and CutMix do it (Zhang et al. 2018, Yun et al. 2019). One share for a batch. */
#ifndef LF_DATA_IMAGE_MIX_H
#define LF_DATA_IMAGE_MIX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rng.h"

/* alpha of the share's distribution, Beta(alpha, alpha); 0: not that way. Of both a batch is mixed in one, drawn. */
typedef struct lf_picture_mixing {
    double mixup, cutmix;
} lf_picture_mixing;

/* The pictures [B, channels, H, W], and the values of each [B, n_values] (NULL: none). */
typedef struct lf_mixed_batch {
    float *pixels, *values;
    int64_t B, n_values;
    int channels, H, W;
    float *held; /* room for one picture's numbers, and for its values */
} lf_mixed_batch;

bool lf_mixes(const lf_picture_mixing *m);
/* Mixes batch `number` of an epoch (whose key it is). What remains of each picture's own label; the rest is its
 * neighbour's. 1: nothing was mixed (one picture alone). */
double lf_mix(const lf_mixed_batch *b, const lf_picture_mixing *m, lf_rng_key key, int64_t number);

/* ---- its parts, for tests ---- */

/* Beta(alpha, alpha), by two gamma variables (Marsaglia and Tsang 2000); draws from *draw on. */
double lf_mix_share(double alpha, lf_rng_key key, uint64_t *draw);
void lf_mix_up(const lf_mixed_batch *b, double share);
/* The box of a share about (x, y): left, top, right, bottom. */
void lf_mix_box(int box[4], double share, int x, int y, int W, int H);
/* Its pixels become the neighbour's; what remains of the label, by the box's size. */
double lf_mix_cut(const lf_mixed_batch *b, const int box[4]);

#endif

/* Random numbers of an example, each in a place of its own in the counter space, so that none depends on how many
 * others were drawn. */
#ifndef LF_DATA_IMAGE_DICE_H
#define LF_DATA_IMAGE_DICE_H

#include "base/rng.h"

typedef struct lf_dice {
    lf_rng_key key;
    uint64_t first; /* the place of draw 0 */
} lf_dice;

static inline double lf_dice_uniform(lf_dice d, int draw, double low, double high) {
    return low + (high - low) * lf_rng_uniform(d.key, d.first + (uint64_t)draw);
}

/* 0 .. n-1 */
static inline int lf_dice_below(lf_dice d, int draw, int n) {
    return (int)lf_rng_below(d.key, d.first + (uint64_t)draw, (uint64_t)n);
}

#endif

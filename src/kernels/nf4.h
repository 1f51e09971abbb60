/* Frozen weights in four bits, as QLoRA has them (Dettmers et al. 2023, arXiv 2305.14314): "NormalFloat" with double
 * quantisation.
 *
 * A row is cut into blocks of 64 numbers (its last may be shorter), and a block is its largest magnitude times one of
 * 16 values a number. Weights are about normal, so the values are quantiles of the normal distribution, over the
 * largest: with d = (1/30 + 1/32) / 2, above zero those of the shares 1 - d, .. in eight equal steps towards 1/2, below
 * zero in seven, and zero itself. The table is in nf4.c, and tests/ops/test_quantised.c computes it again.
 *
 * The blocks' largest magnitudes are quantised in turn: their mean is taken off, and of 256 after another each becomes
 * eight bits, one of 256 values that are dense about zero (bitsandbytes' dynamic map: 2^i values a sign in decade i),
 * times the largest of them. In all 4 + 8/64 + 32/(64 x 256) = 4.127 bits a weight. */
#ifndef LF_KERNELS_NF4_H
#define LF_KERNELS_NF4_H

#include "kernels/kernels.h"

enum { LF_NF4_VALUES = 16, LF_NF4_BLOCK = 64, LF_NF4_BLOCKS = 256 };
extern const float lf_nf4_values[LF_NF4_VALUES];

/* The 256 values of a block's scale, in order: -0.9929687, .., 0, .., 1. */
void lf_nf4_scale_values(float out[LF_NF4_BLOCKS]);

int64_t lf_nf4_size(int64_t out, int64_t in); /* bytes of lf_frozen.data */
void lf_nf4_prepare(lf_frozen *w, const float *W);
/* Block b of a row: up to 64 numbers to out; returns how many. */
int lf_nf4_block(const lf_frozen *w, int64_t row, int64_t b, float out[LF_NF4_BLOCK]);

#endif

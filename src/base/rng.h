/* Counter-based random numbers (Philox 4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). A number is a pure function of (seed, purpose, index): no state to save in a checkpoint, no dependence
 * on thread count or on how many numbers others drew. */
#ifndef LF_BASE_RNG_H
#define LF_BASE_RNG_H

#include <stdint.h>

typedef enum lf_rng_purpose {
    LF_RNG_HEAD_INIT = 1, /* index: module number, element */
    LF_RNG_ADAPTER_INIT,
    LF_RNG_MODEL_INIT,
    LF_RNG_SLICE,   /* slice_random's choice of components */
    LF_RNG_SKETCH,  /* randomized SVD */
    LF_RNG_SHUFFLE, /* sampler: epoch */
    LF_RNG_SPLIT,   /* train_val_split */
    LF_RNG_AUGMENT, /* epoch, example */
    LF_RNG_DROPOUT, /* step, op number, element */
    LF_RNG_TEST,
    LF_RNG_LETTERS, /* lf-letters: split and class, picture */
    LF_RNG_SAMPLE,  /* generate: text, token */
    LF_RNG_MASK,    /* of masked tokens: document, two a token */
    LF_RNG_ORDER,   /* of tasks: seed the draw, stream how many there are */
    LF_RNG_BALANCE, /* balanced sampler: class and round */
    LF_RNG_MIX,     /* batches whose pictures are mixed: epoch, batch */
    LF_RNG_SHOTS    /* which records are examples before a prompt */
} lf_rng_purpose;

typedef struct lf_rng_key {
    uint32_t k[2];
} lf_rng_key;

/* Keys differ for (seed, purpose, stream) that differ in one of the three; else they are the same by chance only
 * (2^-64). */
lf_rng_key lf_rng_make(uint64_t seed, lf_rng_purpose purpose, uint64_t stream);

/* Four independent 32-bit numbers of counter (hi, lo). */
void lf_rng_block(lf_rng_key key, uint64_t hi, uint64_t lo, uint32_t out[4]);

uint32_t lf_rng_u32(lf_rng_key key, uint64_t index);
double lf_rng_uniform(lf_rng_key key, uint64_t index); /* [0, 1), 53 bits */
double lf_rng_normal(lf_rng_key key, uint64_t index);  /* N(0, 1) by Box-Muller */
/* Numbers of the same, drawn from *draw on, until one is within +-cutoff; *draw is behind it then. */
double lf_rng_normal_within(lf_rng_key key, uint64_t *draw, double cutoff);
uint64_t lf_rng_below(lf_rng_key key, uint64_t index, uint64_t n); /* 0 .. n-1, n > 0; bias below 2^-64 * n */

/* A random permutation of 0 .. n-1 (Fisher-Yates). */
void lf_rng_permutation(lf_rng_key key, int64_t *out, int64_t n);

#endif

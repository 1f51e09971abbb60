/* One picture of a letter, bright on black as in Fashion-MNIST. */
#ifndef LF_EXAMPLES_LETTERS_RENDER_H
#define LF_EXAMPLES_LETTERS_RENDER_H

#include <stdint.h>

#include "base/rng.h"
#include "examples/letters/fontset.h"

#define LF_LETTERS_CLASSES 26

typedef struct lf_renderer lf_renderer;

/* size: pixels a side; n_cases: 1, or 2 if the fonts hold a second alphabet behind the first. NULL: out of memory. */
lf_renderer *lf_renderer_new(int size, int n_cases, uint64_t seed);
void lf_renderer_free(lf_renderer *r);

/* The index-th picture of a class, [size, size] bytes that live until the next call: a function of (seed, split,
 * letter, index) and the fonts alone. Only +, -, *, / and square roots, so the bytes do not depend on the C library
 * either. NULL: out of memory. */
const uint8_t *lf_render(lf_renderer *r, const lf_fontset *fonts, uint32_t split, uint32_t letter, uint32_t index);

#endif

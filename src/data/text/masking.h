/* Which tokens of a text a masked-language model is to say, and what stands in their places. */
#ifndef LF_DATA_TEXT_MASKING_H
#define LF_DATA_TEXT_MASKING_H

#include <stdbool.h>
#include <stdint.h>

typedef struct lf_text_masking {
    int32_t mask;                                        /* the token that hides another */
    int64_t vocab_size;                                  /* random tokens are below it */
    bool (*is_special)(const void *context, int32_t id); /* such tokens are never chosen */
    const void *context;
} lf_text_masking;

/* As BERT was trained (Devlin et al. 2019): of the n tokens 15 in 100 are chosen, of which 8 in 10 become the mask, 1
 * in 10 a random token, and the others stay. labels [n]: a chosen token's own id, else -1. What is chosen depends on
 * the number of the document and the token's place in it alone, whatever the run's seed, so that one text is always
 * judged at the same places. Returns how many were chosen. */
int64_t lf_text_mask(const lf_text_masking *m, int64_t document, int32_t *ids, int32_t *labels, int64_t n);

#endif

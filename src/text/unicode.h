/* What Hugging Face `tokenizers` thinks of a character. Its parts carry the Unicode of different years, so these sets
 * are tables made by asking it (scripts/make-unicode-tables.py, unicode.def), not those of a library. */
#ifndef LF_TEXT_UNICODE_H
#define LF_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool lf_char_is_space(uint32_t c);                 /* White_Space: 25 characters, unchanged since Unicode 6.3 */
bool lf_char_is_word(uint32_t c);                  /* \w of added tokens and of Whitespace */
bool lf_char_is_numeric(uint32_t c);               /* Digits */
bool lf_char_is_punctuation(uint32_t c);           /* Punctuation */
bool lf_char_is_inert(uint32_t c);                 /* normal forms leave it alone and do not look across it */
size_t lf_char_lower(uint32_t c, uint32_t out[3]); /* how many characters its lower case has: 1 or 2 */

bool lf_char_is_unclean(uint32_t c); /* what BertNormalizer's clean_text removes, but for NUL */
bool lf_char_is_accent(uint32_t c);  /* what its strip_accents removes after NFD */
bool lf_char_is_mark(uint32_t c);    /* what StripAccents removes */

/* What a character is in an extended grapheme cluster (grapheme.h). */
typedef enum lf_cluster_class {
    LF_CLUSTER_OTHER,
    LF_CLUSTER_CONTROL, /* CR and LF too */
    LF_CLUSTER_EXTEND,
    LF_CLUSTER_ZWJ,
    LF_CLUSTER_MARK, /* spacing mark */
    LF_CLUSTER_PREPEND,
    LF_CLUSTER_REGION, /* regional indicator */
    LF_CLUSTER_L,      /* Hangul */
    LF_CLUSTER_V,
    LF_CLUSTER_T,
    LF_CLUSTER_LV,
    LF_CLUSTER_LVT,
    LF_CLUSTER_PICTURE,  /* extended pictographic */
    LF_CLUSTER_CONSONANT /* of scripts that join consonants */
} lf_cluster_class;
lf_cluster_class lf_char_cluster_class(uint32_t c);
/* Of what may stand between two joined consonants: what joins them, or merely stands there. */
typedef enum lf_joiner { LF_JOINER_NONE, LF_JOINER_LINKER, LF_JOINER_INNER } lf_joiner;
lf_joiner lf_char_joiner(uint32_t c);

/* Characters with this category ("Lu", or "L" for all of L) or script ("Han") that PCRE2 may not know yet. */
typedef struct lf_late_range {
    uint32_t first, last;
    const char *name;
} lf_late_range;
extern const lf_late_range lf_late_ranges[];
extern const size_t lf_n_late_ranges;

#endif

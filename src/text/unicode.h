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
size_t lf_char_lower(uint32_t c, uint32_t out[2]); /* how many characters its lower case has: 1 or 2 */

/* Characters with this category ("Lu", or "L" for all of L) or script ("Han") that PCRE2 may not know yet. */
typedef struct lf_late_range {
    uint32_t first, last;
    const char *name;
} lf_late_range;
extern const lf_late_range lf_late_ranges[];
extern const size_t lf_n_late_ranges;

#endif

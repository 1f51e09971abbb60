/* The replacements of a sentencepiece normalizer, a "precompiled_charsmap": beginnings of text, in a trie, and what
 * each becomes. */
#ifndef LF_TEXT_CHARSMAP_H
#define LF_TEXT_CHARSMAP_H

#include <stddef.h>

#include "base/error.h"

typedef struct lf_charsmap lf_charsmap; /* fixed once open */

/* From the text of the key, base64. `where` (file and key) is named in errors, and borrowed. LF_EDATA if it is no such
 * map. The caller frees *out. */
lf_status lf_charsmap_open(lf_charsmap **out, const char *base64, const char *where, lf_err *err);
void lf_charsmap_free(lf_charsmap *m);

/* What replaces s[0 .. n): what is there for the shortest beginning of it that has a replacement, `tokenizers` has it
 * so. *size bytes, borrowed; NULL: no beginning has one. LF_EDATA if the map points at what is no text. */
lf_status lf_charsmap_find(const lf_charsmap *m, const char *s, size_t n, const char **text, size_t *size, lf_err *err);

#endif

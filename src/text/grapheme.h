/* What people take for one character: extended grapheme clusters, as `tokenizers` (0.23.3, Unicode 16) cuts text. */
#ifndef LF_TEXT_GRAPHEME_H
#define LF_TEXT_GRAPHEME_H

#include <stddef.h>

/* Bytes of the cluster that begins at s, valid UTF-8 of n > 0 bytes. */
size_t lf_grapheme_size(const char *s, size_t n);

#endif

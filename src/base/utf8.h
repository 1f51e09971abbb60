/* What is UTF-8 and what is not (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF). */
#ifndef LF_BASE_UTF8_H
#define LF_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the character at s, of which n bytes may be read; 0 if there is none or it is cut off. */
size_t lf_utf8_length(const char *s, size_t n);
/* Place of the first byte that does not belong to a character; n if all do. */
size_t lf_utf8_check(const char *s, size_t n);

#endif

/* GPT-2's way to write any byte as a visible character: printable ASCII and Latin-1 stand for themselves, the other 68
 * bytes are U+0100, U+0101, ... in order. */
#ifndef LF_TEXT_BYTELEVEL_H
#define LF_TEXT_BYTELEVEL_H

#include "base/string.h"

size_t lf_byte_char(unsigned char b, char out[4]);               /* UTF-8 of the character; its size */
bool lf_bytes_to_chars(lf_string *out, const char *s, size_t n); /* appends; false: no memory */
bool lf_char_byte(uint32_t c, unsigned char *b);                 /* false: c stands for no byte */

#endif

/* UTF-8, one character at a time: what Unicode 15, table 3-7 allows (no overlong forms, no surrogates, nothing above
 * U+10FFFF). */
#ifndef LF_BASE_UTF8_H
#define LF_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at s, of which n > 0 bytes are there; *c is it. 0 if it is not UTF-8. */
size_t lf_utf8_next(const char *s, size_t n, uint32_t *c);

/* Where the first byte is that belongs to no character; n if there is none. */
size_t lf_utf8_invalid(const char *s, size_t n);

/* Bytes of the byte order mark that a text begins with: 3, or 0. */
size_t lf_utf8_mark_size(const char *s, size_t n);

/* Writes c, which must be a character; returns the number of bytes. */
size_t lf_utf8_put(char out[4], uint32_t c);

/* How many bytes one U+FFFD replaces at s, which is no character: the longest beginning of one, at least a byte. This
 * is what the Unicode standard recommends (3.9, "maximal subparts") and what Rust and browsers do. */
size_t lf_utf8_bad_size(const char *s, size_t n);

/* Bytes of the character at s, which must be valid. */
static inline size_t lf_utf8_size(const char *s) {
    const unsigned char b = (unsigned char)*s;
    return b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

#endif

#include "text/bytelevel.h"

#include "base/utf8.h"

static bool stands_for_itself(uint32_t b) {
    return (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
}

/* The bytes that do not are 0 .. 0x20, 0x7f .. 0xa0 and 0xad, numbered in that order. */
static uint32_t char_of(unsigned char b) {
    if (stands_for_itself(b)) return b;
    return 0x100u + (b <= 0x20 ? b : b <= 0xa0 ? 0x21u + b - 0x7f : 0x43u);
}

size_t lf_byte_char(unsigned char b, char out[4]) { return lf_utf8_put(out, char_of(b)); }

bool lf_bytes_to_chars(lf_string *out, const char *s, size_t n) {
    if (n > SIZE_MAX / 2 || !lf_string_reserve(out, 2 * n))
        return false; /* no such character has more than two bytes */
    for (size_t i = 0; i < n; i++) {
        char c[4];
        const size_t size = lf_byte_char((unsigned char)s[i], c);
        for (size_t k = 0; k < size; k++) out->s[out->n++] = c[k];
    }
    return true;
}

bool lf_char_byte(uint32_t c, unsigned char *b) {
    if (c < 0x100) {
        *b = (unsigned char)c;
        return stands_for_itself(c);
    }
    const uint32_t i = c - 0x100;
    if (i > 0x43) return false;
    *b = (unsigned char)(i <= 0x20 ? i : i < 0x43 ? i - 0x21 + 0x7f : 0xad);
    return true;
}

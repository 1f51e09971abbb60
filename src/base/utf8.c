#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* How long the character is that begins with this byte (0: none does), and what its second byte may be. */
static size_t lead(unsigned char b, unsigned char *low, unsigned char *high) {
    *low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
    *high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
    return b < 0x80 ? 1 : b < 0xc2 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf5 ? 4 : 0;
}

/* Bytes at s that begin a character of `size` bytes. */
static size_t good_bytes(const unsigned char *s, size_t n, size_t size, unsigned char low, unsigned char high) {
    size_t i = 1;
    while (i < size && i < n) {
        if (s[i] < low || s[i] > high) break;
        low = 0x80;
        high = 0xbf;
        i++;
    }
    return i;
}

size_t lf_utf8_next(const char *text, size_t n, uint32_t *c) {
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low, high;
    if (s[0] < 0x80) {
        *c = s[0];
        return 1;
    }
    const size_t size = lead(s[0], &low, &high);
    if (size == 0 || good_bytes(s, n, size, low, high) < size) return 0;
    uint32_t value = s[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) value = value << 6 | (s[i] & 0x3fu);
    *c = value;
    return size;
}

size_t lf_utf8_bad_size(const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low, high;
    const size_t size = lead(s[0], &low, &high);
    return size == 0 ? 1 : good_bytes(s, n, size, low, high);
}

size_t lf_utf8_invalid(const char *s, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        uint32_t c;
        if (n - i >= sizeof eight) {
            memcpy(&eight, s + i, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        const size_t size = lf_utf8_next(s + i, n - i, &c);
        if (size == 0) return i;
        i += size;
    }
    return n;
}

size_t lf_utf8_put(char out[4], uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00u >> n & 0xf0) | c); /* c0, e0, f0 */
    return n;
}

size_t lf_utf8_mark_size(const char *s, size_t n) {
    static const char mark[3] = {'\xef', '\xbb', '\xbf'};
    return n >= sizeof mark && memcmp(s, mark, sizeof mark) == 0 ? sizeof mark : 0;
}

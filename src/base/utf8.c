#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

size_t lf_utf8_length(const char *text, size_t left) {
    const unsigned char *s = (const unsigned char *)text;
    if (left == 0) return 0;
    const size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    const bool too_long = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    const bool no_character = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    return too_long || no_character ? 0 : n;
}

size_t lf_utf8_check(const char *s, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        while (n - i >= sizeof eight && (memcpy(&eight, s + i, sizeof eight), !(eight & 0x8080808080808080u)))
            i += sizeof eight; /* most text is ASCII for most of its length */
        if (i == n) break;
        const size_t size = lf_utf8_length(s + i, n - i);
        if (size == 0) return i;
        i += size;
    }
    return n;
}

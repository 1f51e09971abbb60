#include "base/plain.h"

#include <string.h>

/* U+0080 to 9f; U+202a to 202e and U+2066 to 2069: embeddings, overrides, isolates and their ends. */
size_t lf_control_size(const char *s) {
    const unsigned char *b = (const unsigned char *)s;
    if ((b[0] && b[0] < 0x20) || b[0] == 0x7f) return 1;
    if (b[0] == 0xc2) return b[1] >= 0x80 && b[1] < 0xa0 ? 2 : 0;
    if (b[0] != 0xe2 || !b[1]) return 0;
    return (b[1] == 0x80 && b[2] >= 0xaa && b[2] <= 0xae) || (b[1] == 0x81 && b[2] >= 0xa6 && b[2] <= 0xa9) ? 3 : 0;
}

void lf_make_plain(char *s) {
    char *to = s;
    while (*s) {
        const size_t n = lf_control_size(s);
        *to++ = n ? '?' : *s;
        s += n ? n : 1;
    }
    *to = 0;
}

void lf_print_plain(FILE *out, const char *text) {
    while (*text) {
        const size_t n = lf_control_size(text);
        fputc(n ? '?' : *text, out);
        text += n ? n : 1;
    }
}

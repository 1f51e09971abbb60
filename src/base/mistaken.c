#include "base/mistaken.h"

#include <ctype.h>
#include <stdbool.h>

typedef struct beginning {
    const char *bytes, *what;
    size_t n;
} beginning;

static const beginning beginnings[] = {
#define LF_MISTAKEN(bytes, what) {bytes, what, sizeof(bytes) - 1},
#include "base/mistaken.def"
#undef LF_MISTAKEN
};

static bool begins(const char *s, size_t n, const beginning *b) {
    if (n < b->n) return false;
    for (size_t i = 0; i < b->n; i++)
        if (tolower((unsigned char)s[i]) != tolower((unsigned char)b->bytes[i])) return false;
    return true;
}

/* Without a mark, every second byte of text in these encodings is 0 where the characters are Latin. */
const char *lf_wide_text(const char *s, size_t n) {
    if (n < 4) return NULL;
    if (s[0] && !s[1] && s[2] && !s[3]) return "UTF-16 text without a mark (little endian); save it as UTF-8";
    if (!s[0] && s[1] && !s[2] && s[3]) return "UTF-16 text without a mark (big endian); save it as UTF-8";
    return NULL;
}

const char *lf_mistaken_text(const char *s, size_t n) {
    size_t blank = 0;
    while (blank < n && isspace((unsigned char)s[blank])) blank++;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        const beginning *b = &beginnings[i];
        const size_t skip = *b->bytes == '<' ? blank : 0;
        if (begins(s + skip, n - skip, b)) return b->what;
    }
    return lf_wide_text(s, n);
}

#include "text/unicode.h"

#include <utf8proc.h>

#define LF_LATE(first, last, name)
#define LF_WORD(first, last)
#define LF_NUMERIC(first, last)
#define LF_PUNCTUATION(first, last)
#define LF_INERT(first, last)
#define LF_LOWER(first, last, add)

#undef LF_LATE
#define LF_LATE(first, last, name) {first, last, name},
const lf_late_range lf_late_ranges[] = {
#include "text/unicode.def"
};
#undef LF_LATE
#define LF_LATE(first, last, name)
const size_t lf_n_late_ranges = sizeof lf_late_ranges / sizeof *lf_late_ranges;

typedef struct char_range {
    uint32_t first, last;
} char_range;

#undef LF_WORD
#define LF_WORD(first, last) {first, last},
static const char_range word[] = {
#include "text/unicode.def"
};
#undef LF_WORD
#define LF_WORD(first, last)

#undef LF_NUMERIC
#define LF_NUMERIC(first, last) {first, last},
static const char_range numeric[] = {
#include "text/unicode.def"
};
#undef LF_NUMERIC
#define LF_NUMERIC(first, last)

#undef LF_PUNCTUATION
#define LF_PUNCTUATION(first, last) {first, last},
static const char_range punctuation[] = {
#include "text/unicode.def"
};
#undef LF_PUNCTUATION
#define LF_PUNCTUATION(first, last)

#undef LF_INERT
#define LF_INERT(first, last) {first, last},
static const char_range inert[] = {
#include "text/unicode.def"
};
#undef LF_INERT
#define LF_INERT(first, last)

typedef struct lower_range {
    uint32_t first, last;
    int32_t add;
} lower_range;
#undef LF_LOWER
#define LF_LOWER(first, last, add) {first, last, add},
static const lower_range lower[] = {
#include "text/unicode.def"
};

static bool among(uint32_t c, const char_range *ranges, size_t n) {
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && ranges[low].first <= c;
}

bool lf_char_is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool lf_char_is_word(uint32_t c) { return among(c, word, sizeof word / sizeof *word); }
bool lf_char_is_numeric(uint32_t c) { return among(c, numeric, sizeof numeric / sizeof *numeric); }
bool lf_char_is_punctuation(uint32_t c) { return among(c, punctuation, sizeof punctuation / sizeof *punctuation); }
bool lf_char_is_inert(uint32_t c) { return among(c, inert, sizeof inert / sizeof *inert); }

size_t lf_char_lower(uint32_t c, uint32_t out[2]) {
    if (c == 0x130) { /* capital I with dot: the one character whose lower case is two */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    for (size_t i = 0; i < sizeof lower / sizeof *lower; i++)
        if (c >= lower[i].first && c <= lower[i].last) out[0] = (uint32_t)((int32_t)c + lower[i].add);
    return 1;
}

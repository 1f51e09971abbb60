#include "text/unicode.h"

#include <utf8proc.h>

#define LF_LATE(first, last, name)
#define LF_WORD(first, last)
#define LF_NUMERIC(first, last)
#define LF_PUNCTUATION(first, last)
#define LF_INERT(first, last)
#define LF_LOWER(first, last, add)
#define LF_UNCLEAN(first, last)
#define LF_ACCENT(first, last)
#define LF_MARK(first, last)
#define LF_CLUSTER(first, last, kind)
#define LF_JOINER(first, last, kind)

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

#undef LF_UNCLEAN
#define LF_UNCLEAN(first, last) {first, last},
static const char_range unclean[] = {
#include "text/unicode.def"
};
#undef LF_UNCLEAN
#define LF_UNCLEAN(first, last)

#undef LF_ACCENT
#define LF_ACCENT(first, last) {first, last},
static const char_range accent[] = {
#include "text/unicode.def"
};
#undef LF_ACCENT
#define LF_ACCENT(first, last)

#undef LF_MARK
#define LF_MARK(first, last) {first, last},
static const char_range mark[] = {
#include "text/unicode.def"
};
#undef LF_MARK
#define LF_MARK(first, last)

typedef struct kind_range {
    uint32_t first, last;
    int kind;
} kind_range;
#undef LF_CLUSTER
#define LF_CLUSTER(first, last, kind) {first, last, LF_CLUSTER_##kind},
static const kind_range clusters[] = {
#include "text/unicode.def"
};
#undef LF_CLUSTER
#define LF_CLUSTER(first, last, kind)

#undef LF_JOINER
#define LF_JOINER(first, last, kind) {first, last, LF_JOINER_##kind},
static const kind_range joiners[] = {
#include "text/unicode.def"
};
#undef LF_JOINER
#define LF_JOINER(first, last, kind)

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

static int kind_among(uint32_t c, const kind_range *ranges, size_t n) {
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && ranges[low].first <= c ? ranges[low].kind : 0;
}

lf_cluster_class lf_char_cluster_class(uint32_t c) {
    if (c >= 0xac00 && c <= 0xd7a3) return (c - 0xac00) % 28 == 0 ? LF_CLUSTER_LV : LF_CLUSTER_LVT;
    return (lf_cluster_class)kind_among(c, clusters, sizeof clusters / sizeof *clusters);
}
lf_joiner lf_char_joiner(uint32_t c) { return (lf_joiner)kind_among(c, joiners, sizeof joiners / sizeof *joiners); }

bool lf_char_is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool lf_char_is_word(uint32_t c) { return among(c, word, sizeof word / sizeof *word); }
bool lf_char_is_numeric(uint32_t c) { return among(c, numeric, sizeof numeric / sizeof *numeric); }
bool lf_char_is_punctuation(uint32_t c) { return among(c, punctuation, sizeof punctuation / sizeof *punctuation); }
bool lf_char_is_inert(uint32_t c) { return among(c, inert, sizeof inert / sizeof *inert); }

bool lf_char_is_unclean(uint32_t c) { return among(c, unclean, sizeof unclean / sizeof *unclean); }
bool lf_char_is_accent(uint32_t c) { return among(c, accent, sizeof accent / sizeof *accent); }
bool lf_char_is_mark(uint32_t c) { return among(c, mark, sizeof mark / sizeof *mark); }

size_t lf_char_lower(uint32_t c, uint32_t out[3]) {
    if (c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
        return 1;
    }
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

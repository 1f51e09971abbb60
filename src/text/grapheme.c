/* Unicode, annex 29, rules GB3 to GB13. */
#include "text/grapheme.h"

#include "base/utf8.h"
#include "text/unicode.h"

/* What the cluster so far says of whether the next character still belongs to it. */
typedef struct cluster {
    lf_cluster_class last;
    bool picture;   /* a picture and what extends it: behind a ZWJ another picture may follow (GB11) */
    bool consonant; /* a consonant and what may stand between it and the next (GB9c), */
    bool linked;    /* a linker among it */
    bool odd;       /* regional indicators, an odd number of them (GB12) */
} cluster;

static bool hangul(lf_cluster_class a, lf_cluster_class b) {
    if (a == LF_CLUSTER_L) return b == LF_CLUSTER_L || b == LF_CLUSTER_V || b == LF_CLUSTER_LV || b == LF_CLUSTER_LVT;
    if (a == LF_CLUSTER_LV || a == LF_CLUSTER_V) return b == LF_CLUSTER_V || b == LF_CLUSTER_T;
    return (a == LF_CLUSTER_LVT || a == LF_CLUSTER_T) && b == LF_CLUSTER_T;
}

static bool joins(const cluster *s, lf_cluster_class next) {
    if (s->last == LF_CLUSTER_CONTROL || next == LF_CLUSTER_CONTROL) return false;
    if (next == LF_CLUSTER_EXTEND || next == LF_CLUSTER_ZWJ || next == LF_CLUSTER_MARK) return true;
    if (s->last == LF_CLUSTER_PREPEND || hangul(s->last, next)) return true;
    if (next == LF_CLUSTER_CONSONANT) return s->consonant && s->linked;
    if (next == LF_CLUSTER_PICTURE) return s->last == LF_CLUSTER_ZWJ && s->picture;
    return next == LF_CLUSTER_REGION && s->last == LF_CLUSTER_REGION && s->odd;
}

static void add(cluster *s, uint32_t c, lf_cluster_class next) {
    const lf_joiner joiner = lf_char_joiner(c);
    s->picture = next == LF_CLUSTER_PICTURE ||
                 (s->picture && s->last != LF_CLUSTER_ZWJ && (next == LF_CLUSTER_EXTEND || next == LF_CLUSTER_ZWJ));
    s->linked = next != LF_CLUSTER_CONSONANT && s->consonant && (s->linked || joiner == LF_JOINER_LINKER);
    s->consonant = next == LF_CLUSTER_CONSONANT || (s->consonant && joiner != LF_JOINER_NONE);
    s->odd = next == LF_CLUSTER_REGION && !(s->last == LF_CLUSTER_REGION && s->odd);
    s->last = next;
}

size_t lf_grapheme_size(const char *s, size_t n) {
    uint32_t c;
    size_t i = lf_utf8_next(s, n, &c);
    if (c == '\r' && i < n && s[i] == '\n') return 2;
    if (c < 0x80 && (i >= n || (unsigned char)s[i] < 0x80)) return i;
    cluster so_far = {.last = LF_CLUSTER_OTHER};
    add(&so_far, c, lf_char_cluster_class(c));
    while (i < n) {
        const size_t size = lf_utf8_next(s + i, n - i, &c);
        const lf_cluster_class next = lf_char_cluster_class(c);
        if (!joins(&so_far, next)) break;
        add(&so_far, c, next);
        i += size;
    }
    return i;
}

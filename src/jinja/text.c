/* Text that knows where each byte came from. */
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "jinja/internal.h"

/* ---- building ---- */

/* Room for `wanted` in an array of the run's memory: copied, and what it was is left to the arena. */
static bool room(lf_jinja_run *r, void *array, size_t *capacity, size_t used, size_t wanted, size_t element) {
    void **at = array;
    if (wanted <= *capacity) return true;
    const size_t most = *capacity < 16 ? 32 : 2 * *capacity, n = wanted > most ? wanted : most;
    uint64_t bytes;
    void *to = __builtin_mul_overflow(n, element, &bytes) ? NULL : lf_jtake(r, (size_t)bytes);
    if (!to) return false;
    if (used) memcpy(to, *at, used * element);
    *at = to;
    *capacity = n;
    return true;
}

static bool like(const lf_jinja_span *a, const lf_jinja_span *b) {
    return a->origin == b->origin && a->changed == b->changed && a->generated == b->generated;
}

static void mark(lf_jbuilder *b, size_t begin, size_t end, lf_jinja_span what) {
    lf_jinja_span *last = b->n_spans ? &b->spans[b->n_spans - 1] : NULL;
    if (begin == end || (what.origin == 0 && !what.generated)) return;
    if (last && last->end == begin && like(last, &what)) {
        last->end = end;
    } else if (room(b->r, &b->spans, &b->span_capacity, b->n_spans, b->n_spans + 1, sizeof *b->spans)) {
        what.begin = begin;
        what.end = end;
        b->spans[b->n_spans++] = what;
    }
}

void lf_jb_put_of(lf_jbuilder *b, const char *s, size_t n, lf_jinja_span what) {
    if (lf_jstop(b->r) || !lf_jstep(b->r, n / 64)) return;
    if (!room(b->r, &b->s, &b->capacity, b->n, b->n + n + 1, 1)) return;
    memcpy(b->s + b->n, s, n);
    b->s[b->n + n] = 0;
    mark(b, b->n, b->n + n, what);
    b->n += n;
}

void lf_jb_put(lf_jbuilder *b, const char *s, size_t n) { lf_jb_put_of(b, s, n, (lf_jinja_span){0}); }

/* The first span that ends behind `at`. */
static size_t first_span(const lf_jstr *s, size_t at) {
    size_t low = 0, high = s->n_spans;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (s->spans[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

lf_jinja_span lf_jspan_at(const lf_jstr *s, size_t at) {
    const size_t i = first_span(s, at);
    return i < s->n_spans && s->spans[i].begin <= at ? s->spans[i] : (lf_jinja_span){0};
}

void lf_jb_add_part(lf_jbuilder *b, const lf_jstr *s, size_t begin, size_t end) {
    const size_t at = b->n;
    lf_jb_put(b, s->s + begin, end - begin);
    for (size_t i = first_span(s, begin); i < s->n_spans && s->spans[i].begin < end && !lf_jstop(b->r); i++) {
        const lf_jinja_span *o = &s->spans[i];
        const size_t from = o->begin > begin ? o->begin : begin, to = o->end < end ? o->end : end;
        mark(b, at + from - begin, at + to - begin, *o);
    }
}

void lf_jb_add(lf_jbuilder *b, const lf_jstr *s) { lf_jb_add_part(b, s, 0, s->n); }

static const lf_jstr empty = {.s = ""};

lf_jval lf_jb_value(lf_jbuilder *b) {
    lf_jstr *s = b->n ? lf_jtake(b->r, sizeof *s) : NULL;
    if (s) *s = (lf_jstr){.s = b->s, .n = b->n, .spans = b->spans, .n_spans = b->n_spans};
    return (lf_jval){.kind = LF_J_STR, .s = s ? s : &empty};
}

lf_jval lf_jpart(lf_jinja_run *r, const lf_jstr *s, size_t begin, size_t end) {
    lf_jbuilder b = {.r = r};
    if (begin < end) lf_jb_add_part(&b, s, begin, end);
    return lf_jb_value(&b);
}

lf_jval lf_jtext(lf_jinja_run *r, const char *s, size_t n) {
    lf_jbuilder b = {.r = r};
    lf_jb_put(&b, s, n);
    return lf_jb_value(&b);
}

lf_jval lf_jliteral(lf_jinja_run *r, const char *s) { return lf_jtext(r, s, strlen(s)); }

/* ---- characters ---- */

size_t lf_jchar_next(const lf_jstr *s, size_t at, uint32_t *c) {
    const size_t n = lf_utf8_next(s->s + at, s->n - at, c);
    if (n) return n;
    *c = (unsigned char)s->s[at];
    return 1;
}

size_t lf_jchars(const lf_jstr *s) {
    uint32_t c;
    size_t n = 0;
    for (size_t at = 0; at < s->n; n++) at += lf_jchar_next(s, at, &c);
    return n;
}

bool lf_jspace(uint32_t c) {
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* What Python makes several characters of (SpecialCasing.txt of Unicode): upper, then title, with spaces between. */
static const struct {
    uint32_t c;
    uint16_t upper[3], title[3];
} special[] = {
#define LF_JINJA_CASE(c, u1, u2, u3, t1, t2, t3) {c, {u1, u2, u3}, {t1, t2, t3}},
#include "jinja/cases.def"
#undef LF_JINJA_CASE
};

static size_t cased(uint32_t c, lf_jcase how, uint32_t out[3]) {
    size_t low = 0, high = sizeof special / sizeof *special;
    while (how != LF_J_LOWER && low < high) {
        const size_t middle = (low + high) / 2;
        if (special[middle].c == c) {
            const uint16_t *to = how == LF_J_UPPER ? special[middle].upper : special[middle].title;
            size_t n = 0;
            for (; n < 3 && to[n]; n++) out[n] = to[n];
            return n;
        }
        if (special[middle].c < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (how == LF_J_LOWER && c == 0x130) return out[0] = 'i', out[1] = 0x307, 2;
    const utf8proc_int32_t i = (utf8proc_int32_t)c;
    out[0] = (uint32_t)(how == LF_J_UPPER   ? utf8proc_toupper(i)
                        : how == LF_J_LOWER ? utf8proc_tolower(i)
                                            : utf8proc_totitle(i));
    return 1;
}

void lf_jb_add_cased(lf_jbuilder *b, const lf_jstr *s, size_t begin, size_t end, lf_jcase how) {
    const lf_jstr part = {.s = s->s, .n = end}; /* a character does not reach over the end */
    for (size_t at = begin; at < end && lf_jstep(b->r, 1);) {
        uint32_t c, out[3];
        const size_t n = lf_jchar_next(&part, at, &c);
        lf_jinja_span what = lf_jspan_at(s, at);
        const size_t many = n == 1 && c >= 0x80 ? 0 : cased(c, how, out);
        if (c == 0x3a3 && how == LF_J_LOWER) /* a sigma at a word's end is another one: Python looks around */
            lf_jfail(b->r, LF_EUNSUPPORTED, "the lower case of a capital sigma is not supported");
        if (many == 0 || (many == 1 && out[0] == c)) lf_jb_put_of(b, s->s + at, n, what);
        what.changed = true;
        for (size_t i = 0; i < many && !(many == 1 && out[0] == c); i++) {
            char utf8[4];
            lf_jb_put_of(b, utf8, lf_utf8_put(utf8, out[i]), what);
        }
        at += n;
    }
}

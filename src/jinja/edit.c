/* Editing text, as filters and methods both do. */
#define _GNU_SOURCE /* memmem */
#include <string.h>
#include <utf8proc.h>

#include "jinja/internal.h"

static bool in_set(const lf_jstr *set, uint32_t c) {
    uint32_t one;
    for (size_t at = 0; at < set->n;) {
        at += lf_jchar_next(set, at, &one);
        if (one == c) return true;
    }
    return false;
}

lf_jval lf_jstrip(lf_jinja_run *r, const lf_jstr *s, lf_jval chars, lf_jsides sides) {
    size_t begin = s->n, end = 0; /* of what stays */
    const lf_jstr *set = chars.kind == LF_J_STR ? chars.s : NULL;
    if (!set && chars.kind != LF_J_ABSENT && chars.kind != LF_J_NONE)
        return lf_jfail(r, LF_EDATA, "strip: expected a text, found a %s", lf_jtype(&chars));
    for (size_t at = 0, n; at < s->n && lf_jstep(r, 1); at += n) {
        uint32_t c;
        n = lf_jchar_next(s, at, &c);
        const bool broken = n == 1 && c >= 0x80; /* a byte that is no character is no space */
        if (set ? in_set(set, c) : !broken && lf_jspace(c)) continue;
        if (begin > at) begin = at;
        end = at + n;
    }
    if (!(sides & LF_J_LEFT)) begin = 0;
    if (!(sides & LF_J_RIGHT)) end = s->n;
    lf_jval v = lf_jpart(r, s, begin, end);
    return v;
}

lf_jval lf_jreplace(lf_jinja_run *r, const lf_jstr *s, const lf_jstr *old, const lf_jstr *new, int64_t count) {
    lf_jbuilder b = {.r = r};
    size_t at = 0;
    for (; count != 0 && lf_jstep(r, 1); count--) {
        if (old->n == 0) { /* before every character, and behind the last */
            uint32_t c;
            lf_jb_add(&b, new);
            if (at == s->n) break;
            const size_t n = lf_jchar_next(s, at, &c);
            lf_jb_add_part(&b, s, at, at + n);
            at += n;
            continue;
        }
        const char *next = memmem(s->s + at, s->n - at, old->s, old->n);
        if (!next) break;
        lf_jb_add_part(&b, s, at, (size_t)(next - s->s));
        lf_jb_add(&b, new);
        at = (size_t)(next - s->s) + old->n;
    }
    lf_jb_add_part(&b, s, at, s->n);
    return lf_jb_value(&b);
}

lf_jval lf_jcased(lf_jinja_run *r, const lf_jstr *s, lf_jcase how) {
    lf_jbuilder b = {.r = r};
    lf_jb_add_cased(&b, s, 0, s->n, how);
    return lf_jb_value(&b);
}

lf_jval lf_jcapitalize(lf_jinja_run *r, const lf_jstr *s) {
    lf_jbuilder b = {.r = r};
    uint32_t c;
    const size_t first = s->n ? lf_jchar_next(s, 0, &c) : 0;
    lf_jb_add_cased(&b, s, 0, first, LF_J_TITLE);
    lf_jb_add_cased(&b, s, first, s->n, LF_J_LOWER);
    return lf_jb_value(&b);
}

static bool ends_line(uint32_t c) {
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

lf_jseq lf_jlines(lf_jinja_run *r, const lf_jstr *s, bool keep_ends) {
    lf_jseq lines = {.form = LF_J_LIST};
    size_t begin = 0;
    for (size_t at = 0; at < s->n && lf_jstep(r, 1);) {
        uint32_t c;
        size_t n = lf_jchar_next(s, at, &c);
        if (ends_line(c)) {
            if (c == '\r' && at + 1 < s->n && s->s[at + 1] == '\n') n = 2;
            lf_jseq_add(r, &lines, lf_jpart(r, s, begin, keep_ends ? at + n : at));
            begin = at + n;
        }
        at += n;
    }
    if (begin < s->n) lf_jseq_add(r, &lines, lf_jpart(r, s, begin, s->n));
    return lines;
}

lf_jval lf_jjoin(lf_jinja_run *r, const lf_jstr *between, const lf_jseq *parts, bool only_text) {
    lf_jbuilder b = {.r = r};
    for (size_t i = 0; i < parts->n && lf_jstep(r, 1); i++) {
        const lf_jval v = parts->items[i];
        if (only_text && v.kind != LF_J_STR)
            lf_jfail(r, LF_EDATA, "join: item %zu is a %s, not a text", i, lf_jtype(&v));
        if (i) lf_jb_add(&b, between);
        lf_jb_str(&b, v);
    }
    return lf_jb_value(&b);
}

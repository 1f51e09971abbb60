/* Filters of text. What is no text is taken as str() writes it. */
#include <string.h>
#include <utf8proc.h>

#include "jinja/tables.h"

lf_jval lf_jfilter_string(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return (lf_jval){.kind = LF_J_STR, .s = lf_jstr_of(r, v)};
}

lf_jval lf_jfilter_safe(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    lf_jstr *s = lf_jtake(r, sizeof *s);
    if (!s) return v;
    *s = *lf_jstr_of(r, v);
    s->markup = true;
    return (lf_jval){.kind = LF_J_STR, .s = s};
}

lf_jval lf_jfilter_upper(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return lf_jcased(r, lf_jstr_of(r, v), LF_J_UPPER);
}

lf_jval lf_jfilter_lower(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return lf_jcased(r, lf_jstr_of(r, v), LF_J_LOWER);
}

lf_jval lf_jfilter_capitalize(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return lf_jcapitalize(r, lf_jstr_of(r, v));
}

/* Words are what stands between runs of white space and -({[<, each of which is left as it is. */
lf_jval lf_jfilter_title(lf_jinja_run *r, lf_jval v, lf_jcall *call) {
    (void)call;
    const lf_jstr *s = lf_jstr_of(r, v);
    lf_jbuilder b = {.r = r};
    bool begins = true;
    for (size_t at = 0; at < s->n && lf_jstep(r, 1);) {
        uint32_t c;
        const size_t n = lf_jchar_next(s, at, &c);
        const bool between = (c < 0x80 && c && strchr("-({[<", (int)c)) || lf_jspace(c);
        lf_jb_add_cased(&b, s, at, at + n, begins && !between ? LF_J_UPPER : LF_J_LOWER);
        begins = between;
        at += n;
    }
    return lf_jb_value(&b);
}

lf_jval lf_jfilter_trim(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    return lf_jstrip(r, lf_jstr_of(r, v), c->slot[0], LF_J_BOTH);
}

lf_jval lf_jfilter_replace(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    int64_t count = -1;
    const lf_jval given = c->slot[2];
    if (given.kind != LF_J_ABSENT && given.kind != LF_J_NONE && !lf_jas_int(&given, &count))
        return lf_jfail(r, LF_EDATA, "replace: count is a %s, not a number", lf_jtype(&given));
    return lf_jreplace(r, lf_jstr_of(r, v), lf_jstr_of(r, c->slot[0]), lf_jstr_of(r, c->slot[1]), count);
}

lf_jval lf_jfilter_format(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jstr *s = lf_jstr_of(r, v);
    if (c->given.n && c->named.n) return lf_jfail(r, LF_EDATA, "format: arguments with and without names");
    c->given.form = LF_J_TUPLE;
    return lf_jformat(
        r, s, c->named.n ? (lf_jval){.kind = LF_J_DICT, .d = &c->named} : (lf_jval){.kind = LF_J_SEQ, .q = &c->given});
}

/* How far lines are moved: a text, or a number of spaces. */
static const lf_jstr *indention(lf_jinja_run *r, lf_jval width) {
    int64_t n = 4;
    lf_jbuilder b = {.r = r};
    if (width.kind == LF_J_STR) return width.s;
    if (width.kind != LF_J_ABSENT && !lf_jas_int(&width, &n))
        lf_jfail(r, LF_EDATA, "indent: width is a %s, not a number or a text", lf_jtype(&width));
    for (; n > 0 && lf_jstep(r, 1); n--) lf_jb_put(&b, " ", 1);
    return lf_jb_value(&b).s;
}

lf_jval lf_jfilter_indent(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    lf_jbuilder whole = {.r = r}, b = {.r = r};
    if (v.kind != LF_J_STR) return lf_jfail(r, LF_EDATA, "indent: expected a text, found a %s", lf_jtype(&v));
    const lf_jstr *by = indention(r, c->slot[0]);
    const bool first = lf_jtruth(&c->slot[1]), blank = lf_jtruth(&c->slot[2]);
    lf_jb_add(&whole, v.s);
    lf_jb_put(&whole, "\n", 1); /* so that an empty last line counts */
    const lf_jseq lines = lf_jlines(r, lf_jb_value(&whole).s, false);
    for (size_t i = 0; i < lines.n && lf_jstep(r, 1); i++) {
        const lf_jstr *line = lines.items[i].s;
        if (i) lf_jb_put(&b, "\n", 1);
        if (i == 0 ? first : blank || line->n) lf_jb_add(&b, by);
        lf_jb_add(&b, line);
    }
    return lf_jb_value(&b);
}

static bool is_word(uint32_t c) {
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return c == '_' || (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

lf_jval lf_jfilter_wordcount(lf_jinja_run *r, lf_jval v, lf_jcall *call) {
    (void)call;
    const lf_jstr *s = lf_jstr_of(r, v);
    int64_t words = 0;
    bool within = false;
    for (size_t at = 0; at < s->n && lf_jstep(r, 1);) {
        uint32_t c;
        at += lf_jchar_next(s, at, &c);
        const bool word = is_word(c);
        words += word && !within;
        within = word;
    }
    return lf_jint(words);
}

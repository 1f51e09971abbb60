/* str() and repr() as Python has them. */
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "base/json_number.h"
#include "jinja/internal.h"

/* ---- numbers ---- */

static void put_number(lf_jbuilder *b, const lf_jval *v) {
    char text[40];
    const size_t n =
        v->kind == LF_J_INT ? (size_t)snprintf(text, sizeof text, "%lld", (long long)v->i) : lf_float_repr(text, v->f);
    lf_jb_put(b, text, n);
}

/* ---- text ---- */

static bool printable(uint32_t c) {
    if (c < 0x80) return c >= 0x20 && c < 0x7f;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

static size_t escape(char out[16], uint32_t c, char quote) {
    static const char from[] = "\n\r\t\\", to[] = "nrt\\";
    const char *known = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (known) return (size_t)snprintf(out, 16, "\\%c", to[known - from]);
    if (c == (unsigned char)quote) return (size_t)snprintf(out, 16, "\\%c", quote);
    if (printable(c)) return 0;
    return (size_t)snprintf(out, 16, c <= 0xff ? "\\x%02x" : c <= 0xffff ? "\\u%04x" : "\\U%08x", (unsigned)c);
}

static void put_quoted(lf_jbuilder *b, const lf_jstr *s) {
    const char quote = memchr(s->s, '\'', s->n) && !memchr(s->s, '"', s->n) ? '"' : '\'';
    lf_jb_put(b, &quote, 1);
    for (size_t at = 0, n; at < s->n && lf_jstep(b->r, 1); at += n) {
        char escaped[16];
        uint32_t c;
        n = lf_jchar_next(s, at, &c);
        lf_jinja_span what = lf_jspan_at(s, at);
        const size_t size = escape(escaped, c, quote);
        what.changed |= size > 0;
        lf_jb_put_of(b, size ? escaped : s->s + at, size ? size : n, what);
    }
    lf_jb_put(b, &quote, 1);
}

/* ---- all kinds ---- */

static void put(lf_jbuilder *b, const char *s) { lf_jb_put(b, s, strlen(s)); }

static void put_elements(lf_jbuilder *b, const lf_jseq *q) {
    static const char *const around[LF_J_N_FORMS][2] = {
        {"[", "]"}, {"(", ")"}, {NULL}, {"dict_keys([", "])"}, {"dict_values([", "])"}, {"dict_items([", "])"}, {NULL}};
    if (!around[q->form][0]) {
        lf_jfail(b->r, LF_EUNSUPPORTED, "printing a range or a generator is not supported; make a list of it");
        return;
    }
    put(b, around[q->form][0]);
    for (size_t i = 0; i < q->n && !lf_jstop(b->r); i++) {
        if (i) put(b, ", ");
        lf_jb_repr(b, q->items[i]);
    }
    if (q->form == LF_J_TUPLE && q->n == 1) put(b, ",");
    put(b, around[q->form][1]);
}

static void put_dict(lf_jbuilder *b, const lf_jdict *d) {
    put(b, "{");
    for (size_t i = 0; i < d->n && !lf_jstop(b->r); i++) {
        if (i) put(b, ", ");
        lf_jb_repr(b, d->keys[i]);
        put(b, ": ");
        lf_jb_repr(b, d->values[i]);
    }
    put(b, "}");
}

void lf_jb_repr(lf_jbuilder *b, lf_jval v) {
    if (!lf_jstep(b->r, 1) || !lf_jenter(b->r)) return;
    if (v.kind == LF_J_STR && v.s->markup)
        lf_jfail(b->r, LF_EUNSUPPORTED, "printing a list with safe text in it is not supported");
    else if (v.kind == LF_J_STR)
        put_quoted(b, v.s);
    else if (v.kind == LF_J_UNDEFINED)
        put(b, "Undefined");
    else
        lf_jb_str(b, v);
    lf_jleave(b->r);
}

void lf_jb_str(lf_jbuilder *b, lf_jval v) {
    switch (v.kind) {
    case LF_J_ABSENT:
    case LF_J_UNDEFINED: return;
    case LF_J_NONE: put(b, "None"); return;
    case LF_J_BOOL: put(b, v.b ? "True" : "False"); return;
    case LF_J_INT:
    case LF_J_FLOAT: put_number(b, &v); return;
    case LF_J_STR: lf_jb_add(b, v.s); return;
    case LF_J_SEQ: put_elements(b, v.q); return;
    case LF_J_DICT: put_dict(b, v.d); return;
    case LF_J_NAMESPACE:
        put(b, "<Namespace ");
        put_dict(b, v.d);
        put(b, ">");
        return;
    default: lf_jfail(b->r, LF_EUNSUPPORTED, "printing a %s is not supported", lf_jtype(&v));
    }
}

const lf_jstr *lf_jstr_of(lf_jinja_run *r, lf_jval v) {
    lf_jbuilder b = {.r = r};
    if (v.kind == LF_J_STR) return v.s;
    lf_jb_str(&b, v);
    return lf_jb_value(&b).s;
}

/* The filter tojson as transformers has it: json.dumps without the escapes of HTML. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json_number.h"
#include "jinja/internal.h"

typedef struct style {
    bool ascii, sort, lines;
    const lf_jstr *indent, *item, *key;
} style;

static void put(lf_jbuilder *b, const char *s) { lf_jb_put(b, s, strlen(s)); }

static size_t escape(char out[16], uint32_t c, bool ascii) {
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *known = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (known) return (size_t)snprintf(out, 16, "\\%c", to[known - from]);
    if (c >= 0x20 && (!ascii || c < 0x7f)) return 0;
    if (c <= 0xffff) return (size_t)snprintf(out, 16, "\\u%04x", (unsigned)c);
    c -= 0x10000;
    return (size_t)snprintf(out, 16, "\\u%04x\\u%04x", (unsigned)(0xd800 + (c >> 10)),
                            (unsigned)(0xdc00 + (c & 0x3ff)));
}

static void put_text(lf_jbuilder *b, const style *how, const lf_jstr *s) {
    put(b, "\"");
    for (size_t at = 0, n; at < s->n && lf_jstep(b->r, 1); at += n) {
        char escaped[16];
        uint32_t c;
        n = lf_jchar_next(s, at, &c);
        lf_jinja_span what = lf_jspan_at(s, at);
        const size_t size = escape(escaped, c, how->ascii);
        what.changed |= size > 0;
        lf_jb_put_of(b, size ? escaped : s->s + at, size ? size : n, what);
    }
    put(b, "\"");
}

static void put_value(lf_jbuilder *b, const style *how, lf_jval v, size_t level);

static void put_float(lf_jbuilder *b, double f) {
    char text[40];
    if (isnan(f) || isinf(f))
        put(b, isnan(f) ? "NaN" : f < 0 ? "-Infinity" : "Infinity");
    else
        lf_jb_put(b, text, lf_float_repr(text, f));
}

/* Names, numbers, true and null become strings. */
static void put_key(lf_jbuilder *b, const style *how, lf_jval k) {
    if (k.kind == LF_J_STR) {
        put_text(b, how, k.s);
    } else if (lf_jis_number(&k) || k.kind == LF_J_NONE) {
        put(b, "\"");
        put_value(b, how, k, 0);
        put(b, "\"");
    } else {
        lf_jfail(b->r, LF_EDATA, "tojson: a %s cannot be a key", lf_jtype(&k));
    }
}

static void new_line(lf_jbuilder *b, const style *how, size_t level) {
    if (!how->lines) return;
    put(b, "\n");
    for (; level > 0 && !lf_jstop(b->r); level--) lf_jb_add(b, how->indent);
}

/* The places of the keys in order: by insertion, they are few. */
static size_t *order_of(lf_jinja_run *r, const lf_jdict *d, bool sorted) {
    size_t *order = lf_jtake(r, (d->n + 1) * sizeof *order);
    for (size_t i = 0; order && i < d->n; i++) {
        size_t at = i;
        for (; sorted && at > 0 && lf_jcompare(r, d->keys[order[at - 1]], d->keys[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

static void put_dict(lf_jbuilder *b, const style *how, const lf_jdict *d, size_t level) {
    const size_t *order = order_of(b->r, d, how->sort);
    put(b, "{");
    for (size_t i = 0; i < d->n && !lf_jstop(b->r); i++) {
        if (i) lf_jb_add(b, how->item);
        new_line(b, how, level + 1);
        put_key(b, how, d->keys[order[i]]);
        lf_jb_add(b, how->key);
        put_value(b, how, d->values[order[i]], level + 1);
    }
    if (d->n) new_line(b, how, level);
    put(b, "}");
}

static void put_list(lf_jbuilder *b, const style *how, const lf_jseq *q, size_t level) {
    put(b, "[");
    for (size_t i = 0; i < q->n && !lf_jstop(b->r); i++) {
        if (i) lf_jb_add(b, how->item);
        new_line(b, how, level + 1);
        put_value(b, how, q->items[i], level + 1);
    }
    if (q->n) new_line(b, how, level);
    put(b, "]");
}

static void put_value(lf_jbuilder *b, const style *how, lf_jval v, size_t level) {
    if (!lf_jstep(b->r, 1) || !lf_jenter(b->r)) return;
    if (v.kind == LF_J_STR)
        put_text(b, how, v.s);
    else if (v.kind == LF_J_NONE)
        put(b, "null");
    else if (v.kind == LF_J_BOOL)
        put(b, v.b ? "true" : "false");
    else if (v.kind == LF_J_INT)
        lf_jb_str(b, v);
    else if (v.kind == LF_J_FLOAT)
        put_float(b, v.f);
    else if (v.kind == LF_J_DICT)
        put_dict(b, how, v.d, level);
    else if (v.kind == LF_J_SEQ && v.q->form <= LF_J_TUPLE)
        put_list(b, how, v.q, level);
    else
        lf_jfail(b->r, LF_EDATA, "tojson: '%s' of type %s has no form in JSON",
                 v.kind == LF_J_UNDEFINED && v.name ? v.name : "a value", lf_jtype(&v));
    lf_jleave(b->r);
}

static void read_indent(lf_jinja_run *r, style *how, lf_jval indent) {
    int64_t n;
    lf_jbuilder b = {.r = r};
    how->lines = indent.kind != LF_J_ABSENT && indent.kind != LF_J_NONE;
    if (lf_jas_int(&indent, &n))
        for (; n > 0 && !lf_jstop(r); n--) put(&b, " ");
    else if (indent.kind == LF_J_STR)
        lf_jb_add(&b, indent.s);
    else if (how->lines)
        lf_jfail(r, LF_EDATA, "tojson: indent is a %s; expected a number or a text", lf_jtype(&indent));
    how->indent = lf_jb_value(&b).s;
}

lf_jval lf_jfilter_tojson(lf_jinja_run *r, lf_jval self, lf_jcall *c) {
    style how = {.ascii = lf_jtruth(&c->slot[0]), .sort = lf_jtruth(&c->slot[3])};
    const lf_jval given = c->slot[2];
    lf_jbuilder b = {.r = r};
    read_indent(r, &how, c->slot[1]);
    how.item = lf_jliteral(r, how.lines ? "," : ", ").s;
    how.key = lf_jliteral(r, ": ").s;
    if (given.kind != LF_J_ABSENT && given.kind != LF_J_NONE) {
        const lf_jval *two = lf_jis_indexed(&given) && given.q->n == 2 ? given.q->items : NULL;
        if (!two || two[0].kind != LF_J_STR || two[1].kind != LF_J_STR)
            return lf_jfail(r, LF_EDATA, "tojson: separators are two texts, of items and of keys");
        how.item = two[0].s;
        how.key = two[1].s;
    }
    put_value(&b, &how, self, 0);
    return lf_jb_value(&b);
}

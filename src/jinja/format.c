/* Python's format % arguments. */
#include <stdio.h>
#include <string.h>

#include "jinja/internal.h"

typedef struct form {
    const lf_jstr *s;
    size_t at;
    lf_jval args;
    size_t used; /* of a tuple */
    char flags[8];
    int64_t width, precision; /* -1: none */
} form;

static lf_jval next_argument(lf_jinja_run *r, form *f) {
    const bool tuple = f->args.kind == LF_J_SEQ && f->args.q->form == LF_J_TUPLE;
    if (!tuple && f->used++ == 0) return f->args;
    if (tuple && f->used < f->args.q->n) return f->args.q->items[f->used++];
    return lf_jfail(r, LF_EDATA, "fewer arguments than the format has places for");
}

/* (name) in front of flags takes an argument by its name. */
static bool named_argument(lf_jinja_run *r, form *f, lf_jval *out) {
    const char *s = f->s->s + f->at, *end = *s == '(' ? memchr(s, ')', f->s->n - f->at) : NULL;
    if (!end) return false;
    f->at += (size_t)(end - s) + 1;
    const lf_jval name = lf_jtext(r, s + 1, (size_t)(end - s) - 1);
    const lf_jval *v = f->args.kind == LF_J_DICT ? lf_jdict_find(r, f->args.d, name) : NULL;
    f->used = SIZE_MAX / 2;
    *out = v ? *v : lf_jfail(r, LF_EDATA, "the format names '%.60s', which is not given", name.s->s);
    return true;
}

static int64_t read_count(lf_jinja_run *r, form *f) {
    int64_t n = 0;
    if (f->s->s[f->at] == '*') lf_jfail(r, LF_EUNSUPPORTED, "'*' in a format is not supported");
    for (; f->s->s[f->at] >= '0' && f->s->s[f->at] <= '9'; f->at++)
        if ((n = 10 * n + (f->s->s[f->at] - '0')) > 1000) n = 1000;
    return n;
}

static void put_padded(lf_jbuilder *b, const form *f, const lf_jstr *s) {
    uint32_t c;
    size_t n = lf_jchars(s), end = s->n;
    if (f->precision >= 0 && (size_t)f->precision < n) {
        n = (size_t)f->precision;
        end = 0;
        for (size_t i = 0; i < n; i++) end += lf_jchar_next(s, end, &c);
    }
    const bool left = strchr(f->flags, '-') != NULL;
    const size_t fill = f->width > (int64_t)n ? (size_t)f->width - n : 0;
    for (size_t i = 0; i < fill && !left; i++) lf_jb_put(b, " ", 1);
    lf_jb_add_part(b, s, 0, end);
    for (size_t i = 0; i < fill && left; i++) lf_jb_put(b, " ", 1);
}

static void put_number(lf_jbuilder *b, const form *f, lf_jval v, char kind) {
    char format[24], text[2600];
    int64_t i = 0;
    const bool real = strchr("fFeEgG", kind) != NULL;
    if (!lf_jis_number(&v) || (!real && strchr("xXo", kind) && v.kind == LF_J_FLOAT)) {
        lf_jfail(b->r, LF_EDATA, "%%%c in a format needs a number, found a %s", kind, lf_jtype(&v));
        return;
    }
    if (!lf_jas_int(&v, &i) && !real) {
        if (!(v.f > -9.2e18 && v.f < 9.2e18)) {
            lf_jfail(b->r, LF_EUNSUPPORTED, "%%%c in a format for a number beyond 64 bits", kind);
            return;
        }
        i = (int64_t)v.f;
    }
    if (i < 0 && strchr("xXo", kind)) {
        lf_jfail(b->r, LF_EUNSUPPORTED, "%%%c in a format for a negative number is not supported", kind);
        return;
    }
    snprintf(format, sizeof format, real ? "%%%s*.*%c" : "%%%s*.*ll%c", f->flags,
             kind == 'i' || kind == 'u' ? 'd' : kind);
    const int width = f->width > 0 ? (int)f->width : 0, precision = f->precision >= 0 ? (int)f->precision : -1;
    const int n = real ? snprintf(text, sizeof text, format, width, precision, lf_jas_double(&v))
                       : snprintf(text, sizeof text, format, width, precision, (long long)i);
    lf_jb_put(b, text, n > 0 && (size_t)n < sizeof text ? (size_t)n : 0);
}

static void put_one(lf_jbuilder *b, form *f) {
    lf_jval v = {.kind = LF_J_ABSENT};
    lf_jbuilder text = {.r = b->r};
    size_t n = 0;
    const bool named = named_argument(b->r, f, &v);
    for (; f->s->s[f->at] && strchr("-+ 0#", f->s->s[f->at]); f->at++)
        if (!strchr(f->flags, f->s->s[f->at])) f->flags[n++] = f->s->s[f->at];
    f->width = read_count(b->r, f);
    if (f->s->s[f->at] == '.') f->at++, f->precision = read_count(b->r, f);
    const char kind = f->s->s[f->at];
    if (kind) f->at++;
    if (kind == '%') {
        lf_jb_put(b, "%", 1);
        return;
    }
    if (!kind || !strchr("srdiuxXofFeEgG", kind)) {
        lf_jfail(b->r, kind == 'c' || kind == 'a' ? LF_EUNSUPPORTED : LF_EDATA, "'%%%c' in a format",
                 kind ? kind : '%');
        return;
    }
    if (!named) v = next_argument(b->r, f);
    if (lf_jstop(b->r)) return;
    if (kind != 's' && kind != 'r') {
        put_number(b, f, v, kind);
        return;
    }
    if (kind == 's')
        lf_jb_str(&text, v);
    else
        lf_jb_repr(&text, v);
    put_padded(b, f, lf_jb_value(&text).s);
}

lf_jval lf_jformat(lf_jinja_run *r, const lf_jstr *s, lf_jval args) {
    form f = {.s = s, .args = args};
    lf_jbuilder b = {.r = r};
    while (f.at < s->n && !lf_jstop(r)) {
        const char *next = memchr(s->s + f.at, '%', s->n - f.at);
        const size_t end = next ? (size_t)(next - s->s) : s->n;
        lf_jb_add_part(&b, s, f.at, end);
        f.at = end + 1;
        if (!next) break;
        memset(f.flags, 0, sizeof f.flags);
        f.precision = -1;
        put_one(&b, &f);
    }
    const bool tuple = args.kind == LF_J_SEQ && args.q->form == LF_J_TUPLE;
    if (tuple ? f.used < args.q->n
              : f.used == 0 && args.kind != LF_J_DICT && args.kind != LF_J_SEQ && args.kind != LF_J_UNDEFINED)
        lf_jfail(r, LF_EDATA, "more arguments than the format has places for");
    return lf_jb_value(&b);
}

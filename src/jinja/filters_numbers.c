/* Filters that make or take numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja/tables.h"

/* ---- text to numbers, as int() and float() read it ---- */

/* Without white space around it and with '_' between digits taken out; false: not a number's characters. */
static bool number_text(lf_jinja_run *r, const lf_jstr *s, char *out, size_t size) {
    const lf_jstr *t = lf_jstrip(r, s, (lf_jval){.kind = LF_J_ABSENT}, LF_J_BOTH).s;
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const bool digits = i > 0 && i + 1 < t->n && strchr("0123456789abcdefABCDEF", t->s[i - 1]) &&
                            strchr("0123456789abcdefABCDEF", t->s[i + 1]);
        if (t->s[i] == '_' && digits) continue;
        if (t->s[i] == '_' || t->s[i] == 0 || n + 1 == size) return false;
        out[n++] = t->s[i];
    }
    out[n] = 0;
    return n > 0;
}

/* 0: an integer; 1: none; 2: beyond 64 bits. */
static int read_int(const char *s, int base, int64_t *out) {
    const bool minus = *s == '-';
    static const struct {
        int base;
        char letter;
    } prefixes[] = {{2, 'b'}, {8, 'o'}, {16, 'x'}};
    s += *s == '-' || *s == '+';
    for (size_t i = 0; i < 3; i++)
        if (prefixes[i].base == base && s[0] == '0' && (s[1] | 32) == prefixes[i].letter) s += 2;
    *out = 0;
    if (!*s) return 1;
    bool over = false;
    for (; *s; s++) {
        const int d = *s >= '0' && *s <= '9'                 ? *s - '0'
                      : (*s | 32) >= 'a' && (*s | 32) <= 'z' ? (*s | 32) - 'a' + 10
                                                             : 99;
        if (d >= base) return 1;
        over |= __builtin_mul_overflow(*out, (int64_t)base, out) ||
                __builtin_add_overflow(*out, (int64_t)(minus ? -d : d), out);
    }
    return over ? 2 : 0;
}

static bool read_float(const char *s, double *out) {
    static const char *const words[] = {"inf", "infinity", "nan"};
    char lower[16] = "";
    char *end;
    const char *body = s + (*s == '-' || *s == '+');
    for (size_t i = 0; body[i] && i < 15; i++) lower[i] = (char)(body[i] | 32);
    for (size_t i = 0; i < 3; i++)
        if (strcmp(lower, words[i]) == 0) return *out = strtod(s, NULL), true;
    if (!*body || body[strspn(body, "0123456789.eE+-")]) return false;
    *out = strtod(s, &end);
    return end > s && !*end;
}

static lf_jval whole(lf_jinja_run *r, double f) {
    if (f > -9223372036854775808.0 && f < 9223372036854775808.0) return lf_jint((int64_t)f);
    return lf_jfail(r, LF_EUNSUPPORTED, "int: an integer beyond 64 bits");
}

static lf_jval given_or(lf_jval given, lf_jval otherwise) { return given.kind == LF_J_ABSENT ? otherwise : given; }

lf_jval lf_jfilter_int(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval otherwise = given_or(c->slot[0], lf_jint(0));
    char text[400];
    int64_t base = 10, i;
    double f;
    if (v.kind == LF_J_UNDEFINED) return lf_jfail(r, LF_EDATA, "'%.60s' is undefined", v.name ? v.name : "a value");
    if (c->slot[1].kind != LF_J_ABSENT && !lf_jas_int(&c->slot[1], &base)) base = -1;
    if (base == 0) return lf_jfail(r, LF_EUNSUPPORTED, "int: base 0 is not supported");
    if (lf_jas_int(&v, &i)) return lf_jint(i);
    if (v.kind == LF_J_FLOAT) return isnan(v.f) || isinf(v.f) ? otherwise : whole(r, v.f);
    if (v.kind != LF_J_STR) return otherwise;
    lf_jlose(r, v.s);
    if (!number_text(r, v.s, text, sizeof text)) return otherwise;
    const int how = base >= 2 && base <= 36 ? read_int(text, (int)base, &i) : 1;
    if (how == 0) return lf_jint(i);
    if (how == 2) return lf_jfail(r, LF_EUNSUPPORTED, "int: an integer beyond 64 bits");
    return read_float(text, &f) && !isnan(f) && !isinf(f) ? whole(r, f) : otherwise;
}

lf_jval lf_jfilter_float(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval otherwise = given_or(c->slot[0], lf_jfloat(0));
    char text[400];
    double f;
    if (v.kind == LF_J_UNDEFINED) return lf_jfail(r, LF_EDATA, "'%.60s' is undefined", v.name ? v.name : "a value");
    if (lf_jis_number(&v)) return lf_jfloat(lf_jas_double(&v));
    if (v.kind != LF_J_STR) return otherwise;
    lf_jlose(r, v.s);
    return number_text(r, v.s, text, sizeof text) && read_float(text, &f) ? lf_jfloat(f) : otherwise;
}

/* ---- arithmetic ---- */

static lf_jval no_number(lf_jinja_run *r, const char *filter, const lf_jval *v) {
    return lf_jfail(r, LF_EDATA, "%s: expected a number, found a %s", filter, lf_jtype(v));
}

lf_jval lf_jfilter_abs(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    int64_t i;
    (void)c;
    if (v.kind == LF_J_FLOAT) return lf_jfloat(fabs(v.f));
    if (!lf_jas_int(&v, &i)) return no_number(r, "abs", &v);
    return i < 0 ? lf_jbinary(r, "-", lf_jint(0), lf_jint(i)) : lf_jint(i);
}

/* C prints the nearest decimal, halves to even, which is what Python's round is made of. */
static lf_jval round_common(lf_jinja_run *r, lf_jval v, int64_t precision) {
    char text[800];
    if (v.kind != LF_J_FLOAT && precision >= 0) return lf_jbinary(r, "+", lf_jint(0), v);
    if (v.kind != LF_J_FLOAT || precision < 0)
        return lf_jfail(r, LF_EUNSUPPORTED, "round: a negative precision is not supported");
    if (isnan(v.f) || isinf(v.f) || precision > 300) return v;
    snprintf(text, sizeof text, "%.*f", (int)precision, v.f);
    return lf_jfloat(strtod(text, NULL));
}

lf_jval lf_jfilter_round(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    int64_t precision = 0;
    const lf_jval how = c->slot[1];
    if (!lf_jis_number(&v)) return no_number(r, "round", &v);
    if (c->slot[0].kind != LF_J_ABSENT && !lf_jas_int(&c->slot[0], &precision))
        return no_number(r, "round", &c->slot[0]);
    if (how.kind == LF_J_ABSENT || (how.kind == LF_J_STR && strcmp(how.s->s, "common") == 0))
        return round_common(r, v, precision);
    const bool up = how.kind == LF_J_STR && strcmp(how.s->s, "ceil") == 0;
    if (!up && (how.kind != LF_J_STR || strcmp(how.s->s, "floor") != 0))
        return lf_jfail(r, LF_EDATA, "round: expected the method common, ceil or floor");
    if (precision < 0 || precision > 15) return lf_jfail(r, LF_EUNSUPPORTED, "round: a precision beyond 0 to 15");
    const double scale = pow(10, (double)precision), f = lf_jas_double(&v) * scale;
    return lf_jfloat((up ? ceil(f) : floor(f)) / scale);
}

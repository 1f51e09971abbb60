/* + - * / // % ** and comparisons. */
#include <math.h>
#include <string.h>

#include "jinja/internal.h"

static lf_jval no_operator(lf_jinja_run *r, const char *op, const lf_jval *a, const lf_jval *b) {
    const lf_jval *u = a->kind == LF_J_UNDEFINED ? a : b;
    if (u->kind == LF_J_UNDEFINED) return lf_jfail(r, LF_EDATA, "'%.60s' is undefined", u->name ? u->name : "a value");
    return lf_jfail(r, LF_EDATA, "a %s %s a %s is not possible", lf_jtype(a), op, lf_jtype(b));
}

/* ---- numbers ---- */

static lf_jval too_large(lf_jinja_run *r) { return lf_jfail(r, LF_EUNSUPPORTED, "an integer beyond 64 bits"); }

static lf_jval floor_int(lf_jinja_run *r, int64_t a, int64_t b, bool rest) {
    if (b == 0) return lf_jfail(r, LF_EDATA, "a division by zero");
    if (b == -1) return rest ? lf_jint(0) : a == INT64_MIN ? too_large(r) : lf_jint(-a);
    const int64_t q = a / b, left = a % b;
    const bool below = left != 0 && (left < 0) != (b < 0);
    return lf_jint(rest ? left + (below ? b : 0) : q - below);
}

static lf_jval floor_float(lf_jinja_run *r, double a, double b, bool rest) {
    if (b == 0) return lf_jfail(r, LF_EDATA, "a division by zero");
    double left = fmod(a, b);
    if (left != 0 && (left < 0) != (b < 0)) left += b;
    if (left == 0) left = copysign(0, b);
    if (rest) return lf_jfloat(left);
    const double q = (a - left) / b, whole = floor(q);
    return lf_jfloat(q - whole > 0.5 ? whole + 1 : whole);
}

static lf_jval power(lf_jinja_run *r, lf_jval a, lf_jval b) {
    int64_t x, y, out = 1;
    if (lf_jas_int(&a, &x) && lf_jas_int(&b, &y) && y >= 0) {
        if (x == 0 || x == 1 || x == -1) return lf_jint(y == 0 ? 1 : x == -1 && y % 2 == 0 ? 1 : x);
        for (; y > 0; y--)
            if (__builtin_mul_overflow(out, x, &out)) return too_large(r);
        return lf_jint(out);
    }
    const double base = lf_jas_double(&a), exponent = lf_jas_double(&b);
    if (base == 0 && exponent < 0) return lf_jfail(r, LF_EDATA, "zero to a negative power");
    if (base < 0 && exponent != floor(exponent)) return lf_jfail(r, LF_EUNSUPPORTED, "a root of a negative number");
    return lf_jfloat(pow(base, exponent));
}

static lf_jval arithmetic(lf_jinja_run *r, const char *op, lf_jval a, lf_jval b) {
    int64_t x, y, out;
    const bool whole = lf_jas_int(&a, &x) && lf_jas_int(&b, &y);
    const double u = lf_jas_double(&a), v = lf_jas_double(&b);
    if (strcmp(op, "**") == 0) return power(r, a, b);
    if (strcmp(op, "/") == 0) return v == 0 ? lf_jfail(r, LF_EDATA, "a division by zero") : lf_jfloat(u / v);
    if (strcmp(op, "//") == 0 || *op == '%')
        return whole ? floor_int(r, x, y, *op == '%') : floor_float(r, u, v, *op == '%');
    if (!whole) return lf_jfloat(*op == '+' ? u + v : *op == '-' ? u - v : u * v);
    const bool over = *op == '+'   ? __builtin_add_overflow(x, y, &out)
                      : *op == '-' ? __builtin_sub_overflow(x, y, &out)
                                   : __builtin_mul_overflow(x, y, &out);
    return over ? too_large(r) : lf_jint(out);
}

/* ---- text and lists ---- */

static lf_jval join_texts(lf_jinja_run *r, const lf_jstr *a, const lf_jstr *b) {
    lf_jbuilder to = {.r = r};
    if (a->markup || b->markup) return lf_jfail(r, LF_EUNSUPPORTED, "'+' with safe text is not supported; use '~'");
    lf_jb_add(&to, a);
    lf_jb_add(&to, b);
    return lf_jb_value(&to);
}

static lf_jval join_lists(lf_jinja_run *r, const lf_jseq *a, const lf_jseq *b) {
    const lf_jval out = lf_jseq_new(r, a->form);
    for (size_t i = 0; i < a->n && lf_jstep(r, 1); i++) lf_jseq_add(r, out.q, a->items[i]);
    for (size_t i = 0; i < b->n && lf_jstep(r, 1); i++) lf_jseq_add(r, out.q, b->items[i]);
    return out;
}

static bool repeats(const lf_jval *v) {
    return v->kind == LF_J_STR || (v->kind == LF_J_SEQ && v->q->form <= LF_J_TUPLE);
}

static lf_jval repeat(lf_jinja_run *r, lf_jval v, int64_t times) {
    lf_jbuilder b = {.r = r};
    if (v.kind == LF_J_STR) {
        if (v.s->n == 0) return v;
        for (; times > 0 && lf_jstep(r, 1); times--) lf_jb_add(&b, v.s);
        return lf_jb_value(&b);
    }
    const lf_jval out = lf_jseq_new(r, v.q->form);
    for (; times > 0 && v.q->n && !lf_jstop(r); times--)
        for (size_t i = 0; i < v.q->n && lf_jstep(r, 1); i++) lf_jseq_add(r, out.q, v.q->items[i]);
    return out;
}

lf_jval lf_jbinary(lf_jinja_run *r, const char *op, lf_jval a, lf_jval b) {
    int64_t times;
    if (lf_jis_number(&a) && lf_jis_number(&b)) return arithmetic(r, op, a, b);
    if (*op == '+' && a.kind == LF_J_STR && b.kind == LF_J_STR) return join_texts(r, a.s, b.s);
    if (*op == '+' && repeats(&a) && repeats(&b) && a.kind == b.kind && a.q->form == b.q->form)
        return join_lists(r, a.q, b.q);
    if (strcmp(op, "*") == 0 && repeats(&a) && lf_jas_int(&b, &times)) return repeat(r, a, times);
    if (strcmp(op, "*") == 0 && repeats(&b) && lf_jas_int(&a, &times)) return repeat(r, b, times);
    if (*op == '%' && a.kind == LF_J_STR && !a.s->markup) return lf_jformat(r, a.s, b);
    return no_operator(r, op, &a, &b);
}

/* ---- comparisons ---- */

bool lf_jcompare_op(lf_jinja_run *r, const char *op, lf_jval a, lf_jval b) {
    if (strcmp(op, "==") == 0) return lf_jequal(r, a, b);
    if (strcmp(op, "!=") == 0) return !lf_jequal(r, a, b);
    if (strcmp(op, "in") == 0) return lf_jcontains(r, b, a);
    if (strcmp(op, "not in") == 0) return !lf_jcontains(r, b, a);
    if (a.kind == LF_J_UNDEFINED || b.kind == LF_J_UNDEFINED) {
        no_operator(r, op, &a, &b);
        return false;
    }
    const int order = lf_jcompare(r, a, b);
    if (order == 2) return false;
    return (order < 0 && *op == '<') || (order > 0 && *op == '>') || (order == 0 && op[1] == '=');
}

/* Values as Python has them: truth, equality, order, what they hold. */
#define _GNU_SOURCE /* memmem */
#include <math.h>
#include <string.h>

#include "jinja/internal.h"

/* ---- types ---- */

/* What Python's types of elements in order can do. */
static const struct {
    const char *type;
    bool indexed; /* q[0] */
} forms[LF_J_N_FORMS] = {
    [LF_J_LIST] = {"list", true},           [LF_J_TUPLE] = {"tuple", true},
    [LF_J_RANGE] = {"range", true},         [LF_J_KEYS] = {"dict_keys", false},
    [LF_J_VALUES] = {"dict_values", false}, [LF_J_ITEMS] = {"dict_items", false},
    [LF_J_ITERATOR] = {"generator", false},
};

const char *lf_jtype(const lf_jval *v) {
    static const char *const types[LF_J_N_KINDS] = {"nothing", "Undefined",   "NoneType", "bool", "int",
                                                    "float",   "str",         NULL,       "dict", "Namespace",
                                                    "Macro",   "LoopContext", "function"};
    return v->kind == LF_J_SEQ ? forms[v->q->form].type : types[v->kind];
}

bool lf_jis_indexed(const lf_jval *v) { return v->kind == LF_J_SEQ && forms[v->q->form].indexed; }
bool lf_jis_number(const lf_jval *v) { return v->kind == LF_J_BOOL || v->kind == LF_J_INT || v->kind == LF_J_FLOAT; }

bool lf_jas_int(const lf_jval *v, int64_t *out) {
    *out = v->kind == LF_J_BOOL ? v->b : v->kind == LF_J_INT ? v->i : 0;
    return v->kind == LF_J_BOOL || v->kind == LF_J_INT;
}

double lf_jas_double(const lf_jval *v) {
    int64_t i;
    return lf_jas_int(v, &i) ? (double)i : v->f;
}

bool lf_jtruth(const lf_jval *v) {
    int64_t i;
    size_t n;
    if (lf_jas_int(v, &i)) return i != 0;
    if (v->kind == LF_J_FLOAT) return v->f != 0;
    if (v->kind == LF_J_NONE || v->kind == LF_J_ABSENT) return false;
    return lf_jlength(v, &n) ? n > 0 : true;
}

/* ---- lists and dicts ---- */

static bool grow(lf_jinja_run *r, lf_jval **array, size_t capacity, size_t used) {
    lf_jval *to = lf_jtake(r, capacity * sizeof *to);
    if (to && used) memcpy(to, *array, used * sizeof *to);
    if (to) *array = to;
    return to != NULL;
}

lf_jval lf_jseq_new(lf_jinja_run *r, lf_jform form) {
    static lf_jseq none;
    lf_jseq *q = lf_jtake(r, sizeof *q);
    if (q) q->form = form;
    return (lf_jval){.kind = LF_J_SEQ, .q = q ? q : &none};
}

void lf_jseq_add(lf_jinja_run *r, lf_jseq *q, lf_jval v) {
    if (lf_jstop(r)) return;
    const size_t capacity = q->capacity ? 2 * q->capacity : 4;
    if (q->n == q->capacity) {
        if (!grow(r, &q->items, capacity, q->n)) return;
        q->capacity = capacity;
    }
    q->items[q->n++] = v;
}

lf_jval lf_jdict_new(lf_jinja_run *r) {
    static lf_jdict none;
    lf_jdict *d = lf_jtake(r, sizeof *d);
    return (lf_jval){.kind = LF_J_DICT, .d = d ? d : &none};
}

bool lf_jhashable(const lf_jval *v) {
    if (v->kind == LF_J_SEQ && v->q->form == LF_J_TUPLE) {
        for (size_t i = 0; i < v->q->n; i++) /* a tuple of tuples: only names and numbers make sense as keys */
            if (v->q->items[i].kind == LF_J_SEQ || !lf_jhashable(&v->q->items[i])) return false;
        return true;
    }
    return v->kind != LF_J_SEQ && v->kind != LF_J_DICT;
}

const lf_jval *lf_jdict_find(lf_jinja_run *r, const lf_jdict *d, lf_jval key) {
    for (size_t i = 0; i < d->n && !lf_jstop(r); i++)
        if (lf_jequal(r, d->keys[i], key)) return &d->values[i];
    return NULL;
}

const lf_jval *lf_jdict_find_name(const lf_jdict *d, const char *name) {
    const size_t n = strlen(name);
    for (size_t i = 0; i < d->n; i++) {
        const lf_jval *k = &d->keys[i];
        if (k->kind == LF_J_STR && k->s->n == n && memcmp(k->s->s, name, n) == 0) return &d->values[i];
    }
    return NULL;
}

void lf_jdict_put(lf_jinja_run *r, lf_jdict *d, lf_jval key, lf_jval v) {
    if (lf_jstop(r)) return;
    if (!lf_jhashable(&key)) {
        lf_jfail(r, LF_EDATA, "a %s cannot be the key of a dict", lf_jtype(&key));
        return;
    }
    lf_jval *old = (lf_jval *)(uintptr_t)lf_jdict_find(r, d, key);
    if (old) *old = v;
    if (old || lf_jstop(r)) return;
    const size_t capacity = d->capacity ? 2 * d->capacity : 4;
    if (d->n == d->capacity) {
        if (!grow(r, &d->keys, capacity, d->n) || !grow(r, &d->values, capacity, d->n)) return;
        d->capacity = capacity;
    }
    d->keys[d->n] = key;
    d->values[d->n++] = v;
}

bool lf_jlength(const lf_jval *v, size_t *n) {
    *n = 0;
    switch (v->kind) {
    case LF_J_UNDEFINED: return true;
    case LF_J_STR: *n = v->s->n == 0 ? 0 : lf_jchars(v->s); return true;
    case LF_J_DICT: *n = v->d->n; return true;
    case LF_J_LOOP: *n = v->loop->items->n; return true;
    case LF_J_SEQ: *n = v->q->n; return v->q->form != LF_J_ITERATOR;
    default: return false;
    }
}

bool lf_jiterable(const lf_jval *v) {
    return v->kind == LF_J_UNDEFINED || v->kind == LF_J_STR || v->kind == LF_J_DICT || v->kind == LF_J_SEQ;
}

lf_jseq lf_jiterate(lf_jinja_run *r, lf_jval v) {
    lf_jseq q = {.form = LF_J_LIST};
    uint32_t c;
    if (v.kind == LF_J_LOOP) {
        lf_jfail(r, LF_EUNSUPPORTED, "a loop over a loop is not supported");
    } else if (!lf_jiterable(&v)) {
        lf_jfail(r, LF_EDATA, "a %s cannot be gone through", lf_jtype(&v));
    } else if (v.kind == LF_J_SEQ) {
        q = *v.q;
        if (v.q->form == LF_J_ITERATOR) v.q->n = 0; /* read */
    } else if (v.kind == LF_J_DICT) {
        q.items = v.d->keys;
        q.n = v.d->n;
    } else if (v.kind == LF_J_STR) {
        for (size_t at = 0, n; at < v.s->n && lf_jstep(r, 1); at += n) {
            n = lf_jchar_next(v.s, at, &c);
            lf_jseq_add(r, &q, lf_jpart(r, v.s, at, at + n));
        }
    }
    return q;
}

/* ---- equality and order ---- */

bool lf_jsame(const lf_jval *a, const lf_jval *b) {
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case LF_J_NONE: return true;
    case LF_J_BOOL: return a->b == b->b;
    case LF_J_INT: return a->i == b->i;
    case LF_J_FLOAT: return false; /* Python has two of them */
    case LF_J_STR: return a->s == b->s;
    case LF_J_SEQ: return a->q == b->q;
    case LF_J_DICT:
    case LF_J_NAMESPACE: return a->d == b->d;
    case LF_J_MACRO: return a->macro == b->macro;
    case LF_J_LOOP: return a->loop == b->loop;
    case LF_J_BOUND: return a->bound == b->bound;
    default: return false;
    }
}

/* A long integer is not rounded where it meets a float. */
static int number_order(const lf_jval *a, const lf_jval *b) {
    int64_t i, k;
    if (lf_jas_int(a, &i) && lf_jas_int(b, &k)) return i < k ? -1 : i > k;
    const long double x = a->kind == LF_J_FLOAT ? (long double)a->f : (lf_jas_int(a, &i), (long double)i);
    const long double y = b->kind == LF_J_FLOAT ? (long double)b->f : (lf_jas_int(b, &k), (long double)k);
    return isnan(x) || isnan(y) ? 2 : x < y ? -1 : x > y;
}

static bool equal_elements(lf_jinja_run *r, const lf_jseq *a, const lf_jseq *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n && !lf_jstop(r); i++)
        if (!lf_jequal(r, a->items[i], b->items[i])) return false;
    return true;
}

static bool equal_dicts(lf_jinja_run *r, const lf_jdict *a, const lf_jdict *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n && !lf_jstop(r); i++) {
        const lf_jval *other = lf_jdict_find(r, b, a->keys[i]);
        if (!other || !lf_jequal(r, a->values[i], *other)) return false;
    }
    return true;
}

bool lf_jequal(lf_jinja_run *r, lf_jval a, lf_jval b) {
    if (!lf_jstep(r, 1)) return false;
    if (lf_jis_number(&a) && lf_jis_number(&b)) return number_order(&a, &b) == 0;
    if (a.kind != b.kind) return false;
    if (a.kind == LF_J_UNDEFINED) return true;
    if (a.kind == LF_J_STR) {
        if (a.s->n != b.s->n || !lf_jstep(r, a.s->n / 64)) return false;
        return memcmp(a.s->s, b.s->s, a.s->n) == 0;
    }
    if (lf_jsame(&a, &b)) return true;
    bool same = false;
    if (!lf_jenter(r)) return false;
    if (a.kind == LF_J_SEQ && lf_jis_indexed(&a)) same = a.q->form == b.q->form && equal_elements(r, a.q, b.q);
    if (a.kind == LF_J_DICT) same = equal_dicts(r, a.d, b.d);
    lf_jleave(r);
    return same;
}

static int text_order(const lf_jstr *a, const lf_jstr *b) {
    const int order = memcmp(a->s, b->s, a->n < b->n ? a->n : b->n);
    return order < 0 ? -1 : order > 0 ? 1 : a->n < b->n ? -1 : a->n > b->n;
}

static int element_order(lf_jinja_run *r, const lf_jseq *a, const lf_jseq *b) {
    for (size_t i = 0; i < a->n && i < b->n && !lf_jstop(r); i++)
        if (!lf_jequal(r, a->items[i], b->items[i])) return lf_jcompare(r, a->items[i], b->items[i]);
    return a->n < b->n ? -1 : a->n > b->n;
}

int lf_jcompare(lf_jinja_run *r, lf_jval a, lf_jval b) {
    int order = 0;
    if (!lf_jstep(r, 1) || !lf_jenter(r)) return 0;
    if (lf_jis_number(&a) && lf_jis_number(&b))
        order = number_order(&a, &b);
    else if (a.kind == LF_J_STR && b.kind == LF_J_STR)
        order = lf_jstep(r, a.s->n / 64) ? text_order(a.s, b.s) : 0;
    else if (a.kind == LF_J_SEQ && b.kind == LF_J_SEQ && a.q->form == b.q->form && a.q->form <= LF_J_TUPLE)
        order = element_order(r, a.q, b.q);
    else
        lf_jfail(r, LF_EDATA, "a %s and a %s have no order", lf_jtype(&a), lf_jtype(&b));
    lf_jleave(r);
    return order;
}

bool lf_jcontains(lf_jinja_run *r, lf_jval in, lf_jval v) {
    if (in.kind == LF_J_STR) {
        if (v.kind != LF_J_STR) lf_jfail(r, LF_EDATA, "a %s cannot be in a text", lf_jtype(&v));
        if (lf_jstop(r) || !lf_jstep(r, in.s->n / 64)) return false;
        return v.s->n == 0 || memmem(in.s->s, in.s->n, v.s->s, v.s->n) != NULL;
    }
    if (in.kind == LF_J_DICT || (in.kind == LF_J_SEQ && in.q->form == LF_J_KEYS)) {
        if (!lf_jhashable(&v)) lf_jfail(r, LF_EDATA, "a %s cannot be the key of a dict", lf_jtype(&v));
        if (in.kind == LF_J_DICT) return lf_jdict_find(r, in.d, v) != NULL;
    }
    if (in.kind == LF_J_SEQ && in.q->form == LF_J_ITERATOR)
        lf_jfail(r, LF_EUNSUPPORTED, "'in' a generator is not supported; make a list of it");
    const lf_jseq q = lf_jiterate(r, in);
    for (size_t i = 0; i < q.n && !lf_jstop(r); i++)
        if (lf_jsame(&q.items[i], &v) || lf_jequal(r, q.items[i], v)) return true;
    return false;
}

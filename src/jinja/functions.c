#include <stdio.h>
#include <string.h>

#include "jinja/internal.h"

/* Into d what Python's dict(*args, **kwargs) holds. */
static void fill(lf_jinja_run *r, lf_jdict *d, const lf_jcall *c) {
    const lf_jval *from = c->given.n ? &c->given.items[0] : NULL;
    if (c->given.n > 1) lf_jfail(r, LF_EDATA, "a dict of more than one argument");
    if (from && from->kind == LF_J_UNDEFINED) {
        lf_jfail(r, LF_EDATA, "'%.60s' is undefined", from->name ? from->name : "a value");
    } else if (from && from->kind == LF_J_DICT) {
        for (size_t i = 0; i < from->d->n && lf_jstep(r, 1); i++)
            lf_jdict_put(r, d, from->d->keys[i], from->d->values[i]);
    } else if (from) {
        const lf_jseq pairs = lf_jiterate(r, *from);
        for (size_t i = 0; i < pairs.n && lf_jstep(r, 1); i++) {
            const lf_jseq two = lf_jiterate(r, pairs.items[i]);
            if (!lf_jstop(r) && two.n != 2) lf_jfail(r, LF_EDATA, "a dict of something else than pairs");
            if (!lf_jstop(r)) lf_jdict_put(r, d, two.items[0], two.items[1]);
        }
    }
    for (size_t i = 0; i < c->named.n && lf_jstep(r, 1); i++) lf_jdict_put(r, d, c->named.keys[i], c->named.values[i]);
}

static lf_jval function_dict(lf_jinja_run *r, lf_jval self, lf_jcall *c) {
    (void)self;
    const lf_jval v = lf_jdict_new(r);
    fill(r, v.d, c);
    return v;
}

static lf_jval function_namespace(lf_jinja_run *r, lf_jval self, lf_jcall *c) {
    lf_jval v = function_dict(r, self, c);
    for (size_t i = 0; i < v.d->n; i++)
        if (v.d->keys[i].kind == LF_J_STR && v.d->keys[i].s->s[0] == '_')
            return lf_jfail(r, LF_EDATA, "a namespace with a name that begins with an underline");
    v.kind = LF_J_NAMESPACE;
    return v;
}

static lf_jval function_raise_exception(lf_jinja_run *r, lf_jval self, lf_jcall *c) {
    (void)self;
    return lf_jfail(r, LF_EDATA, "the template refuses the conversation: %.500s", lf_jstr_of(r, c->slot[0])->s);
}

enum { LONGEST_RANGE = 100000 }; /* Jinja's sandbox */

static lf_jval function_range(lf_jinja_run *r, lf_jval self, lf_jcall *c) {
    (void)self;
    int64_t x[3] = {0, 0, 1};
    const int n = c->slot[2].kind != LF_J_ABSENT ? 3 : c->slot[1].kind != LF_J_ABSENT ? 2 : 1;
    for (int i = 0; i < n; i++)
        if (!lf_jas_int(&c->slot[i], n == 1 ? &x[1] : &x[i]))
            return lf_jfail(r, LF_EDATA, "range of a %s; expected integers", lf_jtype(&c->slot[i]));
    if (x[2] == 0) return lf_jfail(r, LF_EDATA, "range with step 0");
    const lf_jval out = lf_jseq_new(r, LF_J_RANGE);
    for (int64_t i = x[0]; (x[2] > 0 ? i < x[1] : i > x[1]) && lf_jstep(r, 1);) {
        if (out.q->n == LONGEST_RANGE) return lf_jfail(r, LF_EDATA, "range of more than %d numbers", LONGEST_RANGE);
        lf_jseq_add(r, out.q, lf_jint(i));
        if (__builtin_add_overflow(i, x[2], &i)) break;
    }
    return out;
}

static lf_jval function_strftime_now(lf_jinja_run *r, lf_jval self, lf_jcall *c) {
    (void)self;
    char text[1024];
    if (c->slot[0].kind != LF_J_STR) return lf_jfail(r, LF_EDATA, "strftime_now: expected a text");
    if (!r->has_now) return lf_jfail(r, LF_EUNSUPPORTED, "strftime_now: the template asks for today's date");
    const size_t n = strftime(text, sizeof text, c->slot[0].s->s, &r->now);
    return lf_jtext(r, text, n);
}

const lf_jdef lf_jfunctions[] = {
#define LF_JINJA_FUNCTION(name, call, required, params) {name, call, required, params},
#define LF_JINJA_NO_FUNCTION(name)                      {name, NULL, 0, NULL},
#include "jinja/functions.def"
#undef LF_JINJA_FUNCTION
#undef LF_JINJA_NO_FUNCTION
    {NULL, NULL, 0, NULL},
};

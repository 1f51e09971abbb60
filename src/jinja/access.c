/* v.name, v[key], v[a:b:c]: Python's attributes come before keys for the first, and after them for the second. */
#include <string.h>

#include "jinja/internal.h"

/* ---- the loop variable ---- */

typedef enum part { INDEX, INDEX0, FIRST, LAST, LENGTH, REVINDEX, REVINDEX0, PREVITEM, NEXTITEM, DEPTH, DEPTH0 } part;
static const struct {
    const char *name;
    part what;
} loop_parts[] = {{"index", INDEX},       {"index0", INDEX0},     {"first", FIRST},         {"last", LAST},
                  {"length", LENGTH},     {"revindex", REVINDEX}, {"revindex0", REVINDEX0}, {"previtem", PREVITEM},
                  {"nextitem", NEXTITEM}, {"depth", DEPTH},       {"depth0", DEPTH0}};

static lf_jval loop_part(const lf_jloop *l, part what) {
    const size_t i = l->index0, n = l->items->n;
    switch (what) {
    case INDEX: return lf_jint((int64_t)i + 1);
    case INDEX0: return lf_jint((int64_t)i);
    case FIRST: return lf_jbool(i == 0);
    case LAST: return lf_jbool(i + 1 == n);
    case LENGTH: return lf_jint((int64_t)n);
    case REVINDEX: return lf_jint((int64_t)(n - i));
    case REVINDEX0: return lf_jint((int64_t)(n - i) - 1);
    case PREVITEM: return i > 0 ? l->items->items[i - 1] : lf_jundefined("previtem");
    case NEXTITEM: return i + 1 < n ? l->items->items[i + 1] : lf_jundefined("nextitem");
    case DEPTH: return lf_jint(1);
    case DEPTH0: return lf_jint(0);
    }
    return lf_jundefined(NULL);
}

/* ---- attributes ---- */

/* What Python's getattr finds; false: nothing. */
static bool attribute(lf_jinja_run *r, lf_jval v, const char *name, lf_jval *out) {
    bool forbidden;
    *out = lf_jundefined(name);
    if (v.kind == LF_J_LOOP)
        for (size_t i = 0; i < sizeof loop_parts / sizeof *loop_parts; i++)
            if (strcmp(loop_parts[i].name, name) == 0) return *out = loop_part(v.loop, loop_parts[i].what), true;
    if (v.kind == LF_J_NAMESPACE) {
        const lf_jval *own = lf_jdict_find_name(v.d, name);
        if (own) *out = *own;
        return own != NULL;
    }
    const lf_jdef *method = lf_jmethod_find(&v, name, &forbidden);
    if (!method) return false;
    if (forbidden) return true; /* the sandbox gives an undefined value for it */
    if (!method->call) {
        lf_jfail(r, LF_EUNSUPPORTED, "the method '%s' of a %s is not supported", name, lf_jtype(&v));
        return true;
    }
    lf_jbound *bound = lf_jtake(r, sizeof *bound);
    if (!bound) return true;
    *bound = (lf_jbound){.def = method, .self = v};
    *out = (lf_jval){.kind = LF_J_BOUND, .bound = bound};
    return true;
}

static lf_jval of_undefined(lf_jinja_run *r, lf_jval v) {
    return lf_jfail(r, LF_EDATA, "'%.60s' is undefined", v.name ? v.name : "a value");
}

lf_jval lf_jattribute(lf_jinja_run *r, lf_jval v, const char *name) {
    lf_jval out;
    if (v.kind == LF_J_UNDEFINED) return of_undefined(r, v);
    if (attribute(r, v, name, &out) || v.kind != LF_J_DICT) return out;
    const lf_jval *own = lf_jdict_find_name(v.d, name);
    return own ? *own : lf_jundefined(name);
}

/* ---- items ---- */

static lf_jval char_at(lf_jinja_run *r, const lf_jstr *s, int64_t index) {
    uint32_t c;
    const int64_t n = (int64_t)lf_jchars(s);
    size_t at = 0;
    if (index < 0) index += n;
    if (index < 0 || index >= n || !lf_jstep(r, s->n / 64)) return lf_jundefined(NULL);
    for (; index > 0; index--) at += lf_jchar_next(s, at, &c);
    return lf_jpart(r, s, at, at + lf_jchar_next(s, at, &c));
}

lf_jval lf_jitem(lf_jinja_run *r, lf_jval v, lf_jval key) {
    int64_t i;
    lf_jval out;
    if (v.kind == LF_J_UNDEFINED) return of_undefined(r, v);
    if (v.kind == LF_J_DICT && lf_jhashable(&key)) {
        const lf_jval *own = lf_jdict_find(r, v.d, key);
        if (own) return *own;
    }
    if (lf_jas_int(&key, &i)) {
        if (v.kind == LF_J_STR) return char_at(r, v.s, i);
        if (!lf_jis_indexed(&v)) return lf_jundefined(NULL);
        if (i < 0) i += (int64_t)v.q->n;
        return i >= 0 && (size_t)i < v.q->n ? v.q->items[i] : lf_jundefined(NULL);
    }
    if (key.kind != LF_J_STR || strlen(key.s->s) != key.s->n) return lf_jundefined(NULL);
    return attribute(r, v, key.s->s, &out) ? out : lf_jundefined(key.s->s);
}

/* ---- slices ---- */

/* Python's slice.indices: begin, end and step for a length; false: no integers. */
static bool indices(lf_jinja_run *r, const lf_jval bounds[3], int64_t n, int64_t out[3]) {
    int64_t given[3];
    for (int i = 0; i < 3; i++)
        if (!lf_jas_int(&bounds[i], &given[i]) && bounds[i].kind != LF_J_NONE && bounds[i].kind != LF_J_ABSENT)
            return false;
    const bool has_step = bounds[2].kind == LF_J_INT || bounds[2].kind == LF_J_BOOL;
    out[2] = has_step ? given[2] : 1;
    if (out[2] == 0) {
        lf_jfail(r, LF_EDATA, "a slice with step 0");
        return false;
    }
    if (out[2] < -INT64_MAX) out[2] = -INT64_MAX;
    const int64_t low = out[2] < 0 ? -1 : 0, high = out[2] < 0 ? n - 1 : n;
    for (int i = 0; i < 2; i++) {
        const bool has = bounds[i].kind == LF_J_INT || bounds[i].kind == LF_J_BOOL;
        int64_t at = given[i];
        if (has && at < 0) at += n;
        out[i] = !has ? ((i == 0) == (out[2] > 0) ? low : high) : at < low ? low : at > high ? high : at;
    }
    return true;
}

static bool ended(int64_t at, int64_t end, int64_t step) { return step > 0 ? at >= end : at <= end; }
/* The next place; the end where that is beyond all integers. */
static int64_t after(int64_t at, int64_t end, int64_t step) { return __builtin_add_overflow(at, step, &at) ? end : at; }

static lf_jval slice_text(lf_jinja_run *r, const lf_jstr *s, const int64_t x[3], size_t n) {
    lf_jbuilder b = {.r = r};
    uint32_t c;
    size_t *starts = lf_jtake(r, (n + 1) * sizeof *starts), at = 0; /* of characters */
    if (!starts || !lf_jstep(r, n)) return lf_jundefined(NULL);
    for (size_t i = 0; i < n; i++) {
        starts[i] = at;
        at += lf_jchar_next(s, at, &c);
    }
    starts[n] = at;
    if (x[2] == 1) return lf_jpart(r, s, starts[x[0]], starts[x[1] > x[0] ? x[1] : x[0]]);
    for (int64_t i = x[0]; !ended(i, x[1], x[2]) && !lf_jstop(r); i = after(i, x[1], x[2]))
        lf_jb_add_part(&b, s, starts[i], starts[i + 1]);
    return lf_jb_value(&b);
}

lf_jval lf_jslice(lf_jinja_run *r, lf_jval v, const lf_jval bounds[3]) {
    int64_t x[3];
    size_t n;
    if (v.kind == LF_J_UNDEFINED) return of_undefined(r, v);
    if ((v.kind != LF_J_STR && !lf_jis_indexed(&v)) || !lf_jlength(&v, &n) || !indices(r, bounds, (int64_t)n, x))
        return lf_jundefined(NULL);
    if (v.kind == LF_J_STR) return slice_text(r, v.s, x, n);
    const lf_jval out = lf_jseq_new(r, v.q->form);
    for (int64_t i = x[0]; !ended(i, x[1], x[2]) && lf_jstep(r, 1); i = after(i, x[1], x[2]))
        lf_jseq_add(r, out.q, v.q->items[i]);
    return out;
}

/* Filters of lists and dicts. */
#include <string.h>

#include "jinja/tables.h"

/* ---- attribute="a.b" ---- */

/* The parts of a name with dots, numbers as numbers. */
static lf_jval one_path(lf_jinja_run *r, lf_jval v, const char *s, size_t n, lf_jval otherwise) {
    while (!lf_jstop(r)) {
        const char *dot = memchr(s, '.', n);
        const size_t part = dot ? (size_t)(dot - s) : n;
        int64_t i = 0;
        size_t digits = 0;
        while (digits < part && digits < 18 && s[digits] >= '0' && s[digits] <= '9') i = 10 * i + (s[digits++] - '0');
        v = lf_jitem(r, v, digits == part && part > 0 ? lf_jint(i) : lf_jtext(r, s, part));
        if (v.kind == LF_J_UNDEFINED && otherwise.kind != LF_J_ABSENT && otherwise.kind != LF_J_NONE) v = otherwise;
        if (!dot) break;
        s += part + 1;
        n -= part + 1;
    }
    return v;
}

static lf_jval path_of(lf_jinja_run *r, lf_jval v, lf_jval attribute, lf_jval otherwise) {
    if (attribute.kind == LF_J_ABSENT || attribute.kind == LF_J_NONE) return v;
    if (attribute.kind == LF_J_STR) return one_path(r, v, attribute.s->s, attribute.s->n, otherwise);
    v = lf_jitem(r, v, attribute);
    return v.kind == LF_J_UNDEFINED && otherwise.kind != LF_J_ABSENT ? otherwise : v;
}

static const lf_jval absent = {.kind = LF_J_ABSENT};

/* What elements are compared by. */
static lf_jval key_of(lf_jinja_run *r, lf_jval v, lf_jval attribute, bool case_sensitive) {
    const lf_jval k = path_of(r, v, attribute, absent);
    return k.kind == LF_J_STR && !case_sensitive && !lf_jstop(r) ? lf_jcased(r, k.s, LF_J_LOWER) : k;
}

/* ---- one element, or how many ---- */

lf_jval lf_jfilter_length(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    size_t n;
    (void)c;
    return lf_jlength(&v, &n) ? lf_jint((int64_t)n) : lf_jfail(r, LF_EDATA, "a %s has no length", lf_jtype(&v));
}

lf_jval lf_jfilter_first(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    if (v.kind == LF_J_SEQ && v.q->form == LF_J_ITERATOR && v.q->n) { /* the rest is still to be read */
        const lf_jval first = v.q->items[0];
        v.q->items++;
        v.q->n--;
        v.q->capacity = v.q->n;
        return first;
    }
    const lf_jseq q = lf_jiterate(r, v);
    return q.n ? q.items[0] : lf_jundefined("the first of an empty list");
}

lf_jval lf_jfilter_last(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    if (v.kind == LF_J_SEQ && v.q->form == LF_J_ITERATOR)
        return lf_jfail(r, LF_EDATA, "last: expected a list, found a generator; make a list of it");
    const lf_jseq q = lf_jiterate(r, v);
    return q.n ? q.items[q.n - 1] : lf_jundefined("the last of an empty list");
}

static lf_jval smallest(lf_jinja_run *r, lf_jval v, const lf_jcall *c, int order) {
    const lf_jseq q = lf_jiterate(r, v);
    const bool case_sensitive = lf_jtruth(&c->slot[0]);
    if (!q.n) return lf_jundefined("the smallest or largest of an empty list");
    lf_jval best = q.items[0], best_key = key_of(r, best, c->slot[1], case_sensitive);
    for (size_t i = 1; i < q.n && !lf_jstop(r); i++) {
        const lf_jval key = key_of(r, q.items[i], c->slot[1], case_sensitive);
        if (lf_jcompare(r, key, best_key) != order) continue;
        best = q.items[i];
        best_key = key;
    }
    return best;
}
lf_jval lf_jfilter_min(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return smallest(r, v, c, -1); }
lf_jval lf_jfilter_max(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return smallest(r, v, c, 1); }

lf_jval lf_jfilter_sum(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jseq q = lf_jiterate(r, v);
    lf_jval sum = c->slot[1].kind == LF_J_ABSENT ? lf_jint(0) : c->slot[1];
    if (sum.kind == LF_J_STR) return lf_jfail(r, LF_EDATA, "sum: texts are joined by the filter join");
    for (size_t i = 0; i < q.n && !lf_jstop(r); i++) {
        const lf_jval one = path_of(r, q.items[i], c->slot[0], absent);
        if (!lf_jstop(r)) sum = lf_jbinary(r, "+", sum, one);
    }
    return sum;
}

lf_jval lf_jfilter_default(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const bool empty_too = lf_jtruth(&c->slot[1]);
    if (v.kind != LF_J_UNDEFINED && !(empty_too && !lf_jtruth(&v))) return v;
    return c->slot[0].kind == LF_J_ABSENT ? lf_jtext(r, "", 0) : c->slot[0];
}

lf_jval lf_jfilter_attr(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    if (c->slot[0].kind != LF_J_STR) return lf_jfail(r, LF_EDATA, "attr: expected a name");
    /* Unlike v.name, it does not look for keys. */
    const lf_jdict none = {0};
    const lf_jval self = v.kind == LF_J_DICT ? (lf_jval){.kind = LF_J_DICT, .d = (lf_jdict *)(uintptr_t)&none} : v;
    if (v.kind == LF_J_DICT && lf_jattribute(r, self, c->slot[0].s->s).kind == LF_J_UNDEFINED)
        return lf_jundefined(c->slot[0].s->s);
    return lf_jattribute(r, v, c->slot[0].s->s);
}

/* ---- lists of the elements ---- */

static lf_jval list_of(lf_jinja_run *r, lf_jval v, lf_jform form) {
    const lf_jseq q = lf_jiterate(r, v);
    const lf_jval out = lf_jseq_new(r, form);
    for (size_t i = 0; i < q.n && lf_jstep(r, 1); i++) lf_jseq_add(r, out.q, q.items[i]);
    return out;
}

lf_jval lf_jfilter_list(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return list_of(r, v, LF_J_LIST);
}

lf_jval lf_jfilter_reverse(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    const bool generator = v.kind == LF_J_SEQ && v.q->form == LF_J_ITERATOR;
    if (v.kind == LF_J_STR) return lf_jslice(r, v, (const lf_jval[3]){absent, absent, lf_jint(-1)});
    const lf_jval out = list_of(r, v, generator ? LF_J_LIST : LF_J_ITERATOR);
    for (size_t i = 0; i < out.q->n / 2; i++) {
        const lf_jval one = out.q->items[i];
        out.q->items[i] = out.q->items[out.q->n - 1 - i];
        out.q->items[out.q->n - 1 - i] = one;
    }
    return out;
}

static bool is_reverse(lf_jinja_run *r, const lf_jval *v) {
    int64_t i = 0;
    if (v->kind != LF_J_ABSENT && !lf_jas_int(v, &i))
        lf_jfail(r, LF_EDATA, "sort: reverse is a %s, not true or false", lf_jtype(v));
    return i != 0;
}

/* By insertion, which keeps the order of equal ones: lists in templates are short. */
static void sort(lf_jinja_run *r, lf_jseq *q, lf_jval *keys, bool reverse) {
    for (size_t i = 1; i < q->n && !lf_jstop(r); i++) {
        const lf_jval one = q->items[i], key = keys[i];
        size_t at = i;
        for (; at > 0 && lf_jcompare(r, keys[at - 1], key) == (reverse ? -1 : 1); at--) {
            q->items[at] = q->items[at - 1];
            keys[at] = keys[at - 1];
        }
        q->items[at] = one;
        keys[at] = key;
    }
}

/* attribute="a,b": by a, then by b. */
static lf_jval sort_key(lf_jinja_run *r, lf_jval v, lf_jval attribute, bool case_sensitive) {
    const lf_jval list = lf_jseq_new(r, LF_J_LIST);
    const char *s = attribute.kind == LF_J_STR ? attribute.s->s : NULL;
    if (!s) {
        lf_jseq_add(r, list.q, key_of(r, v, attribute, case_sensitive));
        return list;
    }
    while (!lf_jstop(r)) {
        const char *comma = strchr(s, ',');
        const lf_jval part = lf_jtext(r, s, comma ? (size_t)(comma - s) : strlen(s));
        lf_jseq_add(r, list.q, key_of(r, v, part, case_sensitive));
        if (!comma) break;
        s = comma + 1;
    }
    return list;
}

lf_jval lf_jfilter_sort(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval out = list_of(r, v, LF_J_LIST);
    lf_jval *keys = lf_jtake(r, (out.q->n + 1) * sizeof *keys);
    for (size_t i = 0; keys && i < out.q->n && !lf_jstop(r); i++)
        keys[i] = sort_key(r, out.q->items[i], c->slot[2], lf_jtruth(&c->slot[1]));
    const bool reverse = is_reverse(r, &c->slot[0]);
    if (!lf_jstop(r)) sort(r, out.q, keys, reverse);
    return out;
}

lf_jval lf_jfilter_unique(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jseq q = lf_jiterate(r, v);
    const lf_jval out = lf_jseq_new(r, LF_J_ITERATOR);
    lf_jdict seen = {0};
    for (size_t i = 0; i < q.n && !lf_jstop(r); i++) {
        const lf_jval key = key_of(r, q.items[i], c->slot[1], lf_jtruth(&c->slot[0]));
        const size_t before = seen.n;
        lf_jdict_put(r, &seen, key, key);
        if (seen.n > before) lf_jseq_add(r, out.q, q.items[i]);
    }
    return out;
}

lf_jval lf_jfilter_batch(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jseq q = lf_jiterate(r, v);
    const lf_jval out = lf_jseq_new(r, LF_J_ITERATOR), fill = c->slot[1];
    int64_t size;
    if (!lf_jas_int(&c->slot[0], &size) || size < 1)
        return lf_jfail(r, LF_EDATA, "batch: expected a size of 1 or more");
    lf_jval part = absent;
    for (size_t i = 0; i < q.n && lf_jstep(r, 1); i++) {
        if (i % (size_t)size == 0) lf_jseq_add(r, out.q, part = lf_jseq_new(r, LF_J_LIST));
        lf_jseq_add(r, part.q, q.items[i]);
    }
    const bool fills = part.kind == LF_J_SEQ && fill.kind != LF_J_ABSENT && fill.kind != LF_J_NONE;
    while (fills && (int64_t)part.q->n < size && lf_jstep(r, 1)) lf_jseq_add(r, part.q, fill);
    return out;
}

lf_jval lf_jfilter_join(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval attribute = c->slot[1];
    lf_jseq q = lf_jiterate(r, v), parts = {.form = LF_J_LIST};
    for (size_t i = 0; i < q.n && lf_jstep(r, 1); i++)
        lf_jseq_add(r, &parts, path_of(r, q.items[i], attribute, absent));
    return lf_jjoin(r, lf_jstr_of(r, c->slot[0]), &parts, false);
}

/* ---- dicts ---- */

static lf_jval pair(lf_jinja_run *r, lf_jval key, lf_jval v) {
    const lf_jval out = lf_jseq_new(r, LF_J_TUPLE);
    lf_jseq_add(r, out.q, key);
    lf_jseq_add(r, out.q, v);
    return out;
}

lf_jval lf_jfilter_items(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    const lf_jval out = lf_jseq_new(r, LF_J_ITERATOR);
    if (v.kind == LF_J_UNDEFINED) return out;
    if (v.kind != LF_J_DICT) return lf_jfail(r, LF_EDATA, "items: expected a dict, found a %s", lf_jtype(&v));
    for (size_t i = 0; i < v.d->n && lf_jstep(r, 1); i++) lf_jseq_add(r, out.q, pair(r, v.d->keys[i], v.d->values[i]));
    return out;
}

lf_jval lf_jfilter_dictsort(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval out = lf_jseq_new(r, LF_J_LIST), by = c->slot[1];
    const bool by_value = by.kind == LF_J_STR && strcmp(by.s->s, "value") == 0;
    if (v.kind != LF_J_DICT) return lf_jfail(r, LF_EDATA, "dictsort: expected a dict, found a %s", lf_jtype(&v));
    if (!by_value && by.kind != LF_J_ABSENT && (by.kind != LF_J_STR || strcmp(by.s->s, "key") != 0))
        return lf_jfail(r, LF_EDATA, "dictsort: by is \"key\" or \"value\"");
    lf_jval *keys = lf_jtake(r, (v.d->n + 1) * sizeof *keys);
    for (size_t i = 0; keys && i < v.d->n && !lf_jstop(r); i++) {
        lf_jseq_add(r, out.q, pair(r, v.d->keys[i], v.d->values[i]));
        keys[i] = key_of(r, by_value ? v.d->values[i] : v.d->keys[i], absent, lf_jtruth(&c->slot[0]));
    }
    const bool reverse = is_reverse(r, &c->slot[2]);
    if (!lf_jstop(r)) sort(r, out.q, keys, reverse);
    return out;
}

/* ---- filters and tests of each element ---- */

/* The arguments behind the first `skip`. A call's slots are its own: each element gets a fresh one. */
static lf_jcall rest_of(const lf_jcall *c, size_t skip) {
    lf_jcall rest = {.given = c->given, .named = c->named};
    rest.given.items += skip;
    rest.given.n -= skip;
    rest.given.capacity = rest.given.n;
    return rest;
}

static const lf_jdef *named_def(lf_jinja_run *r, const lf_jdef *table, const lf_jval *name, const char *what) {
    const lf_jdef *def = name->kind == LF_J_STR ? lf_jdef_find(table, name->s->s) : NULL;
    if (def && def->call) return def;
    lf_jfail(r, LF_EUNSUPPORTED, "the %s '%.60s' is not supported", what, name->kind == LF_J_STR ? name->s->s : "?");
    return NULL;
}

lf_jval lf_jfilter_map(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval out = lf_jseq_new(r, LF_J_ITERATOR);
    const lf_jval *attribute = c->given.n ? NULL : lf_jdict_find_name(&c->named, "attribute");
    const lf_jval *otherwise = lf_jdict_find_name(&c->named, "default");
    if (!lf_jtruth(&v)) return out;
    if (!attribute && !c->given.n) return lf_jfail(r, LF_EDATA, "map: expected a filter or attribute=");
    if (attribute && c->named.n > (otherwise ? 2u : 1u))
        return lf_jfail(r, LF_EDATA, "map: more arguments than it takes");
    const lf_jdef *filter = attribute ? NULL : named_def(r, lf_jfilters, &c->given.items[0], "filter");
    const lf_jseq q = lf_jiterate(r, v);
    for (size_t i = 0; i < q.n && lf_jstep(r, 1); i++) {
        lf_jcall rest = filter ? rest_of(c, 1) : (lf_jcall){0};
        lf_jseq_add(r, out.q,
                    filter ? lf_jcall_def(r, filter, "filter", q.items[i], &rest)
                           : path_of(r, q.items[i], *attribute, otherwise ? *otherwise : absent));
    }
    return out;
}

static lf_jval choose(lf_jinja_run *r, lf_jval v, lf_jcall *c, bool by_attribute, bool wanted) {
    const lf_jval out = lf_jseq_new(r, LF_J_ITERATOR);
    const size_t before = by_attribute;
    if (!lf_jtruth(&v)) return out;
    if (c->given.n < before)
        return lf_jfail(r, LF_EDATA, "selectattr or rejectattr: expected the name of an attribute");
    const lf_jval attribute = by_attribute ? c->given.items[0] : absent;
    const bool tests = c->given.n > before;
    const lf_jdef *test = tests ? named_def(r, lf_jtests, &c->given.items[before], "test") : NULL;
    const lf_jseq q = lf_jiterate(r, v);
    for (size_t i = 0; i < q.n && lf_jstep(r, 1); i++) {
        lf_jval of = path_of(r, q.items[i], attribute, absent);
        lf_jcall rest = test ? rest_of(c, before + 1) : (lf_jcall){0};
        if (test) of = lf_jcall_def(r, test, "test", of, &rest);
        if (lf_jtruth(&of) == wanted) lf_jseq_add(r, out.q, q.items[i]);
    }
    return out;
}
lf_jval lf_jfilter_select(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return choose(r, v, c, false, true); }
lf_jval lf_jfilter_reject(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return choose(r, v, c, false, false); }
lf_jval lf_jfilter_selectattr(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return choose(r, v, c, true, true); }
lf_jval lf_jfilter_rejectattr(lf_jinja_run *r, lf_jval v, lf_jcall *c) { return choose(r, v, c, true, false); }

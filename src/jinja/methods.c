/* Methods of dicts, lists and loops. */
#include "jinja/tables.h"

static lf_jval view(lf_jinja_run *r, const lf_jdict *d, lf_jform form) {
    const lf_jval out = lf_jseq_new(r, form);
    for (size_t i = 0; i < d->n && lf_jstep(r, 1); i++) {
        lf_jval one = form == LF_J_KEYS ? d->keys[i] : d->values[i];
        if (form == LF_J_ITEMS) {
            one = lf_jseq_new(r, LF_J_TUPLE);
            lf_jseq_add(r, one.q, d->keys[i]);
            lf_jseq_add(r, one.q, d->values[i]);
        }
        lf_jseq_add(r, out.q, one);
    }
    return out;
}

lf_jval lf_jmethod_dict_keys(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return view(r, v.d, LF_J_KEYS);
}
lf_jval lf_jmethod_dict_values(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return view(r, v.d, LF_J_VALUES);
}
lf_jval lf_jmethod_dict_items(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)c;
    return view(r, v.d, LF_J_ITEMS);
}

lf_jval lf_jmethod_dict_get(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval otherwise = c->slot[1].kind == LF_J_ABSENT ? lf_jnone() : c->slot[1];
    if (!lf_jhashable(&c->slot[0]))
        return lf_jfail(r, LF_EDATA, "a %s cannot be the key of a dict", lf_jtype(&c->slot[0]));
    const lf_jval *own = lf_jdict_find(r, v.d, c->slot[0]);
    return own ? *own : otherwise;
}

lf_jval lf_jmethod_dict_copy(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)r, (void)c;
    return v; /* nothing changes it */
}
lf_jval lf_jmethod_list_copy(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    (void)r, (void)c;
    return v;
}

lf_jval lf_jmethod_list_count(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    int64_t n = 0;
    for (size_t i = 0; i < v.q->n && lf_jstep(r, 1); i++) n += lf_jequal(r, v.q->items[i], c->slot[0]);
    return lf_jint(n);
}

lf_jval lf_jmethod_list_index(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    if (c->slot[1].kind != LF_J_ABSENT) return lf_jfail(r, LF_EUNSUPPORTED, "index with a beginning is not supported");
    for (size_t i = 0; i < v.q->n && lf_jstep(r, 1); i++)
        if (lf_jequal(r, v.q->items[i], c->slot[0])) return lf_jint((int64_t)i);
    return lf_jfail(r, LF_EDATA, "index: the list has no such value");
}

lf_jval lf_jmethod_loop_cycle(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    if (!c->given.n) return lf_jfail(r, LF_EDATA, "loop.cycle: no values are given");
    return c->given.items[v.loop->index0 % c->given.n];
}

lf_jval lf_jmethod_loop_changed(lf_jinja_run *r, lf_jval v, lf_jcall *c) {
    const lf_jval now = lf_jseq_new(r, LF_J_TUPLE);
    for (size_t i = 0; i < c->given.n; i++) lf_jseq_add(r, now.q, c->given.items[i]);
    if (v.loop->last.kind != LF_J_ABSENT && lf_jequal(r, v.loop->last, now)) return lf_jbool(false);
    v.loop->last = now;
    return lf_jbool(true);
}

/* Statements: what they write and set. A scope is a list of names; a loop's turn, a macro and a block each have one. */
#include <string.h>

#include "jinja/internal.h"

/* How a statement ended. */
typedef enum flow { ON, BREAK_LOOP, NEXT_TURN } flow;
typedef flow run_statement(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope);

static flow run_list(lf_jinja_run *r, const lf_jnode *first, lf_jscope *scope);

/* ---- setting ---- */

/* The address under which the template's names know a word; any, if nobody asks for it. */
static const char *word_of(lf_jinja_run *r, const char *s) {
    for (const lf_jword *w = r->t->words; w; w = w->next)
        if (strcmp(w->s, s) == 0) return w->s;
    return s;
}

void lf_jscope_set(lf_jinja_run *r, lf_jscope *scope, const char *name, lf_jval v) {
    for (lf_jvariable *old = scope->variables; old; old = old->next)
        if (old->name == name) {
            old->value = v;
            return;
        }
    lf_jvariable *new = lf_jtake(r, sizeof *new);
    if (!new) return;
    *new = (lf_jvariable){.name = name, .value = v, .next = scope->variables};
    scope->variables = new;
}

/* A scope outlives its block where a macro that was defined in it is still called. */
static lf_jscope *new_scope(lf_jinja_run *r, const lf_jscope *outer) {
    lf_jscope *s = lf_jtake(r, sizeof *s);
    if (s) s->outer = outer;
    return s;
}

static void set_attribute(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope, lf_jval v) {
    const lf_jval space = lf_jresolve(r, n->name, scope);
    if (space.kind != LF_J_NAMESPACE)
        lf_jfail(r, LF_EDATA, "'%s.%s' cannot be set: %s is no namespace", n->name, n->attribute, n->name);
    else if (*n->attribute == '_')
        lf_jfail(r, LF_EDATA, "'%s.%s' cannot be set: it begins with an underline", n->name, n->attribute);
    else
        lf_jdict_put(r, space.d, lf_jliteral(r, n->attribute), v);
}

/* Deeper than the parser goes nothing is nested. */
static void assign(lf_jinja_run *r, const lf_jnode *target, lf_jscope *scope, lf_jval v) {
    if (lf_jstop(r)) return;
    if (target->kind == LF_J_N_NAME) {
        lf_jscope_set(r, scope, target->name, v);
    } else if (target->kind == LF_J_N_NAMESPACED) {
        set_attribute(r, target, scope, v);
    } else {
        const lf_jseq q = lf_jiterate(r, v);
        size_t n = 0;
        for (const lf_jnode *one = target->list; one; one = one->next) n++;
        if (!lf_jstop(r) && q.n != n) lf_jfail(r, LF_EDATA, "%zu values for %zu names", q.n, n);
        n = 0;
        for (const lf_jnode *one = target->list; one && !lf_jstop(r); one = one->next)
            assign(r, one, scope, q.items[n++]);
    }
}

/* ---- text ---- */

static flow run_DATA(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    (void)scope;
    lf_jb_add(r->out, n->value.s);
    return ON;
}

static flow run_PRINT(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval v = lf_jeval(r, n->a, scope);
    if (!lf_jstop(r)) lf_jb_str(r->out, v);
    return ON;
}

/* What a body writes, as a value. */
static lf_jval capture(lf_jinja_run *r, const lf_jnode *first, lf_jscope *scope, flow *how) {
    lf_jbuilder b = {.r = r}, *outer = r->out;
    r->out = &b;
    *how = run_list(r, first, scope);
    r->out = outer;
    return lf_jb_value(&b);
}

/* ---- branches and loops ---- */

static flow run_IF(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    for (; n && !lf_jstop(r); n = n->b) {
        const lf_jval v = n->a ? lf_jeval(r, n->a, scope) : lf_jbool(true);
        if (!lf_jstop(r) && lf_jtruth(&v)) return run_list(r, n->list, scope);
    }
    return ON;
}

static bool passes(lf_jinja_run *r, const lf_jnode *n, const lf_jscope *outer, lf_jval item) {
    lf_jscope *scope = new_scope(r, outer);
    if (!scope) return false;
    assign(r, n->a, scope, item);
    const lf_jval v = lf_jeval(r, n->c, scope);
    return !lf_jstop(r) && lf_jtruth(&v);
}

/* What the loop goes through: filtered before, so that loop.length knows. */
static lf_jseq *loop_items(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    lf_jseq q = lf_jiterate(r, lf_jeval(r, n->b, scope));
    if (!n->c) {
        lf_jseq *all = lf_jtake(r, sizeof *all);
        if (all) *all = q;
        return all;
    }
    const lf_jval some = lf_jseq_new(r, LF_J_LIST);
    for (size_t i = 0; i < q.n && !lf_jstop(r); i++)
        if (passes(r, n, scope, q.items[i])) lf_jseq_add(r, some.q, q.items[i]);
    return some.q;
}

static flow run_FOR(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jseq *items = loop_items(r, n, scope);
    lf_jloop *loop = lf_jtake(r, sizeof *loop);
    const char *word = word_of(r, "loop");
    if (!items || !loop) return ON;
    *loop = (lf_jloop){.items = items, .last = {.kind = LF_J_ABSENT}};
    for (size_t i = 0; i < items->n && lf_jstep(r, 1); i++) {
        lf_jscope *turn = new_scope(r, scope);
        if (!turn) return ON;
        loop->index0 = i;
        lf_jscope_set(r, turn, word, (lf_jval){.kind = LF_J_LOOP, .loop = loop});
        assign(r, n->a, turn, items->items[i]);
        if (run_list(r, n->list, turn) == BREAK_LOOP) return ON;
    }
    lf_jscope *last = items->n == 0 && n->more ? new_scope(r, scope) : NULL;
    return last ? run_list(r, n->more, last) : ON;
}

static flow run_BREAK(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    (void)r, (void)n, (void)scope;
    return BREAK_LOOP;
}
static flow run_CONTINUE(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    (void)r, (void)n, (void)scope;
    return NEXT_TURN;
}

/* ---- set, with, filter ---- */

static flow run_SET(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    assign(r, n->a, scope, lf_jeval(r, n->b, scope));
    return ON;
}

static lf_jval filtered(lf_jinja_run *r, const lf_jnode *filters, lf_jscope *scope, lf_jval v) {
    const lf_jval outer = r->body;
    if (!filters || lf_jstop(r)) return v;
    r->body = v;
    v = lf_jeval(r, filters, scope);
    r->body = outer;
    return v;
}

static flow run_SET_BLOCK(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    flow how = ON;
    lf_jscope *inner = new_scope(r, scope);
    if (!inner) return ON;
    const lf_jval v = capture(r, n->list, inner, &how);
    assign(r, n->a, scope, filtered(r, n->b, inner, v));
    return how;
}

static flow run_FILTER_BLOCK(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    flow how = ON;
    lf_jscope *inner = new_scope(r, scope);
    if (!inner) return ON;
    const lf_jval v = filtered(r, n->b, inner, capture(r, n->list, inner, &how));
    if (!lf_jstop(r)) lf_jb_str(r->out, v);
    return how;
}

static flow run_WITH(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    lf_jscope *inner = new_scope(r, scope);
    for (const lf_jnode *one = n->more; inner && one && !lf_jstop(r); one = one->next)
        lf_jscope_set(r, inner, one->name, lf_jeval(r, one->a, scope));
    return inner ? run_list(r, n->list, inner) : ON;
}

/* ---- macros ---- */

/* Arguments that are no parameters: to varargs and kwargs where the macro mentions them. */
static void bind_rest(lf_jinja_run *r, const lf_jnode *n, lf_jcall *c, size_t places, const lf_jdict *named,
                      lf_jscope *in) {
    const lf_jval rest = lf_jseq_new(r, LF_J_TUPLE), others = lf_jdict_new(r);
    for (size_t i = places; i < c->given.n && !lf_jstop(r); i++) lf_jseq_add(r, rest.q, c->given.items[i]);
    for (size_t i = 0; i < named->n && !lf_jstop(r); i++) {
        const lf_jstr *key = named->keys[i].s;
        if (n->caller && strcmp(key->s, "caller") == 0)
            lf_jscope_set(r, in, word_of(r, "caller"), named->values[i]);
        else
            lf_jdict_put(r, others.d, named->keys[i], named->values[i]);
    }
    if (n->varargs) lf_jscope_set(r, in, word_of(r, "varargs"), rest);
    if (n->kwargs) lf_jscope_set(r, in, word_of(r, "kwargs"), others);
    if ((rest.q->n && !n->varargs) || (others.d->n && !n->kwargs))
        lf_jfail(r, LF_EDATA, "the macro '%s' is given more arguments, or others, than it takes", n->name);
}

static void bind(lf_jinja_run *r, const lf_jnode *n, lf_jcall *c, lf_jscope *in) {
    size_t place = 0;
    lf_jdict others = {0};
    for (const lf_jnode *p = n->more; p && !lf_jstop(r); p = p->next, place++) {
        const lf_jval *named = lf_jdict_find_name(&c->named, p->name);
        if (named && place < c->given.n) lf_jfail(r, LF_EDATA, "the argument '%s' is given twice", p->name);
        lf_jval v = lf_jundefined(p->name);
        if (place < c->given.n)
            v = c->given.items[place];
        else if (named)
            v = *named;
        else if (p->a)
            v = lf_jeval(r, p->a, in); /* a default sees the parameters before it */
        lf_jscope_set(r, in, p->name, v);
    }
    for (size_t i = 0; i < c->named.n && !lf_jstop(r); i++) {
        const lf_jnode *p = n->more;
        while (p && strcmp(p->name, c->named.keys[i].s->s) != 0) p = p->next;
        if (!p) lf_jdict_put(r, &others, c->named.keys[i], c->named.values[i]);
    }
    bind_rest(r, n, c, place, &others, in);
}

static lf_jval call_macro(lf_jinja_run *r, const lf_jmacro *m, lf_jcall *c) {
    flow how;
    lf_jscope *in = new_scope(r, m->scope);
    if (!in || !lf_jenter(r)) return lf_jundefined(NULL);
    bind(r, m->node, c, in);
    const lf_jval v = capture(r, m->node->list, in, &how);
    lf_jleave(r);
    return v;
}

static const lf_jmacro *new_macro(lf_jinja_run *r, const lf_jnode *n, const lf_jscope *scope) {
    lf_jmacro *m = lf_jtake(r, sizeof *m);
    if (m) *m = (lf_jmacro){n, scope, call_macro};
    return m;
}

static flow run_MACRO(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jmacro *m = new_macro(r, n, scope);
    if (m) lf_jscope_set(r, scope, n->name, (lf_jval){.kind = LF_J_MACRO, .macro = m});
    return ON;
}

static flow run_CALL_BLOCK(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    lf_jcall c = {0};
    const lf_jmacro *caller = new_macro(r, n, scope);
    const lf_jval callee = lf_jeval(r, n->a->a, scope);
    if (!caller || lf_jstop(r)) return ON;
    lf_jcall_args(r, n->a, scope, &c);
    lf_jdict_put(r, &c.named, lf_jliteral(r, "caller"), (lf_jval){.kind = LF_J_MACRO, .macro = caller});
    const lf_jval v = lf_jcall_value(r, callee, &c);
    if (!lf_jstop(r)) lf_jb_str(r->out, v);
    return ON;
}

/* What is written in it is marked, so that it may be within a macro. */
static flow run_GENERATION(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    flow how = ON;
    lf_jscope *inner = new_scope(r, scope);
    if (!inner) return ON;
    const lf_jstr *s = capture(r, n->list, inner, &how).s;
    for (size_t at = 0, i = 0; at < s->n && !lf_jstop(r);) {
        while (i < s->n_spans && s->spans[i].end <= at) i++;
        const bool within = i < s->n_spans && s->spans[i].begin <= at;
        lf_jinja_span what = within ? s->spans[i] : (lf_jinja_span){0};
        const size_t end = within ? s->spans[i].end : i < s->n_spans ? s->spans[i].begin : s->n;
        what.generated = true;
        lf_jb_put_of(r->out, s->s + at, end - at, what);
        at = end;
    }
    return how;
}

/* ---- all of them ---- */

static flow run_one(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    static run_statement *const functions[] = {
#define LF_J_FUNCTION(kind) [LF_J_N_##kind] = run_##kind,
        LF_J_STATEMENTS(LF_J_FUNCTION)
#undef LF_J_FUNCTION
    };
    r->line = n->line;
    return functions[n->kind](r, n, scope);
}

static flow run_list(lf_jinja_run *r, const lf_jnode *first, lf_jscope *scope) {
    flow how = ON;
    if (!lf_jenter(r)) return ON;
    for (; first && how == ON && lf_jstep(r, 1); first = first->next) how = run_one(r, first, scope);
    lf_jleave(r);
    return how;
}

lf_status lf_jinja_render(const lf_jinja *t, lf_jinja_run *r, lf_jinja_result *out, lf_err *err) {
    lf_jbuilder b = {.r = r};
    *out = (lf_jinja_result){0};
    r->t = t;
    r->out = &b;
    lf_jscope *top = new_scope(r, NULL);
    if (top) run_list(r, t->body, top);
    const lf_jstr *s = lf_jb_value(&b).s;
    if (r->rc) return lf_fail(err, r->rc, "%s", r->err.message);
    *out = (lf_jinja_result){
        .text = s->s, .n = s->n, .spans = s->spans, .n_spans = s->n_spans, .lost = r->lost, .n_lost = r->n_lost};
    return LF_OK;
}

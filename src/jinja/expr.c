/* Nodes to values: a function for each kind of expression. */
#include <string.h>

#include "jinja/internal.h"

typedef lf_jval eval(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope);

/* ---- names ---- */

lf_jval lf_jresolve(lf_jinja_run *r, const char *name, const lf_jscope *scope) {
    for (; scope; scope = scope->outer)
        for (const lf_jvariable *v = scope->variables; v; v = v->next)
            if (v->name == name) return v->value;
    const lf_jval *given = lf_jdict_find_name(&r->variables, name);
    if (given) return *given;
    const lf_jdef *function = lf_jdef_find(lf_jfunctions, name);
    if (!function) return lf_jundefined(name);
    if (!function->call) return lf_jfail(r, LF_EUNSUPPORTED, "the function '%s' is not supported", name);
    lf_jbound *bound = lf_jtake(r, sizeof *bound);
    if (!bound) return lf_jundefined(name);
    *bound = (lf_jbound){.def = function};
    return (lf_jval){.kind = LF_J_BOUND, .bound = bound};
}

static lf_jval eval_NAME(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    return lf_jresolve(r, n->name, scope);
}

/* ---- values ---- */

static lf_jval eval_CONST(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    (void)r;
    (void)scope;
    return n->value;
}

static lf_jval elements(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope, lf_jform form) {
    const lf_jval out = lf_jseq_new(r, form);
    for (const lf_jnode *one = n->list; one && !lf_jstop(r); one = one->next)
        lf_jseq_add(r, out.q, lf_jeval(r, one, scope));
    return out;
}
static lf_jval eval_LIST(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    return elements(r, n, scope, LF_J_LIST);
}
static lf_jval eval_TUPLE(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    return elements(r, n, scope, LF_J_TUPLE);
}

static lf_jval eval_DICT(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval out = lf_jdict_new(r);
    for (const lf_jnode *one = n->list; one && !lf_jstop(r); one = one->next) {
        const lf_jval key = lf_jeval(r, one->a, scope);
        lf_jdict_put(r, out.d, key, lf_jeval(r, one->b, scope));
    }
    return out;
}

/* ---- logic ---- */

static bool truth_of(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval v = lf_jeval(r, n, scope);
    return lf_jtruth(&v);
}

static lf_jval eval_CONDITION(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    if (truth_of(r, n->b, scope)) return lf_jeval(r, n->a, scope);
    return n->c ? lf_jeval(r, n->c, scope) : lf_jundefined("the inline if, which has no else");
}

static lf_jval eval_AND(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval v = lf_jeval(r, n->a, scope);
    return lf_jtruth(&v) ? lf_jeval(r, n->b, scope) : v;
}

static lf_jval eval_OR(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval v = lf_jeval(r, n->a, scope);
    return lf_jtruth(&v) ? v : lf_jeval(r, n->b, scope);
}

static lf_jval eval_NOT(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    return lf_jbool(!truth_of(r, n->a, scope));
}

/* a < b < c evaluates b once, and c only if a < b. */
static lf_jval eval_COMPARE(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    lf_jval left = lf_jeval(r, n->a, scope);
    for (const lf_jnode *one = n->list; one; one = one->next) {
        const lf_jval right = lf_jeval(r, one->a, scope);
        if (lf_jstop(r) || !lf_jcompare_op(r, one->op, left, right)) return lf_jbool(false);
        left = right;
    }
    return lf_jbool(true);
}

/* ---- operators ---- */

static lf_jval eval_BINARY(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval a = lf_jeval(r, n->a, scope), b = lf_jeval(r, n->b, scope);
    return lf_jstop(r) ? a : lf_jbinary(r, n->op, a, b);
}

static lf_jval eval_UNARY(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval v = lf_jeval(r, n->a, scope);
    if (lf_jstop(r)) return v;
    if (v.kind == LF_J_FLOAT && *n->op == '-') return lf_jfloat(-v.f);
    return lf_jbinary(r, *n->op == '-' ? "-" : "+", lf_jint(0), v);
}

static lf_jval eval_CONCAT(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    lf_jbuilder b = {.r = r};
    for (const lf_jnode *one = n->list; one && !lf_jstop(r); one = one->next) lf_jb_str(&b, lf_jeval(r, one, scope));
    return lf_jb_value(&b);
}

/* ---- parts of values ---- */

static lf_jval eval_ATTRIBUTE(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval v = lf_jeval(r, n->a, scope);
    return lf_jstop(r) ? v : lf_jattribute(r, v, n->name);
}

static lf_jval eval_ITEM(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval v = lf_jeval(r, n->a, scope), key = lf_jeval(r, n->b, scope);
    return lf_jstop(r) ? v : lf_jitem(r, v, key);
}

static lf_jval eval_SLICE(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    const lf_jval v = lf_jeval(r, n->a, scope);
    const lf_jnode *parts[3] = {n->list->a, n->list->b, n->list->c};
    lf_jval bounds[3] = {{.kind = LF_J_NONE}, {.kind = LF_J_NONE}, {.kind = LF_J_NONE}};
    for (int i = 0; i < 3; i++)
        if (parts[i]) bounds[i] = lf_jeval(r, parts[i], scope);
    if (lf_jstop(r)) return v;
    const lf_jval out = lf_jslice(r, v, bounds);
    if (out.kind == LF_J_UNDEFINED) lf_jfail(r, LF_EDATA, "this slice of a %s is not possible", lf_jtype(&v));
    return out;
}

/* ---- calls ---- */

void lf_jcall_args(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope, lf_jcall *out) {
    for (const lf_jnode *one = n->list; one; one = one->next) lf_jseq_add(r, &out->given, lf_jeval(r, one, scope));
    for (const lf_jnode *one = n->more; one; one = one->next)
        lf_jdict_put(r, &out->named, lf_jliteral(r, one->name), lf_jeval(r, one->a, scope));
    if (n->b) {
        const lf_jseq q = lf_jiterate(r, lf_jeval(r, n->b, scope));
        for (size_t i = 0; i < q.n && lf_jstep(r, 1); i++) lf_jseq_add(r, &out->given, q.items[i]);
    }
    if (!n->c || lf_jstop(r)) return;
    const lf_jval named = lf_jeval(r, n->c, scope);
    if (named.kind != LF_J_DICT) lf_jfail(r, LF_EDATA, "arguments after ** are a %s, not a dict", lf_jtype(&named));
    for (size_t i = 0; !lf_jstop(r) && i < named.d->n && lf_jstep(r, 1); i++) {
        if (named.d->keys[i].kind != LF_J_STR) lf_jfail(r, LF_EDATA, "an argument after ** has no name");
        lf_jdict_put(r, &out->named, named.d->keys[i], named.d->values[i]);
    }
}

static lf_jval eval_CALL(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    lf_jcall c = {0};
    const lf_jval callee = lf_jeval(r, n->a, scope);
    if (lf_jstop(r)) return callee;
    lf_jcall_args(r, n, scope, &c);
    r->line = n->line;
    return lf_jcall_value(r, callee, &c);
}

static lf_jval with_def(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope, const char *what) {
    lf_jcall c = {0};
    const lf_jval self = n->a ? lf_jeval(r, n->a, scope) : r->body;
    lf_jcall_args(r, n, scope, &c);
    r->line = n->line;
    return lf_jcall_def(r, n->def, what, self, &c);
}
static lf_jval eval_FILTER(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    return with_def(r, n, scope, "filter");
}
static lf_jval eval_TEST(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) { return with_def(r, n, scope, "test"); }

/* ---- all of them ---- */

lf_jval lf_jeval(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope) {
    static eval *const functions[] = {
#define LF_J_FUNCTION(kind) [LF_J_N_##kind] = eval_##kind,
        LF_J_EXPRS(LF_J_FUNCTION)
#undef LF_J_FUNCTION
    };
    if (!lf_jstep(r, 1) || !lf_jenter(r)) return lf_jundefined(NULL);
    r->line = n->line;
    const lf_jval v = functions[n->kind](r, n, scope);
    lf_jleave(r);
    return v;
}

/* Tokens to expressions: a function for each level of precedence, as in Jinja's parser. */
#include <string.h>

#include "jinja/internal.h"

static lf_jnode *unary(lf_jparser *p, bool with_filters);
static lf_jnode *primary(lf_jparser *p);

static lf_jnode *make(lf_jparser *p, lf_jnode_kind kind, lf_jnode *a, lf_jnode *b) {
    lf_jnode *n = lf_jnode_new(p, kind);
    if (!n) return NULL;
    n->a = a;
    n->b = b;
    if (a) n->line = a->line;
    return n;
}

/* Appends to a list that is known by its first and its last node. */
static void append(lf_jnode **first, lf_jnode **last, lf_jnode *n) {
    if (!n) return;
    if (*last)
        (*last)->next = n;
    else
        *first = n;
    *last = n;
}

/* ---- operators, the loosest first ---- */

static lf_jnode *math(lf_jparser *p);

static lf_jnode *compare(lf_jparser *p) {
    static const char *const ops[] = {"==", "!=", "<=", ">=", "<", ">", NULL};
    lf_jnode *n = math(p), *last = NULL;
    while (!p->rc) {
        const char *op = NULL;
        for (int i = 0; ops[i] && !op; i++)
            if (lf_jskip_op(p, ops[i])) op = ops[i];
        if (!op && lf_jskip_name(p, "in")) op = "in";
        if (!op && lf_jat_name(p, "not") && p->at[1].kind == LF_J_T_NAME && strcmp(p->at[1].s, "in") == 0) {
            lf_jnext(p);
            lf_jnext(p);
            op = "not in";
        }
        if (!op) break;
        if (!last) n = make(p, LF_J_N_COMPARE, n, NULL);
        lf_jnode *one = make(p, LF_J_N_PAIR, math(p), NULL);
        if (!n || !one) return NULL;
        one->op = op;
        append(&n->list, &last, one);
    }
    return n;
}

static lf_jnode *not_(lf_jparser *p) {
    if (!lf_jskip_name(p, "not")) return compare(p);
    if (!lf_jparse_enter(p)) return NULL;
    lf_jnode *n = make(p, LF_J_N_NOT, not_(p), NULL);
    p->depth--;
    return n;
}

static lf_jnode *and_(lf_jparser *p) {
    lf_jnode *n = not_(p);
    while (!p->rc && lf_jskip_name(p, "and")) n = make(p, LF_J_N_AND, n, not_(p));
    return n;
}

static lf_jnode *or_(lf_jparser *p) {
    lf_jnode *n = and_(p);
    while (!p->rc && lf_jskip_name(p, "or")) n = make(p, LF_J_N_OR, n, and_(p));
    return n;
}

lf_jnode *lf_jparse_expr(lf_jparser *p, bool with_condition) {
    if (!lf_jparse_enter(p)) return NULL;
    lf_jnode *n = or_(p);
    while (with_condition && !p->rc && lf_jskip_name(p, "if")) {
        n = make(p, LF_J_N_CONDITION, n, or_(p));
        if (n && lf_jskip_name(p, "else")) n->c = lf_jparse_expr(p, true);
    }
    p->depth--;
    return n;
}

/* Left to right: a (op b)* */
static lf_jnode *chain(lf_jparser *p, const char *const *ops, lf_jnode *(*of)(lf_jparser *p)) {
    lf_jnode *n = of(p);
    for (int i = 0; ops[i] && !p->rc; i++) {
        if (!lf_jskip_op(p, ops[i])) continue;
        n = make(p, LF_J_N_BINARY, n, of(p));
        if (n) n->op = ops[i];
        i = -1;
    }
    return n;
}

static lf_jnode *with_filters(lf_jparser *p) { return unary(p, true); }
static lf_jnode *power(lf_jparser *p) {
    static const char *const ops[] = {"**", NULL};
    return chain(p, ops, with_filters);
}
static lf_jnode *product(lf_jparser *p) {
    static const char *const ops[] = {"*", "/", "//", "%", NULL};
    return chain(p, ops, power);
}
static lf_jnode *concat(lf_jparser *p) {
    lf_jnode *first = product(p), *n, *last = first;
    if (p->rc || !lf_jat_op(p, "~")) return first;
    n = make(p, LF_J_N_CONCAT, NULL, NULL);
    if (!n) return NULL;
    n->list = first;
    while (!p->rc && lf_jskip_op(p, "~")) append(&n->list, &last, product(p));
    return n;
}
static lf_jnode *math(lf_jparser *p) {
    static const char *const ops[] = {"+", "-", NULL};
    return chain(p, ops, concat);
}

/* ---- arguments ---- */

/* Of a call, filter or test, behind its "(": list are those without a name, more those with one, b is *x, c is **x. */
static void arguments(lf_jparser *p, lf_jnode *n) {
    lf_jnode *last = NULL, *last_named = NULL;
    bool comma = false;
    while (!p->rc && !lf_jat_op(p, ")")) {
        if (comma) lf_jexpect_op(p, ",");
        if (comma && lf_jat_op(p, ")")) break;
        comma = true;
        const bool named = p->at->kind == LF_J_T_NAME && p->at[1].kind == LF_J_T_OP && strcmp(p->at[1].s, "=") == 0;
        if (n->c || (n->b && !named && !lf_jat_op(p, "**")) ||
            (n->more && !named && !lf_jat_op(p, "*") && !lf_jat_op(p, "**"))) {
            lf_jparse_fail(p, LF_EDATA, "arguments in an order that is not possible");
        } else if (lf_jskip_op(p, "*")) {
            n->b = lf_jparse_expr(p, true);
        } else if (lf_jskip_op(p, "**")) {
            n->c = lf_jparse_expr(p, true);
        } else if (named) {
            lf_jnode *one = lf_jnode_new(p, LF_J_N_KEYWORD);
            if (!one) return;
            one->name = lf_jexpect_name(p);
            lf_jexpect_op(p, "=");
            one->a = lf_jparse_expr(p, true);
            append(&n->more, &last_named, one);
        } else {
            append(&n->list, &last, lf_jparse_expr(p, true));
        }
    }
    lf_jexpect_op(p, ")");
}

static lf_jnode *call(lf_jparser *p, lf_jnode *callee) {
    lf_jnode *n = make(p, LF_J_N_CALL, callee, NULL);
    if (!n) return NULL;
    if (callee && callee->kind == LF_J_N_ATTRIBUTE && lf_jmethod_lacks(callee->name))
        return lf_jparse_fail(p, LF_EUNSUPPORTED, "the method '%s' is not supported", callee->name);
    arguments(p, n);
    return n;
}

/* "name" or "a.b" of a filter or test, looked up in its table. */
static void named_def(lf_jparser *p, lf_jnode *n, const lf_jdef *table, const char *what) {
    const char *name = lf_jexpect_name(p);
    if (p->rc) return;
    n->name = name;
    n->def = lf_jdef_find(table, name);
    if (!n->def || !n->def->call || lf_jat_op(p, "."))
        lf_jparse_fail(p, LF_EUNSUPPORTED, "the %s '%s' is not supported", what, name);
}

static lf_jnode *filter(lf_jparser *p, lf_jnode *of) {
    lf_jnode *n = make(p, LF_J_N_FILTER, of, NULL);
    if (!n) return NULL;
    n->line = p->at->line;
    named_def(p, n, lf_jfilters, "filter");
    if (!p->rc && lf_jskip_op(p, "(")) arguments(p, n);
    return n;
}

lf_jnode *lf_jparse_filters(lf_jparser *p, lf_jnode *of, bool first_without_bar) {
    while (!p->rc && (first_without_bar || lf_jskip_op(p, "|"))) {
        of = filter(p, of);
        first_without_bar = false;
    }
    return of;
}

static lf_jnode *postfix(lf_jparser *p, lf_jnode *n);

/* Behind `is`. A test takes one argument without brackets. */
static lf_jnode *test(lf_jparser *p, lf_jnode *of) {
    const bool negated = lf_jskip_name(p, "not");
    lf_jnode *n = make(p, LF_J_N_TEST, of, NULL);
    if (!n) return NULL;
    named_def(p, n, lf_jtests, "test");
    const lf_jtoken *k = p->at;
    if (p->rc) return NULL;
    if (lf_jskip_op(p, "(")) {
        arguments(p, n);
    } else if (lf_jat_name(p, "is")) {
        lf_jparse_fail(p, LF_EDATA, "a test of a test: write (a is b) is c");
    } else if ((k->kind == LF_J_T_NAME && !lf_jat_name(p, "else") && !lf_jat_name(p, "or") && !lf_jat_name(p, "and")) ||
               k->kind == LF_J_T_STRING || k->kind == LF_J_T_INT || k->kind == LF_J_T_FLOAT || lf_jat_op(p, "[") ||
               lf_jat_op(p, "{")) {
        n->list = postfix(p, primary(p));
    }
    return negated ? make(p, LF_J_N_NOT, n, NULL) : n;
}

/* ---- what stands behind a value ---- */

/* One index or one slice: a is first, b and c are stop and step. */
static lf_jnode *subscript_part(lf_jparser *p) {
    lf_jnode *first = lf_jat_op(p, ":") ? NULL : lf_jparse_expr(p, true);
    if (p->rc || !lf_jskip_op(p, ":")) return first;
    lf_jnode *n = make(p, LF_J_N_SLICE, first, NULL);
    if (!n) return NULL;
    if (!lf_jat_op(p, ":") && !lf_jat_op(p, "]") && !lf_jat_op(p, ",")) n->b = lf_jparse_expr(p, true);
    if (lf_jskip_op(p, ":") && !lf_jat_op(p, "]") && !lf_jat_op(p, ",")) n->c = lf_jparse_expr(p, true);
    return n;
}

/* [a, b] is [(a, b)], and [] is [()]. */
static lf_jnode *subscript(lf_jparser *p, lf_jnode *of) {
    lf_jnode *first = NULL, *last = NULL, *n;
    bool several = lf_jat_op(p, "]");
    while (!p->rc && !lf_jat_op(p, "]")) {
        if (last) lf_jexpect_op(p, ",");
        several |= last != NULL;
        append(&first, &last, subscript_part(p));
    }
    for (const lf_jnode *part = first; several && part; part = part->next)
        if (part->kind == LF_J_N_SLICE && !part->list)
            return lf_jparse_fail(p, LF_EUNSUPPORTED, "a slice beside another index is not supported");
    lf_jexpect_op(p, "]");
    if (p->rc) return NULL;
    if (!several && first->kind == LF_J_N_SLICE && !first->list) { /* not v[w[1:]] */
        if ((n = make(p, LF_J_N_SLICE, of, NULL))) n->list = first;
        return n;
    }
    if (!several) return make(p, LF_J_N_ITEM, of, first);
    if (!(n = lf_jnode_new(p, LF_J_N_TUPLE))) return NULL;
    n->list = first;
    return make(p, LF_J_N_ITEM, of, n);
}

static lf_jnode *attribute(lf_jparser *p, lf_jnode *of) {
    if (p->at->kind == LF_J_T_INT) {
        lf_jnode *key = primary(p);
        return make(p, LF_J_N_ITEM, of, key);
    }
    lf_jnode *n = make(p, LF_J_N_ATTRIBUTE, of, NULL);
    if (n) n->name = lf_jexpect_name(p);
    return n;
}

static lf_jnode *postfix(lf_jparser *p, lf_jnode *n) {
    while (!p->rc) {
        if (lf_jskip_op(p, "."))
            n = attribute(p, n);
        else if (lf_jskip_op(p, "["))
            n = subscript(p, n);
        else if (lf_jskip_op(p, "("))
            n = call(p, n);
        else
            break;
    }
    return n;
}

static lf_jnode *unary(lf_jparser *p, bool with_filters_) {
    const char *op = lf_jskip_op(p, "-") ? "-" : lf_jskip_op(p, "+") ? "+" : NULL;
    lf_jnode *n;
    if (op) {
        if (!lf_jparse_enter(p)) return NULL;
        n = make(p, LF_J_N_UNARY, unary(p, false), NULL);
        p->depth--;
        if (n) n->op = op;
    } else {
        n = primary(p);
    }
    n = postfix(p, n);
    while (with_filters_ && !p->rc) {
        if (lf_jat_op(p, "|"))
            n = lf_jparse_filters(p, n, false);
        else if (lf_jskip_name(p, "is"))
            n = test(p, n);
        else if (lf_jskip_op(p, "("))
            n = call(p, n);
        else
            break;
    }
    return n;
}

/* ---- values ---- */

static lf_jnode *constant(lf_jparser *p, lf_jval v) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_CONST);
    if (n) n->value = v;
    return n;
}

static lf_jnode *name(lf_jparser *p) {
    static const struct {
        const char *word;
        lf_jval value;
    } words[] = {{"true", {.kind = LF_J_BOOL, .b = true}},
                 {"True", {.kind = LF_J_BOOL, .b = true}},
                 {"false", {.kind = LF_J_BOOL}},
                 {"False", {.kind = LF_J_BOOL}},
                 {"none", {.kind = LF_J_NONE}},
                 {"None", {.kind = LF_J_NONE}}};
    const char *s = lf_jexpect_name(p);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].word, s) == 0) return constant(p, words[i].value);
    if (strcmp(s, "self") == 0 || strcmp(s, "super") == 0)
        return lf_jparse_fail(p, LF_EUNSUPPORTED, "'%s' (blocks of templates) is not supported", s);
    lf_jnode *n = lf_jnode_new(p, LF_J_N_NAME);
    if (!n) return NULL;
    n->name = s;
    if (p->macro) {
        p->macro->varargs |= strcmp(s, "varargs") == 0;
        p->macro->kwargs |= strcmp(s, "kwargs") == 0;
        p->macro->caller |= strcmp(s, "caller") == 0;
    }
    return n;
}

/* Strings beside each other are one. */
static lf_jnode *string(lf_jparser *p) {
    size_t n = 0;
    const lf_jtoken *first = p->at;
    for (; p->at->kind == LF_J_T_STRING; lf_jnext(p)) n += p->at->n;
    char *to = lf_jmemory_take(&p->t->memory, n + 1);
    lf_jstr *s = lf_jmemory_take(&p->t->memory, sizeof *s);
    if (!to || !s) return lf_jparse_fail(p, LF_ENOMEM, "a template");
    *s = (lf_jstr){.s = to, .n = n};
    for (; first < p->at; first++) {
        memcpy(to, first->s, first->n);
        to += first->n;
    }
    return constant(p, (lf_jval){.kind = LF_J_STR, .s = s});
}

static lf_jnode *list(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_LIST), *last = NULL;
    while (n && !p->rc && !lf_jat_op(p, "]")) {
        if (last) lf_jexpect_op(p, ",");
        if (lf_jat_op(p, "]")) break;
        append(&n->list, &last, lf_jparse_expr(p, true));
    }
    lf_jexpect_op(p, "]");
    return n;
}

static lf_jnode *dict(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_DICT), *last = NULL;
    while (n && !p->rc && !lf_jat_op(p, "}")) {
        if (last) lf_jexpect_op(p, ",");
        if (lf_jat_op(p, "}")) break;
        lf_jnode *pair = make(p, LF_J_N_PAIR, lf_jparse_expr(p, true), NULL);
        lf_jexpect_op(p, ":");
        if (pair) pair->b = lf_jparse_expr(p, true);
        append(&n->list, &last, pair);
    }
    lf_jexpect_op(p, "}");
    return n;
}

static lf_jnode *primary(lf_jparser *p) {
    const lf_jtoken *k = p->at;
    lf_jnode *n;
    if (p->rc) return NULL;
    if (k->kind == LF_J_T_NAME) return name(p);
    if (k->kind == LF_J_T_STRING) return string(p);
    if (k->kind == LF_J_T_INT || k->kind == LF_J_T_FLOAT) {
        lf_jnext(p);
        return constant(p, k->kind == LF_J_T_INT ? lf_jint(k->i) : lf_jfloat(k->f));
    }
    if (lf_jskip_op(p, "(")) {
        n = lf_jparse_tuple(p, LF_J_TUPLE_PARENS);
        lf_jexpect_op(p, ")");
        return n;
    }
    if (lf_jskip_op(p, "[")) return list(p);
    if (lf_jskip_op(p, "{")) return dict(p);
    return lf_jparse_fail(p, LF_EDATA, "expected a value");
}

/* A name or name.attribute that is set. */
static lf_jnode *target(lf_jparser *p) {
    const bool dotted = p->at->kind == LF_J_T_NAME && p->at[1].kind == LF_J_T_OP && strcmp(p->at[1].s, ".") == 0;
    if (!dotted) return primary(p);
    lf_jnode *n = lf_jnode_new(p, LF_J_N_NAMESPACED);
    if (!n) return NULL;
    n->name = lf_jexpect_name(p);
    lf_jexpect_op(p, ".");
    n->attribute = lf_jexpect_name(p);
    return n;
}

static bool tuple_ends(const lf_jparser *p, lf_jtuple how) {
    return p->at->kind == LF_J_T_PRINT_END || p->at->kind == LF_J_T_BLOCK_END || lf_jat_op(p, ")") ||
           (how == LF_J_TUPLE_TARGET && lf_jat_name(p, "in"));
}

/* An expression, or several with commas between. */
lf_jnode *lf_jparse_tuple(lf_jparser *p, lf_jtuple how) {
    lf_jnode *first = NULL, *last = NULL, *n;
    bool several = false;
    if (!lf_jparse_enter(p)) return NULL;
    while (!p->rc) {
        if (last) lf_jexpect_op(p, ",");
        if (tuple_ends(p, how)) break;
        append(&first, &last, how == LF_J_TUPLE_TARGET ? target(p) : lf_jparse_expr(p, how != LF_J_TUPLE_PLAIN));
        if (!lf_jat_op(p, ",")) break;
        several = true;
    }
    p->depth--;
    if (p->rc) return NULL;
    if (!several && first) return first;
    if (!several && how != LF_J_TUPLE_PARENS) return lf_jparse_fail(p, LF_EDATA, "expected an expression");
    if ((n = lf_jnode_new(p, LF_J_N_TUPLE))) n->list = first;
    return n;
}

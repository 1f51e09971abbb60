/* Tokens to statements. */
#include <string.h>

#include "base/mem.h"
#include "jinja/internal.h"

/* ---- bodies ---- */

static lf_jnode *body(lf_jparser *p, const char *const *ends);

static bool at_one_of(const lf_jparser *p, const char *const *names) {
    for (; names && *names; names++)
        if (lf_jat_name(p, *names)) return true;
    return false;
}

/* From behind a tag's expressions to its end tag, which is left for the caller to read. */
static lf_jnode *body_until(lf_jparser *p, const char *const *ends) {
    if (!lf_jparse_enter(p)) return NULL;
    (void)lf_jskip_op(p, ":");
    lf_jexpect(p, LF_J_T_BLOCK_END, "%}");
    lf_jnode *first = body(p, ends);
    if (!p->rc && !at_one_of(p, ends)) lf_jparse_fail(p, LF_EDATA, "expected {%% %s %%}", ends[0]);
    p->depth--;
    return first;
}

static lf_jnode *body_to(lf_jparser *p, const char *end) {
    lf_jnode *first = body_until(p, (const char *const[]){end, NULL});
    if (!p->rc) lf_jnext(p);
    return first;
}

/* A body that runs as a function of its own: `break` in it does not end a loop around it. */
static lf_jnode *function_body(lf_jparser *p, lf_jnode *macro, const char *end) {
    const int loops = p->loops;
    lf_jnode *outer = p->macro;
    p->loops = 0;
    if (macro->kind != LF_J_N_GENERATION) p->macro = macro;
    lf_jnode *first = body_to(p, end);
    p->loops = loops;
    p->macro = outer;
    if (outer && macro->kind == LF_J_N_MACRO) { /* what an inner macro mentions, the outer one does */
        outer->varargs |= macro->varargs;
        outer->kwargs |= macro->kwargs;
        outer->caller |= macro->caller;
    }
    return first;
}

/* ---- statements: name, function; each begins behind its name ---- */

static bool can_be_set(lf_jparser *p, const lf_jnode *n) {
    if (p->rc) return false;
    if (n->kind == LF_J_N_NAME || n->kind == LF_J_N_NAMESPACED) return true;
    for (const lf_jnode *one = n->list; n->kind == LF_J_N_TUPLE && one; one = one->next)
        if (!can_be_set(p, one)) return false;
    if (n->kind == LF_J_N_TUPLE) return true;
    lf_jparse_fail(p, LF_EDATA, "expected a name that is to be set");
    return false;
}

/* a: the condition, list: the body, b: what follows, an IF for elif, or a body in its list without condition */
static lf_jnode *if_(lf_jparser *p) {
    static const char *const ends[] = {"endif", "else", "elif", NULL};
    lf_jnode *first = NULL, **to = &first;
    for (;;) {
        lf_jnode *n = *to = lf_jnode_new(p, LF_J_N_IF);
        if (!n) return NULL;
        n->a = lf_jparse_tuple(p, LF_J_TUPLE_PLAIN);
        n->list = body_until(p, ends);
        to = &n->b;
        if (p->rc) return NULL;
        if (!lf_jskip_name(p, "elif")) break;
    }
    if (lf_jskip_name(p, "else")) {
        lf_jnode *n = *to = lf_jnode_new(p, LF_J_N_IF);
        if (n) n->list = body_to(p, "endif");
    } else {
        lf_jnext(p);
    }
    return first;
}

/* a: what is set, b: what is gone through, c: the filter, list: the body, more: else */
static lf_jnode *for_(lf_jparser *p) {
    static const char *const ends[] = {"endfor", "else", NULL};
    lf_jnode *n = lf_jnode_new(p, LF_J_N_FOR);
    if (!n) return NULL;
    n->a = lf_jparse_tuple(p, LF_J_TUPLE_TARGET);
    if (!can_be_set(p, n->a)) return NULL;
    if (!lf_jskip_name(p, "in")) return lf_jparse_fail(p, LF_EDATA, "expected 'in'");
    n->b = lf_jparse_tuple(p, LF_J_TUPLE_PLAIN);
    if (lf_jskip_name(p, "if")) n->c = lf_jparse_expr(p, true);
    if (lf_jat_name(p, "recursive")) return lf_jparse_fail(p, LF_EUNSUPPORTED, "recursive loops are not supported");
    p->loops++;
    n->list = body_until(p, ends);
    p->loops--;
    if (lf_jskip_name(p, "else"))
        n->more = body_to(p, "endfor");
    else if (!p->rc)
        lf_jnext(p);
    return n;
}

/* a: what is set, b: to what; or list: the body it is set to, b: a filter of it */
static lf_jnode *set(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_SET), *target = lf_jparse_tuple(p, LF_J_TUPLE_TARGET);
    if (!n || !can_be_set(p, target)) return NULL;
    n->a = target;
    if (lf_jskip_op(p, "=")) {
        n->b = lf_jparse_tuple(p, LF_J_TUPLE_FULL);
        return n;
    }
    n->kind = LF_J_N_SET_BLOCK;
    n->b = lf_jparse_filters(p, NULL, false);
    n->list = body_to(p, "endset");
    return n;
}

/* more: KEYWORDs, list: the body */
static lf_jnode *with(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_WITH), **to = n ? &n->more : NULL;
    while (n && !p->rc && p->at->kind != LF_J_T_BLOCK_END) {
        if (n->more) lf_jexpect_op(p, ",");
        lf_jnode *one = *to = lf_jnode_new(p, LF_J_N_KEYWORD);
        if (!one) return NULL;
        one->name = lf_jexpect_name(p);
        lf_jexpect_op(p, "=");
        one->a = lf_jparse_expr(p, true);
        to = &one->next;
    }
    if (n) n->list = body_to(p, "endwith");
    return n;
}

/* Behind "(": PARAMETERs into n->more. */
static void signature(lf_jparser *p, lf_jnode *n) {
    lf_jnode **to = &n->more;
    bool defaults = false;
    while (!p->rc && !lf_jat_op(p, ")")) {
        if (n->more) lf_jexpect_op(p, ",");
        lf_jnode *one = *to = lf_jnode_new(p, LF_J_N_PARAMETER);
        if (!one) return;
        one->name = lf_jexpect_name(p);
        if (lf_jskip_op(p, "="))
            one->a = lf_jparse_expr(p, true);
        else if (defaults)
            lf_jparse_fail(p, LF_EDATA, "a parameter without a default behind one with a default");
        defaults = one->a != NULL;
        to = &one->next;
    }
    lf_jexpect_op(p, ")");
}

static lf_jnode *macro(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_MACRO);
    if (!n) return NULL;
    n->name = lf_jexpect_name(p);
    lf_jexpect_op(p, "(");
    signature(p, n);
    n->list = function_body(p, n, "endmacro");
    return n;
}

/* a: the call, list and more: as of a macro, its caller() */
static lf_jnode *call(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_CALL_BLOCK);
    if (!n) return NULL;
    n->name = "caller";
    if (lf_jskip_op(p, "(")) signature(p, n);
    n->a = lf_jparse_expr(p, true);
    if (!p->rc && n->a->kind != LF_J_N_CALL) return lf_jparse_fail(p, LF_EDATA, "expected a call");
    n->list = function_body(p, n, "endcall");
    return n;
}

static lf_jnode *filter(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_FILTER_BLOCK);
    if (!n) return NULL;
    n->b = lf_jparse_filters(p, NULL, true);
    n->list = body_to(p, "endfilter");
    return n;
}

static lf_jnode *generation(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_GENERATION);
    if (n) n->list = function_body(p, n, "endgeneration");
    p->t->generation = true;
    return n;
}

static lf_jnode *print(lf_jparser *p) {
    lf_jnode *first = NULL, **to = &first;
    while (!p->rc && p->at->kind != LF_J_T_BLOCK_END) {
        if (first) lf_jexpect_op(p, ",");
        lf_jnode *n = *to = lf_jnode_new(p, LF_J_N_PRINT);
        if (!n) return NULL;
        n->a = lf_jparse_expr(p, true);
        to = &n->next;
    }
    return first;
}

static lf_jnode *leave(lf_jparser *p, lf_jnode_kind kind) {
    if (p->loops == 0) return lf_jparse_fail(p, LF_EDATA, "break or continue outside of a loop");
    return lf_jnode_new(p, kind);
}
static lf_jnode *break_(lf_jparser *p) { return leave(p, LF_J_N_BREAK); }
static lf_jnode *continue_(lf_jparser *p) { return leave(p, LF_J_N_CONTINUE); }

static const struct {
    const char *name;
    lf_jnode *(*parse)(lf_jparser *p); /* NULL: Jinja has it */
} statements[] = {
    {"if", if_},        {"for", for_},           {"set", set},
    {"macro", macro},   {"with", with},          {"call", call},
    {"filter", filter}, {"print", print},        {"generation", generation},
    {"break", break_},  {"continue", continue_}, {"block", NULL},
    {"extends", NULL},  {"include", NULL},       {"import", NULL},
    {"from", NULL},     {"autoescape", NULL},
};

static lf_jnode *statement(lf_jparser *p) {
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!lf_jskip_name(p, statements[i].name)) continue;
        if (statements[i].parse) return statements[i].parse(p);
        return lf_jparse_fail(p, LF_EUNSUPPORTED, "the tag '%s' is not supported", statements[i].name);
    }
    return lf_jparse_fail(p, LF_EDATA, "expected the name of a tag");
}

static lf_jnode *data(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_DATA);
    lf_jstr *s = n ? lf_jmemory_take(&p->t->memory, sizeof *s) : NULL;
    if (!s) return lf_jparse_fail(p, LF_ENOMEM, "a template");
    *s = (lf_jstr){.s = p->at->s, .n = p->at->n};
    n->value = (lf_jval){.kind = LF_J_STR, .s = s};
    lf_jnext(p);
    return n;
}

static lf_jnode *print_tag(lf_jparser *p) {
    lf_jnode *n = lf_jnode_new(p, LF_J_N_PRINT);
    lf_jnext(p);
    if (n) n->a = lf_jparse_tuple(p, LF_J_TUPLE_FULL);
    lf_jexpect(p, LF_J_T_PRINT_END, "}}");
    return n;
}

/* Up to the template's end, or to a tag with one of the names, of which "{%" is then read. */
static lf_jnode *body(lf_jparser *p, const char *const *ends) {
    lf_jnode *first = NULL, **to = &first;
    while (!p->rc && p->at->kind != LF_J_T_END) {
        if (p->at->kind == LF_J_T_DATA) {
            *to = data(p);
        } else if (p->at->kind == LF_J_T_PRINT_BEGIN) {
            *to = print_tag(p);
        } else {
            lf_jexpect(p, LF_J_T_BLOCK_BEGIN, "a tag");
            if (at_one_of(p, ends)) return first;
            *to = statement(p);
            lf_jexpect(p, LF_J_T_BLOCK_END, "%}");
        }
        while (*to) to = &(*to)->next; /* `print` may make none or several */
    }
    return first;
}

/* ---- the template ---- */

lf_status lf_jinja_parse(lf_jinja **out, const char *source, size_t n, const char *where, lf_err *err) {
    lf_jtoken *tokens = NULL;
    lf_jinja *t = lf_calloc(1, sizeof *t);
    *out = NULL;
    if (!t) return lf_no_memory(err, "%s", where);
    t->memory = (lf_jmemory){.arena = lf_arena_new(), .most = SIZE_MAX};
    lf_status rc = LF_OK;
    if (!t->memory.arena || !(t->where = lf_strdup(where))) rc = lf_no_memory(err, "%s", where);
    if (!rc) rc = lf_jlex(&tokens, t, source, n, err);
    if (!rc) {
        lf_jparser p = {.t = t, .at = tokens, .err = err};
        t->body = body(&p, NULL);
        rc = p.rc;
    }
    lf_free(tokens);
    if (rc)
        lf_jinja_free(t);
    else
        *out = t;
    return rc;
}

void lf_jinja_free(lf_jinja *t) {
    if (!t) return;
    lf_arena_free(t->memory.arena);
    lf_free(t->where);
    lf_free(t);
}

bool lf_jinja_mentions(const lf_jinja *t, const char *word) {
    for (const lf_jword *w = t->words; w; w = w->next)
        if (strcmp(w->s, word) == 0) return true;
    return false;
}

bool lf_jinja_has_generation(const lf_jinja *t) { return t->generation; }

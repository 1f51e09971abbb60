/* What the files of the parser are made of. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jinja/internal.h"

void *lf_jparse_fail(lf_jparser *p, lf_status status, const char *format, ...) {
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    static const char *const found[] = {
        [LF_J_T_DATA] = "text",      [LF_J_T_PRINT_BEGIN] = "{{", [LF_J_T_PRINT_END] = "}}",
        [LF_J_T_BLOCK_BEGIN] = "{%", [LF_J_T_BLOCK_END] = "%}",   [LF_J_T_STRING] = "a string",
        [LF_J_T_INT] = "a number",   [LF_J_T_FLOAT] = "a number", [LF_J_T_END] = "the file's end"};
    const lf_jtoken *k = p->at;
    const char *near = found[k->kind] ? found[k->kind] : k->s;
    if (p->rc) return NULL;
    p->rc = status == LF_ENOMEM ? lf_no_memory(p->err, "%s", p->t->where)
            : status == LF_EDATA
                ? lf_fail(p->err, status, "%s: line %d: %s, at '%.60s'", p->t->where, k->line, what, near)
                : lf_fail(p->err, status, "%s: line %d: %s", p->t->where, k->line, what);
    return NULL;
}

lf_jnode *lf_jnode_new(lf_jparser *p, lf_jnode_kind kind) {
    lf_jnode *n = p->rc ? NULL : lf_jmemory_take(&p->t->memory, sizeof *n);
    if (!n) return lf_jparse_fail(p, LF_ENOMEM, "a template");
    n->kind = kind;
    n->line = p->at->line;
    return n;
}

bool lf_jparse_enter(lf_jparser *p) {
    if (p->rc) return false;
    if (p->depth == LF_J_PARSE_DEPTH) {
        lf_jparse_fail(p, LF_EUNSUPPORTED, "more than %d levels within each other", LF_J_PARSE_DEPTH);
        return false;
    }
    p->depth++;
    return true;
}

void lf_jnext(lf_jparser *p) {
    if (p->at->kind != LF_J_T_END) p->at++;
}
static bool at_word(const lf_jparser *p, lf_jtoken_kind kind, const char *s) {
    return !p->rc && p->at->kind == kind && strcmp(p->at->s, s) == 0;
}
bool lf_jat_op(const lf_jparser *p, const char *op) { return at_word(p, LF_J_T_OP, op); }
bool lf_jat_name(const lf_jparser *p, const char *name) { return at_word(p, LF_J_T_NAME, name); }
static bool skip(lf_jparser *p, bool there) {
    if (there) lf_jnext(p);
    return there;
}
bool lf_jskip_op(lf_jparser *p, const char *op) { return skip(p, lf_jat_op(p, op)); }
bool lf_jskip_name(lf_jparser *p, const char *name) { return skip(p, lf_jat_name(p, name)); }
void lf_jexpect_op(lf_jparser *p, const char *op) {
    if (!lf_jskip_op(p, op)) lf_jparse_fail(p, LF_EDATA, "expected '%s'", op);
}
void lf_jexpect(lf_jparser *p, lf_jtoken_kind kind, const char *what) {
    if (p->rc || !skip(p, p->at->kind == kind)) lf_jparse_fail(p, LF_EDATA, "expected %s", what);
}
const char *lf_jexpect_name(lf_jparser *p) {
    const lf_jtoken *k = p->at;
    lf_jexpect(p, LF_J_T_NAME, "a name");
    return p->rc ? "" : k->s;
}

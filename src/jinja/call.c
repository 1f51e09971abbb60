/* Calling macros, methods, functions, filters and tests: which argument is which parameter. */
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "jinja/internal.h"

const lf_jdef *lf_jdef_find(const lf_jdef *table, const char *name) {
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0) return table;
    return NULL;
}

static bool bind(lf_jinja_run *r, const lf_jdef *def, const char *what, lf_jcall *c) {
    const char *list = def->params;
    lf_slice item;
    size_t n = 0, named = 0;
    for (; lf_next_item(&list, &item); n++) {
        const bool by_place = *item.start == '/';
        char name[32];
        snprintf(name, sizeof name, "%.*s", item.length - by_place, item.start + by_place);
        const lf_jval *given = by_place ? NULL : lf_jdict_find_name(&c->named, name);
        if (given) {
            c->slot[n] = *given;
            named++;
        }
        if (n < c->given.n) c->slot[n] = c->given.items[n];
        if ((given && n < c->given.n) || (!given && n >= c->given.n && n < (size_t)def->required)) {
            lf_jfail(r, LF_EDATA, "the %s '%s': the argument '%s' is %s", what, def->name, name,
                     given ? "given twice" : "missing");
            return false;
        }
    }
    if (c->given.n <= n && named == c->named.n) return true;
    lf_jfail(r, LF_EDATA, "the %s '%s' has more arguments, or others, than it takes", what, def->name);
    return false;
}

lf_jval lf_jcall_def(lf_jinja_run *r, const lf_jdef *def, const char *what, lf_jval self, lf_jcall *c) {
    if (lf_jstop(r) || (def->params && !bind(r, def, what, c))) return lf_jundefined(NULL);
    return def->call(r, self, c);
}

lf_jval lf_jcall_value(lf_jinja_run *r, lf_jval callee, lf_jcall *c) {
    if (lf_jstop(r)) return callee;
    if (callee.kind == LF_J_MACRO) return callee.macro->call(r, callee.macro, c);
    if (callee.kind == LF_J_BOUND) return lf_jcall_def(r, callee.bound->def, "function", callee.bound->self, c);
    if (callee.kind == LF_J_UNDEFINED)
        return lf_jfail(r, LF_EDATA, "'%.60s' is undefined", callee.name ? callee.name : "a value");
    return lf_jfail(r, LF_EDATA, "a %s cannot be called", lf_jtype(&callee));
}

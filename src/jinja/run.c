/* A run: its memory, its limits, its failure. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "jinja/internal.h"

lf_jval lf_jfail(lf_jinja_run *r, lf_status status, const char *format, ...) {
    char what[700];
    if (r->rc) return lf_jundefined(NULL);
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (r->t)
        r->rc = lf_fail(&r->err, status, "%s: line %d: %s", r->t->where, r->line, what);
    else /* a value that it is given */
        r->rc = lf_fail(&r->err, status, "chat template: %s", what);
    return lf_jundefined(NULL);
}

void lf_jno_memory(lf_jinja_run *r) {
    if (r->rc) return;
    if (r->memory.refused)
        lf_jfail(r, LF_EDATA, "the template makes more than %zu MB of text", r->limits.memory >> 20);
    else
        r->rc = lf_no_memory(&r->err, "a chat template");
}

void *lf_jtake(lf_jinja_run *r, size_t size) {
    void *p = lf_jstop(r) ? NULL : lf_jmemory_take(&r->memory, size);
    if (!p) lf_jno_memory(r);
    return p;
}

bool lf_jstep(lf_jinja_run *r, size_t steps) {
    if ((size_t)r->steps < steps)
        lf_jfail(r, LF_EDATA, "the template takes more than %lld steps; does it end?", (long long)r->limits.steps);
    else
        r->steps -= (int64_t)steps;
    return !lf_jstop(r);
}

bool lf_jenter(lf_jinja_run *r) {
    if (r->depth == 0) {
        lf_jfail(r, LF_EDATA, "the template goes more than %d levels deep", r->limits.depth);
        return false;
    }
    r->depth--;
    return true;
}

void lf_jleave(lf_jinja_run *r) { r->depth++; }

void lf_jlose(lf_jinja_run *r, const lf_jstr *s) {
    for (size_t i = 0; i < s->n_spans; i++) {
        const int32_t origin = s->spans[i].origin;
        bool known = origin == 0;
        for (size_t k = 0; k < r->n_lost && !known; k++) known = r->lost[k] == origin;
        if (known) continue;
        if (!lf_grow(&r->lost, &r->lost_capacity, r->n_lost + 1)) {
            lf_jno_memory(r);
            return;
        }
        r->lost[r->n_lost++] = origin;
    }
}

lf_status lf_jinja_run_new(lf_jinja_run **out, const lf_jinja_limits *limits, lf_err *err) {
    lf_jinja_run *r = *out = lf_calloc(1, sizeof *r);
    if (!r) return lf_no_memory(err, "a chat template");
    r->limits = limits ? *limits : LF_JINJA_LIMITS_DEFAULT;
    r->memory = (lf_jmemory){.arena = lf_arena_new(), .most = r->limits.memory};
    r->steps = r->limits.steps;
    r->depth = r->limits.depth;
    if (r->memory.arena) return LF_OK;
    lf_jinja_run_free(r);
    *out = NULL;
    return lf_no_memory(err, "a chat template");
}

void lf_jinja_run_free(lf_jinja_run *r) {
    if (!r) return;
    lf_arena_free(r->memory.arena);
    lf_free(r->lost);
    lf_free(r);
}

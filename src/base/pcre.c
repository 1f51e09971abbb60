#include "base/pcre.h"

#include "base/mem.h"

enum { JIT_STACK_START = 32 << 10 };

struct lf_pcre {
    pcre2_general_context *memory;
    pcre2_code *code;
};

struct lf_pcre_matcher {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_match_data *match;
    pcre2_jit_stack *stack; /* NULL: PCRE2's own */
};

static void *take(size_t size, void *unused) {
    (void)unused;
    return lf_malloc(size);
}
static void give(void *p, void *unused) {
    (void)unused;
    lf_free(p);
}

static void explain(lf_pcre_fault *fault, int code, size_t at) {
    *fault = (lf_pcre_fault){.no_memory = code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY, .at = at};
    pcre2_get_error_message(code, (PCRE2_UCHAR *)fault->why, sizeof fault->why);
}

lf_pcre *lf_pcre_new(const char *pattern, size_t n, uint32_t options, bool jit, lf_pcre_fault *fault) {
    int code = PCRE2_ERROR_HEAP_FAILED;
    PCRE2_SIZE at = 0;
    pcre2_compile_context *context = NULL;
    lf_pcre *p = lf_calloc(1, sizeof *p);
    if (p && (p->memory = pcre2_general_context_create(take, give, NULL)) &&
        (context = pcre2_compile_context_create(p->memory))) {
        pcre2_set_newline(context,
                          PCRE2_NEWLINE_LF); /* what '.', '^' and '$' mean must not depend on how PCRE2 was built */
        p->code = pcre2_compile((PCRE2_SPTR)pattern, n, options, &code, &at, context);
    }
    pcre2_compile_context_free(context);
    if (!p || !p->code) {
        explain(fault, code, at);
        lf_pcre_free(p);
        return NULL;
    }
    /* No failure of ours: without machine code (a system that forbids it) PCRE2 interprets. */
    if (jit) (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    return p;
}

void lf_pcre_free(lf_pcre *p) {
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_general_context_free(p->memory);
    lf_free(p);
}

lf_pcre_matcher *lf_pcre_matcher_new(const lf_pcre *p, const lf_pcre_limits *limits) {
    lf_pcre_matcher *m = lf_calloc(1, sizeof *m);
    if (!m) return NULL;
    if ((m->memory = pcre2_general_context_create(take, give, NULL))) {
        m->limits = pcre2_match_context_create(m->memory);
        m->match = p ? pcre2_match_data_create_from_pattern(p->code, m->memory) : pcre2_match_data_create(1, m->memory);
        m->stack = limits->jit_stack ? pcre2_jit_stack_create(JIT_STACK_START, limits->jit_stack, m->memory) : NULL;
    }
    if (!m->limits || !m->match || (limits->jit_stack && !m->stack)) {
        lf_pcre_matcher_free(m);
        return NULL;
    }
    pcre2_set_match_limit(m->limits, limits->steps);
    if (limits->heap_kib) pcre2_set_heap_limit(m->limits, limits->heap_kib);
    if (m->stack) pcre2_jit_stack_assign(m->limits, NULL, m->stack);
    return m;
}

void lf_pcre_matcher_free(lf_pcre_matcher *m) {
    if (!m) return;
    pcre2_jit_stack_free(m->stack);
    pcre2_match_data_free(m->match);
    pcre2_match_context_free(m->limits);
    pcre2_general_context_free(m->memory);
    lf_free(m);
}

lf_pcre_found lf_pcre_match(const lf_pcre *p, lf_pcre_matcher *m, const char *s, size_t n, size_t from,
                            uint32_t options, lf_pcre_fault *fault) {
    const int found = pcre2_match(p->code, (PCRE2_SPTR)s, n, from, options, m->match, m->limits);
    if (found >= 0) return LF_PCRE_HIT; /* 0: with more groups than m is for */
    if (found == PCRE2_ERROR_NOMATCH) return LF_PCRE_NONE;
    explain(fault, found, 0);
    return LF_PCRE_FAULT;
}

bool lf_pcre_group(const lf_pcre_matcher *m, uint32_t group, size_t *begin, size_t *end) {
    if (group >= pcre2_get_ovector_count(m->match)) return false;
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(m->match) + (size_t)2 * group;
    *begin = bounds[0];
    *end = bounds[1];
    return bounds[0] != PCRE2_UNSET;
}

bool lf_pcre_copy_group(const lf_pcre_matcher *m, const char *name, char *to, size_t size) {
    return pcre2_substring_copy_byname(m->match, (PCRE2_SPTR)name, (PCRE2_UCHAR *)to, &size) == 0;
}

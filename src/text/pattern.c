#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <pcre2.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { MAX_STEPS = 10000000, MAX_HEAP_KIB = 64 << 10, JIT_STACK_START = 32 << 10, JIT_STACK_MOST = 16 << 20 };

struct lf_pattern {
    char *text; /* as the file has it */
    size_t size;
    const char *where;
    pcre2_general_context *memory;
    pcre2_code *code; /* NULL: a literal */
};

struct lf_matcher {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_match_data *match;
    pcre2_jit_stack *stack;
};

static void *take(size_t size, void *unused) {
    (void)unused;
    return lf_malloc(size);
}
static void give(void *p, void *unused) {
    (void)unused;
    lf_free(p);
}

void lf_pattern_free(lf_pattern *p) {
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_general_context_free(p->memory);
    lf_free(p->text);
    lf_free(p);
}

static lf_status no_memory(const lf_pattern *p, lf_err *err) {
    return lf_fail(err, LF_ENOMEM, "%s: pattern \"%s\": out of memory", p->where, p->text);
}

static lf_status compile(lf_pattern *p, lf_err *err) {
    lf_buffer translated = {0};
    pcre2_compile_context *context = NULL;
    int code;
    PCRE2_SIZE at;
    lf_status rc = lf_pattern_translate(&translated, p->text, p->where, err);
    if (rc) goto out;
    p->memory = pcre2_general_context_create(take, give, NULL);
    context = p->memory ? pcre2_compile_context_create(p->memory) : NULL;
    if (!context) {
        rc = no_memory(p, err);
        goto out;
    }
    pcre2_set_newline(context,
                      PCRE2_NEWLINE_LF); /* what '.', '^' and '$' mean must not depend on how PCRE2 was built */
    p->code = pcre2_compile((PCRE2_SPTR)translated.s, translated.n,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &at, context);
    if (!p->code && code == PCRE2_ERROR_HEAP_FAILED) {
        rc = no_memory(p, err);
    } else if (!p->code) {
        char why[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        rc = lf_fail(err, LF_EDATA, "%s: \"%s\" is not a regular expression: %s", p->where, p->text, why);
    } else {
        /* No failure of ours: without machine code (a system that forbids it) PCRE2 interprets. */
        (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    }
out:
    pcre2_compile_context_free(context);
    lf_buffer_free(&translated);
    return rc;
}

lf_status lf_pattern_new(lf_pattern **out, const char *text, bool literal, const char *where, lf_err *err) {
    *out = NULL;
    lf_pattern *p = lf_calloc(1, sizeof *p);
    if (!p || !(p->text = lf_strdup(text))) {
        lf_free(p);
        return lf_fail(err, LF_ENOMEM, "%s: out of memory", where);
    }
    p->size = strlen(text);
    p->where = where;
    lf_status rc = LF_OK;
    if (!literal)
        rc = compile(p, err);
    else if (p->size == 0)
        rc = lf_fail(err, LF_EUNSUPPORTED, "%s: an empty pattern is not supported", where);
    if (rc) {
        lf_pattern_free(p);
        return rc;
    }
    *out = p;
    return LF_OK;
}

void lf_matcher_free(lf_matcher *m) {
    if (!m) return;
    pcre2_jit_stack_free(m->stack);
    pcre2_match_data_free(m->match);
    pcre2_match_context_free(m->limits);
    pcre2_general_context_free(m->memory);
    lf_free(m);
}

lf_matcher *lf_matcher_new(void) {
    lf_matcher *m = lf_calloc(1, sizeof *m);
    if (!m) return NULL;
    m->memory = pcre2_general_context_create(take, give, NULL);
    m->limits = m->memory ? pcre2_match_context_create(m->memory) : NULL;
    m->match = m->memory ? pcre2_match_data_create(1, m->memory) : NULL; /* only the whole match is wanted */
    m->stack = m->memory ? pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MOST, m->memory) : NULL;
    if (!m->limits || !m->match || !m->stack) {
        lf_matcher_free(m);
        return NULL;
    }
    pcre2_set_match_limit(m->limits, MAX_STEPS);
    pcre2_set_heap_limit(m->limits, MAX_HEAP_KIB);
    pcre2_jit_stack_assign(m->limits, NULL, m->stack);
    return m;
}

bool lf_pattern_is_literal(const lf_pattern *p) { return !p->code; }

static bool find_literal(const lf_pattern *p, const char *s, size_t n, size_t from, lf_search *at) {
    while (n - from >= p->size) {
        const char *first = memchr(s + from, p->text[0], n - from - p->size + 1);
        if (!first) break;
        at->begin = (size_t)(first - s);
        if (memcmp(first, p->text, p->size) == 0) {
            at->end = at->begin + p->size;
            return true;
        }
        from = at->begin + 1;
    }
    return false;
}

lf_status lf_pattern_next(const lf_pattern *p, lf_matcher *m, const char *s, size_t n, lf_search *at, bool *hit,
                          lf_err *err) {
    *hit = false;
    while (!at->done) {
        if (!p->code) {
            *hit = find_literal(p, s, n, at->from, at);
            at->from = at->end;
            at->done = !*hit;
            return LF_OK;
        }
        const int found = pcre2_match(p->code, (PCRE2_SPTR)s, n, at->from, PCRE2_NO_UTF_CHECK, m->match, m->limits);
        if (found == PCRE2_ERROR_NOMATCH) {
            at->done = true;
            return LF_OK;
        }
        if (found == PCRE2_ERROR_NOMEMORY) return no_memory(p, err);
        if (found < 0) {
            char why[160];
            pcre2_get_error_message(found, (PCRE2_UCHAR *)why, sizeof why);
            return lf_fail(err, LF_EDATA, "%s: matching \"%s\" with a text of %zu bytes failed: %s; split the text",
                           p->where, p->text, n, why);
        }
        const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(m->match);
        const size_t last_end = at->end;
        const bool repeated = bounds[0] >= bounds[1] && at->any && bounds[1] == last_end;
        if (!repeated) {
            at->begin = bounds[0];
            at->end = bounds[1];
            at->from = bounds[1];
            at->any = *hit = true;
            return LF_OK;
        }
        if (at->from >= n)
            at->done = true;
        else
            at->from += lf_utf8_size(s + at->from);
    }
    return LF_OK;
}

#include "text/pattern.h"

#include <string.h>

#include "base/mem.h"
#include "base/pcre.h"
#include "base/utf8.h"

enum { MAX_STEPS = 10000000, MAX_HEAP_KIB = 64 << 10, JIT_STACK_MOST = 16 << 20 };

struct lf_pattern {
    char *text; /* as the file has it */
    size_t size;
    const char *where;
    lf_pcre *regex; /* NULL: a literal */
};

void lf_pattern_free(lf_pattern *p) {
    if (!p) return;
    lf_pcre_free(p->regex);
    lf_free(p->text);
    lf_free(p);
}

static lf_status compile(lf_pattern *p, lf_err *err) {
    lf_string translated = {0};
    lf_pcre_fault fault;
    lf_status rc = lf_pattern_translate(&translated, p->text, p->where, err);
    if (rc) goto out;
    p->regex = lf_pcre_new(translated.s, translated.n,
                           PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, true, &fault);
    if (!p->regex && fault.no_memory)
        rc = lf_no_memory(err, "the pattern \"%s\" of %s", p->text, p->where);
    else if (!p->regex)
        rc = lf_fail(err, LF_EDATA, "%s: \"%s\" is not a regular expression: %s", p->where, p->text, fault.why);
out:
    lf_string_free(&translated);
    return rc;
}

lf_status lf_pattern_new(lf_pattern **out, const char *text, bool literal, const char *where, lf_err *err) {
    *out = NULL;
    lf_pattern *p = lf_calloc(1, sizeof *p);
    if (!p || !(p->text = lf_strdup(text))) {
        lf_free(p);
        return lf_no_memory(err, "%s", where);
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

void lf_matcher_free(lf_matcher *m) { lf_pcre_matcher_free(m); }

lf_matcher *lf_matcher_new(void) { /* only the whole match is wanted */
    return lf_pcre_matcher_new(
        NULL, &(lf_pcre_limits){.steps = MAX_STEPS, .heap_kib = MAX_HEAP_KIB, .jit_stack = JIT_STACK_MOST});
}

bool lf_pattern_is_literal(const lf_pattern *p) { return !p->regex; }

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
        if (!p->regex) {
            *hit = find_literal(p, s, n, at->from, at);
            at->from = at->end;
            at->done = !*hit;
            return LF_OK;
        }
        lf_pcre_fault fault;
        size_t begin, end;
        const lf_pcre_found found = lf_pcre_match(p->regex, m, s, n, at->from, PCRE2_NO_UTF_CHECK, &fault);
        if (found == LF_PCRE_FAULT && fault.no_memory)
            return lf_no_memory(err, "the pattern \"%s\" of %s", p->text, p->where);
        if (found == LF_PCRE_FAULT)
            return lf_fail(err, LF_EDATA, "%s: matching \"%s\" with a text of %zu bytes failed: %s; split the text",
                           p->where, p->text, n, fault.why);
        if (found == LF_PCRE_NONE) {
            at->done = true;
            return LF_OK;
        }
        (void)lf_pcre_group(m, 0, &begin, &end);
        const bool repeated = begin >= end && at->any && end == at->end;
        if (!repeated) {
            at->begin = begin;
            at->end = at->from = end;
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

#include "adapter/regex.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pcre.h"

enum { MAX_STEPS = 1000000 };

struct lf_regex {
    char *pattern; /* as the user wrote it */
    const char *source;
    lf_pcre *whole;
    lf_pcre_matcher *matcher;
};

void lf_regex_free(lf_regex *r) {
    if (!r) return;
    lf_pcre_matcher_free(r->matcher);
    lf_pcre_free(r->whole);
    lf_free(r->pattern);
    lf_free(r);
}

static lf_status compile(lf_regex *r, const char *whole, size_t prefix, lf_err *err) {
    lf_pcre_fault fault;
    r->whole = lf_pcre_new(whole, strlen(whole),
                           PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C, false, &fault);
    if (r->whole) return LF_OK;
    if (fault.no_memory) return lf_no_memory(err, "the pattern \"%s\" of %s", r->pattern, r->source);
    return lf_fail(err, LF_EUSAGE, "%s: \"%s\" is not a regular expression: %s, at character %zu", r->source,
                   r->pattern, fault.why, fault.at > prefix ? fault.at - prefix : (size_t)0);
}

lf_status lf_regex_new(lf_regex **out, const char *prefix, const char *pattern, const char *suffix, const char *source,
                       lf_err *err) {
    lf_status rc = LF_OK;
    char *whole = lf_format("%s%s%s", prefix, pattern, suffix);
    lf_regex *r = lf_calloc(1, sizeof *r);
    *out = NULL;
    if (!r || !whole || !(r->pattern = lf_strdup(pattern))) {
        rc = lf_no_memory(err, "the pattern \"%s\" of %s", pattern, source);
        goto out;
    }
    r->source = source;
    if ((rc = compile(r, whole, strlen(prefix), err))) goto out;
    if (!(r->matcher = lf_pcre_matcher_new(r->whole, &(lf_pcre_limits){.steps = MAX_STEPS}))) {
        rc = lf_no_memory(err, "the pattern \"%s\" of %s", pattern, source);
        goto out;
    }
    *out = r;
    r = NULL;
out:
    lf_regex_free(r);
    lf_free(whole);
    return rc;
}

lf_status lf_regex_match(const lf_regex *r, const char *text, bool *hit, lf_err *err) {
    lf_pcre_fault fault;
    const lf_pcre_found found = lf_pcre_match(r->whole, r->matcher, text, strlen(text), 0, 0, &fault);
    *hit = found == LF_PCRE_HIT;
    if (found != LF_PCRE_FAULT) return LF_OK;
    if (fault.no_memory) return lf_no_memory(err, "the pattern \"%s\" of %s", r->pattern, r->source);
    return lf_fail(err, LF_EUSAGE, "%s: matching \"%s\" with module '%s' failed: %s; try a simpler pattern", r->source,
                   r->pattern, text, fault.why);
}

lf_status lf_regex_match_number(const lf_regex *r, const char *text, bool *hit, int64_t *number, lf_err *err) {
    *number = -1;
    const lf_status rc = lf_regex_match(r, text, hit, err);
    if (rc || !*hit) return rc;
    char digits[20];
    if (lf_pcre_copy_group(r->matcher, "layer", digits, sizeof digits)) *number = strtoll(digits, NULL, 10);
    return LF_OK;
}

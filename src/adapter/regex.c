#define PCRE2_CODE_UNIT_WIDTH 8
#include "adapter/regex.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_STEPS = 1000000 };

struct lf_regex {
    char *pattern; /* as the user wrote it */
    const char *source;
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_code *code;
    pcre2_match_data *match;
};

static void *take(size_t size, void *unused) {
    (void)unused;
    return lf_malloc(size);
}
static void give(void *p, void *unused) {
    (void)unused;
    lf_free(p);
}

void lf_regex_free(lf_regex *r) {
    if (!r) return;
    pcre2_match_data_free(r->match);
    pcre2_code_free(r->code);
    pcre2_match_context_free(r->limits);
    pcre2_general_context_free(r->memory);
    lf_free(r->pattern);
    lf_free(r);
}

static lf_status out_of_memory(const char *source, const char *pattern, lf_err *err) {
    return lf_fail(err, LF_ENOMEM, "%s: pattern \"%s\": out of memory", source, pattern);
}

static lf_status compile(lf_regex *r, const char *whole, size_t prefix, lf_err *err) {
    int code;
    PCRE2_SIZE at;
    pcre2_compile_context *context = pcre2_compile_context_create(r->memory);
    if (!context) return out_of_memory(r->source, r->pattern, err);
    r->code =
        pcre2_compile((PCRE2_SPTR)whole, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C, &code, &at, context);
    pcre2_compile_context_free(context);
    if (r->code) return LF_OK;
    if (code == PCRE2_ERROR_HEAP_FAILED) return out_of_memory(r->source, r->pattern, err);
    char why[160];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
    return lf_fail(err, LF_EUSAGE, "%s: \"%s\" is not a regular expression: %s, at character %zu", r->source,
                   r->pattern, why, at > prefix ? at - prefix : (size_t)0);
}

lf_status lf_regex_new(lf_regex **out, const char *prefix, const char *pattern, const char *suffix, const char *source,
                       lf_err *err) {
    lf_status rc = LF_OK;
    char *whole = lf_format("%s%s%s", prefix, pattern, suffix);
    lf_regex *r = lf_calloc(1, sizeof *r);
    *out = NULL;
    if (!r || !whole) {
        rc = out_of_memory(source, pattern, err);
        goto out;
    }
    r->source = source;
    r->pattern = lf_strdup(pattern);
    r->memory = pcre2_general_context_create(take, give, NULL);
    r->limits = r->memory ? pcre2_match_context_create(r->memory) : NULL;
    if (!r->pattern || !r->limits) {
        rc = out_of_memory(source, pattern, err);
        goto out;
    }
    pcre2_set_match_limit(r->limits, MAX_STEPS);
    if ((rc = compile(r, whole, strlen(prefix), err))) goto out;
    r->match = pcre2_match_data_create_from_pattern(r->code, r->memory);
    if (!r->match) {
        rc = out_of_memory(source, pattern, err);
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
    const int found = pcre2_match(r->code, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, 0, r->match, r->limits);
    *hit = found > 0;
    if (found > 0 || found == PCRE2_ERROR_NOMATCH) return LF_OK;
    if (found == PCRE2_ERROR_NOMEMORY) return out_of_memory(r->source, r->pattern, err);
    char why[160];
    pcre2_get_error_message(found, (PCRE2_UCHAR *)why, sizeof why);
    return lf_fail(err, LF_EUSAGE, "%s: matching \"%s\" with module '%s' failed: %s; try a simpler pattern", r->source,
                   r->pattern, text, why);
}

lf_status lf_regex_match_number(const lf_regex *r, const char *text, bool *hit, int64_t *number, lf_err *err) {
    *number = -1;
    const lf_status rc = lf_regex_match(r, text, hit, err);
    if (rc || !*hit) return rc;
    char digits[20];
    PCRE2_SIZE size = sizeof digits;
    if (pcre2_substring_copy_byname(r->match, (PCRE2_SPTR) "layer", (PCRE2_UCHAR *)digits, &size) == 0)
        *number = strtoll(digits, NULL, 10);
    return LF_OK;
}

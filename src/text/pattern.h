/* The patterns of a tokenizer.json. They are written for Oniguruma with Ruby's syntax; PCRE2 runs them, after a
 * translation (pattern_translate.c) of what the two read differently. What has no translation is refused by name. */
#ifndef LF_TEXT_PATTERN_H
#define LF_TEXT_PATTERN_H

#include "base/error.h"
#include "base/string.h"

typedef struct lf_pattern lf_pattern;      /* fixed after lf_pattern_new: any number of threads may share one */
typedef struct lf_pcre_matcher lf_matcher; /* what one thread needs to search */

/* `text` is a regular expression or, if `literal`, what to find as it stands. `where` (file and key) is named in errors
 * and borrowed. LF_EDATA if it is no regular expression, LF_EUNSUPPORTED if it asks for what we do not translate. */
lf_status lf_pattern_new(lf_pattern **out, const char *text, bool literal, const char *where, lf_err *err);
void lf_pattern_free(lf_pattern *p);

bool lf_pattern_is_literal(const lf_pattern *p); /* then lf_pattern_next needs no matcher: NULL will do */

lf_matcher *lf_matcher_new(void); /* NULL: no memory */
void lf_matcher_free(lf_matcher *m);

/* Matches in s[0 .. n), valid UTF-8, one after the other. Start with {0}. An empty match is not reported where the last
 * match ended. *hit false: no more. LF_EDATA if a search takes more steps than any sensible pattern needs. */
typedef struct lf_search {
    size_t from;       /* where the next search begins */
    size_t begin, end; /* the match */
    bool any, done;
} lf_search;
lf_status lf_pattern_next(const lf_pattern *p, lf_matcher *m, const char *s, size_t n, lf_search *at, bool *hit,
                          lf_err *err);

/* For pattern.c and its test: the PCRE2 text of a regular expression. */
lf_status lf_pattern_translate(lf_string *out, const char *text, const char *where, lf_err *err);

#endif

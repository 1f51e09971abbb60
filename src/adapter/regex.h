/* Regular expressions over module names. PEFT's are Python's; PCRE2 reads them the same for all that module names need.
 */
#ifndef LF_ADAPTER_REGEX_H
#define LF_ADAPTER_REGEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct lf_regex lf_regex;

/* prefix, pattern and suffix joined are what the whole of a name must match. LF_EUSAGE if `pattern` is no regular
 * expression; `source` (the key, or file and key) is named in all errors and borrowed. */
lf_status lf_regex_new(lf_regex **out, const char *prefix, const char *pattern, const char *suffix, const char *source,
                       lf_err *err);
void lf_regex_free(lf_regex *r);

/* LF_EUSAGE if matching takes more steps than any sensible pattern needs. */
lf_status lf_regex_match(const lf_regex *r, const char *text, bool *hit, lf_err *err);
/* The same; on a hit *number is what the group named `layer` caught (-1: not a number of 18 digits at most). */
lf_status lf_regex_match_number(const lf_regex *r, const char *text, bool *hit, int64_t *number, lf_err *err);

#endif

/* PCRE2 with our heap, limits on what a match may cost, and what went wrong in words. Who runs it says which syntax
 * (PCRE2's own options) and makes an error of a fault. */
#ifndef LF_BASE_PCRE_H
#define LF_BASE_PCRE_H

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lf_pcre lf_pcre;                 /* a compiled pattern: any number of threads may share one */
typedef struct lf_pcre_matcher lf_pcre_matcher; /* what one thread needs to match */

typedef struct lf_pcre_fault {
    bool no_memory;
    size_t at;     /* of a pattern: the byte where reading it ended */
    char why[160]; /* PCRE2's words */
} lf_pcre_fault;

/* `options` are of pcre2_compile; a line ends with "\n" whatever PCRE2 was built for. jit: as machine code, where the
 * system allows it. NULL: see fault. */
lf_pcre *lf_pcre_new(const char *pattern, size_t n, uint32_t options, bool jit, lf_pcre_fault *fault);
void lf_pcre_free(lf_pcre *p);

typedef struct lf_pcre_limits {
    uint32_t steps;    /* of one match */
    uint32_t heap_kib; /* 0: PCRE2's own limit, as for jit_stack */
    size_t jit_stack;  /* bytes, at most */
} lf_pcre_limits;

/* For the groups of p; NULL: for any pattern, but of a match only where the whole of it is. NULL: no memory. */
lf_pcre_matcher *lf_pcre_matcher_new(const lf_pcre *p, const lf_pcre_limits *limits);
void lf_pcre_matcher_free(lf_pcre_matcher *m);

typedef enum lf_pcre_found { LF_PCRE_NONE, LF_PCRE_HIT, LF_PCRE_FAULT } lf_pcre_found;

/* The first match in s[0 .. n) that begins at `from` or behind it. `options` are of pcre2_match. */
lf_pcre_found lf_pcre_match(const lf_pcre *p, lf_pcre_matcher *m, const char *s, size_t n, size_t from,
                            uint32_t options, lf_pcre_fault *fault);

/* Of the last hit: where a group is (0: the whole match). false: it took no part, or there is none of this number. */
bool lf_pcre_group(const lf_pcre_matcher *m, uint32_t group, size_t *begin, size_t *end);
/* What the group of this name caught, with a 0 behind it; false as above, or if `to` has no room for it. */
bool lf_pcre_copy_group(const lf_pcre_matcher *m, const char *name, char *to, size_t size);

#endif

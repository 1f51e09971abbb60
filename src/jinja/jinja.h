/* Templates in the part of Jinja 2 that chat templates use, rendered as transformers renders them: trim_blocks,
 * lstrip_blocks, an immutable sandbox, break and continue, {% generation %}, its `tojson`.
 *
 * A template is parsed once and may be rendered by any number of threads. A rendering is a run: it holds the variables,
 * all memory of the values that are made on the way, and the result. Nothing of a template can write, wait, or use more
 * than the limits allow.
 *
 * Text remembers where it came from. Each string that is put into a run has an origin, a number of the caller's choice
 * (0: none), and every byte of the result that was copied from it, through +, ~, slices, trim, split, replace, join,
 * macros and so on, says so. */
#ifndef LF_JINJA_JINJA_H
#define LF_JINJA_JINJA_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"

typedef struct lf_jinja lf_jinja;

/* `source` are n bytes, not kept; `where` is named in errors, with the line, and copied. LF_EDATA: no template;
 * LF_EUNSUPPORTED: Jinja has it and we do not, which is named (filters, tests and methods are looked for here, not when
 * they are met). The caller frees *out. */
lf_status lf_jinja_parse(lf_jinja **out, const char *source, size_t n, const char *where, lf_err *err);
void lf_jinja_free(lf_jinja *t);
/* The template has this word as a variable, an attribute or a string: if not, it cannot read a key of that name. (A
 * template may read keys without naming them: for k, v in message.items().) */
bool lf_jinja_mentions(const lf_jinja *t, const char *word);
bool lf_jinja_has_generation(const lf_jinja *t); /* {% generation %} is in it */

typedef struct lf_jinja_limits {
    int64_t steps; /* expressions and statements that are evaluated, elements and bytes that are looked through */
    size_t memory; /* bytes of all values that are made */
    int depth;     /* of expressions, statements and macros within each other */
} lf_jinja_limits;
#define LF_JINJA_LIMITS_DEFAULT ((lf_jinja_limits){.steps = 50000000, .memory = (size_t)1 << 28, .depth = 400})

/* ---- the variables of a run ----
 * What makes a value returns it, borrowed from the run; NULL where there was no memory or an argument was NULL, and
 * then the rendering fails too: nothing needs to be asked in between. Keys are copied. */
typedef struct lf_jinja_run lf_jinja_run;
typedef struct lf_jinja_value lf_jinja_value;

lf_status lf_jinja_run_new(lf_jinja_run **out, const lf_jinja_limits *limits, lf_err *err); /* limits NULL: default */
void lf_jinja_run_free(lf_jinja_run *r);

lf_jinja_value *lf_jinja_none(lf_jinja_run *r);
lf_jinja_value *lf_jinja_bool(lf_jinja_run *r, bool b);
lf_jinja_value *lf_jinja_text(lf_jinja_run *r, const char *s, size_t n, int32_t origin); /* copied; may hold a NUL */
lf_jinja_value *lf_jinja_list(lf_jinja_run *r);
lf_jinja_value *lf_jinja_dict(lf_jinja_run *r);
lf_jinja_value *lf_jinja_add(lf_jinja_run *r, lf_jinja_value *list, const lf_jinja_value *v);
lf_jinja_value *lf_jinja_put(lf_jinja_run *r, lf_jinja_value *dict, const char *key, const lf_jinja_value *v);
/* A tree; every string in it, keys apart, is of the one origin. */
lf_jinja_value *lf_jinja_json(lf_jinja_run *r, const cJSON *json, int32_t origin);
void lf_jinja_set(lf_jinja_run *r, const char *name, const lf_jinja_value *v);
/* What strftime_now says. Without it the function is LF_EUNSUPPORTED: a rendering is a function of its variables. */
void lf_jinja_set_now(lf_jinja_run *r, const struct tm *now);

/* ---- the result ---- */

typedef struct lf_jinja_span {
    size_t begin, end; /* bytes of the text */
    int32_t origin;    /* 0: none */
    bool changed;      /* made of the origin's text, not copied: upper case, an escape of tojson */
    bool generated;    /* within {% generation %} */
} lf_jinja_span;

typedef struct lf_jinja_result {
    const char *text; /* with a NUL behind it */
    size_t n;
    const lf_jinja_span *spans; /* in order, apart; what is between them is of no origin and not generated */
    size_t n_spans;
    const int32_t *lost; /* origins whose text was made into something that no longer knows it, a number */
    size_t n_lost;
} lf_jinja_result;

/* Once a run. The result is borrowed from the run. LF_EDATA: what raise_exception says, an error of the template for
 * these variables, or a limit; LF_EUNSUPPORTED: something that Jinja has and we do not. */
lf_status lf_jinja_render(const lf_jinja *t, lf_jinja_run *r, lf_jinja_result *out, lf_err *err);

#endif

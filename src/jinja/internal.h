/* What the files of this folder share: nodes of a parsed template, values, runs.
 *
 * A failure of a run is sticky (lf_jfail): functions return a value all the same, and who loops asks lf_jstop. */
#ifndef LF_JINJA_INTERNAL_H
#define LF_JINJA_INTERNAL_H

#include "base/pool.h"
#include "jinja/jinja.h"

/* ---- memory: small pieces of an arena, counted ---- */

typedef struct lf_jmemory {
    lf_arena *arena;
    char *block; /* what is left of the last piece of the arena */
    size_t left, used, most;
    bool refused; /* more than `most` was asked for */
} lf_jmemory;
void *lf_jmemory_take(lf_jmemory *m, size_t size); /* cleared; NULL: none, or more than `most` */

/* ---- values ---- */

typedef enum lf_jkind {
    LF_J_ABSENT, /* an argument that was not given */
    LF_J_UNDEFINED,
    LF_J_NONE,
    LF_J_BOOL,
    LF_J_INT,
    LF_J_FLOAT,
    LF_J_STR,
    LF_J_SEQ,
    LF_J_DICT,
    LF_J_NAMESPACE,
    LF_J_MACRO,
    LF_J_LOOP,
    LF_J_BOUND, /* a method with its object, or a function */
    LF_J_N_KINDS,
} lf_jkind;

/* Python's types that hold elements in order; what each can do is in value.c's table. */
typedef enum lf_jform {
    LF_J_LIST,
    LF_J_TUPLE,
    LF_J_RANGE,
    LF_J_KEYS,
    LF_J_VALUES,
    LF_J_ITEMS,
    LF_J_ITERATOR, /* read once */
    LF_J_N_FORMS,
} lf_jform;

typedef struct lf_jstr {
    const char *s; /* any bytes, a NUL behind them */
    size_t n;
    const lf_jinja_span *spans;
    size_t n_spans;
    bool markup; /* of the filter `safe`: what it is added to would be escaped */
} lf_jstr;

typedef struct lf_jseq {
    lf_jinja_value *items;
    size_t n, capacity;
    lf_jform form;
} lf_jseq;

typedef struct lf_jdict {
    lf_jinja_value *keys, *values;
    size_t n, capacity;
} lf_jdict;

typedef struct lf_jmacro lf_jmacro;
typedef struct lf_jloop lf_jloop;
typedef struct lf_jbound lf_jbound;

struct lf_jinja_value {
    lf_jkind kind;
    union {
        bool b;
        int64_t i;
        double f;
        const lf_jstr *s;
        lf_jseq *q;
        lf_jdict *d; /* of a namespace too */
        const lf_jmacro *macro;
        lf_jloop *loop;
        const lf_jbound *bound;
        const char *name; /* undefined: of what; may be NULL */
    };
};
typedef lf_jinja_value lf_jval;

/* ---- what is called ---- */

enum { LF_J_SLOTS = 6 };

typedef struct lf_jcall {
    lf_jseq given;
    lf_jdict named;
    lf_jval slot[LF_J_SLOTS]; /* the arguments by the order of the table's parameters; LF_J_ABSENT: not given */
} lf_jcall;

typedef lf_jval lf_jfunction(lf_jinja_run *r, lf_jval self, lf_jcall *c);

/* A line of a table: filters.def, tests.def, methods.def, functions.def. */
typedef struct lf_jdef {
    const char *name;
    lf_jfunction *call;
    int required;
    const char *params; /* "old|new|/count": a slash before what cannot be given by its name; NULL: takes any */
} lf_jdef;

struct lf_jbound {
    const lf_jdef *def;
    lf_jval self;
};

extern const lf_jdef lf_jfilters[], lf_jtests[], lf_jfunctions[]; /* the last has no name */
const lf_jdef *lf_jdef_find(const lf_jdef *table, const char *name);
/* A method of values of this kind (and form). *forbidden: it would change its object, which the sandbox does not let.
 */
const lf_jdef *lf_jmethod_find(const lf_jval *v, const char *name, bool *forbidden);
bool lf_jmethod_lacks(const char *name); /* Python has it for some type, and we do not */

/* ---- nodes ---- */

/* kind, function of expr.c */
#define LF_J_EXPRS(X)                                                                                                  \
    X(CONST)                                                                                                           \
    X(NAME)                                                                                                            \
    X(LIST)                                                                                                            \
    X(TUPLE)                                                                                                           \
    X(DICT)                                                                                                            \
    X(CONDITION)                                                                                                       \
    X(AND)                                                                                                             \
    X(OR)                                                                                                              \
    X(NOT)                                                                                                             \
    X(COMPARE)                                                                                                         \
    X(BINARY)                                                                                                          \
    X(UNARY)                                                                                                           \
    X(CONCAT)                                                                                                          \
    X(ATTRIBUTE)                                                                                                       \
    X(ITEM)                                                                                                            \
    X(SLICE)                                                                                                           \
    X(CALL)                                                                                                            \
    X(FILTER)                                                                                                          \
    X(TEST)
/* kind, function of render.c */
#define LF_J_STATEMENTS(X)                                                                                             \
    X(DATA)                                                                                                            \
    X(PRINT)                                                                                                           \
    X(IF)                                                                                                              \
    X(FOR)                                                                                                             \
    X(SET)                                                                                                             \
    X(SET_BLOCK)                                                                                                       \
    X(WITH)                                                                                                            \
    X(MACRO)                                                                                                           \
    X(CALL_BLOCK)                                                                                                      \
    X(FILTER_BLOCK)                                                                                                    \
    X(GENERATION)                                                                                                      \
    X(BREAK)                                                                                                           \
    X(CONTINUE)

typedef enum lf_jnode_kind {
#define LF_J_NODE(kind) LF_J_N_##kind,
    LF_J_EXPRS(LF_J_NODE) LF_J_STATEMENTS(LF_J_NODE)
#undef LF_J_NODE
        LF_J_N_PAIR,   /* of a dict: a, b; a comparison: op, a */
    LF_J_N_KEYWORD,    /* name = a */
    LF_J_N_PARAMETER,  /* of a macro: name, a is its default or NULL */
    LF_J_N_NAMESPACED, /* name.attribute, to be set */
} lf_jnode_kind;

/* Which member is what stands where the node is made (parse_expr.c, parse.c). */
typedef struct lf_jnode {
    lf_jnode_kind kind;
    int line;
    const char *name, *attribute; /* interned: the same word has the same address */
    lf_jval value;
    const char *op; /* of the lexer's table */
    const lf_jdef *def;
    struct lf_jnode *a, *b, *c;
    struct lf_jnode *list, *more; /* the first of two lists */
    struct lf_jnode *next;
    bool varargs, kwargs, caller; /* of a macro: what it mentions */
} lf_jnode;

typedef struct lf_jword {
    struct lf_jword *next;
    char s[];
} lf_jword;

struct lf_jinja {
    lf_jmemory memory;
    char *where;
    lf_jnode *body;
    lf_jword *words;
    bool generation;
};

/* ---- runs ---- */

typedef struct lf_jbuilder {
    lf_jinja_run *r;
    char *s;
    size_t n, capacity;
    lf_jinja_span *spans;
    size_t n_spans, span_capacity;
} lf_jbuilder;

/* Names and what they stand for; the innermost comes first. */
typedef struct lf_jvariable {
    const char *name; /* interned */
    lf_jval value;
    struct lf_jvariable *next;
} lf_jvariable;
typedef struct lf_jscope {
    const struct lf_jscope *outer;
    lf_jvariable *variables;
} lf_jscope;

struct lf_jmacro {
    const lf_jnode *node;
    const lf_jscope *scope; /* where it was defined */
    lf_jval (*call)(lf_jinja_run *r, const lf_jmacro *macro, lf_jcall *c);
};

struct lf_jloop {
    const lf_jseq *items;
    size_t index0;
    lf_jval last; /* what `changed` was asked of */
};

struct lf_jinja_run {
    lf_jmemory memory;
    lf_jinja_limits limits;
    lf_jdict variables;
    struct tm now;
    bool has_now;
    const lf_jinja *t;
    lf_jbuilder *out; /* where statements write */
    lf_jval body;     /* what the first filter of a block is of */
    int64_t steps;
    int depth, line;
    int32_t *lost;
    size_t n_lost, lost_capacity;
    lf_status rc;
    lf_err err;
};

/* run.c */
lf_jval lf_jfail(lf_jinja_run *r, lf_status status, const char *format, ...) LF_PRINTF(3, 4); /* undefined */
bool lf_jstep(lf_jinja_run *r, size_t steps);                                                 /* false: stop */
static inline bool lf_jstop(const lf_jinja_run *r) { return r->rc != LF_OK; }
bool lf_jenter(lf_jinja_run *r); /* one level deeper; false: too deep */
void lf_jleave(lf_jinja_run *r);
void *lf_jtake(lf_jinja_run *r, size_t size); /* NULL after a failure */
void lf_jlose(lf_jinja_run *r, const lf_jstr *s);
void lf_jno_memory(lf_jinja_run *r); /* fails: there is none, or no more is allowed */

/* value.c */
static inline lf_jval lf_jundefined(const char *name) { return (lf_jval){.kind = LF_J_UNDEFINED, .name = name}; }
static inline lf_jval lf_jnone(void) { return (lf_jval){.kind = LF_J_NONE}; }
static inline lf_jval lf_jbool(bool b) { return (lf_jval){.kind = LF_J_BOOL, .b = b}; }
static inline lf_jval lf_jint(int64_t i) { return (lf_jval){.kind = LF_J_INT, .i = i}; }
static inline lf_jval lf_jfloat(double f) { return (lf_jval){.kind = LF_J_FLOAT, .f = f}; }
lf_jval lf_jtext(lf_jinja_run *r, const char *s, size_t n);
lf_jval lf_jliteral(lf_jinja_run *r, const char *s);
lf_jval lf_jseq_new(lf_jinja_run *r, lf_jform form);
void lf_jseq_add(lf_jinja_run *r, lf_jseq *q, lf_jval v);
lf_jval lf_jdict_new(lf_jinja_run *r);
void lf_jdict_put(lf_jinja_run *r, lf_jdict *d, lf_jval key, lf_jval v);
const lf_jval *lf_jdict_find(lf_jinja_run *r, const lf_jdict *d, lf_jval key); /* NULL: it is not there */
const lf_jval *lf_jdict_find_name(const lf_jdict *d, const char *name);
bool lf_jhashable(const lf_jval *v);
const char *lf_jtype(const lf_jval *v); /* as Python names it */
bool lf_jtruth(const lf_jval *v);
bool lf_jis_number(const lf_jval *v);  /* bool too */
bool lf_jis_indexed(const lf_jval *v); /* a list, tuple or range */
/* The integer of a bool or int; false otherwise. */
bool lf_jas_int(const lf_jval *v, int64_t *out);
double lf_jas_double(const lf_jval *v);
bool lf_jsame(const lf_jval *a, const lf_jval *b); /* Python's `is` */
bool lf_jequal(lf_jinja_run *r, lf_jval a, lf_jval b);
int lf_jcompare(lf_jinja_run *r, lf_jval a, lf_jval b); /* -1, 0, 1; fails where Python has no order; 2: NaN */
bool lf_jcontains(lf_jinja_run *r, lf_jval container, lf_jval v);
bool lf_jlength(const lf_jval *v, size_t *n); /* false: it has none */
bool lf_jiterable(const lf_jval *v);
lf_jseq lf_jiterate(lf_jinja_run *r, lf_jval v); /* what a loop goes through; fails where Python does */
lf_jval lf_jattribute(lf_jinja_run *r, lf_jval v, const char *name); /* v.name */
lf_jval lf_jitem(lf_jinja_run *r, lf_jval v, lf_jval key);           /* v[key] */
lf_jval lf_jslice(lf_jinja_run *r, lf_jval v, const lf_jval bounds[3]);

/* text.c */
void lf_jb_put(lf_jbuilder *b, const char *s, size_t n);
void lf_jb_put_of(lf_jbuilder *b, const char *s, size_t n, lf_jinja_span like); /* begin, end ignored */
void lf_jb_add(lf_jbuilder *b, const lf_jstr *s);
void lf_jb_add_part(lf_jbuilder *b, const lf_jstr *s, size_t begin, size_t end);
lf_jval lf_jb_value(lf_jbuilder *b);
lf_jval lf_jpart(lf_jinja_run *r, const lf_jstr *s, size_t begin, size_t end);
lf_jinja_span lf_jspan_at(const lf_jstr *s, size_t at);         /* of which origin that byte is */
size_t lf_jchar_next(const lf_jstr *s, size_t at, uint32_t *c); /* bytes; what is no UTF-8 is a character a byte */
size_t lf_jchars(const lf_jstr *s);
bool lf_jspace(uint32_t c); /* str.isspace */
typedef enum lf_jcase { LF_J_UPPER, LF_J_LOWER, LF_J_TITLE } lf_jcase;
void lf_jb_add_cased(lf_jbuilder *b, const lf_jstr *s, size_t begin, size_t end, lf_jcase how);

/* print.c */
void lf_jb_str(lf_jbuilder *b, lf_jval v);             /* str(v) */
void lf_jb_repr(lf_jbuilder *b, lf_jval v);            /* repr(v) */
const lf_jstr *lf_jstr_of(lf_jinja_run *r, lf_jval v); /* str(v); never NULL */

/* format.c */
lf_jval lf_jformat(lf_jinja_run *r, const lf_jstr *format, lf_jval args); /* format % args */

/* edit.c: what filters and methods have in common */
typedef enum lf_jsides { LF_J_LEFT = 1, LF_J_RIGHT = 2, LF_J_BOTH = 3 } lf_jsides;
lf_jval lf_jstrip(lf_jinja_run *r, const lf_jstr *s, lf_jval chars, lf_jsides sides); /* chars absent: white space */
lf_jval lf_jreplace(lf_jinja_run *r, const lf_jstr *s, const lf_jstr *old, const lf_jstr *new,
                    int64_t count); /* < 0: all */
lf_jval lf_jcased(lf_jinja_run *r, const lf_jstr *s, lf_jcase how);
lf_jval lf_jcapitalize(lf_jinja_run *r, const lf_jstr *s);
lf_jseq lf_jlines(lf_jinja_run *r, const lf_jstr *s, bool keep_ends);
lf_jval lf_jjoin(lf_jinja_run *r, const lf_jstr *between, const lf_jseq *parts, bool only_text);

/* call.c */
lf_jval lf_jcall_value(lf_jinja_run *r, lf_jval callee, lf_jcall *c);
lf_jval lf_jcall_def(lf_jinja_run *r, const lf_jdef *def, const char *what, lf_jval self, lf_jcall *c);

/* expr.c, operators.c, render.c */
lf_jval lf_jeval(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope);
lf_jval lf_jbinary(lf_jinja_run *r, const char *op, lf_jval a, lf_jval b);
bool lf_jcompare_op(lf_jinja_run *r, const char *op, lf_jval a, lf_jval b);
void lf_jcall_args(lf_jinja_run *r, const lf_jnode *n, lf_jscope *scope, lf_jcall *out);
lf_jval lf_jresolve(lf_jinja_run *r, const char *name, const lf_jscope *scope);
void lf_jscope_set(lf_jinja_run *r, lf_jscope *scope, const char *name, lf_jval v);

/* lexer.c */
typedef enum lf_jtoken_kind {
    LF_J_T_DATA,
    LF_J_T_PRINT_BEGIN,
    LF_J_T_PRINT_END,
    LF_J_T_BLOCK_BEGIN,
    LF_J_T_BLOCK_END,
    LF_J_T_NAME,
    LF_J_T_STRING,
    LF_J_T_INT,
    LF_J_T_FLOAT,
    LF_J_T_OP,
    LF_J_T_END,
} lf_jtoken_kind;
typedef struct lf_jtoken {
    lf_jtoken_kind kind;
    int line;
    const char *s; /* interned for names; of the table for operators */
    size_t n;
    int64_t i;
    double f;
} lf_jtoken;
/* The tokens of a template, the last of kind END, into an array that the caller frees with lf_free. */
lf_status lf_jlex(lf_jtoken **out, lf_jinja *t, const char *source, size_t n, lf_err *err);
const char *lf_jintern(lf_jinja *t, const char *s, size_t n); /* NULL: no memory */

/* parser.c, parse_expr.c */
typedef struct lf_jparser {
    lf_jinja *t;
    const lf_jtoken *at;
    int depth, loops;
    lf_jnode *macro; /* that is being read, or NULL */
    lf_status rc;
    lf_err *err;
} lf_jparser;
enum { LF_J_PARSE_DEPTH = 150 };
lf_jnode *lf_jnode_new(lf_jparser *p, lf_jnode_kind kind);
void *lf_jparse_fail(lf_jparser *p, lf_status status, const char *format, ...) LF_PRINTF(3, 4); /* NULL */
bool lf_jparse_enter(lf_jparser *p); /* one level deeper; who leaves it counts p->depth down */
bool lf_jat_op(const lf_jparser *p, const char *op);
bool lf_jat_name(const lf_jparser *p, const char *name);
bool lf_jskip_op(lf_jparser *p, const char *op);
bool lf_jskip_name(lf_jparser *p, const char *name);
void lf_jexpect_op(lf_jparser *p, const char *op);
const char *lf_jexpect_name(lf_jparser *p); /* "" after a failure */
void lf_jexpect(lf_jparser *p, lf_jtoken_kind kind, const char *what);
void lf_jnext(lf_jparser *p);
lf_jnode *lf_jparse_expr(lf_jparser *p, bool with_condition);
typedef enum lf_jtuple { LF_J_TUPLE_FULL, LF_J_TUPLE_PLAIN, LF_J_TUPLE_TARGET, LF_J_TUPLE_PARENS } lf_jtuple;
lf_jnode *lf_jparse_tuple(lf_jparser *p, lf_jtuple how);
lf_jnode *lf_jparse_filters(lf_jparser *p, lf_jnode *of, bool first_without_bar);

#endif

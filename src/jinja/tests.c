#include <utf8proc.h>

#include "jinja/internal.h"

#define TEST(name, expression)                                                                                         \
    static lf_jval test_##name(lf_jinja_run *r, lf_jval v, lf_jcall *c) {                                              \
        (void)r, (void)c;                                                                                              \
        return lf_jbool(expression);                                                                                   \
    }

TEST(defined, v.kind != LF_J_UNDEFINED)
TEST(undefined, v.kind == LF_J_UNDEFINED)
TEST(none, v.kind == LF_J_NONE)
TEST(boolean, v.kind == LF_J_BOOL)
TEST(true, v.kind == LF_J_BOOL && v.b)
TEST(false, v.kind == LF_J_BOOL && !v.b)
TEST(integer, v.kind == LF_J_INT)
TEST(float, v.kind == LF_J_FLOAT)
TEST(number, lf_jis_number(&v))
TEST(string, v.kind == LF_J_STR)
TEST(mapping, v.kind == LF_J_DICT)
TEST(iterable, lf_jiterable(&v) || v.kind == LF_J_LOOP)
TEST(sequence, lf_jis_indexed(&v) || v.kind == LF_J_STR || v.kind == LF_J_DICT || v.kind == LF_J_UNDEFINED)
/* An undefined value has a __call__, which fails. */
TEST(callable, v.kind == LF_J_MACRO || v.kind == LF_J_BOUND || v.kind == LF_J_LOOP || v.kind == LF_J_UNDEFINED)
TEST(escaped, v.kind == LF_J_STR && v.s->markup)
TEST(sameas, lf_jsame(&v, &c->slot[0]))
TEST(in, lf_jcontains(r, c->slot[0], v))
TEST(filter, v.kind == LF_J_STR && lf_jdef_find(lf_jfilters, v.s->s) != NULL)
TEST(test, v.kind == LF_J_STR && lf_jdef_find(lf_jtests, v.s->s) != NULL)
TEST(eq, lf_jcompare_op(r, "==", v, c->slot[0]))
TEST(ne, lf_jcompare_op(r, "!=", v, c->slot[0]))
TEST(gt, lf_jcompare_op(r, ">", v, c->slot[0]))
TEST(ge, lf_jcompare_op(r, ">=", v, c->slot[0]))
TEST(lt, lf_jcompare_op(r, "<", v, c->slot[0]))
TEST(le, lf_jcompare_op(r, "<=", v, c->slot[0]))

static bool rest_is(lf_jinja_run *r, lf_jval v, lf_jval of, int64_t rest) {
    return lf_jequal(r, lf_jbinary(r, "%", v, of), lf_jint(rest));
}
TEST(even, rest_is(r, v, lf_jint(2), 0))
TEST(odd, rest_is(r, v, lf_jint(2), 1))
TEST(divisibleby, rest_is(r, v, c->slot[0], 0))

/* str.islower and str.isupper: a letter with case, and none of the other case. */
static bool has_case(lf_jinja_run *r, lf_jval v, utf8proc_category_t wanted) {
    const lf_jstr *s = lf_jstr_of(r, v);
    bool found = false;
    for (size_t at = 0; at < s->n && lf_jstep(r, 1);) {
        uint32_t c;
        at += lf_jchar_next(s, at, &c);
        const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
        const bool cased =
            category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
        if (cased && category != wanted) return false;
        found |= cased;
    }
    return found;
}
TEST(lower, has_case(r, v, UTF8PROC_CATEGORY_LL))
TEST(upper, has_case(r, v, UTF8PROC_CATEGORY_LU))

const lf_jdef lf_jtests[] = {
#define LF_JINJA_TEST(name, call, required, params) {name, call, required, params},
#include "jinja/tests.def"
#undef LF_JINJA_TEST
    {NULL, NULL, 0, NULL},
};

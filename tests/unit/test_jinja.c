/* Jinja: what the golden files do not show. Where text came from, what is refused and how, limits, failing allocations.
 */
#include <stdio.h>
#include <string.h>

#include "memory_fixture.h"

#include "base/json.h"
#include "base/string.h"
#include "jinja/jinja.h"

/* Origins: a message's role and content are 10 i + 1 and 10 i + 2. */
static void set_talk(lf_jinja_run *r) {
    static const struct {
        const char *role, *content;
        size_t n;
    } talk[] = {{"user", " Hi, you! ", 10}, {"assistant", "Ho\0ho\xc3\xa4", 7}, {"user", "42", 2}};
    lf_jinja_value *messages = lf_jinja_list(r);
    for (int32_t i = 0; i < 3; i++) {
        lf_jinja_value *m = lf_jinja_dict(r);
        lf_jinja_put(r, m, "role", lf_jinja_text(r, talk[i].role, strlen(talk[i].role), 10 * i + 1));
        lf_jinja_put(r, m, "content", lf_jinja_text(r, talk[i].content, talk[i].n, 10 * i + 2));
        lf_jinja_add(r, messages, m);
    }
    lf_jinja_set(r, "messages", messages);
}

static lf_status render(const char *source, const lf_jinja_limits *limits, lf_jinja_run **r, lf_jinja_result *out,
                        lf_err *err) {
    lf_jinja *t = NULL;
    lf_status rc = lf_jinja_parse(&t, source, strlen(source), "t.jinja", err);
    *r = NULL;
    if (!rc && !(rc = lf_jinja_run_new(r, limits, err))) {
        set_talk(*r);
        rc = lf_jinja_render(t, *r, out, err);
    }
    lf_jinja_free(t); /* the result is the run's alone */
    return rc;
}

/* "text" with each span as [origin:text], a * for changed bytes and a ! for generated ones. */
static char *marked(const lf_jinja_result *out) {
    lf_string s = {0};
    size_t at = 0;
    for (size_t i = 0; i < out->n_spans; i++) {
        const lf_jinja_span *p = &out->spans[i];
        lf_string_put(&s, out->text + at, p->begin - at);
        lf_string_add(&s, "[%d%s%s:", p->origin, p->changed ? "*" : "", p->generated ? "!" : "");
        lf_string_put(&s, out->text + p->begin, p->end - p->begin);
        lf_string_put(&s, "]", 1);
        at = p->end;
    }
    lf_string_put(&s, out->text + at, out->n - at);
    return lf_string_take(&s);
}

#define U "messages[0].content"

static void test_origins(void **state) {
    (void)state;
    static const struct {
        const char *source, *marked;
    } cases[] = {
        {"<{{ messages[0].role }}>", "<[1:user]>"},
        {"{{ 'a' + " U " ~ 'b' }}", "a[2: Hi, you! ]b"},
        {"{{ " U " | trim }}{{ " U ".strip() }}", "[2:Hi, you!Hi, you!]"},
        {"{{ " U "[1:3] }}{{ " U "[3] }}{{ " U "[::-1] }}", "[2:Hi, !uoy ,iH ]"},
        {"{{ " U ".split(',')[1] }}-{{ (" U ".split() | list)[0] }}", "[2: you! ]-[2:Hi,]"},
        {"{{ " U ".replace('i', 'o') }}", "[2: H]o[2:, you! ]"},
        {"{{ 'x-y'.replace('-', " U ") }}", "x[2: Hi, you! ]y"},
        {"{{ " U " | upper }}", "[2: H][2*:I][2:, ][2*:YOU][2:! ]"},
        {"{{ messages[0].role | upper }}{{ messages[0].role | capitalize }}", "[1*:USERU][1:ser]"},
        {"{{ messages | map(attribute='role') | join('+') }}", "[1:user]+[11:assistant]+[21:user]"},
        {"{{ '%s:%5s' % (messages[2].role, messages[2].content) }}", "[21:user]:   [22:42]"},
        {"{{ '{}{{'.format(messages[2].content) }}", "[22:42]{"},
        {"{% set x %}({{ " U " }}){% endset %}{{ x[1:-1] }}", "[2: Hi, you! ]"},
        {"{% macro f(a) %}<{{ a | trim }}>{% endmacro %}{{ f(" U ") }}", "<[2:Hi, you!]>"},
        {"{% filter trim %} {{ " U " }} {% endfilter %}", "[2:Hi, you!]"},
        {"{% set ns = namespace(s='') %}{% for m in messages if m.role == 'user' %}{% set ns.s = ns.s + "
         "m.content.strip() %}"
         "{% endfor %}{{ ns.s }}",
         "[2:Hi, you!][22:42]"},
        {"{{ {'k': messages[2].content, 'l\n': 'm'} | tojson }}", "{\"k\": \"[22:42]\", \"l\\n\": \"m\"}"},
        {"{{ messages[1].content[2:] | tojson }}", "\"[12*:\\u0000][12:ho\xc3\xa4]\""},
        {"{{ [messages[2].content] }}", "['[22:42]']"},
        {"{% for c in messages[2].content %}{{ c }}.{% endfor %}", "[22:4].[22:2]."},
        {"{{ messages[2].content * 2 }}{{ messages[2].content | reverse }}", "[22:424224]"},
        {"{{ 'a\nb' | indent(messages[2].content) }}", "a\n[22:42]b"},
        {"{{ {'user': 'U', 'x': 1}[messages[0].role] }}", "U"},
        {"{% generation %}<{{ " U " }}>{% endgeneration %} {{ " U " }}", "[0!:<][2!: Hi, you! ][0!:>] [2: Hi, you! ]"},
        {"{% macro f() %}a{% generation %}b{% endgeneration %}{% endmacro %}{{ f() }}{{ f() | trim }}",
         "a[0!:b]a[0!:b]"},
        {"{% generation %}{% endgeneration %}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_jinja_run *r;
        lf_jinja_result out;
        lf_err err = {0};
        if (render(cases[i].source, NULL, &r, &out, &err)) fail_msg("%s: %s", cases[i].source, err.message);
        char *got = marked(&out);
        if (strcmp(got, cases[i].marked) != 0)
            fail_msg("%s:\n%s\ninstead of\n%s", cases[i].source, got, cases[i].marked);
        assert_int_equal(out.n_lost, 0);
        lf_free(got);
        lf_jinja_run_free(r);
    }
}

static void test_lost(void **state) {
    (void)state;
    static const char *const sources[] = {"{{ messages[2].content | int }}", "{{ messages[2].content | float }}"};
    for (int i = 0; i < 2; i++) {
        lf_jinja_run *r;
        lf_jinja_result out;
        assert_int_equal(render(sources[i], NULL, &r, &out, NULL), LF_OK);
        assert_int_equal(out.n_lost, 1);
        assert_int_equal(out.lost[0], 22);
        assert_int_equal(out.n_spans, 0);
        lf_jinja_run_free(r);
    }
}

static void test_nul(void **state) {
    (void)state;
    lf_jinja_run *r;
    lf_jinja_result out;
    assert_int_equal(
        render("<{{ messages[1].content.upper() }}>{{ messages[1].content|length }}", NULL, &r, &out, NULL), LF_OK);
    assert_int_equal(out.n, 10);
    assert_memory_equal(out.text, "<HO\0HO\xc3\x84>6", 11);
    lf_jinja_run_free(r);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *source;
        lf_status rc;
        const char *says;
    } cases[] = {
        {"a\nb{{ x | xmlattr }}", LF_EUNSUPPORTED, "t.jinja: line 2: the filter 'xmlattr' is not supported"},
        {"{% if false %}{{ x | nothing_like_it }}{% endif %}", LF_EUNSUPPORTED, "the filter 'nothing_like_it'"},
        {"{{ x is weird }}", LF_EUNSUPPORTED, "the test 'weird'"},
        {"{{ x.swapcase() }}", LF_EUNSUPPORTED, "the method 'swapcase'"},
        {"{{ 'x'['center'] }}", LF_EUNSUPPORTED, "the method 'center' of a str"},
        {"{% include 'x' %}", LF_EUNSUPPORTED, "the tag 'include'"},
        {"{% block b %}{% endblock %}", LF_EUNSUPPORTED, "the tag 'block'"},
        {"{% for x in [] recursive %}{% endfor %}", LF_EUNSUPPORTED, "recursive"},
        {"{{ cycler(1) }}", LF_EUNSUPPORTED, "the function 'cycler'"},
        {"{{ strftime_now('%Y') }}", LF_EUNSUPPORTED, "strftime_now"},
        {"{{ '<' + ('b' | safe) }}", LF_EUNSUPPORTED, "safe text"},
        {"{{ 9223372036854775807 + 1 }}", LF_EUNSUPPORTED, "64 bits"},
        {"{{ 9223372036854775808 }}", LF_EUNSUPPORTED, "64 bits"},
        {"{{ [1] | map('upper') }}", LF_EUNSUPPORTED, "a generator"},
        {"{{ messages[1:2, 3] }}", LF_EUNSUPPORTED, "a slice beside another index"},
        {"{{ messages[3, :] }}", LF_EUNSUPPORTED, "a slice beside another index"},
        {"{{ caf\xc3\xa9 }}", LF_EUNSUPPORTED, "other letters"},
        {"{{ '\\ud83d' }}", LF_EUNSUPPORTED, "half a character"},
        {"{% nonsense %}", LF_EDATA, "expected the name of a tag, at 'nonsense'"},
        {"{{ 1", LF_EDATA, "not closed"},
        {"\n{# x", LF_EDATA, "t.jinja: line 2: the comment"},
        {"{% if x %}", LF_EDATA, "expected {% endif %}"},
        {"{{ \xff }}", LF_EDATA, "not UTF-8"},
        {"{{ raise_exception('turns!') }}", LF_EDATA, "the template refuses the conversation: turns!"},
        {"\n\n{{ nobody.x }}", LF_EDATA, "line 3: 'nobody' is undefined"},
        {"{{ messages[0].nobody.x }}", LF_EDATA, "'nobody' is undefined"},
        {"{{ 'a' + 1 }}", LF_EDATA, "a str + a int is not possible"},
        {"{{ 'a'.replace('b') }}", LF_EDATA, "the function 'replace': the argument 'new' is missing"},
        {"{{ messages.append(1) }}", LF_EDATA, "'append' is undefined"},
        {"{% for m in messages %}{% endfor %}{% break %}", LF_EDATA, "outside of a loop"},
        {"{% for m in messages %}{% generation %}{% break %}{% endgeneration %}{% endfor %}", LF_EDATA,
         "outside of a loop"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_jinja_run *r;
        lf_jinja_result out;
        lf_err err = {0};
        const lf_status rc = render(cases[i].source, NULL, &r, &out, &err);
        if (rc != cases[i].rc || !strstr(err.message, cases[i].says)) fail_msg("%s: %s", cases[i].source, err.message);
        lf_jinja_run_free(r);
    }
}

/* Templates that never end, or want all memory or the whole stack. */
static void test_limits(void **state) {
    (void)state;
    static const struct {
        const char *source, *says;
    } cases[] = {
        {"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", ""},
        {"{{ 'x' * 1000000000000 }}", "steps"},
        {"{{ 'x'.ljust(1000000000000) }}", ""},
        {"{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "MB"},
        {"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", ""},
        {"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
         ""},
        {"{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}"
         "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
         "steps"},
        {"{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
         "levels deep"},
        {"{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson "
         "}}",
         "levels deep"},
        {"{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "levels deep"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "levels deep"},
        {"{{ '%9999s%9999s' % (1, 2) }}{{ raise_exception('fine') }}", "fine"},
    };
    const lf_jinja_limits limits = {.steps = 3000000, .memory = 32 << 20, .depth = 400};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_jinja_run *r;
        lf_jinja_result out;
        lf_err err = {0};
        const lf_status rc = render(cases[i].source, &limits, &r, &out, &err);
        if (rc != LF_EDATA || !strstr(err.message, cases[i].says)) fail_msg("%s: %s", cases[i].source, err.message);
        lf_jinja_run_free(r);
    }
}

/* Levels of the source itself: brackets, unary operators, tags, chains. */
static void test_deep_sources(void **state) {
    (void)state;
    static const struct {
        const char *open, *middle, *close;
        int times;
    } cases[] = {{"(", "1", ")", 5000},
                 {"[", "", "]", 5000},
                 {"-", "1", "", 5000},
                 {"not ", "1", "", 5000},
                 {"1 if 1 else ", "1", "", 5000},
                 {"1 + ", "1", "", 5000},
                 {"", "x", ".y", 5000},
                 {"", "1", "|abs", 5000},
                 {"x(", "", ")", 5000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_string s = {0};
        lf_jinja_run *r;
        lf_jinja_result out;
        lf_err err = {0};
        lf_string_put(&s, "{{ ", 3);
        for (int k = 0; k < cases[i].times; k++) lf_string_add(&s, "%s", cases[i].open);
        lf_string_add(&s, "%s", cases[i].middle);
        for (int k = 0; k < cases[i].times; k++) lf_string_add(&s, "%s", cases[i].close);
        lf_string_put(&s, " }}", 3);
        const lf_status rc = render(s.s, NULL, &r, &out, &err);
        if (rc != LF_EDATA && rc != LF_EUNSUPPORTED) fail_msg("%s...: %s", cases[i].open, err.message);
        lf_jinja_run_free(r);
        lf_string_free(&s);
    }
}

static void test_mentions(void **state) {
    (void)state;
    static const char source[] =
        "{{ message['weight'] }}{{ m.tools }}{% generation %}{% endgeneration %}{# train #}data";
    lf_jinja *t = NULL;
    assert_int_equal(lf_jinja_parse(&t, source, sizeof source - 1, "t", NULL), LF_OK);
    assert_true(lf_jinja_mentions(t, "weight") && lf_jinja_mentions(t, "tools") && lf_jinja_mentions(t, "m"));
    assert_false(lf_jinja_mentions(t, "train") || lf_jinja_mentions(t, "data") || lf_jinja_mentions(t, "weigh"));
    assert_true(lf_jinja_has_generation(t));
    lf_jinja_free(t);
}

static void test_json_values(void **state) {
    (void)state;
    static const char source[] = "{{ v | tojson }} {{ v.b }}";
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"{\"a\": [1, -2.5, true, null, \"x\", {}], \"b\": 1e3}",
         "{\"a\": [1, -2.5, true, null, \"x\", {}], \"b\": 1000.0} 1000.0"},
        {"{\"b\": 1.0}", "{\"b\": 1.0} 1.0"},
        {"{\"b\": 1e16}", "{\"b\": 1e+16} 1e+16"},
        {"{\"b\": 9007199254740993}", "{\"b\": 9007199254740993} 9007199254740993"},
        {"{\"b\": -9223372036854775808}", "{\"b\": -9223372036854775808} -9223372036854775808"},
        {"{\"b\": 9223372036854775808}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *tree = NULL;
        lf_jinja *t = NULL;
        lf_jinja_run *r = NULL;
        lf_jinja_result out;
        lf_err err = {0};
        assert_int_equal(lf_json_parse(&tree, cases[i].json, strlen(cases[i].json), "j", NULL), LF_OK);
        assert_int_equal(lf_jinja_parse(&t, source, sizeof source - 1, "t", NULL), LF_OK);
        assert_int_equal(lf_jinja_run_new(&r, NULL, NULL), LF_OK);
        lf_jinja_set(r, "v", lf_jinja_json(r, tree, 3));
        assert_int_equal(lf_jinja_render(t, r, &out, &err), cases[i].text ? LF_OK : LF_EUNSUPPORTED);
        if (cases[i].text) {
            assert_string_equal(out.text, cases[i].text);
            if (i == 0) assert_int_equal(out.spans[0].origin, 3); /* of its text */
        } else {
            assert_non_null(strstr(err.message, "9223372036854775808 is beyond 64 bits"));
        }
        lf_jinja_run_free(r);
        lf_jinja_free(t);
        cJSON_Delete(tree);
    }
}

static void test_no_memory(void **state) {
    (void)state;
    static const char source[] =
        "{% macro f(x, y=2) %}{{ x ~ y }}{% endmacro %}{% for m in messages %}{{ f(m.content) | upper }}"
        "{{ m | tojson }}{{ m.content | int }}{% endfor %}{% set x %}{{ 'a' * 300000 }}{% endset %}{{ x }}";
    lf_status rc = LF_ENOMEM;
    int64_t k = 0;
    for (; rc == LF_ENOMEM; k++) {
        lf_jinja_run *r;
        lf_jinja_result out;
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = render(source, NULL, &r, &out, &err);
        lf_alloc_fail_after(-1);
        if (rc && rc != LF_ENOMEM) fail_msg("%s", err.message);
        lf_jinja_run_free(r);
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_true(k > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LEAKLESS(test_origins),  LEAKLESS(test_lost),        LEAKLESS(test_nul),
        LEAKLESS(test_refused),  LEAKLESS(test_limits),      LEAKLESS(test_deep_sources),
        LEAKLESS(test_mentions), LEAKLESS(test_json_values), LEAKLESS(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

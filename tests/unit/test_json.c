/* JSON: what is accepted, what is refused and where, typed members, printing, and every failing allocation. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_fixture.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/plain.h"
#include "base/rng.h"

static cJSON *parse(const char *text) {
    lf_err err = {0};
    cJSON *json = NULL;
    if (lf_json_parse(&json, text, strlen(text), "t.json", &err)) fail_msg("%s", err.message);
    return json;
}

static void refused(const char *text, size_t size, const char *where, const char *why) {
    lf_err err = {0};
    cJSON *json = (cJSON *)(uintptr_t)1;
    const lf_status rc = lf_json_parse(&json, text, size, "t.json", &err);
    if (rc != LF_EDATA || !strstr(err.message, where) || !strstr(err.message, why) || strchr(err.message, '\n'))
        fail_msg("%.*s: status %d, message '%s'; expected '%s' and '%s'", (int)size, text, rc, err.message, where, why);
    assert_null(json);
    assert_int_equal(lf_alloc_live(), 0);
}

static void test_comments(void **state) {
    (void)state;
    cJSON *json =
        parse("// head\n{ /* one\n\"a\": 9, */ \"a\": \"x // no /* comment */\", // tail\n\"b\": 2 /**/ }//end");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(json, "a")->valuestring, "x // no /* comment */");
    assert_true(cJSON_GetObjectItemCaseSensitive(json, "b")->valuedouble == 2);
    cJSON_Delete(json);
    json = parse(
        "\xef\xbb\xbf{\"\\\"//\": \"\\\\\"}"); /* byte order mark; escaped quote, escaped backslash before a quote */
    assert_string_equal(json->child->string, "\"//");
    assert_string_equal(json->child->valuestring, "\\");
    cJSON_Delete(json);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *where, *why;
    } cases[] = {
        {"", "t.json", "empty"},
        {" // nothing\n", "t.json", "empty"},
        {"{\n\"a\": 1,\n\"b\" 2\n}", "line 3", "invalid JSON"},
        {"{\"a\": 1,}", "line 1, column 8", "comma behind the last element"},
        {"[1, // one\n 2, /* two */\n]", "line 2, column 3", "comma behind the last element"},
        {"{\"a\": [1,2 ,\r\n\t]}", "line 1, column 12", "comma behind the last element"},
        {"[1,,2]", "line 1", "invalid JSON"},
        {"[1 2]", "line 1", "invalid JSON"},
        {"{} {}", "line 1, column 4", "invalid JSON"},
        {"{}\n\nx", "line 3", "invalid JSON"},
        {"[1", "line 1", "invalid JSON"},
        {"[/* 1]", "line 1, column 2", "not closed"},
        {"[\n\"abc", "line 2, column 1", "not closed"},
        {"[\n\"abc\n\"]", "line 2, column 1", "not closed"},
        {"[\"a\\", "line 1, column 2", "not closed"},
        {"[\"\t\"]", "line 1", "control character"},
        {"[\"\\u0000\"]", "line 1", "\\u0000"},
        {"{\"a\\u0000b\": 1}", "line 1", "\\u0000"},
        {"[\"\\u12G4\"]", "line 1", "hexadecimal"},
        {"[\"\\x\"]", "line 1", "invalid JSON"},
        {"[\"\\ud800\"]", "line 1, column 3", "\\ud800 is half of a character"},
        {"{\"text\": \"cut \\ud83d\"}", "line 1, column 15", "\\ud83d is half of a character (such as an emoji)"},
        {"[\"\\uD83D.\\uDE00\"]", "line 1, column 3", "\\uD83D is half"},
        {"[\"\\ude00 x\"]", "line 1, column 3", "\\ude00 is half"},
        {"[\"\\ud83d\\ud83d\\ude00\"]", "line 1, column 3", "\\ud83d is half"},
        {"{\"\\ud83d\": 1}", "line 1, column 3", "half of a character"},
        {"[\"\xff\"]", "line 1", "UTF-8"},
        {"[\"\xc0\xaf\"]", "line 1", "UTF-8"},
        {"[\"\xe0\x80\xaf\"]", "line 1", "UTF-8"},
        {"[\"\xed\xa0\x80\"]", "line 1", "UTF-8"},
        {"[\"\xf4\x90\x80\x80\"]", "line 1", "UTF-8"},
        {"[\"\xe2\x82", "line 1", "UTF-8"},
        {"[01]", "line 1", "number"},
        {"[1.]", "line 1", "number"},
        {"[-]", "line 1", "number"},
        {"[1e]", "line 1", "number"},
        {"[--1]", "line 1", "number"},
        {"[1.2.3]", "line 1", "number"},
        {"[.5]", "line 1", "invalid JSON"},
        {"[0x10]", "line 1", "invalid JSON"},
        {"{\"text\":\"A cat.\",\n\"score\":NaN}", "line 2, column 9", "no NaN, though Python's json writes it"},
        {"[nan]", "line 1, column 2", "no nan"},
        {"[1, Infinity]", "line 1, column 5", "no Infinity"},
        {"[-Infinity]", "line 1, column 2", "no -Infinity"},
        {"[-inf]", "line 1, column 2", "no -inf"},
        {"[inf]", "line 1, column 2", "no inf"},
        {"{\"a\": True}", "line 1, column 7", "JSON's is true"},
        {"{\"a\": False}", "line 1, column 7", "JSON's is false"},
        {"{\"a\": None}", "line 1, column 7", "JSON's is null"},
        {"{\"a\": undefined}", "line 1, column 7", "JSON's is null"},
        {"{'a': 1}", "line 1, column 2", "single quote"},
        {"{\"a\": 'x'}", "line 1, column 7", "single quote"},
        {"[`a`]", "line 1, column 2", "backquote"},
        {"{\xe2\x80\x9c"
         "a\xe2\x80\x9d: 1}",
         "line 1, column 2", "typographic quote"},
        {"{\xc2\xa0\"a\": 1}", "line 1, column 2", "no-break space"},
        {"{\"a\": 1}\n\xef\xbb\xbf{\"a\": 2}", "line 2, column 1", "byte order mark in the middle"},
        {"{\"a\": 1} # one", "line 1, column 10", "no # comments"},
        {"[1,\n1e400]", "line 2, column 1", "beyond the range of a double"},
        {"[-2.5e+999]", "line 1, column 2", "beyond the range of a double"},
        {"\n <!DOCTYPE html><html>", "t.json", "found a web page"},
        {"<html><body>404</body></html>", "t.json", "found a web page"},
        {"<?xml version=\"1.0\"?><Error/>", "t.json", "found XML"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "t.json", "git lfs pull"},
        {"PK\x03\x04....", "t.json", "zip archive"},
        {"\x1f\x8b\x08....", "t.json", "gunzip"},
        {"{\n\"a\": 1,\n\"b\": {\"a\": 1},\n\"a\": 2}", "line 4, column 1", "key 'a' is there twice"},
        {"[{}, {\"x\": [{\n\"k\": \"k\", \"q\":1,\n \"\\u006b\": 2}]}]", "line 3, column 2", "key 'k' is there twice"},
        {"{\"a\\n\": 1, \"a\\n\": 1}", "line 1", "there twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].text, strlen(cases[i].text), cases[i].where, cases[i].why);
    refused("[1,\0 2]", 7, "line 1, column 4", "control character");
    refused("[\"a\0b\"]", 7, "line 1", "control character");
    refused("/* \0 */ 1", 9, "line 1", "not closed");
    refused("\xff\xfe{\0\"\0a\0", 8, "t.json", "UTF-16 text (as Windows writes it); save it as UTF-8");
    refused("\xfe\xff\0{\0\"\0a", 8, "t.json", "UTF-16");
    refused("\xff\xfe\0\0{\0\0\0", 8, "t.json", "UTF-32");
    refused("{\0\"\0a\0\"\0", 8, "t.json", "UTF-16 text without a mark (little endian)");
    refused("\0{\0\"\0a\0\"", 8, "t.json", "UTF-16 text without a mark (big endian)");
    refused("PK\x03\x04\0\0\0\0", 8, "t.json", "zip");
    static char digits[4400];
    memset(digits, '7', 4301);
    refused(digits, 4301, "line 1, column 1", "more than 4300 digits");
}

/* What is not JSON outside of strings may stand in them. */
static void test_words_in_strings(void **state) {
    (void)state;
    static const char text[] =
        "[\"NaN None True 'x' # , ] \xe2\x80\x9c \\ud83d\\ude00 \\uD83D\\uDE00\", \"a\", true, false, null]";
    cJSON *json = parse(text);
    assert_string_equal(json->child->valuestring,
                        "NaN None True 'x' # , ] \xe2\x80\x9c \xf0\x9f\x98\x80 \xf0\x9f\x98\x80");
    cJSON_Delete(json);
}

/* Each number as it prints, as Python's str() writes it, and whether it is an integer of 64 bits. */
static void test_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed, *as_python;
        bool whole;
        int64_t i;
        bool is_float;
    } cases[] = {
        {"0", "0", "0", true, 0, false},
        {"-0", "-0", "0", true, 0, false},
        {"-0.0", "-0", "-0.0", true, 0, true},
        {"42", "42", "42", true, 42, false},
        {"999999999999999", "999999999999999", "999999999999999", true, 999999999999999, false},
        {"9007199254740991", "9007199254740991", "9007199254740991", true, 9007199254740991, false},
        {"9007199254740992", "9007199254740992", "9007199254740992", true, 9007199254740992, false},
        {"9007199254740993", "9007199254740993", "9007199254740993", true, 9007199254740993, false},
        {"-9007199254740993", "-9007199254740993", "-9007199254740993", true, -9007199254740993, false},
        {"123456789012345678", "123456789012345678", "123456789012345678", true, 123456789012345678, false},
        {"9223372036854775807", "9223372036854775807", "9223372036854775807", true, INT64_MAX, false},
        {"-9223372036854775808", "-9223372036854775808", "-9223372036854775808", true, INT64_MIN, false},
        {"9223372036854775808", "9223372036854775808", "9223372036854775808", false, 0, false},
        {"100000000000000000000", "100000000000000000000", "100000000000000000000", false, 0, false},
        {"1000000000000000000000000000000000000000000000000000000000000000000001",
         "1000000000000000000000000000000000000000000000000000000000000000000001",
         "1000000000000000000000000000000000000000000000000000000000000000000001", false, 0, false},
        {"1.0", "1", "1.0", true, 1, true},
        {"1e5", "100000", "100000.0", true, 100000, true},
        {"1E+2", "100", "100.0", true, 100, true},
        {"1e15", "1000000000000000", "1000000000000000.0", true, 1000000000000000, true},
        {"1e16", "1e+16", "1e+16", false, 0, true},
        {"123456789012345678.0", "1.2345678901234568e+17", "1.2345678901234568e+17", false, 0, true},
        {"0.1", "0.1", "0.1", false, 0, true},
        {"1e-5", "1e-05", "1e-05", false, 0, true},
        {"0.0001", "0.0001", "0.0001", false, 0, true},
        {"1.50", "1.5", "1.5", false, 0, true},
        {"5e-324", "4.94065645841247e-324", "5e-324", false, 0, true},
        {"1e-400", "0", "0.0", true, 0, true},
        {"3.14159265358979323846264338327950288419716939937510582097494459230781640628", "3.141592653589793",
         "3.141592653589793", false, 0, true},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char *text = lf_format("[1, [%s], {\"k\": %s}, 2.0, 3]", cases[k].text, cases[k].text);
        char *expected = lf_format("[1, [%s], {\"k\": %s}, 2, 3]", cases[k].printed, cases[k].printed);
        cJSON *json = parse(text), *copy = cJSON_Duplicate(json, true);
        const cJSON *one = cJSON_GetArrayItem(copy, 1)->child;
        char *printed = lf_json_print_line(copy);
        lf_string as_python = {0};
        int64_t i = -7;
        bool same;
        assert_string_equal(printed, expected);
        assert_true(lf_json_put_number(&as_python, one));
        assert_string_equal(as_python.s, cases[k].as_python);
        assert_int_equal(lf_json_exact_i64(one, &i), cases[k].whole);
        assert_int_equal(i, cases[k].whole ? cases[k].i : -7);
        assert_int_equal(lf_json_is_float(one), cases[k].is_float);
        assert_true(lf_json_same(&same, json, copy) && same);
        lf_free(printed);
        lf_json_keep_floats(copy);
        printed = lf_json_print_line(copy);
        const char *kept = cases[k].is_float && one->valuestring ? cases[k].text : cases[k].printed;
        lf_free(expected);
        expected = lf_format("[1, [%s], {\"k\": %s}, 2.0, 3]", kept, kept);
        assert_string_equal(printed, expected);
        lf_string_free(&as_python);
        lf_free(printed);
        cJSON_Delete(copy);
        cJSON_Delete(json);
        lf_free(expected);
        lf_free(text);
    }
}

/* Neighbours that are one double are two numbers; 1.0 and 1 are one, whichever way a configuration writes it. */
static void test_same_numbers(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {{"9007199254740993", "9007199254740992", false},
                 {"9007199254740993", "9007199254740993", true},
                 {"[1.0]", "[1]", true},
                 {"100000000000000000000", "1e20", false},
                 {"{\"a\": 1e5}", "{\"a\": 100000}", true},
                 {"18446744073709551615", "18446744073709551616", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *a = parse(cases[i].a), *b = parse(cases[i].b);
        bool same = !cases[i].same;
        assert_true(lf_json_same(&same, a, b));
        assert_int_equal(same, cases[i].same);
        cJSON_Delete(a);
        cJSON_Delete(b);
    }
}

/* What is not there is as what is not there, and as nothing that is, be it null or empty. */
static void test_same_nothing(void **state) {
    (void)state;
    static const char *const things[] = {"null", "[]", "{}", "\"\"", "0", "false"};
    bool same = false;
    assert_true(lf_json_same(&same, NULL, NULL) && same);
    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        cJSON *a = parse(things[i]);
        same = true;
        assert_true(lf_json_same(&same, a, NULL) && !same);
        same = true;
        assert_true(lf_json_same(&same, NULL, a) && !same);
        cJSON_Delete(a);
    }
}

static void test_made_plain(void **state) {
    (void)state;
    cJSON *o = parse("{\"a\\u001b[31m\": \"x\\u0007y\\u009bz\", \"l\": [1, \"\\u202e\", {\"\\t\": null}]}");
    assert_non_null(cJSON_AddItemToObjectCS(o, "ours", cJSON_CreateString("\n")) ? o : NULL);
    lf_make_json_plain(o);
    lf_make_json_plain(NULL);
    char *printed = lf_json_print_line(o);
    assert_string_equal(printed, "{\"a?[31m\": \"x?y?z\", \"l\": [1, \"?\", {\"?\": null}], \"ours\": \"?\"}");
    lf_free(printed);
    cJSON_Delete(o);
}

/* Many keys take the heap, few the stack: both find the pair, wherever it stands. */
static void test_many_keys(void **state) {
    (void)state;
    static char text[20000];
    for (int n = 2; n <= 1000; n = n < 40 ? n + 1 : n + 480)
        for (int twice = 0; twice <= 1; twice++) {
            size_t at = (size_t)snprintf(text, sizeof text, "{");
            for (int i = 0; i < n; i++)
                at += (size_t)snprintf(text + at, sizeof text - at, "%s\n\"key%d\": %d", i ? "," : "",
                                       twice && i == n - 1 ? n / 2 - 1 : (i * 7919) % 100003, i);
            if (twice)
                at = (size_t)snprintf(text + at, sizeof text - at, ",\n\"key0\": 1}") + at;
            else
                at += (size_t)snprintf(text + at, sizeof text - at, "}");
            if (twice)
                refused(text, at, "line", "there twice");
            else
                cJSON_Delete(parse(text));
        }
}

static void test_depth(void **state) {
    (void)state;
    static char text[2400];
    for (int n = CJSON_NESTING_LIMIT - 2; n <= CJSON_NESTING_LIMIT + 2; n++) {
        memset(text, '[', (size_t)n);
        memset(text + n, ']', (size_t)n);
        lf_err err = {0};
        cJSON *json = NULL;
        const lf_status rc = lf_json_parse(&json, text, (size_t)(2 * n), "t.json", &err);
        assert_int_equal(rc, n <= CJSON_NESTING_LIMIT ? LF_OK : LF_EDATA);
        if (rc) assert_non_null(strstr(err.message, "nested too deep"));
        cJSON_Delete(json);
    }
}

static void test_members(void **state) {
    (void)state;
    cJSON *o = parse(
        "{\"i\": 9007199254740992, \"big\": 9223372036854775808, \"f\": 1.5, \"exact\": 9007199254740993, \"s\": \"x\","
        "\"t\": true, \"z\": null, \"n\": -3, \"o\": {}, \"l\": []}");
    int64_t i = 0;
    double d = 0;
    bool b = false;
    const char *s = NULL;
    lf_err err = {0};
    assert_int_equal(lf_json_get_i64(o, "i", 0, &i, "t", &err), LF_OK);
    assert_true(i == INT64_C(1) << 53);
    assert_int_equal(lf_json_get_i64(o, "n", 0, &i, "t", &err), LF_OK);
    assert_true(i == -3);
    assert_int_equal(lf_json_get_i64(o, "absent", 7, &i, "t", &err), LF_OK);
    assert_true(i == 7);
    assert_int_equal(lf_json_get_i64(o, "z", 8, &i, "t", &err), LF_OK);
    assert_true(i == 8);
    assert_int_equal(lf_json_get_i64(NULL, "z", 9, &i, "t", &err), LF_OK);
    assert_true(i == 9);
    assert_int_equal(lf_json_get_f64(o, "f", 0, &d, "t", &err), LF_OK);
    assert_true(d == 1.5);
    assert_int_equal(lf_json_get_bool(o, "t", false, &b, "t", &err), LF_OK);
    assert_true(b);
    assert_int_equal(lf_json_get_str(o, "s", "y", &s, "t", &err), LF_OK);
    assert_string_equal(s, "x");
    assert_int_equal(lf_json_get_str(o, "S", "y", &s, "t", &err), LF_OK); /* case matters */
    assert_string_equal(s, "y");

    static const struct {
        const char *key, *found;
    } not_integers[] = {{"big", "9223372036854775808"},
                        {"f", "1.5"},
                        {"s", "\"x\""},
                        {"t", "true"},
                        {"o", "an object"},
                        {"l", "a list"}};
    for (size_t k = 0; k < sizeof not_integers / sizeof *not_integers; k++) {
        err = (lf_err){0};
        assert_int_equal(lf_json_get_i64(o, not_integers[k].key, 5, &i, "t.json", &err), LF_EDATA);
        assert_non_null(strstr(err.message, "t.json"));
        assert_non_null(strstr(err.message, not_integers[k].key));
        assert_non_null(strstr(err.message, not_integers[k].found));
        assert_true(i == 5);
    }
    assert_int_equal(lf_json_get_i64(o, "exact", 0, &i, "t", &err), LF_OK);
    assert_true(i == 9007199254740993);
    assert_int_equal(lf_json_get_f64(o, "s", 0, &d, "t", NULL), LF_EDATA);
    assert_int_equal(lf_json_get_bool(o, "i", 0, &b, "t", NULL), LF_EDATA);
    assert_int_equal(lf_json_get_str(o, "i", 0, &s, "t", NULL), LF_EDATA);
    assert_int_equal(lf_json_get_i64(cJSON_GetObjectItemCaseSensitive(o, "l"), "i", 0, &i, "t", NULL), LF_EDATA);
    cJSON_Delete(o);
}

static void test_print(void **state) {
    (void)state;
    cJSON *json = parse(
        "{\"b\": [1, 2.5, -0.0, []], \"a\": {\"x\": \"\\u0001\\n\\\"\\\\\xc3\xa9\", \"e\": {}}, \"c\": [true, null]}");
    char *s = lf_json_print(json, true);
    assert_string_equal(
        s, "{\n  \"a\": {\n    \"e\": {},\n    \"x\": \"\\u0001\\n\\\"\\\\\xc3\xa9\"\n  },\n"
           "  \"b\": [\n    1,\n    2.5,\n    -0,\n    []\n  ],\n  \"c\": [\n    true,\n    null\n  ]\n}\n");
    lf_free(s);
    s = lf_json_print_line(json);
    assert_string_equal(
        s, "{\"b\": [1, 2.5, -0, []], \"a\": {\"x\": \"\\u0001\\n\\\"\\\\\xc3\xa9\", \"e\": {}}, \"c\": [true, null]}");
    lf_free(s);
    cJSON_Delete(json);
    json = cJSON_CreateNumber((double)NAN);
    s = lf_json_print_line(json);
    assert_string_equal(s, "null");
    lf_free(s);
    cJSON_Delete(json);
}

static void test_numbers_survive(void **state) {
    (void)state;
    const lf_rng_key key = lf_rng_make(1, LF_RNG_TEST, 0);
    static const double fixed[] = {0.1,
                                   1e-4,
                                   1.0 / 3,
                                   9007199254740992.0,
                                   9007199254740994.0,
                                   1e22,
                                   1e23,
                                   5e-324,
                                   1.7976931348623157e308,
                                   -2147483649.0,
                                   0x1.0000000000001p0,
                                   -0.0};
    for (uint64_t i = 0; i < 20000; i++) {
        double d;
        uint32_t w[4];
        lf_rng_block(key, 0, i, w);
        memcpy(&d, w, sizeof d);
        if (i < sizeof fixed / sizeof *fixed) d = fixed[i];
        if (!isfinite(d)) continue;
        cJSON *json = cJSON_CreateNumber(d);
        char *s = lf_json_print_line(json);
        cJSON *back = parse(s);
        if (memcmp(&back->valuedouble, &d, sizeof d) != 0) fail_msg("%a printed as %s", d, s);
        cJSON_Delete(back);
        lf_free(s);
        cJSON_Delete(json);
    }
}

static void test_failing_allocations(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\": [1, {\"b\": \"c\"}], \"k1\":1,\"k2\":1,\"k3\":1,\"k4\":1,\"k5\":1,\"k6\":1,\"k7\":1,\"k8\":1,"
        "\"k9\":9007199254740993,\"k10\":1,\"k11\":1,\"k12\":1,\"k13\":1,\"k14\":1,\"k15\":1,\"k16\":1,\"k17\":1}";
    lf_status rc = LF_ENOMEM;
    int64_t k = 0;
    for (; rc == LF_ENOMEM && k < 1000; k++) {
        cJSON *json = NULL;
        lf_err err = {0};
        lf_alloc_fail_after(k);
        rc = lf_json_parse(&json, text, strlen(text), "t.json", &err);
        lf_alloc_fail_after(-1);
        assert_int_equal(rc == LF_OK, json != NULL);
        cJSON_Delete(json);
        assert_int_equal(lf_alloc_live(), 0);
    }
    assert_int_equal(rc, LF_OK);
    assert_true(k > 20);

    cJSON *json = parse(text);
    const int64_t live = lf_alloc_live();
    char *s = NULL;
    for (k = 0; !s && k < 1000; k++) {
        lf_alloc_fail_after(k);
        s = lf_json_print(json, true);
        lf_alloc_fail_after(-1);
        assert_int_equal(lf_alloc_live(), live + (s != NULL));
    }
    assert_non_null(s);
    assert_true(k > 2);
    lf_free(s);
    cJSON_Delete(json);
}

static void test_text_with_nul(void **state) {
    (void)state;
    cJSON *o = cJSON_CreateObject();
    assert_true(cJSON_AddItemToObject(o, "a", lf_json_create_text("x\0\"\n\0", 5)) &&
                cJSON_AddItemToObject(o, "b", lf_json_create_text("", 0)));
    char *s = lf_json_print_line(o);
    assert_string_equal(s, "{\"a\": \"x\\u0000\\\"\\n\\u0000\", \"b\": \"\"}");
    lf_free(s);
    cJSON_Delete(o);
}

/* ---- building ---- */

static cJSON *built(const cJSON *copied) {
    lf_obj o = lf_obj_new(), list = lf_list_new();
    lf_obj_string(&o, "s", "a\"b");
    lf_obj_string(&o, "none", NULL);
    lf_obj_number(&o, "n", 0.5);
    lf_obj_number(&o, "nan", NAN);
    lf_obj_number(&o, "inf", -INFINITY);
    lf_obj_bool(&o, "yes", true);
    lf_obj_bool(&o, "no", false);
    lf_obj_text(&o, "text", "a\0b", 3);
    lf_obj_copy(&o, "copy", copied);
    lf_obj_copy(&o, "nothing", NULL);
    lf_list_string(&list, "x");
    lf_list_string(&list, NULL);
    lf_list_put(&list, cJSON_CreateNumber(3));
    lf_obj_put(&o, "list", lf_obj_take(&list));
    assert_true(!list.json && !list.failed); /* taken: it is empty */
    return lf_obj_take(&o);
}

static void test_building(void **state) {
    (void)state;
    cJSON *copied = parse("{\"k\": [1, 2]}"), *json = built(copied);
    cJSON_Delete(copied); /* a copy is one's own */
    char *text = lf_json_print_line(json);
    assert_string_equal(text,
                        "{\"s\": \"a\\\"b\", \"none\": null, \"n\": 0.5, \"nan\": null, \"inf\": null, \"yes\": true, "
                        "\"no\": false, \"text\": \"a\\u0000b\", \"copy\": {\"k\": [1, 2]}, \"nothing\": null, "
                        "\"list\": [\"x\", null, 3]}");
    lf_free(text);

    lf_obj o = lf_obj_of(json);
    lf_obj_drop(&o, "s");
    lf_obj_drop(&o, "not there");
    lf_obj_number(&o, "s", 1);
    json = lf_obj_take(&o);
    assert_null(cJSON_GetObjectItemCaseSensitive(json, "S"));
    assert_true(cJSON_GetObjectItemCaseSensitive(json, "s")->valuedouble == 1);
    assert_string_equal(json->child->string, "none"); /* what is put again stands at the end */
    cJSON_Delete(json);
}

/* Wherever it fails first, all that was put is freed, and what is put later, too. */
static void test_building_failing(void **state) {
    (void)state;
    cJSON *copied = parse("{\"k\": [1, 2]}"), *json = NULL;
    const int64_t live = lf_alloc_live();
    int64_t n = 0;
    for (; !json; n++) {
        lf_alloc_fail_after(n);
        json = built(copied);
        lf_alloc_fail_after(-1);
        if (!json) assert_int_equal(lf_alloc_live(), live);
    }
    assert_true(n > 30);
    cJSON_Delete(json);

    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "before", "x");
    lf_obj_put(&o, "could not be made", NULL);
    lf_obj_string(&o, "after", "x");
    lf_obj_put(&o, "later", cJSON_CreateNumber(1)); /* taken over all the same */
    assert_true(o.failed);
    assert_null(cJSON_GetObjectItemCaseSensitive(o.json, "after"));
    lf_err err = {0};
    assert_int_equal(lf_obj_write_in(&o, "no such folder", "x.json", false, &err), LF_ENOMEM);
    o = lf_obj_of(NULL);
    lf_obj_drop(&o, "x");
    lf_obj_number(&o, "x", 1);
    assert_null(lf_obj_take(&o));
    cJSON_Delete(copied);
}

static void test_line(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    lf_err err = {0};
    assert_int_equal(lf_json_write_line(f, parse("{\"a\": [1]}"), &err), LF_OK);
    assert_int_equal(lf_json_write_line(f, NULL, &err), LF_ENOMEM);
    fclose(f);
    assert_string_equal(text, "{\"a\": [1]}\n");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LEAKLESS(test_comments),
        LEAKLESS(test_refused),
        LEAKLESS(test_many_keys),
        LEAKLESS(test_depth),
        LEAKLESS(test_members),
        LEAKLESS(test_print),
        LEAKLESS(test_text_with_nul),
        LEAKLESS(test_numbers_survive),
        LEAKLESS(test_failing_allocations),
        LEAKLESS(test_numbers),
        LEAKLESS(test_same_numbers),
        LEAKLESS(test_same_nothing),
        LEAKLESS(test_made_plain),
        LEAKLESS(test_words_in_strings),
        LEAKLESS(test_building),
        LEAKLESS(test_building_failing),
        LEAKLESS(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

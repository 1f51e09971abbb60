/* Templates and expressions against transformers, from tests/golden/jinja (scripts/make-golden-jinja.py): the same
 * text, or an error where transformers raises an exception. */
#include <string.h>

#include "unit/memory_fixture.h"

#include "base/file.h"
#include "base/json.h"
#include "io/gzip.h"
#include "jinja/jinja.h"

#define FOLDER LF_TEST_DIR "/golden/jinja/"

static cJSON *golden(void) {
    unsigned char *text = NULL;
    size_t n;
    cJSON *json = NULL;
    lf_err err = {0};
    if (lf_read_maybe_gzip(&text, &n, FOLDER "results.json.gz", 64 << 20, &err)) fail_msg("%s", err.message);
    if (lf_json_parse(&json, (const char *)text, n, "results.json", &err)) fail_msg("%s", err.message);
    lf_free(text);
    return json;
}

static const cJSON *at(const cJSON *o, const char *key) { return cJSON_GetObjectItemCaseSensitive(o, key); }

static void set_all(lf_jinja_run *r, const cJSON *variables) {
    const cJSON *v;
    cJSON_ArrayForEach(v, variables) lf_jinja_set(r, v->string, lf_jinja_json(r, v, 1));
}

static void set_now(lf_jinja_run *r, const cJSON *list) {
    int x[6];
    for (int i = 0; i < 6; i++) x[i] = (int)cJSON_GetNumberValue(cJSON_GetArrayItem(list, i));
    struct tm now = {
        .tm_year = x[0] - 1900, .tm_mon = x[1] - 1, .tm_mday = x[2], .tm_hour = x[3], .tm_min = x[4], .tm_sec = x[5]};
    (void)mktime(&now); /* the day of the week */
    lf_jinja_set_now(r, &now);
}

/* expected NULL: an error. */
static void check(const cJSON *root, const lf_jinja *t, const cJSON *talk, bool generate, const char *expected,
                  const char *name) {
    lf_jinja_run *r = NULL;
    lf_jinja_result out;
    lf_err err = {0};
    assert_int_equal(lf_jinja_run_new(&r, NULL, NULL), LF_OK);
    set_all(r, at(root, "variables"));
    lf_jinja_set(r, "tools", lf_jinja_none(r));
    set_all(r, talk);
    lf_jinja_set(r, "add_generation_prompt", lf_jinja_bool(r, generate));
    set_now(r, at(root, "now"));
    const lf_status rc = lf_jinja_render(t, r, &out, &err);
    if (!expected && rc == LF_OK) fail_msg("%s: rendered, and transformers raises an exception:\n%s", name, out.text);
    if (expected && rc) fail_msg("%s: %s\ninstead of\n%s", name, err.message, expected);
    if (expected && strcmp(out.text, expected) != 0) fail_msg("%s:\n%s\ninstead of\n%s", name, out.text, expected);
    lf_jinja_run_free(r);
}

static void test_templates(void **state) {
    (void)state;
    cJSON *root = golden();
    const cJSON *one, *talk;
    int texts = 0, templates = 0;
    cJSON_ArrayForEach(one, at(root, "templates")) {
        const char *name = cJSON_GetStringValue(at(one, "name"));
        char *path = lf_format(FOLDER "%s.jinja", name), *source = NULL;
        size_t n;
        int i = 0;
        lf_jinja *t = NULL;
        lf_err err = {0};
        assert_int_equal(lf_file_read(&source, &n, path, NULL), LF_OK);
        if (lf_jinja_parse(&t, source, n, name, &err)) fail_msg("%s", err.message);
        cJSON_ArrayForEach(talk, at(root, "conversations")) {
            const cJSON *pair = cJSON_GetArrayItem(at(one, "texts"), i++);
            for (int g = 0; g < 2; g++, texts++) {
                char *label = lf_format("%s, conversation %d%s", name, i - 1, g ? ", with a prompt to generate" : "");
                check(root, t, talk, g, cJSON_GetStringValue(cJSON_GetArrayItem(pair, g)), label);
                lf_free(label);
            }
        }
        assert_true(i > 30);
        lf_jinja_free(t);
        lf_free(source);
        lf_free(path);
        templates++;
    }
    assert_true(templates >= 30 && texts > 2000);
    cJSON_Delete(root);
}

static void test_expressions(void **state) {
    (void)state;
    cJSON *root = golden();
    char *text = NULL, *line;
    size_t n;
    int count = 0;
    const cJSON *talk = cJSON_GetArrayItem(at(root, "conversations"), 6);
    assert_int_equal(lf_file_read(&text, &n, FOLDER "expressions.txt", NULL), LF_OK);
    for (line = text; line; count++) {
        char *end = strchr(line, '\n');
        lf_jinja *t = NULL;
        lf_err err = {0};
        const cJSON *expected = cJSON_GetArrayItem(at(root, "expressions"), count);
        if (end) *end = 0;
        assert_non_null(expected);
        if (lf_jinja_parse(&t, line, strlen(line), "expression", &err)) {
            if (!cJSON_IsNull(expected)) fail_msg("%s: %s", line, err.message);
        } else {
            check(root, t, talk, false, cJSON_GetStringValue(expected), line);
        }
        lf_jinja_free(t);
        line = end ? end + 1 : NULL;
    }
    assert_int_equal(count, cJSON_GetArraySize(at(root, "expressions")));
    assert_true(count > 200);
    lf_free(text);
    cJSON_Delete(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {LEAKLESS(test_templates), LEAKLESS(test_expressions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The points of a sweep: what a spec spells out, and what it may not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "sweep/grid.h"

static lf_err said;

static lf_status make(lf_grid *g, const char *text) {
    cJSON *spec = NULL;
    said = (lf_err){0};
    assert_int_equal(lf_json_parse(&spec, text, strlen(text), "spec", &said), LF_OK);
    const lf_status rc = lf_grid_new(g, spec, "a.json", &said);
    cJSON_Delete(spec);
    return rc;
}

/* Every point in one line of JSON, one after the other. */
static void expect(const char *spec, const char *keys, const char *points) {
    lf_grid g;
    if (make(&g, spec)) fail_msg("%s", said.message);
    char *k = lf_json_print_line(g.keys), *p = lf_json_print_line(g.points);
    assert_string_equal(k, keys);
    assert_string_equal(p, points);
    lf_free(k);
    lf_free(p);
    lf_grid_free(&g);
}

static void refuse(const char *spec, const char *word) {
    lf_grid g;
    assert_int_equal(make(&g, spec), LF_EUSAGE);
    if (!strstr(said.message, word)) fail_msg("%s: expected '%s' in: %s", spec, word, said.message);
    assert_null(g.points);
}

static void test_products(void **state) {
    (void)state;
    expect("{\"r\": [4, 8], \"seed\": [1, 2]}", "[\"r\", \"seed\"]",
           "[{\"r\": 4, \"seed\": 1}, {\"r\": 4, \"seed\": 2}, {\"r\": 8, \"seed\": 1}, {\"r\": 8, \"seed\": 2}]");
    expect("{\"lr\": [1e-3]}", "[\"learning_rate\"]", "[{\"learning_rate\": 0.001}]"); /* an alias is its key */
    expect("{\"init-position\": [0, {\"index\": 3}]}", "[\"init_position\"]",
           "[{\"init_position\": 0}, {\"init_position\": {\"index\": 3}}]");
}

static void test_ranges(void **state) {
    (void)state;
    expect("{\"learning_rate\": {\"log\": [1e-4, 1e-1, 4]}}", "[\"learning_rate\"]",
           "[{\"learning_rate\": 0.0001}, {\"learning_rate\": 0.001}, {\"learning_rate\": 0.01}, {\"learning_rate\": "
           "0.1}]");
    expect("{\"init_position\": {\"linear\": [0, 1, 4]}}", "[\"init_position\"]",
           "[{\"init_position\": 0}, {\"init_position\": 0.333333333333}, {\"init_position\": 0.666666666667}, "
           "{\"init_position\": 1}]");
    expect("{\"learning_rate\": {\"log\": [1e-3, 1e-2, 3]}}", "[\"learning_rate\"]",
           "[{\"learning_rate\": 0.001}, {\"learning_rate\": 0.00316228}, {\"learning_rate\": 0.01}]");
}

static void test_zip_and_union(void **state) {
    (void)state;
    expect("{\"zip\": {\"r\": [4, 8], \"lora_alpha\": [8, 16]}, \"seed\": [1, 2]}", "[\"r\", \"lora_alpha\", \"seed\"]",
           "[{\"r\": 4, \"lora_alpha\": 8, \"seed\": 1}, {\"r\": 4, \"lora_alpha\": 8, \"seed\": 2}, {\"r\": 8, "
           "\"lora_alpha\": 16, \"seed\": 1}, "
           "{\"r\": 8, \"lora_alpha\": 16, \"seed\": 2}]");
    expect("{\"zip\": [{\"r\": [4, 8]}, {\"seed\": [1], \"lora_alpha\": [2]}]}", "[\"r\", \"seed\", \"lora_alpha\"]",
           "[{\"r\": 4, \"seed\": 1, \"lora_alpha\": 2}, {\"r\": 8, \"seed\": 1, \"lora_alpha\": 2}]");
    expect("[{\"r\": [4]}, {\"seed\": [1], \"r\": [8]}]", "[\"r\", \"seed\"]", "[{\"r\": 4}, {\"seed\": 1, \"r\": 8}]");
}

static void test_refused(void **state) {
    (void)state;
    refuse("{\"lerning_rate\": [1]}", "did you mean 'learning_rate'");
    refuse("{\"r\": []}", "'r': the list is empty");
    refuse("{\"r\": 4}", "expected a list of values");
    refuse("{}", "empty one");
    refuse("[]", "nothing would be run");
    refuse("[1]", "expected an object");
    refuse("7", "expected an object");
    refuse("{\"r\": [1], \"lora_r\": [2]}", "'r': swept twice");
    refuse("{\"zip\": {\"r\": [1, 2], \"seed\": [1]}}", "1 values in a zip of 2");
    refuse("{\"zip\": {}}", "zip");
    refuse("{\"zip\": 3}", "zip");
    refuse("{\"zip\": []}", "zip");
    refuse("{\"learning_rate\": {\"linear\": [1e308, -1e308, 3]}}", "too far apart");
    refuse("{\"learning_rate\": {\"log\": [1e-300, 1e300, 3]}}", "too far apart");
    refuse("{\"output_dir\": [\"a\"]}", "the sweep's own");
    refuse("{\"threads\": [1, 2]}", "the sweep's own");
    refuse("{\"print-commands\": [true]}", "the sweep's own");
    refuse("{\"learning_rate\": {\"log\": [0, 1, 3]}}", "above 0 for log");
    refuse("{\"learning_rate\": {\"log\": [1e-3, 1, 1]}}", "n from 2 on");
    refuse("{\"learning_rate\": {\"log\": [1e-3, 1]}}", "n from 2 on");
    refuse("{\"learning_rate\": {\"linear\": [0, 1, 2.5]}}", "n from 2 on");
    refuse("{\"learning_rate\": {\"linear\": [0, 1, 1e9]}}", "1000000000 values");
    refuse("{\"learning_rate\": {\"logarithmic\": [1, 2, 3]}}", "expected a list of values");
}

/* The number is said, and no point is made: this test would not end. */
static void test_millions(void **state) {
    (void)state;
    refuse("{\"seed\": {\"linear\": [1, 5000, 5000]}, \"r\": {\"linear\": [1, 4000, 4000]}, \"learning_rate\": "
           "{\"log\": [1e-5, 1, 1000]}}",
           "20000000000 points");
    refuse("[{\"seed\": {\"linear\": [1, 6000, 6000]}}, {\"r\": {\"linear\": [1, 6000, 6000]}}]", "12000 points");
}

static void test_out_of_memory(void **state) {
    (void)state;
    static const char text[] =
        "{\"zip\": {\"r\": [4, 8], \"lora_alpha\": [8, 16]}, \"learning_rate\": {\"log\": [1e-3, 1e-2, 3]}}";
    cJSON *spec = NULL;
    assert_int_equal(lf_json_parse(&spec, text, sizeof text - 1, "spec", &said), LF_OK);
    lf_status rc = LF_ENOMEM;
    for (int n = 0; rc; n++) {
        lf_grid g;
        const int64_t live = lf_alloc_live();
        lf_alloc_fail_after(n);
        rc = lf_grid_new(&g, spec, "a.json", NULL);
        lf_alloc_fail_after(-1);
        if (rc)
            assert_int_equal(rc, LF_ENOMEM);
        else
            lf_grid_free(&g);
        assert_int_equal(lf_alloc_live(), live);
    }
    cJSON_Delete(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products), cmocka_unit_test(test_ranges),   cmocka_unit_test(test_zip_and_union),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_millions), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

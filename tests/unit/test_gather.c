/* Runs gathered from their files: which there are, what became of them, what they differ in, and files that are not as
 * they should be. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>

#include "runs_fixture.h"

#define PICTURES "{\"eval_accuracy\": 0.5, \"forgetting\": 0.1}"
#define LANGUAGE "{\"eval_perplexity\": 8.5, \"forgetting\": 0.1}"

static void assert_swept(const lf_gathered *g, const char *expected) {
    assert_string_equal(joined(g->swept, g->n_swept), expected);
}

static void test_states(void **state) {
    (void)state;
    put_run("a", "\"learning_rate\": 1, \"seed\": 1", PICTURES);
    put_run("b", "\"learning_rate\": 1, \"seed\": 2", NULL);
    put_error("b", "{\"exit_code\": 4, \"state\": \"diverged\", \"message\": \"step 7: loss is NaN\"}");
    put_run("c", "\"learning_rate\": 1, \"seed\": 3", NULL);
    put_error("c", "{\"exit_code\": 137, \"state\": \"failed\"}");
    put_run("d", "\"learning_rate\": 1, \"seed\": 4", NULL);
    put_run("e", "\"learning_rate\": 1, \"seed\": 5", PICTURES);
    put_error("e", "not read: the results are newer");
    lf_gathered *g = gather();
    assert_runs(g, "a b c d e");
    static const lf_run_state states[] = {LF_RUN_DONE, LF_RUN_DIVERGED, LF_RUN_FAILED, LF_RUN_UNFINISHED, LF_RUN_DONE};
    static const char *const words[] = {"done", "diverged", "failed", "unfinished", "done"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(g->runs[i].state, states[i]);
        assert_string_equal(lf_run_state_name(g->runs[i].state), words[i]);
        assert_int_equal(g->runs[i].results != NULL, states[i] == LF_RUN_DONE);
        assert_non_null(g->runs[i].config);
    }
    assert_string_equal(g->runs[1].message, "step 7: loss is NaN");
    assert_null(g->runs[0].message);
    assert_null(g->runs[2].message);
    assert_true(lf_run_number(&g->runs[0], "forgetting") == 0.1);
    assert_true(isnan(lf_run_number(&g->runs[0], "retention")) && isnan(lf_run_number(&g->runs[1], "forgetting")));
    assert_ptr_equal(g->yardstick, &lf_yardsticks[LF_BY_ACCURACY]);
    lf_gathered_free(g);
}

/* With 100 examples a share of .19 has an interval from .125 on, one of .15 from .093. */
static void test_collapsed(void **state) {
    (void)state;
    static const struct {
        const char *results, *how; /* NULL: it stands */
    } cases[] = {
#define CLASSES(accuracy, n, before, after)                                                                            \
    "{\"eval_accuracy\": " #accuracy ", \"eval_samples\": " #n ", \"eval_chance\": 0.1, \"base_before\": " #before     \
    ", \"base_after\": " #after ", \"base_samples\": 100, \"base_chance\": 0.1, \"steps\": 5}"
        {CLASSES(0.9, 100, 0.8, 0.7), NULL},
        {CLASSES(0.19, 100, 0.8, 0.7), NULL},
        {CLASSES(0.15, 100, 0.8, 0.7), "on the new task no better than a guess"},
        {CLASSES(0, 100, 0.8, 0.7), "on the new task no better than a guess"},
        {CLASSES(0.15, 19, 0.8, 0.7), NULL}, /* too few to say */
        {CLASSES(0.9, 100, 0.8, 0.15), "on the base's task no better than a guess"},
        {CLASSES(0.9, 100, 0.15, 0.1), NULL}, /* there was nothing to lose: the labels do not fit */
        {CLASSES(0.1, 100, 0.8, 0.1), "on the new task and on the base's no better than a guess"},
        {CLASSES(0.1, 100, null, null), "on the new task no better than a guess"},
        {CLASSES(null, 100, null, null), NULL},
        {"{\"eval_accuracy\": 0.1, \"eval_samples\": 100, \"eval_chance\": 0.1, \"steps\": 0}", NULL},
        {"{\"eval_accuracy\": 0, \"eval_samples\": 100, \"eval_chance\": 0, \"steps\": 5}", NULL}, /* several labels */
        {"{\"eval_accuracy\": null, \"test_accuracy\": 0.1, \"test_samples\": 100, \"eval_chance\": 0.1}",
         "on the new task no better than a guess"},
        {"{\"eval_perplexity\": 999, \"eval_chance\": 1000, \"base_before\": 9, \"base_after\": 99, "
         "\"base_chance\": 1000, \"base_tokens\": 50}",
         NULL},
        {"{\"eval_perplexity\": 1e6, \"eval_chance\": 1000}", "on the new task no better than a guess"},
        {"{\"eval_perplexity\": 2, \"eval_chance\": 1000, \"base_before\": 9, \"base_after\": 1000, "
         "\"base_chance\": 1000}",
         "on the base's task no better than a guess"},
        {"{\"eval_accuracy\": 0.9, \"eval_samples\": 100, \"eval_chance\": 0.5, \"base_before\": 9, \"base_after\": "
         "2000, \"base_chance\": 1000, \"base_tokens\": 50}",
         "on the base's task no better than a guess"},
        {"{\"eval_pearson\": 0.21, \"eval_samples\": 100, \"eval_chance\": 0}", NULL}, /* from .014 on */
        {"{\"eval_pearson\": 0.19, \"eval_samples\": 100, \"eval_chance\": 0}",
         "on the new task no better than a guess"},
#undef CLASSES
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_run("a", "\"learning_rate\": 1, \"seed\": 1", cases[i].results);
        lf_gathered *g = gather();
        const lf_gathered_run *r = &g->runs[0];
        if (r->state != (cases[i].how ? LF_RUN_COLLAPSED : LF_RUN_DONE))
            fail_msg("%s: %s", lf_run_state_name(r->state), cases[i].results);
        assert_true(lf_run_is_done(r) && r->results);
        if (cases[i].how)
            assert_string_equal(r->message, cases[i].how);
        else
            assert_null(r->message);
        lf_gathered_free(g);
    }
}

static void test_folders(void **state) {
    (void)state;
    static const char *const run = "\"learning_rate\": 1";
    put_run("x/y/deep", run, PICTURES);
    put_run("x/y/z/too-deep", run, PICTURES);
    put_run("top", run, PICTURES);
    put_run("top/inner", run, PICTURES); /* a checkpoint's, say */
    put_run(".hidden", run, PICTURES);
    put_text("set/model/config.json", "{\"model_type\": \"vit\", \"output_dir\": \"a model has no learning rate\"}");
    put_text("set/list/config.json", "[1]");
    put_text("set/config.json", "{\"output_dir\": \"of the set itself\", \"learning_rate\": 1}");
    put_text("set/file", "text");
    assert_ok(lf_mkdir_p(in_scratch("set/folder/config.json"), NULL), (lf_err){.message = "mkdir"});
    lf_gathered *g = gather();
    assert_runs(g, "top x/y/deep");
    lf_gathered_free(g);
}

/* ---- swept keys and order ---- */

static void test_swept_in_order_of_config(void **state) {
    (void)state;
    put_run(
        "a",
        "\"seed\": 1, \"init\": \"milora\", \"same\": [1, {\"x\": 2}], \"logging_steps\": 5, \"learning_rate\": 0.01",
        PICTURES);
    put_run(
        "b",
        "\"seed\": 10, \"init\": \"milora\", \"same\": [1, {\"x\": 2}], \"logging_steps\": 1, \"learning_rate\": 0.002",
        PICTURES);
    put_run("c",
            "\"seed\": 9, \"init\": true, \"same\": [1, {\"x\": 2}], \"logging_steps\": 1, \"learning_rate\": 0.01, "
            "\"late\": null",
            PICTURES);
    put_run("d",
            "\"seed\": 9, \"init\": true, \"same\": [1, {\"x\": 2}], \"logging_steps\": 1, \"learning_rate\": 0.002, "
            "\"late\": 3",
            PICTURES);
    lf_gathered *g = gather();
    assert_swept(g, "seed init learning_rate late"); /* not threads, not output_dir, not what is logged */
    assert_runs(g, "a d c b");                       /* 9 before 10, 0.002 before 0.01 */
    lf_gathered_free(g);
}

static void test_equal_values_by_name(void **state) {
    (void)state;
    put_run("b", "\"learning_rate\": 1.0", PICTURES);
    put_run("a/b", "\"learning_rate\": 1e0, \"eval_steps\": null", PICTURES);
    put_run("c", "\"learning_rate\": 1", PICTURES);
    lf_gathered *g = gather();
    assert_swept(g, "");
    assert_runs(g, "a/b b c");
    lf_gathered_free(g);
}

static void test_sweep_file(void **state) {
    (void)state;
    /* init_position is swept, though so far all that ran have the same; p4 is not begun, p5 ended before it wrote its
     * configuration. */
    put_run("runs/p1", "\"seed\": 1, \"r\": 8, \"init_position\": 0.5, \"learning_rate\": 0.1", PICTURES);
    put_run("runs/p2", "\"seed\": 2, \"r\": 8, \"init_position\": 0.5, \"learning_rate\": 0.1", PICTURES);
    put_run("other", "\"seed\": 2, \"r\": 16, \"init_position\": 0.5, \"learning_rate\": 0.1", PICTURES);
    put_text("set/runs/p5/error.json", "{\"state\": \"failed\", \"message\": \"no such model\"}");
    put_text("set/sweep.json", "{\"swept\": [\"init_position\", \"seed\"], \"version\": \"0.1.0\","
                               " \"runs\": [\"runs/p1\", \"runs/p2\", \"runs/p4\", \"runs/p5\"], \"points\": "
                               "[{\"init_position\": 0.5, \"seed\": 1},"
                               " {\"init_position\": 0.5, \"seed\": 2}, {\"init_position\": 0.25, \"seed\": 1}, "
                               "{\"init_position\": 1, \"seed\": 1}]}");
    lf_gathered *g = gather();
    assert_swept(g, "init_position seed"); /* not r: the other run is not of the sweep */
    assert_runs(g, "runs/p4 runs/p1 runs/p2 runs/p5");
    assert_int_equal(g->n_others, 1);
    assert_int_equal(g->runs[0].state, LF_RUN_UNFINISHED);
    assert_int_equal(g->runs[3].state, LF_RUN_FAILED);
    assert_string_equal(g->runs[3].message, "no such model");
    const cJSON *planned = g->runs[0].config; /* as p1, but for the point */
    assert_true(cJSON_GetObjectItemCaseSensitive(planned, "init_position")->valuedouble == 0.25);
    assert_true(cJSON_GetObjectItemCaseSensitive(planned, "learning_rate")->valuedouble == 0.1);
    assert_true(cJSON_GetObjectItemCaseSensitive(planned, "r")->valuedouble == 8);
    assert_null(cJSON_GetObjectItemCaseSensitive(planned, "output_dir"));
    lf_gathered_free(g);
}

/* What the sweep does not list is not read, whatever it is: another kind, broken results, a broken configuration. */
static void test_sweep_alone(void **state) {
    (void)state;
    put_run("runs/p2", "\"seed\": 2, \"learning_rate\": 0.1", PICTURES);
    put_run("runs/p1", "\"seed\": 1, \"learning_rate\": 0.1", PICTURES);
    put_run("text", "\"seed\": 1, \"learning_rate\": 0.1", LANGUAGE);
    put_run("broken", "\"seed\": 1, \"learning_rate\": 0.1", "{");
    put_text("set/odd/config.json", "{\"output_dir\": ");
    put_text("set/sweep.json", "{\"swept\": [\"seed\"], \"runs\": [\"runs/p2\"], \"points\": [{\"seed\": 2}]}");
    lf_gathered *g = gather();
    assert_runs(g, "runs/p2");
    assert_int_equal(g->n_others, 3);
    assert_ptr_equal(g->yardstick, &lf_yardsticks[LF_BY_ACCURACY]);
    lf_gathered_free(g);
    put_text("set/sweep.json", "{\"swept\": [\"seed\"], \"runs\": [], \"points\": []}");
    assert_not_gathered("sweep.json: lists no runs", "4 below its folder");
}

/* Grids one after the other: points need not set the same keys, and a run that is not begun is like its own kind. */
static void test_sweep_of_several_grids(void **state) {
    (void)state;
    put_run("runs/p1", "\"seed\": 1, \"init_position\": 0.5, \"init\": \"intermediate\", \"learning_rate\": 0.1",
            PICTURES);
    put_run("runs/p2", "\"seed\": 1, \"init_position\": 0.7, \"init\": \"gaussian\", \"learning_rate\": 0.1", PICTURES);
    put_text("set/sweep.json",
             "{\"swept\": [\"init\", \"init_position\", \"seed\"], \"runs\": [\"runs/p1\", \"runs/p2\", \"runs/p3\"],"
             "\"points\": [{\"init\": \"intermediate\", \"init_position\": 0.5, \"seed\": 1}, {\"init\": \"gaussian\", "
             "\"seed\": 1},"
             " {\"seed\": 2, \"init\": \"gaussian\"}]}");
    lf_gathered *g = gather();
    assert_runs(g, "runs/p2 runs/p3 runs/p1");
    assert_true(cJSON_GetObjectItemCaseSensitive(g->runs[1].config, "init_position")->valuedouble == 0.7);
    lf_gathered_free(g);
}

static void test_sweep_not_begun(void **state) {
    (void)state;
    put_text("set/sweep.json",
             "{\"swept\": [\"seed\"], \"runs\": [\"runs/b\", \"runs/a\"], \"points\": [{\"seed\": 2}, {\"seed\": 3}],"
             " \"config\": {\"learning_rate\": 0.25, \"output_dir\": \"set\"}}");
    lf_gathered *g = gather();
    assert_runs(g, "runs/b runs/a");
    assert_int_equal(g->runs[1].state, LF_RUN_UNFINISHED);
    assert_true(cJSON_GetObjectItemCaseSensitive(g->runs[0].config, "learning_rate")->valuedouble == 0.25);
    lf_gathered_free(g);
}

/* ---- kinds ---- */

static void test_language(void **state) {
    (void)state;
    put_run("a", "\"learning_rate\": 1, \"seed\": 1", LANGUAGE);
    put_run("b", "\"learning_rate\": 1, \"seed\": 2", "{\"eval_perplexity\": null}");
    put_run("c", "\"learning_rate\": 1, \"seed\": 3", NULL);
    lf_gathered *g = gather();
    assert_ptr_equal(g->yardstick, &lf_yardsticks[LF_BY_PERPLEXITY]);
    lf_gathered_free(g);
    put_run("d", "\"learning_rate\": 1, \"seed\": 4", PICTURES);
    assert_not_gathered("'a' is a run of language", "'d' of classes");
}

static void test_no_runs(void **state) {
    (void)state;
    lf_err err = {0};
    lf_gathered *g;
    assert_says(lf_gather(&g, set_dir(), &err), LF_ENOTFOUND, err, "set");
    assert_null(g);
    put_text("set/a/notes.txt", "nothing");
    assert_not_gathered("set: expected folders of training runs", "none");
    put_text("set/sweep.json", "{\"swept\": [], \"runs\": [], \"points\": []}");
    assert_not_gathered("set: expected folders of training runs", "none");
    lf_gathered_free(NULL);
}

/* ---- files that are not as they should be ---- */

static void test_bad_files(void **state) {
    (void)state;
    static const char *const good = "{\"output_dir\": \"x\", \"learning_rate\": 1}";
    static const struct {
        const char *config, *results, *error, *sweep, *file, *says;
    } cases[] = {
        {"{\"output_dir\": ", NULL, NULL, NULL, "a/config.json", "line 1"},
        {"{\"output_dir\": \"x\", \"learning_rate\": \"fast\"}", NULL, NULL, NULL, "a/config.json",
         "'learning_rate': expected a finite number, found \"fast\""},
        {"{\"output_dir\": \"x\", \"learning_rate\": 1e999}", NULL, NULL, NULL, "a/config.json",
         "line 1, column 38: a number beyond"},
        {"{\"output_dir\": \"x\", \"learning_rate\": {}}", NULL, NULL, NULL, "a/config.json", "found an object"},
        {"{\"output_dir\": \"x\", \"learning_rate\": 1, \"seed\": 1.5}", NULL, NULL, NULL, "a/config.json", "'seed'"},
        {NULL, "", NULL, NULL, "a/all_results.json", "empty"},
        {NULL, "{\"eval_accuracy\": 1,}", NULL, NULL, "a/all_results.json", "comma"},
        {NULL, "{\"eval_accuracy\": 1, \"eval_accuracy\": 2}", NULL, NULL, "a/all_results.json", "twice"},
        {NULL, "{\"eval_accuracy\": \"0.5\"}", NULL, NULL, "a/all_results.json",
         "'eval_accuracy': expected a finite number, found \"0.5\""},
        {NULL, "{\"eval_accuracy\": 1, \"forgetting\": [1]}", NULL, NULL, "a/all_results.json",
         "'forgetting': expected a finite number, found a list"},
        {NULL, "{\"eval_accuracy\": 1, \"base_kl\": -1e400}", NULL, NULL, "a/all_results.json", "a number beyond"},
        {NULL, "[1]", NULL, NULL, "a/all_results.json", "object"},
        {NULL, "{\"steps\": 1}", NULL, NULL, "a/all_results.json", "none"},
        {NULL, "{\"eval_accuracy\": 1, \"eval_perplexity\": 1}", NULL, NULL, "a/all_results.json", "several"},
        {NULL, "{\"eval_accuracy\": 1, \"start\": \"pissa\"}", NULL, NULL, "a/all_results.json", "'start': expected"},
        {NULL, "{\"eval_accuracy\": 1, \"start\": {\"name\": \"x\", \"plain\": true}}", NULL, NULL,
         "a/all_results.json", "'start': expected"},
        {NULL, "{\"eval_accuracy\": 1, \"start\": {\"name\": \"x\", \"plain\": true, \"position\": 1.5}}", NULL, NULL,
         "a/all_results.json", "\"position\" from 0 to 1"},
        {NULL, NULL, "{\"state\": \"failed\", \"start\": []}", NULL, "a/error.json", "'start': expected"},
        {NULL, NULL, "{", NULL, "a/error.json", "line 1"},
        {NULL, NULL, "7", NULL, "a/error.json", "object"},
        {NULL, NULL, "{\"exit_code\": 1}", NULL, "a/error.json",
         "'state': expected \"diverged\" or \"failed\", found \"\""},
        {NULL, NULL, "{\"state\": 4}", NULL, "a/error.json", "'state': expected a string, found 4"},
        {NULL, NULL, "{\"state\": \"failed\", \"message\": {}}", NULL, "a/error.json", "'message': expected a string"},
        {NULL, NULL, NULL, "{\"swept\": [}", "set/sweep.json", "line 1"},
        {NULL, NULL, NULL, "[]", "set/sweep.json", "'swept': expected a list"},
        {NULL, NULL, NULL, "{\"swept\": [\"a\", 2], \"runs\": [], \"points\": []}", "set/sweep.json",
         "'swept': expected a list of strings"},
        {NULL, NULL, NULL, "{\"swept\": [], \"runs\": [[]], \"points\": [{}]}", "set/sweep.json",
         "'runs': expected a list of strings"},
        {NULL, NULL, NULL, "{\"swept\": [], \"runs\": [\"x\"], \"points\": [1]}", "set/sweep.json",
         "'points': expected a list of objects"},
        {NULL, NULL, NULL, "{\"swept\": [], \"runs\": [\"x\"], \"points\": []}", "set/sweep.json",
         "as many points as runs, found 0 and 1"},
        {NULL, NULL, NULL, "{\"swept\": [], \"runs\": [\"../x\"], \"points\": [{}]}", "set/sweep.json", "'../x'"},
        {NULL, NULL, NULL, "{\"swept\": [], \"runs\": [\"a/..\"], \"points\": [{}]}", "set/sweep.json", "'a/..'"},
        {NULL, NULL, NULL, "{\"swept\": [], \"runs\": [\"/etc\"], \"points\": [{}]}", "set/sweep.json", "'/etc'"},
        {NULL, NULL, NULL, "{\"swept\": [], \"runs\": [\"x\"], \"points\": [{\"seed\": \"one\"}]}", "set/sweep.json",
         "'seed'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text("set/a/config.json", cases[i].config ? cases[i].config : good);
        if (cases[i].results) put_text("set/a/all_results.json", cases[i].results);
        if (cases[i].error) put_text("set/a/error.json", cases[i].error);
        if (cases[i].sweep) put_text("set/sweep.json", cases[i].sweep);
        assert_not_gathered(cases[i].file, cases[i].says);
        assert_int_equal(clean_set(NULL), 0);
    }
}

/* Deep, wide and odd, but JSON: gathered, or refused with the file's name. */
static void test_odd_values(void **state) {
    (void)state;
    char deep[1400] = "";
    for (int i = 0; i < 400; i++) strcat(deep, "[");
    for (int i = 0; i < 400; i++) strcat(deep, "]");
    char config[1600];
    snprintf(config, sizeof config, "\"learning_rate\": 1, \"seed\": 1, \"x\": %s", deep);
    put_run("a", config,
            "{\"eval_accuracy\": null, \"eval_loss\": true, \"odd\": \"text\", \"worse\": {\"a\": [true]}}");
    put_run("b", "\"learning_rate\": 1, \"seed\": 1, \"x\": [[[]]]", PICTURES);
    put_run("c", "\"learning_rate\": 1, \"seed\": 1, \"x\": [[1]]", PICTURES);
    put_run("d", "\"learning_rate\": 1, \"seed\": 1, \"x\": {\"a\": 1, \"b\": 2}", PICTURES);
    put_run("e", "\"learning_rate\": 1, \"seed\": 1, \"x\": {\"a\": 1}", PICTURES);
    put_run("f", "\"learning_rate\": 1, \"seed\": 1, \"x\": 1e99", PICTURES);
    put_run("g", "\"learning_rate\": 1, \"seed\": 1, \"x\": false", PICTURES);
    lf_gathered *g = gather();
    assert_swept(g, "x");
    assert_runs(g, "g f c b a e d");
    assert_true(isnan(lf_run_number(&g->runs[4], "eval_loss")) && isnan(lf_run_number(&g->runs[4], "odd")));
    lf_gathered_free(g);
}

static void test_no_memory(void **state) {
    (void)state;
    put_run("runs/a", "\"learning_rate\": 1, \"seed\": 1", PICTURES);
    put_run("runs/b", "\"learning_rate\": 1, \"seed\": 2", NULL);
    put_error("runs/b", "{\"state\": \"failed\", \"message\": \"m\"}");
    put_text("set/sweep.json", "{\"swept\": [\"r\"], \"runs\": [\"runs/c\"], \"points\": [{\"r\": 2}]}");
    lf_status rc = LF_ENOMEM;
    for (int64_t k = 0; rc; k++) {
        lf_err err = {0};
        lf_gathered *g;
        lf_alloc_fail_after(k);
        rc = lf_gather(&g, set_dir(), &err);
        lf_alloc_fail_after(-1);
        if (rc && rc != LF_ENOMEM) fail_msg("allocation %lld: %s", (long long)k, err.message);
        if (rc) assert_null(g);
        lf_gathered_free(g);
        assert_int_equal(lf_alloc_live(), 0);
    }
}

/* ---- values ---- */

static void assert_text(const char *json, size_t size, const char *expected) {
    char text[64];
    lf_err err = {0};
    cJSON *v = NULL;
    memset(text, '#', sizeof text);
    assert_ok(lf_json_parse(&v, json, strlen(json), "value", &err), err);
    lf_value_text(text, size, v);
    cJSON_Delete(v);
    assert_string_equal(text, expected);
    assert_int_equal(text[size], '#');
}

static void test_value_text(void **state) {
    (void)state;
    assert_text("0.001", 40, "0.001");
    assert_text("1e-05", 40, "1e-05");
    assert_text("0.30000000000000004", 40, "0.30000000000000004");
    assert_text("5.0", 40, "5");
    assert_text("-0", 40, "0");
    assert_text("9007199254740992", 40, "9007199254740992");
    assert_text("\"milora\"", 40, "milora");
    assert_text("true", 40, "true");
    assert_text("null", 40, "");
    assert_text("{\"index\": 3}", 40, "{\"index\": 3}");
    assert_text("[\"q\", 1]", 40, "[\"q\", 1]");
    assert_text("\"milora\"", 4, "mil");
    assert_text("\"a\xc3\xa9z\"", 4, "a\xc3\xa9");
    assert_text("\"a\xc3\xa9z\"", 3, "a");
    assert_text("12345", 3, "12");
    assert_text("\"x\"", 1, "");
    char text[8] = "as it w";
    lf_value_text(text, 0, NULL);
    assert_string_equal(text, "as it w");
    lf_value_text(text, sizeof text, NULL);
    assert_string_equal(text, "");
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, clean_set)
    const struct CMUnitTest tests[] = {
        TEST(test_states),
        TEST(test_collapsed),
        TEST(test_folders),
        TEST(test_swept_in_order_of_config),
        TEST(test_equal_values_by_name),
        TEST(test_sweep_file),
        TEST(test_sweep_alone),
        TEST(test_sweep_of_several_grids),
        TEST(test_sweep_not_begun),
        TEST(test_language),
        TEST(test_no_runs),
        TEST(test_bad_files),
        TEST(test_odd_values),
        TEST(test_no_memory),
        TEST(test_value_text),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

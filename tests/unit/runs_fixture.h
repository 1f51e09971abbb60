/* Run folders of a few small files, for the tests of what is gathered from them. */
#ifndef LF_TEST_RUNS_FIXTURE_H
#define LF_TEST_RUNS_FIXTURE_H

#include "data_fixture.h"
#include "report/gather/gather.h"

static inline void put_text(const char *name, const char *text) { put_bytes(name, text, strlen(text)); }

/* set/NAME with a config.json of the usual keys and `config` ("\"seed\": 1, ..."); NULL results: none. */
static inline void put_run(const char *name, const char *config, const char *results) {
    char path[300], text[2000];
    snprintf(path, sizeof path, "set/%s/config.json", name);
    snprintf(text, sizeof text, "{\"model\": \"m\", \"threads\": %d, %s, \"output_dir\": \"set/%s\"}", name[0] % 3,
             config, name);
    put_text(path, text);
    snprintf(path, sizeof path, "set/%s/all_results.json", name);
    if (results) put_text(path, results);
}

static inline void put_error(const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "set/%s/error.json", name);
    put_text(path, text);
}

static inline const char *set_dir(void) {
    static char path[512];
    snprintf(path, sizeof path, "%s", in_scratch("set"));
    return path;
}

static inline lf_gathered *gather(void) {
    lf_err err = {0};
    lf_gathered *g = NULL;
    assert_ok(lf_gather(&g, set_dir(), &err), err);
    return g;
}

static inline void assert_not_gathered(const char *what, const char *more) {
    lf_err err = {0};
    lf_gathered *g = (lf_gathered *)(uintptr_t)1;
    const lf_status rc = lf_gather(&g, set_dir(), &err);
    assert_null(g);
    if (!strstr(err.message, more)) fail_msg("'%s' does not say '%s'", err.message, more);
    assert_says(rc, LF_EDATA, err, what);
}

static inline int clean_set(void **state) {
    (void)state;
    lf_alloc_fail_after(-1);
    return lf_remove_tree(in_scratch("set"), NULL) == LF_OK && lf_alloc_live() == 0 ? 0 : -1;
}

/* The names, one after the other; a 512 byte buffer of its own. */
static inline const char *joined(char **names, int64_t n) {
    static char text[512];
    text[0] = 0;
    for (int64_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", names[i]);
    return text;
}

static inline void assert_runs(const lf_gathered *g, const char *expected) {
    char *names[64];
    assert_true(g->n_runs <= 64);
    for (int64_t i = 0; i < g->n_runs; i++) names[i] = g->runs[i].name;
    assert_string_equal(joined(names, g->n_runs), expected);
}

#endif

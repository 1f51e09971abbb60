/* Configurations in YAML: what a word without quotes is, by its key; the same configuration as in JSON; what is
 * refused. */
#define _DEFAULT_SOURCE /* mkstemps */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/config_internal.h"

static lf_status load(lf_config **out, const char *verb, const char *text, size_t size, const char *suffix,
                      lf_err *err) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/lora-ft-test-yaml-XXXXXX%s", suffix);
    const int fd = mkstemps(path, (int)strlen(suffix));
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), (ssize_t)size);
    close(fd);
    lf_status rc = lf_config_new(out, verb, err);
    if (!rc) rc = lf_config_load(*out, path, err);
    unlink(path);
    return rc;
}

static char *resolved(const char *verb, const char *text, const char *suffix) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    if (load(&cfg, verb, text, strlen(text), suffix, &err)) fail_msg("%s\n%s", err.message, text);
    cJSON *json = lf_cfg_resolved_to_json(cfg);
    char *printed = lf_json_print(json, true);
    cJSON_Delete(json);
    lf_config_free(cfg);
    return printed;
}

static const struct {
    const char *verb, *yaml, *json;
} same[] = {
    /* numbers, whatever YAML 1.1 takes for one */
    {"train", "learning_rate: 1e-3\nr: 8\nlora_dropout: .5\nseed: 1e3\n",
     "{\"learning_rate\": 1e-3, \"r\": 8, \"lora_dropout\": 0.5, \"seed\": 1000}"},
    /* a switch takes YAML 1.1's words, a name keeps them */
    {"train", "overwrite_output_dir: yes\ndry_run: off\nuse_rslora: True\n",
     "{\"overwrite_output_dir\": true, \"dry_run\": false, \"use_rslora\": true}"},
    {"train", "output_dir: no\nmodel: 007\ntrain_data: on\n",
     "{\"output_dir\": \"no\", \"model\": \"007\", \"train_data\": \"on\"}"},
    {"train", "save_strategy: no\n", "{\"save_strategy\": \"no\"}"},
    {"train", "output_dir: \"1e3\" # a comment\nr: 4\n", "{\"output_dir\": \"1e3\", \"r\": 4}"},
    /* not set */
    {"train", "model:\ntrain_data: ~\neval_data: null\nr: 2\n", "{\"r\": 2}"},
    /* lists and objects in either style, and what belongs to the keys in them */
    {"train", "target_modules: [q_proj, v_proj]\nrank_pattern:\n  q_proj: 4\n  'v.*': 2\n",
     "{\"target_modules\": [\"q_proj\", \"v_proj\"], \"rank_pattern\": {\"q_proj\": 4, \"v.*\": 2}}"},
    {"train", "target_modules:\n- q_proj\n- v_proj\nlayers_to_transform: [0, 1]\n",
     "{\"target_modules\": [\"q_proj\", \"v_proj\"], \"layers_to_transform\": [0, 1]}"},
    {"train", "init_lora_weights: true\ninit_position: {energy: .5}\n",
     "{\"init_lora_weights\": true, \"init_position\": {\"energy\": 0.5}}"},
    {"train", "target_modules: |-\n  .*(q|v)_proj\n", "{\"target_modules\": \".*(q|v)_proj\"}"},
    {"train", "eval_data: {path: &d letters, split: val}\ntest_data: {path: *d, split: test}\n",
     "{\"eval_data\": {\"path\": \"letters\", \"split\": \"val\"}, \"test_data\": {\"path\": \"letters\", \"split\": "
     "\"test\"}}"},
    {"sweep",
     "sweep:\n  learning_rate: {log: [3e-4, 1e-2, 4]}\n  save_strategy: [no, epoch]\n  use_rslora: [yes, no]\n",
     "{\"sweep\": {\"learning_rate\": {\"log\": [3e-4, 1e-2, 4]}, \"save_strategy\": [\"no\", \"epoch\"],"
     " \"use_rslora\": [true, false]}}"},
    /* names in an object that is a value are no keys, whatever they are called */
    {"train", "rank_pattern: {q_proj: 8, head: 4, quiet: 1}\n",
     "{\"rank_pattern\": {\"q_proj\": 8, \"head\": 4, \"quiet\": 1}}"},
    {"sweep", "sweep: {zip: {save_strategy: [no, epoch], max_steps: [3, 4]}, seed: [1]}\n",
     "{\"sweep\": {\"zip\": {\"save_strategy\": [\"no\", \"epoch\"], \"max_steps\": [3, 4]}, \"seed\": [1]}}"},
    {"continual", "tasks: [{name: on, train_data: off, overwrite_output_dir: no}]\n",
     "{\"tasks\": [{\"name\": \"on\", \"train_data\": \"off\", \"overwrite_output_dir\": false}]}"},
    /* JSON is YAML, but for its comments */
    {"train", "{\"r\": 8, \"target_modules\": [\"q_proj\"]}", "{\"r\": 8, \"target_modules\": [\"q_proj\"]}"},
    {"train", "---\nr: 8\n...\n", "{\"r\": 8}"},
};

static void test_says_what_json_says(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char *yaml = resolved(same[i].verb, same[i].yaml, i % 2 ? ".yml" : ".yaml"),
             *json = resolved(same[i].verb, same[i].json, ".json");
        assert_string_equal(yaml, json);
        lf_free(yaml);
        lf_free(json);
    }
}

#define AND_NUL(text) text, sizeof text - 1
static const struct {
    const char *yaml;
    size_t size;
    const char *part;
} refused[] = {
    {AND_NUL("r: 8\nlora_alpha 16\nseed: 1\n"), "line 3: not YAML: "},
    {AND_NUL("r: [8\n"), "not YAML: "},
    {AND_NUL("r:\t8\n\tseed: 1\n"), "line 2: not YAML: "},
    {AND_NUL("r: 8\nlora_alpha: 16\nr: 4\n"), "line 3: key 'r' given twice"},
    {AND_NUL("r: 8\nlora_r: 4\n"), "key 'r'"},
    {AND_NUL("r: eight\n"), "expected a whole number, found '\"eight\"'"},
    {AND_NUL("r: '8'\n"), "expected a whole number"},
    {AND_NUL("r: 0x8\n"), "expected a whole number"},
    {AND_NUL("overwrite_output_dir: maybe\n"), "expected true or false"},
    {AND_NUL("lerning_rate: 1e-3\n"), "did you mean 'learning_rate'"},
    {AND_NUL("- r: 8\n"), "expected lines 'key: value'"},
    {AND_NUL("8\n"), "expected lines 'key: value'"},
    {AND_NUL(""), "empty"},
    {AND_NUL("# nothing\n"), "empty"},
    {AND_NUL("r: 8\n---\nr: 4\n"), "a second document"},
    {AND_NUL("r: 8\n---\nr: [\n"), "not YAML: "},
    {AND_NUL("base: &b {r: 8}\n<<: *b\n"), "line 2: key '<<' (merging) is not read"},
    {AND_NUL("rank_pattern: {[a]: 4}\n"), "line 1: a key that is no word"},
    {AND_NUL("model: !!python/object:os.system {}\n"), "key 'model'"},
    {AND_NUL("model: !!binary aGVsbG8=\n"), "line 1: a tag"},
    {AND_NUL("model: \"a\\0b\"\n"), "line 1: a NUL byte in a text"},
    {AND_NUL("model: \xff\xfe\n"), "not YAML: "},
    {AND_NUL("model: a\0b\n"), "not YAML: "},
    {AND_NUL("rank_pattern: &a {q: *a}\n"), "more values"},
    {AND_NUL(
         "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e]\n"),
     "more values"},
};

static void test_refused_by_line(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        lf_config *cfg = NULL;
        lf_err err = {0};
        const lf_status rc = load(&cfg, "train", refused[i].yaml, refused[i].size, ".yaml", &err);
        if (rc != LF_EUSAGE || !strstr(err.message, refused[i].part) || strchr(err.message, '\n'))
            fail_msg("%.60s: expected '%s', found %d: %s", refused[i].yaml, refused[i].part, (int)rc, err.message);
        lf_config_free(cfg);
    }
}

static void test_missing(void **state) {
    (void)state;
    lf_config *cfg = NULL;
    lf_err err = {0};
    assert_int_equal(lf_config_new(&cfg, "train", &err), LF_OK);
    assert_int_equal(lf_config_load(cfg, "/nonexistent/c.yaml", &err), LF_EUSAGE);
    lf_config_free(cfg);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_json_says),
        cmocka_unit_test(test_refused_by_line),
        cmocka_unit_test(test_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The configuration: every key of the table, text and JSON to values, bounds, checks over several keys, the documents.
 */
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

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "config/config_internal.h"

#ifndef LF_SOURCE_DIR
#define LF_SOURCE_DIR "."
#endif

static lf_config *new_config(const char *verb) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    if (lf_config_new(&cfg, verb, &err)) fail_msg("%s", err.message);
    return cfg;
}

static lf_status parse(lf_config *cfg, const char *const *args, lf_err *err) {
    char *argv[32];
    int argc = 0;
    bool help;
    while (args[argc]) {
        argv[argc] = (char *)(uintptr_t)args[argc];
        argc++;
    }
    return lf_config_parse_args(cfg, argc, argv, &help, err);
}
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_message(const lf_err *err, lf_status status, const char *part) {
    if (err->status != status || !strstr(err->message, part))
        fail_msg("expected status %d and '%s', found %d: %s", (int)status, part, (int)err->status, err->message);
    assert_null(strchr(err->message, '\n'));
}

static void set(lf_config *cfg, const char *key, const char *text) {
    lf_err err = {0};
    if (lf_config_set(cfg, key, text, &err)) fail_msg("%s", err.message);
}

static void refuse(const char *verb, const char *key, const char *text, const char *part) {
    lf_config *cfg = new_config(verb);
    lf_err err = {0};
    if (lf_config_set(cfg, key, text, &err) == LF_OK) fail_msg("%s=%s was accepted", key, text);
    assert_message(&err, LF_EUSAGE, part);
    lf_config_free(cfg);
}

typedef struct refusal {
    const char *key, *text, *part;
} refusal;
#define REFUSE(verb, ...) refuse_each(verb, (const refusal[]){__VA_ARGS__, {NULL, NULL, NULL}})

static void refuse_each(const char *verb, const refusal *r) {
    for (; r->key; r++) refuse(verb, r->key, r->text, r->part);
}

static lf_status load_text(lf_config *cfg, const char *text, lf_err *err) {
    char path[] = "/tmp/lora-ft-test-config-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    const lf_status rc = lf_config_load(cfg, path, err);
    unlink(path);
    return rc;
}

static void load(lf_config *cfg, const char *text) {
    lf_err err = {0};
    if (load_text(cfg, text, &err)) fail_msg("%s", err.message);
}

static void refuse_text(const char *verb, const char *text, const char *part) {
    lf_config *cfg = new_config(verb);
    lf_err err = {0};
    if (load_text(cfg, text, &err) == LF_OK) fail_msg("accepted: %s", text);
    assert_message(&err, LF_EUSAGE, part);
    assert_non_null(strstr(err.message, "/tmp/lora-ft-test-config-"));
    lf_config_free(cfg);
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

static void test_table_is_sound(void **state) {
    (void)state;
    for (size_t i = 0; i < lf_n_keys; i++) {
        const lf_key *a = &lf_keys[i];
        assert_true(a->verbs != 0 && a->help && a->min <= a->max);
        assert_null(strpbrk(a->help, "\n"));
        for (size_t v = 0; v < lf_n_verbs; v++) { /* a name means one key in each verb */
            if (!(a->verbs & lf_verbs[v].bit)) continue;
            const char *aliases = a->aliases;
            lf_slice alias;
            assert_ptr_equal(lf_key_find(a->name, lf_verbs[v].bit), a);
            while (lf_next_item(&aliases, &alias)) {
                char name[64];
                snprintf(name, sizeof name, "%.*s", alias.length, alias.start);
                if (lf_key_find(name, lf_verbs[v].bit) != a)
                    fail_msg("%s: alias %s of %s is taken by another key", lf_verbs[v].name, name, a->name);
            }
        }
        for (size_t j = 0; j < i; j++) assert_string_not_equal(a->name, lf_keys[j].name);
    }
}

/* What names data is looked at before anything is opened, whichever key it is. */
static void test_data_sets_have_a_form(void **state) {
    (void)state;
    int found = 0;
    for (size_t i = 0; i < lf_n_keys; i++)
        for (size_t v = 0; v < lf_n_verbs; v++) {
            if (lf_keys[i].type != LF_KEY_JSON || !(lf_keys[i].traits & LF_IS_INPUT) ||
                !(lf_keys[i].verbs & lf_verbs[v].bit))
                continue;
            refuse(lf_verbs[v].name, lf_keys[i].name, "{\"pth\": \"x\"}", "or an object with \"path\"");
            found++;
        }
    assert_true(found >= 7);
}

/* Names and aliases are one name space: what the program answers to. Bits are each verb's own. */
static void test_verbs_are_told_apart(void **state) {
    (void)state;
    static const struct {
        const char *name, *aliases;
        int bit;
    } verbs[] = {
#define VERB(name, keys, shares, aliases, then, summary) {#name, aliases, LF_V_##name},
        LF_VERB_LIST(VERB)
#undef VERB
    };
    char seen[1024] = "|version|help|";
    int bits = 0;
    assert_int_equal(sizeof verbs / sizeof *verbs, lf_n_verbs);
    for (size_t i = 0; i < lf_n_verbs; i++) {
        const char *names[] = {verbs[i].name, verbs[i].aliases};
        assert_ptr_equal(lf_verb_find(verbs[i].name), &lf_verbs[i]);
        assert_true(lf_verbs[i].knows & lf_verbs[i].bit);
        assert_int_equal(bits & verbs[i].bit, 0);
        bits |= verbs[i].bit;
        for (size_t k = 0; k < 2; k++) {
            lf_slice one;
            while (lf_next_item(&names[k], &one)) {
                char piece[64];
                snprintf(piece, sizeof piece, "|%.*s|", one.length, one.start);
                if (one.length == 0 || strstr(seen, piece)) fail_msg("verb %s: name %s is taken", verbs[i].name, piece);
                strcat(seen, piece + 1);
            }
        }
    }
    assert_int_equal(bits, LF_V_ALL);
    assert_int_equal(lf_verb_find("sweep")->knows, LF_V_sweep | LF_V_train);
}

static void test_defaults(void **state) {
    (void)state;
    lf_config *cfg = new_config("train");
    assert_int_equal(lf_cfg_i64(cfg, LF_r), 8);
    assert_true(lf_cfg_f64(cfg, LF_learning_rate) == 5e-5);
    assert_string_equal(lf_cfg_str(cfg, LF_method), "lora");
    assert_true(lf_cfg_bool(cfg, LF_forgetting_knn));
    assert_true(cJSON_IsTrue(lf_cfg_json(cfg, LF_init_lora_weights)));
    assert_true(lf_cfg_json(cfg, LF_init_position)->valuedouble == 0.5);
    assert_string_equal(lf_cfg_json(cfg, LF_target_modules)->valuestring, "all-linear");
    assert_true(lf_cfg_is_set(cfg, LF_r) && !lf_cfg_is_given(cfg, LF_r));
    assert_false(lf_cfg_is_set(cfg, LF_eval_steps));
    assert_null(lf_cfg_str(cfg, LF_output_dir));
    assert_int_equal(lf_cfg_list_count(cfg, LF_modules_to_save), 0);
    assert_string_equal(lf_cfg_verb(cfg), "train");
    lf_config_free(cfg);

    lf_err err = {0};
    assert_int_equal(lf_config_new(&cfg, "trian", &err), LF_EUSAGE);
    assert_null(cfg);
}

/* ---- one key ------------------------------------------------------------------------------------------------- */

static void test_numbers(void **state) {
    (void)state;
    lf_config *cfg = new_config("train");
    set(cfg, "max_steps", "1e3");
    assert_int_equal(lf_cfg_i64(cfg, LF_max_steps), 1000);
    set(cfg, "max-steps", "-1");
    assert_int_equal(lf_cfg_i64(cfg, LF_max_steps), -1);
    set(cfg, "seed", "9007199254740991");
    assert_true(lf_cfg_i64(cfg, LF_seed) == INT64_C(9007199254740991));
    set(cfg, "lr", "1E-4");
    assert_true(lf_cfg_f64(cfg, LF_learning_rate) == 1e-4 && lf_cfg_is_given(cfg, LF_learning_rate));
    lf_config_free(cfg);

    static const char *const not_numbers[] = {"nan", "inf", "-inf",  "0x10", "5 ", " 5",
                                              "5x",  "1e",  "1e999", "",     "-",  "1_000"};
    for (size_t i = 0; i < sizeof not_numbers / sizeof *not_numbers; i++) {
        refuse("train", "learning_rate", not_numbers[i], "key 'learning_rate' (on the command line): ");
        refuse("train", "r", not_numbers[i], "key 'r' (on the command line): ");
    }
    REFUSE("train", {"r", "0", "expected a whole number from 1 to 4096, found 0"}, {"r", "4097", "from 1 to 4096"},
           {"r", "2.5", "expected a whole number, found 2.5"}, {"seed", "9007199254740993", "from 0 up"},
           {"seed", "-1", "from 0 up"}, {"lora_dropout", "1", "from 0 to 0.999"}, {"lora_alpha", "0", "lora_alpha"});
}

static void test_text_lists_and_choices(void **state) {
    (void)state;
    lf_config *cfg = new_config("train");
    set(cfg, "optim", "adamw_torch");
    assert_string_equal(lf_cfg_str(cfg, LF_optim), "adamw");
    set(cfg, "modules_to_save", "a, b");
    assert_int_equal(lf_cfg_list_count(cfg, LF_modules_to_save), 2);
    assert_string_equal(lf_cfg_list_at(cfg, LF_modules_to_save, 1), "b");
    assert_null(lf_cfg_list_at(cfg, LF_modules_to_save, 2));
    set(cfg, "modules_to_save", "[\"c\"]");
    assert_string_equal(lf_cfg_list_at(cfg, LF_modules_to_save, 0), "c");
    set(cfg, "overwrite_output_dir", "Yes");
    assert_true(lf_cfg_bool(cfg, LF_overwrite_output_dir));
    lf_config_free(cfg);

    REFUSE("train", {"optim", "lyon", "expected one of adamw, sgd, lion, adafactor, found 'lyon'"},
           {"overwrite_output_dir", "maybe", "expected true or false, found 'maybe'"},
           {"precision", "fp8", "expected one of fp32, bf16, auto, found 'fp8'"},
           {"bias", "some", "expected one of none, all, lora_only"},
           {"modules_to_save", "[1]", "expected a list of strings, found '[1]'"},
           {"modules_to_save", "[\"a\"", "line 1"}, {"output_dir", "", "empty"});
}

static void test_init(void **state) {
    (void)state;
    static const char *const good[] = {"kaiming",    "gaussian",     "pissa",        "pissa_niter_1", "pissa_niter_16",
                                       "milora",     "intermediate", "slice_random", "slice_eqmag",   "mica",
                                       "slice_zero", "olora",        "orthogonal"};
    lf_config *cfg = new_config("train");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        set(cfg, "init", good[i]);
        assert_string_equal(lf_cfg_json(cfg, LF_init_lora_weights)->valuestring, good[i]);
    }
    set(cfg, "init_position", "0.25");
    assert_true(lf_cfg_json(cfg, LF_init_position)->valuedouble == 0.25);
    set(cfg, "init_position", "index:12");
    assert_int_equal(cJSON_GetObjectItem(lf_cfg_json(cfg, LF_init_position), "index")->valueint, 12);
    set(cfg, "init_position", "energy:0.9");
    assert_true(cJSON_GetObjectItem(lf_cfg_json(cfg, LF_init_position), "energy")->valuedouble == 0.9);
    set(cfg, "init_position", "{\"index\": 3}");
    assert_int_equal(cJSON_GetObjectItem(lf_cfg_json(cfg, LF_init_position), "index")->valueint, 3);
    lf_config_free(cfg);

    static const char *const bad[] = {
        "pissa_niter_", "pissa_niter_0", "pissa_niter_-1", "pissa_niter_4x", "pissa_niter_1000", "random", "3", "{}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuse("train", "init_lora_weights", bad[i], "expected");
    refuse("train", "init_lora_weights", "false", "'false': ");
    refuse("train", "init_lora_weights", "loftq", "not in this version");
    static const char *const nowhere[] = {
        "-0.1",        "1.01",   "index:-1", "index:1.5", "energy:0",
        "energy:1.1",  "middle", "index:",   "true",      "{\"index\": 1, \"energy\": 0.5}",
        "{\"at\": 1}", "[0.5]"};
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
        refuse("train", "init_position", nowhere[i], "expected a fraction from 0 to 1");
}

static void test_modules(void **state) {
    (void)state;
    lf_config *cfg = new_config("train");
    set(cfg, "target_modules", "all");
    assert_string_equal(lf_cfg_json(cfg, LF_target_modules)->valuestring, "all-linear");
    set(cfg, "lora_target", "q_proj,v_proj");
    assert_int_equal(cJSON_GetArraySize(lf_cfg_json(cfg, LF_target_modules)), 2);
    set(cfg, "target_modules", ".*\\.(q|v)_proj");
    assert_string_equal(lf_cfg_json(cfg, LF_target_modules)->valuestring, ".*\\.(q|v)_proj");
    set(cfg, "exclude_modules", "fc1");
    assert_string_equal(cJSON_GetArrayItem(lf_cfg_json(cfg, LF_exclude_modules), 0)->valuestring, "fc1");
    static const char *const layers[] = {"3,4", "[3, 4]"};
    for (size_t i = 0; i < 2; i++) {
        set(cfg, "layers_to_transform", layers[i]);
        assert_int_equal(cJSON_GetArraySize(lf_cfg_json(cfg, LF_layers_to_transform)), 2);
        assert_int_equal(cJSON_GetArrayItem(lf_cfg_json(cfg, LF_layers_to_transform), 1)->valueint, 4);
    }
    set(cfg, "layers_to_transform", "7");
    assert_int_equal(cJSON_GetArrayItem(lf_cfg_json(cfg, LF_layers_to_transform), 0)->valueint, 7);
    set(cfg, "rank_pattern", "{\"q_proj\": 4}");
    set(cfg, "alpha_pattern", "{\"q_proj\": 0.5}");
    lf_config_free(cfg);

    REFUSE("train", {"target_modules", "[]", "a list of module names"},
           {"target_modules", "[\"a\", 1]", "a list of module names"}, {"layers_to_transform", "0,x", "layer numbers"},
           {"layers_to_transform", "[-1]", "layer numbers"}, {"layers_to_transform", "{\"a\": 1}", "layer numbers"},
           {"rank_pattern", "{\"q_proj\": 2.5}", "a rank from 1 to 4096"}, {"rank_pattern", "[4]", "an object"},
           {"alpha_pattern", "{\"q_proj\": 0}", "positive"}, {"train_data", "7", "./NAME"},
           {"train_data", "{\"format\": \"idx\"}", "\"path\""}, {"resume_from_checkpoint", "3", "true or a path"});
}

static void test_unknown_keys(void **state) {
    (void)state;
    refuse("train", "lerning_rate", "1",
           "key 'lerning_rate' (on the command line): unknown; did you mean 'learning_rate'?");
    REFUSE("train", {"learning-raet", "1", "did you mean 'learning_rate'?"},
           {"lora_rnak", "1", "did you mean 'lora_rank'?"}, {"zzzzzzzz", "1", "lora-ft train --help"},
           {"", "1", "unknown"});
    refuse("eval", "learning_rate", "1", "not a key of 'eval', only of 'train'");
    refuse("train", "top_k", "1", "only of 'predict'");
    refuse_text("train", "{\"seq_length\": 1}", "did you mean 'max_seq_length'?");
    refuse_text("train", "{\"lerning_rate\": 1}", "did you mean 'learning_rate'?");
    char longest[400];
    memset(longest, 'q', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    refuse("train", longest, "1", "unknown");
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static void test_file(void **state) {
    (void)state;
    lf_config *cfg = new_config("train");
    load(cfg, "{ // a comment\n \"lora_rank\": 4, \"learning-rate\": 1e-3, \"modules_to_save\": \"a,b\",\n"
              " /* more */ \"target_modules\": [\"q_proj\"], \"max_steps\": null, \"overwrite_output_dir\": true }");
    assert_int_equal(lf_cfg_i64(cfg, LF_r), 4);
    assert_true(lf_cfg_f64(cfg, LF_learning_rate) == 1e-3);
    assert_int_equal(lf_cfg_list_count(cfg, LF_modules_to_save), 2);
    assert_int_equal(lf_cfg_i64(cfg, LF_max_steps), -1);
    assert_false(lf_cfg_is_given(cfg, LF_max_steps));
    assert_true(lf_cfg_bool(cfg, LF_overwrite_output_dir));
    load(cfg, "{\"r\": 16}"); /* a later file wins */
    assert_int_equal(lf_cfg_i64(cfg, LF_r), 16);
    lf_err err = {0};
    assert_int_equal(lf_cfg_fail(cfg, LF_r, &err, "too big for %d", 3), LF_EUSAGE);
    assert_message(&err, LF_EUSAGE, "key 'r' (in /tmp/lora-ft-test-config-");
    assert_message(&err, LF_EUSAGE, "): too big for 3");
    lf_config_free(cfg);

    refuse_text("train", "{\"r\": \"8\"}", "expected a whole number, found '\"8\"'");
    refuse_text("train", "{\"r\": 1e400}", "line 1, column 7: a number beyond the range");
    refuse_text("train", "{\"r\": 9223372036854775808}", "key 'r' (in ");
    refuse_text("train", "{\"r\": 8, \"r\": 9}", "twice");
    refuse_text("train", "{\"r\": 8, \"lora_r\": 9}", "key 'r' (in ");
    refuse_text("train", "{\"overwrite_output_dir\": 1}", "expected true or false");
    refuse_text("train", "{\"output_dir\": [\"x\"]}", "expected a path, found '[\"x\"]'");
    refuse_text("train", "[1]", "expected a JSON object");
    refuse_text("train", "{\n\"r\": 8,\n\"model\" \"m\"}", "line 3");
    refuse_text("train", "", "empty");

    cfg = new_config("train");
    err = (lf_err){0};
    assert_int_equal(lf_config_load(cfg, "/nonexistent/c.json", &err), LF_EUSAGE);
    assert_message(&err, LF_EUSAGE, "/nonexistent/c.json");
    lf_config_free(cfg);
}

static void test_resolved_config_loads_again(void **state) {
    (void)state;
    static const char *const keys[][2] = {
        {"model", "m"},          {"init_position", "energy:0.9"}, {"lr", "0.1"},
        {"seed", "7"},           {"target_modules", "q,v"},       {"layers_to_transform", "1"},
        {"init", "intermediate"}};
    lf_config *a = new_config("train"), *b = new_config("train");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) set(a, keys[i][0], keys[i][1]);
    cJSON *first = lf_cfg_to_json(a);
    char *text = lf_json_print(first, false);
    load(b, text);
    cJSON *second = lf_cfg_to_json(b);
    assert_true(cJSON_Compare(first, second, true));
    assert_null(cJSON_GetObjectItem(first, "eval_steps"));
    assert_null(cJSON_GetObjectItem(first, "top_k"));
    cJSON_Delete(first);
    cJSON_Delete(second);
    lf_free(text);
    lf_config_free(a);
    lf_config_free(b);
}

/* Of every verb, and of those whose readers ask what was given, each way: what is printed is read again as a file, and
 * the same was given then, as far as anybody asks (tests/gates/implied.py finds who does). */
static const struct {
    const char *verb, *keys[4][2], *not_given[8];
} resolved[] = {
    {"train", {{"model", "m"}, {"train_data", "d"}, {"output_dir", "o"}}, {NULL}},
    {"train",
     {{"model", "m"}, {"train_data", "d"}, {"output_dir", "o"}, {"continue_from", "a"}},
     {"r", "lora_alpha", "use_rslora", "bias", "use_dora", "lora_dropout", "target_modules"}},
    {"sweep",
     {{"sweep", "{\"lr\": [1]}"}, {"output_dir", "o"}, {"continue_from", "a"}},
     {"train_val_split", "r", "target_modules"}},
    {"continual",
     {{"model", "m"}, {"tasks", "[]"}, {"output_dir", "o"}},
     {"train_val_split", "max_seq_length", "metric_for_best_model"}},
    {"eval", {{"model", "m"}, {"data", "d"}}, {"compare_with", "per_device_eval_batch_size"}},
    {"rewind", {{"model", "m"}, {"adapter", "a"}, {"data", "d"}, {"forgetting_data", "f"}}, {NULL}},
    {"predict", {{"model", "m"}, {"data", "d"}, {"output_file", "x.csv"}}, {"output"}},
    {"merge", {{"model", "m"}, {"adapter", "a"}, {"output_dir", "o"}}, {"save_dtype"}},
    {"convert", {{"adapter", "a"}, {"r", "8"}, {"output_dir", "o"}}, {"save_dtype", "adapter_scale"}},
    {"convert",
     {{"adapter", "a"}, {"model", "m"}, {"format", "gguf"}, {"output_dir", "o.gguf"}},
     {"r", "save_dtype", "adapter_scale"}},
    {"bench", {{"model", "m"}}, {NULL}},
    {"inspect", {{"paths", "p"}}, {NULL}},
    {"verify", {{"paths", "p"}}, {NULL}},
    {"report", {{"run", "r"}}, {NULL}},
    {"preview", {{"model", "m"}, {"train_data", "d"}}, {"n", "max_seq_length"}},
    {"generate", {{"model", "m"}, {"prompt", "p"}}, {"max_seq_length", "per_device_eval_batch_size"}},
    {"spectrum", {{"model", "m"}, {"adapter", "a"}}, {"r", "init_lora_weights", "init_position", "target_modules"}},
};

static void test_resolved_configs_of_all_verbs(void **state) {
    (void)state;
    unsigned seen = 0;
    for (size_t i = 0; i < sizeof resolved / sizeof *resolved; i++) {
        const char *verb = resolved[i].verb;
        lf_config *first = new_config(verb), *second = new_config(verb);
        lf_err err = {0};
        const char *const(*keys)[2] = resolved[i].keys;
        for (int k = 0; k < 4 && keys[k][0]; k++) set(first, keys[k][0], keys[k][1]);
        if (lf_config_finish(first, &err)) fail_msg("%s: %s", verb, err.message);
        cJSON *was = lf_cfg_resolved_to_json(first);
        char *text = lf_json_print(was, false);
        load(second, text);
        if (lf_config_finish(second, &err)) fail_msg("%s, read again: %s", verb, err.message);
        cJSON *is = lf_cfg_resolved_to_json(second);
        if (!cJSON_Compare(was, is, true)) fail_msg("%s: the resolved configuration is another when it is read", verb);
        for (int k = 0; k < 8 && resolved[i].not_given[k]; k++)
            if (lf_cfg_is_given(second, lf_key_of(resolved[i].not_given[k])))
                fail_msg("%s: '%s' counts as given when the resolved configuration is read", verb,
                         resolved[i].not_given[k]);
        for (size_t v = 0; v < lf_n_verbs; v++) seen |= strcmp(lf_verbs[v].name, verb) ? 0 : lf_verbs[v].bit;
        cJSON_Delete(was);
        cJSON_Delete(is);
        lf_free(text);
        lf_config_free(first);
        lf_config_free(second);
    }
    assert_int_equal(seen, LF_V_ALL);
}

/* ---- the command line ---------------------------------------------------------------------------------------- */

static void test_arguments(void **state) {
    (void)state;
    char path[] = "/tmp/lora-ft-test-args-XXXXXX.json";
    const int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    static const char text[] = "{\"r\": 4, \"lora_alpha\": 3}";
    assert_int_equal(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);

    lf_err err = {0};
    lf_config *cfg = new_config("train");
    assert_int_equal(parse(cfg,
                           ARGS("--r", "16", path, "--learning-rate=1e-4", "max_steps=-1", "--load_best_model_at_end",
                                "--no-forgetting-knn", "--logging_first_step", "false", "-o", "out", "--dry_run"),
                           &err),
                     LF_OK);
    assert_int_equal(lf_cfg_i64(cfg, LF_r), 16); /* flags win wherever they stand */
    assert_true(lf_cfg_f64(cfg, LF_lora_alpha) == 3 && lf_cfg_f64(cfg, LF_learning_rate) == 1e-4);
    assert_true(lf_cfg_bool(cfg, LF_load_best_model_at_end) && lf_cfg_bool(cfg, LF_dry_run));
    assert_false(lf_cfg_bool(cfg, LF_forgetting_knn) || lf_cfg_bool(cfg, LF_logging_first_step));
    assert_string_equal(lf_cfg_str(cfg, LF_output_dir), "out");
    lf_config_free(cfg);

    cfg = new_config("bench");
    assert_int_equal(parse(cfg, ARGS("--config", path, "--eval", "--init", "pissa", "--json"), &err), LF_OK);
    assert_int_equal(lf_cfg_i64(cfg, LF_r), 4);
    assert_true(lf_cfg_bool(cfg, LF_eval) && lf_cfg_bool(cfg, LF_json));
    lf_config_free(cfg);
    unlink(path);

    cfg = new_config("report");
    assert_int_equal(parse(cfg, ARGS("--json", "runs/lr=1"), &err), LF_OK);
    assert_string_equal(lf_cfg_str(cfg, LF_run), "runs/lr=1");
    lf_config_free(cfg);

    static const struct {
        const char *args[3], *part;
    } bad[] = {
        {{"--r", NULL}, "key 'r' (on the command line): the value is missing"},
        {{"--r", "--seed", NULL}, "the value is missing"},
        {{"--config", NULL}, "the value is missing"},
        {{"--config=/nonexistent.json", NULL}, "/nonexistent.json"},
        {{"stray", NULL}, "unexpected 'stray'"},
        {{"--", NULL}, "unexpected '--'"},
        {{"---r", "4"}, "unexpected '---r'"},
        {{"-x", "4"}, "key 'x'"},
        {{"-lr", "4"}, "unexpected '-lr'"},
        {{"--no-r", NULL}, "key 'no-r' (on the command line): unknown"},
        {{"--=3", NULL}, "unknown"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lf_err e = {0};
        cfg = new_config("train");
        const char *const args[4] = {bad[i].args[0], bad[i].args[1], bad[i].args[1] ? bad[i].args[2] : NULL, NULL};
        assert_int_not_equal(parse(cfg, args, &e), LF_OK);
        assert_message(&e, LF_EUSAGE, bad[i].part);
        lf_config_free(cfg);
    }

    bool help = false;
    cfg = new_config("train");
    char help_flag[] = "--help", nonsense[] = "--nonsense", *argv[] = {nonsense, help_flag};
    assert_int_equal(lf_config_parse_args(cfg, 2, argv, &help, &err), LF_OK);
    assert_true(help);
    lf_config_free(cfg);
}

/* A list that is given twice is both together, and in place of the file's; of another key the last one counts. */
static void test_keys_given_twice(void **state) {
    (void)state;
    lf_err err = {0};
    lf_config *cfg = new_config("generate");
    static const char *const expected[] = {"a", "b", "c, d"};
    const char *path = "/tmp/lora-ft-test-twice.json";
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("{\"stop\": [\"of the file\"]}", f);
    fclose(f);
    assert_int_equal(parse(cfg,
                           ARGS("--stop", "a,b", path, "--max_new_tokens=3", "--stop_strings", "[\"c, d\"]",
                                "--max_new_tokens", "4"),
                           &err),
                     LF_OK);
    assert_int_equal(lf_cfg_list_count(cfg, LF_stop), 3);
    for (int i = 0; i < 3; i++) assert_string_equal(lf_cfg_list_at(cfg, LF_stop, i), expected[i]);
    assert_int_equal(lf_cfg_i64(cfg, LF_max_new_tokens), 4);
    lf_config_free(cfg);
    cfg = new_config("generate");
    assert_int_not_equal(parse(cfg, ARGS("--stop", "a", "--stop", "[1]"), &err), LF_OK);
    assert_message(&err, LF_EUSAGE, "stop");
    lf_config_free(cfg);
    remove(path);
    lf_status rc = LF_ENOMEM;
    const int64_t live = lf_alloc_live();
    for (int64_t k = 0; rc == LF_ENOMEM; k++) {
        lf_err e = {0};
        cfg = new_config("generate");
        lf_alloc_fail_after(k);
        rc = parse(cfg, ARGS("--stop", "a", "--stop", "b"), &e);
        lf_alloc_fail_after(-1);
        lf_config_free(cfg);
        assert_int_equal(lf_alloc_live(), live);
    }
    assert_int_equal(rc, LF_OK);
}

/* ---- several keys -------------------------------------------------------------------------------------------- */

static void finish(const char *verb, const char *const *args, const char *part) {
    lf_config *cfg = new_config(verb);
    lf_err err = {0};
    if (parse(cfg, args, &err)) fail_msg("%s", err.message);
    const lf_status rc = lf_config_finish(cfg, &err);
    if (part)
        assert_message(&err, LF_EUSAGE, part);
    else if (rc)
        fail_msg("%s", err.message);
    lf_config_free(cfg);
}
#define TRAIN "model=m", "train_data=d", "output_dir=o"

static void test_required_keys(void **state) {
    (void)state;
    finish("train", ARGS(TRAIN), NULL);
    finish("train", ARGS("train_data=d", "output_dir=o"), "key 'model' or 'init_model' is required");
    finish("train", ARGS("model=m", "output_dir=o"), "key 'train_data' is required");
    finish("train", ARGS("model=m", "train_data=d"), "key 'output_dir' is required");
    finish("eval", ARGS("model=m", "forgetting_data=d"), NULL);
    finish("eval", ARGS("model=m"), NULL); /* a session is opened so; the verb asks for data */
    finish("eval", ARGS("data=d"), "key 'model'");
    finish("predict", ARGS("model=m"), NULL);
    finish("merge", ARGS("model=m", "-o", "x"), "key 'adapter'");
    finish("merge", ARGS("model=m", "adapter=a"), "key 'output_dir'");
    finish("merge", ARGS("model=m", "adapter=a", "--output", "x"), NULL);
    finish("bench", ARGS("--json"), "key 'model'");
    finish("inspect", ARGS("adapter=a"), NULL);
    finish("inspect", ARGS("--json"), "key 'model', 'adapter' or 'paths'");
    finish("report", ARGS("--json"), "key 'run'");
}

static void test_keys_that_must_fit(void **state) {
    (void)state;
    finish("train", ARGS("init_model=c", "train_data=d", "output_dir=o", "method=full"), NULL);
    finish("train", ARGS("init_model=c", "train_data=d", "output_dir=o"), "random weights need --method full");
    finish("train", ARGS(TRAIN, "init_model=c", "method=full"),
           "key 'init_model' (on the command line): 'model' is given");
    finish("train", ARGS(TRAIN, "num_train_epochs=0"), "nothing would be trained");
    finish("train", ARGS(TRAIN, "num_train_epochs=0", "max_steps=1"), NULL);
    finish("train", ARGS(TRAIN, "warmup_steps=10", "warmup_ratio=0.1"), "'warmup_steps' is given too");
    finish("train", ARGS(TRAIN, "warmup_steps=1.5"), "key 'warmup_steps'");
    finish("train", ARGS(TRAIN, "warmup_steps=0.1"), NULL);
    finish("train", ARGS(TRAIN, "train_val_split=0.1", "eval_data=e"), "key 'train_val_split'");
    finish("train", ARGS(TRAIN, "max_forgetting=3"), "key 'max_forgetting'");
    finish("train", ARGS(TRAIN, "metric_for_best_model=tradeoff"), "key 'metric_for_best_model'");
    finish("train", ARGS(TRAIN, "metric_for_best_model=tradeoff", "forgetting_data=f"), NULL);
    finish("train", ARGS(TRAIN, "eval_strategy=no", "--load_best_model_at_end"), "needs evaluations");
    finish("train", ARGS(TRAIN, "save_strategy=steps", "--load_best_model_at_end"), "found 'steps' and 'epoch'");
    finish("train",
           ARGS(TRAIN, "save_strategy=steps", "eval_strategy=steps", "eval_steps=200", "--load_best_model_at_end"),
           "found 500 and 200");
    finish("train", ARGS(TRAIN, "save_strategy=steps", "eval_strategy=steps", "--load_best_model_at_end"), NULL);
    finish("train", ARGS(TRAIN, "eval_strategy=no", "early_stopping_patience=2"), "key 'early_stopping_patience'");
    finish("train", ARGS(TRAIN, "layers_to_transform=1"), "needs 'target_modules' as a list");
    finish("train", ARGS(TRAIN, "target_modules=q", "layers_to_transform=1", "layers_pattern=layers"), NULL);
    finish("train", ARGS(TRAIN, "layers_pattern=layers"), "needs 'layers_to_transform'");
}

/* ---- documents, memory --------------------------------------------------------------------------------------- */

static void test_docs_are_up_to_date(void **state) {
    (void)state;
    char *fresh = NULL, *committed = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&fresh, &size);
    lf_config_help(f, NULL, true);
    fclose(f);
    lf_err err = {0};
    if (lf_file_read(&committed, &size, LF_SOURCE_DIR "/docs/config.md", &err)) fail_msg("%s", err.message);
    if (strcmp(fresh, committed) != 0) fail_msg("docs/config.md is old; run: lora-ft help --markdown > docs/config.md");
    lf_free(committed);
    free(fresh);
}

static void test_help_has_every_key(void **state) {
    (void)state;
    for (size_t v = 0; v < lf_n_verbs; v++) {
        char *text = NULL, flag[80];
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        lf_config_help(f, lf_verbs[v].name, true);
        fclose(f);
        assert_non_null(strstr(text, lf_verb_summary(lf_verbs[v].name)));
        for (size_t i = 0; i < lf_n_keys; i++) {
            snprintf(flag, sizeof flag, "  --%s %s\n", lf_keys[i].name, lf_key_type_shown[lf_keys[i].type]);
            assert_int_equal(strstr(text, flag) != NULL, (lf_keys[i].verbs & lf_verbs[v].knows) != 0);
        }
        free(text);
    }
    assert_null(lf_verb_summary("trian"));
}

static lf_status use_everything(lf_err *err) {
    lf_config *cfg = NULL;
    cJSON *json = NULL;
    lf_status rc = lf_config_new(&cfg, "train", err);
    if (rc) goto out;
    if ((rc = lf_config_load(cfg, LF_SOURCE_DIR "/tests/unit/config_sample.json", err)) ||
        (rc = parse(cfg,
                    ARGS(TRAIN, "layers_to_transform=0,1", "target_modules=q,v", "init_position=index:3",
                         "optim=adamw_torch", "modules_to_save=a,b", "layers_to_transform=2"),
                    err)) ||
        (rc = lf_config_finish(cfg, err)))
        goto out;
    json = lf_cfg_to_json(cfg);
    if (!json) rc = LF_ENOMEM;
out:
    cJSON_Delete(json);
    lf_config_free(cfg);
    return rc;
}

static void test_failing_allocations(void **state) {
    (void)state;
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    int64_t n = 0;
    for (; rc != LF_OK && n < 100000; n++) {
        lf_err err = {0};
        lf_alloc_fail_after(n);
        rc = use_everything(&err);
        lf_alloc_fail_after(-1);
        if (rc != LF_OK && rc != LF_ENOMEM) fail_msg("allocation %d: %s", (int)n, err.message);
        assert_int_equal(lf_alloc_live(), live);
    }
    assert_int_equal(rc, LF_OK);
    assert_true(n > 100); /* the loop did walk through failures */
}

/* What config.json could not hold is refused by the verbs that write one. */
static void test_not_utf8(void **state) {
    (void)state;
    refuse("train", "train_data", "n\xff.jsonl", "not UTF-8");
    refuse("train", "output_dir", "\xc3", "not UTF-8");
    refuse("sweep", "model", "m\xed\xa0\x80", "not UTF-8");
    refuse("continual", "model", "m\xff", "not UTF-8");
    lf_config *cfg = new_config("predict");
    set(cfg, "data", "n\xff.png");
    lf_config_free(cfg);
}

/* ---- keys that are not read ---- */

static void test_unread(void **state) {
    (void)state;
    static const struct {
        const char *verb, *args[4];
        lf_key_id key;
        const char *why; /* NULL: it is read */
    } cases[] = {
        {"train", {"--method", "head", "--r", "4"}, LF_r, "with method head"},
        {"train", {"--method", "full", "--init_position", "0.5"}, LF_init_position, "with method full"},
        {"train", {"--r", "4"}, LF_r, NULL},
        {"train", {"--optim", "sgd", "--adam_beta2", "0.9"}, LF_adam_beta2, "with optim sgd"},
        {"train", {"--optim", "adamw_torch", "--momentum", "0.5"}, LF_momentum, "with optim adamw"},
        {"train", {"--optim", "sgd", "--momentum", "0.5"}, LF_momentum, NULL},
        {"train",
         {"--lr_scheduler", "constant", "--warmup_steps", "5"},
         LF_warmup_steps,
         "with lr_scheduler_type constant"},
        {"train", {"--warmup_ratio", "0.1"}, LF_warmup_ratio, NULL},
        {"train", {"--eval_steps", "5"}, LF_eval_steps, "with eval_strategy epoch"},
        {"train", {"--save_steps", "5", "--save_strategy", "steps"}, LF_save_steps, NULL},
        {"train", {"--save_total_limit", "5", "--save_strategy", "no"}, LF_save_total_limit, "with save_strategy no"},
        {"train", {"--save_dtype", "bf16"}, LF_save_dtype, "with method lora"},
        {"merge", {"--save_dtype", "bf16"}, LF_save_dtype, NULL},
        {"train", {"--forgetting_knn", "false"}, LF_forgetting_knn, "without forgetting_data"},
        {"eval", {"--max_forgetting_samples", "5"}, LF_max_forgetting_samples, "without forgetting_data"},
        {"eval", {"--max_forgetting_samples", "5", "--forgetting_data", "x"}, LF_max_forgetting_samples, NULL},
        {"eval",
         {"--knn_reference_samples=5", "--forgetting_data=x", "--no-forgetting_knn"},
         LF_knn_reference_samples,
         "with forgetting_knn false"},
        {"train", {"--epochs", "5", "--max_steps", "10"}, LF_num_train_epochs, "with max_steps 10"},
        {"train", {"--epochs", "5", "--max_steps", "-1"}, LF_num_train_epochs, NULL},
        {"train", {"--decomposition_cache", "d"}, LF_decomposition_cache, "with init_lora_weights true"},
        {"train",
         {"--decomposition_cache", "d", "--init_lora_weights", "gaussian"},
         LF_decomposition_cache,
         "with init_lora_weights gaussian"},
        {"train",
         {"--decomposition_cache", "d", "--init_lora_weights", "pissa_niter_16"},
         LF_decomposition_cache,
         NULL},
        {"train",
         {"--loraplus_lr_ratio", "16", "--init_lora_weights", "mica"},
         LF_loraplus_lr_ratio,
         "with init_lora_weights mica"},
        {"train", {"--loraplus_lr_ratio", "16"}, LF_loraplus_lr_ratio, NULL},
        {"train", {"--force_resume"}, LF_force_resume, "without resume_from_checkpoint"},
        {"train", {"--force_resume", "--resume_from_checkpoint=true"}, LF_force_resume, NULL},
        {"generate", {"--top_p", "0.9"}, LF_top_p, "with temperature 0"},
        {"generate", {"--top_p", "0.9", "--temperature", "1"}, LF_top_p, NULL},
        {"generate", {"--output_file", "x"}, LF_output_file, "without data"},
        {"eval", {"--answer_stop", "x"}, LF_answer_stop, "without answer_pattern"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_config *cfg = new_config(cases[i].verb);
        const char *args[5] = {cases[i].args[0], cases[i].args[1], cases[i].args[2], cases[i].args[3], NULL};
        char text[96];
        lf_err err = {0};
        if (parse(cfg, args, &err)) fail_msg("case %zu: %s", i, err.message);
        const char *why = lf_config_unread(cfg, cases[i].key, text, sizeof text);
        if (!why != !cases[i].why || (why && strcmp(why, cases[i].why) != 0))
            fail_msg("case %zu: expected '%s', found '%s'", i, cases[i].why ? cases[i].why : "read",
                     why ? why : "read");
        lf_config_free(cfg);
    }
}

/* The table names keys by text: each is one, of each of the verbs that it is told for. */
static void test_unread_names(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        unsigned verbs;
    } lines[] = {
#define LF_EFFECT(keys, verbs, other, condition, values) {keys, verbs},
#include "config/effects.def"
#undef LF_EFFECT
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *keys = lines[i].keys;
        lf_slice name;
        while (lf_next_item(&keys, &name)) {
            char text[64];
            snprintf(text, sizeof text, "%.*s", name.length, name.start);
            for (unsigned bit = 1; bit <= LF_V_ALL; bit <<= 1)
                if (lines[i].verbs & bit && !lf_key_find(text, bit))
                    fail_msg("'%s' is no key of one of its verbs", text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_data_sets_have_a_form),
        cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_unread),
        cmocka_unit_test(test_unread_names),
        cmocka_unit_test(test_verbs_are_told_apart),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_text_lists_and_choices),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_resolved_config_loads_again),
        cmocka_unit_test(test_resolved_configs_of_all_verbs),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_keys_given_twice),
        cmocka_unit_test(test_required_keys),
        cmocka_unit_test(test_keys_that_must_fit),
        cmocka_unit_test(test_docs_are_up_to_date),
        cmocka_unit_test(test_help_has_every_key),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

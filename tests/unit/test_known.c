/* Names of other tools: known_names.txt, run as flags and as a file's member to the resolved configuration; the table
 * itself. */
#define _DEFAULT_SOURCE /* mkstemp */
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
#include "base/log.h"
#include "base/mem.h"
#include "config/known.h"

enum { LINE = 1024 };

static lf_config *config_of(const char *verb) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    if (lf_config_new(&cfg, verb, &err)) fail_msg("%s", err.message);
    return cfg;
}

static lf_config *new_config(void) {
    static const char *const needed[][2] = {{"model", "m"}, {"train_data", "d"}, {"output_dir", "o"}};
    lf_config *cfg = config_of("train");
    lf_err err = {0};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (lf_config_set(cfg, needed[i][0], needed[i][1], &err)) fail_msg("%s", err.message);
    return cfg;
}

/* "key=value" of what it holds now */
static void holds(const lf_config *cfg, const char *expected, const char *option) {
    cJSON *all = lf_cfg_resolved_to_json(cfg);
    char key[128];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(expected, "="), expected);
    char *found = lf_json_print_line(cJSON_GetObjectItemCaseSensitive(all, key));
    if (!found || strcmp(found, expected + strlen(key) + 1) != 0)
        fail_msg("%s: expected %s, found %s", option, expected, found ? found : "nothing");
    lf_free(found);
    cJSON_Delete(all);
}

static void came_out(lf_status rc, const lf_config *cfg, const lf_err *err, const char *option, const char *expected) {
    static const char refused[] = "refused: ", without[] = "no effect: ";
    if (strncmp(expected, refused, strlen(refused)) == 0) {
        if (rc != LF_EUSAGE || !strstr(err->message, expected + strlen(refused)))
            fail_msg("%s: expected '%s', found status %d: %s", option, expected, (int)rc, err->message);
        return;
    }
    if (rc) fail_msg("%s: expected '%s', found: %s", option, expected, err->message);
    if (strncmp(expected, without, strlen(without)) != 0) {
        holds(cfg, expected, option);
        return;
    }
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(option + 2, " ="), option + 2);
    bool said = false; /* of some value of this name, the reason is this one */
    for (size_t i = 0; i < lf_n_knowns; i++)
        said = said ||
               (lf_same_key_name(name, (lf_slice){lf_knowns[i].name, (int)strlen(lf_knowns[i].name)}) &&
                lf_knowns[i].meaning == LF_NO_EFFECT && strcmp(lf_knowns[i].text, expected + strlen(without)) == 0);
    if (!said) fail_msg("%s: no line says '%s'", option, expected);
}

static void as_flag(const char *option, const char *expected) {
    char name[LINE], *argv[2] = {name, NULL};
    lf_config *cfg = new_config();
    lf_err err = {0};
    bool help;
    snprintf(name, sizeof name, "%s", option);
    char *blank = strchr(name, ' ');
    if (blank) *blank = 0, argv[1] = blank + 1;
    lf_status rc = lf_config_parse_args(cfg, blank ? 2 : 1, argv, &help, &err);
    if (!rc) rc = lf_config_finish(cfg, &err);
    came_out(rc, cfg, &err, option, expected);
    lf_config_free(cfg);
}

/* The same in a file: a number, a truth value or an object as such. */
static void as_member(const char *option, const char *expected) {
    const char *value = strchr(option, ' ');
    if (!value || strchr(expected, ':')) return; /* what is refused names the file there, and is tried once below */
    char path[] = "/tmp/lf_known_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    double number;
    bool truth;
    const bool bare = lf_text_to_number(value + 1, &number) || value[1] == '{' ||
                      (lf_text_to_bool(value + 1, &truth) && strlen(value) > 2);
    fprintf(f, bare ? "{\"%.*s\": %s}" : "{\"%.*s\": \"%s\"}", (int)(value - option - 2), option + 2, value + 1);
    fclose(f);
    lf_config *cfg = new_config();
    lf_err err = {0};
    lf_status rc = lf_config_load(cfg, path, &err);
    if (!rc) rc = lf_config_finish(cfg, &err);
    came_out(rc, cfg, &err, option, expected);
    lf_config_free(cfg);
    unlink(path);
}

static void test_names(void **state) {
    (void)state;
    FILE *f = fopen(LF_SOURCE_DIR "/tests/unit/known_names.txt", "r");
    char line[LINE];
    int n = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *tab = strchr(line, '\t');
        if (line[0] == '#') continue;
        assert_non_null(tab);
        *tab = 0;
        as_flag(line, tab + 1);
        as_member(line, tab + 1);
        n++;
    }
    fclose(f);
    assert_true(n > 150);
}

static const lf_key *key_of(const lf_known *k, unsigned verb) {
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(k->text, "="), k->text);
    return lf_key_find(key, verb);
}

/* Is a line before it for the same name and value, and of a key that the verb has? */
static bool comes_second(const lf_known *k, unsigned verb) {
    for (const lf_known *before = lf_knowns; before < k; before++) {
        const bool same = before->value && k->value ? strcmp(before->value, k->value) == 0 : before->value == k->value;
        if (same && strcmp(before->name, k->name) == 0 && before->meaning == LF_READ_AS && key_of(before, verb))
            return true;
    }
    return false;
}

/* A verb that has the key by its own name, and for which the name is not another one: train, if it is one. */
static const char *verb_of(const lf_known *k, const lf_key *key) {
    for (size_t i = 0; i <= lf_n_verbs; i++) {
        const unsigned bit = i ? lf_verbs[i - 1].bit : LF_V_train;
        if (lf_key_find(key->name, bit) == key && !lf_key_find(k->name, bit) && !comes_second(k, bit))
            return i ? lf_verbs[i - 1].name : "train";
    }
    fail_msg("%s is read as %s, but no verb has that key alone", k->name, key->name);
    return NULL;
}

static void is_read(const lf_known *k) {
    char option[LINE];
    const lf_key *to = key_of(k, LF_V_ALL);
    if (!to || strncmp(to->name, k->text, strcspn(k->text, "=")) != 0)
        fail_msg("%s is read as %s, which is no key", k->name, k->text);
    const bool truth = to->type == LF_KEY_BOOL, words = to->type != LF_KEY_I64 && to->type != LF_KEY_F64;
    const char *any = truth ? "true" : !words ? "0.5" : to->choices ? "sgd" : "x";
    if (to->type == LF_KEY_I64) any = "3";
    if (to->choices && strcmp(to->name, "lr_scheduler_type") == 0) any = "cosine";
    snprintf(option, sizeof option, "%s=%s", k->name, k->value ? k->value : any);
    lf_config *cfg = config_of(verb_of(k, to));
    lf_err err = {0};
    char *argv[] = {option};
    bool help;
    if (lf_config_parse_args(cfg, 1, argv, &help, &err)) fail_msg("%s: %s", option, err.message);
    assert_true(lf_cfg_is_given(cfg, (lf_key_id)(to - lf_keys + 1)));
    lf_config_free(cfg);
}

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < lf_n_knowns; i++) {
        const lf_known *k = &lf_knowns[i];
        if (k->meaning != LF_READ_AS && lf_key_find(k->name, LF_V_train))
            fail_msg("%s is a key or an alias of one", k->name); /* what is read is asked by verb_of */
        assert_true(strlen(k->text) > 0 && !strchr(k->text, '\n'));
        if (k->meaning == LF_READ_AS) is_read(k);
        for (size_t j = 0; j + 1 < i; j++) /* lines of one name stand together, that for all values last */
            if (strcmp(lf_knowns[j].name, k->name) == 0) assert_string_equal(lf_knowns[i - 1].name, k->name);
        if (i > 0 && strcmp(lf_knowns[i - 1].name, k->name) == 0) assert_non_null(lf_knowns[i - 1].value);
    }
}

static void refused(const char *verb, const char *text, const char *part) {
    lf_config *cfg = NULL;
    lf_err err = {0};
    assert_int_equal(lf_config_new(&cfg, verb, &err), LF_OK);
    char path[] = "/tmp/lf_known_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    fputs(text, f);
    fclose(f);
    const lf_status rc = lf_config_load(cfg, path, &err);
    if (rc != LF_EUSAGE || !strstr(err.message, part) || !strstr(err.message, path))
        fail_msg("%s: expected '%s', found status %d: %s", text, part, (int)rc, err.message);
    lf_config_free(cfg);
    unlink(path);
}

static void test_refused(void **state) {
    (void)state;
    refused("train", "{\"bf16\": true, \"precision\": \"fp32\"}", "given twice, as 'bf16' and as 'precision'");
    refused("train", "{\"seed\": 1, \"batch_size\": 2, \"train_batch_size\": 4}",
            "given twice, as 'batch_size' and as 'train_batch_size'");
    refused("train", "{\"precision\": \"fp32\", \"bf16\": true}", "is 'precision' here, which is given too");
    refused("train", "{\"fp16\": true}", "take precision bf16");
    refused("train", "{\"report_to\": \"wandb\"}", "'wandb'");
    refused("train", "{\"report_to\": [\"tensorboard\", \"mlflow\"]}", "'mlflow': nothing is sent anywhere");
    refused("train", "{\"report_to\": \"tensorboard,nowhere\"}", "expected one of tensorboard, found 'nowhere'");
    refused("train", "{\"report_to\": [\"none\", \"tensorboard\"]}", "'none' beside others");
    refused("train", "{\"report_to\": [3]}", "report_to");
    refused("predict", "{\"dataset\": \"x\"}", "is 'train_data' here, which is not a key of 'predict'");
    refused("train", "{\"val_sise\": 0.1}", "unknown");
    lf_config *cfg = new_config();
    lf_err err = {0};
    assert_int_equal(lf_config_set(cfg, "dataset", "d\xff", &err), LF_EUSAGE); /* as train_data itself */
    assert_non_null(strstr(err.message, "not UTF-8"));
    lf_config_free(cfg);
}

/* Names that verbs other than train take. */
static void test_names_of_verbs(void **state) {
    (void)state;
    static const struct {
        const char *verb, *name, *value;
        lf_key_id key;
    } names[] = {{"generate", "adapter_name_or_path", "a", LF_adapter},
                 {"generate", "adapter-path", "a", LF_adapter},
                 {"merge", "adapter_name_or_path", "a", LF_adapter},
                 {"eval", "adapter_path", "a", LF_adapter},
                 {"predict", "adapter_path", "a", LF_adapter},
                 {"generate", "system_prompt", "a", LF_system},
                 {"generate", "temp", "0.5", LF_temperature},
                 {"generate", "m", "a", LF_model},
                 {"generate", "n", "5", LF_max_new_tokens},
                 {"generate", "n-predict", "-1", LF_max_new_tokens},
                 {"generate", "ctx-size", "64", LF_max_seq_length},
                 {"generate", "max_length", "64", LF_max_seq_length},
                 {"generate", "repeat-penalty", "1.1", LF_repetition_penalty},
                 {"generate", "cnv", "true", LF_chat},
                 {"generate", "reverse-prompt", "a", LF_stop},
                 {"generate", "lora", "a", LF_adapter},
                 {"generate", "batch_size", "4", LF_per_device_eval_batch_size},
                 {"eval", "batch_size", "4", LF_per_device_eval_batch_size},
                 {"merge", "save-path", "a", LF_output_dir},
                 {"merge", "export-gguf", "true", LF_format},
                 {"convert", "outtype", "bf16", LF_save_dtype},
                 {"merge", "dtype", "bfloat16", LF_save_dtype}, /* which computes nothing */
                 {"merge", "torch-dtype", "float32", LF_save_dtype},
                 {"train", "dtype", "bfloat16", LF_precision}, /* which has both keys */
                 {"eval", "torch_dtype", "float32", LF_precision}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lf_config *cfg = config_of(names[i].verb);
        lf_err err = {0};
        if (lf_config_set(cfg, names[i].name, names[i].value, &err)) fail_msg("%s", err.message);
        assert_true(lf_cfg_is_given(cfg, names[i].key));
        lf_config_free(cfg);
    }
    static const char *const others[][3] = {{"file", "a", "not here: a prompt is read from standard input"},
                                            {"min_new_tokens", "3", "ignore_eos"},
                                            {"frequency_penalty", "0.5", "repetition_penalty"},
                                            {"num_return_sequences", "2", "another seed"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        lf_config *cfg = config_of("generate");
        lf_err err = {0};
        assert_int_equal(lf_config_set(cfg, others[i][0], others[i][1], &err), LF_EUSAGE);
        if (!strstr(err.message, others[i][2])) fail_msg("%s: %s", others[i][0], err.message);
        lf_config_free(cfg);
    }
}

static void says(const char *name, const char *part) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    const bool known = lf_config_help_key(f, name);
    fclose(f);
    if (known != (part != NULL) || (part ? !strstr(text, part) : size != 0))
        fail_msg("help %s: expected %s, found %s", name, part ? part : "nothing", text);
    free(text);
}

static char *help_of(const char *verb, bool all) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    lf_config_help(f, verb, all);
    fclose(f);
    return text;
}

/* Its keys, in this order, are the first. */
static void begins_with(const char *help, const char *const *keys) {
    const char *at = strstr(help, "The usual keys\n");
    assert_non_null(at);
    for (; *keys; keys++) {
        char line[64];
        snprintf(line, sizeof line, "  --%s ", *keys);
        at = strstr(at + 1, "\n  --");
        if (!at || strncmp(at + 1, line, strlen(line)) != 0) fail_msg("expected '%s' next, found '%.40s'", line, at);
    }
}

static void test_unknown_names(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"seq_length", "did you mean 'max_seq_length'?"},
        {"--seq-length", "did you mean 'max_seq_length'?"},
        {"ewc", "did you mean 'ewc_weight'?"},
        {"wandb", "did you mean 'wandb_project'?"},
        {"trian", "did you mean 'train'?"},
        {"lerning_rate", "did you mean 'learning_rate'?"},
        {"length_max", "'lora-ft help' lists the verbs"},
        {"zzzz", "no verb or key 'zzzz'; 'lora-ft help'"},
        {"", "no verb or key ''"},
        {"_", "no verb or key '_'; 'lora-ft help'"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lf_err err = {0};
        assert_int_equal(lf_config_unknown_name(names[i][0], &err), LF_EUSAGE);
        if (!strstr(err.message, names[i][1])) fail_msg("%s: expected '%s': %s", names[i][0], names[i][1], err.message);
    }
}

/* A hundred keys are no help: of such a verb the usual ones stand there alone. */
static void test_usual(void **state) {
    (void)state;
    char *usual = help_of("train", false), *all = help_of("train", true), *eval = help_of("eval", false);
    assert_true(strstr(usual, "--learning_rate") && strstr(usual, "--output_dir") && !strstr(usual, "--adam_beta1"));
    assert_true(strstr(usual, "--help all") && strstr(all, "--adam_beta1") && !strstr(all, "--help all"));
    assert_true(strstr(eval, "--confusion_file") && !strstr(eval, "--help all"));
    free(usual), free(all), free(eval);
    usual = help_of("sweep", false);
    assert_true(strstr(usual, "--learning_rate") && strstr(usual, "--jobs") && strstr(usual, "--train_data"));
    begins_with(usual, (const char *const[]){"sweep", "jobs", "tasks", "orders", "model", NULL});
    free(usual);
    usual = help_of("continual", false);
    begins_with(usual,
                (const char *const[]){"tasks", "between", "heads", "model", "forgetting_data", "output_dir", NULL});
    assert_true(!strstr(usual, "--train_data") && !strstr(usual, "--eval_data") && !strstr(usual, "--test_data"));
    free(usual);
}

static void test_help(void **state) {
    (void)state;
    says("learning_rate", "of: train\n");
    says("--lora-rank", "--r INT");
    says("batch_size", "--per_device_train_batch_size"); /* bench has a key of this name, too */
    says("batch_size", "--batch INT");
    says("optim", "not lion_8bit: ");
    says("bf16", "--bf16 true is read as precision=bf16");
    says("fp16", "--fp16 BOOL is not here: fp16 needs");
    says("zzzz", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_table), cmocka_unit_test(test_names_of_verbs),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_help),  cmocka_unit_test(test_usual),
        cmocka_unit_test(test_unknown_names),
    };
    lf_log_set_level(LF_LOG_QUIET);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

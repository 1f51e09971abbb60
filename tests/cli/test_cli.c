/* The program as a user meets it: bad usage ends with one clear line on stderr and exit code 2. */
#define _DEFAULT_SOURCE /* mkstemps */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lora_ft.h"

#ifndef LF_BUILD_DIR
#define LF_BUILD_DIR "."
#endif

typedef struct outcome {
    int code;
    char out[65536], err[4096];
} outcome;

static void read_all(const char *path, char *text, size_t size) {
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
    unlink(path);
}

static outcome *run(const char *args) {
    static outcome o;
    char out[] = "/tmp/lora-ft-cli-out-XXXXXX", err[] = "/tmp/lora-ft-cli-err-XXXXXX", command[1024];
    close(mkstemp(out));
    close(mkstemp(err));
    snprintf(command, sizeof command, "'%s/lora-ft' %s >%s 2>%s", LF_BUILD_DIR, args, out, err);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    o.code = WEXITSTATUS(status);
    read_all(out, o.out, sizeof o.out);
    read_all(err, o.err, sizeof o.err);
    return &o;
}

static void assert_bad_usage(const char *args, const char *line) {
    const outcome *o = run(args);
    const char *newline = strchr(o->err, '\n');
    if (o->code != 2 || !strstr(o->err, line) || o->out[0] || !newline || newline[1])
        fail_msg("lora-ft %s: expected exit code 2 and one line with\n%s\nfound %d and\n%s%s", args, line, o->code,
                 o->err, o->out);
}

static void write_file(char *path, const char *text) {
    const int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void test_bad_usage(void **state) {
    (void)state;
    assert_bad_usage("trian", "lora-ft: there is no verb 'trian'; expected one of train, eval,");
    assert_bad_usage("chat --model m", "lora-ft: there is no verb 'chat'; it is `lora-ft generate --chat` here");
    assert_bad_usage("help trian", "lora-ft help: there is no verb or key 'trian'; did you mean 'train'?");
    assert_bad_usage("train --lerning_rate 1",
                     "lora-ft train: key 'lerning_rate' (on the command line): unknown; did you mean 'learning_rate'?");
    assert_bad_usage("train --r 0",
                     "lora-ft train: key 'r' (on the command line): expected a whole number from 1 to 4096");
    assert_bad_usage("train --r", "key 'r' (on the command line): the value is missing");
    assert_bad_usage("train --learning_rate=0x1p3", "expected a number, found '0x1p3'");
    assert_bad_usage("train --config /nonexistent/c.json", "lora-ft train: /nonexistent/c.json: ");
    assert_bad_usage("train --train_data d", "lora-ft train: key 'model' or 'init_model' is required");
    assert_bad_usage("evaluate --max_steps 3",
                     "lora-ft eval: key 'max_steps' (on the command line): not a key of 'eval'");
    assert_bad_usage("bench --precision fp8 --model m", "expected one of fp32, bf16, auto");
    assert_bad_usage("fuse --model m --adapter a", "lora-ft merge: key 'output_dir' is required");
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *line;
    } files[] = {
        {"{\n  \"r\": 8,\n  \"model\" \"m\"\n}\n", ": line 3"},
        {"{\"r\": 8, \"r\": 9}", "key 'r' is there twice"},
        {"{\"lora_alhpa\": 8}", "unknown; did you mean 'lora_alpha'?"},
        {"{\"lora_dropout\": 1.5}", "expected a number from 0 to 0.999, found 1.5"},
        {"[]", "expected a JSON object"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[] = "/tmp/lora-ft-cli-XXXXXX.json", args[128];
        write_file(path, files[i].text);
        snprintf(args, sizeof args, "train %s", path);
        assert_bad_usage(args, files[i].line);
        assert_bad_usage(args, path); /* the file is named */
        unlink(path);
    }
}

static void test_help_and_version(void **state) {
    (void)state;
    static const char *const verbs[] = {"train", "eval", "predict", "merge", "bench", "inspect", "report"};
    const outcome *o = run("--help");
    assert_int_equal(o->code, 0);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) assert_non_null(strstr(o->out, verbs[i]));
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        char args[64], usage[64];
        snprintf(args, sizeof args, "%s --help", verbs[i]);
        snprintf(usage, sizeof usage, "Usage: lora-ft %s", verbs[i]);
        o = run(args);
        assert_int_equal(o->code, 0);
        assert_non_null(strstr(o->out, usage));
        assert_string_equal(o->err, "");
    }
    o = run("train -h");
    assert_non_null(strstr(o->out, "default 5e-5; 0 to 1000; also --lr\n"));
    o = run("--version");
    assert_int_equal(o->code, 0);
    char version[64];
    snprintf(version, sizeof version, "lora-ft %s\n", lf_version());
    assert_string_equal(o->out, version);
    o = run("version --json");
    assert_int_equal(o->code, 0);
    snprintf(version, sizeof version, "{\"version\": \"%s\"}\n", lf_version());
    assert_string_equal(o->out, version);
    assert_bad_usage("predict model=m data=d --output pred.csv",
                     "expected one of jsonl, csv, json, found 'pred.csv'; a file is given as -o or --output_file");
    assert_bad_usage("version now", "lora-ft version: unexpected 'now'");
    assert_bad_usage("report a b", "unexpected 'b' beside 'a'; report takes one folder");
    o = run("");
    assert_int_equal(o->code, 2);
    assert_non_null(strstr(o->err, "Usage: lora-ft VERB"));
}

static void test_print_config(void **state) {
    (void)state;
    const outcome *o = run("train model=m train_data=d -o o --lora-rank 4 --print-config --lr 1e-3");
    assert_int_equal(o->code, 0);
    assert_string_equal(o->err, "");
    assert_non_null(strstr(o->out, "\"r\": 4,"));
    assert_non_null(strstr(o->out, "\"learning_rate\": 0.001,"));
    o = run("train model=m --print-config");
    assert_int_equal(o->code, 2);
}

static void test_output_that_cannot_be_written(void **state) {
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    char command[1024];
    snprintf(command, sizeof command, "'%s/lora-ft' --help >/dev/full 2>/dev/null", LF_BUILD_DIR);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

/* What cannot be written shows before anything is read: there is no model in any of these commands. */
static void test_what_cannot_be_written_is_told_first(void **state) {
    (void)state;
    static const char *const names[] = {"/dev/null/out", "/proc/nowhere/out"};
    static const struct {
        const char *arguments, *key;
    } cases[] = {
        {"train model=none train_data=none", "output_dir"},
        {"train model=none train_data=none dry_run=true", "output_dir"},
        {"sweep model=none train_data=none sweep='{\"seed\":[1]}' dry_run=true", "output_dir"},
        {"continual model=none tasks=[] dry_run=true", "output_dir"},
        {"merge model=none adapter=none", "output_dir"},
        {"spectrum model=none", "output_dir"},
        {"rewind model=none adapter=none data=none forgetting_data=none", "output_dir"},
        {"eval model=none data=none", "save_logits"},
        {"eval model=none data=none", "save_predictions"},
        {"eval model=none data=none", "confusion_file"},
        {"predict model=none data=none", "output_file"},
        {"preview model=none train_data=none", "sheet"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            char args[500], line[200];
            snprintf(args, sizeof args, "%s %s=%s", cases[i].arguments, cases[i].key, names[k]);
            snprintf(line, sizeof line, "key '%s' (on the command line): %s", cases[i].key, names[k]);
            line[strlen(line) - strlen("/out")] = 0; /* of folders it may be the one above that cannot be made */
            assert_bad_usage(args, line);
        }
    assert_bad_usage("train model=none train_data=none output_dir=/dev/null",
                     "key 'output_dir' (on the command line): /dev/null: cannot make folder: ");
    char longest[400] = "spectrum model=none output_dir=/tmp/";
    memset(longest + strlen(longest), 'x', 300);
    assert_bad_usage(longest, "File name too long");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_cannot_be_written_is_told_first),
        cmocka_unit_test(test_bad_usage),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_print_config),
        cmocka_unit_test(test_output_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

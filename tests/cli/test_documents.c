/* What is made of the tables for other programs: a manual page of each verb in the macros of man(7), completions that
 * bash runs. */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "config/config_internal.h"

static char text[1 << 20];

/* What a command prints, which ends with `code`. */
static const char *printed(int code, const char *format, ...) {
    char command[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    const size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    const int status = pclose(f);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code) fail_msg("%s: status %d", command, status);
    return text;
}

/* Lines that begin with a dot are requests, and of those there are few; nothing ends in a macro's middle. */
static void assert_requests(const char *page, const char *verb) {
    static const char *const known[] = {".TH", ".SH", ".SS", ".TP", ".B", ".BI", ".BR", ".I", ".RI", ".PP", ".br"};
    for (const char *line = page; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (*line == '\'') fail_msg("%s: a line begins with a quote: %.40s", verb, line);
        if (*line != '.') continue;
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found =
                found || (strcspn(line, " \n") == strlen(known[i]) && strncmp(line, known[i], strlen(known[i])) == 0);
        if (!found) fail_msg("%s: no macro of ours: %.40s", verb, line);
    }
}

static void test_a_page_of_each_verb(void **state) {
    (void)state;
    for (size_t i = 0; i < lf_n_verbs; i++) {
        const char *page = printed(0, "%s/lora-ft help --man %s", LF_BUILD_DIR, lf_verbs[i].name);
        assert_requests(page, lf_verbs[i].name);
        for (size_t k = 0; k < lf_n_keys; k++) {
            char line[128];
            snprintf(line, sizeof line, "\n.BI \\-\\-%s \" %s\"\n", lf_keys[k].name,
                     lf_key_type_shown[lf_keys[k].type]);
            if (!(lf_keys[k].verbs & lf_verbs[i].knows) != !strstr(page, line))
                fail_msg("%s: --%s is %s", lf_verbs[i].name, lf_keys[k].name, strstr(page, line) ? "there" : "missing");
        }
    }
    const char *page = printed(0, "%s/lora-ft help --man", LF_BUILD_DIR);
    assert_requests(page, "lora-ft");
    for (size_t i = 0; i < lf_n_verbs; i++) assert_non_null(strstr(page, lf_verbs[i].name));
    assert_non_null(strstr(page, ".B 130\ninterrupted\n"));
    printed(2, "%s/lora-ft help --man nothing 2>/dev/null", LF_BUILD_DIR);
}

/* What bash would offer behind `words`. */
static const char *offered(const char *words) {
    return printed(
        0,
        "bash -c '. <(%s/lora-ft help --completion bash); COMP_WORDS=(lora-ft \"$@\"); COMP_CWORD=$#; _lora_ft; "
        "echo \"${COMPREPLY[*]}\"' - %s",
        LF_BUILD_DIR, words);
}

static void test_bash_completes(void **state) {
    (void)state;
    static const struct {
        const char *words, *offered;
    } cases[] = {
        {"tr", "train\n"},
        {"train --learn", "--learning_rate\n"},
        {"train --learning-r", "--learning_rate\n"},
        {"train --print-c", "--print-config\n"},
        {"train --precision ''", "fp32 bf16 auto\n"},
        {"train --precision = b", "bf16\n"},
        {"train --precision =", "fp32 bf16 auto\n"},
        {"train --use-rslora f", "false\n"},
        {"train --lr_scheduler cosine_with_m", "cosine_with_min_lr\n"}, /* an alias */
        {"train --model " LF_TEST_DIR "/gol", LF_TEST_DIR "/golden\n"},
        {"train " LF_TEST_DIR "/unit/config_sam", LF_TEST_DIR "/unit/config_sample.json\n"},
        {"train --lerning", "\n"},
        {"nothing --r", "\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = offered(cases[i].words);
        if (strcmp(found, cases[i].offered) != 0)
            fail_msg("%s: expected %s, found %s", cases[i].words, cases[i].offered, found);
    }
    printed(0, "rm -rf /tmp/lora-ft-documents && mkdir -p '/tmp/lora-ft-documents/a b'");
    assert_string_equal(offered("train --model /tmp/lora-ft-documents/"), "/tmp/lora-ft-documents/a b\n");
    assert_string_equal(printed(0,
                                "bash -c '. <(%s/lora-ft help --completion bash); COMP_WORDS=(lora-ft train --model "
                                "/tmp/lora-ft-documents/); COMP_CWORD=3; _lora_ft; echo ${#COMPREPLY[@]}'; rm -rf "
                                "/tmp/lora-ft-documents",
                                LF_BUILD_DIR),
                        "1\n");
    for (size_t i = 0; i < lf_n_verbs; i++) {
        char words[128];
        snprintf(words, sizeof words, "%s --", lf_verbs[i].name);
        const char *found = offered(words);
        for (size_t k = 0; k < lf_n_keys; k++) {
            char name[128];
            snprintf(name, sizeof name, " --%s", lf_keys[k].name);
            const char *at = strstr(found, name);
            while (at && isgraph((unsigned char)at[strlen(name)])) at = strstr(at + 1, name);
            if (!(lf_keys[k].verbs & lf_verbs[i].knows) != !at)
                fail_msg("%s: --%s is %s", lf_verbs[i].name, lf_keys[k].name, at ? "offered" : "not offered");
        }
    }
}

static void test_other_shells(void **state) {
    (void)state;
    const char *zsh = printed(0, "%s/lora-ft help --completion zsh", LF_BUILD_DIR);
    assert_memory_equal(zsh, "#compdef lora-ft\n", 17);
    for (size_t k = 0; k < lf_n_keys; k++) {
        char name[128];
        snprintf(name, sizeof name, "'*--%s=[", lf_keys[k].name);
        assert_non_null(strstr(zsh, name));
    }
    printed(2, "%s/lora-ft help --completion fish 2>/dev/null", LF_BUILD_DIR);
    printed(2, "%s/lora-ft help --completion 2>/dev/null", LF_BUILD_DIR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_of_each_verb),
        cmocka_unit_test(test_bash_completes),
        cmocka_unit_test(test_other_shells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

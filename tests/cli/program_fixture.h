/* The program run in a folder of the test's own, as a user runs it, and what it said. */
#ifndef LF_TESTS_PROGRAM_FIXTURE_H
#define LF_TESTS_PROGRAM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "io/safetensors.h"

/* Whether this is a build with the address sanitizer: its programs take other memory and need its options. */
#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
enum { SANITIZED = __has_feature(address_sanitizer) };
#else
enum { SANITIZED = 0 };
#endif

static char root[] = "/tmp/lora-ft-test-XXXXXX";
static char output[1 << 16]; /* of the last command */

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *format, ...) { /* a few at a time */
    static char buffers[8][1024];
    static int next;
    char *b = buffers[next++ % 8];
    va_list args;
    va_start(args, format);
    vsnprintf(b, sizeof buffers[0], format, args);
    va_end(args);
    return b;
}

/* The last value of a member of metrics.jsonl. */
static inline double last_logged(const char *dir, const char *key) {
    char *lines;
    size_t size;
    lf_err err = {0};
    if (lf_file_read(&lines, &size, text("%s/%s/metrics.jsonl", root, dir), &err)) fail_msg("%s", err.message);
    const char *at = NULL, *next = lines;
    while ((next = strstr(next, text("\"%s\":", key)))) at = next += strlen(key) + 3;
    if (!at) fail_msg("%s/metrics.jsonl has no '%s'", dir, key);
    const double value = strtod(at, NULL);
    lf_free(lines);
    return value;
}

/* A shell command; its standard output goes to `output`. The exit code, or -1. */
static int run_shell(const char *command) {
    FILE *f = popen(command, "r");
    assert_non_null(f);
    const size_t n = fread(output, 1, sizeof output - 1, f);
    output[n] = 0;
    const int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif

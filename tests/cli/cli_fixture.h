/* Running the program as a user does, on a small ViT and pictures made here, in a folder of its own. */
#ifndef LF_TESTS_CLI_FIXTURE_H
#define LF_TESTS_CLI_FIXTURE_H

#include "cli/program_fixture.h"

#include "base/rng.h"

/* Runs "lora-ft <arguments>" in the test's folder; $M is the model. */
__attribute__((unused)) static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...) {
    char arguments[4096], command[6000];
    va_list args;
    va_start(args, format);
    vsnprintf(arguments, sizeof arguments, format, args);
    va_end(args);
    snprintf(command, sizeof command, "{ cd %s && M=%s/golden/vit-base && %s/lora-ft %s; } 2>&1", root, LF_TEST_DIR,
             LF_BUILD_DIR, arguments);
    return run_shell(command);
}

__attribute__((unused)) static void must(int code, int want) {
    if (code != want) fail_msg("exit code %d, expected %d; it said:\n%s", code, want, output);
}

__attribute__((unused)) static void said(const char *words) {
    if (!strstr(output, words)) fail_msg("expected '%s' in:\n%s", words, output);
}

/* ---- data: classes that differ in colour and stripes, as PPM pictures ---- */

static void write_picture(const char *path, int which, uint64_t stream) {
    const lf_rng_key key = lf_rng_make(7, LF_RNG_TEST, stream);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("P6\n16 16\n255\n", f);
    for (int i = 0; i < 16 * 16 * 3; i++) {
        const int x = i / 3 % 16, y = i / 48, c = i % 3;
        const int base = c == which % 3 ? 170 : 60, stripe = (which & 1 ? x : y) % (which + 2) == 0 ? 60 : 0;
        fputc(base + stripe + (int)lf_rng_below(key, (uint64_t)i, 24), f);
    }
    fclose(f);
}

static void write_folder(const char *name, const char *const *classes, int n_classes, int each, uint64_t stream) {
    for (int c = 0; c < n_classes; c++) {
        lf_err err = {0};
        assert_int_equal(lf_mkdir_p(text("%s/%s/%s", root, name, classes[c]), &err), LF_OK);
        for (int i = 0; i < each; i++) write_picture(text("%s/%s/%s/%02d.ppm", root, name, classes[c], i), c, stream++);
    }
}

static int setup(void **state) {
    (void)state;
    static const char *const letters[] = {"apple", "bee", "cat"};
    static const char *const own[] = {"LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"};
    if (!mkdtemp(root)) return 1;
    write_folder("data/train", letters, 3, 11, 0);
    write_folder("data/val", letters, 3, 5, 1000);
    write_folder("data/test", letters, 3, 4, 2000);
    write_folder("base", own, 5, 4, 3000);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    lf_err err = {0};
    return lf_remove_tree(root, &err) != LF_OK;
}

/* ---- looking at results ---- */

__attribute__((unused)) static char *contents(const char *path, size_t *size) {
    char *bytes;
    lf_err err = {0};
    if (lf_file_read(&bytes, size, text("%s/%s", root, path), &err)) fail_msg("%s", err.message);
    return bytes;
}

__attribute__((unused)) static void same_files(const char *a, const char *b) {
    size_t na, nb;
    char *x = contents(a, &na), *y = contents(b, &nb);
    const int same = na == nb && memcmp(x, y, na) == 0;
    lf_free(x);
    lf_free(y);
    if (!same) fail_msg("%s and %s differ", a, b);
}

__attribute__((unused)) static double result(const char *dir, const char *key) {
    cJSON *o;
    lf_err err = {0};
    if (lf_json_read(&o, text("%s/%s/all_results.json", root, dir), &err)) fail_msg("%s", err.message);
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNumber(v)) fail_msg("%s has no number '%s'", dir, key);
    const double d = v->valuedouble;
    cJSON_Delete(o);
    return d;
}

/* The n-th "loss" of metrics.jsonl. */
__attribute__((unused)) static double logged_loss(const char *dir, int n) {
    size_t size;
    char *lines = contents(text("%s/metrics.jsonl", dir), &size), *at = lines;
    double loss = NAN;
    for (int i = 0; at && i <= n; i++) {
        at = strstr(at, "\"loss\":");
        if (at) loss = strtod(at += 7, NULL);
    }
    lf_free(lines);
    assert_non_null(at);
    return loss;
}

#endif

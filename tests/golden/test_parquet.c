/* Parquet files of each encoding, codec, nesting and page version, as pyarrow and `datasets` write them
 * (scripts/make-parquet-goldens.py): every row is what pyarrow reads, in order, at random, from several threads and
 * with a cache that keeps nothing. And damaged files: an error, never another row. */
#define _GNU_SOURCE /* memfd_create, mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "parquet/parquet.h"

#define FOLDER LF_TEST_DIR "/golden/parquet/"

#define assert_ok(rc, err)                                                                                             \
    do {                                                                                                               \
        if (rc) fail_msg("%s", (err).message);                                                                         \
    } while (0)

/* ---- files and their rows ------------------------------------------------------------------------------------------
 */

static const struct file {
    const char *name, *rows;
} files[] = {
    {"flat-v1-none", "flat"},
    {"flat-v1-snappy", "flat"},
    {"flat-v1-gzip", "flat"},
    {"flat-v1-zstd", "flat"},
    {"flat-v2-none", "flat"},
    {"flat-v2-snappy", "flat"},
    {"flat-v2-gzip", "flat"},
    {"flat-v2-zstd", "flat"},
    {"types-v1", "types"},
    {"types-v2", "types"},
    {"types-v1-dictionary", "types"},
    {"types-v2-dictionary", "types"},
    {"nested-v1", "nested"},
    {"nested-v2", "nested"},
    {"nested-v1-dictionary", "nested"},
    {"nested-v2-dictionary", "nested"},
    {"encodings-v1", "encodings"},
    {"encodings-v2", "encodings"},
    {"fallback", "fallback"},
    {"one-page", "one-page"},
    {"legacy", "legacy"},
    {"small", "small"},
    {"odd", "odd"},
    {"empty", "empty"},
    {"hub", "hub"},
    {"chat", "chat"},
    {"arc", "arc"},
};

enum { N_FILES = sizeof files / sizeof *files };

typedef struct expected {
    char **lines; /* as this program prints them */
    int64_t n;
} expected;

static void read_expected(expected *e, const char *name) {
    char path[512], *text, *rest;
    size_t size, room = 0;
    snprintf(path, sizeof path, FOLDER "%s.jsonl", name);
    *e = (expected){0};
    assert_int_equal(lf_file_read(&text, &size, path, NULL), LF_OK);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *json;
        lf_err err = {0};
        assert_ok(lf_json_parse(&json, line, strlen(line), path, &err), err);
        assert_true(lf_grow_size(&e->lines, &room, (size_t)e->n + 1, sizeof *e->lines));
        e->lines[e->n++] = lf_json_print_line(json);
        cJSON_Delete(json);
    }
    lf_free(text);
}

static void free_expected(expected *e) {
    for (int64_t i = 0; i < e->n; i++) lf_free(e->lines[i]);
    lf_free(e->lines);
}

static lf_parquet *open_file(const char *name) {
    char path[512];
    lf_err err = {0};
    lf_parquet *p;
    snprintf(path, sizeof path, FOLDER "%s.parquet", name);
    assert_ok(lf_parquet_open(&p, path, &err), err);
    return p;
}

/* NULL, or what is wrong with row i; for threads, which must not fail a test. */
static char *compare_row(const lf_parquet *p, const expected *e, int64_t i) {
    cJSON *row = NULL;
    lf_err err = {0};
    if (lf_parquet_row(p, i, &row, &err)) return lf_strdup(err.message);
    char *line = lf_json_print_line(row), *wrong = NULL;
    if (strcmp(line, e->lines[i]) != 0)
        wrong = lf_format("row %lld\nexpected %s\nfound    %s", (long long)i, e->lines[i], line);
    lf_free(line);
    cJSON_Delete(row);
    return wrong;
}

static void check_row(const char *name, const lf_parquet *p, const expected *e, int64_t i) {
    char *wrong = compare_row(p, e, i);
    if (wrong) fail_msg("%s: %s", name, wrong);
}

static void test_all_rows(void **state) {
    (void)state;
    for (int f = 0; f < N_FILES; f++) {
        expected e;
        read_expected(&e, files[f].rows);
        lf_parquet *p = open_file(files[f].name);
        assert_int_equal(lf_parquet_rows(p), e.n);
        for (int64_t i = 0; i < e.n; i++) check_row(files[f].name, p, &e, i);
        const lf_rng_key key = lf_rng_make(1, LF_RNG_TEST, (uint64_t)f);
        for (uint64_t i = 0; e.n && i < 200; i++)
            check_row(files[f].name, p, &e, (int64_t)lf_rng_below(key, i, (uint64_t)e.n));
        lf_parquet_close(p);
        free_expected(&e);
    }
}

/* Nothing is kept that nobody uses: every row decodes its pages again. */
static void test_without_cache(void **state) {
    (void)state;
    const size_t before = lf_parquet_cache_limit(0);
    for (int f = 0; f < N_FILES; f++) {
        expected e;
        read_expected(&e, files[f].rows);
        lf_parquet *p = open_file(files[f].name);
        const int64_t opened = lf_alloc_live();
        for (int64_t i = e.n - 1; i >= 0; i -= 3) check_row(files[f].name, p, &e, i);
        const int64_t indexes = lf_alloc_live() - opened; /* of pages: they stay */
        for (int64_t i = e.n - 1; i >= 0; i -= 3) check_row(files[f].name, p, &e, i);
        assert_int_equal(lf_alloc_live(), opened + indexes);
        lf_parquet_close(p);
        free_expected(&e);
    }
    lf_parquet_cache_limit(before);
}

typedef struct job {
    const lf_parquet *p;
    const expected *e;
    uint64_t seed;
    char *wrong;
} job;

static void *work(void *argument) {
    job *j = argument;
    const lf_rng_key key = lf_rng_make(j->seed, LF_RNG_TEST, 0);
    for (uint64_t i = 0; i < 400 && !j->wrong; i++)
        j->wrong = compare_row(j->p, j->e, (int64_t)lf_rng_below(key, i, (uint64_t)j->e->n));
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    enum { THREADS = 4 };
    const size_t before = lf_parquet_cache_limit(20000); /* so that pages come and go */
    for (int f = 0; f < N_FILES; f++) {
        expected e;
        pthread_t threads[THREADS];
        job jobs[THREADS];
        read_expected(&e, files[f].rows);
        lf_parquet *p = open_file(files[f].name);
        for (int i = 0; e.n && i < THREADS; i++) {
            jobs[i] = (job){p, &e, (uint64_t)(10 * f + i), NULL};
            assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
        }
        for (int i = 0; e.n && i < THREADS; i++) pthread_join(threads[i], NULL);
        for (int i = 0; e.n && i < THREADS; i++)
            if (jobs[i].wrong) fail_msg("%s: %s", files[f].name, jobs[i].wrong);
        lf_parquet_close(p);
        free_expected(&e);
    }
    lf_parquet_cache_limit(before);
}

/* ---- columns -------------------------------------------------------------------------------------------------------
 */

static void test_columns_left_out(void **state) {
    (void)state;
    static const struct {
        const char *name, *left_out;
    } wanted[] = {
        {"text", NULL},
        {"binary", "it holds bytes"},
        {"date", "it holds dates; write them as text"},
        {"time", "it holds timestamps; write them as text"},
        {"decimal", "it holds decimals; write them as text or float64"},
        {"map", "it holds maps; write them as structs, or as lists of keys and of values"},
        {"in_list", "its 'list': its 'element': its 'when': it holds dates; write them as text"},
        {"label", NULL},
    };
    lf_parquet *p = open_file("odd");
    assert_int_equal(lf_parquet_columns(p), sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const lf_parquet_column *c = lf_parquet_column_at(p, (int64_t)i);
        assert_string_equal(c->name, wanted[i].name);
        if (wanted[i].left_out)
            assert_string_equal(c->left_out, wanted[i].left_out);
        else
            assert_null(c->left_out);
    }
    lf_parquet_close(p);
}

static void test_leaves(void **state) {
    (void)state;
    unsigned char *bytes;
    size_t n;
    int64_t number;
    bool is_null;
    lf_err err = {0};
    lf_parquet *p = open_file("odd");
    const int64_t binary = lf_parquet_leaf(p, "binary"), label = lf_parquet_leaf(p, "label");
    assert_true(lf_parquet_leaf_is_bytes(p, binary) && !lf_parquet_leaf_is_integer(p, binary));
    assert_true(lf_parquet_leaf_is_integer(p, label) && !lf_parquet_leaf_is_bytes(p, label));
    for (int64_t i = 0; i < lf_parquet_rows(p); i++) {
        assert_ok(lf_parquet_get_bytes(p, binary, i, &bytes, &n, &err), err);
        assert_int_equal(n, 2);
        assert_int_equal(bytes[0], i);
        assert_int_equal(bytes[1], 255);
        lf_free(bytes);
        assert_ok(lf_parquet_get_integer(p, label, i, &number, &is_null, &err), err);
        assert_true(!is_null && number == i);
    }
    assert_int_equal(lf_parquet_leaf(p, "in_list.list.element.n"), -1); /* in a list */
    assert_int_equal(lf_parquet_leaf(p, "labels"), -1);
    assert_int_equal(lf_parquet_leaf(p, "lab"), -1);
    assert_int_equal(lf_parquet_leaf(p, ""), -1);
    assert_false(lf_parquet_leaf_is_integer(p, lf_parquet_leaf(p, "date")));
    lf_parquet_close(p);
    p = open_file("flat-v2-zstd");
    const int64_t text = lf_parquet_leaf(p, "text");
    int64_t nulls = 0;
    for (int64_t i = 0; i < lf_parquet_rows(p); i++) {
        assert_ok(lf_parquet_get_bytes(p, text, i, &bytes, &n, &err), err);
        nulls += !bytes;
        lf_free(bytes);
    }
    assert_true(nulls > 0 && nulls < lf_parquet_rows(p));
    lf_parquet_close(p);
}

static void test_features(void **state) {
    (void)state;
    lf_parquet *p = open_file("hub");
    const cJSON *label = cJSON_GetObjectItemCaseSensitive(lf_parquet_features(p), "label");
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(label, "names");
    assert_int_equal(cJSON_GetArraySize(names), 2);
    assert_string_equal(cJSON_GetArrayItem(names, 1)->valuestring, "pos");
    lf_parquet_close(p);
    p = open_file("fallback");
    assert_null(lf_parquet_features(p));
    lf_parquet_close(p);
}

/* ---- what is wrong -------------------------------------------------------------------------------------------------
 */

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *path, *says;
        lf_status status;
    } cases[] = {
        {FOLDER "refused-brotli.parquet",
         "column 'text' is compressed by BROTLI, which is not read; write the file again", LF_EDATA},
        {FOLDER "refused-lz4.parquet", "column 'text' is compressed by LZ4", LF_EDATA},
        {FOLDER "flat.jsonl", "no Parquet file: it does not begin with 'PAR1'", LF_EDATA},
        {FOLDER "none.parquet", "none.parquet", LF_ENOTFOUND},
        {FOLDER, "expected a file", LF_EDATA},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_err err = {0};
        lf_parquet *p = NULL;
        assert_int_equal(lf_parquet_open(&p, cases[i].path, &err), cases[i].status);
        if (!strstr(err.message, cases[i].says)) fail_msg("'%s' does not say '%s'", err.message, cases[i].says);
        assert_null(p);
    }
}

/* A file in memory, by a path. */
static int put_bytes(char path[64], const void *bytes, size_t n) {
    const int fd = memfd_create("parquet", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void read_file(char **bytes, size_t *n, const char *name) {
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s.parquet", name);
    assert_int_equal(lf_file_read(bytes, n, path, NULL), LF_OK);
}

/* Reads what can be read, and returns how many rows could. */
static int64_t read_damaged(const char *path, lf_status *opened) {
    lf_parquet *p = NULL;
    lf_err err = {0};
    int64_t good = 0;
    *opened = lf_parquet_open(&p, path, &err);
    if (*opened) assert_true(*opened == LF_EDATA && err.message[0] && !strchr(err.message, '\n') && !p);
    for (int64_t i = 0; p && i < lf_parquet_rows(p) && i < 100; i++) {
        cJSON *row = NULL;
        lf_err row_err = {0};
        const lf_status rc = lf_parquet_row(p, i, &row, &row_err);
        if (rc) assert_true(rc == LF_EDATA && strstr(row_err.message, path) && !row);
        good += !rc;
        cJSON_Delete(row);
    }
    lf_parquet_close(p);
    return good;
}

static void test_cut_short(void **state) {
    (void)state;
    char *bytes, path[64];
    size_t n;
    read_file(&bytes, &n, "hub");
    const int64_t before = lf_alloc_live();
    for (size_t cut = 0; cut < n; cut++) {
        lf_status opened;
        const int fd = put_bytes(path, bytes, cut);
        read_damaged(path, &opened);
        assert_int_equal(opened, LF_EDATA);
        close(fd);
    }
    assert_int_equal(lf_alloc_live(), before);
    lf_free(bytes);
}

/* Every byte of the file is another one: an error or other values, but no crash, no leak and no endless loop. With a
 * checksum in the pages no row of a damaged page is read. */
static void test_changed_bytes(void **state) {
    (void)state;
    static const char *const names[] = {"hub", "flat-v2-none", "legacy", "encodings-v1", "types-v1-dictionary"};
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        char *bytes, path[64];
        size_t n;
        read_file(&bytes, &n, names[f]);
        const int64_t before = lf_alloc_live();
        const size_t step = n / 1500 + 1;
        for (size_t at = 0; at < n; at += step) {
            lf_status opened;
            const char was = bytes[at];
            bytes[at] = (char)(at % 3 == 0 ? 0 : at % 3 == 1 ? 0xff : was ^ 1 << at % 8);
            const int fd = put_bytes(path, bytes, n);
            read_damaged(path, &opened);
            close(fd);
            bytes[at] = was;
        }
        assert_int_equal(lf_alloc_live(), before);
        lf_free(bytes);
    }
}

static void test_checksum(void **state) {
    (void)state;
    char *bytes, path[64];
    size_t n;
    lf_status opened;
    read_file(&bytes, &n, "types-v1-dictionary");
    bytes[100] ^= 1; /* in the first column's pages */
    const int fd = put_bytes(path, bytes, n);
    assert_int_equal(read_damaged(path, &opened), 42 - 25); /* the first row group is lost */
    assert_int_equal(opened, LF_OK);
    close(fd);
    lf_free(bytes);
}

/* ---- memory --------------------------------------------------------------------------------------------------------
 */

static void test_failing_allocations(void **state) {
    (void)state;
    static const char *const names[] = {"hub", "nested-v1", "encodings-v2", "types-v2-dictionary"};
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        char path[512];
        snprintf(path, sizeof path, FOLDER "%s.parquet", names[f]);
        const int64_t before = lf_alloc_live();
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k += 1 + k / 40) {
            lf_err err = {0};
            lf_parquet *p = NULL;
            cJSON *row = NULL;
            lf_alloc_fail_after(k);
            rc = lf_parquet_open(&p, path, &err);
            if (!rc) rc = lf_parquet_row(p, lf_parquet_rows(p) - 1, &row, &err);
            lf_alloc_fail_after(-1);
            if (rc && rc != LF_ENOMEM) fail_msg("%s after %lld: %s", names[f], (long long)k, err.message);
            cJSON_Delete(row);
            lf_parquet_close(p);
            assert_int_equal(lf_alloc_live(), before);
        }
    }
}

static int nothing_leaks(void **state) {
    (void)state;
    lf_alloc_fail_after(-1);
    return lf_alloc_live() == 0 ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_all_rows, nothing_leaks),
        cmocka_unit_test_teardown(test_without_cache, nothing_leaks),
        cmocka_unit_test_teardown(test_threads, nothing_leaks),
        cmocka_unit_test_teardown(test_columns_left_out, nothing_leaks),
        cmocka_unit_test_teardown(test_leaves, nothing_leaks),
        cmocka_unit_test_teardown(test_features, nothing_leaks),
        cmocka_unit_test_teardown(test_refused, nothing_leaks),
        cmocka_unit_test_teardown(test_cut_short, nothing_leaks),
        cmocka_unit_test_teardown(test_changed_bytes, nothing_leaks),
        cmocka_unit_test_teardown(test_checksum, nothing_leaks),
        cmocka_unit_test_teardown(test_failing_allocations, nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

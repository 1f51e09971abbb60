/* Decompositions kept on disk: the same bytes with them and without, and no file can do harm. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/adapter_fixture.h"

static char folder[] = "/tmp/lora-ft-decompositions-XXXXXX"; /* each test's own, empty */
static char cache[sizeof folder + 8];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/lora-ft-decompositions-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(cache, sizeof cache, "%s/a/b", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    lf_err err = {0};
    return lf_remove_tree(folder, &err) || lf_alloc_live() != 0;
}

/* ---- what is written to stderr ---- */

static FILE *caught;
static int stderr_copy;

static void catch_stderr(void) {
    caught = tmpfile();
    fflush(stderr);
    stderr_copy = dup(STDERR_FILENO);
    assert_true(caught && stderr_copy >= 0 && dup2(fileno(caught), STDERR_FILENO) >= 0);
    lf_log_set_level(LF_LOG_INFO);
}

/* How often `word` was written since catch_stderr. */
static int n_caught(const char *word) {
    char line[2048];
    int n = 0;
    fflush(stderr);
    assert_true(dup2(stderr_copy, STDERR_FILENO) >= 0);
    close(stderr_copy);
    lf_log_set_level(LF_LOG_QUIET);
    rewind(caught);
    while (fgets(line, sizeof line, caught)) n += strstr(line, word) != NULL;
    fclose(caught);
    return n;
}

/* ---- starts of a whole model ---- */

typedef struct begun {
    float numbers[3 * 5 * 4 * (FIXTURE_C + FIXTURE_I)]; /* more than A0 and B0 of all modules at r 4 */
    size_t count;
} begun;

static begun start_model(const char *init, lf_position position, int64_t r, uint64_t seed, const char *where) {
    lf_nn nn;
    lf_adapter *a = NULL;
    fixture_new(&nn);
    cJSON *targets = cJSON_CreateString("all-linear");
    const lf_adapter_opts o = {.r = r,
                               .lora_alpha = 4,
                               .target_modules = targets,
                               .init = init,
                               .position = position,
                               .seed = seed,
                               .decomposition_cache = where};
    CHECK_OK(lf_adapter_new(&a, &nn, &o, &err_));
    begun b = {.count = 0};
    for (int64_t i = 0; i < lf_adapter_count(a); i++) {
        const lf_lora *l = lf_adapter_module(a, i)->lora;
        const lf_tensor *const factors[] = {&l->A, &l->B};
        for (int k = 0; k < 2; k++) {
            const size_t n = (size_t)factors[k]->numel;
            assert_true(b.count + n <= sizeof b.numbers / sizeof *b.numbers);
            memcpy(b.numbers + b.count, factors[k]->data, n * sizeof(float));
            b.count += n;
        }
    }
    lf_adapter_free(a);
    lf_nn_free(&nn);
    cJSON_Delete(targets);
    return b;
}

static bool same(const begun *a, const begun *b) {
    return a->count == b->count && memcmp(a->numbers, b->numbers, a->count * sizeof(float)) == 0;
}

static size_t n_files(const char *path) {
    char **names;
    size_t n;
    CHECK_OK(lf_list_dir(&names, &n, path, &err_));
    lf_free(names);
    return n;
}

static const struct {
    const char *init;
    lf_position position;
    int64_t r;
    uint64_t seed;
} starts[] = {
    {"pissa", {LF_POSITION_FRACTION, 0.5}, 2, 1},         {"pissa", {LF_POSITION_FRACTION, 0.5}, 3, 1},
    {"milora", {LF_POSITION_FRACTION, 0.5}, 2, 1},        {"intermediate", {LF_POSITION_FRACTION, 0.5}, 2, 1},
    {"intermediate", {LF_POSITION_INDEX, 3}, 2, 1},       {"intermediate", {LF_POSITION_ENERGY, 0.9}, 2, 1},
    {"slice_eqmag", {LF_POSITION_FRACTION, 0.5}, 2, 1},   {"slice_random", {LF_POSITION_FRACTION, 0.5}, 2, 1},
    {"slice_random", {LF_POSITION_FRACTION, 0.5}, 2, 2},  {"pissa_niter_1", {LF_POSITION_FRACTION, 0.5}, 2, 1},
    {"pissa_niter_1", {LF_POSITION_FRACTION, 0.5}, 2, 2}, {"pissa_niter_2", {LF_POSITION_FRACTION, 0.5}, 2, 1},
};
enum { N_STARTS = sizeof starts / sizeof starts[0] };

static begun start_number(size_t i, const char *where) {
    return start_model(starts[i].init, starts[i].position, starts[i].r, starts[i].seed, where);
}

/* All starts share one folder, so that one which took another's file would be seen. (At this size a randomized start is
 * exact, so its files are counted instead.) */
static void test_same_bytes(void **state) {
    (void)state;
    const size_t n_modules = 3 * 5, first_with_own_files = 7;
    begun *without = test_calloc(N_STARTS, sizeof *without);
    for (size_t i = 0; i < N_STARTS; i++) {
        without[i] = start_number(i, i % 2 ? NULL : "none");
        for (size_t k = 0; k < i && i < 9; k++)
            if (same(&without[i], &without[k])) fail_msg("starts %zu and %zu are the same", k, i);
    }
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < N_STARTS; i++) {
            const size_t before = lf_is_dir(cache) ? n_files(cache) : 0;
            const begun with = start_number(i, cache);
            if (!same(&with, &without[i])) fail_msg("pass %d, start %zu: other bytes", pass, i);
            if (pass == 1 || i >= first_with_own_files)
                assert_int_equal(n_files(cache) - before, pass == 0 ? n_modules : 0);
        }
    test_free(without);
}

static void test_is_read(void **state) {
    (void)state;
    const size_t pissa = 0, middle = 3, energy = 5, equal = 6, n_modules = 3 * 5;
    catch_stderr();
    start_number(pissa, cache);
    assert_int_equal(n_caught("decompositions of"), 0);
    assert_int_equal(n_files(cache), n_modules);
    catch_stderr();
    start_number(pissa, cache);
    assert_int_equal(n_caught("with 15 decompositions of"), 1);
    assert_int_equal(n_files(cache), n_modules);
    start_number(energy, cache); /* its singular values and the next one's blocks serve slice_eqmag too */
    start_number(middle, cache);
    catch_stderr();
    start_number(equal, cache);
    assert_int_equal(n_caught("with 30 decompositions of"), 1);
    catch_stderr();
    start_model("kaiming", (lf_position){0}, 2, 1, cache); /* has none */
    assert_int_equal(n_caught("decompositions"), 0);
}

static void edit_all(const char *path, int (*edit)(const char *file)) {
    char **names;
    size_t n;
    CHECK_OK(lf_list_dir(&names, &n, path, &err_));
    for (size_t i = 0; i < n; i++) {
        char *file = lf_path_join(path, names[i]);
        assert_int_equal(edit(file), 0);
        lf_free(file);
    }
    lf_free(names);
}

static int cut(const char *file) {
    struct stat st;
    return stat(file, &st) || truncate(file, st.st_size - 1);
}

static int make_empty(const char *file) { return truncate(file, 0); }

static int flip_in_the_middle(const char *file) {
    char *bytes = NULL;
    size_t size;
    CHECK_OK(lf_file_read(&bytes, &size, file, &err_));
    bytes[size * 3 / 4] ^= 4;
    CHECK_OK(lf_file_write(file, bytes, size, &err_));
    lf_free(bytes);
    return 0;
}

static void test_damaged_files_are_replaced(void **state) {
    (void)state;
    int (*const edits[])(const char *) = {cut, make_empty, flip_in_the_middle};
    const begun expected = start_number(3, NULL);
    start_number(3, cache);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        edit_all(cache, edits[i]);
        catch_stderr();
        begun again = start_number(3, cache);
        assert_int_equal(n_caught("it is computed again"), 15);
        assert_true(same(&again, &expected));
        catch_stderr();
        again = start_number(3, cache);
        assert_int_equal(n_caught("warning"), 0);
        assert_true(same(&again, &expected));
    }
}

static void test_folders_that_cannot_be_used(void **state) {
    (void)state;
    char file[sizeof cache + 8], below[sizeof cache + 16];
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(below, sizeof below, "%s/file/folder", folder);
    CHECK_OK(lf_file_write(file, "x", 1, &err_));
    const begun expected = start_number(0, NULL);
    const char *const useless[] = {file, below};
    for (int i = 0; i < 2; i++) {
        catch_stderr();
        const begun b = start_number(0, useless[i]);
        assert_int_equal(n_caught("going on without it"), 1);
        assert_true(same(&b, &expected));
    }
}

static void test_auto(void **state) {
    (void)state;
    char below[sizeof cache + 64];
    assert_int_equal(setenv("HOME", folder, 1), 0);
    assert_int_equal(unsetenv("XDG_CACHE_HOME"), 0);
    start_number(0, "auto");
    snprintf(below, sizeof below, "%s/.cache/lora-ft/decompositions", folder);
    assert_int_equal(n_files(below), 15);
    assert_int_equal(setenv("XDG_CACHE_HOME", cache, 1), 0);
    start_number(0, "auto");
    snprintf(below, sizeof below, "%s/lora-ft/decompositions", cache);
    assert_int_equal(n_files(below), 15);
    assert_int_equal(setenv("XDG_CACHE_HOME", "relative", 1), 0); /* to be ignored */
    static const char *const homes[] = {NULL, "", "relative"};
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        assert_int_equal(homes[i] ? setenv("HOME", homes[i], 1) : unsetenv("HOME"), 0);
        catch_stderr();
        start_number(0, "auto");
        assert_int_equal(n_caught("neither XDG_CACHE_HOME nor HOME is a folder; going on without it"), 1);
    }
}

/* ---- single files ---- */

enum { OUT = 5, IN = 3, R = 2 };
typedef struct result {
    double U[OUT * R], sigma[R];
} result;

static result some_result(void) {
    result x;
    for (int i = 0; i < OUT * R; i++) x.U[i] = (double)fixture_random(1, i);
    for (int i = 0; i < R; i++) x.sigma[i] = (double)fixture_random(2, i);
    return x;
}

static bool read_result(const lf_stored_weight *w, const char *what, result *x) {
    memset(x, 0, sizeof *x);
    const lf_stored_part parts[] = {{"U", x->U, OUT, R, LF_F64}, {"sigma", x->sigma, 1, R, LF_F64}};
    return lf_decompositions_read(w, what, parts, 2);
}

static void write_result(const lf_stored_weight *w, const char *what, result x) {
    const lf_stored_part parts[] = {{"U", x.U, OUT, R, LF_F64}, {"sigma", x.sigma, 1, R, LF_F64}};
    lf_decompositions_write(w, what, parts, 2);
}

static lf_decompositions *opened(void) {
    lf_decompositions *c = NULL;
    CHECK_OK(lf_decompositions_open(&c, cache, &err_));
    assert_non_null(c);
    return c;
}

static char *only_file(void) {
    char **names;
    size_t n;
    CHECK_OK(lf_list_dir(&names, &n, cache, &err_));
    assert_int_equal(n, 1);
    char *path = lf_path_join(cache, names[0]);
    lf_free(names);
    return path;
}

static void test_only_its_own_result(void **state) {
    (void)state;
    float W[OUT * IN] = {1, 2, 3, 4, 5}, other[OUT * IN] = {1, 2, 3, 4, -5};
    lf_decompositions *c = opened();
    const lf_stored_weight w = lf_decompositions_weight(c, W, OUT, IN);
    const lf_stored_weight weights[] = {lf_decompositions_weight(c, other, OUT, IN),
                                        lf_decompositions_weight(c, W, IN, OUT),
                                        lf_decompositions_weight(NULL, W, OUT, IN)};
    result x;
    write_result(&w, "block-r2-s1", some_result());
    assert_true(read_result(&w, "block-r2-s1", &x));
    for (int i = 0; i < 3; i++) assert_false(read_result(&weights[i], "block-r2-s1", &x));
    assert_false(read_result(&w, "block-r2-s2", &x));
    /* a file under another's name is not taken for it */
    char *file = only_file(), *renamed = lf_strdup(file);
    memcpy(strstr(renamed, "r2-s1"), "r2-s2", 5);
    assert_int_equal(rename(file, renamed), 0);
    assert_false(read_result(&w, "block-r2-s2", &x));
    lf_free(file);
    lf_free(renamed);
    lf_decompositions_close(c);
}

/* Whatever byte changes, and wherever the file ends, the result is refused or is right. */
static void test_every_byte(void **state) {
    (void)state;
    const float W[OUT * IN] = {1, 2, 3};
    lf_decompositions *c = opened();
    const lf_stored_weight w = lf_decompositions_weight(c, W, OUT, IN);
    const result expected = some_result();
    result x;
    write_result(&w, "values", expected);
    char *file = only_file(), *bytes = NULL;
    size_t size;
    CHECK_OK(lf_file_read(&bytes, &size, file, &err_));
    FILE *f = fopen(file, "r+b");
    assert_non_null(f);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit += 3) {
            assert_true(fseek(f, (long)i, SEEK_SET) == 0 && fputc(bytes[i] ^ 1 << bit, f) != EOF && fflush(f) == 0);
            if (read_result(&w, "values", &x)) assert_memory_equal(&x, &expected, sizeof x);
            if (i + sizeof expected >= size) assert_false(read_result(&w, "values", &x)); /* a number */
        }
        assert_true(fseek(f, (long)i, SEEK_SET) == 0 && fputc(bytes[i], f) != EOF && fflush(f) == 0);
    }
    fclose(f);
    assert_true(read_result(&w, "values", &x));
    for (size_t i = size; i-- > 0;) {
        assert_int_equal(truncate(file, (off_t)i), 0);
        assert_false(read_result(&w, "values", &x));
    }
    lf_free(bytes);
    lf_free(file);
    lf_decompositions_close(c);
}

static void test_a_folder_that_vanishes(void **state) {
    (void)state;
    const float W[OUT * IN] = {1, 2, 3};
    lf_decompositions *c = opened();
    const lf_stored_weight w = lf_decompositions_weight(c, W, OUT, IN);
    result x;
    CHECK_OK(lf_remove_tree(cache, &err_));
    catch_stderr();
    for (int i = 0; i < 3; i++) {
        assert_false(read_result(&w, "values", &x));
        write_result(&w, "values", some_result());
    }
    assert_int_equal(n_caught("going on without it"), 1);
    lf_decompositions_close(c);
}

/* Without memory nothing is read or written, and a start is the same or fails. */
static void test_failing_allocations(void **state) {
    (void)state;
    float W[12 * 9], A[2][3 * 9], B[2][12 * 3];
    for (int i = 0; i < 12 * 9; i++) W[i] = fixture_random(3, i);
    lf_init_input in = {.name = "m",
                        .W = W,
                        .out = 12,
                        .in = 9,
                        .r = 3,
                        .scaling = 1,
                        .init = "intermediate",
                        .position = {LF_POSITION_ENERGY, 0.5}};
    lf_init_report report;
    CHECK_OK(lf_init_find(in.init)->fill(&in, A[0], B[0], &report, &err_));
    for (int warm = 0; warm < 2; warm++) {
        int64_t failures = 0;
        for (bool all_done = false; !all_done; failures++) {
            lf_err err = {0};
            lf_decompositions *c = NULL;
            if (!warm) CHECK_OK(lf_remove_tree(cache, &err_));
            lf_alloc_fail_after(failures);
            lf_status rc = lf_decompositions_open(&c, cache, &err);
            if (!rc) {
                in.stored = lf_decompositions_weight(c, W, in.out, in.in);
                rc = lf_init_find(in.init)->fill(&in, A[1], B[1], &report, &err);
            }
            lf_alloc_fail_after(-1);
            if (rc)
                assert_int_equal(rc, LF_ENOMEM);
            else
                assert_true(memcmp(A[0], A[1], sizeof A[0]) == 0 && memcmp(B[0], B[1], sizeof B[0]) == 0);
            all_done = !rc && (warm ? lf_decompositions_n_read(c) == 2 : n_files(cache) == 2);
            lf_decompositions_close(c);
            assert_int_equal(lf_alloc_live(), 0);
        }
        assert_true(failures > 10);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void) {
    lf_log_set_level(LF_LOG_QUIET);
    const struct CMUnitTest tests[] = {
        TEST(test_same_bytes),
        TEST(test_is_read),
        TEST(test_damaged_files_are_replaced),
        TEST(test_folders_that_cannot_be_used),
        TEST(test_auto),
        TEST(test_only_its_own_result),
        TEST(test_every_byte),
        TEST(test_a_folder_that_vanishes),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

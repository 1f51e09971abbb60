/* The check of a data set's pictures: which are damaged, whoever looks and however many. */
#define _POSIX_C_SOURCE 200809L
#include "data_fixture.h"

#include "data/image/check.h"
#include "data/image/internal.h"

enum { PICTURES = 70 };

static void open_set(lf_dataset **d, const char *name, int64_t max_samples) {
    lf_err err = {0};
    cJSON *spec = cJSON_CreateString(in_scratch(name));
    const lf_dataset_opts opts = {.spec = spec, .key = "train_data", .max_samples = max_samples, .seed = 3};
    assert_ok(lf_dataset_open(d, &opts, &err), err);
    cJSON_Delete(spec);
}

/* Two classes; each picture whose number is among `damaged` is text. */
static void put_set(const char *set, const int *damaged, int n_damaged) {
    for (int i = 0; i < PICTURES; i++) {
        char name[64];
        bool bad = false;
        for (int k = 0; k < n_damaged; k++) bad = bad || damaged[k] == i;
        snprintf(name, sizeof name, "%s/%c/%02d.pgm", set, i < PICTURES / 2 ? 'a' : 'b', i);
        if (bad)
            put_bytes(name, "text", 4);
        else
            put_picture(name, 3, 2, (unsigned char)i);
    }
}

static void test_what_is_damaged(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int damaged[20], n;
        const char *first, *last; /* among the names */
    } cases[] = {
        {"whole", {0}, 0, "", ""},
        {"first", {0}, 1, "/a/00.pgm'", "/a/00.pgm'"},
        {"last", {PICTURES - 1}, 1, "/b/69.pgm'", "/b/69.pgm'"},
        {"edges", {15, 16, 31, 32}, 4, "/a/15.pgm'", NULL},
        {"many", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49}, 20, "/a/01.pgm'", "..."}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        lf_dataset *d;
        put_set(cases[c].name, cases[c].damaged, cases[c].n);
        open_set(&d, cases[c].name, 0);
        lf_checked one = {0};
        for (int workers = 1; workers <= 9; workers += 4)
            for (int decode = 0; decode < 2; decode++) {
                lf_checked found;
                lf_err err = {0};
                const lf_check_opts o = {.workers = workers, .decode = decode};
                assert_ok(lf_dataset_check(&found, d, &o, &err), err);
                assert_int_equal(found.pictures, PICTURES);
                assert_int_equal(found.damaged, cases[c].n);
                if (!one.pictures) one = found;
                assert_string_equal(found.names, one.names);
                assert_string_equal(found.first.message, one.first.message);
            }
        if (!strstr(one.names, cases[c].first)) fail_msg("%s", one.names);
        if (cases[c].last && !strstr(one.names, cases[c].last)) fail_msg("%s", one.names);
        if (cases[c].n && !strstr(one.first.message, "not a picture that can be decoded"))
            fail_msg("%s", one.first.message);
        lf_dataset_free(d);
    }
}

/* A split is checked whole, whichever part is asked; a sample is checked alone, and is another question. */
static void test_parts(void **state) {
    (void)state;
    lf_dataset *all, *held, *sample, *other;
    lf_err err = {0};
    lf_checked found;
    const lf_check_opts o = {.workers = 2, .decode = true};
    char whole[160], part[160], rest[160], few[160], looser[160];
    put_set("parts", NULL, 0);
    open_set(&all, "parts", 0);
    lf_dataset_check_identity(all, true, whole, sizeof whole);
    lf_dataset_check_identity(all, false, looser, sizeof looser);
    assert_ok(lf_dataset_split(all, 0.2, 1, &held, &err), err);
    lf_dataset_check_identity(all, true, rest, sizeof rest);
    lf_dataset_check_identity(held, true, part, sizeof part);
    assert_string_equal(whole, rest);
    assert_string_equal(whole, part);
    assert_string_not_equal(whole, looser);
    assert_ok(lf_dataset_check(&found, held, &o, &err), err);
    assert_int_equal(found.pictures, PICTURES);
    open_set(&sample, "parts", 12);
    lf_dataset_check_identity(sample, true, few, sizeof few);
    assert_string_not_equal(whole, few);
    assert_ok(lf_dataset_check(&found, sample, &o, &err), err);
    assert_int_equal(found.pictures, 12);
    assert_ok(lf_dataset_split(sample, 0.5, 1, &other, &err), err);
    lf_dataset_check_identity(other, true, part, sizeof part);
    assert_string_not_equal(few, part);
    lf_dataset_free(all);
    lf_dataset_free(held);
    lf_dataset_free(sample);
    lf_dataset_free(other);
}

static void test_a_missing_file_is_no_damage(void **state) {
    (void)state;
    lf_dataset *d;
    lf_err err = {0};
    lf_checked found;
    const lf_check_opts o = {.workers = 3, .decode = true};
    put_set("gone", NULL, 0);
    open_set(&d, "gone", 0);
    assert_int_equal(remove(in_scratch("gone/b/50.pgm")), 0);
    assert_says(lf_dataset_check(&found, d, &o, &err), LF_ENOTFOUND, err, "gone/b/50.pgm");
    lf_dataset_free(d);
}

/* Every golden file is whole by what it says of itself; a half of one is not, unless its first picture is. */
static void test_containers(void **state) {
    (void)state;
    int refused = 0, halves = 0;
    for (int64_t i = 0; i < lf_safetensors_count(golden); i++) {
        const lf_st_tensor *t = lf_safetensors_at(golden, i);
        if (strncmp(t->name, "file.", 5)) continue;
        const char *name = t->name + 5;
        lf_err err = {0};
        lf_image img = {0};
        assert_ok(lf_image_check_container(t->data, t->size, name, &err), err);
        const lf_status rc = lf_image_check_container(t->data, t->size / 2, name, NULL);
        assert_true(rc == LF_OK || rc == LF_EDATA);
        if (!rc && lf_image_decode(&img, t->data, t->size / 2, name, NULL) && strncmp(name, "plain-", 6))
            fail_msg("half of %s passes, and cannot be decoded", name);
        lf_image_free(&img);
        refused += rc != LF_OK;
        halves++;
    }
    assert_true(halves > 100 && refused > halves * 9 / 10);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const int damaged[] = {5};
    lf_dataset *d;
    put_set("poor", damaged, 1);
    open_set(&d, "poor", 0);
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    for (int64_t k = 0; rc; k++) {
        lf_checked found;
        const lf_check_opts o = {.workers = 1, .decode = true};
        lf_alloc_fail_after(k);
        rc = lf_dataset_check(&found, d, &o, NULL);
        lf_alloc_fail_after(-1);
        assert_true(rc == LF_OK || rc == LF_ENOMEM);
        assert_int_equal(lf_alloc_live(), live);
    }
    lf_dataset_free(d);
}

static int begin(void **state) {
    return scratch_make(state) || lf_safetensors_open(&golden, LF_TEST_DIR "/golden/pictures.safetensors", NULL) ? -1
                                                                                                                 : 0;
}

static int end(void **state) {
    golden_close(state);
    return scratch_remove(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_damaged),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_a_missing_file_is_no_damage),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

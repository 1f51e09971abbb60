/* The verb preview on pictures: the first of the first epoch, their labels, and a sheet that can be read. */
#define _XOPEN_SOURCE 700
#include "cli/cli_fixture.h"

#include "data/image/image.h"

static cJSON *preview(const char *flags) {
    must(run("preview --model $M --train_data data/train %s --json", flags), 0);
    cJSON *o = cJSON_Parse(strstr(output, "{\"records"));
    if (!o) fail_msg("it printed: %s", output);
    return o;
}

static void test_first_pictures_of_training(void **state) {
    (void)state;
    cJSON *o = preview("--sheet sheet.png");
    const cJSON *records = cJSON_GetObjectItem(o, "records"), *r,
                *classes = cJSON_GetObjectItem(cJSON_GetObjectItem(o, "counts"), "classes");
    assert_int_equal(cJSON_GetArraySize(records), 16);
    int kinds = 0;
    for (const cJSON *c = classes->child; c; c = c->next) {
        bool seen = false;
        assert_true(c->valuedouble == 11);
        cJSON_ArrayForEach(r, records) {
            const char *label = cJSON_GetStringValue(cJSON_GetObjectItem(r, "label")),
                       *name = cJSON_GetStringValue(cJSON_GetObjectItem(r, "name"));
            if (!strstr(name, text("/%s/", label))) fail_msg("%s is said to be %s", name, label);
            seen = seen || strcmp(label, c->string) == 0;
        }
        kinds += seen;
    }
    assert_int_equal(kinds, 3); /* shuffled, as training does */
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(o, "sheet")), "sheet.png");
    cJSON_Delete(o);
    lf_image img;
    lf_err err = {0};
    if (lf_image_load(&img, text("%s/sheet.png", root), &err)) fail_msg("%s", err.message);
    lf_image_free(&img);
}

/* Another seed draws others; the same seed the same, and augmentation changes the pictures, not which they are. */
static void test_seed_and_augmentation(void **state) {
    (void)state;
    cJSON *a = preview("--n 5 --sheet a.png"), *b = preview("--n 5 --sheet b.png"),
          *c = preview("--n 5 --sheet c.png --augmentation random_resized_crop_flip"),
          *d = preview("--n 5 --sheet d.png --seed 5");
    same_files("a.png", "b.png");
    bool same;
    assert_true(lf_json_same(&same, cJSON_GetObjectItem(a, "records"), cJSON_GetObjectItem(c, "records")) && same);
    assert_true(lf_json_same(&same, cJSON_GetObjectItem(a, "records"), cJSON_GetObjectItem(d, "records")) && !same);
    size_t n, m;
    char *x = contents("a.png", &n), *y = contents("c.png", &m);
    assert_true(n != m || memcmp(x, y, n) != 0);
    lf_free(x);
    lf_free(y);
    cJSON_Delete(a);
    cJSON_Delete(b);
    cJSON_Delete(c);
    cJSON_Delete(d);
}

/* A picture that is left out leaves no hole; one that is not ends it, and writes no sheet. */
static void test_bad_pictures(void **state) {
    (void)state;
    lf_err err = {0};
    assert_int_equal(lf_mkdir_p(text("%s/bad/bee", root), &err), LF_OK);
    assert_int_equal(lf_file_write(text("%s/bad/bee/no.ppm", root), "P6\n16", 5, &err), LF_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(lf_copy_file(text("%s/data/train/bee/%02d.ppm", root, i), text("%s/bad/bee", root),
                                      text("%d.ppm", i), &err),
                         LF_OK);
    must(run("preview --model $M --train_data bad --sheet none.png"), 3);
    assert_non_null(strstr(output, "no.ppm"));
    assert_false(lf_is_file(text("%s/none.png", root)));
    must(run("preview --model $M --train_data bad --sheet some.png --skip_bad_images"), 0);
    for (int i = 0; i < 3; i++) assert_non_null(strstr(output, text("/bee/%d.ppm", i)));
    assert_true(lf_is_file(text("%s/some.png", root)));
}

static void test_dry_run_counts_classes(void **state) {
    (void)state;
    must(run("train --model $M --train_data data/train --output_dir none --dry_run"), 0);
    assert_non_null(strstr(output, "train_data: records 33; apple 11, bee 11, cat 11"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_pictures_of_training),
        cmocka_unit_test(test_seed_and_augmentation),
        cmocka_unit_test(test_bad_pictures),
        cmocka_unit_test(test_dry_run_counts_classes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

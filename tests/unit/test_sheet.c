/* Contact sheets: the levels that went into a model come back exactly, and captions stay below their pictures. */
#define _XOPEN_SOURCE 700
#include "data_fixture.h"

#include "data/image/sheet.h"

enum { SIDE = 16 };

static char path[] = "/tmp/lora-ft-sheet-XXXXXX";

static lf_image_processor processor(int channels, bool rescale, bool normalize) {
    lf_image_processor p;
    lf_image_processor_default(&p, SIDE, SIDE, channels);
    p.do_rescale = rescale;
    p.do_normalize = normalize;
    p.mean[0] = 0.485;
    p.mean[1] = 0.456;
    p.mean[2] = 0.406;
    p.std[0] = 0.229;
    p.std[1] = 0.224;
    p.std[2] = 0.225;
    return p;
}

/* Every level once in each channel, in another order in each. */
static lf_image all_levels(int channels) {
    lf_image img = {SIDE, SIDE, channels, lf_malloc((size_t)(SIDE * SIDE * channels))};
    assert_non_null(img.pixels);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < channels; c++) img.pixels[i * channels + c] = (unsigned char)(i * (2 * c + 1));
    return img;
}

/* Where the picture number i of n begins in the sheet, from the sheet's own size: columns are as many as rows, or one
 * more. */
static void check(int channels, bool rescale, bool normalize, int64_t n) {
    const lf_image_processor p = processor(channels, rescale, normalize);
    const lf_rng_key key = lf_rng_make(1, LF_RNG_TEST, 0);
    lf_image img = all_levels(channels), drawn;
    float *floats = lf_malloc((size_t)(SIDE * SIDE * channels) * sizeof *floats);
    lf_sheet *s;
    lf_err err = {0};
    assert_ok(lf_image_process(floats, &img, &p, LF_AUG_NONE, key, 0, &err), err);
    assert_ok(lf_sheet_new(&s, n, &p, &err), err);
    for (int64_t i = 0; i < n; i++)
        lf_sheet_put(s, floats, "W\xc3\xa9\n a caption that is much too long for one picture");
    assert_ok(lf_sheet_write(s, path, &err), err);
    lf_sheet_free(s);
    assert_ok(lf_image_load(&drawn, path, &err), err);
    int64_t columns = 1;
    while (columns * columns < n) columns++;
    const int zoom = 6, cell = SIDE * zoom + 8;
    assert_int_equal(drawn.width, 8 + columns * cell);
    for (int64_t i = 0; i < n; i++)
        for (int y = 0; y < SIDE * zoom; y++)
            for (int x = 0; x < SIDE * zoom; x++)
                for (int c = 0; c < 3; c++) {
                    const int64_t at_y = 8 + i / columns * (cell + 24) + y, at_x = 8 + i % columns * cell + x;
                    const int from = (y / zoom * SIDE + x / zoom) * channels + (channels == 3 ? c : 0);
                    assert_int_equal(drawn.pixels[(at_y * drawn.width + at_x) * 3 + c], img.pixels[from]);
                }
    int ink = 0;
    for (int x = 0; x < drawn.width; x++)
        for (int y = 8 + SIDE * zoom; y < 8 + SIDE * zoom + 24; y++)
            ink += drawn.pixels[(y * drawn.width + x) * 3] < 100;
    assert_in_range(ink, 50, 2000);
    lf_image_free(&drawn);
    lf_image_free(&img);
    lf_free(floats);
}

static void test_levels_come_back(void **state) {
    (void)state;
    check(3, true, true, 1);
    check(3, true, false, 2);
    check(3, false, false, 5);
    check(1, true, true, 9);
}

static void test_too_many(void **state) {
    (void)state;
    const lf_image_processor p = processor(3, true, true);
    lf_err err = {0};
    lf_sheet *s;
    assert_says(lf_sheet_new(&s, 20000, &p, &err), LF_EUSAGE, err, "show fewer");
    assert_says(lf_sheet_new(&s, INT64_C(1) << 40, &p, &err), LF_EUSAGE, err, "show fewer");
    assert_ok(lf_sheet_new(&s, 1, &p, &err), err);
    assert_says(lf_sheet_write(s, "/nowhere/x.png", &err), LF_EIO, err, "/nowhere/x.png");
    lf_sheet_free(s);
}

static int make_file(void **state) {
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_come_back),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}

/* Changes of training pictures against torchvision's on PIL's pictures (scripts/make-golden-augmentations.py), byte for
 * byte; how pictures are mixed; and the laws of what is drawn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "data/image/changes.h"
#include "data/image/levels.h"
#include "data/image/mix.h"
#include "json_fixture.h"

static cJSON *golden;
static int W, H;

static int read_golden(void **state) {
    (void)state;
    golden = golden_json("augmentations");
    W = whole(golden, "width");
    H = whole(golden, "height");
    return 0;
}

static int drop_golden(void **state) {
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

static void bytes_of(unsigned char *out, const char *hex) {
    for (; *hex; hex += 2) *out++ = (unsigned char)strtol((char[]){hex[0], hex[1], 0}, NULL, 16);
}

/* ---- levels ---- */

static void same_pixels(const cJSON *picture, const lf_image *img, const cJSON *row, double by) {
    unsigned char want[4096];
    const int n = W * H * img->channels;
    assert_true(n < (int)sizeof want && strlen(word(row, "pixels")) == 2 * (size_t)n);
    bytes_of(want, word(row, "pixels"));
    for (int i = 0; i < n; i++)
        if (img->pixels[i] != want[i])
            fail_msg("%s of %g on %s, level %d: %d, expected %d", word(row, "name"), by, word(picture, "mode"), i,
                     img->pixels[i], want[i]);
}

static int operation_named(const char *name) {
    int op = 0;
    while (op < lf_randaugment_count() && strcmp(lf_randaugment_name(op), name) != 0) op++;
    assert_true(op < lf_randaugment_count());
    return op;
}

static void test_operations(void **state) {
    (void)state;
    const cJSON *picture, *row;
    unsigned char pixels[4096];
    lf_err err = {0};
    int n = 0;
    cJSON_ArrayForEach(picture, member(golden, "pictures")) {
        lf_image img = {W, H, whole(picture, "channels"), pixels};
        cJSON_ArrayForEach(row, member(picture, "operations")) {
            bytes_of(pixels, word(picture, "pixels"));
            const double by = number(row, "strength");
            assert_int_equal(lf_randaugment_apply(&img, operation_named(word(row, "name")), by, &err), LF_OK);
            same_pixels(picture, &img, row, by);
            n++;
        }
    }
    assert_int_equal(n, 2 * (9 * 2 * 2 + 2 * 2 + 3)); /* with both signs at two magnitudes, at two, and as they are */
}

static void test_jitter(void **state) {
    (void)state;
    static const struct {
        const char *name;
        void (*change)(lf_image *img, double factor);
    } changes[] = {
        {"brightness", lf_levels_brightness}, {"contrast", lf_levels_contrast}, {"saturation", lf_levels_saturation}};
    const cJSON *picture, *row;
    unsigned char pixels[4096];
    cJSON_ArrayForEach(picture, member(golden, "pictures")) {
        lf_image img = {W, H, whole(picture, "channels"), pixels};
        assert_int_equal(count(picture, "jitter"), 18);
        cJSON_ArrayForEach(row, member(picture, "jitter")) {
            bytes_of(pixels, word(picture, "pixels"));
            for (int i = 0; i < 3; i++)
                if (strcmp(changes[i].name, word(row, "name")) == 0) changes[i].change(&img, number(row, "factor"));
            same_pixels(picture, &img, row, number(row, "factor"));
        }
    }
}

static void test_strengths(void **state) {
    (void)state;
    const cJSON *size, *row;
    cJSON_ArrayForEach(size, member(golden, "strengths")) {
        assert_int_equal(count(size, "operations"), lf_randaugment_count());
        cJSON_ArrayForEach(row, member(size, "operations")) for (int m = 0; m <= 30; m++) {
            bool is_signed;
            const double want = cJSON_GetArrayItem(member(row, "strengths"), m)->valuedouble,
                         found = lf_randaugment_strength(operation_named(row->string), m, whole(size, "width"),
                                                         whole(size, "height"), &is_signed);
            if (!(fabs(found - want) <= 1e-5 * fabs(want) + 1e-7)) /* torch's are floats */
                fail_msg("%s at %d: %.9g, expected %.9g", row->string, m, found, want);
            assert_int_equal(is_signed, cJSON_IsTrue(member(row, "signed")));
        }
    }
}

/* ---- a picture through all of it ---- */

static const lf_rng_key key = {{77, 5}};

static lf_image a_picture(unsigned char *pixels) {
    const cJSON *picture = cJSON_GetArrayItem(member(golden, "pictures"), 0);
    bytes_of(pixels, word(picture, "pixels"));
    return (lf_image){W, H, 3, pixels};
}

static void process(float *out, const lf_picture_changes *changes, lf_augmentation aug, uint64_t example) {
    unsigned char pixels[4096];
    const lf_image img = a_picture(pixels);
    lf_image_processor p;
    lf_err err = {0};
    lf_image_processor_default(&p, 16, 16, 3);
    if (lf_image_process_changed(out, &img, &p, aug, changes, key, example, &err)) fail_msg("%s", err.message);
}

enum { NUMBERS = 3 * 16 * 16, EXAMPLES = 400 };

/* Each change is of the example alone, whatever else is asked for; none changes nothing. */
static void test_draws_are_their_own(void **state) {
    (void)state;
    static const lf_picture_changes none = {0}, jitter = {.color_jitter = 0.5},
                                    all = {.randaugment_magnitude = 9,
                                           .randaugment_ops = 2,
                                           .color_jitter = 0.5,
                                           .random_erasing = 1};
    float plain[NUMBERS], a[NUMBERS], b[NUMBERS], as_before[NUMBERS];
    unsigned char pixels[4096];
    const lf_image img = a_picture(pixels);
    lf_image_processor p;
    lf_err err = {0};
    int same = 0;
    lf_image_processor_default(&p, 16, 16, 3);
    for (uint64_t i = 0; i < 20; i++) {
        process(plain, &none, LF_AUG_SHIFT_FLIP, i);
        assert_int_equal(lf_image_process(as_before, &img, &p, LF_AUG_SHIFT_FLIP, key, i, &err), LF_OK);
        assert_memory_equal(plain, as_before, sizeof plain);
        process(a, &all, LF_AUG_SHIFT_FLIP, i);
        process(b, &all, LF_AUG_SHIFT_FLIP, i);
        assert_memory_equal(a, b, sizeof a);
        process(b, &all, LF_AUG_SHIFT_FLIP, i + 1);
        assert_true(memcmp(a, b, sizeof a) != 0);
        process(b, &jitter, LF_AUG_NONE, i);
        process(plain, &none, LF_AUG_NONE, i);
        same += memcmp(plain, b, sizeof b) == 0;
    }
    assert_true(same <= 1);
}

/* Half of the pictures have one rectangle of zeros, within the areas and shapes that may be drawn. */
static void test_erasing(void **state) {
    (void)state;
    static const lf_picture_changes half = {.random_erasing = 0.5}, none = {0};
    float plain[NUMBERS], x[NUMBERS];
    int erased = 0;
    process(plain, &none, LF_AUG_NONE, 0);
    for (int i = 0; i < NUMBERS; i++) assert_true(plain[i] != 0);
    for (uint64_t e = 0; e < EXAMPLES; e++) {
        int top = 16, left = 16, bottom = -1, right = -1, zeros = 0;
        process(x, &half, LF_AUG_NONE, e);
        for (int i = 0; i < NUMBERS; i++) {
            if (x[i] != 0) {
                assert_true(x[i] == plain[i]);
                continue;
            }
            const int row = i / 16 % 16, column = i % 16;
            top = row < top ? row : top, bottom = row > bottom ? row : bottom;
            left = column < left ? column : left, right = column > right ? column : right;
            zeros++;
        }
        if (!zeros) continue;
        const int h = bottom - top + 1, w = right - left + 1;
        assert_int_equal(zeros, 3 * h * w);
        assert_true(h < 16 && w < 16 && h * w >= 2 && h * w <= 0.45 * 256); /* rounded to whole pixels */
        erased++;
    }
    assert_true(abs(erased - EXAMPLES / 2) < 50); /* five deviations */
}

/* ---- mixing ---- */

static void test_mixed_as_torchvision(void **state) {
    (void)state;
    enum { B = 3, SIZE = 2 * 5 * 7 };
    const cJSON *mixing = member(golden, "mixing"), *row;
    float x[B * SIZE], want[B * SIZE], held[SIZE];
    cJSON_ArrayForEach(row, member(mixing, "rows")) {
        const lf_mixed_batch b = {.pixels = x, .B = B, .channels = 2, .H = 5, .W = 7, .held = held};
        const double share = number(row, "share");
        floats(x, member(mixing, "batch"));
        floats(want, member(row, "pixels"));
        if (strcmp(word(row, "kind"), "mixup") == 0)
            lf_mix_up(&b, share);
        else {
            int box[4];
            lf_mix_box(box, (double)(float)share, whole(row, "x"), whole(row, "y"), 7, 5);
            for (int i = 0; i < 4; i++) assert_int_equal(box[i], cJSON_GetArrayItem(member(row, "box"), i)->valueint);
            assert_true(fabs(lf_mix_cut(&b, box) - number(row, "own")) < 1e-12);
        }
        for (int i = 0; i < B * SIZE; i++) assert_true(fabs((double)x[i] - (double)want[i]) <= 1e-6);
    }
}

/* Mean and variance of Beta(a, a): 1/2 and 1 / (4 (2 a + 1)). */
static void test_shares(void **state) {
    (void)state;
    static const double alphas[] = {0.05, 0.2, 1, 3};
    enum { N = 20000 };
    for (size_t k = 0; k < sizeof alphas / sizeof *alphas; k++) {
        const double variance = 1 / (4 * (2 * alphas[k] + 1));
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            uint64_t draw = (uint64_t)i << 20;
            const double x = lf_mix_share(alphas[k], key, &draw) - 0.5;
            assert_true(x >= -0.5 && x <= 0.5);
            sum += x;
            squares += x * x;
        }
        assert_true(fabs(sum / N) < 5 * sqrt(variance / N));
        assert_true(fabs(squares / N / variance - 1) < 0.05);
    }
}

/* Values, of several classes each, are mixed as the pictures are; one picture alone stays. */
static void test_batches(void **state) {
    (void)state;
    enum { B = 4, SIZE = 6 * 6 };
    float x[B * SIZE], values[B * 2], held[SIZE];
    const lf_picture_mixing both = {.mixup = 1, .cutmix = 1};
    int mixed = 0, cut = 0;
    for (int64_t number_of_batch = 0; number_of_batch < 100; number_of_batch++) {
        for (int i = 0; i < B * SIZE; i++) x[i] = (float)(i / SIZE);
        for (int i = 0; i < B * 2; i++) values[i] = (float)(i / 2 == 1); /* of the second picture alone */
        lf_mixed_batch b = {
            .pixels = x, .values = values, .B = B, .n_values = 2, .channels = 1, .H = 6, .W = 6, .held = held};
        const double share = lf_mix(&b, &both, key, number_of_batch);
        double mean[B] = {0};
        for (int i = 0; i < B * SIZE; i++) mean[i / SIZE] += (double)x[i] / SIZE;
        for (int i = 0; i < B; i++) {
            const int before = i ? i - 1 : B - 1;
            assert_true(fabs(mean[i] - (share * i + (1 - share) * before)) < 1e-5);
        }
        assert_true(fabs((double)values[2] - share) < 1e-6 && fabs((double)values[4] - (1 - share)) < 1e-6);
        assert_true(values[0] == 0 && values[6] == 0);
        const bool is_cut = (x[SIZE] == 0 || x[SIZE] == 1) && (x[SIZE + 21] == 0 || x[SIZE + 21] == 1);
        cut += is_cut, mixed += !is_cut;
        b.B = 1;
        assert_true(lf_mix(&b, &both, key, number_of_batch) == 1);
    }
    assert_true(cut > 30 && mixed > 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations), cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_strengths),  cmocka_unit_test(test_draws_are_their_own),
        cmocka_unit_test(test_erasing),    cmocka_unit_test(test_mixed_as_torchvision),
        cmocka_unit_test(test_shares),     cmocka_unit_test(test_batches),
    };
    return cmocka_run_group_tests(tests, read_golden, drop_golden);
}

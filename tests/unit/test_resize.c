/* Resize and the whole image processor, against PIL and transformers. */
#define _POSIX_C_SOURCE 200809L
#include "data_fixture.h"

#include <math.h>

#include "data/image/internal.h"

static const char *const filters[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};

static lf_resample filter_number(const char *name) {
    for (int i = 0; i < 6; i++)
        if (!strcmp(filters[i], name)) return (lf_resample)i;
    fail_msg("no filter '%s'", name);
    return LF_NEAREST;
}

/* "resize.rgb.bicubic.16x16" or "resize.rgb.bicubic.15x13.box2" */
static void compare_resize(const lf_st_tensor *t) {
    char source[32], filter[32], source_name[40];
    int w, h, box = -1;
    lf_err err = {0};
    assert_true(sscanf(t->name, "resize.%31[^.].%31[^.].%dx%d.box%d", source, filter, &w, &h, &box) >= 4);
    snprintf(source_name, sizeof source_name, "src.%s", source);
    lf_image in = golden_image(source_name), got;
    double edges[4];
    if (box >= 0) memcpy(edges, (const char *)golden_get("boxes")->data + (size_t)box * sizeof edges, sizeof edges);
    assert_ok(lf_image_resize(&got, &in, w, h, filter_number(filter), box >= 0 ? edges : NULL, &err), err);
    assert_int_equal(got.width, w);
    assert_int_equal(got.height, h);
    assert_int_equal(lf_image_bytes(w, h, got.channels), t->size);
    for (size_t i = 0; i < t->size; i++) {
        const int want = ((const unsigned char *)t->data)[i];
        if (got.pixels[i] != want) fail_msg("%s: byte %zu is %d, PIL has %d", t->name, i, got.pixels[i], want);
    }
    lf_image_free(&in);
    lf_image_free(&got);
}

static void test_resize_is_pils_to_the_bit(void **state) {
    (void)state;
    int compared = 0;
    for (int64_t i = 0; i < lf_safetensors_count(golden); i++) {
        const lf_st_tensor *t = lf_safetensors_at(golden, i);
        if (strncmp(t->name, "resize.", 7)) continue;
        compare_resize(t);
        compared++;
    }
    assert_int_equal(compared, 6 * (5 + 4 + 3 + 2 * 3));
}

static void test_flat_pictures_stay_flat(void **state) {
    (void)state;
    unsigned char pixels[9 * 7 * 3];
    for (int level = 0; level < 256; level += 51)
        for (int how = 0; how < 6; how++) {
            lf_err err = {0};
            memset(pixels, level, sizeof pixels);
            const lf_image in = {9, 7, 3, pixels};
            lf_image got;
            assert_ok(lf_image_resize(&got, &in, 13, 4, (lf_resample)how, NULL, &err), err);
            for (size_t i = 0; i < lf_image_bytes(13, 4, 3); i++) assert_int_equal(got.pixels[i], level);
            lf_image_free(&got);
        }
}

static void test_bad_boxes_and_sizes(void **state) {
    (void)state;
    unsigned char pixels[12] = {0};
    const lf_image in = {4, 3, 1, pixels};
    lf_image got;
    lf_err err = {0};
    const double outside[4] = {0, 0, 4.5, 3}, empty[4] = {2, 0, 2, 3}, nan[4] = {NAN, 0, 4, 3};
    assert_says(lf_image_resize(&got, &in, 2, 2, LF_BILINEAR, outside, &err), LF_EFAIL, err, "not inside");
    assert_says(lf_image_resize(&got, &in, 2, 2, LF_BILINEAR, empty, &err), LF_EFAIL, err, "not inside");
    assert_says(lf_image_resize(&got, &in, 2, 2, LF_BILINEAR, nan, &err), LF_EFAIL, err, "not inside");
    assert_says(lf_image_resize(&got, &in, 0, 2, LF_BILINEAR, NULL, &err), LF_EDATA, err, "0 x 2");
    assert_says(lf_image_resize(&got, &in, 1 << 20, 1 << 20, LF_BILINEAR, NULL, &err), LF_EDATA, err, "cannot resize");
}

static void test_resize_out_of_memory(void **state) {
    (void)state;
    lf_image in = golden_image("src.rgb");
    const int64_t live = lf_alloc_live();
    for (int how = LF_NEAREST; how <= LF_LANCZOS; how++) {
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k++) {
            lf_err err = {0};
            lf_image got;
            lf_alloc_fail_after(k);
            rc = lf_image_resize(&got, &in, 8, 8, (lf_resample)how, NULL, &err);
            lf_alloc_fail_after(-1);
            if (rc) assert_int_equal(rc, LF_ENOMEM);
            lf_image_free(&got);
            assert_int_equal(lf_alloc_live(), live);
        }
    }
    lf_image_free(&in);
}

/* ---- the processor --------------------------------------------------------------------------------------------------
 */

static cJSON *facts(void) {
    cJSON *json = NULL;
    lf_err err = {0};
    const char *text = lf_safetensors_metadata(golden, "facts");
    assert_non_null(text);
    assert_ok(lf_json_parse(&json, text, strlen(text), "facts", &err), err);
    return json;
}

/* Both sides round to float after each step in the same order, so the floats are equal; the promise is 1/255/std. */
static void compare_process(const lf_st_tensor *t, const cJSON *processors) {
    char source[40] = "src.";
    int k;
    lf_err err = {0};
    lf_image_processor p, again;
    assert_int_equal(sscanf(t->name, "process.%d.%31s", &k, source + 4), 2);
    const cJSON *json = cJSON_GetArrayItem(processors, k);
    assert_non_null(json);
    const int channels = (int)t->shape[0], H = (int)t->shape[1], W = (int)t->shape[2];
    assert_ok(lf_image_processor_read(&p, json, H, W, channels, "preprocessor_config.json", &err), err);
    cJSON *written = lf_image_processor_to_json(&p);
    assert_ok(lf_image_processor_read(&again, written, H, W, channels, "written", &err), err);
    assert_memory_equal(&p, &again, sizeof p);
    cJSON_Delete(written);
    lf_image in = golden_image(source);
    float *got = lf_malloc(t->size);
    assert_ok(lf_image_process(got, &in, &p, LF_AUG_NONE, lf_rng_make(0, LF_RNG_AUGMENT, 0), 0, &err), err);
    for (int64_t i = 0; i < t->numel; i++) {
        float want;
        memcpy(&want, (const char *)t->data + (size_t)i * sizeof want, sizeof want);
        if (got[i] != want) fail_msg("%s: value %d is %.9g, transformers has %.9g", t->name, (int)i, got[i], want);
    }
    lf_free(got);
    lf_image_free(&in);
}

static void test_processor_is_transformers_to_the_bit(void **state) {
    (void)state;
    cJSON *json = facts();
    const cJSON *processors = cJSON_GetObjectItemCaseSensitive(json, "processors");
    int compared = 0;
    for (int64_t i = 0; i < lf_safetensors_count(golden); i++) {
        const lf_st_tensor *t = lf_safetensors_at(golden, i);
        if (strncmp(t->name, "process.", 8)) continue;
        compare_process(t, processors);
        compared++;
    }
    assert_int_equal(compared, 15);
    cJSON_Delete(json);
}

static lf_status read_text(lf_image_processor *p, const char *text, int image_size, int channels, lf_err *err) {
    cJSON *json = NULL;
    assert_ok(lf_json_parse(&json, text, strlen(text), "p.json", err), *err);
    const lf_status rc = lf_image_processor_read(p, json, image_size, image_size, channels, "p.json", err);
    cJSON_Delete(json);
    return rc;
}

static void test_old_and_new_files(void **state) {
    (void)state;
    lf_err err = {0};
    lf_image_processor p, q;
    assert_ok(read_text(&p, "{}", 224, 3, &err), err);
    lf_image_processor_default(&q, 224, 224, 3);
    assert_int_equal(p.size_h, q.size_h);
    assert_int_equal(p.resample, LF_BILINEAR);
    assert_true(p.rescale_factor == 1.0 / 255 && p.mean[2] == 0.5 && p.std[0] == 0.5);
    /* transformers 4.5's file of google/vit-base-patch16-224 */
    assert_ok(read_text(&p,
                        "{\"do_normalize\": true, \"do_resize\": true, \"image_mean\": [0.5, 0.5, 0.5],"
                        "\"image_std\": [0.5, 0.5, 0.5], \"size\": 224}",
                        224, 3, &err),
              err);
    assert_int_equal(p.size_w, 224);
    /* ... and of facebook/deit-base-patch16-224 */
    assert_ok(read_text(&p,
                        "{\"crop_size\": 224, \"do_center_crop\": true, \"do_normalize\": true, \"do_resize\": true,"
                        "\"feature_extractor_type\": \"DeiTFeatureExtractor\", \"image_mean\": [0.485, 0.456, 0.406],"
                        "\"image_std\": [0.229, 0.224, 0.225], \"resample\": 3, \"size\": 256}",
                        224, 3, &err),
              err);
    assert_int_equal(p.size_h, 256);
    assert_int_equal(p.crop_h, 224);
    assert_int_equal(p.resample, LF_BICUBIC);
    assert_true(p.do_center_crop && p.mean[2] == 0.406);
    /* keys that change nothing, or are switched off */
    assert_ok(read_text(&p,
                        "{\"data_format\": \"channels_first\", \"do_pad\": false, \"do_reduce_labels\": null,"
                        "\"processor_class\": \"X\", \"image_mean\": 0.25, \"image_std\": [0.3, 0.3, 0.3]}",
                        28, 1, &err),
              err);
    assert_true(p.mean[0] == 0.25 && p.std[0] == 0.3);
}

static void test_what_is_not_supported_is_said(void **state) {
    (void)state;
    static const struct {
        const char *text;
        lf_status status;
        const char *says;
    } cases[] = {
        {"{\"do_pad\": true}", LF_EUNSUPPORTED, "'do_pad'"},
        {"{\"do_reduce_labels\": true}", LF_EUNSUPPORTED, "'do_reduce_labels'"},
        {"{\"crop_pct\": 0.875}", LF_EUNSUPPORTED, "'crop_pct'"},
        {"{\"size\": {\"shortest_edge\": 16}}", LF_EUNSUPPORTED, "shortest_edge without do_center_crop"},
        {"{\"size\": {\"shortest_edge\": 16, \"longest_edge\": 32}}", LF_EUNSUPPORTED, "size.longest_edge"},
        {"{\"size\": {\"height\": 16}}", LF_EDATA, "'size'"},
        {"{\"size\": [16, 16]}", LF_EDATA, "'size'"},
        {"{\"size\": -3}", LF_EDATA, "'size'"},
        {"{\"size\": 1e9}", LF_EDATA, "'size'"},
        {"{\"size\": 32}", LF_ESHAPE, "32 x 32 pixels, expected 16 x 16"},
        {"{\"do_center_crop\": true}", LF_EDATA, "crop_size"},
        {"{\"resample\": 6}", LF_EDATA, "'resample'"},
        {"{\"do_resize\": \"yes\"}", LF_EDATA, "do_resize"},
        {"{\"image_mean\": [0.1, 0.2]}", LF_EDATA, "expected 3 numbers (num_channels of the model), found 2"},
        {"{\"image_std\": [0.1, \"a\", 0.2]}", LF_EDATA, "'image_std'"},
        {"{\"image_std\": [0.5, 0, 0.5]}", LF_EDATA, "'image_std' holds a 0"},
        {"{\"image_processor_type\": \"FooImageProcessor\", \"size\": {\"height\": 16, \"width\": 16}}",
         LF_EUNSUPPORTED, "FooImageProcessor does without 'resample'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_err err = {0};
        lf_image_processor p;
        assert_says(read_text(&p, cases[i].text, 16, 3, &err), cases[i].status, err, cases[i].says);
    }
    lf_err err = {0};
    lf_image_processor p;
    assert_says(read_text(&p, "{}", 16, 4, &err), LF_EUNSUPPORTED, err, "num_channels 4");
}

static void test_size_must_fit_without_resize(void **state) {
    (void)state;
    lf_err err = {0};
    lf_image_processor p;
    unsigned char pixels[64] = {0};
    float out[3 * 64];
    assert_ok(read_text(&p, "{\"do_resize\": false}", 8, 3, &err), err);
    const lf_rng_key key = lf_rng_make(0, LF_RNG_AUGMENT, 0);
    const lf_image right = {8, 8, 1, pixels}, wrong = {8, 7, 1, pixels};
    assert_ok(lf_image_process(out, &right, &p, LF_AUG_NONE, key, 0, &err), err);
    assert_says(lf_image_process(out, &wrong, &p, LF_AUG_NONE, key, 0, &err), LF_ESHAPE, err, "8 x 7");
}

static void test_oblong_models(void **state) {
    (void)state;
    static const struct {
        const char *text;
        lf_status status; /* of a model of 12 x 20 (height x width) */
        const char *says;
    } cases[] = {
        {"{}", LF_OK, ""},
        {"{\"do_resize\": false}", LF_OK, ""},
        {"{\"size\": {\"height\": 12, \"width\": 20}}", LF_OK, ""},
        {"{\"size\": 30, \"do_center_crop\": true, \"crop_size\": {\"height\": 12, \"width\": 20}}", LF_OK, ""},
        {"{\"size\": {\"height\": 20, \"width\": 12}}", LF_ESHAPE, "of 12 x 20 pixels, expected 20 x 12"},
        {"{\"size\": 12}", LF_ESHAPE, "of 12 x 12 pixels, expected 20 x 12"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_err err = {0};
        lf_image_processor p;
        int h, w;
        cJSON *json = NULL;
        assert_ok(lf_json_parse(&json, cases[i].text, strlen(cases[i].text), "p.json", &err), err);
        const lf_status rc = lf_image_processor_read(&p, json, 12, 20, 3, "p.json", &err);
        cJSON_Delete(json);
        assert_says(rc, cases[i].status, err, cases[i].says);
        lf_image_processor_out_size(&p, &h, &w);
        if (!rc) assert_true(h == 12 && w == 20);
    }
}

/* ---- augmentation ---------------------------------------------------------------------------------------------------
 */

static void raw_processor(lf_image_processor *p, int size) {
    lf_image_processor_default(p, size, size, 1);
    p->do_rescale = p->do_normalize = false;
}

/* In a picture whose level is 16 y + x everything that moves can be read off. */
static lf_image ramp(unsigned char pixels[256]) {
    for (int i = 0; i < 256; i++) pixels[i] = (unsigned char)i;
    return (lf_image){16, 16, 1, pixels};
}

static void test_flip_and_shift(void **state) {
    (void)state;
    unsigned char pixels[256];
    float out[256], again[256];
    lf_err err = {0};
    const lf_image img = ramp(pixels);
    lf_image_processor p;
    raw_processor(&p, 16);
    int flipped = 0, seen[5][5] = {{0}};
    for (uint64_t example = 0; example < 400; example++) {
        const lf_rng_key key = lf_rng_make(3, LF_RNG_AUGMENT, example % 7);
        assert_ok(lf_image_process(out, &img, &p, LF_AUG_FLIP, key, example, &err), err);
        const bool flip = out[0] != 0;
        flipped += flip;
        for (int i = 0; i < 256; i++) assert_true((int)out[i] == (flip ? i / 16 * 16 + 15 - i % 16 : i));
        assert_ok(lf_image_process(out, &img, &p, LF_AUG_SHIFT, key, example, &err), err);
        const int dy = (int)out[7 * 16 + 7] / 16 - 7, dx = (int)out[7 * 16 + 7] % 16 - 7;
        assert_true(abs(dx) <= 2 && abs(dy) <= 2); /* an eighth of 16 */
        seen[dy + 2][dx + 2]++;
        for (int y = 0; y < 16; y++)
            for (int x = 0; x < 16; x++) {
                const int sy = y + dy < 0    ? 0
                               : y + dy > 15 ? 15
                                             : y + dy,
                          sx = x + dx < 0    ? 0
                               : x + dx > 15 ? 15
                                             : x + dx;
                assert_int_equal((int)out[y * 16 + x], sy * 16 + sx);
            }
        assert_ok(lf_image_process(again, &img, &p, LF_AUG_SHIFT, key, example, &err), err);
        assert_memory_equal(out, again, sizeof out);
        /* the picture turned as before, and that one shifted: each draw is the same as alone */
        assert_ok(lf_image_process(again, &img, &p, LF_AUG_SHIFT_FLIP, key, example, &err), err);
        for (int i = 0; i < 256; i++) {
            const int from = (int)out[i];
            assert_int_equal((int)again[i], flip ? from / 16 * 16 + 15 - from % 16 : from);
        }
    }
    assert_in_range(flipped, 150, 250); /* 200 expected, standard deviation 10 */
    for (int i = 0; i < 25; i++) assert_true(seen[i / 5][i % 5] > 0);
}

static void test_random_resized_crop(void **state) {
    (void)state;
    const int w = 400, h = 300;
    double least = 1, most = 0, area_sum = 0;
    int flips = 0;
    for (uint64_t example = 0; example < 2000; example++) {
        lf_placement place;
        lf_augment_draw(&place, LF_AUG_CROP_FLIP, lf_rng_make(1, LF_RNG_AUGMENT, 0), example, w, h, 16, 16);
        const double bw = place.box[2] - place.box[0], bh = place.box[3] - place.box[1], area = bw * bh / (w * h);
        assert_true(place.cropped && place.box[0] >= 0 && place.box[1] >= 0 && place.box[2] <= w && place.box[3] <= h);
        assert_true(bw / bh > 0.74 && bw / bh < 1.35); /* 3/4 to 4/3, sides rounded to pixels */
        assert_true(area > 0.078 && area <= 1);
        least = area < least ? area : least;
        most = area > most ? area : most;
        area_sum += area;
        flips += place.flip;
    }
    assert_true(least < 0.1 && most > 0.9);
    assert_true(area_sum / 2000 > 0.40 &&
                area_sum / 2000 < 0.47); /* 0.433 by torchvision's rule, in another language */
    assert_in_range(flips, 880, 1120);
    lf_placement place; /* nothing fits into a line: the middle, with the nearest aspect */
    lf_augment_draw(&place, LF_AUG_CROP, lf_rng_make(1, LF_RNG_AUGMENT, 0), 0, 300, 3, 16, 16);
    assert_true(place.box[0] == 148 && place.box[2] == 152 && place.box[1] == 0 && place.box[3] == 3);
}

static void test_crop_takes_the_box_of_the_source(void **state) {
    (void)state;
    lf_err err = {0};
    lf_image in = golden_image("src.grey"), want;
    lf_image_processor p;
    raw_processor(&p, 12);
    p.do_center_crop = true; /* must not crop once more */
    p.crop_h = p.crop_w = 12;
    p.size_h = p.size_w = 20;
    float out[144];
    const lf_rng_key key = lf_rng_make(5, LF_RNG_AUGMENT, 2);
    lf_placement place;
    lf_augment_draw(&place, LF_AUG_CROP, key, 9, in.width, in.height, 12, 12);
    assert_ok(lf_image_process(out, &in, &p, LF_AUG_CROP, key, 9, &err), err);
    assert_ok(lf_image_resize(&want, &in, 12, 12, p.resample, place.box, &err), err);
    for (int i = 0; i < 144; i++) assert_int_equal((int)out[i], want.pixels[i]);
    lf_image_free(&in);
    lf_image_free(&want);
}

static void test_names(void **state) {
    (void)state;
    lf_augmentation a;
    assert_true(lf_augmentation_parse("random_resized_crop_flip", &a) && a == LF_AUG_CROP_FLIP);
    assert_true(lf_augmentation_parse("shift_flip", &a) && a == LF_AUG_SHIFT_FLIP);
    assert_true(lf_augmentation_parse("none", &a) && a == LF_AUG_NONE);
    assert_false(lf_augmentation_parse("rotate", &a));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize_is_pils_to_the_bit),
        cmocka_unit_test(test_flat_pictures_stay_flat),
        cmocka_unit_test(test_bad_boxes_and_sizes),
        cmocka_unit_test(test_resize_out_of_memory),
        cmocka_unit_test(test_processor_is_transformers_to_the_bit),
        cmocka_unit_test(test_old_and_new_files),
        cmocka_unit_test(test_what_is_not_supported_is_said),
        cmocka_unit_test(test_size_must_fit_without_resize),
        cmocka_unit_test(test_oblong_models),
        cmocka_unit_test(test_flip_and_shift),
        cmocka_unit_test(test_random_resized_crop),
        cmocka_unit_test(test_crop_takes_the_box_of_the_source),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, golden_open, golden_close);
}

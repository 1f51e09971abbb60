/* Batches: their order is a function of (seed, epoch), their content of their place, whatever the number of workers. */
#define _POSIX_C_SOURCE 200809L
#include "stderr_fixture.h"

enum { PICTURES = 23, SIDE = 4, PLANE = SIDE * SIDE };

static lf_dataset *pictures; /* picture i is flat, of level i, but see make_bad */

static lf_dataset *open_folder(const char *name) {
    lf_err err = {0};
    lf_dataset *d = NULL;
    cJSON *spec = cJSON_CreateString(in_scratch(name));
    const lf_dataset_opts opts = {.spec = spec, .key = "train_data"};
    assert_ok(lf_dataset_open(&d, &opts, &err), err);
    cJSON_Delete(spec);
    return d;
}

static void put_pictures(const char *folder, const int *bad, int n_bad) {
    for (int i = 0; i < PICTURES; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%s/%02d.pgm", folder, i < PICTURES / 2 ? "a" : "b", i);
        bool is_bad = false;
        for (int k = 0; k < n_bad; k++) is_bad = is_bad || bad[k] == i;
        if (is_bad)
            put_bytes(name, "not a picture", 13);
        else
            put_picture(name, 5, 5, (unsigned char)i);
    }
}

static int setup(void **state) {
    if (scratch_make(state)) return -1;
    put_pictures("good", NULL, 0);
    pictures = open_folder("good");
    return 0;
}

static int teardown(void **state) {
    lf_dataset_free(pictures);
    return scratch_remove(state);
}

static lf_image_processor raw(void) {
    lf_image_processor p;
    lf_image_processor_default(&p, SIDE, SIDE, 1);
    p.do_rescale = p.do_normalize = false;
    return p;
}

static lf_loader *loader_over(const lf_dataset *d, lf_loader_opts o) {
    const lf_image_processor p = raw();
    lf_err err = {0};
    lf_loader *l = NULL;
    o.processor = &p;
    if (!o.workers) o.workers = 2;
    if (!o.batch_size) o.batch_size = 5;
    if (!o.epochs) o.epochs = 1;
    assert_ok(lf_loader_new(&l, d, &o, &err), err);
    return l;
}

static const lf_batch *next(lf_loader *l) {
    const lf_batch *b;
    lf_err err = {0};
    assert_ok(lf_loader_next(l, &b, &err), err);
    return b;
}

static void check_content(const lf_dataset *d, const lf_batch *b) {
    for (int64_t i = 0; i < b->B; i++) {
        assert_int_equal(b->labels[i], lf_dataset_label(d, b->indices[i]));
        for (int j = 0; j < PLANE; j++) assert_int_equal((int)b->pixels[i * PLANE + j], b->indices[i]);
    }
}

static void test_in_order(void **state) {
    (void)state;
    lf_loader *l = loader_over(pictures, (lf_loader_opts){.epochs = 2});
    assert_int_equal(lf_loader_batches_per_epoch(l), 5);
    for (int epoch = 0; epoch < 2; epoch++)
        for (int n = 0; n < 5; n++) {
            const lf_batch *b = next(l);
            assert_non_null(b);
            assert_int_equal(b->epoch, epoch);
            assert_int_equal(b->number, n);
            assert_int_equal(b->B, n < 4 ? 5 : 3);
            for (int64_t i = 0; i < b->B; i++) assert_int_equal(b->indices[i], 5 * n + i);
            check_content(pictures, b);
        }
    assert_null(next(l));
    assert_null(next(l));
    assert_int_equal(lf_loader_skipped(l), 0);
    lf_loader_free(l);
}

static void test_shuffled_is_a_permutation_an_epoch(void **state) {
    (void)state;
    lf_loader *l = loader_over(pictures, (lf_loader_opts){.epochs = 3, .shuffle = true, .seed = 9});
    int64_t order[3][PICTURES];
    for (int epoch = 0; epoch < 3; epoch++) {
        bool seen[PICTURES] = {0};
        int n = 0;
        for (int k = 0; k < 5; k++) {
            const lf_batch *b = next(l);
            check_content(pictures, b);
            for (int64_t i = 0; i < b->B; i++) {
                assert_false(seen[b->indices[i]]);
                seen[b->indices[i]] = true;
                order[epoch][n++] = b->indices[i];
            }
        }
        assert_int_equal(n, PICTURES);
    }
    assert_null(next(l));
    lf_loader_free(l);
    assert_true(memcmp(order[0], order[1], sizeof order[0]) && memcmp(order[1], order[2], sizeof order[0]));
}

/* All bytes of all batches, for comparing one way of serving with another. */
static uint64_t digest(const lf_batch *b, uint64_t h) {
    const unsigned char *parts[] = {(const unsigned char *)b->pixels, (const unsigned char *)b->labels,
                                    (const unsigned char *)b->indices};
    const size_t sizes[] = {(size_t)b->B * PLANE * sizeof(float), (size_t)b->B * sizeof(int32_t),
                            (size_t)b->B * sizeof(int64_t)};
    for (int p = 0; p < 3; p++)
        for (size_t i = 0; i < sizes[p]; i++) h = (h ^ parts[p][i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static void test_workers_do_not_matter(void **state) {
    (void)state;
    uint64_t want[3 * 5];
    for (int64_t workers = 1; workers <= 7; workers += 2) {
        lf_loader *l = loader_over(
            pictures,
            (lf_loader_opts){
                .epochs = 3, .shuffle = true, .seed = 4, .workers = workers, .augmentation = LF_AUG_CROP_FLIP});
        for (int i = 0; i < 15; i++) {
            const uint64_t h = digest(next(l), 0xcbf29ce484222325u);
            if (workers == 1) want[i] = h;
            assert_true(h == want[i]);
        }
        assert_null(next(l));
        lf_loader_free(l);
    }
    for (int64_t from = 0; from <= 15; from++) { /* resumed at any batch, also at the very end of an epoch */
        lf_loader *l = loader_over(pictures, (lf_loader_opts){.epochs = 3 - from / 6,
                                                              .shuffle = true,
                                                              .seed = 4,
                                                              .augmentation = LF_AUG_CROP_FLIP,
                                                              .first_epoch = from / 6,
                                                              .first_batch = from % 6});
        for (int64_t i = from / 6 * 5 + from % 6; i < 15; i++)
            assert_true(digest(next(l), 0xcbf29ce484222325u) == want[i]);
        assert_null(next(l));
        lf_loader_free(l);
    }
}

static void test_augmentation_changes_with_the_epoch(void **state) {
    (void)state;
    unsigned char half[32] = "P5 4 4 255\n";
    memcpy(half + 11, "\0\0\377\377\0\0\377\377\0\0\377\377\0\0\377\377", 16);
    put_bytes("half/a/x.pgm", half, 27);
    put_bytes("half/b/x.pgm", half, 27);
    lf_dataset *d = open_folder("half");
    lf_loader *l = loader_over(d, (lf_loader_opts){.epochs = 40, .augmentation = LF_AUG_FLIP, .batch_size = 2});
    int flips = 0, differ = 0;
    for (int i = 0; i < 40; i++) {
        const lf_batch *b = next(l);
        flips += b->pixels[0] > 0;
        differ += b->pixels[0] != b->pixels[PLANE];
    }
    assert_in_range(flips, 8, 32);
    assert_in_range(differ, 8, 32);
    lf_loader_free(l);
    lf_dataset_free(d);
}

static void test_drop_last_and_endless(void **state) {
    (void)state;
    lf_loader *l = loader_over(pictures, (lf_loader_opts){.drop_last = true, .epochs = INT64_MAX, .shuffle = true});
    assert_int_equal(lf_loader_batches_per_epoch(l), 4);
    for (int i = 0; i < 50; i++) {
        const lf_batch *b = next(l);
        assert_int_equal(b->B, 5);
        assert_int_equal(b->epoch, i / 4);
    }
    lf_loader_free(l); /* with batches ahead */
    l = loader_over(pictures, (lf_loader_opts){.epochs = INT64_MAX, .batch_size = 100, .workers = 3});
    assert_int_equal(next(l)->B, PICTURES);
    assert_int_equal(next(l)->epoch, 1);
    lf_loader_free(l);
    lf_loader_free(loader_over(pictures, (lf_loader_opts){.workers = 4})); /* nothing taken at all */
    lf_loader_free(NULL);
}

static void test_the_first_bad_picture_is_the_error(void **state) {
    (void)state;
    const int bad[] = {8, 7, 21};
    put_pictures("bad", bad, 3);
    lf_dataset *d = open_folder("bad");
    for (int64_t workers = 1; workers <= 4; workers++) {
        lf_loader *l = loader_over(d, (lf_loader_opts){.workers = workers, .epochs = 9});
        check_content(d, next(l)); /* the batch before is served */
        for (int again = 0; again < 2; again++) {
            lf_err err = {0};
            const lf_batch *b;
            const lf_status rc = lf_loader_next(l, &b, &err);
            assert_null(b);
            assert_says(rc, LF_EDATA, err, "bad/a/07.pgm: not a picture that can be decoded");
        }
        lf_loader_free(l);
    }
    lf_dataset_free(d);
}

static void test_bad_pictures_are_left_out_and_counted(void **state) {
    (void)state;
    const int bad[] = {5, 6, 7, 8, 9, 21}; /* the whole second batch, and one of the last */
    put_pictures("skip", bad, 6);
    lf_dataset *d = open_folder("skip");
    hear_begin(LF_LOG_WARN);
    lf_loader *l = loader_over(d, (lf_loader_opts){.skip_bad_images = true, .epochs = 2});
    for (int epoch = 0; epoch < 2; epoch++) {
        const int64_t numbers[] = {0, 2, 3, 4}, sizes[] = {5, 5, 5, 2};
        for (int i = 0; i < 4; i++) {
            const lf_batch *b = next(l);
            assert_int_equal(b->number, numbers[i]);
            assert_int_equal(b->B, sizes[i]);
            assert_int_equal(b->epoch, epoch);
            check_content(d, b);
        }
        assert_int_equal(lf_loader_skipped(l), 6 * (epoch + 1));
    }
    assert_null(next(l));
    const char *said = hear_end();
    char line[64];
    for (int i = 0; i < 5; i++) { /* five by their names, once; that there are more */
        snprintf(line, sizeof line, "/%02d.", bad[i]);
        assert_heard(said, line);
    }
    assert_heard(said, "further pictures are left out without their names");
    assert_null(strstr(strstr(said, "further") + 1, "left out:"));
    assert_null(strstr(said, "set skip_bad_images"));
    lf_loader_free(l);
    lf_dataset_free(d);
}

static void test_nothing_but_bad_pictures(void **state) {
    (void)state;
    put_bytes("junk/a/1.jpg", "x", 1);
    put_bytes("junk/a/2.jpg", "x", 1);
    put_bytes("junk/b/3.jpg", "x", 1);
    lf_dataset *d = open_folder("junk");
    lf_loader *l = loader_over(d, (lf_loader_opts){.skip_bad_images = true, .epochs = INT64_MAX, .batch_size = 1});
    lf_err err = {0};
    const lf_batch *b;
    assert_says(lf_loader_next(l, &b, &err), LF_EDATA, err, "not one picture of epoch 0 can be decoded");
    lf_loader_free(l);
    lf_dataset_free(d);
}

static void test_a_missing_file_is_not_skipped(void **state) {
    (void)state;
    put_picture("gone/a/1.pgm", 4, 4, 1);
    put_picture("gone/b/2.pgm", 4, 4, 1);
    lf_dataset *d = open_folder("gone");
    assert_int_equal(unlink(in_scratch("gone/a/1.pgm")), 0);
    lf_loader *l = loader_over(d, (lf_loader_opts){.skip_bad_images = true});
    lf_err err = {0};
    const lf_batch *b;
    assert_says(lf_loader_next(l, &b, &err), LF_ENOTFOUND, err, "gone/a/1.pgm");
    lf_loader_free(l);
    lf_dataset_free(d);
}

static void test_errors_of_processing_name_the_picture(void **state) {
    (void)state;
    lf_image_processor p = raw();
    p.do_resize = false; /* the pictures are 5 x 5 */
    lf_loader *l = NULL;
    lf_err err = {0};
    const lf_batch *b;
    const lf_loader_opts o = {.batch_size = 2, .workers = 1, .epochs = 1, .processor = &p, .skip_bad_images = true};
    assert_ok(lf_loader_new(&l, pictures, &o, &err), err);
    assert_says(lf_loader_next(l, &b, &err), LF_ESHAPE, err, "good/a/00.pgm: a picture of 5 x 5 pixels");
    lf_loader_free(l);
}

static void test_bad_options(void **state) {
    (void)state;
    const lf_image_processor p = raw();
    lf_loader *l = NULL;
    lf_err err = {0};
    lf_loader_opts o = {.batch_size = 0, .workers = 1, .epochs = 1, .processor = &p};
    assert_says(lf_loader_new(&l, pictures, &o, &err), LF_EUSAGE, err, "batch size");
    o.batch_size = 24;
    o.drop_last = true;
    assert_says(lf_loader_new(&l, pictures, &o, &err), LF_EDATA, err, "23 examples are less than one batch of 24");
    o.batch_size = INT64_MAX / 2;
    o.drop_last = false;
    assert_says(lf_loader_new(&l, pictures, &o, &err), LF_ENOMEM, err, "out of memory");
    assert_null(l);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const lf_image_processor p = raw();
    const lf_loader_opts o = {.batch_size = 5, .workers = 1, .epochs = 1, .processor = &p, .shuffle = true};
    const int64_t live = lf_alloc_live();
    int64_t served = 0;
    for (int64_t k = 0; served < 5; k++) {
        lf_loader *l = NULL;
        lf_err err = {0};
        const lf_batch *b = NULL;
        lf_alloc_fail_after(k);
        lf_status rc = lf_loader_new(&l, pictures, &o, &err);
        for (served = 0; !rc && !(rc = lf_loader_next(l, &b, &err)) && b;) served++;
        lf_alloc_fail_after(-1);
        if (rc)
            assert_int_equal(rc, LF_ENOMEM);
        else
            assert_int_equal(served, 5);
        lf_loader_free(l);
        assert_int_equal(lf_alloc_live(), live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_shuffled_is_a_permutation_an_epoch),
        cmocka_unit_test(test_workers_do_not_matter),
        cmocka_unit_test(test_augmentation_changes_with_the_epoch),
        cmocka_unit_test(test_drop_last_and_endless),
        cmocka_unit_test(test_the_first_bad_picture_is_the_error),
        cmocka_unit_test(test_bad_pictures_are_left_out_and_counted),
        cmocka_unit_test(test_nothing_but_bad_pictures),
        cmocka_unit_test(test_a_missing_file_is_not_skipped),
        cmocka_unit_test(test_errors_of_processing_name_the_picture),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

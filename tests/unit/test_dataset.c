/* Data sets: what is found in folders and IDX files, what is refused and how it is said, samples and splits. */
#define _POSIX_C_SOURCE 200809L
#include "data_fixture.h"

#include <zlib.h>

/* Opens a spec given as JSON text, %s being the scratch folder. */
static lf_status open_as(lf_dataset **out, const char *format, lf_dataset_opts opts, lf_err *err) {
    char text[1024];
    snprintf(text, sizeof text, format, scratch, scratch);
    cJSON *spec = NULL;
    *out = NULL;
    assert_ok(lf_json_parse(&spec, text, strlen(text), "spec", err), *err);
    opts.spec = spec;
    opts.key = "train_data";
    const lf_status rc = lf_dataset_open(out, &opts, err);
    cJSON_Delete(spec);
    return rc;
}

static bool has_split(const char *format, const char *split) {
    char text[1024];
    snprintf(text, sizeof text, format, scratch);
    cJSON *spec = cJSON_CreateString(text);
    const bool yes = lf_dataset_has_split(spec, split);
    cJSON_Delete(spec);
    return yes;
}

static void refuse(const char *format, lf_dataset_opts opts, lf_status status, const char *says) {
    lf_err err = {0};
    lf_dataset *d;
    const int64_t live = lf_alloc_live();
    assert_says(open_as(&d, format, opts, &err), status, err, says);
    assert_null(d);
    assert_int_equal(lf_alloc_live(), live);
}

static int level_of(const lf_dataset *d, int64_t i) {
    lf_image img;
    lf_err err = {0};
    assert_ok(lf_dataset_image(d, i, &img, &err), err);
    const int level = img.pixels[0];
    lf_image_free(&img);
    return level;
}

static bool ends(const char *name, const char *tail) {
    const size_t n = strlen(name), m = strlen(tail);
    return n >= m && !strcmp(name + n - m, tail);
}

/* ---- folders --------------------------------------------------------------------------------------------------------
 */

static void test_folder(void **state) {
    (void)state;
    put_picture("pets/dog/b.PGM", 2, 2, 11);
    put_picture("pets/dog/a.pgm", 2, 2, 10);
    put_picture("pets/cat/deep/er/x.pgm", 2, 2, 20);
    put_picture("pets/cat/.hidden.pgm", 2, 2, 99);
    put_bytes("pets/cat/notes.txt", "x", 1);
    put_bytes("pets/.git/config", "x", 1);
    put_picture("pets/stray.pgm", 2, 2, 99);
    lf_err err = {0};
    lf_dataset *d;
    char name[512];
    assert_ok(open_as(&d, "\"%s/pets\"", (lf_dataset_opts){.split = "train"}, &err), err);
    assert_int_equal(lf_dataset_count(d), 3);
    assert_int_equal(lf_dataset_n_classes(d), 2);
    assert_string_equal(lf_dataset_class_name(d, 0), "cat");
    assert_string_equal(lf_dataset_class_name(d, 1), "dog");
    const int levels[] = {20, 10, 11}, labels[] = {0, 1, 1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(level_of(d, i), levels[i]);
        assert_int_equal(lf_dataset_label(d, i), labels[i]);
    }
    assert_true(ends(lf_dataset_example_name(d, 2, name, sizeof name), "/pets/dog/b.PGM"));
    assert_true(ends(lf_dataset_path(d), "/pets"));
    assert_false(has_split("%s/pets", "train"));
    lf_dataset_free(d);
}

static void test_relabelled(void **state) {
    (void)state;
    put_picture("given/dog/a.pgm", 2, 2, 1);
    put_picture("given/cat/a.pgm", 2, 2, 2);
    const char *three[] = {"dog", "bird", "cat"};
    const int32_t to[] = {2, 0};
    lf_err err = {0};
    lf_dataset *d;
    assert_ok(open_as(&d, "\"%s/given\"", (lf_dataset_opts){0}, &err), err);
    assert_string_equal(lf_dataset_class_origin(d, 1), "dog");
    assert_ok(lf_dataset_relabel(d, three, 3, to, &err), err);
    assert_int_equal(lf_dataset_n_classes(d), 3);
    assert_string_equal(lf_dataset_class_name(d, 1), "bird");
    assert_string_equal(lf_dataset_class_origin(d, 1), "bird"); /* the data have none */
    assert_string_equal(lf_dataset_class_origin(d, 2), "cat");
    assert_int_equal(lf_dataset_label(d, 0), 2);
    assert_int_equal(lf_dataset_label(d, 1), 0);
    lf_dataset_free(d);
}

static void test_splits(void **state) {
    (void)state;
    put_picture("divided/train/a/x.pgm", 2, 2, 1);
    put_picture("divided/train/b/x.pgm", 2, 2, 2);
    put_picture("divided/validation/a/x.pgm", 2, 2, 3);
    put_picture("divided/validation/b/x.pgm", 2, 2, 4);
    lf_err err = {0};
    lf_dataset *d;
    assert_ok(open_as(&d, "\"%s/divided\"", (lf_dataset_opts){.split = "val"}, &err), err);
    assert_int_equal(level_of(d, 0), 3);
    assert_true(ends(lf_dataset_path(d), "/divided/validation"));
    lf_dataset_free(d);
    assert_ok(open_as(&d, "{\"path\": \"%s/divided\", \"split\": \"train\"}", (lf_dataset_opts){.split = "val"}, &err),
              err);
    assert_int_equal(level_of(d, 0), 1);
    lf_dataset_free(d);
    assert_true(has_split("%s/divided", "train"));
    assert_true(has_split("%s/divided", "val"));
    assert_false(has_split("%s/divided", "test"));
    assert_false(has_split("%s/divided/train", "train"));
    assert_false(has_split("%s/nowhere", "train"));
    refuse("\"%s/divided\"", (lf_dataset_opts){.split = "test"}, LF_ENOTFOUND,
           "no folder for the split 'test'; there is 'train', 'validation'");
    refuse("\"%s/divided\"", (lf_dataset_opts){0}, LF_EUSAGE, "divided into 'train', 'validation'");
    /* a class may be called train */
    put_picture("traffic/train/x.pgm", 2, 2, 1);
    put_picture("traffic/car/x.pgm", 2, 2, 2);
    assert_ok(open_as(&d, "\"%s/traffic\"", (lf_dataset_opts){.split = "train"}, &err), err);
    assert_int_equal(lf_dataset_n_classes(d), 2);
    lf_dataset_free(d);
}

static void test_folders_that_are_refused(void **state) {
    (void)state;
    const lf_dataset_opts none = {0};
    put_picture("flat/a.pgm", 2, 2, 1);
    refuse("\"%s/flat\"", none, LF_EDATA,
           "there are pictures, but no class folders; expected FOLDER/CLASS/picture.jpg");
    put_picture("hollow/full/a.pgm", 2, 2, 1);
    put_bytes("hollow/empty/readme.txt", "x", 1);
    refuse("{\"path\": \"%s/hollow\", \"image_field\": \"x\"}", none, LF_EUSAGE,
           "'image_field' names a column of Parquet files; ");
    refuse("{\"path\": \"%s/hollow\", \"image_field\": \"x\"}", (lf_dataset_opts){.unlabelled = true}, LF_EUSAGE,
           "is a folder of pictures, so leave it out");
    refuse("\"%s/hollow\"", none, LF_EDATA,
           "hollow/empty: the class folder is empty of pictures, but 1 .txt; expected some (jpg, ");
    put_bytes("nothing/readme.txt", "x", 1);
    refuse("\"%s/nothing\"", none, LF_EDATA, "no pictures and no class folders");
    refuse("\"%s/nowhere\"", none, LF_ENOTFOUND, "nowhere: no such file or folder");
    refuse("\"%s/flat/a.pgm\"", none, LF_EDATA, "not a data set that is known by its look; expected IDX files");
    refuse("{\"path\": \"%s/flat/a.pgm\", \"format\": \"image_folder\"}", none, LF_EDATA,
           "is a file; expected a folder");
    refuse("{\"path\": \"%s/flat\", \"format\": \"zip\"}", none, LF_EUSAGE,
           "unknown format 'zip'; expected one of 'idx', 'parquet', 'image_folder'");
    refuse("{\"path\": \"%s/flat\", \"spilt\": \"train\"}", none, LF_EUSAGE, "unknown key 'spilt'");
    refuse("{\"path\": \"%s/flat\", \"split\": 3}", none, LF_EUSAGE, "'split': expected a string");
    refuse("{\"path\": \"%s/hollow\", \"labels\": \"x\"}", none, LF_EUSAGE, "'labels' is for IDX files");
    refuse("{\"format\": \"idx\"}", none, LF_EUSAGE, "expected a path");
    refuse("3", none, LF_EUSAGE, "train_data: expected a path");
}

static void test_text_named_jpg(void **state) {
    (void)state;
    put_bytes("liar/a/photo.jpg", "This is no picture.\n", 20);
    lf_err err = {0};
    lf_dataset *d;
    lf_image img;
    assert_ok(open_as(&d, "\"%s/liar\"", (lf_dataset_opts){0}, &err), err);
    const lf_status rc = lf_dataset_image(d, 0, &img, &err);
    assert_says(rc, LF_EDATA, err, "liar/a/photo.jpg: not a picture that can be decoded");
    lf_dataset_free(d);
    char path[300]; /* opened, a pipe would wait for its writer */
    snprintf(path, sizeof path, "%s/liar/a/pipe.jpg", scratch);
    assert_int_equal(mkfifo(path, 0600), 0);
    err = (lf_err){0};
    assert_says(lf_image_load(&img, path, &err), LF_EDATA, err,
                "liar/a/pipe.jpg: not a picture that can be decoded: it is not a file");
}

static void test_links(void **state) {
    (void)state;
    put_picture("links/a/x.pgm", 2, 2, 1);
    put_picture("outside/y.pgm", 2, 2, 2);
    put_picture("links/a/sub/z.pgm", 2, 2, 3);
    char target[512];
    snprintf(target, sizeof target, "%s/outside", scratch);
    assert_int_equal(symlink(target, in_scratch("links/b")), 0);          /* a class that is a link */
    assert_int_equal(symlink("..", in_scratch("links/a/sub/up")), 0);     /* circles */
    assert_int_equal(symlink("../..", in_scratch("links/a/sub/top")), 0); /* would bring b's pictures into a, once */
    assert_int_equal(symlink("x.pgm", in_scratch("links/a/same.pgm")), 0);
    lf_err err = {0};
    lf_dataset *d;
    assert_ok(open_as(&d, "\"%s/links\"", (lf_dataset_opts){0}, &err), err);
    int counts[2] = {0};
    for (int64_t i = 0; i < lf_dataset_count(d); i++) counts[lf_dataset_label(d, i)]++;
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 1);
    lf_dataset_free(d);
}

static void test_unlabelled(void **state) {
    (void)state;
    put_picture("loose/a.pgm", 2, 2, 1);
    put_picture("loose/more/b.pgm", 2, 2, 2);
    put_bytes("loose/c.txt", "x", 1);
    lf_err err = {0};
    lf_dataset *d;
    const lf_dataset_opts opts = {.unlabelled = true};
    assert_ok(open_as(&d, "\"%s/loose\"", opts, &err), err);
    assert_int_equal(lf_dataset_count(d), 2);
    assert_int_equal(lf_dataset_label(d, 1), -1);
    assert_int_equal(lf_dataset_n_classes(d), 0);
    lf_dataset *held;
    assert_ok(lf_dataset_split(d, 0.5, 1, &held, &err), err);
    assert_int_equal(lf_dataset_count(held), 1);
    lf_dataset_free(d);
    lf_dataset_free(held);
    assert_ok(open_as(&d, "\"%s/loose/more/b.pgm\"", opts, &err), err);
    assert_int_equal(lf_dataset_count(d), 1);
    assert_int_equal(level_of(d, 0), 2);
    lf_dataset_free(d);
    put_bytes("bare/c.txt", "x", 1);
    refuse("\"%s/bare\"", opts, LF_EDATA, "bare: no pictures");
}

/* ---- IDX ------------------------------------------------------------------------------------------------------------
 */

static size_t idx_header(unsigned char *out, uint32_t magic, const uint32_t *dims) {
    const uint32_t n = magic & 0xff;
    for (uint32_t i = 0; i <= n; i++) {
        const uint32_t v = i ? dims[i - 1] : magic;
        for (uint32_t b = 0; b < 4; b++) out[4 * i + b] = (unsigned char)(v >> (24 - 8 * b));
    }
    return 4 * (n + 1);
}

/* n pictures of 3 x 2, picture i all of level i; labels i % 3. */
static size_t idx_images(unsigned char *out, uint32_t n) {
    const size_t header = idx_header(out, 0x803, (const uint32_t[]){n, 3, 2});
    for (uint32_t i = 0; i < n; i++) memset(out + header + 6 * i, (int)i, 6);
    return header + 6 * (size_t)n;
}

static size_t idx_labels(unsigned char *out, uint32_t n) {
    const size_t header = idx_header(out, 0x801, (const uint32_t[]){n});
    for (uint32_t i = 0; i < n; i++) out[header + i] = (unsigned char)(i % 3);
    return header + n;
}

static void put_gzip(const char *name, const void *bytes, size_t size) {
    put_bytes(name, "", 0);
    gzFile f = gzopen(in_scratch(name), "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(f), Z_OK);
}

static void test_idx(void **state) {
    (void)state;
    unsigned char bytes[1024];
    put_gzip("mnist/train-images-idx3-ubyte.gz", bytes, idx_images(bytes, 7));
    put_gzip("mnist/train-labels-idx1-ubyte.gz", bytes, idx_labels(bytes, 7));
    put_bytes("mnist/t10k-images-idx3-ubyte", bytes, idx_images(bytes, 2));
    put_gzip("mnist/t10k-labels-idx1-ubyte.gz", bytes, idx_labels(bytes, 2));
    lf_err err = {0};
    lf_dataset *d;
    char name[512];
    assert_ok(open_as(&d, "\"%s/mnist\"", (lf_dataset_opts){.split = "train"}, &err), err);
    assert_int_equal(lf_dataset_count(d), 7);
    assert_int_equal(lf_dataset_n_classes(d), 3);
    assert_string_equal(lf_dataset_class_name(d, 2), "2");
    assert_int_equal(level_of(d, 5), 5);
    assert_int_equal(lf_dataset_label(d, 5), 2);
    assert_true(ends(lf_dataset_example_name(d, 5, name, sizeof name), "train-images-idx3-ubyte.gz[5]"));
    lf_image img;
    assert_ok(lf_dataset_image(d, 0, &img, &err), err);
    assert_int_equal(img.height, 3);
    assert_int_equal(img.width, 2);
    lf_image_free(&img);
    lf_dataset_free(d);
    assert_ok(open_as(&d, "\"%s/mnist\"", (lf_dataset_opts){.split = "test"}, &err), err);
    assert_int_equal(lf_dataset_count(d), 2);
    lf_dataset_free(d);
    assert_ok(open_as(&d, "\"%s/mnist/t10k-images-idx3-ubyte\"", (lf_dataset_opts){.split = "train"}, &err), err);
    assert_int_equal(lf_dataset_count(d), 2);
    lf_dataset_free(d);
    assert_true(has_split("%s/mnist", "train") && has_split("%s/mnist", "test"));
    assert_false(has_split("%s/mnist", "val"));
    refuse("\"%s/mnist\"", (lf_dataset_opts){.split = "val"}, LF_ENOTFOUND,
           "no IDX files of the split 'val'; there is 't10k-images-idx3-ubyte', 'train-images-idx3-ubyte.gz'");
    refuse("\"%s/mnist\"", (lf_dataset_opts){0}, LF_EUSAGE, "say which one by \"split\"");
    refuse("{\"path\": \"%s/mnist\", \"split\": \"train\", \"label_field\": \"x\"}", (lf_dataset_opts){0}, LF_EUSAGE,
           "'label_field' is for a metadata.csv");
    refuse("{\"path\": \"%s/mnist\", \"split\": \"train\", \"image_field\": \"x\"}", (lf_dataset_opts){0}, LF_EUSAGE,
           "'image_field' names a column of Parquet files; ");
    refuse("{\"path\": \"%s/mnist/t10k-images-idx3-ubyte\", \"labels\": \"%s/mnist/train-labels-idx1-ubyte.gz\"}",
           (lf_dataset_opts){0}, LF_EDATA, "expected 2 labels, one for each picture in");
    refuse("{\"path\": \"%s/mnist/t10k-images-idx3-ubyte\", \"labels\": \"%s/mnist/t10k-images-idx3-ubyte\"}",
           (lf_dataset_opts){0}, LF_EDATA,
           "expected the magic number 0x00000801 of an IDX file of labels, found 0x00000803");
}

static void refuse_images(const void *bytes, size_t size, const char *says) {
    put_bytes("odd/x-images-idx3-ubyte", bytes, size);
    refuse("\"%s/odd/x-images-idx3-ubyte\"", (lf_dataset_opts){.unlabelled = true}, LF_EDATA, says);
}

static void test_idx_that_is_damaged(void **state) {
    (void)state;
    unsigned char bytes[1024];
    size_t size = idx_images(bytes, 4);
    refuse_images(bytes, size - 1, "4 pictures of 3 x 2: expected 24 bytes after the header, found 23");
    refuse_images(bytes, 12, "header is cut short: expected 16 bytes, found 12");
    refuse_images(bytes, 2, "expected the magic number 0x00000803");
    refuse_images("", 0, "found 0x00000000 (0 bytes)");
    const uint32_t huge[] = {0xffffffff, 0xffff, 0xffff}, wrap[] = {0x80000000, 0x8000, 0x1000}, none[] = {0, 3, 2};
    size = idx_header(bytes, 0x803, huge);
    refuse_images(bytes, size, "expected at least one, of 1 to");
    /* height times width is no 64-bit number, or comes out small if it is taken for one */
    static const uint32_t sizes[][3] = {
        {2, 0xffffffff, 0xffffffff}, {2, 0x80000000, 0x80000000}, {1, 1, 0xffffffff}, {1, 0xffffffff, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size = idx_header(bytes, 0x803, sizes[i]);
        refuse_images(bytes, size, "expected at least one, of 1 to");
    }
    size = idx_header(bytes, 0x803, wrap);
    refuse_images(bytes, size, "bytes after the header, found 0");
    size = idx_header(bytes, 0x803, none);
    refuse_images(bytes, size, "0 pictures of 3 x 2");
    put_gzip("odd/whole-images-idx3-ubyte.gz", bytes, idx_images(bytes, 4));
    char *packed;
    size_t packed_size;
    assert_int_equal(lf_file_read(&packed, &packed_size, in_scratch("odd/whole-images-idx3-ubyte.gz"), NULL), LF_OK);
    refuse_images(packed, packed_size / 2, "gzip");
    lf_free(packed);
    put_bytes("lonely/train-images-idx3-ubyte", bytes, idx_images(bytes, 4));
    refuse("\"%s/lonely\"", (lf_dataset_opts){0}, LF_ENOTFOUND, "no labels file beside it, expected");
}

/* ---- samples and splits ---------------------------------------------------------------------------------------------
 */

static void put_numbered(void) {
    unsigned char bytes[2048];
    put_bytes("many/train-images-idx3-ubyte", bytes, idx_images(bytes, 100));
    put_bytes("many/train-labels-idx1-ubyte", bytes, idx_labels(bytes, 100));
}

static void test_max_samples(void **state) {
    (void)state;
    put_numbered();
    lf_err err = {0};
    int first[10], changed = 0;
    for (uint64_t seed = 0; seed < 3; seed++)
        for (int again = 0; again < 2; again++) {
            lf_dataset *d;
            assert_ok(open_as(&d, "\"%s/many\"", (lf_dataset_opts){.max_samples = 10, .seed = seed}, &err), err);
            assert_int_equal(lf_dataset_count(d), 10);
            for (int i = 0; i < 10; i++) {
                const int level = level_of(d, i);
                assert_int_equal(lf_dataset_label(d, i), level % 3);
                if (i) assert_true(level > level_of(d, i - 1));
                if (again)
                    assert_int_equal(level, first[i]);
                else if (seed)
                    changed += level != first[i];
                first[i] = level;
            }
            lf_dataset_free(d);
        }
    assert_true(changed > 5);
}

/* Of each class as many, or all that there are: of 100 numbers class 0 has 34, the others 33. */
static void test_balanced_sample(void **state) {
    (void)state;
    put_numbered();
    lf_err err = {0};
    static const int wanted[] = {9, 10, 99, 1};
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
        lf_dataset *d, *plain;
        int by_class[3] = {0}, moved = 0;
        const lf_dataset_opts o = {.max_samples = wanted[w], .seed = 4};
        lf_dataset_opts balanced = o;
        balanced.balanced = true;
        assert_ok(open_as(&d, "\"%s/many\"", balanced, &err), err);
        assert_ok(open_as(&plain, "\"%s/many\"", o, &err), err);
        assert_int_equal(lf_dataset_count(d), wanted[w]);
        for (int i = 0; i < wanted[w]; i++) {
            by_class[lf_dataset_label(d, i)]++;
            moved += level_of(d, i) != level_of(plain, i);
            if (i) assert_true(level_of(d, i) > level_of(d, i - 1));
        }
        for (int c = 0; c < 3; c++) assert_true(by_class[c] == wanted[w] / 3 || by_class[c] == (wanted[w] + 2) / 3);
        assert_true(moved > 0 || wanted[w] != 9); /* a plain draw is not so even */
        lf_dataset_free(d);
        lf_dataset_free(plain);
    }
}

static void test_split_is_stratified(void **state) {
    (void)state;
    put_numbered();
    lf_err err = {0};
    lf_dataset *d, *held;
    bool seen[100] = {0};
    int by_class[3] = {0};
    assert_ok(open_as(&d, "\"%s/many\"", (lf_dataset_opts){0}, &err), err);
    assert_ok(lf_dataset_split(d, 0.2, 5, &held, &err), err);
    assert_int_equal(lf_dataset_count(held), 20);
    assert_int_equal(lf_dataset_count(d), 80);
    for (int64_t i = 0; i < 20; i++) {
        const int level = level_of(held, i);
        assert_int_equal(lf_dataset_label(held, i), level % 3);
        by_class[level % 3]++;
        seen[level] = true;
    }
    for (int c = 0; c < 3; c++) assert_in_range(by_class[c], 6, 7); /* a fifth of 34, 33, 33 */
    for (int64_t i = 0; i < 80; i++) {
        const int level = level_of(d, i);
        assert_false(seen[level]);
        seen[level] = true;
    }
    lf_dataset_free(d);
    assert_int_equal(level_of(held, 0) % 3, lf_dataset_label(held, 0)); /* outlives its sibling */
    const int first = level_of(held, 0), last = level_of(held, 19);
    lf_dataset_free(held);
    assert_ok(open_as(&d, "\"%s/many\"", (lf_dataset_opts){0}, &err), err);
    assert_ok(lf_dataset_split(d, 0.2, 5, &held, &err), err);
    assert_true(level_of(held, 0) == first && level_of(held, 19) == last);
    lf_dataset_free(held);
    assert_says(lf_dataset_split(d, 0.001, 5, &held, &err), LF_EDATA, err, "holds nothing out of 80 examples");
    assert_says(lf_dataset_split(d, 1, 5, &held, &err), LF_EUSAGE, err, "above 0 and below 1, found 1");
    lf_dataset_free(d);
}

/* One after the other; classes by their names, sorted over all. */
static void test_list_of_folders(void **state) {
    (void)state;
    put_picture("first/train/dog/a.pgm", 2, 2, 1);
    put_picture("first/train/ant/a.pgm", 2, 2, 2);
    put_picture("first/val/dog/a.pgm", 2, 2, 9);
    put_picture("second/cat/a.pgm", 2, 2, 3);
    put_picture("second/dog/a.pgm", 2, 2, 4);
    static const char *const names[] = {"ant", "cat", "dog"};
    static const int levels[] = {2, 1, 3, 4}, labels[] = {0, 2, 1, 2};
    lf_err err = {0};
    lf_dataset *d, *held;
    lf_fingerprint before, after;
    char name[512];
    assert_ok(open_as(&d, "[\"%s/first\", \"%s/second\"]", (lf_dataset_opts){.split = "train"}, &err), err);
    assert_int_equal(lf_dataset_count(d), 4);
    assert_int_equal(lf_dataset_n_classes(d), 3);
    for (int i = 0; i < 3; i++) assert_string_equal(lf_dataset_class_name(d, i), names[i]);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(level_of(d, i), levels[i]);
        assert_int_equal(lf_dataset_label(d, i), labels[i]);
    }
    assert_true(ends(lf_dataset_example_name(d, 3, name, sizeof name), "/second/dog/a.pgm"));
    assert_ok(lf_dataset_fingerprint(&before, d, false, &err), err);
    assert_ok(lf_dataset_split(d, 0.5, 1, &held, &err), err);
    lf_dataset_free(d);
    assert_true(level_of(held, 0) > 0); /* what it is of lives as long as it does */
    lf_dataset_free(held);
    put_picture("second/dog/a.pgm", 2, 2, 5);
    assert_ok(open_as(&d, "[\"%s/first\", \"%s/second\"]", (lf_dataset_opts){.split = "train"}, &err), err);
    assert_ok(lf_dataset_fingerprint(&after, d, false, &err), err);
    assert_int_not_equal(before.bytes && strcmp(before.hash, after.hash), 0);
    lf_dataset_free(d);
    assert_ok(open_as(&d, "[\"%s/second\"]", (lf_dataset_opts){.split = "train"}, &err), err);
    assert_int_equal(lf_dataset_count(d), 2);
    lf_dataset_free(d);
    refuse("[\"%s/first\", \"%s/nowhere\"]", (lf_dataset_opts){.split = "train"}, LF_ENOTFOUND, "nowhere");
    refuse("{\"path\": [\"%s/first\", \"%s/second\"], \"format\": \"idx\"}", (lf_dataset_opts){0}, LF_EDATA, "first");
}

static void test_out_of_memory(void **state) {
    (void)state;
    put_picture("small/a/x.pgm", 2, 2, 1);
    put_picture("small/b/y.pgm", 2, 2, 1);
    put_numbered();
    put_picture("other/a/x.pgm", 2, 2, 1);
    const char *const specs[] = {"\"%s/small\"", "\"%s/many\"", "[\"%s/many\", \"%s/other\"]"};
    for (int i = 0; i < 3; i++) {
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k++) {
            char text[512];
            lf_err err = {0};
            lf_dataset *d = NULL, *held = NULL;
            snprintf(text, sizeof text, specs[i], scratch, scratch);
            cJSON *spec = cJSON_Parse(text);
            const lf_dataset_opts opts = {.spec = spec, .key = "train_data", .split = "train"};
            const int64_t live = lf_alloc_live();
            lf_alloc_fail_after(k);
            rc = lf_dataset_open(&d, &opts, &err);
            if (!rc) rc = lf_dataset_split(d, 0.5, 1, &held, &err);
            lf_alloc_fail_after(-1);
            /* Small classes of one picture each give none away; that is what is left when memory suffices. */
            if (rc == LF_EDATA && i == 0)
                rc = LF_OK;
            else if (rc && rc != LF_ENOMEM)
                fail_msg("allocation %d: %s", (int)k, err.message);
            lf_dataset_free(held);
            lf_dataset_free(d);
            assert_int_equal(lf_alloc_live(), live);
            cJSON_Delete(spec);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_relabelled),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_folders_that_are_refused),
        cmocka_unit_test(test_text_named_jpg),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_unlabelled),
        cmocka_unit_test(test_idx),
        cmocka_unit_test(test_idx_that_is_damaged),
        cmocka_unit_test(test_max_samples),
        cmocka_unit_test(test_balanced_sample),
        cmocka_unit_test(test_split_is_stratified),
        cmocka_unit_test(test_list_of_folders),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

/* Pictures in Parquet files: columns, classes, shards and splits, what is wrong, and a loader over them. */
#define _POSIX_C_SOURCE 200809L
#include "stderr_fixture.h"

#include "base/string.h"
#include "data/image/check.h"

#define GOLDEN LF_TEST_DIR "/golden/parquet/pictures/"

/* A spec in which '%' stands for the golden pictures and '$' for the scratch folder. */
static cJSON *spec_of(const char *spec) {
    lf_string text = {0};
    cJSON *json = NULL;
    for (const char *s = spec; *s; s++) {
        const char *put = *s == '%' ? GOLDEN : *s == '$' ? scratch : NULL;
        put ? lf_string_put(&text, put, strlen(put)) : lf_string_put(&text, s, 1);
    }
    assert_int_equal(lf_json_parse(&json, text.s, text.n, "spec", NULL), LF_OK);
    lf_string_free(&text);
    return json;
}

static lf_status try_open(lf_dataset **out, const char *spec, lf_dataset_opts o, lf_err *err) {
    cJSON *json = spec_of(spec);
    o.spec = json;
    o.key = "train_data";
    *out = NULL;
    const lf_status rc = lf_dataset_open(out, &o, err);
    cJSON_Delete(json);
    return rc;
}

static lf_dataset *open_spec(const char *spec, lf_dataset_opts o) {
    lf_err err = {0};
    lf_dataset *d;
    assert_ok(try_open(&d, spec, o, &err), err);
    return d;
}

static int level_at(const lf_dataset *d, int64_t i) {
    lf_image img;
    lf_err err = {0};
    assert_ok(lf_dataset_image(d, i, &img, &err), err);
    assert_int_equal(img.width, 3);
    assert_int_equal(img.height, 2);
    const int level = img.pixels[0];
    lf_image_free(&img);
    return level;
}

static void put_copy(const char *name, const char *of) {
    char *bytes;
    size_t n;
    assert_int_equal(lf_file_read(&bytes, &n, of, NULL), LF_OK);
    put_bytes(name, bytes, n);
    lf_free(bytes);
}

/* A copy with each `from` in it exchanged for `to`, which is as long. */
static void put_altered(const char *name, const char *of, const char *from, const char *to) {
    char *bytes;
    size_t n, found = 0;
    const size_t size = strlen(from);
    assert_int_equal(strlen(to), size);
    assert_int_equal(lf_file_read(&bytes, &n, of, NULL), LF_OK);
    for (size_t at = 0; at + size <= n; at++)
        if (!memcmp(bytes + at, from, size)) {
            memcpy(bytes + at, to, size);
            found++;
        }
    assert_true(found > 0);
    put_bytes(name, bytes, n);
    lf_free(bytes);
}

static void put_hub_folder(void) {
    put_copy("hub/data/train-00000-of-00002.parquet", GOLDEN "train-00000-of-00002.parquet");
    put_copy("hub/data/train-00001-of-00002.parquet", GOLDEN "train-00001-of-00002.parquet");
    put_copy("hub/data/test-00000-of-00001.parquet", GOLDEN "test-00000-of-00001.parquet");
    put_bytes("hub/README.md", "x", 1);
}

/* ---- what is in them -----------------------------------------------------------------------------------------------
 */

static void test_shards(void **state) {
    (void)state;
    put_hub_folder();
    static const struct {
        const char *spec, *split;
        int64_t n;
    } cases[] = {
        {"\"$/hub\"", "train", 12},
        {"\"$/hub\"", "test", 5},
        {"{\"path\": \"$/hub\", \"split\": \"test\"}", "train", 5},
        {"\"%train-*.parquet\"", NULL, 12},
        {"[\"%train-00000-of-00002.parquet\", \"%train-00001-of-00002.parquet\"]", "train", 12},
        {"{\"path\": \"%train-00000-of-00002.parquet\", \"format\": \"parquet\"}", "train", 8},
        {"{\"path\": \"%test-00000-of-00001.parquet\", \"label_field\": \"label\", \"image_field\": \"image\"}", NULL,
         5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_dataset *d = open_spec(cases[i].spec, (lf_dataset_opts){.split = cases[i].split});
        assert_int_equal(lf_dataset_count(d), cases[i].n);
        assert_int_equal(lf_dataset_n_classes(d), 3);
        assert_string_equal(lf_dataset_class_name(d, 0), "cat"); /* the order of the ClassLabel, not the sorted one */
        assert_string_equal(lf_dataset_class_name(d, 1), "dog");
        assert_string_equal(lf_dataset_class_name(d, 2), "bird");
        for (int64_t k = 0; k < cases[i].n; k++) {
            assert_int_equal(level_at(d, k), 10 * k);
            assert_int_equal(lf_dataset_label(d, k), k % 3);
        }
        lf_dataset_free(d);
    }
}

static void test_names(void **state) {
    (void)state;
    char name[700];
    lf_dataset *d = open_spec("\"%train-*.parquet\"", (lf_dataset_opts){0});
    assert_non_null(strstr(lf_dataset_example_name(d, 3, name, sizeof name), "train-00000-of-00002.parquet: row 3"));
    assert_non_null(strstr(lf_dataset_example_name(d, 9, name, sizeof name), "train-00001-of-00002.parquet: row 1"));
    assert_non_null(strstr(lf_dataset_path(d), "train-00000-of-00002.parquet and 1 more file"));
    lf_dataset_free(d);
}

static void test_splits(void **state) {
    (void)state;
    put_hub_folder();
    cJSON *spec = spec_of("\"$/hub\"");
    assert_true(lf_dataset_has_split(spec, "train"));
    assert_true(lf_dataset_has_split(spec, "test"));
    assert_false(lf_dataset_has_split(spec, "val"));
    cJSON_Delete(spec);
    spec = spec_of("\"%train-*.parquet\"");
    assert_false(lf_dataset_has_split(spec, "test"));
    cJSON_Delete(spec);
    put_copy("one/test-00000-of-00001.parquet", GOLDEN "test-00000-of-00001.parquet");
    lf_dataset *d = open_spec("\"$/one\"", (lf_dataset_opts){.unlabelled = true}); /* the only split that there is */
    assert_int_equal(lf_dataset_count(d), 5);
    assert_int_equal(lf_dataset_label(d, 0), -1);
    lf_dataset_free(d);
}

/* Columns that `datasets` says nothing of: bytes alone; texts and bare numbers as labels. */
static void test_plain_columns(void **state) {
    (void)state;
    lf_dataset *d = open_spec("{\"path\": \"%plain.parquet\", \"image_field\": \"picture\", \"label_field\": \"kind\"}",
                              (lf_dataset_opts){0});
    static const int32_t kinds[] = {2, 0, 2, 1}; /* pear, apple, pear, fig in sorted order */
    assert_int_equal(lf_dataset_n_classes(d), 3);
    assert_string_equal(lf_dataset_class_name(d, 0), "apple");
    for (int64_t i = 0; i < 4; i++) assert_int_equal(lf_dataset_label(d, i), kinds[i]);
    assert_int_equal(level_at(d, 1), 8);
    lf_image img;
    lf_err err = {0};
    assert_says(lf_dataset_image(d, 2, &img, &err), LF_EDATA, err,
                "plain.parquet: row 2: the picture is not in the file");
    assert_says(lf_dataset_image(d, 3, &img, &err), LF_EDATA, err, "plain.parquet: row 3: ");
    lf_dataset_free(d);
    d = open_spec("{\"path\": \"%plain.parquet\", \"image_field\": \"picture\", \"label_field\": \"n\"}",
                  (lf_dataset_opts){0});
    assert_int_equal(lf_dataset_n_classes(d), 3);
    assert_string_equal(lf_dataset_class_name(d, 2), "2");
    assert_int_equal(lf_dataset_label(d, 1), 2);
    lf_dataset_free(d);
}

/* Several classes a picture, by what column; "#": by ClassLabel. What each is of: "a+b|c". */
static void test_several(void **state) {
    (void)state;
    static const struct {
        const char *keys, *classes, *are;
    } cases[] = {
        {"", "cat|dog|bird|", "cat+bird||dog|bird|"},
        {", \"label_field\": \"tags\"", "x|y|z|", "x+y|x||z|"},
        {", \"label_field\": \"joined\", \"label_separator\": \"|\"", "a|b|c|", "a+b|a||c|"},
        {", \"label_columns\": [\"sun\", \"rain\"]", "sun|rain|", "sun+rain||sun|rain|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[300], classes[100] = "", are[100] = "";
        float values[4];
        snprintf(spec, sizeof spec, "{\"path\": \"%%several.parquet\"%s}", cases[i].keys);
        lf_dataset *d = open_spec(spec, (lf_dataset_opts){0});
        assert_true(lf_dataset_several(d) && lf_dataset_count(d) == 4 && level_at(d, 2) == 3);
        for (int64_t c = 0; c < lf_dataset_n_classes(d); c++) {
            strcat(classes, lf_dataset_class_name(d, c));
            strcat(classes, "|");
        }
        for (int64_t k = 0; k < 4; k++) {
            const char *between = "";
            lf_dataset_values(d, k, values);
            for (int64_t c = 0; c < lf_dataset_n_classes(d); c++) {
                if (!(values[c] > 0)) continue;
                strcat(strcat(are, between), lf_dataset_class_name(d, c));
                between = "+";
            }
            strcat(are, "|");
        }
        assert_string_equal(classes, cases[i].classes);
        assert_string_equal(are, cases[i].are);
        lf_dataset_free(d);
    }
    lf_err err = {0};
    lf_dataset *d;
    cJSON *spec = spec_of("{\"path\": \"%several.parquet\", \"label_columns\": [\"sun\", \"odd\"]}");
    const lf_dataset_opts o = {.spec = spec, .key = "data"};
    assert_says(lf_dataset_open(&d, &o, &err), LF_EDATA, err,
                "several.parquet: row 2: expected 0 or 1 in the column 'odd' (label_columns), found another number");
    cJSON_Delete(spec);
}

static void test_label_map(void **state) {
    (void)state;
    lf_dataset *d = open_spec("{\"path\": \"%test-00000-of-00001.parquet\", \"label_map\": {\"cat\": \"pet\", \"dog\": "
                              "\"pet\", \"bird\": \"fowl\"}}",
                              (lf_dataset_opts){0});
    assert_int_equal(lf_dataset_n_classes(d), 2);
    lf_dataset_free(d);
}

/* ---- several files -------------------------------------------------------------------------------------------------
 */

#define NO_ROWS "%no-rows.parquet"
#define PART_0  "%train-00000-of-00002.parquet"
#define PART_1  "%train-00001-of-00002.parquet"

/* A file without rows adds nothing, wherever it stands; one that is given twice is there twice. Both are said. */
static void test_files_that_are_odd(void **state) {
    (void)state;
    static const struct {
        const char *spec;
        int64_t n;
        const char *says; /* NULL: not a word */
    } cases[] = {
        {"[\"" PART_0 "\", \"" PART_1 "\"]", 12, NULL},
        {"[\"" NO_ROWS "\", \"" PART_0 "\"]", 8, "pictures/no-rows.parquet has no rows; the other files are read"},
        {"[\"" PART_0 "\", \"" NO_ROWS "\", \"" PART_1 "\"]", 12, "pictures/no-rows.parquet has no rows"},
        {"[\"" PART_0 "\", \"" NO_ROWS "\"]", 8, "pictures/no-rows.parquet has no rows"},
        {"[\"$/n1.pq\", \"" PART_0 "\", \"" NO_ROWS "\"]", 8, "2 files have no rows, "},
        {"[\"" PART_0 "\", \"" PART_1 "\", \"" PART_0 "\"]", 20,
         "train-00000-of-00002.parquet is in the list twice, so all that it holds is there twice"},
    };
    put_copy("n1.pq", GOLDEN "no-rows.parquet");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hear_begin(LF_LOG_WARN);
        lf_dataset *d = open_spec(cases[i].spec, (lf_dataset_opts){0});
        assert_heard(hear_end(), cases[i].says);
        assert_int_equal(lf_dataset_count(d), cases[i].n);
        assert_int_equal(lf_dataset_n_classes(d), 3);
        for (int64_t k = 0; k < cases[i].n; k++) assert_int_equal(level_at(d, k), 10 * (k % 12));
        lf_dataset_free(d);
    }
}

/* An extension in capitals is one. */
static void test_capitals(void **state) {
    (void)state;
    put_copy("big/train-00000-of-00002.PARQUET", GOLDEN "train-00000-of-00002.parquet");
    put_copy("big/train-00001-of-00002.PARQUET", GOLDEN "train-00001-of-00002.parquet");
    put_copy("big/test.Pq", GOLDEN "test-00000-of-00001.parquet");
    static const struct {
        const char *spec, *split;
        int64_t n;
    } cases[] = {{"\"$/big\"", "train", 12}, {"\"$/big\"", "test", 5}, {"\"$/big/test.Pq\"", NULL, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_dataset *d = open_spec(cases[i].spec, (lf_dataset_opts){.split = cases[i].split});
        assert_int_equal(lf_dataset_count(d), cases[i].n);
        lf_dataset_free(d);
    }
}

/* ---- what is wrong -------------------------------------------------------------------------------------------------
 */

static void test_what_is_wrong(void **state) {
    (void)state;
    put_copy("cut/train-00000-of-00002.parquet", GOLDEN "train-00000-of-00002.parquet");
    put_bytes("text.parquet", "no", 2);
    put_bytes("saved/state.json", "{}", 2);
    put_bytes("saved/dataset_info.json", "{}", 2);
    put_bytes("saved/data-00000-of-00001.arrow", "x", 1);
    put_bytes("a.arrow", "ARROW1\0\0", 8);
    put_bytes("a.zip", "PK\3\4", 4);
    put_altered("latin.parquet", GOLDEN "plain.parquet", "pear", "p\xe9\xe8r");
    static const struct {
        const char *spec;
        lf_status status;
        const char *says;
    } cases[] = {
        {"\"%plain.parquet\"", LF_EDATA,
         "plain.parquet: no column is known; columns that can hold a picture: 'picture', 'kind'; name one with "
         "{\"path\": ..., \"image_field\": ...}"},
        {"{\"path\": \"%plain.parquet\", \"image_field\": \"photo\"}", LF_EDATA, "there is no such column"},
        {"{\"path\": \"%plain.parquet\", \"image_field\": \"picture\"}", LF_EDATA, "columns that can hold a label: "},
        {"{\"path\": \"%plain.parquet\", \"image_field\": \"picture\", \"label_field\": \"bad\"}", LF_EDATA,
         "plain.parquet: row 1: the label is -1, which stands for none"},
        {"{\"path\": \"%plain.parquet\", \"image_field\": \"n\"}", LF_EDATA, "there is no such column"},
        {"{\"path\": \"%plain.parquet\", \"labels\": \"x\"}", LF_EUSAGE, "label_field names the column"},
        {"[\"%test-00000-of-00001.parquet\", \"%plain.parquet\"]", LF_EDATA, "plain.parquet: no column is known"},
        {"\"$/cut\"", LF_EDATA, "found 1 shards of the split 'train'"},
        {"\"$/text.parquet\"", LF_EDATA, "no Parquet file"},
        {"\"$/none-*.parquet\"", LF_ENOTFOUND, "no file matches"},
        {"{\"path\": \"$/none-*\", \"format\": \"image_folder\"}", LF_EUSAGE,
         "is for Parquet files, not for format 'image_folder'"},
        {"{\"path\": [\"$/gone\", \"b\"], \"format\": \"image_folder\"}", LF_ENOTFOUND, "gone"},
        {"[\"" NO_ROWS "\", \"" NO_ROWS "\"]", LF_EDATA, "no-rows.parquet and 1 more file: nothing in it"},
        {"[\"" PART_0 "\", \"%plain.parquet\", \"" NO_ROWS "\"]", LF_EDATA, "plain.parquet: no column is known"},
        {"[]", LF_EUSAGE, "expected a path, a list of paths"},
        {"\"$/saved\"", LF_EDATA, "save_to_disk of `datasets` writes them"},
        {"\"$/a.arrow\"", LF_EDATA, "this is Arrow; turn it into Parquet"},
        {"\"$/a.zip\"", LF_EDATA, "this is a zip archive; unpack it"},
        {"{\"path\": \"$/latin.parquet\", \"image_field\": \"picture\", \"label_field\": \"kind\"}", LF_EDATA,
         "latin.parquet: the name of the class 'p\\xe9\\xe8r' is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lf_err err = {0};
        lf_dataset *d;
        assert_says(try_open(&d, cases[i].spec, (lf_dataset_opts){.split = "train"}, &err), cases[i].status, err,
                    cases[i].says);
        assert_null(d);
    }
}

/* ---- served --------------------------------------------------------------------------------------------------------
 */

/* Every picture once an epoch, whatever the number of workers. */
static void test_loader(void **state) {
    (void)state;
    lf_image_processor processor;
    lf_image_processor_default(&processor, 4, 4, 1);
    for (int64_t workers = 1; workers <= 3; workers += 2) {
        lf_err err = {0};
        lf_loader *l;
        const lf_batch *b;
        int64_t seen[12] = {0};
        lf_dataset *d = open_spec("\"%train-*.parquet\"", (lf_dataset_opts){0});
        const lf_loader_opts o = {
            .batch_size = 5, .workers = workers, .shuffle = true, .seed = 3, .processor = &processor, .epochs = 2};
        assert_ok(lf_loader_new(&l, d, &o, &err), err);
        for (;;) {
            assert_ok(lf_loader_next(l, &b, &err), err);
            if (!b) break;
            for (int64_t i = 0; i < b->B; i++) {
                seen[b->indices[i]]++;
                assert_int_equal(b->labels[i], b->indices[i] % 3);
                const float wanted = ((float)(10 * b->indices[i]) / 255 - 0.5f) / 0.5f;
                assert_true(b->pixels[16 * i] - wanted < 1e-5f && wanted - b->pixels[16 * i] < 1e-5f);
            }
        }
        for (int i = 0; i < 12; i++) assert_int_equal(seen[i], 2);
        lf_loader_free(l);
        lf_dataset_free(d);
    }
}

/* Before a run: by what the pictures say of themselves, and decoded. */
static void test_check(void **state) {
    (void)state;
    lf_dataset *d = open_spec("{\"path\": \"%plain.parquet\", \"image_field\": \"picture\"}",
                              (lf_dataset_opts){.unlabelled = true});
    for (int decode = 0; decode < 2; decode++) {
        lf_err err = {0};
        lf_checked found;
        const lf_check_opts o = {.workers = 2, .decode = decode};
        assert_ok(lf_dataset_check(&found, d, &o, &err), err);
        assert_int_equal(found.pictures, 4);
        assert_int_equal(found.damaged, 2);
        assert_non_null(strstr(found.first.message, "plain.parquet: row 2: the picture is not in the file"));
    }
    lf_dataset_free(d);
}

/* Which pictures were checked: other files, another order of them where a sample is drawn, another column. */
static void test_check_identity(void **state) {
    (void)state;
    put_hub_folder();
    static const struct {
        const char *spec;
        int64_t max_samples;
        int same; /* as which case before; -1: as none */
    } cases[] = {
        {"[\"" PART_0 "\", \"" PART_1 "\"]", 4, -1},
        {"[\"" PART_1 "\", \"" PART_0 "\"]", 4, -1},
        {"\"%train-*.parquet\"", 4, 0},
        {"\"$/hub\"", 4, 0}, /* elsewhere */
        {"{\"path\": \"$/hub\", \"image_field\": \"image\"}", 4, 0},
        {"[\"" PART_0 "\", \"" PART_1 "\"]", 5, -1},
        {"[\"" PART_0 "\", \"" PART_1 "\"]", 0, -1},
        {"[\"" PART_1 "\", \"" PART_0 "\"]", 0, -1}, /* the first that is damaged is another */
        {"[\"" PART_0 "\", \"" PART_0 "\"]", 4, -1},
        {"{\"path\": \"%plain.parquet\", \"image_field\": \"picture\"}", 0, -1},
        {"{\"path\": \"%plain.parquet\", \"image_field\": \"kind\"}", 0, -1},
    };
    enum { N = sizeof cases / sizeof *cases };
    char is[N][160];
    for (int i = 0; i < N; i++) {
        const lf_dataset_opts o = {.unlabelled = true, .max_samples = cases[i].max_samples, .seed = 3};
        lf_dataset *d = open_spec(cases[i].spec, o);
        lf_dataset_check_identity(d, true, is[i], sizeof is[i]);
        lf_dataset_free(d);
        for (int k = 0; k < i; k++)
            if ((strcmp(is[i], is[k]) == 0) !=
                (cases[i].same == k || (cases[i].same >= 0 && cases[i].same == cases[k].same)))
                fail_msg("%s and %s: %s, %s", cases[i].spec, cases[k].spec, is[i], is[k]);
    }
}

static void test_fingerprint(void **state) {
    (void)state;
    lf_err err = {0};
    lf_fingerprint a, b;
    lf_dataset *d = open_spec("\"%train-*.parquet\"", (lf_dataset_opts){0});
    assert_ok(lf_dataset_fingerprint(&a, d, false, &err), err);
    assert_int_equal(a.files, 2);
    lf_dataset_free(d);
    d = open_spec("\"%train-00000-of-00002.parquet\"", (lf_dataset_opts){0});
    assert_ok(lf_dataset_fingerprint(&b, d, false, &err), err);
    assert_int_equal(b.files, 1);
    assert_string_not_equal(a.hash, b.hash);
    lf_dataset_free(d);
}

static void test_failing_allocations(void **state) {
    (void)state;
    static const char *const specs[] = {
        "\"%train-*.parquet\"",
        "{\"path\": \"%plain.parquet\", \"image_field\": \"picture\", \"label_field\": \"kind\"}"};
    for (size_t f = 0; f < sizeof specs / sizeof *specs; f++) {
        const int64_t before = lf_alloc_live();
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k++) {
            lf_err err = {0};
            lf_dataset *d = NULL;
            lf_image img = {0};
            cJSON *spec = spec_of(specs[f]);
            const lf_dataset_opts o = {.spec = spec, .key = "train_data"};
            lf_alloc_fail_after(k);
            rc = lf_dataset_open(&d, &o, &err);
            if (!rc) rc = lf_dataset_image(d, 1, &img, &err);
            lf_alloc_fail_after(-1);
            if (rc && rc != LF_ENOMEM) fail_msg("%s after %lld: %s", specs[f], (long long)k, err.message);
            lf_image_free(&img);
            lf_dataset_free(d);
            cJSON_Delete(spec);
            assert_int_equal(lf_alloc_live(), before);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_splits),        cmocka_unit_test(test_plain_columns),
        cmocka_unit_test(test_several),       cmocka_unit_test(test_label_map),
        cmocka_unit_test(test_what_is_wrong), cmocka_unit_test(test_loader),
        cmocka_unit_test(test_check),         cmocka_unit_test(test_files_that_are_odd),
        cmocka_unit_test(test_capitals),      cmocka_unit_test(test_check_identity),
        cmocka_unit_test(test_fingerprint),   cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

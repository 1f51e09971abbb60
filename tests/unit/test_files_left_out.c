/* What lies in a folder of pictures and is none: counted by kind, and said in one warning for the data set. */
#define _POSIX_C_SOURCE 200809L
#include "data_fixture.h"

#include <fcntl.h>
#include <strings.h>

#include "data/image/internal.h"

/* All that opening `path` says on stderr; the data set is freed. */
static const char *opened(const char *path, bool unlabelled, lf_status wanted, int64_t pictures, lf_err *err) {
    static char said[4096];
    char *bytes = NULL;
    size_t size = 0;
    cJSON *spec = cJSON_CreateString(in_scratch(path));
    const lf_dataset_opts opts = {.spec = spec, .key = "train_data", .unlabelled = unlabelled};
    const int kept = dup(2), to = open(in_scratch("stderr"), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    lf_dataset *d = NULL;
    assert_true(kept >= 0 && to >= 0 && dup2(to, 2) == 2);
    lf_log_set_level(LF_LOG_WARN);
    const lf_status rc = lf_dataset_open(&d, &opts, err);
    lf_log_set_level(LF_LOG_QUIET);
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    close(to);
    assert_int_equal(rc, wanted);
    if (!rc) assert_int_equal(lf_dataset_count(d), pictures);
    lf_dataset_free(d);
    cJSON_Delete(spec);
    lf_err read_err = {0};
    assert_ok(lf_file_read(&bytes, &size, in_scratch("stderr"), &read_err), read_err);
    snprintf(said, sizeof said, "%s", bytes);
    lf_free(bytes);
    return said;
}

static void says(const char *said, const char *text) {
    if (!strstr(said, text)) fail_msg("'%s' does not say '%s'", said, text);
}

/* One file of each: whatever is not read is in the count, and what is read plus what is counted is all. */
static void test_a_file_of_each_extension(void **state) {
    (void)state;
    static const char *const extensions[] = {"jpg",  "jpeg", "png", "bmp", "gif", "ppm", "pgm", "tga",  "heic",
                                             "avif", "jxl",  "psd", "svg", "pdf", "raw", "cr2", "dng",  "npy",
                                             "mp4",  "txt",  "csv", "zip", "TXT", "ico", "exr", "json", "xcf"};
    enum { N = sizeof extensions / sizeof *extensions };
    int64_t pictures = 0;
    char name[64], expected[64];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "each/class/f%d.%s", i, extensions[i]);
        put_bytes(name, "x", 1);
        pictures += lf_image_has_extension(name);
    }
    lf_err err = {0};
    const char *said = opened("each", false, LF_OK, pictures, &err);
    snprintf(expected, sizeof expected, "/each: %d files left out: 2 .txt, 1 .", N - (int)pictures);
    says(said, "warning: train_data: ");
    says(said, expected);
    says(said, "; read are jpg, jpeg, ");
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%d .%s", strcasecmp(extensions[i], "txt") ? 1 : 2, extensions[i]);
        if (!lf_image_has_extension(name) && strcmp(extensions[i], "TXT")) says(said, name);
    }
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
}

static void test_kinds(void **state) {
    (void)state;
    static const struct {
        const char *folder, *files[7]; /* below "<folder>/", beside a picture */
        const char *left_out;          /* NULL: nothing is said */
    } cases[] = {
        {"none", {NULL}, NULL},
        {"systems",
         {".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.heic", "__MACOSX/._a.heic", "@eaDir/b.bin"},
         NULL},
        {"mixed", {"a.HEIC", "b.heic", "c.Heic", "d.avif"}, "4 files left out: 3 .heic, 1 .avif; read are jpg"},
        {"bare", {"README", "n02085620_7", "trailing."}, "3 files left out: 3 no extension; read are"},
        {"deep", {"x/y/z.avif", "x/y.avif", "w.avif"}, "3 files left out: 3 .avif; read are"},
        {"lists", {"metadata.csv", "notes.txt"}, "2 files left out: 1 .csv, 1 .txt; read are"},
        {"one", {"z.tar.gz"}, "1 file left out: 1 .gz; read are"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int unlabelled = 0; unlabelled < 2; unlabelled++) {
            char name[128];
            snprintf(name, sizeof name, "%s/class/p.pgm", cases[c].folder);
            put_picture(name, 2, 2, 1);
            for (int i = 0; i < 7 && cases[c].files[i]; i++) {
                snprintf(name, sizeof name, "%s/class/%s", cases[c].folder, cases[c].files[i]);
                put_bytes(name, "x", 1);
            }
            lf_err err = {0};
            const char *said = opened(cases[c].folder, unlabelled, LF_OK, 1, &err);
            if (cases[c].left_out)
                says(said, cases[c].left_out);
            else
                assert_string_equal(said, "");
        }
}

/* Classes' files are counted together; an error names those of its own class. */
static void test_classes(void **state) {
    (void)state;
    put_picture("zoo/cat/p.pgm", 2, 2, 1);
    put_bytes("zoo/cat/a.heic", "x", 1);
    put_picture("zoo/dog/p.pgm", 2, 2, 1);
    put_bytes("zoo/dog/a.heic", "x", 1);
    put_bytes("zoo/bear.heic", "x", 1); /* beside the classes */
    put_bytes("zoo/README.md", "x", 1);
    lf_err err = {0};
    says(opened("zoo", false, LF_OK, 2, &err), "/zoo: 4 files left out: 3 .heic, 1 .md; read are");
    put_bytes("zoo/emu/a.avif", "x", 1);
    put_bytes("zoo/emu/b.avif", "x", 1);
    opened("zoo", false, LF_EDATA, 0, &err);
    says(err.message, "zoo/emu: the class folder is empty of pictures, but 2 .avif; expected some (jpg, ");
    err = (lf_err){0};
    opened("zoo/emu", true, LF_EDATA, 0, &err);
    says(err.message, "zoo/emu: no pictures (jpg, ");
    says(err.message, "), but 2 .avif");
}

static void test_out_of_memory(void **state) {
    (void)state;
    put_picture("poor/class/p.pgm", 2, 2, 1);
    put_bytes("poor/class/a.heic", "x", 1);
    cJSON *spec = cJSON_CreateString(in_scratch("poor"));
    const lf_dataset_opts opts = {.spec = spec, .key = "train_data"};
    const int64_t live = lf_alloc_live();
    lf_status rc = LF_ENOMEM;
    for (int64_t k = 0; rc; k++) {
        lf_dataset *d = NULL;
        lf_alloc_fail_after(k);
        rc = lf_dataset_open(&d, &opts, NULL);
        lf_alloc_fail_after(-1);
        assert_true(rc == LF_OK || rc == LF_ENOMEM);
        lf_dataset_free(d);
        assert_int_equal(lf_alloc_live(), live);
    }
    cJSON_Delete(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_of_each_extension),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

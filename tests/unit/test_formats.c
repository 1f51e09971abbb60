/* Every format as PIL has it: each golden picture, upright and without alpha, byte for byte; and what is not read, or
 * not whole, by name. */
#define _POSIX_C_SOURCE 200809L
#include "data_fixture.h"

#include "data/image/internal.h"

static int formats_open(void **state) {
    (void)state;
    lf_log_set_level(LF_LOG_QUIET);
    return lf_safetensors_open(&golden, LF_TEST_DIR "/golden/pictures.safetensors", NULL) ? -1 : 0;
}

/* The i-th file of the golden pictures, and its name; NULL at the end. */
static const lf_st_tensor *golden_file(int64_t *i, char *name, size_t size) {
    for (; *i < lf_safetensors_count(golden); ++*i) {
        const lf_st_tensor *t = lf_safetensors_at(golden, *i);
        if (strncmp(t->name, "file.", 5)) continue;
        snprintf(name, size, "%s", t->name + 5);
        ++*i;
        return t;
    }
    return NULL;
}

static void test_files_decode_as_pil(void **state) {
    (void)state;
    char name[64], pixels[80];
    const lf_st_tensor *t;
    int n = 0, wrong = 0;
    for (int64_t i = 0; (t = golden_file(&i, name, sizeof name)); n++) {
        lf_err err = {0};
        lf_image got = {0}, rgb = {0};
        lf_status rc = lf_image_decode(&got, t->data, t->size, name, &err);
        if (!rc) rc = lf_image_convert(&rgb, &got, 3, &err);
        snprintf(pixels, sizeof pixels, "pixels.%s", name);
        lf_image want = golden_image(pixels);
        int most = 0;
        if (rc)
            print_error("%s\n", err.message);
        else if (rgb.width != want.width || rgb.height != want.height)
            print_error("%s: %d x %d, expected %d x %d\n", name, rgb.width, rgb.height, want.width, want.height);
        else {
            for (size_t k = 0; k < lf_image_bytes(want.width, want.height, 3); k++)
                if (abs(rgb.pixels[k] - want.pixels[k]) > most) most = abs(rgb.pixels[k] - want.pixels[k]);
            if (most) print_error("%s: differs by %d levels\n", name, most);
        }
        wrong += rc || most || rgb.width != want.width || rgb.height != want.height;
        lf_image_free(&got);
        lf_image_free(&rgb);
        lf_image_free(&want);
    }
    assert_in_range(n, 100, 1000);
    assert_int_equal(wrong, 0);
}

/* ---- what is not whole, or damaged ---- */

static bool same(const lf_image *got, const char *name) {
    char pixels[80];
    lf_image rgb, want;
    lf_err err = {0};
    snprintf(pixels, sizeof pixels, "pixels.%s", name);
    assert_ok(lf_image_convert(&rgb, got, 3, &err), err);
    want = golden_image(pixels);
    const bool yes = rgb.width == want.width && rgb.height == want.height &&
                     !memcmp(rgb.pixels, want.pixels, lf_image_bytes(want.width, want.height, 3));
    lf_image_free(&rgb);
    lf_image_free(&want);
    return yes;
}

/* Cut anywhere, a file is refused, or what was cut away is not needed: never is anything made up. The last decimal of a
 * text may lose a digit and nobody can tell. */
static void test_a_cut_file_makes_nothing_up(void **state) {
    (void)state;
    char name[64];
    const lf_st_tensor *t;
    int read = 0, refused = 0;
    for (int64_t i = 0; (t = golden_file(&i, name, sizeof name));) {
        const bool text = !strncmp(name, "plain-", 6);
        for (size_t size = 0; size + (text ? 3 : 0) < t->size; size += 1 + t->size / 300) {
            unsigned char *part = lf_malloc(size + !size); /* as long as it says, for a sanitizer */
            lf_err err = {0};
            lf_image got = {0};
            memcpy(part, t->data, size);
            const lf_status rc = lf_image_decode(&got, part, size, name, &err);
            lf_free(part);
            if (rc) {
                assert_says(rc, LF_EDATA, err, name);
                assert_null(got.pixels);
            } else if (!same(&got, name))
                fail_msg("%s cut to %zu of %zu bytes has other pixels", name, size, t->size);
            lf_image_free(&got);
            read += !rc;
            refused += rc != LF_OK;
        }
    }
    assert_true(refused > 20 * read); /* animations and pages end after their first picture */
}

/* Libraries print what they think of a file; none of it is to be seen. */
static void test_damage_is_quiet_and_does_not_crash(void **state) {
    (void)state;
    char name[64], said[16];
    const lf_st_tensor *t;
    const int64_t live = lf_alloc_live();
    const lf_rng_key key = lf_rng_make(11, LF_RNG_TEST, 0);
    uint64_t draw = 0;
    FILE *f = tmpfile();
    const int kept = dup(2);
    assert_true(f && kept >= 0 && dup2(fileno(f), 2) >= 0);
    int read = 0, refused = 0, other = 0;
    for (int64_t i = 0; (t = golden_file(&i, name, sizeof name));) {
        unsigned char *bytes = lf_malloc(t->size);
        for (int round = 0; round < 60; round++) {
            memcpy(bytes, t->data, t->size);
            const uint64_t hits = 1 + lf_rng_below(key, draw++, 5);
            for (uint64_t h = 0; h < hits; h++) {
                const uint64_t at = lf_rng_below(key, draw++, round & 1 && t->size > 64 ? 64 : t->size);
                bytes[at] = (unsigned char)lf_rng_below(key, draw++, 256);
            }
            lf_image got = {0};
            const lf_status rc = lf_image_decode(&got, bytes, t->size, name, NULL);
            read += rc == LF_OK;
            refused += rc == LF_EDATA;
            other += rc != LF_OK && rc != LF_EDATA && rc != LF_ENOMEM;
            lf_image_free(&got);
        }
        lf_free(bytes);
    }
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    rewind(f);
    const size_t n = fread(said, 1, sizeof said - 1, f);
    said[n] = 0;
    fclose(f);
    assert_string_equal(said, "");
    assert_true(read > 100 && refused > 1000);
    assert_int_equal(other, 0);
    assert_int_equal(lf_alloc_live(), live);
}

static void test_out_of_memory(void **state) {
    (void)state;
    char name[64];
    const lf_st_tensor *t;
    for (int64_t i = 0; (t = golden_file(&i, name, sizeof name));) {
        const int64_t live = lf_alloc_live();
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k++) {
            lf_image img;
            lf_alloc_fail_after(k);
            rc = lf_image_decode(&img, t->data, t->size, name, NULL);
            lf_alloc_fail_after(-1);
            assert_int_equal(rc, rc ? LF_ENOMEM : LF_OK);
            assert_true(rc || k > 0);
            lf_image_free(&img);
            if (lf_alloc_live() != live) fail_msg("%s: %d blocks are left", name, (int)(lf_alloc_live() - live));
        }
    }
}

/* ---- what is refused ---- */

static void refuse(const void *bytes, size_t size, const char *name, const char *reason) {
    lf_err err = {0};
    lf_image img;
    const lf_status rc = lf_image_decode(&img, bytes, size, name, &err);
    if (!rc) fail_msg("%s is read", name);
    assert_null(img.pixels);
    if (strncmp(err.message, name, strlen(name))) fail_msg("'%s' does not begin with %s", err.message, name);
    assert_says(rc, LF_EDATA, err, reason);
}

static void test_what_is_not_read_is_named(void **state) {
    (void)state;
    static const struct {
        const char *name, *reason;
    } cases[] = {{"grey-wide.png", "the PNG is grey of 16 bits, which PIL cuts off at 255; convert it to 8 bits"},
                 {"grey-wide.tif", "a TIFF of 1 samples of 16 bits"},
                 {"grey-wide.pgm", "the PNM is grey of more than 8 bits, which PIL cuts off at 255"},
                 {"signed.tif", "a TIFF of 1 samples of 32 bits, SampleFormat 2"},
                 {"fractions.tif", "a TIFF of 1 samples of 32 bits, SampleFormat 3"},
                 {"lab.tif", "a TIFF of 3 samples of 8 bits, SampleFormat 1, PhotometricInterpretation 8"},
                 {"luma.tif", "PhotometricInterpretation 6, Compression 1, PlanarConfiguration 1; convert it to 8-bit"},
                 {"premultiplied-grey.tif", "a TIFF of 2 samples of 8 bits"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        snprintf(name, sizeof name, "refused.%s", cases[i].name);
        const lf_st_tensor *t = golden_get(name);
        refuse(t->data, t->size, cases[i].name, cases[i].reason);
    }
}

/* A golden file with some bytes exchanged. */
static void refuse_altered(const char *file, size_t at, const char *bytes, size_t n, const char *reason) {
    char name[64];
    snprintf(name, sizeof name, "file.%s", file);
    const lf_st_tensor *t = golden_get(name);
    unsigned char *copy = lf_malloc(t->size);
    memcpy(copy, t->data, t->size);
    memcpy(copy + at, bytes, n);
    refuse(copy, t->size, file, reason);
    lf_free(copy);
}

static size_t find(const char *file, const char *bytes, size_t n) {
    char name[64];
    snprintf(name, sizeof name, "file.%s", file);
    const lf_st_tensor *t = golden_get(name);
    for (size_t at = 0; at + n <= t->size; at++)
        if (!memcmp((const char *)t->data + at, bytes, n)) return at;
    fail_msg("%s: no such bytes", file);
    return 0;
}

/* What a file claims costs memory before its first pixel is read. */
static void test_bombs(void **state) {
    (void)state;
    const size_t width = find("grey.tif", "\0\1\4\0\1\0\0\0", 8), tile = find("tiles.tif", "\x42\1", 2);
    refuse_altered("grey.tif", width + 8, "\xff\xff\xff\x7f", 4, "the size is out of range");
    refuse_altered("grey.tif", width + 8, "\0\0\1\0\1\1\4\0\1\0\0\0\0\0\1\0", 16,
                   "65536 x 65536 pixels: expected 1 to");
    refuse_altered("grey.tif", width + 8, "\0\x40\0\0\1\1\4\0\1\0\0\0\0\x20\0\0", 16,
                   "16384 x 8192 pixels in a file of");
    refuse_altered("tiles.tif", tile + 2, "\4\0\1\0\0\0\0\x40\0\0\x43\1\4\0\1\0\0\0\0\x40\0\0", 22,
                   "16384 x 16384 pixels: exp");
    refuse_altered("animated.webp", find("animated.webp", "VP8X", 4) + 12, "\xff\x3f\0\xff\x3f\0", 6,
                   "16384 x 16384 pixels: exp");
    refuse_altered("part.gif", 6, "\xff\xff\xff\xff", 4, "65535 x 65535 pixels");
    refuse("P4 40000 40000 ", 15, "a.pbm", "the PNM rows are not all there");
    refuse("P1 16777216 16777216 1", 22, "a.pbm", "the PNM rows are not all there");
}

static void test_reasons(void **state) {
    (void)state;
    refuse("II*\0\0\0\0\0", 8, "a.tif", "not a picture that can be decoded: TIFF: ");
    refuse("MM\0*\0\0\0\x08", 8, "a.tif", "TIFF: a.tif: Can not read TIFF directory count");
    refuse("RIFF\4\0\0\0WEBP", 12, "a.webp", "the WebP");
    refuse("RIFF\x10\0\0\0WEBPVP8 \4\0\0\0abcd", 24, "a.webp", "the WebP");
    refuse("GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x2c\1\0;", 29, "a.gif",
           "the GIF's pixel data end before its last");
    refuse("GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x3c\1\0;", 29, "a.gif", "the GIF's pixel data are damaged");
    refuse("GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\x09\2\x4c\1\0;", 29, "a.gif", "codes of no size that there is");
    refuse("GIF89a\1\0\1\0\0\0\0,\0\0\0\0\0\0\1\0\0\2\2\x4c\1\0;", 29, "a.gif", "has no pixels");
    refuse("P2 2 1 9\n3 x", 12, "a.pgm", "a PNM value is no number");
    refuse("P2 2 1 9\n3 10 ", 14, "a.pgm", "larger than the largest");
    refuse("P1 4 1 1 012", 12, "a.pbm", "a PNM value is no number, or larger");
    refuse("P3 1 1 9\n1 2 ", 13, "a.ppm", "the PNM values are not all there");
    refuse("P7 1 1", 6, "a.pnm", "it does not begin like one of JPEG, PNG, WebP, TIFF, BMP, GIF, PNM");
    for (int bits = 3; bits < 256; bits++) {
        const bool read = bits == 4 || bits == 8;
        const char byte = (char)bits;
        char reason[64];
        snprintf(reason, sizeof reason, "a TIFF of 1 samples of %d bits", bits);
        if (!read) refuse_altered("grey.tif", find("grey.tif", "\2\1\3\0\1\0\0\0", 8) + 8, &byte, 1, reason);
    }
    const size_t of_colours = find("colours-raw.tiff", "\x08\0\x08\0\x08\0", 6);
    refuse_altered("colours-raw.tiff", of_colours, "\x18\0\x18\0\x18\0", 6, "a TIFF of 3 samples of 24 bits");
    refuse_altered("colours-raw.tiff", of_colours, "\x0c\0\x0c\0\x0c\0", 6, "a TIFF of 3 samples of 12 bits");
    refuse_altered("colours-raw.tiff", find("colours-raw.tiff", "\3\1\3\0\1\0\0\0", 8) + 8, "\x34\x12", 2,
                   "Compression 4660");
}

/* ---- names and turns ---- */

static void test_extensions(void **state) {
    (void)state;
    static const char *const read[] = {"a.jpg",  "a.JPEG", "a.jpe", "a.jif",  "a.Jfif", "a.png",
                                       "a.webp", "a.WebP", "a.tif", "a.TIFF", "a.bmp",  "a.dib",
                                       "a.gif",  "a.ppm",  "a.pgm", "a.pbm",  "a.pnm",  "a.tga"};
    static const char *const not_read[] = {"a.heic", "a.avif", "a.jp2", "a.jxl", "a.svg",
                                           "a.pfm",  "a.pam",  "a",     "jpg",   "a.jpgx"};
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        if (!lf_image_has_extension(read[i])) fail_msg("%s", read[i]);
    for (size_t i = 0; i < sizeof not_read / sizeof *not_read; i++)
        if (lf_image_has_extension(not_read[i])) fail_msg("%s", not_read[i]);
}

static void test_orientation_blocks(void **state) {
    (void)state;
#define ENTRY(type, count, value) "II*\0\x08\0\0\0\1\0\x12\1" type "\0" count "\0\0\0" value "\0\0\0\0\0\0"
    static const struct {
        const char *bytes;
        size_t size;
        int orientation;
    } cases[] = {
        {ENTRY("\3", "\1", "\6\0"), 26, 6},
        {"Exif\0\0" ENTRY("\3", "\1", "\6\0"), 32, 6},
        {"Exif\0\0Exif\0\0" ENTRY("\3", "\1", "\6\0"), 38, 6},
        {ENTRY("\4", "\1", "\5\0"), 26, 5},
        {ENTRY("\3", "\2", "\6\0"), 26, 0},   /* two numbers */
        {ENTRY("\2", "\1", "\6\0"), 26, 0},   /* text */
        {ENTRY("\x63", "\1", "\6\0"), 26, 0}, /* no type that there is */
        {ENTRY("\3", "\1", "\0\6"), 26, 0},   /* 1536 */
        {ENTRY("\3", "\1", "\6\0"), 12, 0},   /* cut in front of the type */
        {ENTRY("\3", "\1", "\6\0"), 9, 0},
        {ENTRY("\3", "\1", "\6\0"), 4, 0},
        {"", 0, 0},
        {"Exif\0\0", 6, 0},
        {"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x08\0\0\0\0\0\0", 26, 8},
        {"MM\0*\xff\xff\xff\xff\0\1\1\x12\0\3\0\0\0\1\0\x08\0\0\0\0\0\0", 26, 0}, /* a directory beyond the end */
        {"IM*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22, 0},
        {"II*\0\x08\0\0\0\xff\xff\0\1\3\0\1\0\0\0\6\0\0\0", 22, 0}, /* more entries than there are */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char *copy = lf_malloc(cases[i].size + !cases[i].size);
        memcpy(copy, cases[i].bytes, cases[i].size);
        const int found = lf_exif_orientation(copy, cases[i].size);
        if (found != cases[i].orientation) fail_msg("case %zu: %d, expected %d", i, found, cases[i].orientation);
        lf_free(copy);
    }
    static const struct {
        const char *text;
        int orientation;
    } texts[] = {{"<a tiff:Orientation=\"6\"/>", 6},
                 {"<tiff:Orientation>3</tiff:Orientation>", 3},
                 {"tiff:Orientation", 0},
                 {"tiff:Orientation=\"", 0},
                 {"tiff:Orientation=\"x\"", 0},
                 {"", 0},
                 {"tiff:Orientation tiff:Orientation>8<", 8}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(lf_xmp_orientation((const unsigned char *)texts[i].text, strlen(texts[i].text)),
                         texts[i].orientation);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_decode_as_pil),
        cmocka_unit_test(test_a_cut_file_makes_nothing_up),
        cmocka_unit_test(test_damage_is_quiet_and_does_not_crash),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_what_is_not_read_is_named),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_orientation_blocks),
    };
    return cmocka_run_group_tests(tests, formats_open, golden_close);
}

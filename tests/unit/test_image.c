/* Pictures from bytes: what PIL reads we read, and what is damaged is refused by name. */
#define _POSIX_C_SOURCE 200809L
#include "data_fixture.h"

#include <pthread.h>
#include <zlib.h>

#include "data/image/internal.h"

static int largest_difference(const lf_image *a, const lf_image *b) {
    int most = 0;
    for (size_t i = 0; i < lf_image_bytes(a->width, a->height, a->channels); i++) {
        const int d = abs(a->pixels[i] - b->pixels[i]);
        if (d > most) most = d;
    }
    return most;
}

/* Every byte as PIL has it. For JPEG too: the standard leaves rounding and the colours' upsampling to the decoder, but
 * libjpeg-turbo's accurate integer transform and smooth upsampling are exact integer arithmetic, and the same in
 * the 3.x that Pillow's wheels hold as in Debian's 2.1. */
static const char *const files[] = {"png",
                                    "png_alpha",
                                    "png_grey",
                                    "png_grey_alpha",
                                    "png_palette",
                                    "bmp",
                                    "gif",
                                    "ppm",
                                    "pgm",
                                    "tga",
                                    "jpeg",
                                    "jpeg_420",
                                    "jpeg_422",
                                    "jpeg_tall_420",
                                    "jpeg_one_pixel",
                                    "jpeg_progressive_420",
                                    "jpeg_progressive_422",
                                    "jpeg_grey",
                                    "jpeg_restarts",
                                    "jpeg_unconverted_rgb",
                                    "jpeg_cmyk"};
enum { N_FILES = sizeof files / sizeof *files };

static const lf_st_tensor *bytes_of(const char *file) {
    char name[64];
    snprintf(name, sizeof name, "file.%s", file);
    return golden_get(name);
}

static const lf_st_tensor *file_bytes(size_t i) { return bytes_of(files[i]); }

static const char *file_name(size_t i) { return !strcmp(files[i], "tga") ? "a.tga" : "a.jpg"; }

static void test_formats_decode_as_pil(void **state) {
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        lf_err err = {0};
        lf_image got;
        char name[64];
        const lf_st_tensor *t = file_bytes(i);
        assert_ok(lf_image_decode(&got, t->data, t->size, file_name(i), &err), err);
        snprintf(name, sizeof name, "pixels.%s", files[i]);
        lf_image want = golden_image(name);
        assert_int_equal(got.width, want.width);
        assert_int_equal(got.height, want.height);
        assert_int_equal(got.channels, want.channels);
        if (largest_difference(&got, &want) > 0)
            fail_msg("%s: differs by %d levels", files[i], largest_difference(&got, &want));
        lf_image_free(&got);
        lf_image_free(&want);
    }
}

static void test_truncated_files_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        const lf_st_tensor *t = file_bytes(i);
        const size_t cuts[] = {t->size / 2, t->size * 3 / 4, 30, 10, 3, 1};
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
            lf_err err = {0};
            lf_image got;
            unsigned char *part = lf_malloc(cuts[c]); /* exactly as long, so that reading on is seen by a sanitizer */
            memcpy(part, t->data, cuts[c]);
            const lf_status rc = lf_image_decode(&got, part, cuts[c], file_name(i), &err);
            lf_free(part);
            if (!rc) fail_msg("%s cut to %zu of %zu bytes is taken for whole", files[i], cuts[c], t->size);
            assert_says(rc, LF_EDATA, err, file_name(i));
            assert_null(got.pixels);
        }
    }
}

/* Nothing is promised about the pixels of a damaged file, but no damage may crash or leak. */
static void test_damaged_files_do_not_crash(void **state) {
    (void)state;
    const int64_t live = lf_alloc_live();
    const lf_rng_key key = lf_rng_make(7, LF_RNG_TEST, 0);
    uint64_t draw = 0;
    for (size_t i = 0; i < N_FILES; i++) {
        const lf_st_tensor *t = file_bytes(i);
        unsigned char *bytes = lf_malloc(t->size);
        for (int round = 0; round < 300; round++) {
            memcpy(bytes, t->data, t->size);
            const uint64_t hits = 1 + lf_rng_below(key, draw++, 6);
            for (uint64_t h = 0; h < hits; h++) {
                const uint64_t at = lf_rng_below(key, draw++, round & 1 ? 64 : t->size);
                bytes[at] = (unsigned char)lf_rng_below(key, draw++, 256);
            }
            lf_image got = {0};
            lf_err err = {0};
            const lf_status rc = lf_image_decode(&got, bytes, t->size, file_name(i), &err);
            assert_true(rc == LF_OK || rc == LF_EDATA || rc == LF_ENOMEM);
            lf_image_free(&got);
        }
        lf_free(bytes);
    }
    assert_int_equal(lf_alloc_live(), live);
}

static void refuse(const char *bytes, size_t size, const char *name, const char *reason) {
    lf_err err = {0};
    lf_image img;
    const lf_status rc = lf_image_decode(&img, (const unsigned char *)bytes, size, name, &err);
    assert_null(img.pixels);
    assert_says(rc, LF_EDATA, err, reason);
}

static void test_reasons(void **state) {
    (void)state;
    refuse("Hello, I am a text file.\n", 25, "cats/a.jpg", "cats/a.jpg: not a picture that can be decoded");
    refuse("Hello, I am a text file.\n", 25, "a.jpg", "set skip_bad_images to leave such files out");
    refuse("", 0, "a.png", "the file is empty");
    refuse("P5 4 4 65535\n0123456789abcdef0123456789abcdef", 45, "a.pgm", "the PNM is grey of more than 8 bits");
    refuse("P5 # a comment\n 2 2\n255\nabc", 27, "a.pgm", "not all there");
    refuse("P6 16777215 16777215 255\n", 25, "a.ppm", "not all there");
    refuse("\xff\xd8\xff", 3, "dogs/a.jpg", "dogs/a.jpg: not a picture that can be decoded: Premature end");
    refuse("\xff\xd8\xff\xe0\x00\x10", 6, "a.jpg", "Premature end of JPEG file");
    refuse("\xff\xd8\xff\xd9", 4, "a.jpg", "JPEG datastream contains no image");
    refuse("\xff\xd8\xff\xc4\x00\x13\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xd9", 25,
           "a.jpg", "Bogus Huffman table definition");
    refuse("\xff\xd8\xff\xc0\x00\x0e\x08\x00\x04\x00\x04\x02\x01\x11\x00\x02\x11\x00\xff\xda\x00\x0a\x02\x01\x00\x02"
           "\x00\x00"
           "\x3f\x00\xff\xd9",
           32, "a.jpg", "neither 1 (grey), 3 (colours) nor 4 (inks)");
    refuse(
        "\xff\xd8\xff\xc0\x00\x0b\x08\xff\x00\xff\x00\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\xd9",
        27, "a.jpg", "65280 x 65280 pixels: expected 1 to 178956970 pixels");
}

/* Every cut, also one that takes the end marker alone, as PIL has it. */
static void test_a_jpeg_cut_anywhere_is_refused(void **state) {
    (void)state;
    static const char *const kinds[] = {"jpeg_420", "jpeg_progressive_422", "jpeg_grey", "jpeg_cmyk"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const lf_st_tensor *t = bytes_of(kinds[i]);
        for (size_t size = 3; size < t->size; size++) refuse(t->data, size, "a.jpg", "; set skip_bad_images");
    }
}

/* What libjpeg would fill with grey, and only warn of. */
static void test_a_jpeg_with_a_hole_is_refused(void **state) {
    (void)state;
    const lf_st_tensor *t = bytes_of("jpeg_420");
    unsigned char *bytes = lf_malloc(t->size);
    memcpy(bytes, t->data, t->size);
    bytes[t->size - 200] = 0xff; /* an end marker in the middle of the scan */
    bytes[t->size - 199] = 0xd9;
    refuse((const char *)bytes, t->size, "a.jpg", "Corrupt JPEG data: premature end of data segment");
    lf_free(bytes);
}

/* Bytes too many behind the scan are harmless and common: libjpeg warns, PIL and we read it. */
static void test_a_jpeg_with_bytes_too_many_is_read(void **state) {
    (void)state;
    lf_err err = {0};
    const lf_st_tensor *t = bytes_of("jpeg_420");
    unsigned char *bytes = lf_calloc(1, t->size + 50);
    memcpy(bytes, t->data, t->size - 2);
    memcpy(bytes + t->size + 48, "\xff\xd9", 2);
    lf_image got, want = golden_image("pixels.jpeg_420");
    assert_ok(lf_image_decode(&got, bytes, t->size + 50, "a.jpg", &err), err);
    assert_int_equal(largest_difference(&got, &want), 0);
    lf_free(bytes);
    lf_image_free(&got);
    lf_image_free(&want);
}

/* The scan of a small file many times over: each goes over all the pixels. */
static void test_a_jpeg_of_too_many_scans_is_refused(void **state) {
    (void)state;
    static const unsigned char head[] = {0xff, 0xd8, 0xff, 0xdb, 0, 67, 0},
                               frame[] = {0xff, 0xc2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0},
                               table[] = {0xff, 0xc4, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                               scan[] = {0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0x00, 0x7f};
    enum { SCANS = 600, HEAD = sizeof head + 64 + sizeof frame + sizeof table };
    const size_t size = HEAD + SCANS * sizeof scan + 2;
    unsigned char *bytes = lf_malloc(size), *p = bytes;
    p = (unsigned char *)memcpy(p, head, sizeof head) + sizeof head;
    p = (unsigned char *)memset(p, 1, 64) + 64;
    p = (unsigned char *)memcpy(p, frame, sizeof frame) + sizeof frame;
    p = (unsigned char *)memcpy(p, table, sizeof table) + sizeof table;
    for (int i = 0; i < SCANS; i++) p = (unsigned char *)memcpy(p, scan, sizeof scan) + sizeof scan;
    memcpy(p, "\xff\xd9", 2);
    refuse((const char *)bytes, size, "a.jpg", "more than 500 scans");
    lf_free(bytes);
}

static void test_bomb_is_refused(void **state) {
    (void)state;
    const lf_st_tensor *t =
        bytes_of("bmp"); /* a BMP of 24 bits, here turned into one of 0 bits a pixel: rows need no bytes */
    unsigned char *bytes = lf_malloc(t->size);
    memcpy(bytes, t->data, t->size);
    const uint32_t side = 16000;
    memcpy(bytes + 18, &side, 4);
    memcpy(bytes + 22, &side, 4);
    refuse((const char *)bytes, t->size, "a.bmp", "not all there");
    lf_free(bytes);
    lf_image img = {0};
    lf_err err = {0};
    assert_says(lf_image_new(&img, 20000, 20000, 3, &err), LF_EDATA, err, "20000 x 20000");
    assert_null(img.pixels);
}

/* A PNG that is nothing but a header, written here with its right checksum. */
static void test_png_bomb_is_refused(void **state) {
    (void)state;
    static const unsigned char bomb[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0,    0, 0,    13,
                                         'I',  'H', 'D', 'R', 0,    0,    0x40, 0,    0,    0, 0x40, 0,
                                         8,    2,   0,   0,   0,    0x26, 0xaa, 0x87, 0xd3, 0, 0,    0,
                                         0,    'I', 'E', 'N', 'D',  0xae, 0x42, 0x60, 0x82};
    refuse((const char *)bomb, sizeof bomb, "a.png", "decompression bomb");
    unsigned char larger[sizeof bomb]; /* more than stb_image would look at */
    memcpy(larger, bomb, sizeof bomb);
    larger[16] = larger[20] = 0x40;
    const uLong sum = crc32(0, larger + 12, 17);
    for (int i = 0; i < 4; i++) larger[29 + i] = (unsigned char)(sum >> (24 - 8 * i));
    refuse((const char *)larger, sizeof larger, "a.png", "the PNG size is out of range");
    refuse((const char *)bomb, 20, "a.png", "the PNG header is cut short");
}

/* ---- PNG files made here ---- */

enum { PNG_HEADER = 33 };

static unsigned char *put_big_endian(unsigned char *to, uLong n) {
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(n >> (24 - 8 * i));
    return to + 4;
}

static unsigned char *put_chunk(unsigned char *to, const char *type, const void *data, size_t size) {
    put_big_endian(to, size);
    memcpy(to + 4, type, 4);
    if (size) memcpy(to + 8, data, size);
    return put_big_endian(to + 8 + size, crc32(0, to + 4, (uInt)(size + 4)));
}

typedef struct png_kind {
    unsigned char width, height, depth, colours, interlaced;
} png_kind;

/* `rows` packed and cut into chunks of at most `piece` bytes; lf_free. */
static unsigned char *make_png(size_t *size, const png_kind *p, const unsigned char *rows, size_t n, size_t piece) {
    uLongf packed_size = compressBound(n);
    unsigned char *packed = lf_malloc(packed_size);
    assert_int_equal(compress(packed, &packed_size, rows, n), Z_OK);
    unsigned char *png = lf_malloc(PNG_HEADER + packed_size + 12 * (packed_size / piece + 2)), *to = png + 8;
    memcpy(png, "\x89PNG\r\n\x1a\n", 8);
    to = put_chunk(
        to, "IHDR",
        (const unsigned char[]){0, 0, 0, p->width, 0, 0, 0, p->height, p->depth, p->colours, 0, 0, p->interlaced}, 13);
    for (size_t at = 0; at < packed_size; at += piece)
        to = put_chunk(to, "IDAT", packed + at, packed_size - at < piece ? packed_size - at : piece);
    to = put_chunk(to, "IEND", NULL, 0);
    lf_free(packed);
    *size = (size_t)(to - png);
    return png;
}

static void refuse_made(const png_kind *p, const unsigned char *rows, size_t n, size_t piece, const char *reason) {
    size_t size = 0;
    unsigned char *png = make_png(&size, p, rows, n, piece);
    refuse((const char *)png, size, "cats/a.png", reason);
    lf_free(png);
}

/* stb_image's own word: it reads so many bytes, and not one less. Files so small are not counted by us. */
static void stb_needs(const png_kind *p, const unsigned char *rows, size_t n) {
    size_t size = 0;
    lf_err err = {0};
    lf_image img;
    unsigned char *png = make_png(&size, p, rows, n, n);
    assert_ok(lf_image_decode(&img, png, size, "a.png", &err), err);
    lf_image_free(&img);
    lf_free(png);
    refuse_made(p, rows, n - 1, n, "not enough pixels");
}

/* What is in the compressed data is counted against the header, in each way that pixels are packed. The numbers of
 * bytes are from the specification: rows of whole bytes, each behind its filter, in up to seven passes. */
static void test_a_png_that_unpacks_to_more_than_its_pixels_is_refused(void **state) {
    (void)state;
    static const struct {
        png_kind kind;
        int bytes;
    } cases[] = {{{4, 4, 8, 2, 0}, 52}, {{4, 4, 8, 0, 0}, 20}, {{9, 3, 1, 0, 0}, 9},   {{9, 3, 2, 3, 0}, 12},
                 {{5, 2, 4, 0, 0}, 8},  {{5, 2, 8, 4, 0}, 22}, {{5, 2, 16, 4, 0}, 42}, {{5, 2, 16, 6, 0}, 82},
                 {{8, 8, 8, 0, 1}, 79}, {{1, 1, 8, 6, 1}, 5},  {{5, 3, 1, 0, 1}, 14},  {{3, 5, 16, 2, 1}, 100},
                 {{4, 1, 8, 0, 1}, 7}};
    const size_t n = 4 << 20;
    unsigned char *zeros = lf_calloc(1, n);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char reason[128];
        snprintf(reason, sizeof reason, "expected %d bytes unpacked for a PNG of %d x %d pixels, found more than %d (",
                 cases[i].bytes, cases[i].kind.width, cases[i].kind.height, cases[i].bytes + LF_IMAGE_FREE_PIXELS);
        refuse_made(&cases[i].kind, zeros, n, 1 << 20, reason);
        refuse_made(&cases[i].kind, zeros, n, 1000, reason); /* in chunks that alone are small enough */
        if (cases[i].kind.colours != 3) stb_needs(&cases[i].kind, zeros, (size_t)cases[i].bytes); /* no palette here */
    }
    lf_free(zeros);
}

/* It is counted and not kept: nothing is allocated that grows with what comes out. */
static void test_counting_a_png_takes_no_memory(void **state) {
    (void)state;
    const png_kind kind = {4, 4, 8, 2, 0};
    uint64_t calls[2];
    unsigned char *zeros = lf_calloc(1, 64 << 20);
    for (int i = 0; i < 2; i++) {
        size_t size = 0;
        unsigned char *png = make_png(&size, &kind, zeros, (size_t)(i ? 64 : 2) << 20, 1 << 20);
        const uint64_t before = lf_alloc_calls();
        refuse((const char *)png, size, "a.png", "decompression bomb");
        calls[i] = lf_alloc_calls() - before;
        lf_free(png);
    }
    lf_free(zeros);
    assert_int_equal(calls[0], calls[1]);
    assert_in_range(calls[0], 1, 2); /* zlib's state and its window */
}

/* Noise, so that the file is large enough to be counted; whole, with bytes too many, and with a row too few. */
static void test_a_png_of_noise_is_counted_and_read(void **state) {
    (void)state;
    enum { SIDE = 250, ROW = 1 + 3 * SIDE, BYTES = SIDE * ROW };
    const png_kind kind = {SIDE, SIDE, 8, 2, 0};
    unsigned char *rows = lf_calloc(1, BYTES + 1000);
    const lf_rng_key key = lf_rng_make(7, LF_RNG_TEST, 1);
    for (int i = 0; i < BYTES; i++) rows[i] = i % ROW ? (unsigned char)lf_rng_below(key, (uint64_t)i, 256) : 0;
    for (int more = 0; more <= 1000; more += 1000) {
        size_t size = 0;
        lf_err err = {0};
        lf_image img;
        unsigned char *png = make_png(&size, &kind, rows, (size_t)(BYTES + more), 777);
        assert_ok(lf_image_decode(&img, png, size, "a.png", &err), err);
        for (int y = 0; y < SIDE; y++) assert_memory_equal(img.pixels + y * (ROW - 1), rows + y * ROW + 1, ROW - 1);
        lf_image_free(&img);
        lf_alloc_fail_after(0);
        assert_says(lf_image_decode(&img, png, size, "a.png", &err), LF_ENOMEM, err, "unpacking a.png");
        lf_alloc_fail_after(-1);
        lf_free(png);
    }
    refuse_made(&kind, rows, BYTES - ROW, 777, "found 186999; is the file whole?; set skip_bad_images");
    lf_free(rows);
}

/* Checksums that are right around pixel data that are none; and a chunk in front of the header, which hid its size. */
static void test_a_png_of_damaged_pixel_data_is_refused(void **state) {
    (void)state;
    static const unsigned char zeros[4000];
    const png_kind kind = {4, 4, 8, 2, 0};
    size_t size = 0;
    unsigned char *png = make_png(&size, &kind, zeros, sizeof zeros, sizeof zeros), *end;
    unsigned char bytes[2 * 4096] = {0};
    memcpy(bytes, png, PNG_HEADER);
    end = put_chunk(bytes + PNG_HEADER, "IDAT", "\x78\x9c\x07", 3);
    end = put_chunk(end, "IDAT", zeros, 2000);
    end = put_chunk(end, "IEND", NULL, 0);
    refuse((const char *)bytes, (size_t)(end - bytes), "a.png", "the PNG's pixel data: invalid block type");
    end = put_chunk(bytes + 8, "CgBI", zeros, 4);
    memcpy(end, png + 8, size - 8);
    refuse((const char *)bytes, (size_t)(end - bytes) + size - 8, "a.png", "does not begin with its header chunk");
    lf_free(png);
}

/* What a file claims costs memory and time before its first pixel is read, so its own size bounds it. */
static void test_a_few_bytes_are_no_large_picture(void **state) {
    (void)state;
    unsigned char gif[] = {'G', 'I',  'F', '8', '9', 'a', 0x3a, 0x34, 0x3a, 0x34, 0x80, 0, 0, 0,    0, 0, 255, 255,
                           255, 0x2c, 0,   0,   0,   0,   1,    0,    1,    0,    0,    2, 2, 0x44, 1, 0, 0x3b};
    refuse((const char *)gif, sizeof gif, "a.gif", "13370 x 13370 pixels in a file of 35 bytes");
    lf_err err = {0};
    gif[6] = gif[8] = 0, gif[7] = gif[9] = 4; /* 1024 x 1024: any file may */
    lf_image img;
    assert_ok(lf_image_decode(&img, gif, sizeof gif, "a.gif", &err), err);
    assert_int_equal(img.width, 1024);
    lf_image_free(&img);
    assert_says(lf_image_check_size(16000, 8256, 16000, "a.png", &err), LF_OK, err, "");
    assert_says(lf_image_check_size(16001, 8256, 16000, "a.png", &err), LF_EDATA, err, "in a file of 16000 bytes");
}

enum { TGA_HEADER = 18 };

static void write_tga_header(unsigned char *to, int kind, int colours, int bits) {
    memset(to, 0, TGA_HEADER);
    to[1] = colours > 0, to[2] = (unsigned char)kind, to[5] = (unsigned char)colours, to[7] = colours ? 24 : 0;
    to[12] = 4, to[14] = 2, to[16] = (unsigned char)bits; /* 4 x 2 pixels */
}

/* Whole it is read, and cut by any number of bytes it is refused. */
static void whole_or_refused(const unsigned char *bytes, size_t size, const unsigned char *last_pixel) {
    lf_err err = {0};
    lf_image img;
    assert_ok(lf_image_decode(&img, bytes, size, "a.tga", &err), err);
    assert_true(img.width == 4 && img.height == 2 && img.channels == 3);
    assert_memory_equal(img.pixels + 3 * 3, last_pixel, 3); /* rows stand bottom up */
    lf_image_free(&img);
    for (size_t n = 1; n < size; n++) refuse((const char *)bytes, n, "a.tga", "TGA");
}

static void test_a_tga_cut_anywhere_is_refused(void **state) {
    (void)state;
    static const unsigned char run[] = {0x83, 1, 2, 3, 0x02, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x84, 13, 14, 15};
    static const unsigned char palette[] = {1, 2, 3, 4, 5, 6}, indices[] = {0, 0, 0, 0, 0, 0, 0, 1};
    unsigned char bytes[TGA_HEADER + 40];
    write_tga_header(bytes, 10, 0, 24);
    memcpy(bytes + TGA_HEADER, run, sizeof run);
    whole_or_refused(bytes, TGA_HEADER + sizeof run, (const unsigned char[]){15, 14, 13});
    write_tga_header(bytes, 1, 2, 8);
    memcpy(bytes + TGA_HEADER, palette, sizeof palette);
    memcpy(bytes + TGA_HEADER + sizeof palette, indices, sizeof indices);
    whole_or_refused(bytes, TGA_HEADER + sizeof palette + sizeof indices, (const unsigned char[]){6, 5, 4});
    bytes[3] = 1;
    refuse((const char *)bytes, sizeof bytes, "a.tga", "begins at another colour");
    write_tga_header(bytes, 10, 0, 24); /* 67 million pixels, and three bytes of them */
    bytes[12] = bytes[14] = 0x26, bytes[13] = bytes[15] = 0x20;
    refuse((const char *)bytes, TGA_HEADER + 3, "a.tga", "TGA rows are not all there");
}

static void test_one_flipped_bit_in_a_png_is_seen(void **state) {
    (void)state;
    const lf_st_tensor *t = bytes_of("png");
    unsigned char *bytes = lf_malloc(t->size);
    memcpy(bytes, t->data, t->size);
    bytes[t->size / 2] ^= 1;
    refuse((const char *)bytes, t->size, "a.png", "fails its checksum");
    lf_free(bytes);
}

static void test_luma_is_pils(void **state) {
    (void)state;
    lf_err err = {0};
    lf_image rgb = golden_image("src.rgb"), want = golden_image("rgb_as_grey"), got, back;
    assert_ok(lf_image_convert(&got, &rgb, 1, &err), err);
    assert_int_equal(largest_difference(&got, &want), 0);
    assert_ok(lf_image_convert(&back, &got, 3, &err), err);
    for (size_t i = 0; i < lf_image_bytes(rgb.width, rgb.height, 3); i++)
        assert_int_equal(back.pixels[i], got.pixels[i / 3]);
    lf_image_free(&rgb);
    lf_image_free(&want);
    lf_image_free(&got);
    lf_image_free(&back);
}

static void test_out_of_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        const lf_st_tensor *t = file_bytes(i);
        const int64_t live = lf_alloc_live();
        lf_status rc = LF_ENOMEM;
        for (int64_t k = 0; rc; k++) {
            lf_err err = {0};
            lf_image img;
            lf_alloc_fail_after(k);
            rc = lf_image_decode(&img, t->data, t->size, file_name(i), &err);
            lf_alloc_fail_after(-1);
            if (rc)
                assert_int_equal(rc, LF_ENOMEM);
            else
                assert_true(k > 0);
            lf_image_free(&img);
            assert_int_equal(lf_alloc_live(), live);
        }
    }
}

static void test_load_names_the_file(void **state) {
    (void)state;
    lf_err err = {0};
    lf_image img;
    assert_says(lf_image_load(&img, "/no/such/picture.png", &err), LF_ENOTFOUND, err, "/no/such/picture.png");
    assert_null(img.pixels);
}

/* ---- many large pictures at once ---- */

enum { WIDE = 5000, HIGH = 6000, WORKERS = 8 };
static const char large_head[] = "P5\n5000 6000\n255\n";
static const size_t large_size = sizeof large_head - 1 + (size_t)WIDE * HIGH;
static unsigned char *large; /* a PGM of 30 million pixels */

static void *decode_large(void *failed) {
    for (int i = 0; i < 2; i++) {
        lf_image a = {0}, b = {0};
        lf_err err = {0};
        /* who has one and waits for another must not wait for himself */
        if (lf_image_decode(&a, large, large_size, "a.pgm", &err) ||
            lf_image_decode(&b, large, large_size / (i ? 2 : 1), "b.pgm", &err) != (i ? LF_EDATA : LF_OK))
            *(bool *)failed = true;
        lf_image_free(&b);
        lf_image_free(&a);
    }
    return NULL;
}

/* Eight of them would take 1.4 GB, and each a second one. */
static void test_a_budget_for_all_workers(void **state) {
    (void)state;
    pthread_t threads[WORKERS];
    bool failed[WORKERS] = {false};
    int64_t now;
    large = lf_calloc(large_size, 1);
    assert_non_null(large);
    memcpy(large, large_head, sizeof large_head - 1);
    lf_image_leave(); /* where an earlier test asked for room and decoded nothing */
    lf_image_most_bytes(&now);
    assert_true(now == 0);
    for (int i = 0; i < WORKERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, decode_large, &failed[i]), 0);
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    const int64_t most = lf_image_most_bytes(&now);
    for (int i = 0; i < WORKERS; i++) assert_false(failed[i]);
    assert_true(now == 0); /* all is given back, by those that failed too */
    if (most > (int64_t)1 << 30 || most < 300 << 20) fail_msg("%lld bytes at once", (long long)most);
    lf_free(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_decode_as_pil),
        cmocka_unit_test(test_truncated_files_are_refused),
        cmocka_unit_test(test_damaged_files_do_not_crash),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_a_jpeg_cut_anywhere_is_refused),
        cmocka_unit_test(test_a_jpeg_with_a_hole_is_refused),
        cmocka_unit_test(test_a_jpeg_with_bytes_too_many_is_read),
        cmocka_unit_test(test_a_jpeg_of_too_many_scans_is_refused),
        cmocka_unit_test(test_bomb_is_refused),
        cmocka_unit_test(test_png_bomb_is_refused),
        cmocka_unit_test(test_a_png_that_unpacks_to_more_than_its_pixels_is_refused),
        cmocka_unit_test(test_counting_a_png_takes_no_memory),
        cmocka_unit_test(test_a_png_of_noise_is_counted_and_read),
        cmocka_unit_test(test_a_png_of_damaged_pixel_data_is_refused),
        cmocka_unit_test(test_a_few_bytes_are_no_large_picture),
        cmocka_unit_test(test_a_budget_for_all_workers),
        cmocka_unit_test(test_a_tga_cut_anywhere_is_refused),
        cmocka_unit_test(test_one_flipped_bit_in_a_png_is_seen),
        cmocka_unit_test(test_luma_is_pils),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_load_names_the_file),
    };
    return cmocka_run_group_tests(tests, golden_open, golden_close);
}

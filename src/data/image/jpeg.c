/* JPEG by libjpeg-turbo, set as Pillow sets it (accurate integer transform, smooth chroma upsampling), so that a model
 * sees in training the pixels that it will see in PyTorch. Stricter than Pillow in one thing: what libjpeg only warns
 * of, filling the rest with grey, is refused. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h> /* needs stdio.h before it */

#include <jerror.h>

#include "data/image/internal.h"

/* A file of a few kilobytes can ask for many passes over all pixels; true ones have about ten. */
enum { MAX_SCANS = 500 };

typedef struct reader {
    struct jpeg_decompress_struct jpeg; /* its client_data is this reader */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    bool starved;
    char reason[JMSG_LENGTH_MAX];
    lf_image img;
} reader;

/* ---- what libjpeg calls ---- */

static void on_error(j_common_ptr c) {
    reader *r = c->client_data;
    r->starved = c->err->msg_code == JERR_OUT_OF_MEMORY;
    c->err->format_message(c, r->reason);
    longjmp(r->failed, 1);
}

/* The warnings after which pixels are made up. Others (bytes too many before a marker, odd header values) are common in
 * pictures that every program shows. */
static bool means_damage(int warning) {
    static const int list[] = {JWRN_JPEG_EOF,    JWRN_HIT_MARKER,     JWRN_HUFF_BAD_CODE,
                               JWRN_MUST_RESYNC, JWRN_ARITH_BAD_CODE, JWRN_BOGUS_PROGRESSION};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i] == warning) return true;
    return false;
}

static void on_message(j_common_ptr c, int level) {
    const bool warning = level < 0;
    if (warning && means_damage(c->err->msg_code)) c->err->error_exit(c);
}

static void say_nothing(j_common_ptr c) { (void)c; }

static void on_progress(j_common_ptr c) {
    reader *r = c->client_data;
    if (r->jpeg.input_scan_number <= MAX_SCANS) return;
    snprintf(r->reason, sizeof r->reason, "more than %d scans (a decompression bomb?)", MAX_SCANS);
    longjmp(r->failed, 1);
}

/* ---- reading ---- */

/* As Pillow's convert("RGB") has it: always Adobe's way round, 255 being no ink. */
static void cmyk_to_rgb(unsigned char *rgb, const unsigned char *cmyk, int width) {
    for (int x = 0; x < width; x++, cmyk += 4)
        for (int c = 0; c < 3; c++) {
            const int light = cmyk[3], product = (255 - cmyk[c]) * light + 128;
            const int left = light - ((product >> 8) + product) / 256; /* light - product / 255, rounded */
            *rgb++ = (unsigned char)(left < 0 ? 0 : left);
        }
}

static void read_rows(reader *r) {
    j_decompress_ptr c = &r->jpeg;
    const size_t row_bytes = lf_image_bytes(r->img.width, 1, r->img.channels);
    JSAMPARRAY inks = NULL; /* in libjpeg's own heap */
    if (c->out_color_space == JCS_CMYK)
        inks = c->mem->alloc_sarray((j_common_ptr)c, JPOOL_IMAGE, c->output_width * 4, 1);
    while (c->output_scanline < c->output_height) {
        JSAMPROW row = r->img.pixels + c->output_scanline * row_bytes;
        jpeg_read_scanlines(c, inks ? inks : &row, 1);
        if (inks) cmyk_to_rgb(row, inks[0], r->img.width);
    }
}

/* The only frame that libjpeg's errors return to. What changes before they do lives in r, in the caller's frame. */
static lf_status read_picture(reader *r, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    j_decompress_ptr c = &r->jpeg;
    if (setjmp(r->failed)) {
        if (r->starved) return lf_no_memory(err, "decoding %s", name);
        return lf_image_not_decoded(name, r->reason, err);
    }
    jpeg_create_decompress(c);
    c->progress = &r->progress;
    jpeg_mem_src(c, bytes, size);
    jpeg_read_header(c, TRUE);
    const int w = (int)c->image_width, h = (int)c->image_height, components = c->num_components;
    if (components != 1 && components != 3 && components != 4)
        return lf_image_not_decoded(name, "a JPEG with neither 1 (grey), 3 (colours) nor 4 (inks) components", err);
    lf_status rc = lf_image_check_size(w, h, size, name, err);
    if (rc) return rc;
    c->out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    if ((rc = lf_image_new(&r->img, w, h, components == 1 ? 1 : 3, NULL)))
        return lf_no_memory(err, "decoding %s", name);
    jpeg_start_decompress(c);
    read_rows(r);
    jpeg_finish_decompress(c); /* reads on to the end marker: the file is whole */
    return LF_OK;
}

lf_status lf_image_decode_jpeg(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    reader r = {.progress = {.progress_monitor = on_progress}};
    r.jpeg.client_data = &r;
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.errors.output_message = say_nothing;
    const lf_status rc = read_picture(&r, bytes, size, name, err);
    jpeg_destroy_decompress(&r.jpeg);
    if (rc) lf_image_free(&r.img);
    *out = r.img;
    return rc;
}

/* ---- segments ---- */

enum { APP1 = 0xe1, SCAN = 0xda, END = 0xd9 };

/* A segment in front of the first scan: its marker, and what follows its length. */
typedef struct segment {
    unsigned marker;
    const unsigned char *body;
    size_t size;
} segment;

/* The next one at or after *at, and *at behind it; false at the first scan, and where there is none or not all of it.
 */
static bool next_segment(segment *s, const unsigned char *bytes, size_t size, size_t *at) {
    while (*at + 4 <= size && bytes[*at] == 0xff && bytes[*at + 1] == 0xff) ++*at; /* filling */
    if (*at + 4 > size || bytes[*at] != 0xff || bytes[*at + 1] == SCAN) return false;
    const size_t n = (size_t)bytes[*at + 2] << 8 | bytes[*at + 3];
    if (n < 2 || n > size - *at - 2) return false;
    *s = (segment){.marker = bytes[*at + 1], .body = bytes + *at + 4, .size = n - 2};
    *at += 2 + n;
    return true;
}

/* Only what ends within a segment, or has a scan and no end behind it, which is how a file that is not whole looks;
 * pixels never look like an end. All else is the decoder's to say. */
const char *lf_image_refuse_jpeg(const unsigned char *bytes, size_t size) {
    enum { LEAST = 0xc0 }; /* of the markers that a length follows */
    segment s;
    size_t at = 2;
    while (next_segment(&s, bytes, size, &at)) continue;
    const unsigned marker = at + 1 < size && bytes[at] == 0xff ? bytes[at + 1] : 0;
    if (at + 1 < size && (marker < LEAST || marker == END)) return NULL;
    for (const unsigned char *p = bytes + (marker == SCAN ? at + 2 : size);
         (p = memchr(p, 0xff, (size_t)(bytes + size - p))); p++)
        if (p + 1 < bytes + size && p[1] == END) return NULL;
    return "Premature end of JPEG file: no end marker; is the file whole?";
}

/* Cameras put theirs in front of the first scan. */
int lf_image_orientation_jpeg(const unsigned char *bytes, size_t size) {
    static const char exif[] = "Exif\0", xmp[] = "http://ns.adobe.com/xap/1.0/";
    int in_exif = 0, in_xmp = 0;
    segment s;
    for (size_t at = 2; next_segment(&s, bytes, size, &at);) {
        if (s.marker != APP1) continue;
        if (!in_exif && s.size >= sizeof exif && !memcmp(s.body, exif, sizeof exif))
            in_exif = lf_exif_orientation(s.body, s.size);
        if (!in_xmp && s.size >= sizeof xmp && !memcmp(s.body, xmp, sizeof xmp))
            in_xmp = lf_xmp_orientation(s.body, s.size);
    }
    return in_exif ? in_exif : in_xmp;
}

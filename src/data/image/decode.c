/* Bytes to pixels: by the format's own decoder, or by stb_image (BMP, TGA, and PNG when png.c has nothing against it),
 * whose one implementation in the program stands here. Its heap use goes through lf_malloc, so that it is counted and
 * can be made to fail like ours. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/image/internal.h"

/* stb_image does not say everywhere that it was memory which it lacked. */
static _Thread_local bool starved;

static void *watched(void *p) {
    if (!p) starved = true;
    return p;
}

#define STBI_MALLOC(size)     watched(lf_malloc(size))
#define STBI_REALLOC(p, size) watched(lf_realloc(p, size))
#define STBI_FREE(p)          lf_free(p)
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_TGA
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#if defined(__clang__) || defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function" /* a static implementation has parts that nobody calls */
#endif
#include <stb/stb_image.h>

#define TRY "set skip_bad_images to leave such files out"

lf_status lf_image_check_size(int w, int h, size_t size, const char *name, lf_err *err) {
    if (w < 1 || h < 1 || (int64_t)w * h > LF_IMAGE_MAX_PIXELS)
        return lf_fail(err, LF_EDATA, "%s: %d x %d pixels: expected 1 to %d pixels (a decompression bomb?); " TRY, name,
                       w, h, LF_IMAGE_MAX_PIXELS);
    const uint64_t beyond = (uint64_t)w * (uint64_t)h - 1;
    if (beyond < LF_IMAGE_FREE_PIXELS || beyond / LF_IMAGE_PIXELS_PER_BYTE < size) {
        lf_image_enter(w, h);
        return LF_OK;
    }
    return lf_fail(err, LF_EDATA,
                   "%s: %d x %d pixels in a file of %zu bytes: expected at most %d pixels a byte (a decompression "
                   "bomb?); " TRY,
                   name, w, h, size, LF_IMAGE_PIXELS_PER_BYTE);
}

const char *lf_image_no_objection(const unsigned char *bytes, size_t size) { return (void)bytes, (void)size, NULL; }

lf_status lf_image_not_decoded(const char *name, const char *reason, lf_err *err) {
    return lf_fail(err, LF_EDATA, "%s: not a picture that can be decoded: %s; " TRY, name, reason);
}

void lf_image_drop_advice(lf_err *err) {
    char *advice = strstr(err->message, "; " TRY);
    if (advice) *advice = 0;
}

static lf_status stb_failed(const char *name, lf_err *err) {
    if (starved) return lf_no_memory(err, "decoding %s", name);
    const char *reason = stbi_failure_reason();
    return lf_image_not_decoded(name, reason ? reason : "damaged", err);
}

/* In place: stb_image does it in a second buffer, and loses the first where there is no memory for that. */
static void keep_high_bytes(unsigned char *pixels, size_t n) {
    const stbi_us *wide = (const stbi_us *)(const void *)pixels;
    for (size_t i = 0; i < n; i++) pixels[i] = (unsigned char)(wide[i] >> 8);
}

lf_status lf_image_decode_stb(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    starved = false;
    if (size > INT_MAX) return lf_image_not_decoded(name, "the file is larger than 2 GiB", err);
    int w = 0, h = 0, in_file = 0;
    if (!stbi_info_from_memory(bytes, (int)size, &w, &h, &in_file)) return stb_failed(name, err);
    const lf_status rc = lf_image_check_size(w, h, size, name, err);
    if (rc) return rc;
    const int channels = in_file >= 3 ? 3 : 1; /* alpha is dropped, not blended: PIL's convert("RGB") */
    const bool wide = stbi_is_16_bit_from_memory(bytes, (int)size);
    unsigned char *pixels =
        wide ? (unsigned char *)stbi_load_16_from_memory(bytes, (int)size, &w, &h, &in_file, channels)
             : stbi_load_from_memory(bytes, (int)size, &w, &h, &in_file, channels);
    if (!pixels) return stb_failed(name, err);
    if (wide) keep_high_bytes(pixels, lf_image_bytes(w, h, channels));
    *out = (lf_image){.width = w, .height = h, .channels = channels, .pixels = pixels};
    return LF_OK;
}

static lf_status find_decoder(const lf_image_decoder **out, const unsigned char *bytes, size_t size, const char *name,
                              lf_err *err) {
    if (size == 0) return lf_image_not_decoded(name, "the file is empty", err);
    char names[128], reason[192];
    *out = lf_image_decoder_of(bytes, size, name);
    snprintf(reason, sizeof reason, "it does not begin like one of %s", lf_image_names(names, sizeof names));
    const char *refused = *out ? (*out)->refuse(bytes, size) : reason;
    return refused ? lf_image_not_decoded(name, refused, err) : LF_OK;
}

lf_status lf_image_decode(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    *out = (lf_image){0};
    const lf_image_decoder *d = NULL;
    lf_status rc = find_decoder(&d, bytes, size, name, err);
    if (!rc) rc = d->decode(out, bytes, size, name, err);
    if (!rc && (rc = lf_image_turn(out, d->orientation(bytes, size), NULL))) {
        lf_image_free(out);
        rc = lf_no_memory(err, "decoding %s", name);
    }
    if (!rc) lf_image_hold(out);
    lf_image_leave();
    return rc;
}

lf_status lf_image_check_container(const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    const lf_image_decoder *d = NULL;
    lf_image img = {0};
    lf_status rc = find_decoder(&d, bytes, size, name, err);
    if (!rc && d->refuse == lf_image_no_objection) rc = d->decode(&img, bytes, size, name, err);
    lf_image_free(&img);
    lf_image_leave();
    return rc;
}

static lf_status read_file(char **bytes, size_t *size, const char *path, lf_err *err) {
    struct stat st; /* opening a pipe would wait for ever */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) return lf_image_not_decoded(path, "it is not a file", err);
    return lf_file_read(bytes, size, path, err);
}

lf_status lf_image_load(lf_image *out, const char *path, lf_err *err) {
    *out = (lf_image){0};
    char *bytes = NULL;
    size_t size = 0;
    lf_status rc = read_file(&bytes, &size, path, err);
    if (!rc) rc = lf_image_decode(out, (const unsigned char *)bytes, size, path, err);
    lf_free(bytes);
    return rc;
}

lf_status lf_image_check_file(const char *path, lf_err *err) {
    char *bytes = NULL;
    size_t size = 0;
    lf_status rc = read_file(&bytes, &size, path, err);
    if (!rc) rc = lf_image_check_container((const unsigned char *)bytes, size, path, err);
    lf_free(bytes);
    return rc;
}

/* What the tests of src/data share: the golden pictures, a scratch folder, and picture files written by hand. */
#ifndef LF_TEST_DATA_FIXTURE_H
#define LF_TEST_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/image/dataset.h"
#include "io/safetensors.h"

#define assert_ok(rc, err)                                                                                             \
    do {                                                                                                               \
        if (rc) fail_msg("%s", (err).message);                                                                         \
    } while (0)

/* The call failed with this status and said so, on one line. */
#define assert_says(rc, wanted, err, text)                                                                             \
    do {                                                                                                               \
        assert_int_equal(rc, wanted);                                                                                  \
        if (!strstr((err).message, text)) fail_msg("'%s' does not say '%s'", (err).message, text);                     \
        assert_null(strchr((err).message, '\n'));                                                                      \
        (err) = (lf_err){0};                                                                                           \
    } while (0)

static lf_safetensors *golden;

static inline int golden_open(void **state) {
    (void)state;
    lf_log_set_level(LF_LOG_QUIET);
    lf_err err = {0};
    if (lf_safetensors_open(&golden, LF_TEST_DIR "/golden/images.safetensors", &err)) print_error("%s\n", err.message);
    return golden ? 0 : -1;
}

static inline int golden_close(void **state) {
    (void)state;
    lf_safetensors_close(golden);
    return 0;
}

static inline const lf_st_tensor *golden_get(const char *name) {
    const lf_st_tensor *t = lf_safetensors_find(golden, name);
    if (!t) fail_msg("no golden tensor '%s'", name);
    return t;
}

/* A copy of a U8 tensor [H, W, C]; lf_image_free. */
static inline lf_image golden_image(const char *name) {
    const lf_st_tensor *t = golden_get(name);
    assert_int_equal(t->ndim, 3);
    lf_image img = {(int)t->shape[1], (int)t->shape[0], (int)t->shape[2], lf_malloc(t->size)};
    assert_non_null(img.pixels);
    memcpy(img.pixels, t->data, t->size);
    return img;
}

/* A scratch folder of the test's own; every path below is relative to it. */
static char scratch[256];

static inline int scratch_make(void **state) {
    (void)state;
    lf_log_set_level(LF_LOG_QUIET);
    snprintf(scratch, sizeof scratch, "%s/scratch-XXXXXX", LF_BUILD_DIR);
    return mkdtemp(scratch) ? 0 : -1;
}

static inline int scratch_remove(void **state) {
    (void)state;
    return lf_remove_tree(scratch, NULL) ? -1 : 0;
}

/* Up to four at once. */
static inline const char *in_scratch(const char *name) {
    static char paths[4][1024];
    static int turn;
    char *p = paths[turn++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", scratch, name);
    return p;
}

static inline void put_bytes(const char *name, const void *bytes, size_t size) {
    lf_err err = {0};
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in_scratch(name));
    *strrchr(folder, '/') = 0;
    assert_ok(lf_mkdir_p(folder, &err), err);
    assert_ok(lf_file_write(in_scratch(name), bytes, size, &err), err);
}

/* A grey PGM of w x h whose pixels all are `level`. */
static inline void put_picture(const char *name, int w, int h, unsigned char level) {
    unsigned char bytes[4096 + 32];
    const int header = snprintf((char *)bytes, 32, "P5 %d %d 255\n", w, h);
    assert_true(w * h <= 4096);
    memset(bytes + header, level, (size_t)(w * h));
    put_bytes(name, bytes, (size_t)(header + w * h));
}

#endif

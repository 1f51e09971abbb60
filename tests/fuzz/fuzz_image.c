/* Any bytes as a picture: an error that names the file, or pixels that are all there, and what looks at the container
 * alone has nothing against it. */
#include "data/image/internal.h"
#include "fuzz.h"

static void check_failure(lf_status rc, const lf_err *err, const char *name) {
    require_said(rc, err);
    require(!rc || rc == LF_EDATA || rc == LF_ENOMEM);
    require(!rc || strstr(err->message, name));
}

static lf_status decode(const uint8_t *data, size_t size) {
    lf_image img, grey = {0};
    lf_err err = {0};
    const lf_status rc = lf_image_decode(&img, data, size, "fuzz.tga", &err);
    require((rc == LF_OK) == (img.pixels != NULL));
    check_failure(rc, &err, "fuzz.tga");
    if (!rc) require(lf_image_convert(&grey, &img, 1, NULL) != LF_OK || grey.pixels); /* reads every pixel */
    lf_image_free(&grey);
    lf_image_free(&img);
    return rc;
}

/* Of the same bytes in a file, whose name says nothing: no TGA is found. */
static void load(const uint8_t *data, size_t size, lf_status decoded) {
    char known[300];
    lf_image img;
    lf_err err = {0};
    const char *path = put_file("picture.jpg", data, size);
    lf_status rc = lf_image_check_file(path, &err);
    check_failure(rc, &err, path);
    err = (lf_err){0};
    const lf_status loaded = lf_image_load(&img, path, &err);
    check_failure(loaded, &err, path);
    require(loaded || !rc); /* what is read was not refused */
    require(loaded == decoded || !lf_image_format(data, size, path));
    lf_image_free(&img);
    require(lf_image_has_extension(path) && strstr(lf_image_extensions(known, sizeof known), "jpg"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lf_err err = {0};
    const lf_status decoded = decode(data, size), rc = lf_image_check_container(data, size, "fuzz.tga", &err);
    check_failure(rc, &err, "fuzz.tga");
    require(decoded || !rc);
    load(data, size, decoded);
    require(lf_image_load(&(lf_image){0}, own_folder(), NULL) == LF_EDATA);
    require(lf_alloc_live() == 0);
    return 0;
}

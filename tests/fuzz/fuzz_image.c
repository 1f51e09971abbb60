/* Any bytes as a picture: an error that names the file, or pixels that are all there. Seed the corpus with small
 * pictures. */
#include "data/image/internal.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lf_image img, grey = {0};
    lf_err err = {0};
    const lf_status rc = lf_image_decode(&img, data, size, "fuzz.tga", &err);
    require((rc == LF_OK) == (img.pixels != NULL));
    if (rc)
        require((rc == LF_EDATA || rc == LF_ENOMEM) && strstr(err.message, "fuzz.tga") && !strchr(err.message, '\n'));
    else
        require(lf_image_convert(&grey, &img, 1, NULL) != LF_OK || grey.pixels); /* reads every pixel */
    lf_image_free(&grey);
    lf_image_free(&img);
    require(lf_alloc_live() == 0);
    return 0;
}

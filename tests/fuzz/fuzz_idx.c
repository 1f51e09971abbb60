/* Any bytes as a pair of IDX files: the first says how they are opened, two how long the file of pictures is, and what
 * follows that is the file of labels. One line of error, or pictures and labels that are all there. */
#include "base/json.h"
#include "data/image/dataset_internal.h"
#include "fuzz.h"

enum { UNLABELLED = 1, AS_FOLDER = 2, NO_LABELS = 4, AS_PATH = 8 };
static const char images[] = "train-images-idx3-ubyte", labels[] = "train-labels-idx1-ubyte";

static void look(const lf_dataset *d) {
    enum { MOST = 50 };
    const int64_t n = lf_dataset_count(d);
    char name[512];
    lf_fingerprint print;
    require(n > 0 && lf_dataset_n_classes(d) >= 0);
    for (int64_t i = 0; i < n && i < MOST; i++) {
        lf_image image = {0};
        const int64_t label = lf_dataset_label(d, i);
        require(label >= -1 && label < lf_dataset_n_classes(d));
        require(label < 0 || lf_dataset_class_name(d, label));
        require(lf_dataset_example_name(d, i, name, sizeof name) && strstr(name, images));
        require(lf_dataset_image(d, i, &image, NULL) == LF_OK && image.pixels);
        unsigned sum = 0;
        for (size_t k = 0; k < (size_t)image.width * (size_t)image.height * (size_t)image.channels; k++)
            sum += image.pixels[k];
        (void)sum;
        lf_image_free(&image);
        require(lf_dataset_check_one(d, i, true, NULL) == LF_OK);
    }
    require(lf_dataset_fingerprint(&print, d, false, NULL) == LF_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_dataset *d = NULL;
    lf_err err = {0};
    lf_log_set_level(LF_LOG_QUIET);
    const uint8_t how = take_byte(&in);
    const size_t high = take_byte(&in), length = high << 8 | take_byte(&in);
    const fuzz_part first = take_bytes(&in, length < in.left ? length : in.left), second = take_rest(&in);
    put_part(images, first);
    if (how & NO_LABELS)
        remove(in_folder(labels));
    else
        put_part(labels, second);
    cJSON *spec = cJSON_CreateObject();
    require(cJSON_AddStringToObject(spec, "path", how & AS_FOLDER ? own_folder() : in_folder(images)) &&
            cJSON_AddStringToObject(spec, "format", "idx"));
    if (how & AS_PATH) require(cJSON_AddStringToObject(spec, "labels", in_folder(labels)) != NULL);
    const lf_dataset_opts opts = {.spec = spec, .key = "fuzz", .split = "train", .unlabelled = how & UNLABELLED};
    const lf_status rc = lf_dataset_open(&d, &opts, &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (d != NULL) && (rc == LF_OK || rc == LF_EDATA || rc == LF_ENOTFOUND || rc == LF_EUSAGE));
    if (d) look(d);
    lf_dataset_free(d);
    cJSON_Delete(spec);
    free(first.s);
    free(second.s);
    require(lf_alloc_live() == 0);
    return 0;
}

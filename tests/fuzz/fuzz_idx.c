/* Any bytes as a pair of IDX files: the first says how they are opened; then, where it is asked for, an object up to a
 * NUL, whose members are keys of the data's spec; two say how long the file of pictures is, and what follows that is
 * the file of labels. One line of error, or pictures and labels that are all there. */
#include "data/image/dataset_internal.h"
#include "spec.h"

enum { UNLABELLED = 1, AS_FOLDER = 2, NO_LABELS = 4, AS_PATH = 8, SPEC = 16, OTHER = 32, BOTH = 64 };
static const char images[] = "idx/train-images-idx3-ubyte", labels[] = "idx/train-labels-idx1-ubyte",
                  other[] = "idx/t10k-images-idx3-ubyte.gz";

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
        require(lf_dataset_example_name(d, i, name, sizeof name) && strstr(name, "images-idx3-ubyte"));
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

/* Each format that a path could be of is asked, as without "format". */
static void ask_formats(cJSON *spec) {
    (void)lf_dataset_has_split(spec, "train");
    (void)lf_dataset_has_split(spec, "validation");
    cJSON_DeleteItemFromObjectCaseSensitive(spec, "format");
    (void)lf_dataset_has_split(spec, "test");
}

static void open_pair(uint8_t how, fuzz_part more) {
    const char *path = how & AS_FOLDER ? in_folder("idx") : in_folder(how & OTHER ? other : images);
    cJSON *spec = make_spec(path, "idx", more);
    lf_dataset *d = NULL;
    lf_err err = {0};
    if ((how & AS_PATH) && !cJSON_HasObjectItem(spec, "labels"))
        require(cJSON_AddStringToObject(spec, "labels", in_folder(labels)) != NULL);
    const lf_dataset_opts opts = {.spec = spec, .key = "fuzz", .split = "train", .unlabelled = how & UNLABELLED};
    const lf_status rc = lf_dataset_open(&d, &opts, &err);
    require_said(rc, &err);
    require((rc == LF_OK) == (d != NULL) && (rc == LF_OK || rc == LF_EDATA || rc == LF_ENOTFOUND || rc == LF_EUSAGE));
    if (d) look(d);
    lf_dataset_free(d);
    ask_formats(spec);
    cJSON_Delete(spec);
}

static void put(const char *name, fuzz_part part, bool there) {
    if (there)
        put_part(name, part);
    else
        remove(in_folder(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    lf_log_set_level(LF_LOG_QUIET);
    require(lf_mkdir_p(in_folder("idx"), NULL) == LF_OK);
    const uint8_t how = take_byte(&in);
    const fuzz_part more = how & SPEC ? take_part(&in) : take_bytes(&in, 0);
    const size_t high = take_byte(&in), length = high << 8 | take_byte(&in);
    const fuzz_part first = take_bytes(&in, length < in.left ? length : in.left), second = take_rest(&in);
    put(images, first, !(how & OTHER));
    put(other, first, how & (OTHER | BOTH));
    put(labels, second, !(how & NO_LABELS));
    open_pair(how, more);
    free(more.s);
    free(first.s);
    free(second.s);
    require(lf_alloc_live() == 0);
    return 0;
}

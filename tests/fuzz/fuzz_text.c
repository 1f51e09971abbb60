/* Any bytes as a file of text records (the first says in which format): one line of error, or records whose parts are
 * where they say. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "data/text/dataset.h"
#include "fuzz.h"

static void check_failure(lf_status rc, const lf_err *err) {
    require((rc == LF_EDATA || rc == LF_EUSAGE) && err->message[0] && !strchr(err->message, '\n'));
}

static void check_example(const lf_text_dataset *d, int64_t i) {
    lf_text_example e;
    lf_err err = {0};
    const lf_status rc = lf_text_dataset_example(d, i, &e, &err);
    if (rc) {
        check_failure(rc, &err);
        return;
    }
    require(strlen(e.text) == e.n);
    for (int64_t k = 0; k < e.n_answers; k++)
        require(e.answers[k].begin <= e.answers[k].end && e.answers[k].end <= e.n);
    require(e.n_choices == 0 || (e.answer >= 0 && e.answer < e.n_choices));
    for (int64_t k = 0; k < e.n_choices; k++) require(lf_text_example_choose(&e, k, NULL) == LF_OK);
    lf_text_example_free(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const formats[] = {"jsonl", "json", "csv", "tsv", "text"};
    lf_log_set_level(LF_LOG_QUIET);
    lf_text_dataset *d = NULL;
    lf_err err = {0};
    char path[64];
    const int fd = memfd_create("fuzz", 0);
    require(fd >= 0);
    if (size > 1) require(write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    cJSON *spec = cJSON_CreateObject();
    require(cJSON_AddStringToObject(spec, "path", path) &&
            cJSON_AddStringToObject(spec, "format", formats[size ? data[0] % 5 : 0]));
    const lf_text_dataset_opts opts = {
        .spec = spec, .key = "fuzz", .prompt_template = size && data[0] & 8 ? "{question}{{{input}" : NULL};
    const lf_status rc = lf_text_dataset_open(&d, &opts, &err);
    require((rc == LF_OK) == (d != NULL));
    if (rc) check_failure(rc, &err);
    for (int64_t i = 0; d && i < lf_text_dataset_count(d) && !lf_text_dataset_windowed(d); i++) check_example(d, i);
    lf_text_dataset_free(d);
    cJSON_Delete(spec);
    close(fd);
    require(lf_alloc_live() == 0);
    return 0;
}

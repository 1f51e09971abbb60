/* Any bytes as JSON: an error or a tree, and a tree prints to text that reads back to the same text. */
#include "base/json.h"
#include "fuzz.h"

static void check_round_trip(const cJSON *json, bool sort_keys) {
    cJSON *again = NULL;
    char *first = lf_json_print(json, sort_keys);
    require(first && lf_json_parse(&again, first, strlen(first), "printed", NULL) == LF_OK);
    char *second = lf_json_print(again, sort_keys);
    require(second && strcmp(first, second) == 0);
    cJSON_Delete(again);
    lf_free(first);
    lf_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cJSON *json = NULL;
    lf_err err = {0};
    const lf_status rc = lf_json_parse(&json, (const char *)data, size, "fuzz", &err);
    require((rc == LF_OK) == (json != NULL) && (rc == LF_OK) == (err.message[0] == 0));
    require(rc == LF_OK || (rc == LF_EDATA && !strchr(err.message, '\n')));
    if (json) {
        int64_t i;
        check_round_trip(json, false);
        check_round_trip(json, true);
        (void)lf_json_get_i64(json, "a", 0, &i, "fuzz", NULL);
    }
    cJSON_Delete(json);
    require(lf_alloc_live() == 0);
    return 0;
}

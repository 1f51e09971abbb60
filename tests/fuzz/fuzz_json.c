/* Any bytes as JSON: an error or a tree; a tree prints to text that reads back to the same text, in lines, in one, and
 * by way of a file, and what is asked of its members is there or said to be of another kind. */
#include "base/json.h"
#include "base/utf8.h"
#include "fuzz.h"

static void check_printed(const cJSON *json, char *first, bool sort_keys) {
    cJSON *again = NULL;
    bool same = false;
    require(first && lf_json_parse(&again, first, strlen(first), "printed", NULL) == LF_OK);
    char *second = lf_json_print(again, sort_keys);
    require(second && lf_json_same(&same, json, again) && same);
    lf_free(second);
    cJSON_Delete(again);
    lf_free(first);
}

static void check_round_trip(const cJSON *json, bool sort_keys) {
    cJSON *again = NULL;
    char *first = lf_json_print(json, sort_keys);
    require(first && lf_json_parse(&again, first, strlen(first), "printed", NULL) == LF_OK);
    char *second = lf_json_print(again, sort_keys);
    require(second && strcmp(first, second) == 0);
    cJSON_Delete(again);
    lf_free(second);
    check_printed(json, first, sort_keys);
}

static void check_files(const cJSON *json) {
    cJSON *again = NULL;
    bool same = false;
    lf_err err = {0};
    require(lf_json_write_in(own_folder(), "out.json", json, true, NULL) == LF_OK);
    require(lf_json_read_in(&again, own_folder(), "out.json", NULL) == LF_OK);
    require(lf_json_same(&same, json, again) && same);
    cJSON_Delete(again);
    require(lf_json_read_in(&again, own_folder(), "nothere.json", &err) == LF_ENOTFOUND && !again && err.message[0]);
    FILE *f = fopen("/dev/null", "w");
    require(f && lf_json_write_line(f, cJSON_Duplicate(json, true), NULL) == LF_OK && fclose(f) == 0);
}

/* Each getter says what is wrong of what is not of its kind, and gives the fallback of what is not there. */
static void ask(const cJSON *json, const char *key) {
    int64_t i = 0;
    double x = 0;
    bool flag = false;
    const char *text = NULL;
    lf_err err[4] = {0};
    const lf_status rc[] = {lf_json_get_i64(json, key, 7, &i, "fuzz", &err[0]),
                            lf_json_get_f64(json, key, 7, &x, "fuzz", &err[1]),
                            lf_json_get_bool(json, key, true, &flag, "fuzz", &err[2]),
                            lf_json_get_str(json, key, "seven", &text, "fuzz", &err[3])};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    for (int k = 0; k < 4; k++) require_said(rc[k], &err[k]);
    require(rc[2] || !item || cJSON_IsNull(item) || cJSON_IsBool(item));
    require(rc[3] || (text && (item || strcmp(text, "seven") == 0)));
    require(rc[0] || rc[1] || item || (i == 7 && x == 7));
}

/* Values as text, as Python writes them. */
static void put_values(const cJSON *json) {
    const cJSON *item;
    lf_string text = {0};
    if (lf_json_put_value(&text, json)) require(lf_string_put(&text, "", 0) && strlen(text.s) <= text.n);
    (void)lf_json_is_float(json);
    lf_string_free(&text);
    cJSON_ArrayForEach(item, json) put_values(item);
}

/* With its numbers as they stand in the text, and with nothing in its texts that a terminal would follow. */
static void check_copies(const cJSON *json) {
    cJSON *copy = cJSON_Duplicate(json, true);
    require(copy != NULL);
    lf_json_keep_floats(copy);
    char *line = lf_json_print_line(copy);
    require(line && !strchr(line, '\n'));
    lf_free(line);
    cJSON_Delete(copy);
    require((copy = cJSON_Duplicate(json, true)) != NULL);
    lf_make_json_plain(copy); /* two keys may be one then */
    require((line = lf_json_print_line(copy)) != NULL);
    lf_free(line);
    cJSON_Delete(copy);
}

static void check_text(const uint8_t *data, size_t size) {
    cJSON *text = lf_json_create_text((const char *)data, size), *again = NULL;
    char *line = text ? lf_json_print_line(text) : NULL;
    require(line != NULL);
    if (size && !memchr(data, 0, size) && lf_utf8_invalid((const char *)data, size) == size)
        require(lf_json_parse(&again, line, strlen(line), "printed", NULL) == LF_OK);
    lf_free(line);
    cJSON_Delete(text);
    cJSON_Delete(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cJSON *json = NULL;
    lf_err err = {0};
    const lf_status rc = lf_json_parse(&json, (const char *)data, size, "fuzz", &err);
    require((rc == LF_OK) == (json != NULL));
    require_said(rc, &err);
    require(rc == LF_OK || rc == LF_EDATA);
    if (json) {
        check_round_trip(json, false);
        check_round_trip(json, true);
        check_files(json);
        ask(json, "a");
        ask(json, "b");
        put_values(json);
        check_copies(json);
    }
    cJSON_Delete(json);
    check_text(data, size);
    require(lf_alloc_live() == 0);
    return 0;
}

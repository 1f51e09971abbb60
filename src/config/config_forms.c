/* The forms of the JSON keys: what may be written in several ways is brought into the one that readers expect
 * (config.h lists them). One line of the table a key. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/config_internal.h"

enum { MOST_SIZES = 1000 };

typedef lf_status form(cJSON **json, const lf_place *place);

static bool is_whole(const cJSON *json, double min, double max) {
    return cJSON_IsNumber(json) && json->valuedouble >= min && json->valuedouble <= max &&
           json->valuedouble == floor(json->valuedouble);
}

static lf_status bad_form(const cJSON *json, const lf_place *place, const char *expected) {
    char *found = lf_json_print_line(json);
    const lf_status rc = lf_place_fail(place, "expected %s, found %.200s", expected, found ? found : "another form");
    lf_free(found);
    return rc;
}

static lf_status data_set(cJSON **json, const lf_place *place) {
    const cJSON *path = cJSON_GetObjectItemCaseSensitive(*json, "path");
    if (cJSON_IsString(*json) || (cJSON_IsString(path) && *path->valuestring)) return LF_OK;
    const cJSON *list = cJSON_IsObject(*json) ? path : *json;
    if (lf_is_string_array(list) && list->child) return LF_OK;
    if (cJSON_IsNumber(*json) || cJSON_IsBool(*json))
        return bad_form(*json, place, "a path (write ./NAME for a folder with such a name)");
    return bad_form(*json, place, "a path, a list of paths, or an object with \"path\"");
}

/* Names are words joined by dots; with any other character a string is a regular expression, as in PEFT. */
static bool only_names(const char *text) {
    return !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-, ")];
}

static lf_status module_names(cJSON **json, const lf_place *place) {
    if (!cJSON_IsString(*json)) {
        if (lf_is_string_array(*json) && cJSON_GetArraySize(*json) > 0) return LF_OK;
        return bad_form(*json, place, "a list of module names or a regular expression");
    }
    if (!only_names((*json)->valuestring)) return LF_OK;
    return lf_value_replace(json, lf_split_commas((*json)->valuestring), place->err);
}

static lf_status target_modules(cJSON **json, const lf_place *place) {
    const char *text = cJSON_IsString(*json) ? (*json)->valuestring : "";
    if (strcmp(text, "all-linear") == 0 || strcmp(text, "default") == 0) return LF_OK;
    if (strcmp(text, "all") == 0) return lf_value_replace(json, cJSON_CreateString("all-linear"), place->err);
    return module_names(json, place);
}

static lf_status name_list(cJSON **json, const lf_place *place) {
    if (lf_is_string_array(*json)) return LF_OK;
    if (!cJSON_IsString(*json)) return bad_form(*json, place, "a list of names");
    return lf_value_replace(json, lf_split_commas((*json)->valuestring), place->err);
}

static cJSON *array_of_one(const cJSON *json) {
    cJSON *array = cJSON_CreateArray(), *copy = cJSON_Duplicate(json, true);
    if (array && copy && cJSON_AddItemToArray(array, copy)) return array;
    cJSON_Delete(copy);
    cJSON_Delete(array);
    return NULL;
}

static cJSON *numbers_from_words(const char *text) {
    cJSON *array = lf_split_commas(text), *item;
    double number;
    cJSON_ArrayForEach(item, array) {
        if (!lf_text_to_number(item->valuestring, &number)) continue; /* stays a string, and is refused as that */
        cJSON *converted = cJSON_CreateNumber(number);
        if (!converted || !cJSON_ReplaceItemViaPointer(array, item, converted)) {
            cJSON_Delete(converted);
            cJSON_Delete(array);
            return NULL;
        }
        item = converted;
    }
    return array;
}

/* 3, "0,1,2" and [0, 1, 2] */
static lf_status layer_numbers(cJSON **json, const lf_place *place) {
    const cJSON *item;
    lf_status rc = LF_OK;
    if (cJSON_IsNumber(*json)) rc = lf_value_replace(json, array_of_one(*json), place->err);
    if (cJSON_IsString(*json)) rc = lf_value_replace(json, numbers_from_words((*json)->valuestring), place->err);
    if (rc) return rc;
    bool good = cJSON_IsArray(*json) && cJSON_GetArraySize(*json) > 0;
    cJSON_ArrayForEach(item, *json) good = good && is_whole(item, 0, 1e6);
    return good ? LF_OK : bad_form(*json, place, "layer numbers, such as [0, 1, 2]");
}

/* 0.5, "0,0.5,1" and [0, 0.5, 1] */
static lf_status sizes(cJSON **json, const lf_place *place) {
    const cJSON *item;
    lf_status rc = LF_OK;
    if (cJSON_IsNumber(*json)) rc = lf_value_replace(json, array_of_one(*json), place->err);
    if (cJSON_IsString(*json)) rc = lf_value_replace(json, numbers_from_words((*json)->valuestring), place->err);
    if (rc) return rc;
    const int n = cJSON_GetArraySize(*json);
    bool good = cJSON_IsArray(*json) && n > 0 && n <= MOST_SIZES;
    cJSON_ArrayForEach(item, *json) good =
        good && cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 100;
    return good ? LF_OK : bad_form(*json, place, "up to 1000 numbers from 0 to 100, such as [0, 0.5, 1]");
}

static lf_status rank_pattern(cJSON **json, const lf_place *place) {
    const cJSON *item;
    bool good = cJSON_IsObject(*json);
    cJSON_ArrayForEach(item, *json) good = good && is_whole(item, 1, 4096);
    return good ? LF_OK : bad_form(*json, place, "an object from name pattern to a rank from 1 to 4096");
}

static lf_status alpha_pattern(cJSON **json, const lf_place *place) {
    const cJSON *item;
    bool good = cJSON_IsObject(*json);
    cJSON_ArrayForEach(item, *json) good =
        good && cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble <= 1e6;
    return good ? LF_OK : bad_form(*json, place, "an object from name pattern to a positive number");
}

/* index:12 -> {"index": 12} */
static lf_status position_from_flag(cJSON **json, const lf_place *place) {
    static const char *const names[] = {"index", "energy"};
    const char *text = (*json)->valuestring;
    double number;
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(names[i]);
        if (strncmp(text, names[i], n) != 0 || text[n] != ':' || !lf_text_to_number(text + n + 1, &number)) continue;
        cJSON *object = cJSON_CreateObject();
        if (object && !cJSON_AddNumberToObject(object, names[i], number)) {
            cJSON_Delete(object);
            object = NULL;
        }
        return lf_value_replace(json, object, place->err);
    }
    return LF_OK;
}

static bool is_position(const cJSON *json) {
    if (cJSON_IsNumber(json)) return json->valuedouble >= 0 && json->valuedouble <= 1;
    if (!cJSON_IsObject(json) || cJSON_GetArraySize(json) != 1) return false;
    const cJSON *index = cJSON_GetObjectItemCaseSensitive(json, "index");
    const cJSON *energy = cJSON_GetObjectItemCaseSensitive(json, "energy");
    if (index) return is_whole(index, 0, 1e9);
    return cJSON_IsNumber(energy) && energy->valuedouble > 0 && energy->valuedouble <= 1;
}

static lf_status init_position(cJSON **json, const lf_place *place) {
    const lf_status rc = cJSON_IsString(*json) ? position_from_flag(json, place) : LF_OK;
    if (rc || is_position(*json)) return rc;
    return bad_form(
        *json, place,
        "a fraction from 0 to 1, {\"index\": s} or index:s with whole s >= 0, or {\"energy\": e} or energy:e "
        "with 0 < e <= 1");
}

static lf_status true_or_path(cJSON **json, const lf_place *place) {
    return cJSON_IsBool(*json) || cJSON_IsString(*json) ? LF_OK : bad_form(*json, place, "true or a path");
}

static lf_status an_object(cJSON **json, const lf_place *place) {
    return cJSON_IsObject(*json) ? LF_OK : bad_form(*json, place, "an object, {\"name\": number, ...}");
}

static const struct {
    lf_key_id key;
    form *check;
} forms[] = {
    {LF_train_data, data_set},
    {LF_eval_data, data_set},
    {LF_test_data, data_set},
    {LF_data, data_set},
    {LF_fewshot_data, data_set},
    {LF_forgetting_data, data_set},
    {LF_forgetting_eval_data, data_set},
    {LF_calibration_data, data_set},
    {LF_replay_data, data_set},
    {LF_kl_data, data_set},
    {LF_earlier_adapters, data_set},
    {LF_ewc_from, data_set},
    {LF_target_modules, target_modules},
    {LF_exclude_modules, module_names},
    {LF_layers_to_transform, layer_numbers},
    {LF_lambdas, sizes},
    {LF_layers_pattern, name_list},
    {LF_rank_pattern, rank_pattern},
    {LF_alpha_pattern, alpha_pattern},
    {LF_init_position, init_position},
    {LF_lr_scheduler_kwargs, an_object},
    {LF_resume_from_checkpoint, true_or_path},
};

lf_status lf_form_check(cJSON **json, const lf_key *key, const lf_place *place) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (&lf_keys[forms[i].key - 1] == key) return forms[i].check(json, place);
    return LF_OK; /* init_lora_weights: its choices said it all */
}

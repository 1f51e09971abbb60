#include "base/obj.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/string.h"
#include "base/utf8.h"

lf_obj lf_obj_of(cJSON *json) { return (lf_obj){json, !json}; }
lf_obj lf_obj_new(void) { return lf_obj_of(cJSON_CreateObject()); }
lf_obj lf_list_new(void) { return lf_obj_of(cJSON_CreateArray()); }

void lf_obj_put(lf_obj *o, const char *key, cJSON *item) {
    if (!o->failed && item && cJSON_AddItemToObject(o->json, key, item)) return;
    o->failed = true;
    cJSON_Delete(item);
}

void lf_obj_drop(lf_obj *o, const char *key) { cJSON_DeleteItemFromObjectCaseSensitive(o->json, key); }

void lf_list_put(lf_obj *list, cJSON *item) {
    if (!list->failed && item && cJSON_AddItemToArray(list->json, item)) return;
    list->failed = true;
    cJSON_Delete(item);
}

static cJSON *string_or_null(const char *s) {
    if (!s) return cJSON_CreateNull();
    if (lf_utf8_invalid(s, strlen(s)) == strlen(s)) return cJSON_CreateString(s);
    char *repaired = lf_string_repaired(s);
    cJSON *string = repaired ? cJSON_CreateString(repaired) : NULL;
    lf_free(repaired);
    return string;
}

void lf_obj_copy(lf_obj *o, const char *key, const cJSON *value) {
    lf_obj_put(o, key, value ? cJSON_Duplicate(value, true) : cJSON_CreateNull());
}

void lf_obj_number(lf_obj *o, const char *key, double value) {
    lf_obj_put(o, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

void lf_obj_string(lf_obj *o, const char *key, const char *value) { lf_obj_put(o, key, string_or_null(value)); }

void lf_obj_text(lf_obj *o, const char *key, const char *s, size_t n) { lf_obj_put(o, key, lf_json_create_text(s, n)); }

void lf_obj_bool(lf_obj *o, const char *key, bool value) { lf_obj_put(o, key, cJSON_CreateBool(value)); }

void lf_list_string(lf_obj *list, const char *value) { lf_list_put(list, string_or_null(value)); }

cJSON *lf_obj_take(lf_obj *o) {
    cJSON *json = o->json;
    if (o->failed) {
        cJSON_Delete(json);
        json = NULL;
    }
    *o = (lf_obj){0};
    return json;
}

lf_status lf_obj_write_in(lf_obj *o, const char *dir, const char *name, bool sort_keys, lf_err *err) {
    cJSON *json = lf_obj_take(o);
    const lf_status rc = lf_json_write_in(dir, name, json, sort_keys, err);
    cJSON_Delete(json);
    return rc;
}

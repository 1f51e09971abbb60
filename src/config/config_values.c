/* What the files that read values share: messages that name the key and where it stands, and small steps between text
 * and JSON. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/config_internal.h"

lf_status lf_place_fail_args(const lf_place *place, const char *format, va_list args) {
    char text[768];
    vsnprintf(text, sizeof text, format, args);
    if (place->source)
        return lf_fail(place->err, LF_EUSAGE, "key '%.64s' (in %.512s): %s", place->key, place->source, text);
    return lf_fail(place->err, LF_EUSAGE, "key '%.64s' (on the command line): %s", place->key, text);
}

lf_status lf_place_fail(const lf_place *place, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const lf_status rc = lf_place_fail_args(place, format, args);
    va_end(args);
    return rc;
}

bool lf_text_to_number(const char *text, double *out) {
    if (!*text || text[strspn(text, "+-0123456789.eE")]) return false; /* no nan, inf, hex, blanks */
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

cJSON *lf_split_commas(const char *text) {
    cJSON *array = cJSON_CreateArray();
    char *copy = lf_strdup(text), *item = copy;
    bool ok = array && copy;
    while (ok && item) {
        char *comma = strchr(item, ',');
        if (comma) *comma = '\0';
        item += strspn(item, " \t");
        size_t n = strlen(item);
        while (n > 0 && strchr(" \t", item[n - 1])) item[--n] = '\0';
        if (n > 0) {
            cJSON *string = cJSON_CreateString(item);
            ok = string && cJSON_AddItemToArray(array, string);
            if (!ok) cJSON_Delete(string);
        }
        item = comma ? comma + 1 : NULL;
    }
    lf_free(copy);
    if (ok) return array;
    cJSON_Delete(array);
    return NULL;
}

lf_status lf_value_replace(cJSON **json, cJSON *value, lf_err *err) {
    if (!value) return lf_no_memory(err, "a configuration");
    cJSON_Delete(*json);
    *json = value;
    return LF_OK;
}

bool lf_is_string_array(const cJSON *json) {
    const cJSON *item;
    if (!cJSON_IsArray(json)) return false;
    cJSON_ArrayForEach(item, json) {
        if (!cJSON_IsString(item) || !*item->valuestring) return false;
    }
    return true;
}

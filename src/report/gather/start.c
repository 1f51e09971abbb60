#include "report/gather/start.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

static const cJSON *member(const cJSON *start, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(start, name);
}

static bool is_position(const cJSON *v) {
    if (cJSON_IsNumber(v)) return v->valuedouble >= 0 && v->valuedouble <= 1;
    return cJSON_IsNull(v) || cJSON_IsObject(v);
}

lf_status lf_start_take(cJSON **start, cJSON *file, const char *path, lf_err *err) {
    cJSON *s = cJSON_DetachItemFromObjectCaseSensitive(file, "start");
    *start = NULL;
    if (s && !cJSON_IsNull(s) &&
        !(cJSON_IsObject(s) && cJSON_IsString(member(s, "name")) && cJSON_IsBool(member(s, "plain")) &&
          is_position(member(s, "position")))) {
        cJSON_Delete(s);
        return lf_fail(err, LF_EDATA,
                       "%s: key 'start': expected null or an object with \"name\", \"plain\" and a \"position\" from 0 "
                       "to 1, found another; was the file changed by hand?",
                       path);
    }
    *start = s;
    return LF_OK;
}

double lf_start_position(const cJSON *start) { return lf_json_number_in(start, "position"); }

bool lf_start_varies(const cJSON *start) { return cJSON_IsObject(member(start, "position")); }

bool lf_start_is_plain(const cJSON *start) {
    const char *reads = cJSON_GetStringValue(member(start, "reads")); /* earlier versions had no such start */
    return cJSON_IsFalse(member(start, "subtracted")) && (!reads || !strcmp(reads, "nothing"));
}

const char *lf_start_title(const cJSON *start) { return cJSON_GetStringValue(member(start, "title")); }

const char *lf_start_place(double position) {
    return position == 0 ? "PiSSA" : position == 0.5 ? "middle" : position == 1 ? "MiLoRA" : NULL;
}

const char *lf_start_own_curve(const cJSON *start) {
    return cJSON_IsTrue(member(start, "plain")) ? NULL : cJSON_GetStringValue(member(start, "name"));
}

/* The spec of data: what a target says of it, and what an input has in JSON. */
#ifndef LF_TEST_FUZZ_SPEC_H
#define LF_TEST_FUZZ_SPEC_H

#include "base/json.h"
#include "fuzz.h"

/* With the members of an object in `more` but path and format. format NULL: not said. The caller deletes it. */
static inline cJSON *make_spec(const char *path, const char *format, fuzz_part more) {
    cJSON *spec = cJSON_CreateObject(), *given = NULL;
    const cJSON *item;
    require(cJSON_AddStringToObject(spec, "path", path) != NULL);
    require(!format || cJSON_AddStringToObject(spec, "format", format));
    if (lf_json_parse(&given, more.s, more.n, "spec", NULL) == LF_OK && cJSON_IsObject(given))
        cJSON_ArrayForEach(item, given) {
            if (strcmp(item->string, "path") != 0 && strcmp(item->string, "format") != 0)
                require(cJSON_AddItemToObject(spec, item->string, cJSON_Duplicate(item, true)));
        }
    cJSON_Delete(given);
    return spec;
}

#endif

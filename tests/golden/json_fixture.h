/* What other libraries computed, in a JSON file of tests/golden (scripts/make-golden-*.py). Include after cmocka. */
#ifndef LF_JSON_FIXTURE_H
#define LF_JSON_FIXTURE_H

#include <stdio.h>

#include "base/json.h"

/* Of the caller, by cJSON_Delete. */
static inline cJSON *golden_json(const char *name) {
    char path[600];
    cJSON *golden = NULL;
    lf_err err = {0};
    snprintf(path, sizeof path, "%s/golden/%s.json", LF_TEST_DIR, name);
    if (lf_json_read(&golden, path, &err)) fail_msg("%s", err.message);
    return golden;
}

/* One that has to be there. */
static inline const cJSON *member(const cJSON *o, const char *name) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, name);
    if (!m) fail_msg("the golden file has no '%s' here", name);
    return m;
}
static inline double number(const cJSON *o, const char *name) { return member(o, name)->valuedouble; }
static inline int whole(const cJSON *o, const char *name) { return member(o, name)->valueint; }
static inline const char *word(const cJSON *o, const char *name) { return member(o, name)->valuestring; }
static inline int count(const cJSON *o, const char *name) { return cJSON_GetArraySize(member(o, name)); }

/* How many there are. */
static inline int floats(float *out, const cJSON *numbers) {
    const cJSON *x;
    int n = 0;
    cJSON_ArrayForEach(x, numbers) out[n++] = (float)x->valuedouble;
    return n;
}

#endif

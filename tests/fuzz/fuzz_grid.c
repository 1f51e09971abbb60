/* Any bytes as the spec of a sweep: one line of error, or points that all have every key of theirs. */
#include <math.h>

#include "base/json.h"
#include "fuzz.h"
#include "sweep/grid.h"

static void check(const lf_grid *g) {
    const cJSON *point, *value;
    const int n = cJSON_GetArraySize(g->points);
    require(n > 0 && n <= LF_MAX_POINTS && cJSON_IsArray(g->keys) && g->keys->child);
    int left = 200;
    cJSON_ArrayForEach(point, g->points) {
        require(cJSON_IsObject(point) && point->child);
        if (left-- <= 0) continue;
        cJSON_ArrayForEach(value, point) {
            const cJSON *key;
            bool known = false;
            cJSON_ArrayForEach(key, g->keys) known = known || strcmp(key->valuestring, value->string) == 0;
            require(known && (!cJSON_IsNumber(value) || isfinite(value->valuedouble)));
        }
    }
    char *line = lf_json_print_line(g->points->child);
    require(line != NULL);
    lf_free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cJSON *spec = NULL;
    lf_err err = {0};
    lf_grid g = {0};
    lf_log_set_level(LF_LOG_QUIET);
    lf_status rc = lf_json_parse(&spec, (const char *)data, size, "fuzz", &err);
    if (!rc) {
        rc = lf_grid_new(&g, spec, "fuzz", &err);
        require(rc == LF_OK || rc == LF_EUSAGE);
        require((rc == LF_OK) == (g.points != NULL));
    }
    require_said(rc, &err);
    if (!rc) check(&g);
    lf_grid_free(&g);
    cJSON_Delete(spec);
    require(lf_alloc_live() == 0);
    return 0;
}

#include "report/gather/steps.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

lf_status lf_steps_read(cJSON **out, const char *path, lf_err *err) {
    char *text = NULL;
    size_t size = 0;
    lf_status rc = lf_file_read(&text, &size, path, err);
    cJSON *rows = cJSON_CreateArray();
    if (!rc && !rows) rc = lf_no_memory(err, "%s", path);
    uint64_t line = 1;
    for (const char *at = text, *end; !rc && at && (end = memchr(at, '\n', size - (size_t)(at - text)));
         at = end + 1, line++) {
        cJSON *row = NULL;
        if (end > at && !(rc = lf_json_parse_at(&row, at, (size_t)(end - at), path, line, err)))
            cJSON_AddItemToArray(rows, row);
    }
    if (!rc && cJSON_GetArraySize(rows) == 0)
        rc = lf_fail(err, LF_EDATA, "%s: expected a line for each logged step, found none", path);
    lf_free(text);
    if (rc) {
        cJSON_Delete(rows);
        rows = NULL;
    }
    *out = rows;
    return rc;
}

double lf_step_value(const cJSON *row, const char *key) { return lf_json_number_in(row, key); }

bool lf_steps_have(const cJSON *rows, const char *key) {
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) if (isfinite(lf_step_value(row, key))) return true;
    return false;
}

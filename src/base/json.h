/* JSON over cJSON, with what cJSON leaves to its caller: comments, duplicate keys, the place of an error, and
 * typed access that names the file and the key. Stands in base because both config and io read JSON. */
#ifndef LF_BASE_JSON_H
#define LF_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/error.h"

/* Parses `size` bytes of `text` (need not end in NUL). `name` is named in errors (file or key). Comments of both
 * kinds are allowed. A duplicate key, trailing text or invalid JSON is LF_EDATA with the line. Caller: cJSON_Delete. */
lf_status lf_json_parse(cJSON **out, const char *text, size_t size, const char *name, lf_err *err);
lf_status lf_json_read(cJSON **out, const char *path, lf_err *err); /* the whole file */

/* Member `key` of object `o`. Absent or null: *out = fallback. Wrong type or not an exact integer: LF_EDATA. */
lf_status lf_json_get_i64(const cJSON *o, const char *key, int64_t fallback, int64_t *out, const char *name, lf_err *err);
lf_status lf_json_get_f64(const cJSON *o, const char *key, double fallback, double *out, const char *name, lf_err *err);
lf_status lf_json_get_bool(const cJSON *o, const char *key, bool fallback, bool *out, const char *name, lf_err *err);
/* *out borrows from o. */
lf_status lf_json_get_str(const cJSON *o, const char *key, const char *fallback, const char **out, const char *name, lf_err *err);

/* Printed with two spaces of indent, keys sorted if asked, a newline at the end; freed by lf_free. Numbers print
 * with 17 significant digits where needed, so they read back to the same double. NaN and infinity print as null. */
char *lf_json_print(const cJSON *json, bool sort_keys);
char *lf_json_print_line(const cJSON *json); /* one line, no newline */

#endif

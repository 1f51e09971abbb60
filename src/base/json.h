/* JSON over cJSON, with what cJSON leaves to its caller: comments, duplicate keys, the place of an error, and
 * typed access that names the file and the key. Stands in base because both config and io read JSON.
 *
 * All of cJSON allocates through lf_malloc and lf_free (set before main), so cJSON_Create* and cJSON_Delete anywhere in
 * the program are counted by lf_alloc_live and made to fail by lf_alloc_fail_after like the rest. */
#ifndef LF_BASE_JSON_H
#define LF_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json_number.h"

/* Parses `size` bytes of `text` (need not end in NUL). `name` is named in errors (file or key). Comments of both
 * kinds are allowed. A duplicate key, trailing text, text that is not UTF-8, \u0000 in a string, a number beyond the
 * range of doubles or invalid JSON is LF_EDATA with the line; what is often met instead of JSON (NaN, single quotes, a
 * web page) is called by its name. Integers of any length keep their digits (json_number.h). Caller: cJSON_Delete. */
lf_status lf_json_parse(cJSON **out, const char *text, size_t size, const char *name, lf_err *err);
/* The same for a piece of a file: its text begins in line `first_line`. */
lf_status lf_json_parse_at(cJSON **out, const char *text, size_t size, const char *name, uint64_t first_line,
                           lf_err *err);
lf_status lf_json_read(cJSON **out, const char *path, lf_err *err);                     /* the whole file */
lf_status lf_json_read_in(cJSON **out, const char *dir, const char *name, lf_err *err); /* dir/name */

/* For figures that may be missing: a finite number as it is, NaN for anything else, NULL too. The second of member
 * `key` of an object. */
double lf_json_number(const cJSON *value);
double lf_json_number_in(const cJSON *o, const char *key);

/* Member `key` of object `o`. Absent or null: *out = fallback. Wrong type, not an exact integer, not finite: LF_EDATA.
 */
lf_status lf_json_get_i64(const cJSON *o, const char *key, int64_t fallback, int64_t *out, const char *name,
                          lf_err *err);
lf_status lf_json_get_f64(const cJSON *o, const char *key, double fallback, double *out, const char *name, lf_err *err);
lf_status lf_json_get_bool(const cJSON *o, const char *key, bool fallback, bool *out, const char *name, lf_err *err);
/* *out borrows from o. */
lf_status lf_json_get_str(const cJSON *o, const char *key, const char *fallback, const char **out, const char *name,
                          lf_err *err);

/* Printed with two spaces of indent, keys sorted if asked, a newline at the end; freed by lf_free. Integers that were
 * read print as they stood; other numbers with 17 significant digits where needed, so they read back to the same
 * double, and 1.0 as 1. NaN and infinity print as null. NULL when out of memory. */
char *lf_json_print(const cJSON *json, bool sort_keys);
/* The same into a file, whole or not at all. json NULL: it could not be made, LF_ENOMEM, as when it cannot be printed.
 */
lf_status lf_json_write(const char *path, const cJSON *json, bool sort_keys, lf_err *err);
lf_status lf_json_write_in(const char *dir, const char *name, const cJSON *json, bool sort_keys,
                           lf_err *err); /* dir/name */
/* *same: they say the same, in whatever order of keys; NULL, what is not there, is the same as NULL alone. By what they
 * print: the time of cJSON_Compare doubles with every level of nesting. False: out of memory. */
bool lf_json_same(bool *same, const cJSON *a, const cJSON *b);
char *lf_json_print_line(const cJSON *json); /* one line, no newline */
/* One line with its newline to a stream. Takes json over; NULL: it could not be made, LF_ENOMEM. */
lf_status lf_json_write_line(FILE *out, cJSON *json, lf_err *err);
/* A string that may hold NUL bytes, where cJSON's own end. For printing alone: its type is cJSON_Raw. NULL when out of
 * memory. */
cJSON *lf_json_create_text(const char *s, size_t n);

void lf_make_json_plain(cJSON *json); /* strings and keys as lf_make_plain, at every depth, in place; NULL: nothing */

#endif

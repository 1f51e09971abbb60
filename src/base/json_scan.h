/* What is looked at in a text before and after cJSON reads it (json.c alone uses this). */
#ifndef LF_BASE_JSON_SCAN_H
#define LF_BASE_JSON_SCAN_H

#include <cjson/cJSON.h>

#include "base/error.h"
#include "base/json_number.h"

typedef struct lf_json_scan {
    char *s; /* NUL-terminated copy of the text */
    size_t size;
    uint64_t first_line; /* of the text in its file */
    const char *name;
    lf_json_numbers numbers;
    lf_err *err;
} lf_json_scan;

/* LF_EDATA: `what` is wrong at the byte `at`, which is named by line and column. */
lf_status lf_json_bad_text(const lf_json_scan *t, size_t at, const char *what);
/* Refuses what cJSON would take for something else, notes the numbers, and blanks comments. */
lf_status lf_json_scan_text(lf_json_scan *t);
/* Of what was read from it: no object has a key twice. *counter: 0, keys in the order of the text. */
lf_status lf_json_scan_keys(const lf_json_scan *t, const cJSON *node, size_t *counter);

#endif

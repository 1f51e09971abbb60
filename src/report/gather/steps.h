/* metrics.jsonl of a run: what was measured at which step. */
#ifndef LF_REPORT_GATHER_STEPS_H
#define LF_REPORT_GATHER_STEPS_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* An array of its rows; what follows the last newline was cut off by a crash. LF_EDATA if there is no row. Caller:
 * cJSON_Delete. */
lf_status lf_steps_read(cJSON **out, const char *path, lf_err *err);
/* The number of a row under a key; NAN. */
double lf_step_value(const cJSON *row, const char *key);
bool lf_steps_have(const cJSON *rows, const char *key); /* in any row */

#endif

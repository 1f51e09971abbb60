/* Where a run's adapter started, as its all_results.json or error.json says under "start" (adapter/adapter.h has the
 * form). NULL: the files do not say, as those of earlier versions and of runs that are not begun: its position is not
 * known. JSON's null: the run has no adapter. */
#ifndef LF_REPORT_GATHER_START_H
#define LF_REPORT_GATHER_START_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* Takes the entry out of `file`; the caller deletes *start. LF_EDATA, naming `path`, if it has another form. */
lf_status lf_start_take(cJSON **start, cJSON *file, const char *path, lf_err *err);
/* Of its block in the spectrum, from 0 (first) to 1 (last); NAN: it has none, or another in each weight, or none is
 * known. */
double lf_start_position(const cJSON *start);
/* It is placed by an index or an energy, which is another fraction in each weight. */
bool lf_start_varies(const cJSON *start);
/* Nothing was subtracted from the weights, or known of them: LoRA as it was first. False where the files do not say. */
bool lf_start_is_plain(const cJSON *start);
/* What people call it: "PiSSA", "position 0.5"; NULL: the files do not say. */
const char *lf_start_title(const cJSON *start);
/* The name that a block taken as it is has at some positions: "PiSSA" at 0, "middle" at 0.5, "MiLoRA" at 1; NULL. */
const char *lf_start_place(double position);
/* The name of a start that is a curve of its own over the position; NULL: it takes the block as it is, as others do at
 * other positions. */
const char *lf_start_own_curve(const cJSON *start);

#endif

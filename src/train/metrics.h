/* metrics.jsonl: one JSON object a line, in step order; written through at once, cut back on resume. */
#ifndef LF_TRAIN_METRICS_H
#define LF_TRAIN_METRICS_H

#include <cjson/cJSON.h>

#include "base/error.h"
#include "train/events.h"

typedef struct lf_metrics {
    FILE *f;
    char *path;
    lf_events events; /* the same for TensorBoard; nothing, where it was not asked for */
} lf_metrics;

/* keep_until: lines with "step" above it are cut off (-1: start an empty file). events: an event file as well. */
lf_status lf_metrics_open(lf_metrics *m, const char *dir, int64_t keep_until, bool events, lf_err *err);
/* Takes `row` over, also on failure. Into a file that was not opened (of a rank that does not write) goes nothing. */
lf_status lf_metrics_write(lf_metrics *m, cJSON *row, lf_err *err);
/* Its lines are on the disk: asked for before what says that they are all there (a checkpoint, the results) is written.
 */
lf_status lf_metrics_sync(lf_metrics *m, lf_err *err);
void lf_metrics_close(lf_metrics *m);

#endif

/* The rows of metrics.jsonl once more, as TensorBoard reads them (report_to tensorboard): scalars in an event file, a
 * TFRecord of protocol buffers, DIR/tensorboard/events.out.tfevents.0.lora-ft. Names are those of transformers: eval_x
 * is eval/x, test_x test/x, what is of the base base/x, all else train/x. */
#ifndef LF_TRAIN_EVENTS_H
#define LF_TRAIN_EVENTS_H

#include <cjson/cJSON.h>

#include "base/error.h"

typedef struct lf_events {
    FILE *f;
    char *path;
} lf_events;

/* keep_until: what is of later steps is cut off, as what a crash cut in half (-1: a new file). */
lf_status lf_events_open(lf_events *e, const char *dir, int64_t keep_until, lf_err *err);
/* Removes the file, and its folder where nothing else is in it. */
void lf_events_remove(const char *dir);
/* The numbers of a row, at its "step". Into a file that was not opened goes nothing. */
lf_status lf_events_write(lf_events *e, const cJSON *row, lf_err *err);
void lf_events_close(lf_events *e);

#endif

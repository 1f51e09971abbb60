/* Who is told of a run while it goes on (lf_watch). */
#ifndef LF_TRAIN_WATCH_H
#define LF_TRAIN_WATCH_H

#include <cjson/cJSON.h>

#include "base/error.h"

typedef struct lf_watcher {
    lf_watch *watch;
    void *context;
    bool stop; /* it has had enough */
} lf_watcher;

/* m without its row, which is `row`, a line of metrics.jsonl; NULL: a step. w: NULL: nobody is told. No heap is used.
 */
void lf_watcher_tell(lf_watcher *w, const lf_moment *m, const cJSON *row);

#endif

#include "train/watch.h"

#include <math.h>

enum { MOST = 128 }; /* numbers of a row, of which there are some thirty */

static int64_t numbers_of(lf_number *out, const cJSON *row) {
    const cJSON *item;
    int64_t n = 0;
    cJSON_ArrayForEach(item, row) {
        if (n < MOST && (cJSON_IsNumber(item) || cJSON_IsNull(item)))
            out[n++] = (lf_number){item->string, cJSON_IsNull(item) ? (double)NAN : item->valuedouble};
    }
    return n;
}

void lf_watcher_tell(lf_watcher *w, const lf_moment *m, const cJSON *row) {
    if (!w) return;
    lf_number numbers[MOST];
    lf_moment now = *m;
    now.n_row = numbers_of(numbers, row);
    now.row = numbers;
    if (!w->watch(w->context, &now)) w->stop = true;
}

/* What the tools share: a model opened as a configuration says, with its adapter and head; and results as JSON. */
#ifndef LF_TOOLS_COMMON_H
#define LF_TOOLS_COMMON_H

#include "config/config.h"
#include "eval/adapted.h"
#include "task/task.h"

typedef struct lf_opened {
    int threads;
    const lf_kernels *k;
    lf_adapted adapted;
    lf_model *model; /* its model */
    lf_graph *g;
} lf_opened;

/* Keys model, adapter, threads, precision. On failure, too, the caller closes. */
lf_status lf_opened_open(lf_opened *o, const lf_config *cfg, lf_load load, lf_err *err);
void lf_opened_close(lf_opened *o);

/* One line of JSON to out; takes o over, NULL meaning out of memory. */
lf_status lf_print_json(FILE *out, cJSON *o, lf_err *err);
/* Adds item (taken over, NULL allowed) to an object; false when out of memory. */
bool lf_put(cJSON *object, const char *key, cJSON *item);
bool lf_put_to_array(cJSON *array, cJSON *item);
bool lf_put_number(cJSON *object, const char *key, double value); /* null unless finite */
bool lf_put_string(cJSON *object, const char *key, const char *value);
bool lf_put_text(cJSON *object, const char *key, const char *text, size_t n); /* which may hold NUL bytes */

double lf_peak_rss_mb(void);

#endif

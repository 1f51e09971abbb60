/* What the runs of a sweep differ in, for a terminal: there is no room for what is the same in all. */
#ifndef LF_SWEEP_LABELS_H
#define LF_SWEEP_LABELS_H

#include "sweep/points.h"

typedef struct lf_point_labels {
    char *keys; /* "init_lora_weights, learning_rate"; "": there is one run */
    char **of;  /* [n] the values of each point, "pissa, 0.001" */
    int64_t n;
} lf_point_labels;

/* False: out of memory. Freed in either case. */
bool lf_point_labels_make(lf_point_labels *out, const lf_points *p);
void lf_point_labels_free(lf_point_labels *l);

#endif

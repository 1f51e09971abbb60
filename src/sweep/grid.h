/* The points of a sweep: what the key `sweep` spells out. */
#ifndef LF_SWEEP_GRID_H
#define LF_SWEEP_GRID_H

#include <cjson/cJSON.h>

#include "base/error.h"

enum { LF_MAX_POINTS = 10000 };

typedef struct lf_grid {
    cJSON *keys;   /* array of strings: the swept keys by their proper names, in the order of the spec */
    cJSON *points; /* array of objects {key: value}; the last key changes fastest */
} lf_grid;

/* From a spec: an object, or an array of objects whose points follow one another. A member is a key of `train` with its
 * values, or "zip" with an object of keys whose values go together (an array of such objects: several). Values: a
 * non-empty array, {"log": [a, b, n]} (a, b > 0; to six digits) or {"linear": [a, b, n]}. LF_EUSAGE, naming the key,
 * for anything else, for a key that is unknown or belongs to the sweep itself (output_dir, threads, ...), for one given
 * twice, and for more than LF_MAX_POINTS points, which are counted before any is made. `source` names the spec in
 * messages ("configs/x.json"). Values are not checked further here, nor whether points are equal. The caller frees. */
lf_status lf_grid_new(lf_grid *out, const cJSON *spec, const char *source, lf_err *err);
void lf_grid_free(lf_grid *g);

#endif

/* Where the one object goes that a verb's results are: written as a line of JSON, or kept for who asked for numbers. */
#ifndef LF_BASE_OUTLET_H
#define LF_BASE_OUTLET_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/error.h"

typedef struct lf_outlet {
    FILE *out;   /* NULL: it is kept, and no table is printed */
    cJSON *kept; /* the taker's */
} lf_outlet;

/* Takes `results` over, in any case; NULL: it could not be made, LF_ENOMEM. */
lf_status lf_outlet_take(lf_outlet *o, cJSON *results, lf_err *err);

#endif

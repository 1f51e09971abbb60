/* Results as numbers. */
#ifndef LF_LIBRARY_FIGURES_H
#define LF_LIBRARY_FIGURES_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* The numbers of an object, and of the objects in it; nulls are NAN; texts, lists and yes or no are left out. */
lf_status lf_figures_of(lf_figures **out, const cJSON *object, lf_err *err);

#endif

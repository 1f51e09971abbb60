/* The functions that filters.def and methods.def name. */
#ifndef LF_JINJA_TABLES_H
#define LF_JINJA_TABLES_H

#include "jinja/internal.h"

#define LF_JINJA_FILTER(name, call, required, params) lf_jfunction lf_jfilter_##call;
#define LF_JINJA_NO_FILTER(name)
#include "jinja/filters.def"
#undef LF_JINJA_FILTER
#undef LF_JINJA_NO_FILTER

#define LF_JINJA_METHOD(type, name, call, required, params) lf_jfunction lf_jmethod_##call;
#define LF_JINJA_FORBIDDEN(type, name)
#define LF_JINJA_NO_METHOD(type, name)
#include "jinja/methods.def"
#undef LF_JINJA_METHOD
#undef LF_JINJA_FORBIDDEN
#undef LF_JINJA_NO_METHOD

#endif

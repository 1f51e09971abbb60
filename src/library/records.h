/* Texts of a program as records of a data set. */
#ifndef LF_LIBRARY_RECORDS_H
#define LF_LIBRARY_RECORDS_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* What a text and its second are called. */
typedef struct lf_record_names {
    const char *alone; /* of a text without a second */
    const char *first, *second;
} lf_record_names;

/* A list of objects; the caller deletes it, after a failure too. LF_EUSAGE where some have a second text and others
 * have none, or there is no text; LF_EDATA where one is not UTF-8. */
lf_status lf_records_of(cJSON **out, const lf_text *texts, int64_t n, const lf_record_names *names, lf_err *err);

#endif

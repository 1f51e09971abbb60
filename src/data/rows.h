/* The rows of a file of delimited text (data/delimited.h) that is read whole, as lists of labels are. */
#ifndef LF_DATA_ROWS_H
#define LF_DATA_ROWS_H

#include <stdint.h>

#include "base/error.h"

typedef struct lf_row {
    uint64_t line;
    const char *const *fields; /* valid during the call */
    int64_t n;                 /* the same in every row */
} lf_row;

/* Calls `row` for each, the heading the first; what fails ends it. LF_EDATA: no text, or rows of unequal length. */
lf_status lf_rows_each(const char *path, lf_status (*row)(void *context, const lf_row *row, lf_err *err), void *context,
                       lf_err *err);

#endif

/* How a label of several classes, or of several numbers, is written where it is no list. */
#ifndef LF_DATA_LABEL_FORM_H
#define LF_DATA_LABEL_FORM_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/pool.h"

typedef struct lf_label_form {
    const char *separator; /* stands between the names of a text; NULL: a text is one name */
    const cJSON *columns;  /* a list of fields of 0 and 1, a class each, instead of one field; or of numbers, which then
                            * are known to be; NULL: there are none */
} lf_label_form;
/* A member of a data set's specification: label_separator or label_columns. *taken false: another one. */
lf_status lf_label_form_take(lf_label_form *out, const cJSON *member, bool *taken, const char *key, lf_err *err);
/* Does a data set's specification say where its labels are, or what they are called? */
bool lf_data_names_labels(const cJSON *spec);
bool lf_label_form_has(const lf_label_form *f, const char *column); /* is it one of the columns? */
/* What it points to becomes the arena's. False: out of memory. */
bool lf_label_form_keep(lf_label_form *f, lf_arena *arena);

#endif

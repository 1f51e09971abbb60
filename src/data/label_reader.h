/* Labels, read one example after another, then taken for what they are (label_kinds.c). */
#ifndef LF_DATA_LABEL_READER_H
#define LF_DATA_LABEL_READER_H

#include "base/string.h"
#include "data/label_form.h"
#include "data/label_sets.h"
#include "data/label_table.h"

typedef struct lf_label_reader {
    /* ---- set before lf_label_reader_open ---- */
    const char *path;  /* of the data, for messages */
    const char *field; /* of the label, for messages */
    lf_label_form form;
    bool numbers;       /* form.columns are numbers */
    bool written_lists; /* a text in brackets is a list, written as JSON: of tables, which have none of their own */
    const char *(*name_of)(const void *data, int64_t i, char *buf, size_t size); /* of an example, for messages */
    const void *data;
    /* ---- its own ---- */
    lf_labels *out;
    bool fixed;           /* the names are there before, in their order */
    bool lists;           /* some example has a list, a separator, or columns */
    bool wrote_lists;     /* some example's list was a text in brackets */
    lf_label_table table; /* of out->names */
    int64_t names_room, ids_room, begin_room;
    lf_string atom;
} lf_label_reader;

lf_status lf_label_reader_open(lf_label_reader *r, lf_err *err);
void lf_label_reader_free(lf_label_reader *r); /* with what was read, if it was not taken */
/* The names of the classes, in the order of their labels, before any example: those of a ClassLabel. */
lf_status lf_label_reader_fix(lf_label_reader *r, const cJSON *names, lf_err *err);
/* The next example: a text, a number, a truth value, or a list of them. NULL: it has no label. Where the names are
 * fixed, whole numbers are those of the classes. */
lf_status lf_label_reader_add(lf_label_reader *r, const cJSON *label, lf_err *err);
/* The same of fields (form.columns) of a record. */
lf_status lf_label_reader_add_columns(lf_label_reader *r, const cJSON *record, lf_err *err);
/* What was read, taken for `problem` if it is known, else for what it looks like: lists are several classes, numbers
 * with a fraction numbers, and so are lists of one length. Classes are sorted by name (by number if all are numbers),
 * unless they were fixed. LF_EDATA: an example has labels that the problem cannot have. */
lf_status lf_label_reader_take(lf_label_reader *r, const lf_problem *known, lf_labels **out, lf_err *err);

/* ---- of the two files of the reader ---- */

lf_status lf_label_reader_full(const lf_label_reader *r, lf_err *err); /* out of memory */
/* LF_EDATA: what was expected of example i's label, and what was found. */
lf_status lf_label_reader_bad(const lf_label_reader *r, int64_t i, lf_err *err, const char *expected,
                              const char *found);
bool lf_label_is_number(const char *name, double *out); /* a finite one, with nothing around it */

#endif

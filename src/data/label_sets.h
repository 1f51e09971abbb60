/* Labels of the examples of a data set, of pictures or of texts: read one example after another, then taken for what
 * they are: classes, several of them, or numbers. */
#ifndef LF_DATA_LABEL_SETS_H
#define LF_DATA_LABEL_SETS_H

#include <cjson/cJSON.h>

#include "base/pool.h"
#include "base/problem.h"
#include "base/string.h"

/* ---- which classes an example is of ---- */

typedef struct lf_class_sets {
    int64_t n;      /* examples */
    int32_t *ids;   /* the classes of example i: ids[begin[i]] .. ids[begin[i + 1] - 1] */
    int64_t *begin; /* [n + 1] */
} lf_class_sets;
void lf_class_sets_free(lf_class_sets *s); /* what it holds */
/* out [n_classes]: 1 of the classes of example i, 0 of the others. */
void lf_class_sets_values(const lf_class_sets *s, int64_t i, int64_t n_classes, float *out);
void lf_class_sets_renumber(lf_class_sets *s, const int32_t *to); /* what was class c is class to[c] */

/* ---- labels ---- */

typedef struct lf_labels {
    lf_problem problem;
    const char **names; /* [n_names] of the classes, in the order of their numbers; none of numbers */
    int64_t n_names;
    lf_class_sets sets; /* of one label each, too: a class an example */
    int64_t width;      /* regression: how many numbers an example has, 1 or more; 0 else */
    float *numbers;     /* regression: [sets.n, width]; NULL else */
    const char **parts; /* regression: [width] what each number is called, in the arena; NULL: there is one, or none */
    lf_arena *arena;
} lf_labels;
void lf_labels_free(lf_labels *l);
/* The classes become names[n], which are copied: what was class c is class to[c]. `path`: for a lack of memory. */
lf_status lf_labels_rename(lf_labels *l, const char *const *names, int64_t n, const int32_t *to, const char *path,
                           lf_err *err);

/* ---- how several classes are written ---- */

/* Beside lists, which need nothing. */
typedef struct lf_label_form {
    const char *separator; /* stands between the names of a text; NULL: a text is one name */
    const cJSON *columns;  /* a list of fields of 0 and 1, a class each, instead of one field; or of numbers, which then
                            * are known to be; NULL: there are none */
} lf_label_form;
/* A member of a data set's specification: label_separator or label_columns. *taken false: another one. */
lf_status lf_label_form_take(lf_label_form *out, const cJSON *member, bool *taken, const char *key, lf_err *err);
bool lf_label_form_has(const lf_label_form *f, const char *column); /* is it one of the columns? */
/* What it points to becomes the arena's. False: out of memory. */
bool lf_label_form_keep(lf_label_form *f, lf_arena *arena);

/* ---- reading ---- */

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
    bool fixed; /* the names are there before, in their order */
    bool lists; /* some example has a list, a separator, or columns */
    struct {
        int32_t *slots;
        size_t size;
    } table;
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

#endif

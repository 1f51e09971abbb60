/* Labels of the examples of a data set, of pictures or of texts: classes, several of them, or numbers. They are read by
 * label_reader.h. */
#ifndef LF_DATA_LABEL_SETS_H
#define LF_DATA_LABEL_SETS_H

#include "base/error.h"
#include "base/pool.h"
#include "base/problem.h"

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

#endif

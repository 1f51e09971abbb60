/* What a data format fills and dataset.c serves. */
#ifndef LF_DATA_IMAGE_DATASET_INTERNAL_H
#define LF_DATA_IMAGE_DATASET_INTERNAL_H

#include <stdatomic.h>

#include "base/pool.h"
#include "data/class_names.h"
#include "data/image/dataset.h"
#include "data/label_reader.h"
#include "data/splits.h"

typedef struct lf_data_format lf_data_format;

/* All examples of a place as they are stored; data sets that were split from one another share it. */
typedef struct lf_store {
    const lf_data_format *format;
    atomic_int users;
    lf_arena *arena;  /* strings and whatever else lives as long as the store */
    const char *path; /* of what was opened: a split's folder, an images file */
    int64_t n;
    int32_t *labels;       /* [n], -1 = none; lf_malloc */
    lf_class_sets several; /* of pictures with several classes each, which have no label; begin NULL: of others */
    const char **class_names;
    const char **origins;          /* NULL, or [n_classes] what the data call them; NULL of one that they do not have */
    int64_t n_classes;             /* 0 if unlabelled */
    const char *table, *label_map; /* the files that were read for them, or NULL */
    const char **files;            /* [n_files] that the examples are read from */
    int64_t n_files;
    const char **columns; /* NULL, or [n_files] the column of pictures in each */
    void *source;         /* the format's own; freed by its close */
} lf_store;

/* What lf_dataset_open was asked for, spec taken apart. */
typedef struct lf_data_request {
    const char *path, *key;
    const cJSON *paths; /* a path, as a string, or a list of them; `path` is the first */
    const char *split, *labels, *label_field, *image_field; /* NULL if not given */
    const cJSON *label_map;                                 /* a path or an object; NULL if not given */
    lf_label_form form;                                     /* how several classes are written */
    const lf_problem *problem;                              /* what the labels are; NULL: what they look like */
    bool unlabelled;
} lf_data_request;

struct lf_data_format {
    const char *name, *expects; /* "image_folder", "a folder with ..." for errors */
    bool takes_lists;           /* reads r->paths, which may be a list or a pattern */
    bool (*recognises)(const char *path, bool unlabelled);
    bool (*has_split)(const char *path, const char *split);
    lf_status (*open)(lf_store *s, const lf_data_request *r, lf_err *err); /* on failure the caller closes */
    lf_status (*image)(const lf_store *s, int64_t i, lf_image *out, lf_err *err);
    /* Is it there and whole, without decoding it (lf_image_check_file)? NULL: `image` is as cheap. */
    lf_status (*check)(const lf_store *s, int64_t i, lf_err *err);
    const char *(*name_of)(const lf_store *s, int64_t i, char *buf, size_t size);
    void (*close)(lf_store *s);
};

/* store.c */
lf_status lf_store_open(lf_store **out, const lf_data_format *format, const lf_data_request *r, lf_err *err);
void lf_store_release(lf_store *s); /* accepts NULL; the last user's closes it */
/* Several as one (joined.c), one after the other: its classes are all of theirs, sorted. Takes the parts over, unless
 * it fails: LF_EUNSUPPORTED where pictures have several classes each. */
lf_status lf_store_join(lf_store **out, lf_store *const *parts, int64_t n, const char *key, lf_err *err);

lf_status lf_store_name_classes(lf_store *s, const char *const *names, int64_t n,
                                lf_err *err); /* copies; LF_EDATA: one is not UTF-8 */
/* Of labels that are single classes or several, by what they look like if r does not say it. */
lf_status lf_store_take_labels(lf_label_reader *reader, const lf_data_request *r, lf_labels **out, lf_err *err);
/* One class each as sets of one. */
lf_status lf_store_make_several(lf_store *s, lf_err *err);
/* The classes become names[n]: what was class c is class to[c]; -1: of no example. Names are copied. */
lf_status lf_store_relabel(lf_store *s, const char *const *names, int64_t n, const int32_t *to, lf_err *err);
/* Renames the classes by r->label_map. LF_EDATA: a class that has examples is neither a name nor a class in it. */
lf_status lf_store_map_labels(lf_store *s, const lf_data_request *r, lf_err *err);

/* What is to be checked (check.c): all of the store, so that what was split is checked once; of a sample only the
 * sample. */
int64_t lf_dataset_check_count(const lf_dataset *d);
lf_status lf_dataset_check_one(const lf_dataset *d, int64_t i, bool decode, lf_err *err);
const char *lf_dataset_check_name(const lf_dataset *d, int64_t i, char *buf, size_t size);
/* Of which they are: the files in their order (names below their common folder), the columns, and the drawn ones. */
uint64_t lf_dataset_check_hash(const lf_dataset *d);

#endif

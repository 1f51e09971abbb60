/* What a data format fills and dataset.c serves. */
#ifndef LF_DATA_IMAGE_DATASET_INTERNAL_H
#define LF_DATA_IMAGE_DATASET_INTERNAL_H

#include <stdatomic.h>

#include "base/pool.h"
#include "data/image/dataset.h"
#include "data/splits.h"

typedef struct lf_data_format lf_data_format;

/* All examples of a place as they are stored; data sets that were split from one another share it. */
typedef struct lf_store {
    const lf_data_format *format;
    atomic_int users;
    lf_arena *arena;  /* strings and whatever else lives as long as the store */
    const char *path; /* of what was opened: a split's folder, an images file */
    int64_t n;
    int32_t *labels; /* [n], -1 = none; lf_malloc */
    const char **class_names;
    int64_t n_classes;  /* 0 if unlabelled */
    const char **files; /* [n_files] that the examples are read from */
    int64_t n_files;
    void *source; /* the format's own; freed by its close */
} lf_store;

/* What lf_dataset_open was asked for, spec taken apart. */
typedef struct lf_data_request {
    const char *path, *split, *labels, *key; /* split, labels: NULL if not given */
    bool unlabelled;
    const char *const *class_names;
    int64_t n_classes;
} lf_data_request;

struct lf_data_format {
    const char *name, *expects; /* "image_folder", "a folder with ..." for errors */
    bool (*recognises)(const char *path, bool unlabelled);
    bool (*has_split)(const char *path, const char *split);
    lf_status (*open)(lf_store *s, const lf_data_request *r, lf_err *err); /* on failure the caller closes */
    lf_status (*image)(const lf_store *s, int64_t i, lf_image *out, lf_err *err);
    const char *(*name_of)(const lf_store *s, int64_t i, char *buf, size_t size);
    void (*close)(lf_store *s);
};

/* The label of class `name`: its place in r->class_names; -1 if it is not among them. */
int64_t lf_class_find(const lf_data_request *r, const char *name);
/* Appends ", 'name'" to a list in a message's buffer, "..." where it ends. */
void lf_list_append(char *buf, size_t size, const char *name);

#endif

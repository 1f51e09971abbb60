/* Pictures in Parquet files, inside: the files of a split, their columns, and their labels. */
#ifndef LF_DATA_IMAGE_DATASET_PARQUET_H
#define LF_DATA_IMAGE_DATASET_PARQUET_H

#include "base/json.h"
#include "data/image/dataset_internal.h"
#include "parquet/parquet.h"

typedef struct lf_shard {
    lf_parquet *file;
    int64_t first;        /* number of its first row among all */
    int64_t image, label; /* leaves; label: -1 if there is none, or it is read from rows */
    int64_t path;         /* what `datasets` calls a picture; -1: nothing */
} lf_shard;

typedef struct lf_shards {
    lf_shard *at;
    int64_t n;
} lf_shards;

/* Opens a file and finds its columns. *image and *label: their names, borrowed from the file, which the caller closes
 * also after a failure; *label stays as it is where none is asked for. LF_EDATA: there is no such column, or several
 * may be meant. */
lf_status lf_shard_open(lf_shard *s, const char *path, const lf_data_request *r, const char **image, const char **label,
                        lf_err *err);
/* Labels are numbers. */
bool lf_shard_has_numbers(const lf_shard *s);
/* Of a column that `datasets` calls a ClassLabel (of a list, what is in it); NULL: it has none. Borrowed. */
const cJSON *lf_shard_class_names(const lf_shard *s, const char *column);

/* Fills labels (or sets of labels) and classes of the store, whose labels have room for all rows. `column`: of the
 * labels, by the first file; NULL: there are columns of 0 and 1. LF_EDATA: a label that is none. */
lf_status lf_shards_read_labels(lf_store *s, const lf_shards *all, const lf_data_request *r, const char *column,
                                lf_err *err);

#endif

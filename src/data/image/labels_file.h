/* A file that names pictures and their labels, as image folders of Hugging Face's `datasets` have it: metadata.csv,
 * .tsv or .jsonl, or labels.csv, .tsv or .jsonl, with a column `file_name` (a path below the file's folder) and one of
 * the label: label, class or category, else the same of several, or what `label_field` names; or the columns of 0 and 1
 * that `label_columns` names. */
#ifndef LF_DATA_IMAGE_LABELS_FILE_H
#define LF_DATA_IMAGE_LABELS_FILE_H

#include "data/image/dataset_internal.h"

typedef struct lf_labels_file {
    char *path;
    const char *folder; /* that its names are below; borrowed */
    struct lf_labels_row {
        const char *name;
        uint64_t line;
        int64_t number; /* in the file, and in `labels` */
        bool used;
    } * rows; /* sorted by name */
    int64_t n, room;
    lf_labels *labels; /* of the rows in the file's order */
    char lacks[512];   /* "": it is one; else what it has not, for a message: it names no labels */
    char unread[256];  /* its other columns */
    lf_arena *arena;
} lf_labels_file;

/* path stays NULL if there is none in the folder; LF_EUSAGE if there are several. */
lf_status lf_labels_file_find(lf_labels_file *out, const char *folder, const char *key, lf_err *err);
/* Reads what was found. LF_EDATA: a row without a name or label, a name that leaves the folder, or is there twice. */
lf_status lf_labels_file_read(lf_labels_file *f, const lf_data_request *r, lf_err *err);
void lf_labels_file_free(lf_labels_file *f);

/* Labels and names the classes of the store's pictures, of which paths[i] is the i-th; those that are not named are
 * taken out of both and counted in *unnamed. LF_EDATA: names of which there is no picture, unless they are of another
 * part of the folder than s->path. */
lf_status lf_labels_file_apply(lf_labels_file *f, lf_store *s, const char **paths, int64_t *unnamed,
                               const lf_data_request *r, lf_err *err);

#endif

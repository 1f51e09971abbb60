/* Labelled pictures as one indexed set, whatever they are stored as, and batches decoded ahead by worker threads. */
#ifndef LF_DATA_IMAGE_DATASET_H
#define LF_DATA_IMAGE_DATASET_H

#include "base/problem.h"
#include "data/fingerprint.h"
#include "data/image/image.h"
#include "data/image/mix.h"
#include "data/portion.h"

typedef struct lf_dataset lf_dataset;

typedef struct lf_dataset_opts {
    const cJSON *spec;  /* a path as string, or {"path":..., "format": "image_folder"|"idx"|"parquet", "split":...,
                         * "labels":..., "label_map":..., "label_field":..., "label_separator":...,
                         * "label_columns":...} */
    const char *key;    /* the config key, for errors: "train_data" */
    const char *split;  /* which subfolder is meant if the folder has train/ val/ test/: "train", "val", "test" */
    bool unlabelled;    /* predict: any folder of pictures, or a single picture; labels are -1 */
    bool problem_known; /* one class each, or several; else what the labels look like */
    lf_problem problem;
    int64_t max_samples; /* 0 = all; else that many, drawn by `seed` without replacement, in order */
    bool balanced;       /* of each class as many of them as of the others, as far as there are so many */
    uint64_t seed;
} lf_dataset_opts;

/* A picture has one class, or (lists of them, names with a label_separator between them, label_columns) several, of
 * which each holds or not.
 *
 * image_folder: a subfolder a class, pictures below it by extension (those of decoders.def, any case); or pictures
 * anywhere, and a file that names them and their labels: metadata.csv and the like (image/labels_file.h), in the
 * folder, in that of the split, or above it. Folders of splits with pictures directly in them are no classes: LF_EDATA.
 * Other files there are counted by extension and said in one warning; hidden ones, and those that systems put there
 * (Thumbs.db, desktop.ini, __MACOSX, @eaDir), are not looked at.
 * parquet: files with a column of pictures and one of labels (docs/picture-data.md); a file, a list of them, a pattern,
 * or a folder with the shards of each split (data/files.h). Files without rows add nothing, and are warned of.
 * idx: a pair of IDX files; path is the images file (*-images-idx3-ubyte[.gz]; the labels file is found beside it by
 * name or given as "labels"), or a folder that holds such pairs (train-*, t10k-* for test; split chooses). An empty
 * class folder, a folder without pictures, labels and images of different counts: LF_EDATA, naming it.
 *
 * Classes are numbered in the sorted order of their names; "label_map", the path of a JSON or CSV file or an object,
 * renames them before. */
lf_status lf_dataset_open(lf_dataset **out, const lf_dataset_opts *opts, lf_err *err);
void lf_dataset_free(lf_dataset *d);
int64_t lf_dataset_count(const lf_dataset *d);
int64_t lf_dataset_n_classes(const lf_dataset *d);
const char *lf_dataset_class_name(const lf_dataset *d, int64_t label);
/* What the data call the class, where a label_map or lf_dataset_relabel has renamed it; else its name. */
const char *lf_dataset_class_origin(const lf_dataset *d, int64_t label);
/* The classes become names[n]: what was class c is class to[c] from now on, in all data sets split from this one. */
lf_status lf_dataset_relabel(lf_dataset *d, const char *const *names, int64_t n, const int32_t *to, lf_err *err);
int64_t lf_dataset_label(const lf_dataset *d, int64_t i); /* -1: none, or several */
bool lf_dataset_several(const lf_dataset *d);             /* has each picture any number of classes? */
/* Then out [n_classes]: 1 of the classes of picture i, 0 of the others. */
void lf_dataset_values(const lf_dataset *d, int64_t i, float *out);
const char *lf_dataset_example_name(const lf_dataset *d, int64_t i, char *buf,
                                    size_t size); /* path, or "file[index]" */
const char *lf_dataset_path(const lf_dataset *d);
lf_status lf_dataset_image(const lf_dataset *d, int64_t i, lf_image *out, lf_err *err); /* thread safe */

/* Of all files that the examples are read from (for IDX both), whichever of them were drawn: pictures' names with their
 * class folders. skip_unreadable: see lf_fingerprint_files. */
lf_status lf_dataset_fingerprint(lf_fingerprint *out, const lf_dataset *d, bool skip_unreadable, lf_err *err);

/* Does the folder (of the spec) itself have a subfolder / pair for `split`? For finding val/ and test/ beside train/.
 */
bool lf_dataset_has_split(const cJSON *spec, const char *split);

/* Takes the share `fraction` of d's examples out (stratified by class, drawn by seed) into *held_out; d keeps the rest.
 */
lf_status lf_dataset_split(lf_dataset *d, double fraction, uint64_t seed, lf_dataset **held_out, lf_err *err);

/* The order of examples: a permutation an epoch, a pure function of (seed, epoch); position = batch number. */
typedef struct lf_batch {
    int64_t B;
    float *pixels;         /* [B, channels, H, W] */
    int32_t *labels;       /* [B] */
    float *values;         /* [B, n_values] of pictures with several classes each, 0 or 1; NULL: of others */
    int64_t n_values;      /* classes */
    int32_t *partners;     /* [B] labels of what each is mixed with (mix.h); NULL: nothing is mixed */
    double share;          /* of its own label; the rest is the partner's. `values` are mixed themselves */
    int64_t *indices;      /* [B] into the data set */
    int64_t epoch, number; /* batch number within the epoch */
} lf_batch;

typedef struct lf_loader_opts {
    int64_t batch_size;
    int64_t workers; /* decoding threads, >= 1 */
    bool shuffle;
    bool balanced; /* shuffled so that classes come alike (data/balance.h) */
    uint64_t seed;
    lf_augmentation augmentation;
    lf_picture_changes changes;
    lf_picture_mixing mixing;
    const lf_image_processor *processor; /* copied */
    bool skip_bad_images; /* a picture that does not decode is counted and left out of its batch; else an error. A
                           * batch of which nothing is left is not served (so count batches by `number`, not by
                           * calls); an epoch of which nothing is left is LF_EDATA */
    int64_t first_epoch, first_batch; /* resume position */
    int64_t epochs;                   /* how many epochs to serve from first_epoch on; INT64_MAX = without end */
    bool drop_last;
    lf_portion portion; /* if not all: batches of which nothing is left are served, too */
} lf_loader_opts;

typedef struct lf_loader lf_loader;
lf_status lf_loader_new(lf_loader **out, const lf_dataset *d, const lf_loader_opts *opts, lf_err *err);
void lf_loader_free(lf_loader *l); /* stops the threads */
/* The next batch in order, valid until the next call; *out = NULL at the end. Batches do not depend on the number of
 * workers. A failure is returned in the place of the batch it belongs to, and by every call from then on. All buffers
 * are allocated in lf_loader_new; decoding itself may use the heap. */
lf_status lf_loader_next(lf_loader *l, const lf_batch **out, lf_err *err);
int64_t lf_loader_batches_per_epoch(const lf_loader *l);
int64_t lf_loader_skipped(const lf_loader *l);
double lf_loader_waited(const lf_loader *l); /* seconds that the caller waited for batches, the first left out */

#endif

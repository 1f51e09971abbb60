/* The source of pictures (task/source.h), for the tasks on them. */
#ifndef LF_TASK_PICTURES_H
#define LF_TASK_PICTURES_H

#include "data/image/check.h"
#include "data/image/dataset.h"
#include "task/source.h"

typedef struct lf_pictures {
    lf_image_processor processor;
    bool has_processor;
    lf_dataset *data[LF_DATA_ROLES]; /* NULL: not given */
    struct lf_picture_mark {
        char identity[33]; /* of data that were checked; "": were not */
        lf_checked found;
    } marks[LF_DATA_ROLES];
    const char **classes[LF_DATA_ROLES]; /* their names, borrowed from the data */
    lf_picture_examples examples[LF_DATA_ROLES];
    lf_loader *loaders[LF_DATA_ROLES];
    int64_t batch_size[LF_DATA_ROLES];
    lf_example_batch batch[LF_DATA_ROLES]; /* the last one served */
    lf_batch random;                       /* its arrays are ours */
} lf_pictures;

lf_pictures *lf_pictures_of(const lf_task *t);

/* pictures_check.c: `check` and `keep_checks` of the source. */
lf_status lf_pictures_check(lf_task *t, lf_data_role role, const char *hash, lf_err *err);
lf_status lf_pictures_keep_checks(const lf_task *t, const char *dir, lf_err *err);

#endif

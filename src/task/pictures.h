/* The source of pictures (task/source.h), for the tasks on them. */
#ifndef LF_TASK_PICTURES_H
#define LF_TASK_PICTURES_H

#include "data/image/dataset.h"
#include "task/source.h"

typedef struct lf_pictures {
    lf_image_processor processor;
    bool has_processor;
    lf_dataset *data[LF_DATA_ROLES]; /* NULL: not given */
    const char **classes;            /* of the training data */
    lf_picture_examples examples[LF_DATA_ROLES];
    lf_loader *loader;
    int64_t batch_size;
    lf_example_batch batch; /* the last one served */
    lf_batch random;        /* its arrays are ours */
} lf_pictures;

lf_pictures *lf_pictures_of(const lf_task *t);

#endif

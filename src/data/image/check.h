/* Can every picture of a data set be read? Asked before a run, so that it does not end at one in the middle. */
#ifndef LF_DATA_IMAGE_CHECK_H
#define LF_DATA_IMAGE_CHECK_H

#include "data/image/dataset.h"

typedef struct lf_check_opts {
    int64_t workers;    /* threads */
    bool decode;        /* every picture; else what its format says of itself (lf_image_check_container) */
    bool interruptible; /* LF_EINTERRUPTED after lf_interrupt */
} lf_check_opts;

typedef struct lf_checked {
    int64_t pictures, damaged;
    char names[320]; /* of the first that are damaged: "'a.jpg', 'b.png', ..." */
    lf_err first;    /* what the first of them lacks */
} lf_checked;

/* Of a data set that was split, all of it; of a sample, the sample. LF_OK also where pictures are damaged; the same
 * with any number of workers. What is no damage (a file that cannot be opened, no memory) is an error. */
lf_status lf_dataset_check(lf_checked *out, const lf_dataset *d, const lf_check_opts *o, lf_err *err);

/* All that the outcome depends on beside the bytes of the files (lf_dataset_fingerprint). */
void lf_dataset_check_identity(const lf_dataset *d, bool decode, char *buf, size_t size);

#endif

/* Examples to learn from or to be judged by, whatever goes into the model. */
#ifndef LF_EVAL_EXAMPLES_H
#define LF_EVAL_EXAMPLES_H

#include "data/image/dataset.h"
#include "data/text/loader.h"
#include "model/model.h"

/* Valid until the next one is asked for. */
typedef struct lf_example_batch {
    lf_model_input in;     /* in.B rows */
    const int32_t *labels; /* a class a row [B], or the next token of each [B,T]; below 0: none */
    /* [B, n_labels] of several labels 0 or 1 each, or numbers (regression; NAN: none); NULL: `labels` say it. */
    const float *values;
    int64_t n_labels, n_values; /* in those two */
    const int32_t *partners; /* [B] classes of which each row is 1 - share, too, and of its own label `share`; NULL */
    double share;
    const int64_t *indices; /* [B] which example of its data each row is, or begins with */
    const int32_t *filled;  /* [B] of texts: tokens of a row, behind which is padding; NULL of pictures */
    int64_t examples;       /* that begin in it: pictures, documents */
    int64_t items;          /* what speed is counted in: pictures, or tokens without padding */
    int64_t targets;        /* labels that are not below 0; may be 0 */
    int64_t epoch, number;  /* number within the epoch */
    bool old;               /* of what the model is to keep (LF_DATA_REPLAY), not of the new task */
} lf_example_batch;

lf_example_batch lf_batch_of_pictures(const lf_batch *b);
lf_example_batch lf_batch_of_text(const lf_text_batch *b);
/* Row i of b, as a batch of its own over the same memory; pixels: of the model that it goes into. */
lf_example_batch lf_batch_row(const lf_example_batch *b, int64_t i, const lf_pixel_facts *pixels);

/* A data set to be judged by, read from its beginning to its end as often as one likes. */
typedef struct lf_examples {
    void *data;
    int64_t count;                                                   /* rows of all batches */
    const char *unit;                                                /* what a row is: "examples" */
    const char *path;                                                /* of the data, for errors; borrowed */
    lf_status (*begin)(void *data, lf_portion portion, lf_err *err); /* of all batches, those */
    /* The next batch; *out NULL at the end. Of a portion that is not all one may be without a row. */
    lf_status (*next)(void *data, const lf_example_batch **out, lf_err *err);
    void (*end)(void *data);
    int64_t (*skipped)(const void *data);                                         /* since `begin`: could not be read */
    const char *(*name)(const void *data, int64_t index, char *buf, size_t size); /* of an example, for errors */
} lf_examples;

typedef struct lf_confusion lf_confusion;
typedef struct lf_answers lf_answers;
typedef struct lf_eval_opts {
    int64_t batch_size, workers;
    bool skip_bad_images;
    const lf_image_processor *processor;
    const char *what;        /* of the progress line: "evaluate"; "" for none */
    int64_t knn_samples;     /* most features that the nearest neighbours are searched in; 0: 2000 */
    bool base;               /* without the adapters */
    lf_confusion *confusion; /* filled by lf_evaluate; NULL: not asked */
    lf_answers *answers;     /* every example's is handed to it (answers.h); NULL: to none */
    bool base_is_gone;       /* all weights are trained: no untouched base is in the model's memory */
    bool interruptible;      /* stop with LF_EINTERRUPTED after lf_interrupt; training lets an evaluation end first */
} lf_eval_opts;

/* Pictures, in order. All is borrowed, and there while the examples are used; the options say how they are read. */
typedef struct lf_picture_examples {
    lf_examples examples; /* what is handed on */
    const lf_dataset *d;
    lf_eval_opts opts;
    lf_loader *loader;
    lf_example_batch batch;
} lf_picture_examples;
lf_examples *lf_examples_of_pictures(lf_picture_examples *out, const lf_dataset *d, const lf_eval_opts *opts);

/* The rows of a loader that serves one epoch in order. */
typedef struct lf_text_examples {
    lf_examples examples;
    const lf_text_dataset *d;
    lf_text_loader *loader;
    lf_example_batch batch;
} lf_text_examples;
lf_examples *lf_examples_of_text(lf_text_examples *out, const lf_text_dataset *d, lf_text_loader *loader);

#endif

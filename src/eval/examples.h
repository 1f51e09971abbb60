/* Examples to learn from or to be judged by, whatever goes into the model. */
#ifndef LF_EVAL_EXAMPLES_H
#define LF_EVAL_EXAMPLES_H

#include "model/model.h"

/* Valid until the next one is asked for. */
typedef struct lf_example_batch {
    lf_model_input in;      /* in.B rows */
    const int32_t *labels;  /* a class a row [B], or the next token of each [B,T]; below 0: none */
    const int64_t *indices; /* [B] which example of its data each row is, or begins with */
    int64_t examples;       /* that begin in it: pictures, documents */
    int64_t items;          /* what speed is counted in: pictures, or tokens without padding */
    int64_t epoch, number;  /* number within the epoch */
} lf_example_batch;

#endif

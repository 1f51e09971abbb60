/* What the frozen layers at a model's beginning make of the training examples, kept from one epoch for the next ones
 * (prefix_cache). It goes with the process, so that there is nothing that could be of another model or of other data.
 *
 * What attention makes of a row depends, in its last digits, on how long the rows of the batch are: libraries multiply
 * short blocks in another order than long ones. So what was kept of a row serves in batches of the same length alone,
 * and is replaced by what a batch of another length makes of it. A row is kept without its padding. What stands in the
 * padding's place then is a copy of the row's first token: no token that is read sees it, and no gradient comes from
 * it. */
#ifndef LF_TASK_PREFIX_H
#define LF_TASK_PREFIX_H

#include "eval/examples.h"

typedef struct lf_prefix_store lf_prefix_store;

typedef struct lf_prefix_opts {
    int64_t layer;  /* lf_model_frozen_layers */
    int64_t rows;   /* indices of examples are below it */
    int64_t tokens; /* of all of them; 0: all have as many, which the first batch shows */
    int64_t few;    /* rows that will be kept, of those that have indices; 0: all */
    double most;    /* bytes; what needs more is not kept */
    bool in_file;   /* see base/large.h */
    int64_t number; /* bytes of an activation */
} lf_prefix_opts;

/* The first pass shows how much is to be kept, and whether it can be. */
lf_status lf_prefix_open(lf_prefix_store **out, const lf_prefix_opts *o, lf_err *err);
void lf_prefix_close(lf_prefix_store *s); /* accepts NULL */
/* For a pass over b, valid until the next call. NULL: nothing is kept. */
lf_prefix *lf_prefix_for(lf_prefix_store *s, const lf_example_batch *b);
/* Why nothing can be kept; NULL: nothing is against it, as far as passes have shown. */
const char *lf_prefix_obstacle(const lf_prefix_store *s);
/* Do two stores hold the same of the rows that both have? */
bool lf_prefix_agree(const lf_prefix_store *a, const lf_prefix_store *b);
double lf_prefix_bytes(const lf_prefix_store *s); /* of all rows */
/* Bytes of memory that what is still to be kept will take. */
double lf_prefix_to_come(const lf_prefix_store *s);

#endif

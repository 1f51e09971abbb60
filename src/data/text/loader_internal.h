/* Between loader.c, which knows which rows a batch has, and loader_fill.c, which knows what stands in them. */
#ifndef LF_DATA_TEXT_LOADER_INTERNAL_H
#define LF_DATA_TEXT_LOADER_INTERNAL_H

#include "data/ahead.h"
#include "data/balance.h"
#include "data/text/loader.h"
#include "data/text/tokens.h"

typedef struct lf_text_span {
    int64_t begin, end; /* in a slot's tokens */
    int64_t row;
} lf_text_span;

typedef struct lf_text_slot {
    lf_text_batch batch;
    int64_t *rows; /* [batch_size] of which it is made */
    lf_text_coder coder;
    lf_text_tokens tokens;
    lf_text_span *documents; /* [n_documents], row after row */
    int64_t n_documents, documents_capacity;
    int64_t cells; /* B * T that the batch has room for */
    int64_t truncated_documents, truncated_tokens;
} lf_text_slot;

struct lf_text_loader {
    const lf_text_dataset *data;
    lf_text_loader_opts opts;
    lf_text_coder coder;
    bool classified; /* a row is a text of a class */
    int64_t width;   /* numbers of a row's values */
    bool scanned;
    lf_text_scan scan;
    lf_text_packing packing; /* n_rows 0: a row is a document */
    int64_t *kept;           /* [n_documents] unpacked, those that were not skipped; NULL: all */
    int64_t n_documents, n_rows, per_epoch;
    int64_t *order, order_epoch; /* of rows; touched in lf_ahead's assign alone */
    lf_balance *balance;         /* the same; NULL: classes come as they are */
    int32_t *lengths;            /* [n_rows] where rows of like length go together; NULL: they do not */
    lf_text_grouped *grouping;   /* room for that; touched in assign alone */
    lf_text_slot *slots;
    int64_t n_slots;
    lf_ahead *ahead;
    lf_text_stats stats;
    lf_status failed; /* sticky; with err */
    lf_err err;
};

/* An lf_ahead_work's: makes the batch of an lf_text_slot from its rows. */
lf_status lf_text_fill(void *loader, void *item, lf_err *err);
lf_status lf_text_no_batch(const lf_text_loader *l, lf_err *err); /* LF_ENOMEM, which says how large a batch is */

#endif

/* All documents of a data set, tokenised once and kept: where lengths must be known before the first batch. */
#ifndef LF_DATA_TEXT_TOKENS_H
#define LF_DATA_TEXT_TOKENS_H

#include "data/text/dataset.h"

/* A long list of tokens that is written once and then read at any place: in memory while it is small, else in a file
 * that has no name any more and goes with the process. */
typedef struct lf_token_store lf_token_store;
lf_status lf_token_store_new(lf_token_store **out, int64_t most_in_memory, lf_err *err); /* tokens */
void lf_token_store_free(lf_token_store *s);
lf_status lf_token_store_append(lf_token_store *s, const lf_text_tokens *t, lf_err *err);
int64_t lf_token_store_count(const lf_token_store *s);
/* Appends n tokens from `first` on to *out. Thread safe once nothing is appended any more. */
lf_status lf_token_store_read(const lf_token_store *s, int64_t first, int64_t n, lf_text_tokens *out, lf_err *err);

typedef struct lf_text_kept {
    int64_t first; /* in the store */
    int32_t n;     /* tokens */
    int32_t cut;   /* tokens that were cut off; at most INT32_MAX are counted */
} lf_text_kept;

typedef struct lf_text_scan {
    lf_token_store *store;
    lf_text_kept *documents; /* [n]: records in the data set's order, or those windows that it has drawn */
    int64_t n, capacity;
    int64_t n_tokens;
    double seconds;
} lf_text_scan;

enum { LF_TOKENS_IN_MEMORY = 1 << 26, LF_TEXT_PIECE = 1 << 22 };

/* Tokenises d by `workers` threads. most_in_memory: see lf_token_store_new; piece_bytes: of plain text. */
lf_status lf_text_scan_run(lf_text_scan *out, const lf_text_dataset *d, const lf_text_coder *c, int64_t workers,
                           int64_t most_in_memory, uint64_t piece_bytes, lf_err *err);
void lf_text_scan_free(lf_text_scan *s);

/* Puts rows of like length beside each other. order [n] is a permutation of the rows, and stays one; lengths [n] are of
 * rows, in tokens; `together` >= 1: how many rows a step has. room: lf_text_group_room of them. */
typedef struct lf_text_grouped {
    int64_t row, place;
    int32_t length;
} lf_text_grouped;
int64_t lf_text_group_room(int64_t n, int64_t together);
void lf_text_group(int64_t *order, int64_t n, const int32_t *lengths, int64_t together, lf_text_grouped *room);

/* Documents to rows of at most `capacity` tokens. */
typedef struct lf_text_packing {
    int64_t *documents; /* of all rows, one row after the other */
    int64_t *begin;     /* [n_rows + 1] into documents */
    int64_t n_rows;
} lf_text_packing;
/* In the given order (NULL: 0, 1, ...), each document goes into the first open row that has room for it, else into a
 * new one; at most 64 rows are open, and the fullest closes. Documents without tokens are left out. */
lf_status lf_text_pack(lf_text_packing *out, const lf_text_kept *documents, int64_t n, const int64_t *order,
                       int64_t capacity, lf_err *err);
void lf_text_packing_free(lf_text_packing *p);

#endif

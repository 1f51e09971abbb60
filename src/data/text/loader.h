/* Batches of token rows, made ahead by worker threads.
 *
 * Rows. Unpacked, a row is a document (or a window of plain text). Packed, a row holds as many documents as fit into
 * max_seq_length. Either way a token belongs to one document: `document` is the column where its document begins, and
 * attention from column t goes to columns document[t] .. t, so documents that share a row do not see each other, and a
 * document has the same loss in whatever row it stands. What pads a row is a document of its own without targets.
 *
 * Order. Rows are permuted by (seed, epoch) alone, and a batch is the next batch_size of them; nothing depends on the
 * number of workers, and a loader that starts at (first_epoch, first_batch) serves what an uninterrupted one would
 * have. Packing is done once, over the documents in an order that depends on the seed alone (first fit among the open
 * rows, pack.c), and whole rows are permuted in each epoch: so every epoch has the same number of batches, and a
 * resumed run needs nothing but the seed. With `together` an epoch's permutation is sorted by length piece by piece
 * (group.c), which depends on the lengths and on nothing else.
 *
 * Tokenising. Unpacked records are tokenised when their batch is made, by the workers. Packing, `together` and plain
 * text need to know lengths: lf_text_loader_new then tokenises everything once, by all workers, and keeps the tokens (4
 * bytes each; in memory up to 256 MiB, beyond that in an unlinked file in $TMPDIR), so nothing is tokenised twice.
 * `scan` asks for the same where it is not needed, so that a bad record is found before the first batch rather than in
 * its place. */
#ifndef LF_DATA_TEXT_LOADER_H
#define LF_DATA_TEXT_LOADER_H

#include "data/portion.h"
#include "data/text/dataset.h"
#include "data/text/masking.h"

typedef struct lf_text_batch {
    int64_t B, T; /* T: the longest row of this batch, rounded up to a multiple of 8 (but not above max_seq_length) */
    int32_t *ids; /* [B,T]; padding: the encoder's pad, else eos, else 0 */
    int32_t *labels;    /* [B,T] the next token, where it is of the same document and to be predicted; else -1. Of
                           masked documents the token that stood here, where it was chosen */
    int32_t *positions; /* [B,T] within the document, from 0 */
    int32_t *document;  /* [B,T] first column of the token's document */
    int32_t *token_types,
        *lengths;      /* of classified texts and masked documents, one a row: [B,T] 1 in the second text; [B] tokens */
    int32_t *classes;  /* of classified texts: [B]; -1: unlabelled, or not of one class */
    float *values;     /* of several labels or numbers: [B, n_values]; NULL else. `labels` are then all -1 */
    int64_t n_values;  /* lf_text_dataset_width */
    int64_t *indices;  /* [B] which document or window the row begins with; see lf_text_loader_count */
    int32_t *filled;   /* [B] tokens of a row, behind which is padding */
    int64_t n_targets; /* labels that are not -1; of classified texts, rows that have one; may be 0 */
    int64_t n_tokens;  /* without padding */
    int64_t n_documents;
    int64_t epoch, number; /* batch number within the epoch */
} lf_text_batch;

typedef struct lf_text_loader_opts {
    int64_t batch_size;     /* rows */
    int64_t max_seq_length; /* >= 2 */
    int64_t context;        /* see lf_text_encode_opts */
    bool training;          /* see lf_text_encode_opts */
    bool loss_on_prompt, last_answer;
    lf_text_overlong overlong; /* skip: everything is tokenised before the first batch */
    bool packing, shuffle;     /* packing: not of classified texts */
    bool balanced;             /* shuffled so that classes come alike (data/balance.h); of texts with one class each */
    int64_t together; /* rows of a step, which are to be of like length; not packed, and shuffled. 0: as they come */
    bool scan;        /* tokenise everything before the first batch */
    lf_text_masking masking; /* where `masked`: of documents, not packed */
    bool masked;
    int64_t workers; /* >= 1 */
    uint64_t seed;
    int64_t first_epoch, first_batch; /* resume position */
    int64_t epochs;                   /* how many to serve from first_epoch on; INT64_MAX = without end */
    lf_portion portion;
} lf_text_loader_opts;

/* Of what was served since lf_text_loader_new; the last five of its scan (0 if there was none). */
typedef struct lf_text_stats {
    int64_t documents, tokens, targets;
    int64_t truncated_documents, truncated_tokens;
    int64_t positions;                                   /* tokens and padding */
    int64_t scan_documents, scan_tokens, scan_truncated; /* scan_truncated: documents */
    int64_t scan_skipped; /* documents that are longer than max_seq_length and in no row */
    double scan_seconds;
} lf_text_stats;

typedef struct lf_text_loader lf_text_loader;
/* d is borrowed, encoder is copied. */
lf_status lf_text_loader_new(lf_text_loader **out, const lf_text_dataset *d, const lf_text_encoder *encoder,
                             const lf_text_loader_opts *opts, lf_err *err);
void lf_text_loader_free(lf_text_loader *l); /* stops the threads */
/* Serves from this place on, as a new loader would, but keeps what is tokenised. */
lf_status lf_text_loader_restart(lf_text_loader *l, int64_t first_epoch, int64_t first_batch, lf_portion portion,
                                 lf_err *err);
/* The next batch in order, valid until the next call; *out = NULL at the end. A failure is returned in the place of the
 * batch it belongs to, and by every call from then on. */
lf_status lf_text_loader_next(lf_text_loader *l, const lf_text_batch **out, lf_err *err);
int64_t lf_text_loader_batches_per_epoch(const lf_text_loader *l);
int64_t lf_text_loader_rows_per_epoch(const lf_text_loader *l);
int64_t lf_text_loader_count(const lf_text_loader *l); /* documents or windows in an epoch */
/* The batches' `indices` are below *indices, and all rows have *tokens at most, of which one without any counts as one.
 * False: not known, because nothing was tokenised before the first batch. */
bool lf_text_loader_extent(const lf_text_loader *l, int64_t *indices, int64_t *tokens);
lf_text_stats lf_text_loader_stats(const lf_text_loader *l);
double
lf_text_loader_waited(const lf_text_loader *l); /* seconds that the caller waited for batches, the first left out */

#endif

/* One pass over a data set by all workers. Records go in chunks, plain text in pieces; what a chunk gives is appended
 * in the order of chunks, so the result does not depend on the number of workers. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "data/ahead.h"
#include "data/text/internal.h"
#include "data/text/tokens.h"

enum { CHUNK = 64 }; /* records */

typedef struct chunk {
    int64_t number;
    lf_text_coder coder;
    lf_text_tokens tokens;
    int64_t n; /* records */
    int64_t end[CHUNK], cut[CHUNK];
} chunk;

typedef struct scanning {
    lf_text_scan *out;
    const lf_text_dataset *data;
    const lf_text_coder *coder;
    lf_text_piece *pieces; /* plain text */
    int64_t n_chunks;
    int64_t stream; /* where the current file's tokens begin */
    chunk *slots;
    int64_t n_slots;
} scanning;

/* ---- making chunks, in any thread ---------------------------------------------------------------------------------
 */

static void assign(void *context, void *slot, int64_t number) {
    (void)context;
    ((chunk *)slot)->number = number;
}

static lf_status make_records(void *context, void *slot, lf_err *err) {
    const scanning *s = context;
    chunk *c = slot;
    const int64_t first = c->number * CHUNK, left = lf_text_dataset_count(s->data) - first;
    lf_status rc = LF_OK;
    c->tokens.n = 0;
    c->n = left < CHUNK ? left : CHUNK;
    for (int64_t i = 0; i < c->n && !rc; i++) {
        rc = lf_text_dataset_tokens(s->data, first + i, &c->coder, &c->tokens, &c->cut[i], err);
        c->end[i] = c->tokens.n;
    }
    return rc;
}

static lf_status make_piece(void *context, void *slot, lf_err *err) {
    const scanning *s = context;
    chunk *c = slot;
    c->tokens.n = 0;
    return lf_text_plain_encode(&c->tokens, s->data->shards->stores[0], &s->pieces[c->number], &c->coder, err);
}

/* ---- keeping them, in order ---------------------------------------------------------------------------------------
 */

static lf_status add(lf_text_scan *out, int64_t first, int64_t n, int64_t cut, lf_err *err) {
    if (!lf_grow(&out->documents, &out->capacity, out->n + 1))
        return lf_no_memory(err, "an index of %" PRId64 " documents", out->n + 1);
    out->documents[out->n++] = (lf_text_kept){first, (int32_t)n, (int32_t)(cut < INT32_MAX ? cut : INT32_MAX)};
    return LF_OK;
}

static lf_status keep_records(scanning *s, const chunk *c, int64_t first, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0, begin = 0; i < c->n && !rc; begin = c->end[i++])
        rc = add(s->out, first + begin, c->end[i] - begin, c->cut[i], err);
    return rc;
}

/* A file's tokens are complete with its last piece; a rest of one token has nothing to predict. Windows are counted
 * without the EOS of training, which lengthens the last one where there is room: what is held out and what is trained
 * on must be parts of one list. */
static lf_status keep_piece(scanning *s, const chunk *c, int64_t first, lf_err *err) {
    const lf_text_piece *p = &s->pieces[c->number];
    const int64_t size = s->coder->opts.max_seq_length, end = first + c->tokens.n, text_end = end - c->tokens.closed;
    lf_status rc = LF_OK;
    if (p->first) s->stream = first;
    if (!p->last) return LF_OK;
    for (int64_t at = s->stream; text_end - at > 1 && !rc; at += size)
        rc = add(s->out, at, end - at < size ? end - at : size, 0, err);
    return rc;
}

static lf_status collect(scanning *s, lf_ahead *ahead, lf_err *err) {
    const bool windowed = lf_text_dataset_windowed(s->data);
    lf_progress progress;
    lf_status rc;
    void *slot;
    int64_t done = 0;
    lf_progress_begin(&progress, "tokenising", s->n_chunks);
    while (!(rc = lf_ahead_next(ahead, &slot, err)) && slot) {
        const chunk *c = slot;
        const int64_t first = lf_token_store_count(s->out->store);
        if ((rc = lf_token_store_append(s->out->store, &c->tokens, err)) ||
            (rc = windowed ? keep_piece(s, c, first, err) : keep_records(s, c, first, err)))
            break;
        if (lf_interrupted()) {
            rc = lf_fail(err, LF_EINTERRUPTED, "interrupted while tokenising");
            break;
        }
        lf_progress_update(&progress, ++done, "");
    }
    lf_progress_end(&progress, "");
    return rc;
}

/* ---- windows drawn ------------------------------------------------------------------------------------------------
 */

static lf_status draw_windows(lf_text_scan *out, const lf_text_dataset *d, lf_err *err) {
    int64_t *pick, n;
    if (out->n == 0)
        return lf_fail(err, LF_EDATA, "%s: expected text of two tokens or more, found less", lf_text_dataset_path(d));
    const lf_status rc = lf_text_draw_from(&pick, &n, &d->draw, out->n, lf_text_dataset_path(d), err);
    if (rc || !pick) return rc;
    for (int64_t i = 0; i < n; i++) out->documents[i] = out->documents[pick[i]];
    out->n = n;
    lf_free(pick);
    return LF_OK;
}

static void count_tokens(lf_text_scan *out) {
    for (int64_t i = 0; i < out->n; i++) out->n_tokens += out->documents[i].n;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------
 */

lf_status lf_text_scan_run(lf_text_scan *out, const lf_text_dataset *d, const lf_text_coder *c, int64_t workers,
                           int64_t most_in_memory, uint64_t piece_bytes, lf_err *err) {
    const double start = lf_now();
    const bool windowed = lf_text_dataset_windowed(d);
    scanning s = {.out = out, .data = d, .coder = c, .n_slots = workers + LF_AHEAD_SPARE};
    lf_ahead *ahead = NULL;
    *out = (lf_text_scan){0};
    lf_status rc =
        windowed ? lf_text_plain_pieces(&s.pieces, &s.n_chunks, d->shards->stores[0], piece_bytes, err) : LF_OK;
    if (!windowed) s.n_chunks = (lf_text_dataset_count(d) + CHUNK - 1) / CHUNK;
    const lf_ahead_work work = {assign, windowed ? make_piece : make_records, &s};
    if (rc || (rc = lf_token_store_new(&out->store, most_in_memory, err))) goto out;
    if (!(s.slots = lf_calloc((size_t)s.n_slots, sizeof *s.slots))) {
        rc = lf_no_memory(err, "tokenising %s", lf_text_dataset_path(d));
        goto out;
    }
    for (int64_t i = 0; i < s.n_slots && !rc; i++) rc = lf_text_coder_for_thread(&s.slots[i].coder, c, err);
    if (rc || (rc = lf_ahead_new(&ahead, &work, s.slots, sizeof *s.slots, workers, s.n_chunks, err)) ||
        (rc = collect(&s, ahead, err)))
        goto out;
    if (windowed) rc = draw_windows(out, d, err);
    count_tokens(out);
    out->seconds = lf_now() - start;
out:
    lf_ahead_free(ahead);
    for (int64_t i = 0; s.slots && i < s.n_slots; i++) {
        lf_text_tokens_free(&s.slots[i].tokens);
        lf_text_coder_free(&s.slots[i].coder);
    }
    lf_free(s.slots);
    lf_free(s.pieces);
    if (rc) lf_text_scan_free(out);
    return rc;
}

void lf_text_scan_free(lf_text_scan *s) {
    lf_token_store_free(s->store);
    lf_free(s->documents);
    *s = (lf_text_scan){0};
}

/* Rows to batches. What a row holds is known from the packing, or is the row's own number; which rows a batch has, from
 * (seed, epoch). Filling a batch (loader_fill.c) is done by any thread and depends on nothing else. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/text/loader_internal.h"

/* ---- which rows ---------------------------------------------------------------------------------------------------
 */

static void assign(void *context, void *item, int64_t number) {
    lf_text_loader *l = context;
    lf_text_slot *s = item;
    const lf_text_loader_opts *o = &l->opts;
    const lf_batch_place at = lf_portion_place(o->portion, l->per_epoch, o->first_epoch, o->first_batch, number);
    const int64_t epoch = at.epoch;
    if (o->shuffle && epoch != l->order_epoch) {
        if (l->balance)
            lf_balance_order(l->balance, o->seed, epoch, l->order);
        else
            lf_rng_permutation(lf_rng_make(o->seed, LF_RNG_SHUFFLE, (uint64_t)epoch), l->order, l->n_rows);
        if (l->lengths) lf_text_group(l->order, l->n_rows, l->lengths, o->together, l->grouping);
        l->order_epoch = epoch;
    }
    s->batch.epoch = epoch;
    s->batch.number = at.number;
    const int64_t begin = s->batch.number * o->batch_size, left = l->n_rows - begin;
    s->batch.B = left < o->batch_size ? left : o->batch_size;
    for (int64_t i = 0; i < s->batch.B; i++) s->rows[i] = o->shuffle ? l->order[begin + i] : begin + i;
}

/* ---- making and freeing a loader ----------------------------------------------------------------------------------
 */

static lf_status check_opts(const lf_text_loader_opts *o, lf_err *err) {
    if (o->batch_size < 1 || o->workers < 1 || o->first_epoch < 0 || o->first_batch < 0 || o->epochs < 0)
        return lf_fail(err, LF_EUSAGE, "batch size and data workers must be 1 or more, epochs and positions 0 or more");
    return LF_OK;
}

static lf_status pack(lf_text_loader *l, lf_err *err) {
    enum { PACKING_STREAM = -1 }; /* of LF_RNG_SHUFFLE, whose others are epochs */
    const int64_t n = l->scan.n;
    int64_t *order = l->opts.shuffle ? lf_malloc((size_t)n * sizeof *order) : NULL;
    if (l->opts.shuffle && !order) return lf_no_memory(err, "packing %" PRId64 " documents", n);
    if (order) lf_rng_permutation(lf_rng_make(l->opts.seed, LF_RNG_SHUFFLE, (uint64_t)PACKING_STREAM), order, n);
    lf_status rc = lf_text_pack(&l->packing, l->scan.documents, n, order, l->opts.max_seq_length, err);
    lf_free(order);
    if (!rc && l->packing.n_rows == 0)
        rc = lf_fail(err, LF_EDATA, "%s: not one of %" PRId64 " documents has a token", lf_text_dataset_path(l->data),
                     n);
    return rc;
}

static bool is_skipped(const lf_text_loader *l, const lf_text_kept *k) {
    return l->opts.overlong == LF_TEXT_SKIP && k->cut > 0 && k->n == 0;
}

/* Counts what the scan cut and left out; the documents are those that are left. */
static lf_status leave_out(lf_text_loader *l, lf_err *err) {
    lf_text_stats *s = &l->stats;
    for (int64_t i = 0; i < l->scan.n; i++) {
        s->scan_skipped += is_skipped(l, &l->scan.documents[i]);
        s->scan_truncated += l->scan.documents[i].cut > 0 && !is_skipped(l, &l->scan.documents[i]);
    }
    l->n_documents = l->scan.n - s->scan_skipped;
    if (!s->scan_skipped || l->opts.packing) return LF_OK; /* of packed rows no document without tokens is part */
    if (l->n_documents == 0)
        return lf_fail(err, LF_EDATA,
                       "%s: each of %" PRId64 " documents is longer than max_seq_length %" PRId64
                       " and skipped; raise it, or set overlong to truncate",
                       lf_text_dataset_path(l->data), l->scan.n, l->opts.max_seq_length);
    if (!(l->kept = lf_malloc((size_t)l->n_documents * sizeof *l->kept)))
        return lf_no_memory(err, "a list of %" PRId64 " documents", l->n_documents);
    for (int64_t i = 0, at = 0; i < l->scan.n; i++)
        if (!is_skipped(l, &l->scan.documents[i])) l->kept[at++] = i;
    return LF_OK;
}

/* How many rows there are, and so batches. */
static lf_status plan(lf_text_loader *l, lf_err *err) {
    const lf_text_loader_opts *o = &l->opts;
    lf_status rc = LF_OK;
    l->scanned =
        o->packing || o->scan || o->together || o->overlong == LF_TEXT_SKIP || lf_text_dataset_windowed(l->data);
    l->n_documents = lf_text_dataset_count(l->data);
    if (l->scanned) {
        if ((rc = lf_text_scan_run(&l->scan, l->data, &l->coder, o->workers, LF_TOKENS_IN_MEMORY, LF_TEXT_PIECE, err)))
            return rc;
        l->stats.scan_documents = l->scan.n;
        l->stats.scan_tokens = l->scan.n_tokens;
        l->stats.scan_seconds = l->scan.seconds;
        lf_text_dataset_say_unread(l->data);
        if ((rc = leave_out(l, err))) return rc;
    }
    if (o->packing) rc = pack(l, err);
    l->n_rows = o->packing ? l->packing.n_rows : l->n_documents;
    l->per_epoch = (l->n_rows - 1) / o->batch_size + 1;
    return rc;
}

/* What rows of like length are found by. */
static bool measure_rows(lf_text_loader *l) {
    if (!l->opts.together) return true;
    l->lengths = lf_malloc((size_t)l->n_rows * sizeof *l->lengths);
    l->grouping = lf_malloc((size_t)lf_text_group_room(l->n_rows, l->opts.together) * sizeof *l->grouping);
    for (int64_t i = 0; l->lengths && i < l->n_rows; i++) l->lengths[i] = l->scan.documents[l->kept ? l->kept[i] : i].n;
    return l->lengths && l->grouping;
}

static int64_t class_of_row(const void *loader, int64_t i) {
    const lf_text_loader *l = loader;
    return lf_text_dataset_class(l->data, l->kept ? l->kept[i] : i);
}

static lf_status balance_rows(lf_text_loader *l, lf_err *err) {
    int64_t classes;
    if (!l->opts.balanced) return LF_OK;
    assert(l->classified && !l->width);
    lf_text_dataset_classes(l->data, &classes);
    return lf_balance_new(&l->balance, l->n_rows, classes, class_of_row, l, err);
}

static bool allocate_labels(const lf_text_loader *l, lf_text_batch *b, size_t rows) {
    b->lengths = lf_calloc(rows, sizeof *b->lengths);
    b->classes = lf_calloc(rows, sizeof *b->classes);
    b->n_values = l->width;
    b->values = l->width ? lf_calloc(rows * (size_t)l->width, sizeof *b->values) : NULL;
    return b->lengths && b->classes && (b->values || !l->width);
}

static lf_status allocate(lf_text_loader *l, lf_err *err) {
    const size_t batch_size = (size_t)(l->opts.batch_size < l->n_rows ? l->opts.batch_size : l->n_rows);
    l->order_epoch = -1;
    l->n_slots = l->opts.workers + LF_AHEAD_SPARE;
    l->slots = lf_calloc((size_t)l->n_slots, sizeof *l->slots);
    if (l->opts.shuffle) l->order = lf_malloc((size_t)l->n_rows * sizeof *l->order);
    bool good = l->slots && (l->order || !l->opts.shuffle) && measure_rows(l);
    for (int64_t i = 0; i < l->n_slots && good; i++) {
        lf_text_slot *s = &l->slots[i];
        s->rows = lf_calloc(batch_size, sizeof *s->rows);
        s->batch.indices = lf_calloc(batch_size, sizeof *s->batch.indices);
        s->batch.filled = lf_calloc(batch_size, sizeof *s->batch.filled);
        good = s->rows && s->batch.indices && s->batch.filled &&
               (!l->classified || allocate_labels(l, &s->batch, batch_size)) &&
               (!l->opts.masked || (s->batch.lengths = lf_calloc(batch_size, sizeof *s->batch.lengths)));
    }
    lf_status rc = good ? balance_rows(l, err) : lf_text_no_batch(l, err);
    for (int64_t i = 0; i < l->n_slots && !rc && !l->scanned; i++)
        rc = lf_text_coder_for_thread(&l->slots[i].coder, &l->coder, err);
    return rc;
}

static lf_status start(lf_text_loader *l, lf_err *err) {
    const lf_ahead_work work = {assign, lf_text_fill, l};
    const int64_t total = lf_portion_total(l->opts.portion, l->per_epoch, l->opts.epochs, l->opts.first_batch);
    return lf_ahead_new(&l->ahead, &work, l->slots, sizeof *l->slots, l->opts.workers, total, err);
}

lf_status lf_text_loader_new(lf_text_loader **out, const lf_text_dataset *d, const lf_text_encoder *encoder,
                             const lf_text_loader_opts *opts, lf_err *err) {
    const lf_text_encode_opts how = {.max_seq_length = opts->max_seq_length,
                                     .training = opts->training,
                                     .loss_on_prompt = opts->loss_on_prompt,
                                     .last_answer = opts->last_answer,
                                     .context = opts->context,
                                     .overlong = opts->overlong};
    lf_status rc = check_opts(opts, err);
    if (rc) return rc;
    lf_text_loader *l = lf_calloc(1, sizeof *l);
    if (!l) return lf_no_memory(err, "a loader");
    l->data = d;
    l->opts = *opts;
    l->classified = lf_text_dataset_is(d, LF_TEXT_CLASSIFIED);
    l->width = l->classified ? lf_text_dataset_width(d) : 0;
    assert(!l->classified || (!opts->packing && encoder->encode_pair));
    assert(!opts->masked || (!opts->packing && !l->classified));
    assert(!opts->together || (!opts->packing && opts->shuffle));
    if ((rc = lf_text_coder_init(&l->coder, encoder, &how, err)) || (rc = plan(l, err)) || (rc = allocate(l, err)) ||
        (rc = start(l, err)))
        lf_text_loader_free(l);
    else
        *out = l;
    return rc;
}

lf_status lf_text_loader_restart(lf_text_loader *l, int64_t first_epoch, int64_t first_batch, lf_portion portion,
                                 lf_err *err) {
    lf_ahead_free(l->ahead);
    l->ahead = NULL;
    l->opts.first_epoch = first_epoch;
    l->opts.first_batch = first_batch;
    l->opts.portion = portion;
    l->order_epoch = -1;
    l->failed = LF_OK;
    l->err = (lf_err){0};
    const lf_status rc = check_opts(&l->opts, err);
    return rc ? rc : start(l, err);
}

void lf_text_loader_free(lf_text_loader *l) {
    if (!l) return;
    lf_ahead_free(l->ahead);
    for (int64_t i = 0; l->slots && i < l->n_slots; i++) {
        lf_text_slot *s = &l->slots[i];
        lf_aligned_free(s->batch.ids);
        lf_aligned_free(s->batch.labels);
        lf_aligned_free(s->batch.positions);
        lf_aligned_free(s->batch.document);
        lf_aligned_free(s->batch.token_types);
        lf_free(s->batch.lengths);
        lf_free(s->batch.classes);
        lf_free(s->batch.values);
        lf_free(s->batch.indices);
        lf_free(s->batch.filled);
        lf_free(s->rows);
        lf_free(s->documents);
        lf_text_tokens_free(&s->tokens);
        lf_text_coder_free(&s->coder);
    }
    lf_free(l->slots);
    lf_free(l->order);
    lf_balance_free(l->balance);
    lf_free(l->lengths);
    lf_free(l->grouping);
    lf_free(l->kept);
    lf_text_packing_free(&l->packing);
    lf_text_scan_free(&l->scan);
    lf_text_coder_free(&l->coder);
    lf_free(l);
}

/* ---- serving ------------------------------------------------------------------------------------------------------
 */

static void count(lf_text_stats *stats, const lf_text_slot *s) {
    stats->documents += s->batch.n_documents;
    stats->tokens += s->batch.n_tokens;
    stats->targets += s->batch.n_targets;
    stats->positions += s->batch.B * s->batch.T;
    stats->truncated_documents += s->truncated_documents;
    stats->truncated_tokens += s->truncated_tokens;
}

lf_status lf_text_loader_next(lf_text_loader *l, const lf_text_batch **out, lf_err *err) {
    void *item = NULL;
    *out = NULL;
    if (!l->failed) l->failed = lf_ahead_next(l->ahead, &item, &l->err);
    if (l->failed) return lf_fail(err, l->failed, "%s", l->err.message);
    if (!item) return LF_OK;
    const lf_text_slot *s = item;
    count(&l->stats, s);
    if (l->stats.documents >= l->n_documents)
        lf_text_dataset_say_unread(l->data); /* a large file that was not scanned */
    *out = &s->batch;
    return LF_OK;
}

int64_t lf_text_loader_batches_per_epoch(const lf_text_loader *l) { return l->per_epoch; }
int64_t lf_text_loader_rows_per_epoch(const lf_text_loader *l) { return l->n_rows; }
bool lf_text_loader_extent(const lf_text_loader *l, int64_t *indices, int64_t *tokens) {
    *indices = l->scan.n;
    *tokens = 0;
    for (int64_t i = 0; i < l->scan.n; i++) *tokens += l->scan.documents[i].n ? l->scan.documents[i].n : 1;
    return l->scanned;
}
int64_t lf_text_loader_count(const lf_text_loader *l) { return l->n_documents; }
lf_text_stats lf_text_loader_stats(const lf_text_loader *l) { return l->stats; }

double lf_text_loader_waited(const lf_text_loader *l) { return l->ahead ? lf_ahead_waited(l->ahead) : 0; }

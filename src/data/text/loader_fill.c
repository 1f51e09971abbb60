/* From rows to the arrays of a batch, by any thread: what a batch holds depends on its rows alone. */
#include <inttypes.h>

#include "base/mem.h"
#include "data/text/loader_internal.h"

lf_status lf_text_no_batch(const lf_text_loader *l, lf_err *err) {
    return lf_no_memory(err, "a batch of %" PRId64 " rows of up to %" PRId64 " tokens", l->opts.batch_size,
                        l->opts.max_seq_length);
}

static lf_status add_document(const lf_text_loader *l, lf_text_slot *s, int64_t row, int64_t document, lf_err *err) {
    if (!lf_grow(&s->documents, &s->documents_capacity, s->n_documents + 1)) return lf_text_no_batch(l, err);
    const int64_t begin = s->tokens.n;
    int64_t cut = 0;
    lf_status rc;
    if (l->scanned) {
        const lf_text_kept *k = &l->scan.documents[document];
        cut = k->cut;
        rc = lf_token_store_read(l->scan.store, k->first, k->n, &s->tokens, err);
    } else {
        rc = lf_text_dataset_tokens(l->data, document, &s->coder, &s->tokens, &cut, err);
    }
    s->truncated_documents += cut > 0;
    s->truncated_tokens += cut;
    s->documents[s->n_documents++] = (lf_text_span){begin, s->tokens.n, row};
    return rc;
}

static lf_status gather(const lf_text_loader *l, lf_text_slot *s, lf_err *err) {
    const bool packed = l->opts.packing;
    lf_status rc = LF_OK;
    s->tokens.n = s->n_documents = s->truncated_documents = s->truncated_tokens = 0;
    for (int64_t r = 0; r < s->batch.B; r++) {
        const int64_t row = s->rows[r], begin = packed ? l->packing.begin[row] : row,
                      end = packed ? l->packing.begin[row + 1] : row + 1;
        const int64_t *documents = packed ? l->packing.documents : l->kept;
        s->batch.indices[r] = documents ? documents[begin] : row;
        for (int64_t k = begin; k < end && !rc; k++) rc = add_document(l, s, r, documents ? documents[k] : k, err);
    }
    return rc;
}

static int64_t longest_row(const lf_text_slot *s) {
    int64_t longest = 0, length = 0;
    for (int64_t i = 0; i < s->n_documents; i++) {
        if (i && s->documents[i].row != s->documents[i - 1].row) length = 0;
        length += s->documents[i].end - s->documents[i].begin;
        if (length > longest) longest = length;
    }
    return longest;
}

static bool reserve_cells(lf_text_slot *s, int64_t cells) {
    lf_text_batch *b = &s->batch;
    int32_t **const arrays[] = {&b->ids, &b->labels, &b->positions, &b->document, &b->token_types};
    enum { N_ARRAYS = sizeof arrays / sizeof *arrays };
    if (cells <= s->cells) return true;
    for (int i = 0; i < N_ARRAYS; i++) {
        lf_aligned_free(*arrays[i]);
        *arrays[i] = NULL;
    }
    s->cells = 0;
    for (int i = 0; i < N_ARRAYS; i++)
        if (!(*arrays[i] = lf_aligned_alloc((size_t)cells * sizeof(int32_t)))) return false;
    s->cells = cells;
    return true;
}

/* Writes columns `from` on; returns the column behind. */
static int64_t write_document(lf_text_batch *b, int64_t row, int64_t from, const lf_text_tokens *t, lf_text_span d) {
    const int64_t n = d.end - d.begin, at = row * b->T + from;
    for (int64_t i = 0; i < n; i++) {
        const bool target = i + 1 < n && t->target[d.begin + i + 1];
        b->ids[at + i] = t->ids[d.begin + i];
        b->labels[at + i] = target ? t->ids[d.begin + i + 1] : -1;
        b->positions[at + i] = (int32_t)i;
        b->document[at + i] = (int32_t)from;
        b->n_targets += target;
    }
    return from + n;
}

/* A document of which some tokens are to be said again. An empty one is as long as one token of padding. */
static int64_t write_masked(const lf_text_loader *l, lf_text_batch *b, int64_t row, const lf_text_tokens *t,
                            lf_text_span d) {
    const int64_t n = d.end - d.begin, at = row * b->T;
    for (int64_t i = 0; i < n; i++) {
        b->ids[at + i] = t->ids[d.begin + i];
        b->token_types[at + i] = b->document[at + i] = 0;
        b->positions[at + i] = (int32_t)i;
    }
    b->n_targets += lf_text_mask(&l->opts.masking, b->indices[row], b->ids + at, b->labels + at, n);
    b->lengths[row] = (int32_t)(n ? n : 1);
    return n;
}

/* A text of a class: the marks of its tokens are their types. */
static int64_t write_text(lf_text_batch *b, int64_t row, const lf_text_tokens *t, lf_text_span d) {
    const int64_t n = d.end - d.begin, at = row * b->T;
    for (int64_t i = 0; i < n; i++) {
        b->ids[at + i] = t->ids[d.begin + i];
        b->token_types[at + i] = t->target[d.begin + i];
        b->labels[at + i] = -1;
        b->positions[at + i] = (int32_t)i;
        b->document[at + i] = 0;
    }
    b->lengths[row] = (int32_t)n;
    return n;
}

static void write_labels(const lf_text_loader *l, lf_text_batch *b) {
    for (int64_t row = 0; row < b->B; row++) {
        b->classes[row] = lf_text_dataset_class(l->data, b->indices[row]);
        if (b->values) lf_text_dataset_values(l->data, b->indices[row], b->values + row * l->width);
        b->n_targets += b->values || b->classes[row] >= 0;
    }
}

static void write_padding(lf_text_batch *b, int64_t row, int64_t from, int32_t pad) {
    for (int64_t c = from; c < b->T; c++) {
        const int64_t at = row * b->T + c;
        b->ids[at] = pad;
        b->labels[at] = -1;
        b->positions[at] = (int32_t)(c - from);
        b->document[at] = (int32_t)from;
        b->token_types[at] = 0;
    }
}

lf_status lf_text_fill(void *loader, void *item, lf_err *err) {
    const lf_text_loader *l = loader;
    lf_text_slot *s = item;
    lf_text_batch *b = &s->batch;
    const lf_text_encoder *e = &l->coder.encoder;
    const int32_t pad = e->pad >= 0 ? e->pad : e->eos >= 0 ? e->eos : 0;
    enum { MULTIPLE = 8 };
    const lf_status rc = gather(l, s, err);
    if (rc) return rc;
    const int64_t longest = longest_row(s), most = l->opts.max_seq_length;
    b->T = longest ? (longest + MULTIPLE - 1) / MULTIPLE * MULTIPLE : MULTIPLE;
    if (b->T > most) b->T = most;
    if (!reserve_cells(s, b->B * b->T)) return lf_text_no_batch(l, err);
    b->n_tokens = s->tokens.n;
    b->n_documents = s->n_documents;
    b->n_targets = 0;
    for (int64_t row = 0, d = 0; row < b->B; row++) {
        int64_t column = 0;
        for (; d < s->n_documents && s->documents[d].row == row; d++)
            column = l->classified    ? write_text(b, row, &s->tokens, s->documents[d])
                     : l->opts.masked ? write_masked(l, b, row, &s->tokens, s->documents[d])
                                      : write_document(b, row, column, &s->tokens, s->documents[d]);
        b->filled[row] = (int32_t)column;
        write_padding(b, row, column, pad);
    }
    if (l->classified) write_labels(l, b);
    return LF_OK;
}

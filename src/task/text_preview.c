/* Rows of tokens as text again, with what of them is trained. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "base/utf8.h"
#include "task/preview.h"

/* ---- a row's text, and which of its characters are trained ---- */

typedef struct marked {
    lf_string text;
    int64_t characters;
    bool open; /* the last span has no end yet */
    lf_obj spans, documents;
} marked;

static void mark(marked *m, bool trained) {
    if (trained == m->open) return;
    if (trained) lf_list_put(&m->spans, lf_list_new().json);
    cJSON *last = cJSON_GetArrayItem(m->spans.json, cJSON_GetArraySize(m->spans.json) - 1);
    lf_obj span = lf_obj_of(last);
    lf_list_put(&span, cJSON_CreateNumber((double)m->characters));
    m->spans.failed |= span.failed;
    m->open = trained;
}

/* Whole characters. Of U+0000, which no string of JSON's reader holds, the picture. */
static void put(marked *m, const char *s, size_t n, bool trained) {
    if (n) mark(m, trained);
    for (size_t size; n; s += size, n -= size, m->characters++) {
        size = lf_utf8_size(s);
        if (*s)
            lf_string_put(&m->text, s, size);
        else
            lf_string_put_char(&m->text, 0x2400);
    }
}

static bool is_replacement(const char *s, size_t n) { return n >= 3 && memcmp(s, "\xef\xbf\xbd", 3) == 0; }

/* The text of the tokens in `waiting` (a byte for each: whether it is trained). A character of which several have bytes
 * is the last one's; bytes that made none are U+FFFD, each its own token's. */
static void put_waiting(marked *m, lf_string *waiting, const char *s, size_t n) {
    size_t i = 0;
    for (; i + 1 < waiting->n && is_replacement(s, n); s += 3, n -= 3) put(m, s, 3, waiting->s[i++]);
    if (waiting->n) put(m, s, n, waiting->s[waiting->n - 1]);
    if (n || i) lf_string_empty(waiting);
}

/* Columns begin .. end of the batch's one row, which are a document: nothing before them changes how they decode. */
static lf_status put_document(marked *m, lf_stream *stream, const lf_text_batch *b, int64_t begin, int64_t end,
                              lf_err *err) {
    lf_string waiting = {0};
    const char *s;
    size_t n;
    lf_status rc = LF_OK;
    lf_list_put(&m->documents, cJSON_CreateNumber((double)m->characters));
    for (int64_t i = begin; i < end && !rc; i++) {
        const char trained = i > begin && b->labels[i - 1] >= 0;
        lf_string_put(&waiting, &trained, 1);
        if (!(rc = lf_stream_push(stream, b->ids[i], &s, &n, err))) put_waiting(m, &waiting, s, n);
    }
    if (!rc && !(rc = lf_stream_end(stream, &s, &n, err))) put_waiting(m, &waiting, s, n);
    if (!rc && waiting.failed) rc = lf_no_memory(err, "a preview");
    lf_string_free(&waiting);
    return rc;
}

static lf_status put_row(marked *m, lf_stream *stream, const lf_text_batch *b, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t begin = 0, end; begin < b->n_tokens && !rc; begin = end) {
        for (end = begin + 1; end < b->n_tokens && b->document[end] == begin;) end++;
        rc = put_document(m, stream, b, begin, end, err);
    }
    mark(m, false);
    return rc;
}

/* ---- one record ---- */

static char *name_of(const lf_text_dataset *d, const lf_text_batch *b) {
    char name[600];
    if (lf_text_dataset_windowed(d))
        snprintf(name, sizeof name, "%.500s: window %lld", lf_text_dataset_path(d), (long long)b->indices[0] + 1);
    else
        lf_text_dataset_record_name(d, b->indices[0], name, sizeof name);
    return b->n_documents > 1 ? lf_format("%s and %lld more", name, (long long)b->n_documents - 1)
                              : lf_format("%s", name);
}

static lf_status show(lf_obj *records, const lf_text_dataset *d, lf_stream *stream, const lf_text_batch *b, int64_t cut,
                      lf_err *err) {
    marked m = {.spans = lf_list_new(), .documents = lf_list_new()};
    lf_status rc = put_row(&m, stream, b, err);
    char *name = name_of(d, b), *text = lf_string_take(&m.text);
    lf_obj o = lf_obj_new();
    o.failed |= !name || !text;
    lf_obj_string(&o, "name", name);
    lf_obj_string(&o, "text", text);
    lf_obj_put(&o, "spans", lf_obj_take(&m.spans));
    lf_obj_put(&o, "documents", lf_obj_take(&m.documents));
    lf_obj_number(&o, "tokens", (double)b->n_tokens);
    lf_obj_number(&o, "trained", (double)b->n_targets);
    lf_obj_number(&o, "cut", (double)cut);
    lf_list_put(records, lf_obj_take(&o));
    lf_free(name);
    lf_free(text);
    return rc;
}

/* ---- all of them ---- */

/* Of the batch's one row. */
static int64_t documents_with_target(const lf_text_batch *b) {
    int64_t count = 0;
    for (int64_t begin = 0, end; begin < b->n_tokens; begin = end) {
        bool any = false;
        for (end = begin; end < b->n_tokens && b->document[end] == begin; end++) any = any || b->labels[end] >= 0;
        count += any;
    }
    return count;
}

static void put_counts(lf_obj *out, const lf_text_loader *loader, const lf_text_stats *s, bool packed,
                       int64_t learned) {
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "records", (double)lf_text_loader_count(loader));
    if (packed) lf_obj_number(&o, "rows", (double)lf_text_loader_rows_per_epoch(loader));
    lf_obj_number(&o, "tokens", (double)s->tokens);
    lf_obj_number(&o, "trained", (double)s->targets);
    lf_obj_number(&o, "cut", (double)s->truncated_tokens);
    lf_obj_number(&o, "cut_records", (double)s->truncated_documents);
    lf_obj_number(&o, "skipped_records", (double)s->scan_skipped);
    lf_obj_number(&o, "untrained_records", (double)(lf_text_loader_count(loader) - learned));
    lf_obj_put(out, "counts", lf_obj_take(&o));
}

/* One epoch, of which the first n rows go into `records`. */
static lf_status walk(const lf_text_dataset *d, lf_text_loader *loader, int64_t n, lf_stream *stream, lf_obj *records,
                      int64_t *learned, lf_err *err) {
    const int64_t rows = lf_text_loader_rows_per_epoch(loader);
    const lf_text_batch *b;
    lf_progress progress;
    lf_status rc = LF_OK;
    lf_progress_begin(&progress, "counting", rows);
    for (int64_t i = 0; i < rows && !rc; i++) {
        const int64_t cut = lf_text_loader_stats(loader).truncated_tokens;
        if (lf_interrupted()) rc = lf_fail(err, LF_EINTERRUPTED, "interrupted while counting tokens");
        if (rc || (rc = lf_text_loader_next(loader, &b, err)) || !b) break;
        *learned += documents_with_target(b);
        if (i < n) rc = show(records, d, stream, b, lf_text_loader_stats(loader).truncated_tokens - cut, err);
        lf_progress_update(&progress, i + 1, "");
    }
    lf_progress_end(&progress, "");
    return rc;
}

lf_status lf_preview_text(const lf_text_dataset *d, const lf_text_encoder *encoder, const lf_tokenizer *tokenizer,
                          const lf_text_loader_opts *opts, int64_t n, lf_obj *out, lf_err *err) {
    lf_text_loader *loader = NULL;
    lf_stream *stream = NULL;
    lf_obj records = lf_list_new();
    int64_t learned = 0;
    lf_status rc = lf_text_loader_new(&loader, d, encoder, opts, err);
    if (!rc && !(rc = lf_stream_new(&stream, tokenizer, false, err)) &&
        !(rc = walk(d, loader, n, stream, &records, &learned, err))) {
        const lf_text_stats s = lf_text_loader_stats(loader);
        if (n) lf_obj_put(out, "records", lf_obj_take(&records));
        put_counts(out, loader, &s, opts->packing, learned);
    }
    cJSON_Delete(lf_obj_take(&records));
    lf_stream_free(stream);
    lf_text_loader_free(loader);
    return rc;
}

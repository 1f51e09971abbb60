#include "eval/writing.h"

#include <string.h>

#include "base/mem.h"

void lf_generated_free(lf_generated *o) {
    lf_free(o->text);
    lf_ids_free(&o->ids);
    *o = (lf_generated){0};
}

static lf_status show(lf_writing *w, size_t until, lf_err *err) {
    const lf_status rc =
        w->visit && until > w->shown ? w->visit(w->context, w->text.s + w->shown, until - w->shown, err) : LF_OK;
    if (until > w->shown) w->shown = until;
    return rc;
}

/* Where the first stop string begins behind what was shown; the text's end if there is none. */
static size_t find_stop(const lf_writing *w, bool *found) {
    size_t first = w->text.n;
    *found = false;
    for (int64_t i = 0; i < w->opts->n_stops; i++) {
        const char *stop = w->opts->stops[i];
        const size_t n = strlen(stop);
        for (size_t at = w->shown; n && at + n <= w->text.n && at < first; at++)
            if (memcmp(w->text.s + at, stop, n) == 0) {
                first = at;
                *found = true;
            }
    }
    return first;
}

/* Bytes at the end that may be the beginning of a stop string. */
static size_t count_open(const lf_writing *w) {
    size_t most = 0;
    for (int64_t i = 0; i < w->opts->n_stops; i++) {
        const size_t length = strlen(w->opts->stops[i]), room = w->text.n - w->shown;
        for (size_t n = length && length - 1 < room ? length - 1 : room; n > most; n--)
            if (n < length && memcmp(w->text.s + w->text.n - n, w->opts->stops[i], n) == 0) most = n;
    }
    return most;
}

static lf_status add_text(lf_writing *w, const char *text, size_t n, lf_err *err) {
    if (!n) return LF_OK;
    if (!lf_string_put(&w->text, text, n)) return lf_no_memory(err, "the text");
    const size_t end = find_stop(w, &w->stopped);
    if (w->stopped) w->text.n = end;
    return show(w, w->stopped ? end : end - count_open(w), err);
}

static lf_status find_stop_ids(lf_writing *w, lf_err *err) {
    for (int64_t i = 0; i < w->opts->n_stops; i++) {
        const int32_t id = lf_tokenizer_id(w->tokenizer, w->opts->stops[i]);
        if (id >= 0 && lf_tokenizer_is_special(w->tokenizer, id) && !lf_ids_append(&w->stop_ids, &id, 1))
            return lf_no_memory(err, "the text");
    }
    return LF_OK;
}

lf_status lf_writing_begin(lf_writing *w, const lf_tokenizer *t, const lf_generate_opts *opts, const int32_t *prompt,
                           int64_t n, lf_generate_visit visit, void *context, lf_err *err) {
    const char *text;
    size_t size;
    *w = (lf_writing){.opts = opts, .tokenizer = t, .visit = visit, .context = context};
    lf_status rc = lf_stream_new(&w->stream, t, true, err);
    for (int64_t i = 0; i < n && !rc; i++) rc = lf_stream_push(w->stream, prompt[i], &text, &size, err);
    return rc ? rc : find_stop_ids(w, err);
}

void lf_writing_free(lf_writing *w) {
    lf_stream_free(w->stream);
    lf_string_free(&w->text);
    lf_ids_free(&w->stop_ids);
    *w = (lf_writing){0};
}

bool lf_writing_stops_at(const lf_writing *w, int32_t id) {
    for (int64_t i = 0; i < w->stop_ids.n; i++)
        if (w->stop_ids.ids[i] == id) return true;
    return false;
}

lf_status lf_writing_add(lf_writing *w, int32_t id, lf_err *err) {
    const char *text;
    size_t n;
    if (!lf_tokenizer_token(w->tokenizer, id)) return LF_OK; /* vocabularies are padded with ids that are no tokens */
    const lf_status rc = lf_stream_push(w->stream, id, &text, &n, err);
    return rc ? rc : add_text(w, text, n, err);
}

lf_status lf_writing_end(lf_writing *w, char **out, size_t *n_out, lf_err *err) {
    const char *text;
    size_t n;
    lf_status rc = LF_OK;
    if (!w->stopped && !(rc = lf_stream_end(w->stream, &text, &n, err))) rc = add_text(w, text, n, err);
    if (!rc) rc = show(w, w->text.n, err);
    if (rc) return rc;
    *n_out = w->text.n;
    *out = lf_string_take(&w->text);
    return *out ? LF_OK : lf_no_memory(err, "the text");
}

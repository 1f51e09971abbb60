#include <string.h>

#include "base/mem.h"
#include "text/tokenizer_internal.h"

/* The ids that may still change what is next are kept: those that came with the last text that was given out, because
 * decoders look at the first token, and those since then. */
struct lf_stream {
    lf_tokenizer_work *w;
    bool skip_special_tokens;
    int32_t *ids;
    size_t n, capacity;
    size_t n_shown;   /* of them */
    lf_string shown;  /* what the first n_shown ids decode to */
    lf_string text;   /* what all of them decode to */
    lf_string answer; /* what the caller sees */
};

void lf_stream_free(lf_stream *s) {
    if (!s) return;
    lf_tokenizer_work_free(s->w);
    lf_free(s->ids);
    lf_string_free(&s->shown);
    lf_string_free(&s->text);
    lf_string_free(&s->answer);
    lf_free(s);
}

lf_status lf_stream_new(lf_stream **out, const lf_tokenizer *t, bool skip_special_tokens, lf_err *err) {
    *out = NULL;
    lf_stream *s = lf_calloc(1, sizeof *s);
    if (!s) return lf_no_memory(err, "tokens");
    const lf_status rc = lf_tokenizer_work_new(&s->w, t, err);
    if (rc) {
        lf_stream_free(s);
        return rc;
    }
    s->skip_special_tokens = skip_special_tokens;
    *out = s;
    return LF_OK;
}

static lf_status decode(lf_stream *s, size_t first, size_t n, lf_string *out, lf_err *err) {
    lf_string_empty(out);
    if (n == 0 || !lf_string_reserve(out, 1)) return n == 0 ? LF_OK : lf_no_memory(err, "tokens");
    return lf_decode_with(s->w, s->ids + first, (int64_t)n, s->skip_special_tokens, out, err);
}

static bool ends_open(const lf_string *text) {
    return text->n >= 3 && memcmp(text->s + text->n - 3, "\xef\xbf\xbd", 3) == 0;
}

static lf_status answer(lf_stream *s, const char *text, size_t n, const char **out, size_t *n_out, lf_err *err) {
    lf_string_empty(&s->answer);
    if (!lf_string_put(&s->answer, text, n)) return lf_no_memory(err, "tokens");
    *out = s->answer.s;
    *n_out = n;
    return LF_OK;
}

/* Gives out what is new in s->text. */
static lf_status show(lf_stream *s, const char **out, size_t *n_out, lf_err *err) {
    const size_t old = s->shown.n;
    lf_status rc;
    if (s->text.n == 0) return answer(s, "", 0, out, n_out, err);
    if (s->text.n >= old && (old == 0 || memcmp(s->text.s, s->shown.s, old) == 0))
        return answer(s, s->text.s + old, s->text.n - old, out, n_out, err);
    /* Text that was certain has changed after all (bytes that follow a character from bytes can spoil it): go on behind
     * it with what is new. */
    if ((rc = decode(s, s->n_shown, s->n - s->n_shown, &s->text, err))) return rc;
    return answer(s, s->text.s, s->text.n, out, n_out, err);
}

lf_status lf_stream_push(lf_stream *s, int32_t id, const char **text, size_t *n, lf_err *err) {
    lf_status rc;
    if (!lf_grow(&s->ids, &s->capacity, s->n + 1)) return lf_no_memory(err, "tokens");
    s->ids[s->n++] = id;
    if ((rc = decode(s, 0, s->n, &s->text, err))) {
        s->n--;
        return rc;
    }
    if (ends_open(&s->text) || s->text.n == s->shown.n) return answer(s, "", 0, text, n, err);
    if ((rc = show(s, text, n, err))) return rc;
    /* Drop what was shown before; what is shown now stays as the beginning of the next text. */
    s->n -= s->n_shown;
    memmove(s->ids, s->ids + s->n_shown, s->n * sizeof *s->ids);
    s->n_shown = s->n;
    return decode(s, 0, s->n, &s->shown, err);
}

lf_status lf_stream_end(lf_stream *s, const char **text, size_t *n, lf_err *err) {
    lf_status rc = decode(s, 0, s->n, &s->text, err);
    if (!rc) rc = show(s, text, n, err);
    s->n = s->n_shown = 0;
    lf_string_empty(&s->shown);
    return rc;
}

/* Dividing text at matches, and what becomes of the matches. */
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer_internal.h"

static bool add_span(lf_tokenizer_work *w, size_t begin, size_t end, bool hit) {
    if (!lf_grow(&w->spans, &w->spans_capacity, w->n_spans + 1)) return false;
    w->spans[w->n_spans++] = (lf_span){begin, end, hit};
    return true;
}

lf_status lf_find_spans(lf_tokenizer_work *w, const lf_pattern *p, const char *s, size_t n, lf_err *err) {
    lf_search at = {0};
    size_t done = 0;
    bool hit;
    lf_status rc;
    w->n_spans = 0;
    if (!lf_pattern_is_literal(p) && !lf_work_matcher(w)) return lf_no_memory(err, "tokens");
    while (!(rc = lf_pattern_next(p, w->matcher, s, n, &at, &hit, err)) && hit) {
        if (at.begin > done && !add_span(w, done, at.begin, false)) return lf_no_memory(err, "tokens");
        if (!add_span(w, at.begin, at.end, true)) return lf_no_memory(err, "tokens");
        done = at.end;
    }
    if (!rc && done < n && !add_span(w, done, n, false)) return lf_no_memory(err, "tokens");
    return rc;
}

/* Each character that is_hit is a match of its own. */
lf_status lf_find_char_spans(lf_tokenizer_work *w, bool (*is_hit)(uint32_t), const char *s, size_t n, lf_err *err) {
    size_t done = 0;
    w->n_spans = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const size_t size = lf_utf8_next(s + i, n - i, &c);
        if (is_hit(c)) {
            if (i > done && !add_span(w, done, i, false)) return lf_no_memory(err, "tokens");
            if (!add_span(w, i, i + size, true)) return lf_no_memory(err, "tokens");
            done = i + size;
        }
        i += size;
    }
    return done >= n || add_span(w, done, n, false) ? LF_OK : lf_no_memory(err, "tokens");
}

static lf_status put(lf_tokenizer_work *w, const lf_piece *piece, size_t begin, size_t end, lf_err *err) {
    if (begin >= end) return LF_OK;
    return lf_pieces_put(&w->next, lf_piece_part(piece, begin, end - begin)) ? LF_OK : lf_no_memory(err, "tokens");
}

/* Joins spans in place, from the first to the last, as `behavior` says. */
static void join_forward(lf_tokenizer_work *w, lf_behavior behavior) {
    bool last_hit = false;
    size_t n = 0;
    for (size_t i = 0; i < w->n_spans; i++) {
        const lf_span s = w->spans[i];
        const bool joins = behavior == LF_CONTIGUOUS ? s.hit == last_hit : s.hit && !last_hit;
        if (joins && n > 0)
            w->spans[n - 1].end = s.end;
        else
            w->spans[n++] = s;
        last_hit = s.hit;
    }
    w->n_spans = n;
}

static void join_backward(lf_tokenizer_work *w) {
    bool last_hit = false;
    size_t n = w->n_spans; /* those that are done lie in spans[n ..] */
    for (size_t i = w->n_spans; i-- > 0;) {
        const lf_span s = w->spans[i];
        if (s.hit && !last_hit && n < w->n_spans)
            w->spans[n].begin = s.begin;
        else
            w->spans[--n] = s;
        last_hit = s.hit;
    }
    w->n_spans -= n;
    memmove(w->spans, w->spans + n, w->n_spans * sizeof *w->spans);
}

lf_status lf_split_piece(lf_tokenizer_work *w, const lf_piece *piece, lf_behavior behavior, bool invert, lf_err *err) {
    lf_status rc = LF_OK;
    if (w->n_spans == 0) return LF_OK;
    for (size_t i = 0; i < w->n_spans && invert; i++) w->spans[i].hit = !w->spans[i].hit;
    if (behavior == LF_MERGED_WITH_PREVIOUS || behavior == LF_CONTIGUOUS) join_forward(w, behavior);
    if (behavior == LF_MERGED_WITH_NEXT) join_backward(w);
    for (size_t i = 0; i < w->n_spans && !rc; i++)
        if (behavior != LF_REMOVED || !w->spans[i].hit) rc = put(w, piece, w->spans[i].begin, w->spans[i].end, err);
    return rc;
}

#include "text/tokenizer.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/bytelevel.h"
#include "text/tokenizer_internal.h"

enum { MOST_BYTES = 1 << 30 }; /* of one text: positions are 32 bits wide, and byte-level form doubles it */

/* ---- asking ---- */

int64_t lf_tokenizer_vocab_size(const lf_tokenizer *t) { return (int64_t)t->vocab.n; }
int32_t lf_tokenizer_bos(const lf_tokenizer *t) { return t->bos; }
int32_t lf_tokenizer_eos(const lf_tokenizer *t) { return t->eos; }
int32_t lf_tokenizer_pad(const lf_tokenizer *t) { return t->pad; }
int32_t lf_tokenizer_unk(const lf_tokenizer *t) { return t->unk; }

int32_t lf_tokenizer_mask(const lf_tokenizer *t) {
    static const char *const names[] = {"[MASK]", "<mask>"};
    int32_t id = t->mask;
    for (size_t i = 0; id < 0 && i < sizeof names / sizeof *names; i++) id = lf_tokenizer_id(t, names[i]);
    return id;
}

static const lf_token *token(const lf_tokenizer *t, int32_t id) {
    return id >= 0 && (size_t)id < t->vocab.n && t->vocab.tokens[id].flags ? &t->vocab.tokens[id] : NULL;
}
const char *lf_tokenizer_token(const lf_tokenizer *t, int32_t id) {
    return token(t, id) ? lf_vocab_text(&t->vocab, id) : NULL;
}
int32_t lf_tokenizer_id(const lf_tokenizer *t, const char *text) {
    return lf_vocab_find(&t->vocab, text, strlen(text), ~0u);
}
size_t lf_tokenizer_added_at(const lf_tokenizer *t, const char *s, size_t n) {
    while (n > 0 && lf_vocab_find(&t->vocab, s, n, LF_TOKEN_ADDED) < 0) n--;
    return n;
}
bool lf_tokenizer_is_special(const lf_tokenizer *t, int32_t id) {
    return token(t, id) && (token(t, id)->flags & LF_TOKEN_SPECIAL);
}
bool lf_tokenizer_is_added(const lf_tokenizer *t, int32_t id) {
    return token(t, id) && (token(t, id)->flags & LF_TOKEN_ADDED);
}
bool lf_tokenizer_is_of_model(const lf_tokenizer *t, int32_t id) {
    return token(t, id) && (token(t, id)->flags & LF_TOKEN_MODEL);
}

/* ---- work ---- */

lf_status lf_tokenizer_work_new(lf_tokenizer_work **out, const lf_tokenizer *t, lf_err *err) {
    *out = lf_calloc(1, sizeof **out);
    if (!*out) return lf_no_memory(err, "tokens");
    lf_tokenizer_work *w = *out;
    w->t = t;
    /* Texts are never NULL, so that pieces of nothing can be pointed at. */
    w->model = t->model.kind->work_new();
    if (w->model && lf_string_reserve(&w->now.text, 1) && lf_string_reserve(&w->next.text, 1) &&
        lf_string_reserve(&w->whole.text, 1))
        return LF_OK;
    lf_tokenizer_work_free(w);
    *out = NULL;
    return lf_no_memory(err, "tokens");
}

void lf_tokenizer_work_free(lf_tokenizer_work *w) {
    if (!w) return;
    lf_pieces_free(&w->now);
    lf_pieces_free(&w->next);
    lf_pieces_free(&w->whole);
    lf_free(w->spans);
    lf_free(w->code_points);
    lf_matcher_free(w->matcher);
    w->t->model.kind->work_free(w->model);
    lf_string_free(&w->bytes_of_word);
    lf_word_cache_free(&w->cache);
    lf_free(w->ids.ids);
    lf_free(w->next_ids.ids);
    lf_free(w);
}

lf_matcher *lf_work_matcher(lf_tokenizer_work *w) {
    if (!w->matcher) w->matcher = lf_matcher_new();
    return w->matcher;
}

void lf_work_allow(lf_tokenizer_work *w, size_t n) {
    const size_t most = n < INT32_MAX / 64 ? 64 * n + (1 << 20) : INT32_MAX;
    w->most = most < INT32_MAX ? most : INT32_MAX; /* positions in a word are 32 bits wide */
}

void lf_work_take_text(lf_tokenizer_work *w) { lf_string_swap(&w->now.text, &w->next.text); }

void lf_work_take_pieces(lf_tokenizer_work *w) {
    lf_piece *at = w->now.at;
    const size_t capacity = w->now.capacity;
    w->now.at = w->next.at;
    w->now.n = w->next.n;
    w->now.capacity = w->next.capacity;
    w->next.at = at;
    w->next.n = 0;
    w->next.capacity = capacity;
}

/* ---- encoding ---- */

/* One stretch of text between added tokens: normalized, and divided at the tokens that are found after that. */
static lf_status normalize_piece(lf_tokenizer_work *w, const char *s, const lf_piece *piece, lf_err *err) {
    const lf_tokenizer *t = w->t;
    lf_string_empty(&w->now.text);
    w->head = piece->head;
    w->continues = piece->continues;
    if (!lf_string_put(&w->now.text, s + piece->begin, piece->size)) return lf_no_memory(err, "tokens");
    const lf_status rc = lf_steps_apply(&t->normalizers, w, err);
    if (rc) return rc;
    const lf_string *text = &w->now.text;
    const size_t base = w->whole.text.n, first = w->whole.n;
    if (!lf_string_put(&w->whole.text, text->s, text->n) ||
        !lf_added_tokens_find(&t->added, &t->added.normalized, text->s, text->n, base, w->head, &w->whole))
        return lf_no_memory(err, "tokens");
    for (size_t i = first; i < w->whole.n; i++) w->whole.at[i].part = piece->part;
    if (first < w->whole.n) w->whole.at[first].continues = piece->continues;
    return LF_OK;
}

/* Divides a piece of the text as it was given at the cuts. *part: how many cuts are before it; moved on. */
static lf_status cut_piece(lf_tokenizer_work *w, const char *s, const lf_piece *piece, uint32_t *part, lf_err *err) {
    const size_t end = piece->begin + piece->size;
    lf_status rc = LF_OK;
    while (*part < w->n_cuts && w->cuts[*part] <= piece->begin) ++*part;
    if (piece->id >= 0) {
        const lf_piece token = {.id = piece->id, .part = *part};
        return lf_pieces_put(&w->whole, token) ? LF_OK : lf_no_memory(err, "tokens");
    }
    for (size_t begin = piece->begin; begin < end && !rc;) {
        const size_t next = *part < w->n_cuts && w->cuts[*part] < end ? w->cuts[*part] : end;
        lf_piece some = lf_piece_part(piece, begin - piece->begin, next - begin);
        some.part = *part;
        some.continues = begin > piece->begin;
        rc = normalize_piece(w, s, &some, err);
        begin = next;
        while (begin < end && *part < w->n_cuts && w->cuts[*part] <= begin) ++*part;
    }
    return rc;
}

/* Leaves in w->now the text, normalized, as pieces: added tokens and what lies between them. */
static lf_status find_pieces(lf_tokenizer_work *w, const char *s, size_t n, lf_err *err) {
    const lf_tokenizer *t = w->t;
    const size_t head = n > 0 ? lf_utf8_size(s) : 0;
    lf_status rc = LF_OK;
    lf_pieces plain = {0};
    uint32_t part = 0;
    lf_pieces_empty(&w->whole);
    if (!lf_added_tokens_find(&t->added, &t->added.plain, s, n, 0, head, &plain)) rc = lf_no_memory(err, "tokens");
    for (size_t i = 0; i < plain.n && !rc; i++) rc = cut_piece(w, s, &plain.at[i], &part, err);
    lf_pieces_free(&plain);
    const lf_pieces old = w->now;
    w->now = w->whole;
    w->whole = old;
    return rc;
}

static lf_status encode_word(lf_tokenizer_work *w, const char *word, size_t n, lf_err *err) {
    const lf_word_model *m = &w->t->model;
    if (!w->bytes || m->kind->takes_bytes) return m->kind->encode(m->model, w->model, word, n, w->bytes, &w->ids, err);
    lf_string_empty(&w->bytes_of_word);
    if (!lf_bytes_to_chars(&w->bytes_of_word, word, n)) return lf_no_memory(err, "tokens");
    return m->kind->encode(m->model, w->model, w->bytes_of_word.s, w->bytes_of_word.n, false, &w->ids, err);
}

static lf_status encode_piece(lf_tokenizer_work *w, const lf_piece *piece, lf_err *err) {
    lf_ids_buffer *out = &w->ids;
    const char *word = w->now.text.s + piece->begin;
    uint32_t n = 1;
    const int32_t *ids = piece->id >= 0 ? &piece->id : lf_word_cache_find(&w->cache, word, piece->size, &n);
    if (ids) {
        if (!lf_grow(&out->ids, &out->capacity, out->n + n)) return lf_no_memory(err, "tokens");
        for (uint32_t k = 0; k < n; k++) out->ids[out->n++] = ids[k];
        return LF_OK;
    }
    const size_t before = out->n;
    const lf_status rc = encode_word(w, word, piece->size, err);
    if (!rc && out->n > before) /* of a word without ids there may be no array yet */
        lf_word_cache_put(&w->cache, word, piece->size, out->ids + before, out->n - before);
    return rc;
}

static lf_status encode_pieces(lf_tokenizer_work *w, lf_err *err) {
    size_t part = 0;
    lf_status rc = LF_OK;
    for (size_t i = 0; i < w->now.n && !rc; i++) {
        for (; part < w->now.at[i].part; part++) w->starts[part] = (int64_t)w->ids.n;
        rc = encode_piece(w, &w->now.at[i], err);
    }
    for (; part < w->n_cuts; part++) w->starts[part] = (int64_t)w->ids.n;
    return rc;
}

static lf_status check_text(const char *text, size_t n, const size_t *cuts, size_t n_cuts, lf_err *err) {
    if (n > MOST_BYTES)
        return lf_fail(err, LF_EDATA, "a text of %zu bytes: expected at most %d at a time; split it", n, MOST_BYTES);
    const size_t bad = lf_utf8_invalid(text, n);
    if (bad < n)
        return lf_fail(err, LF_EDATA, "not UTF-8: byte 0x%02x at offset %zu of the text; save it as UTF-8",
                       (unsigned)(unsigned char)text[bad], bad);
    for (size_t i = 0; i < n_cuts; i++)
        if (cuts[i] > n || (i > 0 && cuts[i] < cuts[i - 1]) ||
            (cuts[i] < n && ((unsigned char)text[cuts[i]] & 0xc0) == 0x80))
            return lf_fail(err, LF_EDATA, "cut %zu, at byte %zu of %zu, is not between two characters or not in order",
                           i, cuts[i], n);
    return LF_OK;
}

lf_status lf_tokenizer_encode_cut(lf_tokenizer_work *w, const char *text, size_t n, const size_t *cuts, size_t n_cuts,
                                  bool add_special_tokens, lf_ids *out, int64_t *starts, lf_err *err) {
    lf_status rc = check_text(text, n, cuts, n_cuts, err);
    if (rc) return rc;
    w->ids.n = 0;
    w->bytes = false;
    w->cuts = cuts;
    w->n_cuts = n_cuts;
    w->starts = starts;
    lf_work_allow(w, n);
    if ((rc = find_pieces(w, text, n, err)) || (rc = lf_steps_apply(&w->t->pretokenizers, w, err)) ||
        (rc = encode_pieces(w, err)) ||
        (rc = add_special_tokens ? lf_steps_apply(&w->t->postprocessors, w, err) : LF_OK))
        return rc;
    for (size_t i = 0; i < n_cuts; i++) starts[i] += out->n;
    return lf_ids_append(out, w->ids.ids, (int64_t)w->ids.n) ? LF_OK : lf_no_memory(err, "tokens");
}

lf_status lf_tokenizer_encode_with(lf_tokenizer_work *w, const char *text, size_t n, bool add_special_tokens,
                                   lf_ids *out, lf_err *err) {
    return lf_tokenizer_encode_cut(w, text, n, NULL, 0, add_special_tokens, out, NULL, err);
}

lf_status lf_tokenizer_encode(lf_tokenizer *t, const char *text, size_t n, bool add_special_tokens, lf_ids *out,
                              lf_err *err) {
    if (!t->work) {
        const lf_status rc = lf_tokenizer_work_new(&t->work, t, err);
        if (rc) return rc;
    }
    return lf_tokenizer_encode_with(t->work, text, n, add_special_tokens, out, err);
}

/* ---- decoding ---- */

static bool put_token(lf_tokenizer_work *w, const char *s, size_t n) {
    const lf_piece piece = {.begin = w->now.text.n, .size = n, .id = -1};
    return lf_string_put(&w->now.text, s, n) && lf_pieces_put(&w->now, piece);
}

lf_status lf_decode_with(lf_tokenizer_work *w, const int32_t *ids, int64_t n, bool skip_special_tokens, lf_string *out,
                         lf_err *err) {
    const lf_tokenizer *t = w->t;
    lf_pieces_empty(&w->now);
    for (int64_t i = 0; i < n; i++) {
        const lf_token *one = token(t, ids[i]);
        if (!one)
            return lf_fail(err, LF_EDATA, "id %" PRId32 " at position %" PRId64 ": the tokenizer has no such token",
                           ids[i], i);
        if (skip_special_tokens && (one->flags & LF_TOKEN_SKIPPED)) continue;
        if (!put_token(w, t->vocab.text.s + one->decoded_begin, one->decoded_size)) return lf_no_memory(err, "tokens");
    }
    lf_work_allow(w, w->now.text.n);
    const lf_status rc = lf_steps_apply(&t->decoders, w, err);
    if (rc) return rc;
    for (size_t i = 0; i < w->now.n; i++) {
        const lf_piece *piece = &w->now.at[i];
        if (i > 0 && t->decoders.n == 0 && !lf_string_put(out, " ", 1))
            return lf_no_memory(err, "tokens"); /* as `tokenizers` */
        if (!lf_string_put(out, w->now.text.s + piece->begin, piece->size)) return lf_no_memory(err, "tokens");
    }
    return LF_OK;
}

lf_status lf_tokenizer_decode(const lf_tokenizer *t, const int32_t *ids, int64_t n, bool skip_special_tokens,
                              char **out, size_t *n_out, lf_err *err) {
    lf_tokenizer_work *w;
    lf_string text = {0};
    *out = NULL;
    *n_out = 0;
    lf_status rc = lf_tokenizer_work_new(&w, t, err);
    if (rc) return rc;
    rc = lf_decode_with(w, ids, n, skip_special_tokens, &text, err);
    lf_tokenizer_work_free(w);
    *n_out = text.n;
    if (rc)
        lf_string_free(&text);
    else if (!(*out = lf_string_take(&text)))
        rc = lf_no_memory(err, "tokens");
    return rc;
}

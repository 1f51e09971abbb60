#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/bytelevel.h"
#include "text/tokenizer_internal.h"
#include "text/unicode.h"

/* ---- steps that divide pieces and leave their text alone ---- */

typedef lf_status (*divide_fn)(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece, lf_err *err);

static lf_status divide(const lf_step *s, lf_tokenizer_work *w, divide_fn one, lf_err *err) {
    lf_status rc = LF_OK;
    w->next.n = 0;
    for (size_t i = 0; i < w->now.n && !rc; i++) {
        const lf_piece piece = w->now.at[i];
        if (piece.id < 0)
            rc = one(s, w, &piece, err);
        else if (!lf_pieces_put(&w->next, piece))
            rc = lf_no_memory(err, "tokens");
    }
    if (!rc) lf_work_take_pieces(w);
    return rc;
}

static lf_status by_pattern(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece, lf_err *err) {
    const lf_status rc = lf_find_spans(w, s->pattern, w->now.text.s + piece->begin, piece->size, err);
    return rc ? rc : lf_split_piece(w, piece, s->behavior, s->invert, err);
}

static lf_status by_char(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece, bool (*is_hit)(uint32_t),
                         lf_err *err) {
    const lf_status rc = lf_find_char_spans(w, is_hit, w->now.text.s + piece->begin, piece->size, err);
    return rc ? rc : lf_split_piece(w, piece, s->behavior, false, err);
}

static lf_status open_behavior(lf_step *s, const cJSON *json, const char *fallback, lf_err *err) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *name;
    const lf_status rc = lf_json_get_str(json, "behavior", fallback, &name, s->where, err);
    if (rc) return rc;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) != 0) continue;
        s->behavior = (lf_behavior)i;
        return LF_OK;
    }
    return lf_fail(err, LF_EDATA,
                   "%s: key 'behavior': expected Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                   "Contiguous, found \"%.50s\"",
                   s->where, name);
}

static lf_status open_split(lf_step *s, const cJSON *json, lf_err *err) {
    lf_status rc = lf_step_pattern(s, json, err);
    if (!rc) rc = open_behavior(s, json, "", err);
    return rc ? rc : lf_json_get_bool(json, "invert", false, &s->invert, s->where, err);
}
static lf_status apply_split(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    return divide(s, w, by_pattern, err);
}

static lf_status by_digit(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece, lf_err *err) {
    return by_char(s, w, piece, lf_char_is_numeric, err);
}
static lf_status open_digits(lf_step *s, const cJSON *json, lf_err *err) {
    const lf_status rc = lf_json_get_bool(json, "individual_digits", false, &s->split, s->where, err);
    s->behavior = s->split ? LF_ISOLATED : LF_CONTIGUOUS;
    return rc;
}
static lf_status apply_digits(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    return divide(s, w, by_digit, err);
}

static lf_status by_punctuation(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece, lf_err *err) {
    return by_char(s, w, piece, lf_char_is_punctuation, err);
}
static lf_status open_punctuation(lf_step *s, const cJSON *json, lf_err *err) {
    return open_behavior(s, json, "Isolated", err);
}
static lf_status apply_punctuation(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    return divide(s, w, by_punctuation, err);
}

static lf_status by_space(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece, lf_err *err) {
    return by_char(s, w, piece, lf_char_is_space, err);
}
static lf_status open_removed(lf_step *s, const cJSON *json, lf_err *err) {
    (void)json, (void)err;
    s->behavior = LF_REMOVED;
    return LF_OK;
}
static lf_status apply_whitespace_split(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    return divide(s, w, by_space, err);
}

/* BertPreTokenizer: words between spaces, punctuation by itself. */
static lf_status apply_bert(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    const lf_step spaces = {.where = s->where, .behavior = LF_REMOVED};
    const lf_step punctuation = {.where = s->where, .behavior = LF_ISOLATED};
    const lf_status rc = divide(&spaces, w, by_space, err);
    return rc ? rc : divide(&punctuation, w, by_punctuation, err);
}

/* CharDelimiterSplit: words between two of one character. */
static lf_status open_delimiter(lf_step *s, const cJSON *json, lf_err *err) {
    char *delimiter = NULL;
    lf_status rc = lf_step_string(&delimiter, s, json, "delimiter", err);
    s->behavior = LF_REMOVED;
    if (!rc && (!*delimiter || strlen(delimiter) != lf_utf8_size(delimiter)))
        rc = lf_fail(err, LF_EDATA, "%s: key 'delimiter': expected one character", s->where);
    if (!rc) rc = lf_pattern_new(&s->pattern, delimiter, true, s->where, err);
    lf_free(delimiter);
    return rc;
}

/* Whitespace: runs of word characters, runs of what is neither word nor space; spaces go. */
static lf_status by_kind(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece, lf_err *err) {
    const char *text = w->now.text.s + piece->begin;
    int last = 0;
    size_t begin = 0;
    (void)s;
    for (size_t i = 0, size; i <= piece->size; i += size) {
        uint32_t c = ' ';
        size = i < piece->size ? lf_utf8_next(text + i, piece->size - i, &c) : 1;
        const int kind = lf_char_is_space(c) ? 0 : lf_char_is_word(c) ? 1 : 2;
        if (kind != last && last != 0) {
            if (!lf_pieces_put(&w->next, lf_piece_part(piece, begin, i - begin))) return lf_no_memory(err, "tokens");
        }
        if (kind != last) begin = i;
        last = kind;
    }
    return LF_OK;
}
static lf_status apply_whitespace(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    return divide(s, w, by_kind, err);
}

/* ---- steps that write new text ---- */

/* What was written to next.text since `begin` is the new form of `piece`. */
static bool put_rewritten(lf_tokenizer_work *w, const lf_piece *piece, size_t begin, size_t head) {
    lf_piece after = *piece;
    after.begin = begin;
    after.size = w->next.text.n - begin;
    after.head = head;
    return lf_pieces_put(&w->next, after);
}

/* Metaspace: spaces become a visible character, one is put in front, and words are divided before it. */
static lf_status open_metaspace(lf_step *s, const cJSON *json, lf_err *err) {
    const char *scheme;
    bool prefix;
    uint32_t c;
    lf_status rc = lf_step_string(&s->content, s, json, "replacement", err);
    if (rc) return rc;
    const size_t n = strlen(s->content);
    if (n == 0 || lf_utf8_next(s->content, n, &c) != n)
        return lf_fail(err, LF_EDATA, "%s: key 'replacement': expected one character, found \"%.50s\"", s->where,
                       s->content);
    if ((rc = lf_json_get_str(json, "prepend_scheme", "always", &scheme, s->where, err)) ||
        (rc = lf_json_get_bool(json, "add_prefix_space", true, &prefix, s->where, err)) || /* of older files */
        (rc = lf_json_get_bool(json, "split", true, &s->split, s->where, err)))
        return rc;
    if (strcmp(scheme, "first") != 0 && strcmp(scheme, "never") != 0 && strcmp(scheme, "always") != 0)
        return lf_fail(err, LF_EDATA, "%s: key 'prepend_scheme': expected first, never or always, found \"%.50s\"",
                       s->where, scheme);
    s->prepend = !prefix || scheme[0] == 'n' ? LF_PREPEND_NEVER
                 : scheme[0] == 'f'          ? LF_PREPEND_FIRST
                                             : LF_PREPEND_ALWAYS;
    return LF_OK;
}

static bool put_metaspace(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece) {
    lf_string *out = &w->next.text;
    const char *text = w->now.text.s + piece->begin;
    const size_t n = strlen(s->content), begin = out->n;
    const bool there = piece->continues || text[0] == ' ' || (piece->size >= n && memcmp(text, s->content, n) == 0);
    size_t head = 0;
    if (!there && (s->prepend == LF_PREPEND_ALWAYS || (s->prepend == LF_PREPEND_FIRST && piece->head > 0))) {
        if (!lf_string_put(out, s->content, n)) return false;
        if (piece->head > 0) head = n;
    }
    for (size_t i = 0; i < piece->size;) {
        const char *space = memchr(text + i, ' ', piece->size - i);
        const size_t end = space ? (size_t)(space - text) : piece->size;
        if (!lf_string_put(out, text + i, end - i)) return false;
        if (space && !lf_string_put(out, s->content, n)) return false;
        if (i == 0 && piece->head > 0) head += end == 0 ? n : piece->head; /* the head is one character */
        i = end + (space != NULL);
    }
    return put_rewritten(w, piece, begin, head);
}

static lf_status rewrite(const lf_step *s, lf_tokenizer_work *w,
                         bool (*one)(const lf_step *, lf_tokenizer_work *, const lf_piece *), lf_err *err) {
    lf_pieces_empty(&w->next);
    for (size_t i = 0; i < w->now.n; i++) {
        const lf_piece *piece = &w->now.at[i];
        const bool good = piece->id >= 0 ? lf_pieces_put(&w->next, (lf_piece){.id = piece->id, .part = piece->part})
                                         : one(s, w, piece);
        if (!good) return lf_no_memory(err, "tokens");
    }
    lf_work_take_text(w);
    lf_work_take_pieces(w);
    return LF_OK;
}

static lf_status by_metaspace(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece, lf_err *err) {
    const char *text = w->now.text.s + piece->begin;
    const size_t n = strlen(s->content);
    w->n_spans = 0;
    size_t done = 0;
    for (size_t i = 0; i + n <= piece->size;) { /* the replacement is found where a character begins: it is one */
        const char *hit = memchr(text + i, s->content[0], piece->size - i);
        if (!hit) break;
        i = (size_t)(hit - text);
        if (i + n > piece->size || memcmp(hit, s->content, n) != 0) {
            i++;
            continue;
        }
        if (!lf_grow(&w->spans, &w->spans_capacity, w->n_spans + 2)) return lf_no_memory(err, "tokens");
        if (i > done) w->spans[w->n_spans++] = (lf_span){done, i, false};
        w->spans[w->n_spans++] = (lf_span){i, i + n, true};
        done = i += n;
    }
    if (!lf_grow(&w->spans, &w->spans_capacity, w->n_spans + 1)) return lf_no_memory(err, "tokens");
    if (done < piece->size) w->spans[w->n_spans++] = (lf_span){done, piece->size, false};
    return lf_split_piece(w, piece, LF_MERGED_WITH_NEXT, false, err);
}

static lf_status apply_metaspace(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    const lf_status rc = rewrite(s, w, put_metaspace, err);
    return rc || !s->split ? rc : divide(s, w, by_metaspace, err);
}

/* ByteLevel: a space in front of each piece if asked, GPT-2's words, bytes as characters. The last is left to the model
 * (w->bytes) where nothing comes between: then words are looked up in the cache as they stand in the text. */
static const char gpt2_words[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static lf_status open_bytes(lf_step *s, const cJSON *json, lf_err *err) {
    bool prefix, use_regex;
    lf_status rc;
    if ((rc = lf_json_get_bool(json, "add_prefix_space", true, &prefix, s->where, err)) ||
        (rc = lf_json_get_bool(json, "use_regex", true, &use_regex, s->where, err)))
        return rc;
    s->prepend = prefix ? LF_PREPEND_ALWAYS : LF_PREPEND_NEVER;
    s->behavior = LF_ISOLATED;
    return use_regex ? lf_pattern_new(&s->pattern, gpt2_words, false, s->where, err) : LF_OK;
}

static bool put_space(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece) {
    lf_string *out = &w->next.text;
    const size_t begin = out->n;
    const bool adds = !piece->continues && w->now.text.s[piece->begin] != ' ';
    (void)s;
    if (adds && !lf_string_put(out, " ", 1)) return false;
    if (!lf_string_put(out, w->now.text.s + piece->begin, piece->size)) return false;
    const size_t head = piece->head > 0 ? piece->head + adds : 0;
    return put_rewritten(w, piece, begin, head);
}

static bool put_bytes(const lf_step *s, lf_tokenizer_work *w, const lf_piece *piece) {
    lf_string *out = &w->next.text;
    const char *text = w->now.text.s + piece->begin;
    const size_t begin = out->n;
    (void)s;
    if (!lf_bytes_to_chars(out, text, piece->head)) return false;
    const size_t head = out->n - begin;
    if (!lf_bytes_to_chars(out, text + piece->head, piece->size - piece->head)) return false;
    return put_rewritten(w, piece, begin, head);
}

static lf_status apply_byte_level(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    lf_status rc = s->prepend == LF_PREPEND_ALWAYS ? rewrite(s, w, put_space, err) : LF_OK;
    if (!rc && s->pattern) rc = divide(s, w, by_pattern, err);
    if (rc) return rc;
    if (!s->last) return rewrite(s, w, put_bytes, err);
    w->bytes = true;
    return LF_OK;
}

static const lf_step_kind kinds[] = {
    {"ByteLevel", open_bytes, apply_byte_level},
    {"Split", open_split, apply_split},
    {"Metaspace", open_metaspace, apply_metaspace},
    {"Digits", open_digits, apply_digits},
    {"Punctuation", open_punctuation, apply_punctuation},
    {"Whitespace", NULL, apply_whitespace},
    {"WhitespaceSplit", open_removed, apply_whitespace_split},
    {"BertPreTokenizer", NULL, apply_bert},
    {"CharDelimiterSplit", open_delimiter, apply_split},
};
const lf_step_list lf_pretokenizers = {"pre_tokenizer", "pretokenizers", kinds, sizeof kinds / sizeof *kinds};

/* Decoders: w->now holds one piece a token, in the end their texts are put together. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/bytelevel.h"
#include "text/tokenizer_internal.h"

/* Ends the piece that began at `begin` in next.text. */
static bool end_piece(lf_tokenizer_work *w, size_t begin) {
    return lf_pieces_put(&w->next, (lf_piece){.begin = begin, .size = w->next.text.n - begin, .id = -1});
}

typedef lf_status (*token_fn)(const lf_step *s, lf_tokenizer_work *w, size_t i, const char *text, size_t n,
                              lf_err *err);

/* Each token by itself; `one` appends its new text to next.text. */
static lf_status each(const lf_step *s, lf_tokenizer_work *w, token_fn one, lf_err *err) {
    lf_status rc = LF_OK;
    lf_pieces_empty(&w->next);
    for (size_t i = 0; i < w->now.n && !rc; i++) {
        const size_t begin = w->next.text.n;
        rc = one(s, w, i, w->now.text.s + w->now.at[i].begin, w->now.at[i].size, err);
        if (!rc && !end_piece(w, begin)) rc = lf_no_memory(err, "tokens");
    }
    if (rc) return rc;
    lf_work_take_text(w);
    lf_work_take_pieces(w);
    return LF_OK;
}

/* ---- ByteLevel ---- */

static bool put_lossy(lf_string *out, const char *s, size_t n) {
    while (n > 0) {
        const size_t good = lf_utf8_invalid(s, n);
        if (!lf_string_put(out, s, good)) return false;
        if (good == n) break;
        const size_t bad = lf_utf8_bad_size(s + good, n - good);
        if (!lf_string_put_char(out, 0xfffd)) return false;
        s += good + bad;
        n -= good + bad;
    }
    return true;
}

/* A token with a character that stands for no byte (an added token) is taken as it is. */
static bool put_token_bytes(lf_string *out, const char *s, size_t n) {
    const size_t begin = out->n;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        unsigned char b;
        i += lf_utf8_next(s + i, n - i, &c);
        if (!lf_char_byte(c, &b)) {
            out->n = begin;
            return lf_string_put(out, s, n);
        }
        if (!lf_string_put(out, &b, 1)) return false;
    }
    return true;
}

static lf_status apply_byte_level(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    lf_string bytes = {0};
    bool good = true;
    (void)s;
    for (size_t i = 0; i < w->now.n && good; i++)
        good = put_token_bytes(&bytes, w->now.text.s + w->now.at[i].begin, w->now.at[i].size);
    lf_pieces_empty(&w->next);
    good = good && put_lossy(&w->next.text, bytes.s, bytes.n) && end_piece(w, 0);
    lf_string_free(&bytes);
    if (!good) return lf_no_memory(err, "tokens");
    lf_work_take_text(w);
    lf_work_take_pieces(w);
    return LF_OK;
}

/* ---- Metaspace ---- */

static lf_status open_metaspace(lf_step *s, const cJSON *json, lf_err *err) {
    const char *scheme;
    bool prefix;
    lf_status rc;
    if ((rc = lf_step_string(&s->content, s, json, "replacement", err)) ||
        (rc = lf_json_get_str(json, "prepend_scheme", "always", &scheme, s->where, err)) ||
        (rc = lf_json_get_bool(json, "add_prefix_space", true, &prefix, s->where, err)))
        return rc;
    if (!*s->content || strlen(s->content) != lf_utf8_size(s->content))
        return lf_fail(err, LF_EDATA, "%s: key 'replacement': expected one character, found \"%.50s\"", s->where,
                       s->content);
    s->prepend = prefix && strcmp(scheme, "never") != 0 ? LF_PREPEND_ALWAYS : LF_PREPEND_NEVER;
    return LF_OK;
}

/* Of the first token all spaces go, not only the one that encoding put there: `tokenizers` has it so. */
static lf_status metaspace(const lf_step *s, lf_tokenizer_work *w, size_t i, const char *text, size_t n, lf_err *err) {
    const size_t size = strlen(s->content);
    const bool drops = i == 0 && s->prepend != LF_PREPEND_NEVER;
    for (size_t k = 0; k < n;) {
        const size_t one = lf_utf8_size(text + k);
        const bool space = one == size && memcmp(text + k, s->content, size) == 0;
        if (!space && !lf_string_put(&w->next.text, text + k, one)) return lf_no_memory(err, "tokens");
        if (space && !drops && !lf_string_put(&w->next.text, " ", 1)) return lf_no_memory(err, "tokens");
        k += one;
    }
    return LF_OK;
}
static lf_status apply_metaspace(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    return each(s, w, metaspace, err);
}

/* ---- ByteFallback: runs of <0xNN> become characters, or U+FFFD a byte if they are none ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static bool is_byte_token(const char *s, size_t n, char *b) {
    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return false;
    const int high = s[3] == '+' ? 0 : hex_digit(s[3]), low = hex_digit(s[4]); /* Rust reads +F as a number */
    *b = (char)(high << 4 | low);
    return high >= 0 && low >= 0;
}

static bool end_run(lf_tokenizer_work *w, lf_string *run) {
    const size_t begin = w->next.text.n;
    if (run->n == 0) return true;
    const bool valid = lf_utf8_invalid(run->s, run->n) == run->n;
    if (valid && !lf_string_put(&w->next.text, run->s, run->n)) return false;
    for (size_t i = 0; i < run->n && !valid; i++)
        if (!lf_string_put_char(&w->next.text, 0xfffd)) return false;
    lf_string_empty(run);
    return end_piece(w, begin);
}

static lf_status apply_byte_fallback(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    lf_string run = {0};
    bool good = true;
    (void)s;
    lf_pieces_empty(&w->next);
    for (size_t i = 0; i < w->now.n && good; i++) {
        const char *text = w->now.text.s + w->now.at[i].begin;
        const size_t n = w->now.at[i].size;
        char b;
        if (is_byte_token(text, n, &b)) {
            good = lf_string_put(&run, &b, 1);
            continue;
        }
        good = end_run(w, &run);
        const size_t begin = w->next.text.n;
        good = good && lf_string_put(&w->next.text, text, n) && end_piece(w, begin);
    }
    good = good && end_run(w, &run);
    lf_string_free(&run);
    if (!good) return lf_no_memory(err, "tokens");
    lf_work_take_text(w);
    lf_work_take_pieces(w);
    return LF_OK;
}

/* ---- Fuse: all tokens become one ---- */

static lf_status apply_fuse(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)s;
    lf_pieces_empty(&w->next);
    for (size_t i = 0; i < w->now.n; i++)
        if (!lf_string_put(&w->next.text, w->now.text.s + w->now.at[i].begin, w->now.at[i].size))
            return lf_no_memory(err, "tokens");
    if (!end_piece(w, 0)) return lf_no_memory(err, "tokens");
    lf_work_take_text(w);
    lf_work_take_pieces(w);
    return LF_OK;
}

/* ---- Strip, Replace ---- */

static lf_status open_strip(lf_step *s, const cJSON *json, lf_err *err) {
    lf_status rc;
    if ((rc = lf_step_string(&s->content, s, json, "content", err)) ||
        (rc = lf_json_get_i64(json, "start", 0, &s->start, s->where, err)) ||
        (rc = lf_json_get_i64(json, "stop", 0, &s->stop, s->where, err)))
        return rc;
    if (!*s->content || strlen(s->content) != lf_utf8_size(s->content) || s->start < 0 || s->stop < 0)
        return lf_fail(err, LF_EDATA, "%s: expected one character as 'content' and counts as 'start' and 'stop'",
                       s->where);
    return LF_OK;
}

static lf_status strip(const lf_step *s, lf_tokenizer_work *w, size_t i, const char *text, size_t n, lf_err *err) {
    const size_t size = strlen(s->content);
    (void)i;
    for (int64_t k = 0; k < s->start && n >= size && memcmp(text, s->content, size) == 0; k++) text += size, n -= size;
    for (int64_t k = 0; k < s->stop && n >= size && memcmp(text + n - size, s->content, size) == 0; k++) n -= size;
    return lf_string_put(&w->next.text, text, n) ? LF_OK : lf_no_memory(err, "tokens");
}
static lf_status apply_strip(const lf_step *s, lf_tokenizer_work *w, lf_err *err) { return each(s, w, strip, err); }

static lf_status open_replace(lf_step *s, const cJSON *json, lf_err *err) {
    const lf_status rc = lf_step_pattern(s, json, err);
    return rc ? rc : lf_step_string(&s->content, s, json, "content", err);
}
static lf_status replace(const lf_step *s, lf_tokenizer_work *w, size_t i, const char *text, size_t n, lf_err *err) {
    (void)i;
    return lf_replace(w, s, text, n, &w->next.text, NULL, err);
}
static lf_status apply_replace(const lf_step *s, lf_tokenizer_work *w, lf_err *err) { return each(s, w, replace, err); }

/* ---- BPEDecoder: the suffix that ends words becomes a space, at the very end nothing ---- */

static lf_status open_suffix(lf_step *s, const cJSON *json, lf_err *err) {
    const char *suffix;
    const lf_status rc = lf_json_get_str(json, "suffix", "</w>", &suffix, s->where, err);
    return rc ? rc : lf_pattern_new(&s->pattern, suffix, true, s->where, err);
}
static lf_status suffix(const lf_step *s, lf_tokenizer_work *w, size_t i, const char *text, size_t n, lf_err *err) {
    char space[] = " ", none[] = "";
    const lf_step one = {.where = s->where, .pattern = s->pattern, .content = i + 1 == w->now.n ? none : space};
    return lf_replace(w, &one, text, n, &w->next.text, NULL, err);
}
static lf_status apply_suffix(const lf_step *s, lf_tokenizer_work *w, lf_err *err) { return each(s, w, suffix, err); }

/* ---- WordPiece: a space before each token that does not begin with the prefix, and English punctuation cleaned up
 * ---- */

static lf_status open_wordpiece(lf_step *s, const cJSON *json, lf_err *err) {
    const char *prefix;
    lf_status rc;
    if ((rc = lf_json_get_str(json, "prefix", "##", &prefix, s->where, err)) ||
        (rc = lf_json_get_bool(json, "cleanup", true, &s->clean, s->where, err)))
        return rc;
    s->content = lf_strdup(prefix);
    return s->content ? LF_OK : lf_no_memory(err, "tokens");
}

/* Replaces in *text, by way of *room. */
static bool replace_all(lf_string *text, lf_string *room, const char *from, const char *to) {
    const size_t n = strlen(from), n_to = strlen(to);
    lf_string_empty(room);
    for (size_t i = 0; i < text->n;) {
        const bool hit = text->n - i >= n && memcmp(text->s + i, from, n) == 0;
        if (!(hit ? lf_string_put(room, to, n_to) : lf_string_put(room, text->s + i, 1))) return false;
        i += hit ? n : 1;
    }
    lf_string_swap(text, room);
    return true;
}

static bool clean_up(lf_string *text, lf_string *room) {
    static const char *const pairs[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                           {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                           {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    bool good = true;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && good && text->n > 0; i++)
        good = replace_all(text, room, pairs[i][0], pairs[i][1]);
    return good;
}

static lf_status wordpiece(const lf_step *s, lf_tokenizer_work *w, size_t i, const char *text, size_t n, lf_err *err) {
    const size_t size = strlen(s->content);
    const bool inside = i > 0 && n >= size && memcmp(text, s->content, size) == 0, space = i > 0 && !inside;
    lf_string token = {0}, room = {0};
    const bool good = (!space || lf_string_put(&token, " ", 1)) &&
                      lf_string_put(&token, text + (inside ? size : 0), n - (inside ? size : 0)) &&
                      (!s->clean || clean_up(&token, &room)) && lf_string_put(&w->next.text, token.s, token.n);
    lf_string_free(&token);
    lf_string_free(&room);
    return good ? LF_OK : lf_no_memory(err, "tokens");
}
static lf_status apply_wordpiece(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    return each(s, w, wordpiece, err);
}

static const lf_step_kind kinds[] = {
    {"ByteLevel", NULL, apply_byte_level},       {"Metaspace", open_metaspace, apply_metaspace},
    {"ByteFallback", NULL, apply_byte_fallback}, {"Fuse", NULL, apply_fuse},
    {"Strip", open_strip, apply_strip},          {"Replace", open_replace, apply_replace},
    {"BPEDecoder", open_suffix, apply_suffix},   {"WordPiece", open_wordpiece, apply_wordpiece},
};
const lf_step_list lf_decoders = {"decoder", "decoders", kinds, sizeof kinds / sizeof *kinds};

#include <string.h>
#include <utf8proc.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/bytelevel.h"
#include "text/tokenizer_internal.h"
#include "text/unicode.h"

/* ---- NFC, NFD, NFKC, NFKD, Lowercase ---- */

static lf_status apply_nfc(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)s;
    return lf_normal_form(w, UTF8PROC_COMPOSE, err);
}
static lf_status apply_nfd(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)s;
    return lf_normal_form(w, UTF8PROC_DECOMPOSE, err);
}
static lf_status apply_nfkc(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)s;
    return lf_normal_form(w, UTF8PROC_COMPOSE | UTF8PROC_COMPAT, err);
}
static lf_status apply_nfkd(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)s;
    return lf_normal_form(w, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, err);
}

/* A final sigma is a sigma like others. */
static lf_status apply_lowercase(const lf_step *step, lf_tokenizer_work *w, lf_err *err) {
    (void)step;
    return lf_map_chars(w, lf_char_lower, err);
}

/* ---- Prepend, Replace, Strip ---- */

static lf_status open_prepend(lf_step *s, const cJSON *json, lf_err *err) {
    return lf_step_string(&s->content, s, json, "prepend", err);
}

static lf_status apply_prepend(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    const size_t n = strlen(s->content);
    if (w->now.text.n == 0 || w->continues) return LF_OK;
    lf_string_empty(&w->next.text);
    if (!lf_string_put(&w->next.text, s->content, n) || !lf_string_put(&w->next.text, w->now.text.s, w->now.text.n))
        return lf_no_memory(err, "tokens");
    if (w->head > 0) w->head += n;
    lf_work_take_text(w);
    return LF_OK;
}

static lf_status open_replace(lf_step *s, const cJSON *json, lf_err *err) {
    const lf_status rc = lf_step_pattern(s, json, err);
    return rc ? rc : lf_step_string(&s->content, s, json, "content", err);
}

lf_status lf_replace(lf_tokenizer_work *w, const lf_step *step, const char *s, size_t n, lf_string *out, size_t *head,
                     lf_err *err) {
    const size_t size = strlen(step->content);
    const lf_status rc = lf_find_spans(w, step->pattern, s, n, err);
    if (rc) return rc;
    for (size_t i = 0; i < w->n_spans; i++) {
        const lf_span *span = &w->spans[i];
        const bool good = span->hit ? lf_string_put(out, step->content, size)
                                    : lf_string_put(out, s + span->begin, span->end - span->begin);
        if (!good) return lf_no_memory(err, "tokens");
        if (out->n > w->most) return lf_too_long(w, step->where, err);
        /* What replaces one character comes from where it stood; what replaces several, from the last of them. */
        if (i == 0 && head && *head > 0 && span->hit) *head = span->end <= *head ? size : 0;
    }
    return LF_OK;
}

static lf_status apply_replace(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    lf_string_empty(&w->next.text);
    const lf_status rc = lf_replace(w, s, w->now.text.s, w->now.text.n, &w->next.text, &w->head, err);
    if (!rc) lf_work_take_text(w);
    return rc;
}

static lf_status open_strip(lf_step *s, const cJSON *json, lf_err *err) {
    const lf_status rc = lf_json_get_bool(json, "strip_left", true, &s->left, s->where, err);
    return rc ? rc : lf_json_get_bool(json, "strip_right", true, &s->right, s->where, err);
}

static lf_status apply_strip(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)err;
    lf_string *text = &w->now.text;
    size_t begin = 0;
    uint32_t c;
    while (s->left && begin < text->n) {
        const size_t size = lf_utf8_next(text->s + begin, text->n - begin, &c);
        if (!lf_char_is_space(c)) break;
        begin += size;
    }
    while (s->right && text->n > begin) {
        size_t at = text->n - 1;
        while (at > begin && ((unsigned char)text->s[at] & 0xc0) == 0x80) at--;
        (void)lf_utf8_next(text->s + at, text->n - at, &c);
        if (!lf_char_is_space(c)) break;
        text->n = at;
    }
    text->n -= begin;
    if (begin > 0) memmove(text->s, text->s + begin, text->n);
    w->head = w->head > begin ? w->head - begin : 0;
    return LF_OK;
}

/* ---- ByteLevel ---- */

static lf_status apply_bytes(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)s;
    size_t head = 0;
    lf_string_empty(&w->next.text);
    for (size_t i = 0; i < w->now.text.n; i++) {
        if (!lf_bytes_to_chars(&w->next.text, w->now.text.s + i, 1)) return lf_no_memory(err, "tokens");
        if (i < w->head) head = w->next.text.n;
    }
    w->head = head;
    lf_work_take_text(w);
    return LF_OK;
}

static const lf_step_kind kinds[] = {
    {"NFC", NULL, apply_nfc},
    {"NFD", NULL, apply_nfd},
    {"NFKC", NULL, apply_nfkc},
    {"NFKD", NULL, apply_nfkd},
    {"Lowercase", NULL, apply_lowercase},
    {"BertNormalizer", lf_open_bert_normalizer, lf_apply_bert_normalizer},
    {"StripAccents", NULL, lf_apply_strip_accents},
    {"Nmt", NULL, lf_apply_nmt},
    {"Precompiled", lf_open_precompiled, lf_apply_precompiled},
    {"Prepend", open_prepend, apply_prepend},
    {"Replace", open_replace, apply_replace},
    {"Strip", open_strip, apply_strip},
    {"ByteLevel", NULL, apply_bytes},
};
const lf_step_list lf_normalizers = {"normalizer", "normalizers", kinds, sizeof kinds / sizeof *kinds};

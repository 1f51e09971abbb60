/* What tokenizers made from sentencepiece models normalize with: Precompiled, and Nmt, its older part. */
#include "base/utf8.h"
#include "text/grapheme.h"
#include "text/tokenizer_internal.h"

static size_t nmt(uint32_t c, uint32_t out[3]) {
    const bool gone = (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f;
    const bool space = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
                       c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
    out[0] = space ? ' ' : c;
    return !gone;
}

lf_status lf_apply_nmt(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)s;
    return lf_map_chars(w, nmt, err);
}

/* ---- Precompiled ---- */

lf_status lf_open_precompiled(lf_step *s, const cJSON *json, lf_err *err) {
    char *map = NULL;
    lf_status rc = lf_step_string(&map, s, json, "precompiled_charsmap", err);
    if (!rc) rc = lf_charsmap_open(&s->charsmap, map, s->where, err);
    lf_free(map);
    return rc;
}

/* Appends s[0 .. n) as it is, or what replaces it. */
static lf_status put_replaced(const lf_step *step, lf_string *out, const char *s, size_t n, bool *replaced,
                              lf_err *err) {
    const char *text;
    size_t size;
    const lf_status rc = lf_charsmap_find(step->charsmap, s, n, &text, &size, err);
    if (rc) return rc;
    if (text) *replaced = true;
    return !text || lf_string_put(out, text, size) ? LF_OK : lf_no_memory(err, "tokens");
}

/* sentencepiece replaces the longest key at each place; `tokenizers` replaces short clusters by what their beginning
 * becomes, and otherwise characters. Models are used with the latter. */
static lf_status put_cluster(const lf_step *step, lf_string *out, const char *s, size_t n, lf_err *err) {
    enum { SHORT = 6 };
    bool replaced = false;
    lf_status rc = n < SHORT ? put_replaced(step, out, s, n, &replaced, err) : LF_OK;
    for (size_t i = 0, size; i < n && !replaced && !rc; i += size) {
        bool one = false;
        size = lf_utf8_size(s + i);
        rc = put_replaced(step, out, s + i, size, &one, err);
        if (!rc && !one && !lf_string_put(out, s + i, size)) rc = lf_no_memory(err, "tokens");
    }
    return rc;
}

lf_status lf_apply_precompiled(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    const lf_string *text = &w->now.text;
    lf_status rc = LF_OK;
    lf_string_empty(&w->next.text);
    for (size_t i = 0, size; i < text->n && !rc; i += size) {
        size = lf_grapheme_size(text->s + i, text->n - i);
        rc = put_cluster(s, &w->next.text, text->s + i, size, err);
        if (!rc && w->next.text.n > w->most) rc = lf_too_long(w, s->where, err);
    }
    if (rc) return rc;
    if (w->head > 0) w->head = w->next.text.n > 0 ? lf_utf8_size(w->next.text.s) : 0;
    lf_work_take_text(w);
    return LF_OK;
}

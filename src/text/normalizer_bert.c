/* BertNormalizer, and StripAccents that ALBERT has. */
#include <utf8proc.h>

#include "base/json.h"
#include "text/tokenizer_internal.h"
#include "text/unicode.h"

/* "strip_accents" null: as "lowercase". */
lf_status lf_open_bert_normalizer(lf_step *s, const cJSON *json, lf_err *err) {
    lf_status rc;
    if ((rc = lf_json_get_bool(json, "clean_text", true, &s->clean, s->where, err)) ||
        (rc = lf_json_get_bool(json, "handle_chinese_chars", true, &s->chinese, s->where, err)) ||
        (rc = lf_json_get_bool(json, "lowercase", true, &s->lower, s->where, err)))
        return rc;
    return lf_json_get_bool(json, "strip_accents", s->lower, &s->accents, s->where, err);
}

static size_t clean(uint32_t c, uint32_t out[3]) {
    out[0] = lf_char_is_space(c) ? ' ' : c;
    return c != 0 && (c == '\t' || c == '\n' || c == '\r' || !lf_char_is_unclean(c));
}

/* The blocks of CJK ideographs as the original BERT lists them, with what Rust's copy has as the end and the beginning
 * of extensions D and E. */
static bool is_chinese(uint32_t c) {
    static const uint32_t blocks[][2] = {{0x4e00, 0x9fff},   {0x3400, 0x4dbf},   {0x20000, 0x2a6df},
                                         {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf},
                                         {0xf900, 0xfaff},   {0x2f800, 0x2fa1f}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks && c >= 0x3400; i++)
        if (c >= blocks[i][0] && c <= blocks[i][1]) return true;
    return false;
}

static size_t set_apart(uint32_t c, uint32_t out[3]) {
    const bool apart = is_chinese(c);
    out[0] = out[2] = ' ';
    out[apart] = c;
    return apart ? 3 : 1;
}

static size_t drop_accent(uint32_t c, uint32_t out[3]) {
    out[0] = c;
    return c < 0x80 || !lf_char_is_accent(c);
}

static size_t drop_mark(uint32_t c, uint32_t out[3]) {
    out[0] = c;
    return c < 0x80 || !lf_char_is_mark(c);
}

lf_status lf_apply_bert_normalizer(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    lf_status rc = s->clean ? lf_map_chars(w, clean, err) : LF_OK;
    if (!rc && s->chinese) rc = lf_map_chars(w, set_apart, err);
    if (!rc && s->accents && !(rc = lf_normal_form(w, UTF8PROC_DECOMPOSE, err))) rc = lf_map_chars(w, drop_accent, err);
    return rc || !s->lower ? rc : lf_map_chars(w, lf_char_lower, err);
}

lf_status lf_apply_strip_accents(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    (void)s;
    return lf_map_chars(w, drop_mark, err);
}

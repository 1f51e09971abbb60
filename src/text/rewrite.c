/* What several normalizers do with a text. */
#include <utf8proc.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/tokenizer_internal.h"
#include "text/unicode.h"

/* ---- normal forms ---- */

static bool is_ascii(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0x80) return false;
    return true;
}

static bool normalize_part(lf_tokenizer_work *w, const char *s, size_t n, int options) {
    lf_string *out = &w->next.text;
    const utf8proc_option_t o = (utf8proc_option_t)(options | UTF8PROC_STABLE);
    if (is_ascii(s, n)) return lf_string_put(out, s, n);
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)s;
    /* The first call says how much room it needs. */
    utf8proc_ssize_t count = utf8proc_decompose(bytes, (utf8proc_ssize_t)n, NULL, 0, o);
    if (count < 0) return false;
    if ((size_t)count > w->code_points_capacity) {
        lf_free(w->code_points);
        w->code_points_capacity = 0;
        if (!(w->code_points = lf_malloc(2 * (size_t)count * sizeof *w->code_points))) return false;
        w->code_points_capacity = 2 * (size_t)count;
    }
    count = utf8proc_decompose(bytes, (utf8proc_ssize_t)n, w->code_points, count, o);
    if (count > 0) count = utf8proc_normalize_utf32(w->code_points, count, o);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        if (!lf_string_put_char(out, (uint32_t)w->code_points[i])) return false;
    return count >= 0;
}

/* Inert characters neither change nor combine, so the text between two of them can be normalized by itself. */
lf_status lf_normal_form(lf_tokenizer_work *w, int options, lf_err *err) {
    const lf_string *text = &w->now.text;
    lf_string_empty(&w->next.text);
    for (size_t i = 0, done = 0; done < text->n;) {
        uint32_t c = 0;
        size_t size = 0;
        while (i < text->n) {
            size = lf_utf8_next(text->s + i, text->n - i, &c);
            if (c >= 0x80 && lf_char_is_inert(c)) break;
            i += size;
            size = 0;
        }
        if (i > done && !normalize_part(w, text->s + done, i - done, options)) return lf_no_memory(err, "tokens");
        if (size > 0 && !lf_string_put(&w->next.text, text->s + i, size)) return lf_no_memory(err, "tokens");
        i += size;
        done = i;
    }
    if (w->head > 0) w->head = w->next.text.n > 0 ? lf_utf8_size(w->next.text.s) : 0;
    lf_work_take_text(w);
    return LF_OK;
}

/* ---- character by character ---- */

lf_status lf_map_chars(lf_tokenizer_work *w, lf_char_map one, lf_err *err) {
    const lf_string *text = &w->now.text;
    size_t head = 0;
    lf_string_empty(&w->next.text);
    for (size_t i = 0; i < text->n;) {
        uint32_t c, after[3];
        i += lf_utf8_next(text->s + i, text->n - i, &c);
        const size_t n = one(c, after);
        for (size_t k = 0; k < n; k++)
            if (!lf_string_put_char(&w->next.text, after[k])) return lf_no_memory(err, "tokens");
        if (i <= w->head) head = w->next.text.n;
    }
    w->head = head;
    lf_work_take_text(w);
    return LF_OK;
}

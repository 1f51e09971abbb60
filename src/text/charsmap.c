#include "text/charsmap.h"

#include <string.h>

#include "base/mem.h"
#include "base/string.h"
#include "base/utf8.h"

/* The file: bytes of the trie, 4; the trie, a double array of 4-byte units (Darts-clone); the replacements, each with a
 * NUL behind it. All numbers are little-endian. A unit that is reached by byte b at `at`: where its children are
 * (offset, XORed to at), whether a key ends here (then the child for byte 0 holds a value), and b once more. */
struct lf_charsmap {
    uint32_t *units;
    size_t n_units;
    char *texts;
    size_t n_texts;
    const char *where; /* borrowed */
};

void lf_charsmap_free(lf_charsmap *m) {
    if (!m) return;
    lf_free(m->units);
    lf_free(m->texts);
    lf_free(m);
}

static bool ends_key(uint32_t unit) { return unit >> 8 & 1; }
static uint32_t value(uint32_t unit) { return unit & 0x7fffffff; }
static uint32_t label(uint32_t unit) { return unit & 0x800000ff; }
static uint32_t offset(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }

/* Whether s[0 .. n) begins with a key; *at: where in texts the replacement of the shortest one is. */
static bool find(const lf_charsmap *m, const char *s, size_t n, size_t *at) {
    size_t node = offset(m->units[0]);
    for (size_t i = 0; i < n && s[i]; i++) {
        node ^= (unsigned char)s[i];
        if (node >= m->n_units || label(m->units[node]) != (unsigned char)s[i]) break;
        const uint32_t unit = m->units[node];
        node ^= offset(unit);
        if (node >= m->n_units) break;
        if (!ends_key(unit)) continue;
        *at = value(m->units[node]);
        return true;
    }
    return false;
}

lf_status lf_charsmap_find(const lf_charsmap *m, const char *s, size_t n, const char **text, size_t *size,
                           lf_err *err) {
    size_t at;
    *text = NULL;
    *size = 0;
    if (!find(m, s, n, &at)) return LF_OK;
    if (at >= m->n_texts || ((unsigned char)m->texts[at] & 0xc0) == 0x80)
        return lf_fail(err, LF_EDATA,
                       "%s: key 'precompiled_charsmap': a replacement at byte %zu, where none begins; is the file "
                       "damaged?",
                       m->where, at);
    *text = m->texts + at;
    *size = strlen(*text); /* the last one ends in a NUL too, see split */
    return LF_OK;
}

/* ---- reading ---- */

static int digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static lf_status decode(lf_string *out, const char *text, const char *where, lf_err *err) {
    size_t n = strlen(text);
    if (!lf_string_reserve(out, n)) return lf_no_memory(err, "%s", where);
    if (n % 4 == 0)
        for (int i = 0; i < 2 && n > 0 && text[n - 1] == '='; i++) n--;
    uint32_t bits = 0;
    int have = 0;
    bool good = n % 4 != 1;
    for (size_t i = 0; i < n && good; i++) {
        const int d = digit(text[i]);
        good = d >= 0;
        bits = bits << 6 | (uint32_t)(d & 63);
        have += 6;
        if (have < 8) continue;
        have -= 8;
        const unsigned char byte = (unsigned char)(bits >> have & 255);
        lf_string_put(out, &byte, 1); /* there is room */
    }
    return good ? LF_OK : lf_fail(err, LF_EDATA, "%s: key 'precompiled_charsmap': not base64", where);
}

static uint32_t unit_at(const char *s) {
    const unsigned char *b = (const unsigned char *)s;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* A damaged trie can be followed safely (find checks every step), but its texts must be text. */
static lf_status split(lf_charsmap *m, const char *bytes, size_t n, const char *where, lf_err *err) {
    const uint32_t size = n >= 4 ? unit_at(bytes) : 0;
    if (n < 8 || size < 4 || size % 4 != 0 || size > n - 4)
        return lf_fail(err, LF_EDATA,
                       "%s: key 'precompiled_charsmap': %zu bytes with a trie of %u; is the file complete?", where, n,
                       (unsigned)size);
    m->n_units = size / 4;
    m->n_texts = n - 4 - size;
    m->units = lf_malloc(size);
    m->texts = lf_malloc(m->n_texts + 1);
    if (!m->units || !m->texts) return lf_no_memory(err, "%s", where);
    for (size_t i = 0; i < m->n_units; i++) m->units[i] = unit_at(bytes + 4 + 4 * i);
    if (m->n_texts > 0) memcpy(m->texts, bytes + 4 + size, m->n_texts);
    m->texts[m->n_texts] = 0;
    if (lf_utf8_invalid(m->texts, m->n_texts) < m->n_texts)
        return lf_fail(err, LF_EDATA, "%s: key 'precompiled_charsmap': its replacements are not UTF-8", where);
    return LF_OK;
}

lf_status lf_charsmap_open(lf_charsmap **out, const char *base64, const char *where, lf_err *err) {
    lf_string bytes = {0};
    lf_charsmap *m = lf_calloc(1, sizeof *m);
    lf_status rc = m ? decode(&bytes, base64, where, err) : lf_no_memory(err, "%s", where);
    if (m) m->where = where;
    if (!rc) rc = split(m, bytes.s, bytes.n, where, err);
    lf_string_free(&bytes);
    if (rc)
        lf_charsmap_free(m);
    else
        *out = m;
    return rc;
}

/* WordPiece: of what is left of a word, again and again the longest token; what has no token makes the whole word
 * unknown. */
#include <string.h>

#include "base/json.h"
#include "text/word_model.h"

typedef struct wordpiece {
    const lf_vocab *vocab;
    char *prefix; /* of a token inside of a word: "##" */
    int32_t unk;
    int64_t most_chars; /* a longer word is unknown */
    size_t longest;     /* bytes of the longest token: no longer one need be looked for */
} wordpiece;

static void close_model(void *model) {
    wordpiece *m = model;
    if (!m) return;
    lf_free(m->prefix);
    lf_free(m);
}

static lf_status open_keys(wordpiece *m, const lf_word_model_file *file, lf_err *err) {
    const char *prefix;
    lf_status rc;
    if ((rc = lf_json_get_str(file->json, "continuing_subword_prefix", "##", &prefix, file->where, err)) ||
        (rc = lf_json_get_i64(file->json, "max_input_chars_per_word", 100, &m->most_chars, file->where, err)) ||
        (rc = lf_word_model_vocab(file, err)) || (rc = lf_word_model_unk(file, "[UNK]", err)))
        return rc;
    if (m->most_chars < 0)
        return lf_fail(err, LF_EDATA, "%s: key 'max_input_chars_per_word': expected a count", file->where);
    m->vocab = file->vocab;
    m->unk = *file->unk;
    for (size_t i = 0; i < m->vocab->n; i++)
        if (m->vocab->tokens[i].size > m->longest) m->longest = m->vocab->tokens[i].size;
    m->prefix = lf_strdup(prefix);
    return m->prefix ? LF_OK : lf_no_memory(err, "%s", file->where);
}

static lf_status open_model(void **out, const lf_word_model_file *file, lf_err *err) {
    wordpiece *m = lf_calloc(1, sizeof *m);
    if (!m) return lf_no_memory(err, "%s", file->where);
    const lf_status rc = open_keys(m, file, err);
    if (rc)
        close_model(m);
    else
        *out = m;
    return rc;
}

/* What is looked up: a part of a word behind the prefix. */
static void *work_new(void) { return lf_calloc(1, sizeof(lf_string)); }
static void work_free(void *work) {
    if (work) lf_string_free(work);
    lf_free(work);
}

static bool too_long(const wordpiece *m, const char *word, size_t n) {
    int64_t chars = 0;
    for (size_t i = 0; i < n; i++) chars += ((unsigned char)word[i] & 0xc0) != 0x80;
    return chars > m->most_chars;
}

/* The longest token at the beginning of s[0 .. n); *size are its bytes there, without the prefix. key holds the prefix,
 * or nothing. */
static int32_t longest_at(const wordpiece *m, lf_string *key, const char *s, size_t n, size_t *size) {
    const size_t before = key->n, most = m->longest > before ? m->longest - before : 0;
    if (n > most) n = most;
    if (!lf_string_put(key, s, n)) return -1;
    for (; n > 0; n--) {
        if (n < key->n - before && ((unsigned char)s[n] & 0xc0) == 0x80) continue; /* inside of a character */
        const int32_t id = lf_vocab_find(m->vocab, key->s, before + n, LF_TOKEN_MODEL);
        *size = n;
        if (id >= 0) return id;
    }
    return -1;
}

static lf_status encode(const void *model, void *work, const char *word, size_t n, bool bytes, lf_ids_buffer *out,
                        lf_err *err) {
    const wordpiece *m = model;
    lf_string *key = work;
    const size_t first = out->n;
    bool known = !too_long(m, word, n);
    (void)bytes;
    for (size_t i = 0, size = 0; i < n && known; i += size) {
        lf_string_empty(key);
        if (i > 0) lf_string_put(key, m->prefix, strlen(m->prefix));
        const int32_t id = longest_at(m, key, word + i, n - i, &size);
        if (key->failed) return lf_no_memory(err, "a word of %zu bytes", n);
        known = id >= 0;
        if (known && !lf_ids_buffer_put(out, id)) return lf_no_memory(err, "a word of %zu bytes", n);
    }
    if (known) return LF_OK;
    out->n = first;
    return lf_ids_buffer_put(out, m->unk) ? LF_OK : lf_no_memory(err, "a word of %zu bytes", n);
}

const lf_word_model_kind lf_wordpiece_kind = {.type = "WordPiece",
                                              .open = open_model,
                                              .close = close_model,
                                              .work_new = work_new,
                                              .work_free = work_free,
                                              .encode = encode};

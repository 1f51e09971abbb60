/* Unigram: of all ways to make a word of tokens, the one with the largest sum of scores (log probabilities). What no
 * token has is unknown, character by character, at a score below all others; neighbours that are unknown become one.
 * Scores are those of the file to the last bit, as transformers' classes read them: `tokenizers` reading the file
 * itself is off by a bit in some, which shows where two ways are equally good, in runs of one letter. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "text/piece_trie.h"
#include "text/word_model.h"

static const double UNKNOWN_PENALTY = 10; /* below the smallest score, as in sentencepiece */

typedef struct unigram {
    const lf_vocab *vocab;
    double *scores; /* by id */
    lf_piece_trie trie;
    int32_t unk; /* -1: a word with what no token has is an error */
    double unknown_score;
    bool byte_fallback;
    int32_t fallback[256]; /* ids of <0x00> .. <0xFF>, -1 where missing */
    char *where;
} unigram;

static void close_model(void *model) {
    unigram *m = model;
    if (!m) return;
    lf_free(m->scores);
    lf_piece_trie_free(&m->trie);
    lf_free(m->where);
    lf_free(m);
}

/* ---- opening ---- */

static lf_status add_piece(unigram *m, const lf_word_model_file *file, const cJSON *item, int64_t id, lf_err *err) {
    const cJSON *piece = cJSON_IsArray(item) ? item->child : NULL, *score = piece ? piece->next : NULL;
    if (!cJSON_IsString(piece) || !cJSON_IsNumber(score) || score->next || !isfinite(score->valuedouble))
        return lf_fail(err, LF_EDATA, "%s: key 'vocab': entry %lld: expected [token, score]", file->where,
                       (long long)id);
    m->scores[id] = score->valuedouble;
    if (score->valuedouble < m->unknown_score) m->unknown_score = score->valuedouble;
    return lf_vocab_add(file->vocab, piece->valuestring, id, LF_TOKEN_MODEL, file->where, err);
}

static lf_status open_vocab(unigram *m, const lf_word_model_file *file, lf_err *err) {
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(file->json, "vocab"), *item;
    int64_t id = 0;
    lf_status rc = LF_OK;
    if (!cJSON_IsArray(vocab))
        return lf_fail(err, LF_EDATA, "%s: key 'vocab': expected a list of [token, score]", file->where);
    const size_t n = (size_t)cJSON_GetArraySize(vocab);
    m->scores = lf_malloc((n + 1) * sizeof *m->scores);
    if (!m->scores) return lf_no_memory(err, "the %zu tokens of %s", n, file->where);
    m->unknown_score = INFINITY;
    cJSON_ArrayForEach(item, vocab) if (!rc) rc = add_piece(m, file, item, id++, err);
    m->unknown_score -= UNKNOWN_PENALTY;
    return rc;
}

static lf_status open_unknown(unigram *m, const lf_word_model_file *file, lf_err *err) {
    int64_t unk;
    const lf_status rc = lf_json_get_i64(file->json, "unk_id", -1, &unk, file->where, err);
    if (rc) return rc;
    if (unk < -1 || unk >= (int64_t)file->vocab->n)
        return lf_fail(err, LF_EDATA, "%s: key 'unk_id': expected a token of 'vocab', found %lld", file->where,
                       (long long)unk);
    m->unk = *file->unk = (int32_t)unk;
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b & 255);
        m->fallback[b] = lf_vocab_find(file->vocab, name, 6, LF_TOKEN_MODEL);
    }
    return lf_json_get_bool(file->json, "byte_fallback", false, &m->byte_fallback, file->where, err);
}

/* Keys that ask for tokens by chance, of several good ways one: for training from scratch. */
static lf_status refuse_sampling(const lf_word_model_file *file, lf_err *err) {
    static const char *const keys[] = {"alpha", "nbest_size"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(file->json, keys[i]);
        if (v && !cJSON_IsNull(v))
            return lf_fail(err, LF_EUNSUPPORTED,
                           "%s: key '%s': tokens drawn by chance are not supported; set it to null", file->where,
                           keys[i]);
    }
    return LF_OK;
}

static lf_status open_model(void **out, const lf_word_model_file *file, lf_err *err) {
    lf_status rc = refuse_sampling(file, err);
    if (rc) return rc;
    unigram *m = lf_calloc(1, sizeof *m);
    if (!m || !(m->where = lf_strdup(file->where)))
        rc = lf_no_memory(err, "%s", file->where);
    else
        m->vocab = file->vocab;
    if (!rc && !(rc = open_vocab(m, file, err)) && !(rc = open_unknown(m, file, err)) &&
        !lf_piece_trie_make(&m->trie, file->vocab))
        rc = lf_no_memory(err, "the tokens of %s", file->where);
    if (rc)
        close_model(m);
    else
        *out = m;
    return rc;
}

/* ---- encoding ---- */

/* The best way to reach a place in the word. */
typedef struct best {
    double score;
    size_t from; /* where its last token begins */
    int32_t id;
    bool reached;
} best;

typedef struct unigram_work {
    best *at; /* for each byte of the word, and its end */
    size_t capacity;
    lf_ids_buffer ids; /* from the last to the first */
} unigram_work;

static void *work_new(void) { return lf_calloc(1, sizeof(unigram_work)); }
static void work_free(void *work) {
    unigram_work *w = work;
    if (!w) return;
    lf_free(w->at);
    lf_free(w->ids.ids);
    lf_free(w);
}

/* Of two ways that are equally good the one found first stays. */
static void offer(best *to, double score, size_t from, int32_t id) {
    if (!to->reached || score > to->score) *to = (best){score, from, id, true};
}

/* All tokens that begin at `from`; where none is the one character there, that is unknown. */
static void extend(const unigram *m, best *at, const char *word, size_t n, size_t from) {
    const size_t size = lf_utf8_size(word + from);
    bool single = false;
    uint32_t node = 0;
    for (size_t i = from; i < n; i++) {
        node = lf_piece_trie_next(&m->trie, node, (unsigned char)word[i]);
        if (node == 0) break;
        const int32_t id = m->trie.nodes[node].id;
        if (id < 0) continue;
        offer(&at[i + 1], m->scores[id] + at[from].score, from, id);
        single = single || i + 1 - from == size;
    }
    if (!single) offer(&at[from + size], m->unknown_score + at[from].score, from, m->unk);
}

/* Puts the tokens of word[begin .. end), which is unknown (or the unknown token itself, written out), in reverse:
 * bytes, if there is a token for each. */
static bool put_unknown(const unigram *m, unigram_work *w, const char *word, size_t begin, size_t end) {
    const int32_t id = lf_vocab_find(m->vocab, word + begin, end - begin, LF_TOKEN_MODEL);
    bool bytes = id < 0 && m->byte_fallback;
    for (size_t i = begin; i < end && bytes; i++) bytes = m->fallback[(unsigned char)word[i]] >= 0;
    if (!bytes) return lf_ids_buffer_put(&w->ids, id >= 0 ? id : m->unk);
    for (size_t i = end; i > begin; i--)
        if (!lf_ids_buffer_put(&w->ids, m->fallback[(unsigned char)word[i - 1]])) return false;
    return true;
}

static bool walk_back(const unigram *m, unigram_work *w, const char *word, size_t n) {
    size_t unknown = n; /* end of the unknown text that is being gathered */
    bool good = true, open = false;
    w->ids.n = 0;
    for (size_t end = n; end > 0 && good; end = w->at[end].from) {
        const best *b = &w->at[end];
        if (b->id == m->unk) {
            if (!open) unknown = end;
            open = true;
            continue;
        }
        if (open) good = put_unknown(m, w, word, end, unknown);
        open = false;
        good = good && lf_ids_buffer_put(&w->ids, b->id);
    }
    return good && (!open || put_unknown(m, w, word, 0, unknown));
}

static lf_status no_unknown(const unigram *m, const best *at, size_t n, lf_err *err) {
    for (size_t end = n; end > 0; end = at[end].from)
        if (at[end].id < 0)
            return lf_fail(err, LF_EDATA,
                           "%s: key 'unk_id': none, but the text has what no token stands for, at byte %zu of a word",
                           m->where, at[end].from);
    return LF_OK;
}

static lf_status encode(const void *model, void *work, const char *word, size_t n, bool bytes, lf_ids_buffer *out,
                        lf_err *err) {
    const unigram *m = model;
    unigram_work *w = work;
    (void)bytes;
    if (!lf_grow(&w->at, &w->capacity, n + 1)) return lf_no_memory(err, "a word of %zu bytes", n);
    for (size_t i = 0; i <= n; i++) w->at[i].reached = false;
    w->at[0].score = 0;
    for (size_t i = 0; i < n; i += lf_utf8_size(word + i)) extend(m, w->at, word, n, i);
    const lf_status rc = m->unk < 0 ? no_unknown(m, w->at, n, err) : LF_OK;
    if (rc) return rc;
    bool good = walk_back(m, w, word, n);
    for (size_t i = w->ids.n; i-- > 0 && good;) good = lf_ids_buffer_put(out, w->ids.ids[i]);
    return good ? LF_OK : lf_no_memory(err, "a word of %zu bytes", n);
}

const lf_word_model_kind lf_unigram_kind = {.type = "Unigram",
                                            .open = open_model,
                                            .close = close_model,
                                            .work_new = work_new,
                                            .work_free = work_free,
                                            .encode = encode};

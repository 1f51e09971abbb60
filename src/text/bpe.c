#include "text/bpe.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/bytelevel.h"

static void *work_new(void) { return lf_calloc(1, sizeof(lf_bpe_work)); }

static void work_free(void *work) {
    lf_bpe_work *w = work;
    if (!w) return;
    lf_free(w->symbols);
    lf_free(w->heap);
    lf_string_free(&w->key);
    lf_free(w);
}

static const lf_bpe_merge *find_merge(const lf_bpe *bpe, int32_t left, int32_t right) {
    const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    if (bpe->n_slots == 0) return NULL;
    for (size_t i = lf_bpe_slot(pair) & (bpe->n_slots - 1);; i = (i + 1) & (bpe->n_slots - 1)) {
        if (bpe->merges[i].pair == pair) return &bpe->merges[i];
        if (bpe->merges[i].pair == LF_NO_PAIR) return NULL;
    }
}

/* ---- the word as symbols ---- */

static bool add_symbol(lf_bpe_work *w, int32_t id) {
    if (!lf_grow(&w->symbols, &w->symbols_capacity, w->n_symbols + 1)) return false;
    const int32_t i = (int32_t)w->n_symbols++;
    w->symbols[i] = (lf_symbol){.id = id, .previous = i - 1, .next = -1};
    if (i > 0) w->symbols[i - 1].next = i;
    return true;
}

/* The token of one character, with the prefix or suffix that its place asks for. *key is what was looked up. */
static bool find_char(const lf_bpe *bpe, lf_bpe_work *w, const char *s, size_t n, bool first, bool last, int32_t *id) {
    lf_string *key = &w->key;
    lf_string_empty(key);
    if (!first && bpe->prefix && !lf_string_put(key, bpe->prefix, strlen(bpe->prefix))) return false;
    if (!lf_string_put(key, s, n)) return false;
    if (last && bpe->suffix && !lf_string_put(key, bpe->suffix, strlen(bpe->suffix))) return false;
    *id = lf_vocab_find(bpe->vocab, key->s, key->n, LF_TOKEN_MODEL);
    return true;
}

/* <0xNN> for each byte of key, if there is one for each. */
static bool add_fallback(const lf_bpe *bpe, lf_bpe_work *w, bool *added) {
    const unsigned char *s = (const unsigned char *)w->key.s;
    *added = false;
    for (size_t i = 0; i < w->key.n; i++)
        if (bpe->fallback[s[i]] < 0) return true;
    *added = true;
    for (size_t i = 0; i < w->key.n; i++)
        if (!add_symbol(w, bpe->fallback[s[i]])) return false;
    return true;
}

/* An unknown character waits in `unknown` for one that is known, so that fuse_unk can swallow those between. Bytes of a
 * fallback do not end the wait: `tokenizers` has it so, and the order of ids is then not that of the text. */
static bool add_chars(const lf_bpe *bpe, lf_bpe_work *w, const char *word, size_t n) {
    bool unknown = false, added;
    for (size_t i = 0; i < n;) {
        const size_t size = lf_utf8_size(word + i);
        int32_t id;
        if (!find_char(bpe, w, word + i, size, i == 0, i + size == n, &id)) return false;
        i += size;
        if (id >= 0) {
            if (unknown && !add_symbol(w, bpe->unk)) return false;
            unknown = false;
            if (!add_symbol(w, id)) return false;
            continue;
        }
        if (bpe->byte_fallback) {
            if (!add_fallback(bpe, w, &added)) return false;
            if (added) continue;
        }
        if (bpe->unk < 0) continue;
        if (unknown && !bpe->fuse_unk && !add_symbol(w, bpe->unk)) return false;
        unknown = true;
    }
    return !unknown || add_symbol(w, bpe->unk);
}

/* ---- merging: a heap of candidates over a linked list of symbols, so a word of n symbols takes n log n ---- */

static bool add_candidate(const lf_bpe *bpe, lf_bpe_work *w, int32_t left) {
    const int32_t right = left >= 0 ? w->symbols[left].next : -1;
    if (right < 0) return true;
    const lf_bpe_merge *m = find_merge(bpe, w->symbols[left].id, w->symbols[right].id);
    if (!m) return true;
    if (!lf_grow(&w->heap, &w->heap_capacity, w->n_heap + 1)) return false;
    const lf_bpe_candidate c = {(uint64_t)m->rank << 32 | (uint32_t)left, m->merged};
    size_t i = w->n_heap++;
    for (; i > 0 && w->heap[(i - 1) / 2].order > c.order; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = c;
    return true;
}

static lf_bpe_candidate take_first(lf_bpe_work *w) {
    const lf_bpe_candidate first = w->heap[0], c = w->heap[--w->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
        if (child + 1 < w->n_heap && w->heap[child + 1].order < w->heap[child].order) child++;
        if (w->heap[child].order >= c.order) break;
        w->heap[i] = w->heap[child];
    }
    if (w->n_heap > 0) w->heap[i] = c;
    return first;
}

static bool merge_all(const lf_bpe *bpe, lf_bpe_work *w) {
    w->n_heap = 0;
    for (size_t i = 0; i + 1 < w->n_symbols; i++)
        if (!add_candidate(bpe, w, (int32_t)i)) return false;
    while (w->n_heap > 0) {
        const lf_bpe_candidate c = take_first(w);
        const int32_t at = (int32_t)(uint32_t)c.order;
        lf_symbol *left = &w->symbols[at];
        if (left->id < 0 || left->next < 0) continue;
        lf_symbol *right = &w->symbols[left->next];
        /* Whether a candidate is out of date is asked of what it makes, not of its rank: two pairs may make the same
         * token, and then the first one's rank counts, as in `tokenizers`. */
        const lf_bpe_merge *m = find_merge(bpe, left->id, right->id);
        if (!m || m->merged != c.merged) continue;
        left->id = c.merged;
        left->next = right->next;
        right->id = -1;
        if (left->next >= 0) w->symbols[left->next].previous = at;
        if (!add_candidate(bpe, w, left->previous) || !add_candidate(bpe, w, at)) return false;
    }
    return true;
}

/* LF_ENOMEM alone. */
static lf_status encode(const void *model, void *work, const char *word, size_t n, bool bytes, lf_ids_buffer *out,
                        lf_err *err) {
    const lf_bpe *bpe = model;
    lf_bpe_work *w = work;
    lf_string mapped = {0};
    w->n_symbols = 0;
    bool good = true;
    const bool plain = bytes && !bpe->prefix && !bpe->suffix && !bpe->byte_fallback && bpe->unk < 0;
    if (plain && !bpe->ignore_merges) {
        for (size_t i = 0; i < n && good; i++) {
            const int32_t id = bpe->mapped[(unsigned char)word[i]];
            if (id >= 0) good = add_symbol(w, id);
        }
    } else {
        if (bytes) {
            good = lf_bytes_to_chars(&mapped, word, n);
            word = mapped.s;
            n = mapped.n;
        }
        const int32_t whole = good && bpe->ignore_merges ? lf_vocab_find(bpe->vocab, word, n, LF_TOKEN_MODEL) : -1;
        if (whole >= 0) {
            good = add_symbol(w, whole);
            goto done;
        }
        good = good && add_chars(bpe, w, word, n);
    }
    good = good && merge_all(bpe, w);
done:
    lf_string_free(&mapped);
    for (size_t i = 0; i < w->n_symbols && good; i++) {
        if (w->symbols[i].id < 0) continue;
        good = lf_ids_buffer_put(out, w->symbols[i].id);
    }
    return good ? LF_OK : lf_no_memory(err, "a word of %zu bytes", n);
}

const lf_word_model_kind lf_bpe_kind = {.type = "BPE",
                                        .takes_bytes = true,
                                        .open = lf_bpe_open,
                                        .close = lf_bpe_close,
                                        .work_new = work_new,
                                        .work_free = work_free,
                                        .encode = encode};

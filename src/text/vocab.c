#include "text/vocab.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

void lf_vocab_free(lf_vocab *v) {
    lf_string_free(&v->text);
    lf_free(v->tokens);
    lf_free(v->slots);
    *v = (lf_vocab){0};
}

/* The slot that has the token, or the empty one where it would go. */
static size_t slot_of(const lf_vocab *v, const char *s, size_t n) {
    size_t i = (size_t)XXH3_64bits(s, n) & (v->n_slots - 1);
    for (; v->slots[i] >= 0; i = (i + 1) & (v->n_slots - 1)) {
        const lf_token *t = &v->tokens[v->slots[i]];
        if (t->size == n && memcmp(v->text.s + t->begin, s, n) == 0) break;
    }
    return i;
}

int32_t lf_vocab_find(const lf_vocab *v, const char *s, size_t n, uint32_t flags) {
    if (v->n_slots == 0) return -1;
    const int32_t id = v->slots[slot_of(v, s, n)];
    return id >= 0 && (v->tokens[id].flags & flags) ? id : -1;
}

static bool grow_slots(lf_vocab *v) {
    if (v->count * 2 < v->n_slots) return true;
    const size_t n = v->n_slots ? v->n_slots * 2 : 1024;
    int32_t *slots = lf_malloc(n * sizeof *slots);
    if (!slots) return false;
    memset(slots, 0xff, n * sizeof *slots);
    lf_free(v->slots);
    v->slots = slots;
    v->n_slots = n;
    for (size_t id = 0; id < v->n; id++) {
        const lf_token *t = &v->tokens[id];
        if (t->flags) v->slots[slot_of(v, v->text.s + t->begin, t->size)] = (int32_t)id;
    }
    return true;
}

lf_status lf_vocab_add(lf_vocab *v, const char *token, int64_t id, uint32_t flags, const char *where, lf_err *err) {
    const size_t size = strlen(token);
    if (id < 0 || id >= LF_MAX_TOKENS)
        return lf_fail(err, LF_EDATA, "%s: token \"%.100s\": expected an id of 0 to %d, found %" PRId64, where, token,
                       LF_MAX_TOKENS - 1, id);
    if (size > UINT32_MAX) return lf_fail(err, LF_EDATA, "%s: a token of %zu bytes", where, size);
    const int32_t known = lf_vocab_find(v, token, size, ~0u);
    if (known >= 0 && known != id)
        return lf_fail(err, LF_EDATA, "%s: token \"%.100s\" has id %" PRId64 ", but id %d elsewhere in the file", where,
                       token, id, known);
    const bool taken = (size_t)id < v->n && v->tokens[id].flags;
    if (known < 0 && taken)
        return lf_fail(err, LF_EDATA, "%s: tokens \"%.100s\" and \"%.100s\" have the same id %" PRId64, where, token,
                       lf_vocab_text(v, (int32_t)id), id);
    if (known < 0) {
        if (!grow_slots(v) || !lf_string_reserve(&v->text, size + 1)) goto no_memory;
        if (!lf_grow(&v->tokens, &v->capacity, (size_t)id + 1)) goto no_memory;
        for (; v->n <= (size_t)id; v->n++) v->tokens[v->n] = (lf_token){0};
        v->tokens[id] = (lf_token){
            .begin = v->text.n, .size = (uint32_t)size, .decoded_begin = v->text.n, .decoded_size = (uint32_t)size};
        lf_string_put(&v->text, token, size + 1); /* there is room */
        v->slots[slot_of(v, token, size)] = (int32_t)id;
        v->count++;
    }
    if ((flags & LF_TOKEN_MODEL) && !(v->tokens[id].flags & LF_TOKEN_MODEL)) v->count_model++;
    v->tokens[id].flags |= flags;
    return LF_OK;
no_memory:
    return lf_no_memory(err, "the %zu tokens of %s", v->count, where);
}

bool lf_vocab_set_decoded(lf_vocab *v, int32_t id, const char *s, size_t n) {
    const size_t begin = v->text.n;
    if (n > UINT32_MAX || !lf_string_put(&v->text, s, n)) return false;
    v->tokens[id].decoded_begin = begin;
    v->tokens[id].decoded_size = (uint32_t)n;
    return true;
}

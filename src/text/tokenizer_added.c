/* Tokens beside the model's vocabulary: where they stand, and how they are found in a text. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/tokenizer_internal.h"

/* Where `tokenizers` puts a token that the model does not have: behind all others, whatever the file says. */
static int64_t next_id(const lf_tokenizer *t) {
    const int64_t model = (int64_t)t->vocab.count_model, largest_added = t->added.largest;
    return largest_added >= model || (model == 0 && largest_added >= 0) ? largest_added + 1 : model;
}

int64_t lf_tokenizer_place(const lf_tokenizer *t, const char *content) {
    const int32_t known = lf_vocab_find(&t->vocab, content, strlen(content), ~0u);
    return known >= 0 ? known : next_id(t);
}

static lf_status read_flags(lf_added_token *a, bool *special, const cJSON *json, const char *where, lf_err *err) {
    lf_status rc;
    if ((rc = lf_json_get_bool(json, "special", false, special, where, err)) ||
        (rc = lf_json_get_bool(json, "normalized", !*special, &a->normalized, where, err)) ||
        (rc = lf_json_get_bool(json, "single_word", false, &a->single_word, where, err)) ||
        (rc = lf_json_get_bool(json, "lstrip", false, &a->lstrip, where, err)))
        return rc;
    return lf_json_get_bool(json, "rstrip", false, &a->rstrip, where, err);
}

lf_status lf_tokenizer_add(lf_tokenizer *t, const cJSON *json, int64_t id, const char *where, lf_err *err) {
    const char *content;
    bool special;
    lf_added_token a = {0};
    lf_status rc;
    if ((rc = lf_json_get_str(json, "content", "", &content, where, err)) ||
        (rc = read_flags(&a, &special, json, where, err)))
        return rc;
    if (!*content) return lf_fail(err, LF_EDATA, "%s: key 'content': expected a token, found none", where);
    const int64_t wanted = lf_tokenizer_place(t, content);
    if (id != wanted)
        return lf_fail(err, LF_EDATA,
                       "%s: token \"%.100s\": id %" PRId64 " in the file, but its place is %" PRId64
                       "; are tokens missing from the list?",
                       where, content, id, wanted);
    if ((rc = lf_vocab_add(&t->vocab, content, id, LF_TOKEN_ADDED | (special ? LF_TOKEN_SPECIAL : 0), where, err)))
        return rc;
    if (id > t->added.largest) t->added.largest = id;
    a.id = (int32_t)id;
    if (!lf_grow(&t->added.at, &t->added.capacity, t->added.n + 1)) return lf_no_memory(err, "tokens");
    t->added.at[t->added.n++] = a;
    return LF_OK;
}

lf_status lf_tokenizer_add_again(lf_tokenizer *t, const cJSON *json, int64_t id, bool *changed, const char *where,
                                 lf_err *err) {
    lf_added_token now = {.id = (int32_t)id};
    bool special;
    const lf_status rc = read_flags(&now, &special, json, where, err);
    if (rc) return rc;
    for (size_t i = 0; i < t->added.n; i++) {
        lf_added_token *a = &t->added.at[i];
        if (a->id != now.id) continue;
        const bool more = special && !lf_tokenizer_is_special(t, a->id);
        *changed |= more || a->normalized != now.normalized || a->single_word != now.single_word ||
                    a->lstrip != now.lstrip || a->rstrip != now.rstrip;
        *a = now;
        if (more) t->vocab.tokens[id].flags |= LF_TOKEN_SPECIAL;
    }
    return LF_OK;
}

/* Puts token `number` where it will be looked for; a normalized one is normalized itself. */
static lf_status index_token(lf_tokenizer *t, lf_tokenizer_work *w, int32_t number, lf_err *err) {
    const lf_added_token *a = &t->added.at[number];
    lf_trie *trie = a->normalized ? &t->added.normalized : &t->added.plain;
    const char *s = lf_vocab_text(&t->vocab, a->id);
    size_t n = strlen(s);
    if (a->normalized && t->normalizers.n > 0) {
        lf_string_empty(&w->now.text);
        lf_work_allow(w, n);
        if (!lf_string_put(&w->now.text, s, n)) return lf_no_memory(err, "tokens");
        const lf_status rc = lf_steps_apply(&t->normalizers, w, err);
        if (rc) return rc;
        s = w->now.text.s;
        n = w->now.text.n;
        if (!lf_vocab_set_decoded(&t->vocab, a->id, s, n)) return lf_no_memory(err, "tokens");
    }
    return lf_trie_add(trie, s, n, number) ? LF_OK : lf_no_memory(err, "tokens");
}

/* `tokenizers` (0.23) starts decoding from the normalized form of an added token, and skips it if that, not the token
 * itself, is the text of a special token. */
static void mark_skipped(lf_tokenizer *t) {
    for (size_t i = 0; i < t->vocab.n; i++) {
        lf_token *one = &t->vocab.tokens[i];
        if (!one->flags) continue;
        one->flags &= ~(uint32_t)LF_TOKEN_SKIPPED;
        const char *s = t->vocab.text.s + one->decoded_begin;
        if (lf_vocab_find(&t->vocab, s, one->decoded_size, LF_TOKEN_SPECIAL) >= 0) one->flags |= LF_TOKEN_SKIPPED;
    }
}

lf_status lf_tokenizer_index_added(lf_tokenizer *t, size_t first, lf_err *err) {
    lf_tokenizer_work *w = NULL;
    lf_status rc = lf_tokenizer_work_new(&w, t, err);
    for (int special = 1; special >= 0; special--) /* of two with the same normalized form a special one is found */
        for (size_t i = first; i < t->added.n && !rc; i++)
            if (lf_tokenizer_is_special(t, t->added.at[i].id) == (special == 1))
                rc = index_token(t, w, (int32_t)i, err);
    if (!rc) mark_skipped(t);
    lf_tokenizer_work_free(w);
    return rc;
}

lf_status lf_tokenizer_index_all_added(lf_tokenizer *t, lf_err *err) {
    lf_free(t->added.plain.nodes);
    lf_free(t->added.normalized.nodes);
    lf_trie_start(&t->added.plain);
    lf_trie_start(&t->added.normalized);
    return lf_tokenizer_index_added(t, 0, err);
}

lf_status lf_tokenizer_open_added(lf_tokenizer *t, const cJSON *root, const char *path, lf_err *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "added_tokens"), *item;
    char *where = lf_format("%s: added_tokens", path);
    lf_status rc = where ? LF_OK : lf_no_memory(err, "tokens");
    lf_trie_start(&t->added.plain);
    lf_trie_start(&t->added.normalized);
    t->added.largest = -1;
    if (!rc && list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        rc = lf_fail(err, LF_EDATA, "%s: key 'added_tokens': expected a list", path);
    cJSON_ArrayForEach(item, list) {
        int64_t id;
        if (!rc) rc = lf_json_get_i64(item, "id", -1, &id, where, err);
        if (!rc) rc = lf_tokenizer_add(t, item, id, where, err);
    }
    if (!rc) rc = lf_tokenizer_index_added(t, 0, err);
    lf_free(where);
    return rc;
}

/* ---- of the user ---- */

static lf_status add_text(lf_tokenizer *t, const char *text, lf_err *err) {
    if (!*text) return lf_fail(err, LF_EUSAGE, "added_tokens: a token must not be empty; leave it out");
    if (lf_vocab_find(&t->vocab, text, strlen(text), LF_TOKEN_ADDED) >= 0) return LF_OK;
    cJSON *token = cJSON_CreateObject();
    /* Looked for in the text as it is written: a normalizer that puts a mark before a text would put it before the
     * token too, which then is found nowhere but at the beginning. */
    const bool ok =
        token && cJSON_AddStringToObject(token, "content", text) && cJSON_AddBoolToObject(token, "normalized", false);
    const lf_status rc =
        ok ? lf_tokenizer_add(t, token, lf_tokenizer_place(t, text), "added_tokens", err) : lf_no_memory(err, "tokens");
    cJSON_Delete(token);
    return rc;
}

lf_status lf_tokenizer_add_texts(lf_tokenizer *t, const char *const *texts, int64_t n, bool *made, lf_err *err) {
    const size_t first = t->added.n;
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < n && !rc; i++) {
        const size_t before = t->added.n;
        rc = add_text(t, texts[i], err);
        if (made) made[i] = t->added.n > before;
    }
    return rc ? rc : lf_tokenizer_index_added(t, first, err);
}

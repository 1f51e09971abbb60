#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/tokenizer_internal.h"

void lf_tokenizer_free(lf_tokenizer *t) {
    if (!t) return;
    lf_tokenizer_work_free(t->work);
    lf_steps_free(&t->normalizers);
    lf_steps_free(&t->pretokenizers);
    lf_steps_free(&t->postprocessors);
    lf_steps_free(&t->decoders);
    lf_added_tokens_free(&t->added);
    lf_bpe_free(&t->bpe);
    lf_vocab_free(&t->vocab);
    lf_free(t);
}

/* ---- added tokens ---- */

/* Where `tokenizers` puts a token that the model does not have: behind all others, whatever the file says. */
static int64_t next_id(const lf_tokenizer *t, int64_t largest_added) {
    const int64_t model = (int64_t)t->vocab.count_model;
    return largest_added >= model || (model == 0 && largest_added >= 0) ? largest_added + 1 : model;
}

static lf_status add_token(lf_tokenizer *t, const cJSON *json, int64_t *largest, const char *where, lf_err *err) {
    const char *content;
    int64_t id;
    bool special;
    lf_added_token a = {0};
    lf_status rc;
    if ((rc = lf_json_get_str(json, "content", "", &content, where, err)) ||
        (rc = lf_json_get_i64(json, "id", -1, &id, where, err)) ||
        (rc = lf_json_get_bool(json, "special", false, &special, where, err)) ||
        (rc = lf_json_get_bool(json, "normalized", !special, &a.normalized, where, err)) ||
        (rc = lf_json_get_bool(json, "single_word", false, &a.single_word, where, err)) ||
        (rc = lf_json_get_bool(json, "lstrip", false, &a.lstrip, where, err)) ||
        (rc = lf_json_get_bool(json, "rstrip", false, &a.rstrip, where, err)))
        return rc;
    if (!*content) return lf_fail(err, LF_EDATA, "%s: key 'content': expected a token, found none", where);
    const int32_t known = lf_vocab_find(&t->vocab, content, strlen(content), ~0u);
    const int64_t wanted = known >= 0 ? known : next_id(t, *largest);
    if (id != wanted)
        return lf_fail(err, LF_EDATA,
                       "%s: token \"%.100s\": id %" PRId64 " in the file, but its place is %" PRId64
                       "; are tokens missing from the list?",
                       where, content, id, wanted);
    if ((rc = lf_vocab_add(&t->vocab, content, id, LF_TOKEN_ADDED | (special ? LF_TOKEN_SPECIAL : 0), where, err)))
        return rc;
    if (id > *largest) *largest = id;
    a.content = content;
    a.id = (int32_t)id;
    if (!lf_grow(&t->added.at, &t->added.capacity, t->added.n + 1)) return lf_no_memory(err, "tokens");
    t->added.at[t->added.n++] = a;
    return LF_OK;
}

/* Puts token `number` where it will be looked for; a normalized one is normalized itself. */
static lf_status index_token(lf_tokenizer *t, lf_tokenizer_work *w, int32_t number, lf_err *err) {
    const lf_added_token *a = &t->added.at[number];
    lf_trie *trie = a->normalized ? &t->added.normalized : &t->added.plain;
    const char *s = a->content;
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
        const char *s = t->vocab.text.s + one->decoded_begin;
        if (lf_vocab_find(&t->vocab, s, one->decoded_size, LF_TOKEN_SPECIAL) >= 0) one->flags |= LF_TOKEN_SKIPPED;
    }
}

static lf_status open_added_tokens(lf_tokenizer *t, const cJSON *root, const char *path, lf_err *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "added_tokens"), *item;
    char *where = lf_format("%s: added_tokens", path);
    lf_tokenizer_work *w = NULL;
    int64_t largest = -1;
    lf_status rc = where ? lf_tokenizer_work_new(&w, t, err) : lf_no_memory(err, "tokens");
    lf_trie_start(&t->added.plain);
    lf_trie_start(&t->added.normalized);
    if (!rc && list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        rc = lf_fail(err, LF_EDATA, "%s: key 'added_tokens': expected a list", path);
    if (rc) goto out;
    cJSON_ArrayForEach(item, list) if (!rc) rc = add_token(t, item, &largest, where, err);
    for (int special = 1; special >= 0; special--) /* of two with the same normalized form a special one is found */
        for (size_t i = 0; i < t->added.n && !rc; i++)
            if (lf_tokenizer_is_special(t, t->added.at[i].id) == (special == 1))
                rc = index_token(t, w, (int32_t)i, err);
    for (size_t i = 0; i < t->added.n; i++) t->added.at[i].content = NULL;
    mark_skipped(t);
out:
    lf_tokenizer_work_free(w);
    lf_free(where);
    return rc;
}

/* ---- tokenizer.json ---- */

static lf_status check_ids(const lf_tokenizer *t, const lf_step *s, lf_err *err) {
    for (size_t i = 0; i < s->n_pattern_ids; i++) {
        const int32_t id = s->pattern_ids[i];
        if (id != LF_TEXT_HERE && !lf_tokenizer_token(t, id))
            return lf_fail(err, LF_EDATA, "%s: no token has id %" PRId32, s->where, id);
    }
    return LF_OK;
}

static lf_status open_root(lf_tokenizer *t, const cJSON *root, const char *path, lf_err *err) {
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root, "model");
    lf_status rc;
    if (!cJSON_IsObject(root)) return lf_fail(err, LF_EDATA, "%s: expected an object with key 'model'", path);
    if ((rc = lf_bpe_open(&t->bpe, &t->vocab, model, path, err)) ||
        (rc = lf_steps_open(&t->normalizers, &lf_normalizers, root, path, err)) ||
        (rc = lf_steps_open(&t->pretokenizers, &lf_pretokenizers, root, path, err)) ||
        (rc = lf_steps_open(&t->postprocessors, &lf_postprocessors, root, path, err)) ||
        (rc = lf_steps_open(&t->decoders, &lf_decoders, root, path, err)) ||
        (rc = open_added_tokens(t, root, path, err)))
        return rc;
    t->unk = t->bpe.unk;
    for (size_t i = 0; i < t->postprocessors.n && !rc; i++) rc = check_ids(t, &t->postprocessors.at[i], err);
    return rc;
}

static lf_status open_json(lf_tokenizer **out, const cJSON *root, const char *path, lf_err *err) {
    lf_tokenizer *t = lf_calloc(1, sizeof *t);
    if (!t) return lf_no_memory(err, "tokens");
    t->bos = t->eos = t->pad = t->unk = -1;
    const lf_status rc = open_root(t, root, path, err);
    if (rc)
        lf_tokenizer_free(t);
    else
        *out = t;
    return rc;
}

lf_status lf_tokenizer_parse(lf_tokenizer **out, const char *json, size_t size, const char *name, lf_err *err) {
    cJSON *root = NULL;
    *out = NULL;
    lf_status rc = lf_json_parse(&root, json, size, name, err);
    if (!rc) rc = open_json(out, root, name, err);
    cJSON_Delete(root);
    return rc;
}

/* ---- which tokens are bos, eos, pad and unk ---- */

static lf_status named_token(const lf_tokenizer *t, const cJSON *json, const char *key, const char *path, int32_t *id,
                             lf_err *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (cJSON_IsObject(item)) item = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (!item || cJSON_IsNull(item)) return LF_OK;
    if (!cJSON_IsString(item)) return lf_fail(err, LF_EDATA, "%s: key '%s': expected a token", path, key);
    const int32_t found = lf_tokenizer_id(t, item->valuestring);
    if (found < 0)
        return lf_fail(err, LF_EDATA, "%s: key '%s': tokenizer.json has no token \"%.100s\"", path, key,
                       item->valuestring);
    *id = found;
    return LF_OK;
}

/* tokenizer_config.json may list added tokens again, by id; transformers adds those that tokenizer.json lacks. */
static lf_status check_listed(const lf_tokenizer *t, const cJSON *json, const char *path, lf_err *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "added_tokens_decoder")) {
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
        char id[16] = "none";
        if (!item->string || !cJSON_IsString(content))
            return lf_fail(err, LF_EDATA, "%s: key 'added_tokens_decoder': expected tokens by id", path);
        const int32_t found = lf_tokenizer_id(t, content->valuestring);
        if (found >= 0) snprintf(id, sizeof id, "%" PRId32, found);
        if (strcmp(id, item->string) != 0)
            return lf_fail(err, LF_EUNSUPPORTED,
                           "%s: key 'added_tokens_decoder': token \"%.100s\" has id %.20s here, %s in tokenizer.json, "
                           "which is the one that is read; make the two agree",
                           path, content->valuestring, item->string, id);
    }
    return LF_OK;
}

/* A file that is not there says nothing. */
static lf_status read_names(lf_tokenizer *t, const char *dir, const char *name, lf_err *err) {
    cJSON *json = NULL;
    char *path = lf_path_join(dir, name);
    lf_status rc = path ? LF_OK : lf_no_memory(err, "tokens");
    if (!rc && lf_is_file(path)) {
        rc = lf_json_read(&json, path, err);
        if (!rc) rc = named_token(t, json, "bos_token", path, &t->bos, err);
        if (!rc) rc = named_token(t, json, "eos_token", path, &t->eos, err);
        if (!rc) rc = named_token(t, json, "pad_token", path, &t->pad, err);
        if (!rc) rc = named_token(t, json, "unk_token", path, &t->unk, err);
        if (!rc) rc = check_listed(t, json, path, err);
    }
    cJSON_Delete(json);
    lf_free(path);
    return rc;
}

lf_status lf_tokenizer_open(lf_tokenizer **out, const char *model_dir, lf_err *err) {
    const bool is_dir = lf_is_dir(model_dir);
    cJSON *root = NULL;
    lf_tokenizer *t = NULL;
    *out = NULL;
    char *path = is_dir ? lf_path_join(model_dir, "tokenizer.json") : lf_strdup(model_dir);
    lf_status rc = path ? lf_json_read(&root, path, err) : lf_no_memory(err, "tokens");
    if (!rc) rc = open_json(&t, root, path, err);
    cJSON_Delete(root); /* before more is read: a vocabulary takes a hundred times its size as a tree */
    if (!rc && !is_dir) path[(size_t)(lf_path_base(path) - path)] = 0;
    const char *dir = is_dir ? model_dir : path && *path ? path : ".";
    if (!rc) rc = read_names(t, dir, "special_tokens_map.json", err);
    if (!rc) rc = read_names(t, dir, "tokenizer_config.json", err); /* newer than the other, so it wins */
    lf_free(path);
    if (rc)
        lf_tokenizer_free(t);
    else
        *out = t;
    return rc;
}

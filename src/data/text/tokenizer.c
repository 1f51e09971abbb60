#include "data/text/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- the encoder: a tokenizer, and what one thread encodes with ---- */

typedef struct thread_context {
    const lf_tokenizer *tokenizer;
    lf_tokenizer_work *work;
} thread_context;

static void close_thread(void *context) {
    thread_context *c = context;
    if (!c) return;
    lf_tokenizer_work_free(c->work);
    lf_free(c);
}

static lf_status new_context(thread_context **out, const lf_tokenizer *t, lf_err *err) {
    thread_context *c = lf_calloc(1, sizeof *c);
    if (!c) return lf_no_memory(err, "a tokenizer");
    c->tokenizer = t;
    const lf_status rc = lf_tokenizer_work_new(&c->work, t, err);
    if (rc)
        close_thread(c);
    else
        *out = c;
    return rc;
}

static lf_status open_thread(void *context, void **out, lf_err *err) {
    thread_context *c = NULL;
    const lf_status rc = new_context(&c, ((const thread_context *)context)->tokenizer, err);
    *out = c;
    return rc;
}

static lf_status encode(void *context, const char *text, size_t n, bool add_special_tokens, lf_ids *out, lf_err *err) {
    return lf_tokenizer_encode_with(((thread_context *)context)->work, text, n, add_special_tokens, out, err);
}

static lf_status encode_pair(void *context, const char *a, size_t na, const char *b, size_t nb, int64_t max_length,
                             lf_ids *ids, lf_ids *token_types, int64_t *n_left_out, lf_err *err) {
    return lf_tokenizer_encode_pair(((thread_context *)context)->work, a, na, b, nb, max_length, ids, token_types,
                                    n_left_out, err);
}

/* ---- the chat template ---- */

static bool reads(void *context, const char *key) {
    const lf_text_tokenizer *t = context;
    return !t->chat_template || lf_chat_template_reads(t->chat_template, key);
}

static lf_status render(void *context, const lf_message *messages, size_t n, const cJSON *tools,
                        bool add_generation_prompt, lf_prompt *out, lf_err *err) {
    lf_text_tokenizer *t = context;
    if (!t->chat_template) return lf_fail(err, t->no_chat.status, "%s", t->no_chat.message);
    return lf_chat_render_tools(t->chat_template, messages, n, tools, add_generation_prompt, out, err);
}

static lf_status open_template(lf_text_tokenizer *t, const char *asked, lf_err *err) {
    const char *folder = lf_is_dir(t->dir) ? t->dir : NULL;
    if (asked) return lf_chat_template_open(&t->chat_template, asked, folder, err);
    if (folder)
        (void)lf_chat_template_open(&t->chat_template, NULL, folder, &t->no_chat);
    else
        (void)lf_fail(&t->no_chat, LF_EUNSUPPORTED, "%s: a single file has no chat template; set chat_template",
                      t->dir);
    return t->no_chat.status == LF_ENOMEM ? lf_fail(err, LF_ENOMEM, "%s", t->no_chat.message) : LF_OK;
}

static size_t token_at(const void *tokenizer, const char *s, size_t n) {
    return lf_tokenizer_added_at(tokenizer, s, n);
}

static lf_status use_vocabulary(lf_text_tokenizer *t, lf_err *err) {
    const lf_chat_vocabulary known = {.token_at = token_at, .context = t->tokenizer};
    return t->chat_template ? lf_chat_template_use_vocabulary(t->chat_template, &known, err) : LF_OK;
}

/* As it stands behind an answer: a token may be found at the beginning of a text alone (one that is normalized, where
 * the normalizer puts a mark before a text), or not there. */
static lf_status find_turn_end(lf_text_tokenizer *t, thread_context *c, lf_err *err) {
    static const char answer[] = "a";
    lf_ids alone = {0}, ended = {0};
    t->turn_end = -1;
    if (!t->chat_template) return LF_OK;
    char *text = lf_format("%s%s", answer, lf_chat_template_turn_end(t->chat_template));
    lf_status rc = text ? encode(c, answer, strlen(answer), false, &alone, err) : lf_no_memory(err, "a chat template");
    if (!rc) rc = encode(c, text, strlen(text), false, &ended, err);
    if (!rc && ended.n == alone.n + 1) t->turn_end = ended.ids[alone.n];
    lf_free(text);
    lf_ids_free(&alone);
    lf_ids_free(&ended);
    return rc;
}

static lf_status set_date(lf_text_tokenizer *t, const char *date, lf_err *err) {
    char now[LF_CHAT_DATE];
    if (!t->chat_template || !lf_chat_template_asks_date(t->chat_template)) return LF_OK;
    if (date && !lf_chat_template_set_date(t->chat_template, date))
        return lf_fail(err, LF_EDATA, "a run's date: expected the like of 2026-11-29T13:10:00, found '%.40s'", date);
    lf_info("chat template '%s' may write the date, which is %s%s", lf_chat_template_name(t->chat_template),
            lf_chat_template_date(t->chat_template, now),
            date ? ", that of the run's begin" : "; SOURCE_DATE_EPOCH (seconds) sets another");
    return LF_OK;
}

/* ---- tokens of the user ---- */

/* As both files of transformers want it. */
static bool list_added(lf_text_tokenizer *t, const char *text) {
    static const char *const no[] = {"lstrip", "rstrip", "single_word", "special", "normalized"};
    cJSON *token = cJSON_CreateObject();
    bool ok = token && cJSON_AddNumberToObject(token, "id", lf_tokenizer_id(t->tokenizer, text)) &&
              cJSON_AddStringToObject(token, "content", text);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) ok = ok && cJSON_AddBoolToObject(token, no[i], false);
    if (ok && cJSON_AddItemToArray(t->added, token)) return true;
    cJSON_Delete(token);
    return false;
}

static lf_status add_tokens(lf_text_tokenizer *t, const lf_text_tokenizer_opts *opts, lf_err *err) {
    if (opts->n_added == 0) return LF_OK;
    bool *made = lf_calloc((size_t)opts->n_added, sizeof *made);
    t->added = cJSON_CreateArray();
    lf_status rc = made && t->added ? lf_tokenizer_add_texts(t->tokenizer, opts->added, opts->n_added, made, err)
                                    : lf_no_memory(err, "tokens");
    for (int64_t i = 0; i < opts->n_added && !rc; i++)
        if (made[i] && !list_added(t, opts->added[i])) rc = lf_no_memory(err, "tokens");
    lf_free(made);
    return rc;
}

/* ---- both ---- */

lf_status lf_text_tokenizer_open(lf_text_tokenizer **out, const lf_text_tokenizer_opts *opts, lf_err *err) {
    *out = NULL;
    lf_text_tokenizer *t = lf_calloc(1, sizeof *t);
    if (!t) return lf_no_memory(err, "a tokenizer");
    thread_context *first = NULL;
    lf_status rc = (t->dir = lf_strdup(opts->path)) ? LF_OK : lf_no_memory(err, "a tokenizer");
    if (!rc && !(rc = lf_tokenizer_open(&t->tokenizer, opts->path, err)) && !(rc = add_tokens(t, opts, err)) &&
        !(rc = new_context(&first, t->tokenizer, err)))
        rc = open_template(t, opts->chat_template, err);
    if (!rc) rc = use_vocabulary(t, err);
    if (!rc) rc = find_turn_end(t, first, err);
    if (!rc) rc = set_date(t, opts->date, err);
    t->encoder.context = first;
    if (rc) {
        lf_text_tokenizer_free(t);
        return rc;
    }
    const int64_t known = opts->n_added ? lf_tokenizer_vocab_size(t->tokenizer) : 0,
                  vocab_size = known > opts->vocab_size ? known : opts->vocab_size;
    const int32_t pad = lf_tokenizer_pad(t->tokenizer); /* padding is never looked at, so any token of the model does */
    t->encoder = (lf_text_encoder){.encode = encode,
                                   .encode_pair = encode_pair,
                                   .context = first,
                                   .bos = lf_tokenizer_bos(t->tokenizer),
                                   .eos = lf_tokenizer_eos(t->tokenizer),
                                   .pad = pad < vocab_size ? pad : -1,
                                   .vocab_size = vocab_size,
                                   .open_thread = open_thread,
                                   .close_thread = close_thread};
    t->chat = (lf_text_chat){.render = render, .reads = reads, .context = t};
    *out = t;
    return LF_OK;
}

void lf_text_tokenizer_free(lf_text_tokenizer *t) {
    if (!t) return;
    close_thread(t->encoder.context);
    lf_chat_template_free(t->chat_template);
    lf_tokenizer_free(t->tokenizer);
    cJSON_Delete(t->added);
    lf_free(t->dir);
    lf_free(t);
}

void lf_text_tokenizer_warn_turn_end(lf_text_tokenizer *t) {
    if (t->warned || !t->chat_template || t->turn_end >= 0) return;
    const char *name = lf_chat_template_name(t->chat_template), *end = lf_chat_template_turn_end(t->chat_template);
    t->warned = true;
    if (*end)
        lf_warn("chat template '%s': the end of a turn, '%s', is no token of %s, so it is read and written as several; "
                "add it there, or set chat_template",
                name, end, t->dir);
    else
        lf_warn("chat template '%s': %s names no eos_token, so nothing marks the end of an answer; name one, or set "
                "chat_template",
                name, t->dir);
}

lf_status lf_text_tokenizer_prompt(const lf_text_tokenizer *t, const char *text, size_t n, bool rendered, lf_ids *out,
                                   lf_err *err) {
    const lf_text_encode_opts how = {.max_seq_length = 2}; /* nothing is cut here */
    lf_text_coder c;
    lf_status rc = lf_text_coder_init(&c, &t->encoder, &how, err);
    if (rc) return rc;
    const int64_t before = out->n;
    rc = encode(t->encoder.context, text, n, !rendered, out, err);
    if (!rc && !rendered && out->n - before >= c.after.n) out->n -= c.after.n;
    lf_text_coder_free(&c);
    return rc;
}

/* ---- writing ---- */

/* The tokens behind those of tokenizer.json's list "added_tokens". */
static bool list_in_json(const lf_text_tokenizer *t, cJSON *root) {
    const cJSON *token;
    cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "added_tokens");
    if (!cJSON_IsArray(list)) {
        cJSON_DeleteItemFromObjectCaseSensitive(root, "added_tokens");
        list = cJSON_AddArrayToObject(root, "added_tokens");
    }
    bool ok = list;
    cJSON_ArrayForEach(token, t->added) ok = ok && cJSON_AddItemToArray(list, cJSON_Duplicate(token, true));
    return ok;
}

/* By id in tokenizer_config.json's "added_tokens_decoder". */
static bool list_in_config(const lf_text_tokenizer *t, cJSON *root) {
    static const char key[] = "added_tokens_decoder";
    const cJSON *token;
    cJSON *decoder = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!cJSON_IsObject(decoder)) {
        cJSON_DeleteItemFromObjectCaseSensitive(root, key);
        decoder = cJSON_AddObjectToObject(root, key);
    }
    bool ok = decoder;
    cJSON_ArrayForEach(token, t->added) {
        char id[24];
        cJSON *copy = cJSON_Duplicate(token, true);
        snprintf(id, sizeof id, "%d", cJSON_GetObjectItemCaseSensitive(token, "id")->valueint);
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "id");
        cJSON_DeleteItemFromObjectCaseSensitive(decoder, id);
        ok = ok && copy && cJSON_AddItemToObject(decoder, id, copy);
        if (!ok) cJSON_Delete(copy);
    }
    return ok;
}

static lf_status add_to_file(const lf_text_tokenizer *t, const char *dir, const char *name,
                             bool (*list)(const lf_text_tokenizer *t, cJSON *root), lf_err *err) {
    cJSON *root = NULL;
    char *path = lf_path_join(dir, name);
    lf_status rc = !path ? lf_no_memory(err, "%s", dir) : lf_is_file(path) ? lf_json_read(&root, path, err) : LF_OK;
    if (!rc && !root) root = cJSON_CreateObject();
    if (!rc) {
        lf_json_keep_floats(root);
        rc = lf_json_write_in(dir, name, list(t, root) ? root : NULL, false, err);
    }
    cJSON_Delete(root);
    lf_free(path);
    return rc;
}

/* A vocab.txt has no place for them: transformers finds them in tokenizer_config.json then. Where there is none, it is
 * made, because PEFT's AutoPeftModel resizes the base's embeddings by a tokenizer that it knows by that file. */
lf_status lf_text_tokenizer_copy(const lf_text_tokenizer *t, const char *dir, lf_err *err) {
    lf_status rc =
        lf_is_dir(t->dir) ? lf_tokenizer_copy_files(t->dir, dir, err) : lf_tokenizer_copy_one(t->dir, dir, err);
    if (rc || !cJSON_GetArraySize(t->added)) return rc;
    if (lf_is_file_in(dir, LF_TOKENIZER_JSON)) rc = add_to_file(t, dir, LF_TOKENIZER_JSON, list_in_json, err);
    return rc ? rc : add_to_file(t, dir, LF_TOKENIZER_CONFIG, list_in_config, err);
}

/* Keys of the tokenizer. llama.cpp makes tokens by itself, so all that decides which ones is either said in these keys
 * or refused (tokenizer_cut.c). */
#include "gguf/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "text/chat_template.h"

/* tokenizer.ggml.token_type */
enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

typedef struct putting {
    lf_gguf_writer *w;
    lf_tokenizer *t;
    const cJSON *root;
    const char *dir, *chat, *path; /* path: of tokenizer.json */
    int64_t rows;
    lf_gguf_cut cut;
    int32_t bos, eos;
} putting;

/* ---- tokens ---- */

static bool is_byte(const char *token) {
    unsigned value;
    char back[8];
    if (sscanf(token, "<0x%2X>", &value) != 1) return false;
    snprintf(back, sizeof back, "<0x%02X>", value & 255);
    return strcmp(back, token) == 0;
}

/* Is an added token looked for after spaces became what stands for them? */
static bool is_normalized(const putting *p, int32_t id) {
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(p->root, "added_tokens")) {
        const cJSON *its_id = cJSON_GetObjectItemCaseSensitive(item, "id"),
                    *normalized = cJSON_GetObjectItemCaseSensitive(item, "normalized");
        if (cJSON_IsNumber(its_id) && its_id->valuedouble == id) return !cJSON_IsFalse(normalized);
    }
    return false;
}

/* A token of spaces that is looked for before that (Gemma has such) is never found in a text: where merges make it, it
 * is a piece like any other. */
static int32_t kind_of_added(const putting *p, int32_t id) {
    const bool of_spaces = p->cut.pieces && strstr(lf_tokenizer_token(p->t, id), LF_GGUF_SPACE);
    return of_spaces && lf_tokenizer_is_of_model(p->t, id) && !is_normalized(p, id) ? NORMAL : USER_DEFINED;
}

static int32_t kind_of(const putting *p, int32_t id) {
    const char *token = lf_tokenizer_token(p->t, id);
    if (!token) return UNUSED;
    if (p->cut.pieces && id == lf_tokenizer_unk(p->t)) return UNKNOWN;
    if (lf_tokenizer_is_special(p->t, id)) return CONTROL;
    if (lf_tokenizer_is_added(p->t, id)) return kind_of_added(p, id);
    return p->cut.pieces && is_byte(token) ? BYTE : NORMAL;
}

/* llama.cpp looks for a text's added tokens before spaces become what stands for them in pieces. */
static bool put_spaces(lf_string *to, const char *token) {
    bool ok = true;
    for (const char *at; ok && (at = strstr(token, LF_GGUF_SPACE)); token = at + strlen(LF_GGUF_SPACE))
        ok = lf_string_put(to, token, (size_t)(at - token)) && lf_string_put(to, " ", 1);
    return ok && lf_string_put(to, token, strlen(token));
}

static lf_status put_token(const putting *p, int32_t id, lf_string *text, lf_err *err) {
    const char *token = lf_tokenizer_token(p->t, id);
    lf_string_empty(text);
    if (!token)
        lf_string_add(text, "[PAD%d]", (int)id);
    else if (p->cut.pieces && kind_of(p, id) == USER_DEFINED && strstr(token, LF_GGUF_SPACE) && is_normalized(p, id))
        put_spaces(text, token);
    else
        lf_string_put(text, token, strlen(token));
    if (text->failed) return lf_no_memory(err, "the tokens of %s", p->path);
    lf_gguf_add_string(p->w, text->s ? text->s : "", text->n);
    return LF_OK;
}

static lf_status check_bytes(const putting *p, lf_err *err) {
    for (unsigned b = 0; p->cut.pieces && b < 256; b++) {
        char token[8];
        snprintf(token, sizeof token, "<0x%02X>", b);
        const int32_t id = lf_tokenizer_id(p->t, token);
        if (id < 0 || id >= p->rows)
            return lf_fail(err, LF_EUNSUPPORTED, "%s: there is no token '%s', without which llama.cpp reads no text",
                           p->path, token);
    }
    return LF_OK;
}

static lf_status put_tokens(const putting *p, lf_err *err) {
    lf_string text = {0};
    lf_status rc = check_bytes(p, err);
    if (rc) return rc;
    const int64_t beyond = lf_tokenizer_vocab_size(p->t) - p->rows;
    if (beyond > 0)
        lf_warn("%s: %lld tokens have ids that the model has no row for (%lld): they are left out", p->path,
                (long long)beyond, (long long)p->rows);
    lf_gguf_put_array(p->w, "tokenizer.ggml.tokens", LF_GGUF_STRING, p->rows);
    for (int32_t id = 0; id < p->rows && !rc; id++) rc = put_token(p, id, &text, err);
    lf_gguf_put_array(p->w, "tokenizer.ggml.token_type", LF_GGUF_I32, p->rows);
    for (int32_t id = 0; id < p->rows && !rc; id++) lf_gguf_add_i32(p->w, kind_of(p, id));
    lf_string_free(&text);
    return rc;
}

/* ---- what orders merges ---- */

static lf_status put_merges(const putting *p, lf_err *err) {
    const cJSON *merges =
                    cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(p->root, "model"), "merges"),
                *merge;
    const char *left, *right;
    size_t n_left;
    int64_t n = 0;
    lf_string text = {0};
    cJSON_ArrayForEach(merge, merges) n += lf_gguf_merge_sides(merge, &left, &n_left, &right);
    lf_gguf_put_array(p->w, "tokenizer.ggml.merges", LF_GGUF_STRING, n);
    cJSON_ArrayForEach(merge, merges) {
        if (!lf_gguf_merge_sides(merge, &left, &n_left, &right)) continue;
        lf_string_empty(&text);
        lf_string_add(&text, "%.*s %s", (int)n_left, left, right);
        if (!text.failed) lf_gguf_add_string(p->w, text.s, text.n);
    }
    const bool failed = text.failed;
    lf_string_free(&text);
    return failed ? lf_no_memory(err, "the merges of %s", p->path) : LF_OK;
}

static lf_status put_scores(const putting *p, lf_err *err) {
    float *scores = lf_calloc((size_t)p->rows, sizeof *scores);
    if (!scores) return lf_no_memory(err, "the tokens of %s", p->path);
    const lf_status rc = lf_gguf_scores(scores, p->rows, p->t, p->root, p->path, err);
    lf_gguf_put_array(p->w, "tokenizer.ggml.scores", LF_GGUF_F32, p->rows);
    for (int64_t i = 0; i < p->rows; i++) lf_gguf_add_f32(p->w, (double)scores[i]);
    lf_free(scores);
    return rc;
}

/* ---- around a text ---- */

/* What the post-processor puts before and behind a text, which llama.cpp can do with bos and eos alone. */
static lf_status find_ends(putting *p, bool *before, bool *behind, lf_err *err) {
    lf_ids bare = {0}, whole = {0};
    int64_t first = 0;
    lf_status rc = lf_tokenizer_encode(p->t, "a", 1, false, &bare, err);
    if (!rc) rc = lf_tokenizer_encode(p->t, "a", 1, true, &whole, err);
    while (!rc && first + bare.n < whole.n &&
           memcmp(whole.ids + first, bare.ids, (size_t)bare.n * sizeof *bare.ids) != 0)
        first++;
    const int64_t rest = rc ? 0 : whole.n - bare.n - first;
    *before = first > 0;
    *behind = rest > 0;
    if (*before && p->bos < 0) p->bos = whole.ids[0];
    if (*behind && p->eos < 0) p->eos = whole.ids[whole.n - 1];
    if (!rc &&
        (first > 1 || rest > 1 || (*before && whole.ids[0] != p->bos) || (*behind && whole.ids[whole.n - 1] != p->eos)))
        rc = lf_fail(
            err, LF_EUNSUPPORTED,
            "%s: key 'post_processor': puts %lld tokens before a text and %lld behind; llama.cpp puts bos_token "
            "and eos_token there, or nothing",
            p->path, (long long)first, (long long)rest);
    lf_ids_free(&bare);
    lf_ids_free(&whole);
    return rc;
}

static lf_status put_ends(putting *p, lf_err *err) {
    bool before, behind;
    const lf_status rc = find_ends(p, &before, &behind, err);
    if (rc) return rc;
    const struct {
        const char *key;
        int32_t id;
    } special[] = {
        {"bos", p->bos}, {"eos", p->eos}, {"unknown", lf_tokenizer_unk(p->t)}, {"padding", lf_tokenizer_pad(p->t)}};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", special[i].key);
        if (special[i].id >= 0 && special[i].id < p->rows) lf_gguf_put_u32(p->w, key, (uint32_t)special[i].id);
    }
    lf_gguf_put_bool(p->w, "tokenizer.ggml.add_bos_token", before);
    lf_gguf_put_bool(p->w, "tokenizer.ggml.add_eos_token", behind);
    if (p->cut.pieces) lf_gguf_put_bool(p->w, "tokenizer.ggml.add_space_prefix", p->cut.space);
    return LF_OK;
}

static lf_status put_chat_template(const putting *p, lf_err *err) {
    char *text;
    const lf_status rc = lf_chat_template_source(&text, p->chat, err);
    if (!rc && text)
        lf_gguf_put_string(p->w, LF_GGUF_CHAT_TEMPLATE, text);
    else if (!rc)
        lf_info("%s has no chat template, so there is none in the file: who chats with the model has to name one",
                p->chat);
    lf_free(text);
    return rc;
}

static lf_status put_all(putting *p, lf_err *err) {
    lf_status rc = lf_gguf_cut_of(&p->cut, p->root, p->path, err);
    if (rc) return rc;
    lf_gguf_put_string(p->w, "tokenizer.ggml.model", p->cut.pieces ? "llama" : "gpt2");
    lf_gguf_put_string(p->w, "tokenizer.ggml.pre", p->cut.pre);
    if ((rc = put_tokens(p, err)) || (rc = p->cut.pieces ? put_scores(p, err) : put_merges(p, err)) ||
        (rc = put_ends(p, err)))
        return rc;
    return put_chat_template(p, err);
}

lf_status lf_gguf_put_tokenizer(lf_gguf_writer *w, const char *dir, const char *chat, int64_t rows, lf_err *err) {
    putting p = {.w = w, .dir = dir, .chat = chat ? chat : dir, .rows = rows};
    cJSON *root = NULL;
    char *path = lf_path_join(dir, LF_TOKENIZER_JSON);
    if (!path) return lf_no_memory(err, "%s", dir);
    lf_status rc = LF_OK;
    if (!lf_is_file(path))
        rc = lf_fail(err, LF_ENOTFOUND, "%s: there is no " LF_TOKENIZER_JSON " in it, which a GGUF model has to hold",
                     dir);
    if (!rc) rc = lf_tokenizer_open(&p.t, dir, err);
    if (!rc) rc = lf_json_read(&root, path, err);
    if (!rc) {
        p.root = root;
        p.path = path;
        p.bos = lf_tokenizer_bos(p.t);
        p.eos = lf_tokenizer_eos(p.t);
        rc = put_all(&p, err);
    }
    cJSON_Delete(root);
    lf_tokenizer_free(p.t);
    lf_free(path);
    return rc;
}

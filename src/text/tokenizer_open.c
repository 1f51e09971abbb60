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

/* ---- tokenizer.json ---- */

static lf_status check_template(const lf_tokenizer *t, const lf_template *p, const char *where, lf_err *err) {
    for (size_t i = 0; i < p->n; i++) {
        const int32_t id = p->at[i].id;
        if (id >= 0 && !lf_tokenizer_token(t, id))
            return lf_fail(err, LF_EDATA, "%s: no token has id %" PRId32, where, id);
    }
    return LF_OK;
}

static lf_status check_ids(const lf_tokenizer *t, const lf_step *s, lf_err *err) {
    const lf_status rc = check_template(t, &s->single, s->where, err);
    return rc ? rc : check_template(t, &s->pair, s->where, err);
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
        (rc = lf_tokenizer_open_added(t, root, path, err)))
        return rc;
    t->unk = t->bpe.unk;
    const cJSON *side =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "truncation"), "direction");
    t->truncates_left = cJSON_IsString(side) && !strcmp(side->valuestring, "Left");
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

/* Files that transformers makes a tokenizer.json of. */
static const char *const sources[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json",
                                      "vocab.txt"};

/* A folder whose tokenizer is in another form; LF_OK: who opens tokenizer.json says what is wrong. */
static lf_status explain_folder(const char *dir, const char *path, lf_err *err) {
    if (lf_is_file(path)) return LF_OK;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        char *source = lf_path_join(dir, sources[i]);
        if (!source) return lf_no_memory(err, "tokens");
        const bool there = lf_is_file(source);
        lf_free(source);
        if (there)
            return lf_fail(err, LF_ENOTFOUND,
                           "%s: there is no tokenizer.json, but %s; where transformers is installed, this makes one of "
                           "it: python3 -c \"from transformers import AutoTokenizer as t; d = '%s'; "
                           "t.from_pretrained(d).save_pretrained(d)\"",
                           dir, sources[i], dir);
    }
    return LF_OK;
}

lf_status lf_tokenizer_open(lf_tokenizer **out, const char *model_dir, lf_err *err) {
    const bool is_dir = lf_is_dir(model_dir);
    cJSON *root = NULL;
    lf_tokenizer *t = NULL;
    *out = NULL;
    char *path = is_dir ? lf_path_join(model_dir, "tokenizer.json") : lf_strdup(model_dir);
    lf_status rc = path ? LF_OK : lf_no_memory(err, "tokens");
    if (!rc && is_dir) rc = explain_folder(model_dir, path, err);
    if (!rc) rc = lf_json_read(&root, path, err);
    if (!rc) rc = open_json(&t, root, path, err);
    cJSON_Delete(root); /* before more is read: a vocabulary takes a hundred times its size as a tree */
    if (!rc && !is_dir) path[(size_t)(lf_path_base(path) - path)] = 0;
    const char *dir = is_dir ? model_dir : path && *path ? path : ".";
    if (!rc) rc = lf_tokenizer_read_config(t, dir, err);
    lf_free(path);
    if (rc)
        lf_tokenizer_free(t);
    else
        *out = t;
    return rc;
}

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/special_names.h"
#include "text/tokenizer_internal.h"
#include "text/vocab_txt.h"

void lf_tokenizer_free(lf_tokenizer *t) {
    if (!t) return;
    lf_tokenizer_work_free(t->work);
    lf_steps_free(&t->normalizers);
    lf_steps_free(&t->pretokenizers);
    lf_steps_free(&t->postprocessors);
    lf_steps_free(&t->decoders);
    lf_added_tokens_free(&t->added);
    lf_word_model_close(&t->model);
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
    if ((rc = lf_word_model_open(&t->model, &t->vocab, model, path, err)) ||
        (rc = lf_steps_open(&t->normalizers, &lf_normalizers, root, path, err)) ||
        (rc = lf_steps_open(&t->pretokenizers, &lf_pretokenizers, root, path, err)) ||
        (rc = lf_steps_open(&t->postprocessors, &lf_postprocessors, root, path, err)) ||
        (rc = lf_steps_open(&t->decoders, &lf_decoders, root, path, err)) ||
        (rc = lf_tokenizer_open_added(t, root, path, err)))
        return rc;
    t->unk = t->model.unk;
    const cJSON *side =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(root, "truncation"), "direction");
    t->truncates_left = cJSON_IsString(side) && !strcmp(side->valuestring, "Left");
    for (size_t i = 0; i < t->postprocessors.n && !rc; i++) rc = check_ids(t, &t->postprocessors.at[i], err);
    return rc;
}

static lf_status open_json(lf_tokenizer **out, const cJSON *root, const char *path, lf_err *err) {
    lf_tokenizer *t = lf_calloc(1, sizeof *t);
    if (!t) return lf_no_memory(err, "tokens");
    t->bos = t->eos = t->pad = t->unk = t->mask = -1;
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
static const char *const sources[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json"};

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

/* ---- a vocab.txt ---- */

/* "model_type" of config.json in the folder; *out NULL: it does not say. The caller deletes *config. */
static lf_status read_model_type(const char **out, cJSON **config, const char *dir, lf_err *err) {
    char *path = lf_path_join(dir, "config.json");
    lf_status rc = path ? LF_OK : lf_no_memory(err, "tokens");
    *out = NULL;
    if (!rc && lf_is_file(path)) rc = lf_json_read(config, path, err);
    if (!rc) *out = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(*config, "model_type"));
    lf_free(path);
    return rc;
}

static lf_status put_postprocessor(lf_tokenizer *t, const cJSON *names, const char *path, lf_err *err) {
    const char *cls = lf_special_name(names, "cls_token"), *sep = lf_special_name(names, "sep_token");
    if (!cls || !sep)
        return lf_fail(err, LF_EDATA, "%s: key '%s' of tokenizer_config.json: expected a token, found none", path,
                       cls ? "sep_token" : "cls_token");
    cJSON *root = lf_vocab_txt_postprocessor(lf_tokenizer_id(t, cls), lf_tokenizer_id(t, sep));
    const lf_status rc =
        root ? lf_steps_open(&t->postprocessors, &lf_postprocessors, root, path, err) : lf_no_memory(err, "tokens");
    cJSON_Delete(root);
    return rc;
}

static lf_status open_vocab_txt(lf_tokenizer **t, cJSON *names, const char *dir, const char *path, lf_err *err) {
    cJSON *config = NULL, *root = NULL;
    const char *model_type;
    lf_status rc = read_model_type(&model_type, &config, dir, err);
    if (!rc) rc = lf_vocab_txt_read(&root, names, model_type, path, err);
    if (!rc) rc = open_json(t, root, path, err);
    cJSON_Delete(root);
    cJSON_Delete(config);
    return rc;
}

/* ---- a folder or a file ---- */

typedef struct place {
    char *path; /* of tokenizer.json, or vocab.txt where that is not there */
    char *dir;  /* what the files stand in that are beside it */
    bool vocab_txt;
} place;

static lf_status find_place(place *p, const char *given, lf_err *err) {
    const bool is_dir = lf_is_dir(given);
    char *vocab = is_dir ? lf_path_join(given, LF_VOCAB_TXT) : lf_strdup(given);
    p->path = is_dir ? lf_path_join(given, LF_TOKENIZER_JSON) : lf_strdup(given);
    p->dir = lf_strdup(given);
    if (!p->path || !p->dir || !vocab) {
        lf_free(vocab);
        return lf_no_memory(err, "tokens");
    }
    if (!is_dir) p->dir[(size_t)(lf_path_base(given) - given)] = 0;
    const lf_status rc = is_dir ? explain_folder(given, p->path, err) : LF_OK;
    p->vocab_txt = is_dir ? !lf_is_file(p->path) && lf_is_file(vocab) : !strcmp(lf_path_base(given), LF_VOCAB_TXT);
    if (p->vocab_txt) {
        lf_free(p->path);
        p->path = vocab;
    } else
        lf_free(vocab);
    return rc;
}

static lf_status open_tokenizer_json(lf_tokenizer **t, const char *path, lf_err *err) {
    cJSON *root = NULL;
    lf_status rc = lf_json_read(&root, path, err);
    if (!rc) rc = open_json(t, root, path, err);
    cJSON_Delete(root); /* before more is read: a vocabulary takes a hundred times its size as a tree */
    return rc;
}

lf_status lf_tokenizer_open(lf_tokenizer **out, const char *model_dir, lf_err *err) {
    place p = {0};
    cJSON *names = NULL;
    char *names_path = NULL;
    lf_tokenizer *t = NULL;
    *out = NULL;
    lf_status rc = find_place(&p, model_dir, err);
    if (!rc && !p.vocab_txt) rc = open_tokenizer_json(&t, p.path, err);
    if (!rc) rc = lf_special_names_read(&names, &names_path, *p.dir ? p.dir : ".", err);
    if (!rc && p.vocab_txt) rc = open_vocab_txt(&t, names, *p.dir ? p.dir : ".", p.path, err);
    if (!rc) rc = lf_tokenizer_use_names(t, names, names_path, err);
    if (!rc && p.vocab_txt) rc = put_postprocessor(t, names, p.path, err);
    cJSON_Delete(names);
    lf_free(names_path);
    lf_free(p.path);
    lf_free(p.dir);
    if (rc)
        lf_tokenizer_free(t);
    else
        *out = t;
    return rc;
}

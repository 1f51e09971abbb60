#include "text/vocab_txt.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/utf8.h"
#include "text/special_names.h"
#include "text/unicode.h"
#include "text/vocab.h"

/* ---- is it BERT's? ---- */

static bool is_one_of(const char *s, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(s, names[i]) == 0) return true;
    return false;
}

/* Others have a vocab.txt too, and divide words otherwise. */
static lf_status check_class(const cJSON *names, const char *model_type, const char *path, lf_err *err) {
    static const char *const classes[] = {"Bert",       "DistilBert",  "Electra", "ConvBert",
                                          "MobileBert", "SqueezeBert", "LayoutLM"};
    static const char *const models[] = {"bert",        "distilbert", "electra",       "convbert", "mobilebert",
                                         "squeezebert", "layoutlm",   "megatron-bert", "ernie",    "nomic_bert"};
    const char *class = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(names, "tokenizer_class"));
    char name[40] = "";
    const size_t n = class ? strcspn(class, "T") : 0; /* "BertTokenizer", "BertTokenizerFast" */
    if (class && n < sizeof name) memcpy(name, class, n);
    if (class ? is_one_of(name, classes, sizeof classes / sizeof *classes)
              : !model_type || is_one_of(model_type, models, sizeof models / sizeof *models))
        return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: the vocabulary of %s \"%.60s\", which is read from a tokenizer.json only; BERT's is read from "
                   "this file",
                   path, class ? "tokenizer_class" : "model_type", class ? class : model_type);
}

/* What only the older, slow tokenizer did. */
static void warn_unfollowed(const cJSON *names, const char *path) {
    const cJSON *split = cJSON_GetObjectItemCaseSensitive(names, "never_split");
    if (cJSON_GetArraySize(split) > 0)
        lf_warn(
            "%s: 'never_split' of tokenizer_config.json is not followed, nor is it by transformers; tokens that are "
            "never split belong into its 'added_tokens_decoder'",
            path);
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(names, "do_basic_tokenize")))
        lf_warn("%s: 'do_basic_tokenize': false of tokenizer_config.json is not followed, nor is it by transformers",
                path);
}

/* ---- the file ---- */

/* Bytes of line s[0 .. n) without the spaces at its end. */
static size_t trimmed(const char *s, size_t n) {
    while (n > 0) {
        size_t at = n - 1;
        uint32_t c;
        while (at > 0 && ((unsigned char)s[at] & 0xc0) == 0x80) at--;
        (void)lf_utf8_next(s + at, n - at, &c);
        if (!lf_char_is_space(c)) break;
        n = at;
    }
    return n;
}

/* Each line's token, with its number. Of a token that is there twice the last line counts: hence from the end. */
static lf_status put_lines(lf_obj *vocab, char *text, size_t n, const char *path, lf_err *err) {
    lf_vocab seen = {0};
    lf_status rc = LF_OK;
    int64_t number = 0;
    for (size_t i = 0; i < n; i++) number += text[i] == '\n';
    if (n > 0 && text[n - 1] == '\n')
        text[--n] = 0;
    else
        number++;
    for (size_t end = n; number-- > 0 && !rc;) {
        size_t begin = end;
        while (begin > 0 && text[begin - 1] != '\n') begin--;
        char *token = text + begin;
        token[trimmed(token, end - begin)] = 0;
        if (lf_vocab_find(&seen, token, strlen(token), ~0u) < 0) {
            rc = lf_vocab_add(&seen, token, number, LF_TOKEN_MODEL, path, err);
            lf_obj_number(vocab, token, (double)number);
        }
        end = begin > 0 ? begin - 1 : 0;
    }
    lf_vocab_free(&seen);
    return rc;
}

static lf_status read_vocab(cJSON **out, const char *path, lf_err *err) {
    char *text = NULL;
    size_t n;
    lf_obj vocab = lf_obj_new();
    lf_status rc = lf_file_read(&text, &n, path, err);
    const size_t bad = rc ? n = 0 : lf_utf8_invalid(text, n), mark = lf_utf8_mark_size(rc ? "" : text, n);
    if (!rc && (bad < n || strlen(text) < n))
        rc = lf_fail(err, LF_EDATA, "%s: not UTF-8 text, at byte %zu; expected one token a line", path,
                     bad < n ? bad : strlen(text));
    if (!rc && mark > 0) rc = lf_fail(err, LF_EDATA, "%s: begins with a byte order mark; save it without", path);
    if (!rc) rc = put_lines(&vocab, text, n, path, err);
    lf_free(text);
    *out = lf_obj_take(&vocab);
    return rc ? rc : *out ? LF_OK : lf_no_memory(err, "%s", path);
}

/* ---- as a tokenizer.json ---- */

static cJSON *typed(const char *type) {
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "type", type);
    return lf_obj_take(&o);
}

static bool put_default_names(cJSON *names) {
    static const char *const defaults[][2] = {{"unk_token", "[UNK]"},
                                              {"sep_token", "[SEP]"},
                                              {"pad_token", "[PAD]"},
                                              {"cls_token", "[CLS]"},
                                              {"mask_token", "[MASK]"}};
    bool good = true;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && good; i++)
        if (!cJSON_HasObjectItem(names, defaults[i][0]))
            good = cJSON_AddStringToObject(names, defaults[i][0], defaults[i][1]) != NULL;
    return good;
}

static cJSON *normalizer(const cJSON *names) {
    lf_obj o = lf_obj_of(typed("BertNormalizer"));
    const cJSON *accents = cJSON_GetObjectItemCaseSensitive(names, "strip_accents");
    lf_obj_bool(&o, "clean_text", true);
    lf_obj_bool(&o, "lowercase", !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(names, "do_lower_case")));
    lf_obj_bool(&o, "handle_chinese_chars",
                !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(names, "tokenize_chinese_chars")));
    lf_obj_copy(&o, "strip_accents", accents);
    return lf_obj_take(&o);
}

static lf_status check_switches(const cJSON *names, const char *path, lf_err *err) {
    static const char *const keys[] = {"do_lower_case", "strip_accents", "tokenize_chinese_chars"};
    bool unused;
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !rc; i++)
        rc = lf_json_get_bool(names, keys[i], true, &unused, path, err);
    return rc;
}

lf_status lf_vocab_txt_read(cJSON **out, cJSON *names, const char *model_type, const char *path, lf_err *err) {
    cJSON *vocab = NULL;
    lf_status rc = check_class(names, model_type, path, err);
    if (rc || (rc = check_switches(names, path, err)) || (rc = read_vocab(&vocab, path, err))) {
        cJSON_Delete(vocab);
        return rc;
    }
    warn_unfollowed(names, path);
    lf_obj o = lf_obj_new(), model = lf_obj_of(typed("WordPiece"));
    o.failed = o.failed || !put_default_names(names);
    const char *unk = lf_special_name(names, "unk_token");
    lf_obj_string(&model, "unk_token", unk ? unk : "[UNK]");
    lf_obj_number(&model, "max_input_chars_per_word", 100);
    lf_obj_put(&model, "vocab", vocab);
    lf_obj_put(&o, "model", lf_obj_take(&model));
    lf_obj_put(&o, "normalizer", normalizer(names));
    lf_obj_put(&o, "pre_tokenizer", typed("BertPreTokenizer"));
    lf_obj_put(&o, "decoder", typed("WordPiece"));
    *out = lf_obj_take(&o);
    return *out ? LF_OK : lf_no_memory(err, "%s", path);
}

cJSON *lf_vocab_txt_postprocessor(int64_t cls, int64_t sep) {
    lf_obj o = lf_obj_new(), bert = lf_obj_of(typed("BertProcessing"));
    const struct {
        const char *key;
        int64_t id;
    } ends[] = {{"cls", cls}, {"sep", sep}};
    for (size_t i = 0; i < 2; i++) {
        lf_obj list = lf_list_new();
        lf_list_string(&list, ends[i].key);
        lf_list_put(&list, cJSON_CreateNumber((double)ends[i].id));
        lf_obj_put(&bert, ends[i].key, lf_obj_take(&list));
    }
    lf_obj_put(&o, "post_processor", lf_obj_take(&bert));
    return lf_obj_take(&o);
}

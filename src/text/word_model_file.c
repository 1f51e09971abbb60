/* What the kinds of models read alike. */
#include <string.h>

#include "base/json.h"
#include "text/word_model.h"

lf_status lf_word_model_vocab(const lf_word_model_file *file, lf_err *err) {
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(file->json, "vocab"), *token;
    if (!cJSON_IsObject(vocab))
        return lf_fail(err, LF_EDATA, "%s: key 'vocab': expected an object of tokens and ids", file->where);
    cJSON_ArrayForEach(token, vocab) {
        int64_t id;
        if (!lf_json_exact_i64(token, &id))
            return lf_fail(err, LF_EDATA, "%s: key 'vocab': token \"%.100s\" has no integer id", file->where,
                           token->string);
        const lf_status rc = lf_vocab_add(file->vocab, token->string, id, LF_TOKEN_MODEL, file->where, err);
        if (rc) return rc;
    }
    return LF_OK;
}

lf_status lf_word_model_unk(const lf_word_model_file *file, const char *fallback, lf_err *err) {
    const char *unk;
    const lf_status rc = lf_json_get_str(file->json, "unk_token", fallback, &unk, file->where, err);
    if (rc || !unk) return rc;
    if ((*file->unk = lf_vocab_find(file->vocab, unk, strlen(unk), LF_TOKEN_MODEL)) < 0)
        return lf_fail(err, LF_EDATA, "%s: key 'unk_token': \"%.100s\" is not in 'vocab'", file->where, unk);
    return LF_OK;
}

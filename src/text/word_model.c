#include "text/word_model.h"

#include <string.h>

#include "base/json.h"
#include "base/string.h"

static const lf_word_model_kind *const kinds[] = {&lf_bpe_kind, &lf_wordpiece_kind, &lf_unigram_kind};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* Older files do not say the type; each has a key that no other has. */
static const char *guess_type(const cJSON *json) {
    if (cJSON_HasObjectItem(json, "merges")) return "BPE";
    if (cJSON_HasObjectItem(json, "max_input_chars_per_word")) return "WordPiece";
    return cJSON_HasObjectItem(json, "unk_id") ? "Unigram" : "";
}

static lf_status find_kind(const lf_word_model_kind **out, const cJSON *json, const char *where, lf_err *err) {
    const char *type;
    const lf_status rc = lf_json_get_str(json, "type", guess_type(json), &type, where, err);
    if (rc) return rc;
    for (int i = 0; i < N_KINDS; i++) {
        if (strcmp(kinds[i]->type, type) != 0) continue;
        *out = kinds[i];
        return LF_OK;
    }
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: key 'type': expected \"BPE\", \"WordPiece\" or \"Unigram\", found \"%.50s\", which is not "
                   "supported",
                   where, type);
}

lf_status lf_word_model_open(lf_word_model *out, lf_vocab *vocab, const cJSON *json, const char *path, lf_err *err) {
    const lf_word_model_kind *kind = NULL;
    *out = (lf_word_model){.unk = -1};
    char *where = lf_format("%s: model", path);
    if (!where) return lf_no_memory(err, "%s", path);
    lf_status rc = cJSON_IsObject(json) ? find_kind(&kind, json, where, err)
                                        : lf_fail(err, LF_EDATA, "%s: key 'model': expected an object", path);
    const lf_word_model_file file = {json, where, vocab, &out->unk};
    if (!rc && !(rc = kind->open(&out->model, &file, err))) out->kind = kind;
    lf_free(where);
    return rc;
}

void lf_word_model_close(lf_word_model *m) {
    if (m->kind) m->kind->close(m->model);
    *m = (lf_word_model){.unk = -1};
}

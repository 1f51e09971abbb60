/* The tokens that end a text, as the model's own files name them. */
#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "eval/generate.h"

static lf_status add(lf_ids *out, int64_t id, const lf_model *m, lf_err *err) {
    const int32_t narrow = (int32_t)id;
    if (id < 0 || id >= m->tokens.vocab_size)
        return LF_OK; /* small models keep the id of a large one: it cannot be drawn */
    return lf_ids_append(out, &narrow, 1) ? LF_OK : lf_no_memory(err, "the tokens that end a text");
}

static lf_status wrong(const cJSON *found, const char *path, lf_err *err) {
    char *text = lf_json_print_line(found);
    const lf_status rc = lf_fail(err, LF_EDATA,
                                 "%s: key 'eos_token_id': expected a token id, a list of token ids or null, found "
                                 "%.80s; write the id of the token",
                                 path, text ? text : "another value");
    lf_free(text);
    return rc;
}

static lf_status add_of(lf_ids *out, const cJSON *config, const char *path, const lf_model *m, lf_err *err) {
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(config, "eos_token_id"), *item;
    int64_t id;
    lf_status rc = LF_OK;
    if (!ids || cJSON_IsNull(ids)) return LF_OK;
    if (!cJSON_IsArray(ids)) return lf_json_exact_i64(ids, &id) ? add(out, id, m, err) : wrong(ids, path, err);
    cJSON_ArrayForEach(item, ids) if (!rc) rc =
        lf_json_exact_i64(item, &id) ? add(out, id, m, err) : wrong(ids, path, err);
    return rc;
}

lf_status lf_ending_ids(lf_ids *out, const lf_model *m, const lf_tokenizer *t, lf_err *err) {
    char *path =
        lf_format("%.*sgeneration_config.json", (int)(lf_path_base(m->config_path) - m->config_path), m->config_path);
    if (!path) return lf_no_memory(err, "the tokens that end a text");
    cJSON *more = NULL;
    lf_status rc = lf_is_file(path) ? lf_json_read(&more, path, err) : LF_OK;
    if (!rc && more && !cJSON_IsObject(more))
        rc = lf_fail(err, LF_EDATA, "%s: expected a JSON object, { \"eos_token_id\": ... }, found another value", path);
    if (!rc && !(rc = add(out, lf_tokenizer_eos(t), m, err)) && !(rc = add_of(out, m->config, m->config_path, m, err)))
        rc = add_of(out, more, path, m, err);
    cJSON_Delete(more);
    lf_free(path);
    return rc;
}

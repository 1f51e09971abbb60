/* Post-processors put special tokens around the text. Only the form for one text is read: pairs are not for us. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/tokenizer_internal.h"

static lf_status add(lf_step *s, int32_t id, lf_err *err) {
    if (!lf_grow(&s->pattern_ids, &s->pattern_ids_capacity, s->n_pattern_ids + 1)) return lf_no_memory(err, "tokens");
    s->pattern_ids[s->n_pattern_ids++] = id;
    return LF_OK;
}

static lf_status add_json(lf_step *s, const cJSON *json, const char *key, lf_err *err) {
    int64_t id;
    if (!lf_json_exact_i64(json, &id) || id < 0 || id >= LF_MAX_TOKENS)
        return lf_fail(err, LF_EDATA, "%s: key '%.100s': expected a token id", s->where, key);
    return add(s, (int32_t)id, err);
}

static lf_status add_special(lf_step *s, const cJSON *special, const cJSON *json, lf_err *err) {
    const char *name;
    const cJSON *id;
    const lf_status rc = lf_json_get_str(special, "id", "", &name, s->where, err);
    if (rc) return rc;
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(json, "special_tokens");
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(tokens, name), "ids");
    if (!cJSON_IsArray(ids))
        return lf_fail(err, LF_EDATA, "%s: key 'special_tokens': no \"%.100s\" with a list of ids", s->where, name);
    cJSON_ArrayForEach(id, ids) {
        const lf_status bad = add_json(s, id, "special_tokens", err);
        if (bad) return bad;
    }
    return LF_OK;
}

static lf_status open_template(lf_step *s, const cJSON *json, lf_err *err) {
    const cJSON *single = cJSON_GetObjectItemCaseSensitive(json, "single"), *item;
    if (!cJSON_IsArray(single)) return lf_fail(err, LF_EDATA, "%s: key 'single': expected a list", s->where);
    cJSON_ArrayForEach(item, single) {
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(item, "SpecialToken");
        const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(item, "Sequence");
        const char *id = NULL;
        lf_status rc = LF_OK;
        if (cJSON_IsObject(special))
            rc = add_special(s, special, json, err);
        else if (cJSON_IsObject(sequence) && !(rc = lf_json_get_str(sequence, "id", "", &id, s->where, err)))
            rc = strcmp(id, "A") == 0
                     ? add(s, LF_TEXT_HERE, err)
                     : lf_fail(err, LF_EDATA, "%s: key 'single': sequence \"%.20s\"; expected \"A\"", s->where, id);
        else if (!rc)
            rc = lf_fail(err, LF_EDATA, "%s: key 'single': expected SpecialToken or Sequence", s->where);
        if (rc) return rc;
    }
    return LF_OK;
}

/* BertProcessing and RobertaProcessing: "cls" and "sep" are [token, id]. */
static lf_status open_cls_sep(lf_step *s, const cJSON *json, lf_err *err) {
    lf_status rc;
    const cJSON *cls = cJSON_GetObjectItemCaseSensitive(json, "cls"),
                *sep = cJSON_GetObjectItemCaseSensitive(json, "sep");
    if ((rc = add_json(s, cJSON_GetArrayItem(cls, 1), "cls", err)) || (rc = add(s, LF_TEXT_HERE, err))) return rc;
    return add_json(s, cJSON_GetArrayItem(sep, 1), "sep", err);
}

static lf_status surround(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    lf_ids_buffer *out = &w->next_ids;
    out->n = 0;
    size_t before = 0;
    while (before < s->n_pattern_ids && s->pattern_ids[before] != LF_TEXT_HERE) before++;
    for (size_t i = 0; i < w->n_cuts; i++) w->starts[i] += (int64_t)before;
    for (size_t i = 0; i < s->n_pattern_ids; i++) {
        const bool text = s->pattern_ids[i] == LF_TEXT_HERE;
        const int32_t *ids = text ? w->ids.ids : &s->pattern_ids[i];
        const size_t n = text ? w->ids.n : 1;
        if (!lf_grow(&out->ids, &out->capacity, out->n + n)) return lf_no_memory(err, "tokens");
        if (n > 0) memcpy(out->ids + out->n, ids, n * sizeof *ids);
        out->n += n;
    }
    const lf_ids_buffer old = w->ids;
    w->ids = w->next_ids;
    w->next_ids = old;
    return LF_OK;
}

static const lf_step_kind kinds[] = {
    {"TemplateProcessing", open_template, surround},
    {"ByteLevel", NULL, NULL}, /* changes offsets only, which we do not give */
    {"BertProcessing", open_cls_sep, surround},
    {"RobertaProcessing", open_cls_sep, surround},
};
const lf_step_list lf_postprocessors = {"post_processor", "processors", kinds, sizeof kinds / sizeof *kinds};

/* Post-processors put special tokens around one text or two. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/tokenizer_internal.h"

static lf_status add(const lf_step *s, lf_template *to, int32_t id, int64_t type, lf_err *err) {
    if (type < 0 || type > INT32_MAX)
        return lf_fail(err, LF_EDATA, "%s: key 'type_id': expected a number from 0", s->where);
    if (!lf_grow(&to->at, &to->capacity, to->n + 1)) return lf_no_memory(err, "tokens");
    to->at[to->n++] = (lf_template_item){id, (int32_t)type};
    return LF_OK;
}

static lf_status read_id(const lf_step *s, const cJSON *json, const char *key, int32_t *id, lf_err *err) {
    int64_t number;
    if (!lf_json_exact_i64(json, &number) || number < 0 || number >= LF_MAX_TOKENS)
        return lf_fail(err, LF_EDATA, "%s: key '%.100s': expected a token id", s->where, key);
    *id = (int32_t)number;
    return LF_OK;
}

/* ---- TemplateProcessing ---- */

static lf_status add_special(const lf_step *s, lf_template *to, const cJSON *special, int64_t type, const cJSON *json,
                             lf_err *err) {
    const char *name;
    const cJSON *item;
    lf_status rc = lf_json_get_str(special, "id", "", &name, s->where, err);
    if (rc) return rc;
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(json, "special_tokens");
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(tokens, name), "ids");
    if (!cJSON_IsArray(ids))
        return lf_fail(err, LF_EDATA, "%s: key 'special_tokens': no \"%.100s\" with a list of ids", s->where, name);
    cJSON_ArrayForEach(item, ids) {
        int32_t id = 0;
        if ((rc = read_id(s, item, "special_tokens", &id, err)) || (rc = add(s, to, id, type, err))) return rc;
    }
    return LF_OK;
}

static lf_status add_text(const lf_step *s, lf_template *to, const cJSON *sequence, int64_t type, const char *key,
                          lf_err *err) {
    const char *id;
    const bool two = to == &s->pair;
    const lf_status rc = lf_json_get_str(sequence, "id", "", &id, s->where, err);
    if (rc) return rc;
    if (strcmp(id, "A") == 0) return add(s, to, LF_TEXT_HERE, type, err);
    if (two && strcmp(id, "B") == 0) return add(s, to, LF_SECOND_HERE, type, err);
    return lf_fail(err, LF_EDATA, "%s: key '%s': sequence \"%.20s\"; expected \"A\"%s", s->where, key, id,
                   two ? " or \"B\"" : "");
}

static lf_status open_list(const lf_step *s, lf_template *to, const cJSON *json, const char *key, lf_err *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, key), *item;
    if (!cJSON_IsArray(list)) return lf_fail(err, LF_EDATA, "%s: key '%s': expected a list", s->where, key);
    cJSON_ArrayForEach(item, list) {
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(item, "SpecialToken");
        const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(item, "Sequence");
        int64_t type = 0;
        lf_status rc = lf_json_get_i64(special ? special : sequence, "type_id", 0, &type, s->where, err);
        if (rc) return rc;
        if (cJSON_IsObject(special))
            rc = add_special(s, to, special, type, json, err);
        else if (cJSON_IsObject(sequence))
            rc = add_text(s, to, sequence, type, key, err);
        else
            rc = lf_fail(err, LF_EDATA, "%s: key '%s': expected SpecialToken or Sequence", s->where, key);
        if (rc) return rc;
    }
    return LF_OK;
}

/* A form without a text would lose it, and one with a text twice be longer than the text was cut for. */
static lf_status check_texts(const lf_step *s, const lf_template *form, const char *key, lf_err *err) {
    int64_t a = 0, b = 0;
    const bool two = form == &s->pair;
    for (size_t i = 0; i < form->n; i++) {
        a += form->at[i].id == LF_TEXT_HERE;
        b += form->at[i].id == LF_SECOND_HERE;
    }
    if (a == 1 && b == two) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': expected %s once", s->where, key,
                   two ? "each of the sequences \"A\" and \"B\"" : "the sequence \"A\"");
}

/* An empty pair is none. */
static lf_status open_template(lf_step *s, const cJSON *json, lf_err *err) {
    lf_status rc = open_list(s, &s->single, json, "single", err);
    if (!rc) rc = check_texts(s, &s->single, "single", err);
    if (rc || !cJSON_HasObjectItem(json, "pair")) return rc;
    rc = open_list(s, &s->pair, json, "pair", err);
    return rc || s->pair.n == 0 ? rc : check_texts(s, &s->pair, "pair", err);
}

/* ---- BertProcessing and RobertaProcessing: "cls" and "sep" are [token, id] ---- */

/* A pair is `cls A sep` followed by `between` times sep, and `B sep` of type `second`. */
static lf_status open_cls_sep(lf_step *s, const cJSON *json, int between, int32_t second, lf_err *err) {
    int32_t cls = 0, sep = 0;
    lf_status rc;
    if ((rc = read_id(s, cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "cls"), 1), "cls", &cls, err)) ||
        (rc = read_id(s, cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "sep"), 1), "sep", &sep, err)))
        return rc;
    lf_template *const both[] = {&s->single, &s->pair};
    for (int i = 0; i < 2; i++)
        if ((rc = add(s, both[i], cls, 0, err)) || (rc = add(s, both[i], LF_TEXT_HERE, 0, err)) ||
            (rc = add(s, both[i], sep, 0, err)))
            return rc;
    for (int i = 0; i < between; i++)
        if ((rc = add(s, &s->pair, sep, 0, err))) return rc;
    rc = add(s, &s->pair, LF_SECOND_HERE, second, err);
    return rc ? rc : add(s, &s->pair, sep, second, err);
}
static lf_status open_bert(lf_step *s, const cJSON *json, lf_err *err) { return open_cls_sep(s, json, 0, 1, err); }
static lf_status open_roberta(lf_step *s, const cJSON *json, lf_err *err) { return open_cls_sep(s, json, 1, 0, err); }

static lf_status surround(const lf_step *s, lf_tokenizer_work *w, lf_err *err) {
    lf_ids_buffer *out = &w->next_ids;
    const lf_template *p = &s->single;
    out->n = 0;
    size_t before = 0;
    while (before < p->n && p->at[before].id != LF_TEXT_HERE) before++;
    for (size_t i = 0; i < w->n_cuts; i++) w->starts[i] += (int64_t)before;
    for (size_t i = 0; i < p->n; i++) {
        const bool text = p->at[i].id == LF_TEXT_HERE;
        const int32_t *ids = text ? w->ids.ids : &p->at[i].id;
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
    {"BertProcessing", open_bert, surround},
    {"RobertaProcessing", open_roberta, surround},
};
const lf_step_list lf_postprocessors = {"post_processor", "processors", kinds, sizeof kinds / sizeof *kinds};

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/tokenizer_internal.h"

lf_status lf_too_long(const lf_tokenizer_work *w, const char *where, lf_err *err) {
    return lf_fail(err, LF_EDATA, "%s: makes more than %zu bytes of the text; is it meant to?", where, w->most);
}

void lf_steps_free(lf_steps *steps) {
    for (size_t i = 0; i < steps->n; i++) {
        lf_pattern_free(steps->at[i].pattern);
        lf_free(steps->at[i].content);
        lf_charsmap_free(steps->at[i].charsmap);
        lf_free(steps->at[i].single.at);
        lf_free(steps->at[i].pair.at);
        lf_free(steps->at[i].where);
    }
    lf_free(steps->at);
    *steps = (lf_steps){0};
}

lf_status lf_steps_apply(const lf_steps *steps, lf_tokenizer_work *w, lf_err *err) {
    lf_status rc = LF_OK;
    for (size_t i = 0; i < steps->n && !rc; i++) {
        const lf_step *s = &steps->at[i];
        if (s->kind->apply) rc = s->kind->apply(s, w, err);
        if (!rc && (w->now.text.n > w->most || w->ids.n > w->most)) rc = lf_too_long(w, s->where, err);
    }
    return rc;
}

static lf_status open_step(lf_steps *out, const lf_step_list *family, const cJSON *json, const char *where,
                           lf_err *err);

/* A Sequence is its members one after the other, also inside of another Sequence. */
static lf_status open_sequence(lf_steps *out, const lf_step_list *family, const cJSON *json, const char *where,
                               lf_err *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, family->list_key), *item;
    lf_status rc = LF_OK;
    int64_t i = 0;
    if (!cJSON_IsArray(list)) return lf_fail(err, LF_EDATA, "%s: key '%s': expected a list", where, family->list_key);
    cJSON_ArrayForEach(item, list) {
        char *inner = lf_format("%s.%s[%" PRId64 "]", where, family->list_key, i++);
        rc = inner ? open_step(out, family, item, inner, err) : lf_no_memory(err, "tokens");
        lf_free(inner);
        if (rc) break;
    }
    return rc;
}

static lf_status open_step(lf_steps *out, const lf_step_list *family, const cJSON *json, const char *where,
                           lf_err *err) {
    const char *type;
    if (!cJSON_IsObject(json)) return lf_fail(err, LF_EDATA, "%s: expected an object with key 'type'", where);
    lf_status rc = lf_json_get_str(json, "type", "", &type, where, err);
    if (rc) return rc;
    if (strcmp(type, "Sequence") == 0) return open_sequence(out, family, json, where, err);
    for (size_t i = 0; i < family->n_kinds; i++) {
        const lf_step_kind *kind = &family->kinds[i];
        if (strcmp(kind->type, type) != 0) continue;
        if (!lf_grow(&out->at, &out->capacity, out->n + 1)) return lf_no_memory(err, "tokens");
        lf_step *s = &out->at[out->n++];
        *s = (lf_step){.kind = kind, .where = lf_strdup(where)};
        if (!s->where) return lf_no_memory(err, "tokens");
        return kind->open ? kind->open(s, json, err) : LF_OK;
    }
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'type': \"%.60s\" is not supported", where, type);
}

lf_status lf_steps_open(lf_steps *out, const lf_step_list *family, const cJSON *root, const char *path, lf_err *err) {
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(root, family->key);
    *out = (lf_steps){0};
    if (!json || cJSON_IsNull(json)) return LF_OK;
    char *where = lf_format("%s: %s", path, family->key);
    const lf_status rc = where ? open_step(out, family, json, where, err) : lf_no_memory(err, "tokens");
    lf_free(where);
    if (!rc && out->n > 0) out->at[out->n - 1].last = true;
    if (rc) lf_steps_free(out);
    return rc;
}

/* ---- keys that several types have ---- */

lf_status lf_step_string(char **out, const lf_step *s, const cJSON *json, const char *key, lf_err *err) {
    const char *text;
    const lf_status rc = lf_json_get_str(json, key, NULL, &text, s->where, err);
    if (rc) return rc;
    if (!text) return lf_fail(err, LF_EDATA, "%s: key '%s': expected a string, found none", s->where, key);
    *out = lf_strdup(text);
    return *out ? LF_OK : lf_no_memory(err, "tokens");
}

lf_status lf_step_pattern(lf_step *s, const cJSON *json, lf_err *err) {
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(json, "pattern");
    const cJSON *literal = cJSON_GetObjectItemCaseSensitive(pattern, "String");
    const cJSON *regex = cJSON_GetObjectItemCaseSensitive(pattern, "Regex");
    const cJSON *text = literal ? literal : regex;
    if (!cJSON_IsObject(pattern) || !cJSON_IsString(text) || (literal && regex))
        return lf_fail(err, LF_EDATA, "%s: key 'pattern': expected {\"String\": ..} or {\"Regex\": ..}", s->where);
    return lf_pattern_new(&s->pattern, text->valuestring, literal != NULL, s->where, err);
}

/* A configuration: for each key of the table one JSON value of the key's type, and where it came from. */
#include "config/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/slice.h"
#include "config/known.h"

/* ---- life ---------------------------------------------------------------------------------------------------- */

static lf_status set_default(lf_config *cfg, size_t i, lf_err *err) {
    const lf_key *key = &lf_keys[i];
    if (!key->fallback) return LF_OK;
    const lf_place place = {key->name, "the table of defaults", err};
    const lf_status rc = lf_value_from_text(&cfg->values[i].json, key, lf_key_default(key), &place);
    return rc ? rc : lf_value_check(&cfg->values[i].json, key, &place);
}

static lf_status set_defaults(lf_config *cfg, lf_err *err) {
    lf_status rc = LF_OK;
    for (size_t i = 0; i < lf_n_keys && !rc; i++) rc = set_default(cfg, i, err);
    return rc;
}

lf_status lf_cfg_unset(lf_config *cfg, lf_key_id key, lf_err *err) {
    lf_value *value = &cfg->values[key - 1];
    cJSON_Delete(value->json);
    *value = (lf_value){0};
    return set_default(cfg, (size_t)key - 1, err);
}

lf_status lf_config_new(lf_config **out, const char *verb, lf_err *err) {
    *out = NULL;
    const lf_verb *v = lf_verb_find(verb);
    if (!v) return lf_fail(err, LF_EUSAGE, "there is no verb '%.64s'", verb);
    lf_config *cfg = lf_calloc(1, sizeof *cfg);
    if (!cfg) return lf_no_memory(err, "a configuration");
    lf_status rc = LF_OK;
    cfg->verb = v;
    cfg->values = lf_calloc(lf_n_keys, sizeof *cfg->values);
    cfg->arena = lf_arena_new();
    if (!cfg->values || !cfg->arena) {
        rc = lf_no_memory(err, "a configuration");
        goto out;
    }
    if ((rc = set_defaults(cfg, err))) goto out;
    *out = cfg;
    cfg = NULL;
out:
    lf_config_free(cfg);
    return rc;
}

void lf_config_free(lf_config *cfg) {
    if (!cfg) return;
    for (size_t i = 0; cfg->values && i < lf_n_keys; i++) cJSON_Delete(cfg->values[i].json);
    lf_free(cfg->values);
    lf_arena_free(cfg->arena);
    lf_free(cfg);
}

/* ---- setting ------------------------------------------------------------------------------------------------- */

/* The items of a list that was given before, then those of `json`, which is taken over. */
static lf_status store_behind(lf_config *cfg, const lf_key *key, cJSON *json, lf_err *err) {
    const cJSON *item, *before = cfg->values[key - lf_keys].json;
    cJSON *all = cJSON_CreateArray();
    bool ok = all != NULL;
    for (int i = 0; i < 2; i++) {
        const cJSON *list = i ? json : before;
        cJSON_ArrayForEach(item, list) {
            cJSON *copy = ok ? cJSON_Duplicate(item, true) : NULL;
            ok = copy && cJSON_AddItemToArray(all, copy);
            if (!ok) cJSON_Delete(copy);
        }
    }
    cJSON_Delete(json);
    if (ok) return lf_config_store(cfg, key, all, NULL, err);
    cJSON_Delete(all);
    return lf_no_memory(err, "a configuration");
}

lf_status lf_config_append(lf_config *cfg, const char *name, const char *text, lf_err *err) {
    const lf_key *key = lf_key_find(name, cfg->verb->knows);
    const lf_value *value = key ? &cfg->values[key - lf_keys] : NULL;
    if (!key || key->type != LF_KEY_LIST || !value->given || value->source) return lf_config_set(cfg, name, text, err);
    const lf_place place = {key->name, NULL, err};
    cJSON *json = NULL;
    lf_status rc = lf_value_from_text(&json, key, text, &place);
    if (!rc) rc = lf_value_check(&json, key, &place);
    if (!rc) return store_behind(cfg, key, json, err);
    cJSON_Delete(json);
    return rc;
}

lf_status lf_config_set(lf_config *cfg, const char *name, const char *text, lf_err *err) {
    const lf_key *key = lf_key_find(name, cfg->verb->knows);
    if (!key) return lf_known_set(cfg, name, text, NULL, NULL, err);
    return lf_config_store_text(cfg, key, text, NULL, err);
}

lf_status lf_cfg_set_json(lf_config *cfg, const char *name, const cJSON *value, const char *source, lf_err *err) {
    const lf_key *key = lf_key_find(name, cfg->verb->knows);
    if (!key) return lf_unknown_key(cfg, name, source, err);
    cJSON *json = cJSON_Duplicate(value, true);
    return json ? lf_config_store(cfg, key, json, source, err) : lf_no_memory(err, "%s", source);
}

lf_status lf_cfg_set_taken(lf_config *cfg, const char *name, cJSON *value, const char *source, lf_err *err) {
    const lf_status rc = value ? lf_cfg_set_json(cfg, name, value, source, err) : lf_no_memory(err, "%s", source);
    cJSON_Delete(value);
    return rc;
}

lf_status lf_cfg_derive(lf_config **out, const lf_config *from, const char *verb, lf_err *err) {
    lf_status rc = lf_config_new(out, verb, err);
    for (size_t i = 0; i < lf_n_keys && !rc; i++) {
        const lf_value *value = &from->values[i];
        if (!value->given || !(lf_keys[i].verbs & (*out)->verb->knows)) continue;
        cJSON *json = cJSON_Duplicate(value->json, true);
        rc = json ? lf_config_store(*out, &lf_keys[i], json, value->source, err) : lf_no_memory(err, "a configuration");
    }
    if (!rc) return LF_OK;
    lf_config_free(*out);
    *out = NULL;
    return rc;
}

/* What the file called the key before `again` did: as an alias, or an option of another tool. */
static const char *first_spelling(const lf_config *cfg, const lf_key *key, const cJSON *again) {
    const cJSON *m = again;
    while (m->prev && m->prev->next == m) { /* the first one's prev is the last */
        m = m->prev;
        if (lf_key_find(m->string, cfg->verb->knows) == key || lf_known_is(m->string, key)) return m->string;
    }
    return key->name;
}

static lf_status load_member(lf_config *cfg, const cJSON *member, const char *source, lf_err *err) {
    const lf_key *key = lf_key_find(member->string, cfg->verb->knows);
    if (!key && cJSON_IsNull(member) && lf_known_find(member->string, NULL)) return LF_OK;
    if (!key) return lf_known_set(cfg, member->string, NULL, member, source, err);
    if (key->traits & LF_IS_RECORD) return LF_OK;              /* of what another run became, not for this one */
    const bool named = key == &lf_keys[LF_target_modules - 1]; /* whose null PEFT reads as its own choice */
    if (cJSON_IsNull(member) && !named) return LF_OK;          /* as Hugging Face's configs say "not set" */
    if (cfg->values[key - lf_keys].source == source) {         /* the pointer is this file's alone */
        const lf_place place = {key->name, source, err};
        return lf_place_fail(&place, "given twice, as '%.64s' and as '%.64s'; delete one",
                             first_spelling(cfg, key, member), member->string);
    }
    cJSON *json = cJSON_IsNull(member) ? cJSON_CreateString("default") : cJSON_Duplicate(member, true);
    if (!json) return lf_no_memory(err, "%s", source);
    return lf_config_store(cfg, key, json, source, err);
}

lf_status lf_config_load(lf_config *cfg, const char *path, lf_err *err) {
    cJSON *json = NULL;
    const cJSON *member;
    lf_err inner = {0};
    lf_status rc = (lf_config_is_yaml(path) ? lf_config_read_yaml : lf_json_read)(&json, path, &inner);
    if (rc) { /* a missing or broken configuration is bad usage, not bad data */
        const bool usage = rc == LF_EDATA || rc == LF_ENOTFOUND;
        return lf_fail(err, usage ? LF_EUSAGE : rc, "%s", inner.message);
    }
    const char *source = lf_arena_strdup(cfg->arena, path);
    if (!source) {
        rc = lf_no_memory(err, "%s", path);
        goto out;
    }
    if (!cJSON_IsObject(json)) {
        rc = lf_fail(err, LF_EUSAGE,
                     lf_config_is_yaml(path) ? "%s: expected lines 'key: value'"
                                             : "%s: expected a JSON object, { \"key\": value, ... }",
                     path);
        goto out;
    }
    cJSON_ArrayForEach(member, json) {
        if ((rc = load_member(cfg, member, source, err))) goto out;
    }
out:
    cJSON_Delete(json);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static const lf_value *value_of(const lf_config *cfg, lf_key_id id, unsigned types) {
    if (id > LF_NO_KEY && id < LF_KEY_END && (types >> lf_keys[id - 1].type & 1u)) return &cfg->values[id - 1];
    fprintf(stderr, "lora-ft: bug: key '%s' is not of the type that it is read as\n",
            id > LF_NO_KEY && id < LF_KEY_END ? lf_key_name(id) : "none");
    abort();
}

static const unsigned ANY_TYPE = ~0u;

bool lf_cfg_bool(const lf_config *cfg, lf_key_id key) {
    return cJSON_IsTrue(value_of(cfg, key, 1u << LF_KEY_BOOL)->json);
}

int64_t lf_cfg_i64(const lf_config *cfg, lf_key_id key) {
    const cJSON *json = value_of(cfg, key, 1u << LF_KEY_I64)->json;
    int64_t whole;
    return lf_json_exact_i64(json, &whole) ? whole : 0;
}

int64_t lf_cfg_workers(const lf_config *cfg) {
    const int64_t n = lf_cfg_i64(cfg, LF_dataloader_num_workers);
    return n > 0 ? n : 1;
}

double lf_cfg_f64(const lf_config *cfg, lf_key_id key) {
    const cJSON *json = value_of(cfg, key, 1u << LF_KEY_F64)->json;
    return json ? json->valuedouble : 0;
}

const char *lf_cfg_str(const lf_config *cfg, lf_key_id key) {
    const cJSON *json = value_of(cfg, key, 1u << LF_KEY_STR | 1u << LF_KEY_PATH)->json;
    return json ? json->valuestring : NULL;
}

const cJSON *lf_cfg_json(const lf_config *cfg, lf_key_id key) { return value_of(cfg, key, 1u << LF_KEY_JSON)->json; }

const char *lf_cfg_path(const lf_config *cfg, lf_key_id key) {
    const cJSON *spec = value_of(cfg, key, 1u << LF_KEY_STR | 1u << LF_KEY_PATH | 1u << LF_KEY_JSON)->json;
    return cJSON_GetStringValue(cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "path") : spec);
}

lf_status lf_cfg_paths(lf_paths *out, const lf_config *cfg, lf_key_id key, lf_err *err) {
    const cJSON *spec = value_of(cfg, key, 1u << LF_KEY_STR | 1u << LF_KEY_PATH | 1u << LF_KEY_JSON)->json;
    const cJSON *path = cJSON_IsObject(spec) ? cJSON_GetObjectItemCaseSensitive(spec, "path") : spec;
    return path ? lf_paths_expand(out, path, lf_key_name(key), err) : LF_OK;
}

lf_status lf_cfg_check_inputs(const lf_config *cfg, lf_err *err) {
    lf_status rc = LF_OK;
    for (lf_key_id id = LF_NO_KEY; !rc && (id = lf_key_next(id, LF_IS_INPUT));) {
        lf_paths paths = {0};
        rc = lf_cfg_paths(&paths, cfg, id, err);
        for (int64_t i = 0; i < paths.n && !rc; i++)
            if (!lf_is_file(paths.at[i]) && !lf_is_dir(paths.at[i]))
                rc = lf_cfg_fail(cfg, id, err, "'%s': no such file or folder", paths.at[i]);
        lf_paths_free(&paths);
    }
    return rc;
}

int64_t lf_cfg_list_count(const lf_config *cfg, lf_key_id key) {
    return cJSON_GetArraySize(value_of(cfg, key, 1u << LF_KEY_LIST)->json);
}

const cJSON *lf_cfg_list(const lf_config *cfg, lf_key_id key) { return value_of(cfg, key, 1u << LF_KEY_LIST)->json; }

const char *lf_cfg_list_at(const lf_config *cfg, lf_key_id key, int64_t i) {
    const cJSON *item = cJSON_GetArrayItem(value_of(cfg, key, 1u << LF_KEY_LIST)->json, (int)i);
    return item ? item->valuestring : NULL;
}

bool lf_cfg_is_set(const lf_config *cfg, lf_key_id key) { return value_of(cfg, key, ANY_TYPE)->json != NULL; }
bool lf_cfg_is_given(const lf_config *cfg, lf_key_id key) { return value_of(cfg, key, ANY_TYPE)->given; }
bool lf_cfg_is_flag(const lf_config *cfg, lf_key_id key) {
    return lf_cfg_is_given(cfg, key) && !value_of(cfg, key, ANY_TYPE)->source;
}
const char *lf_cfg_verb(const lf_config *cfg) { return cfg->verb->name; }

typedef enum which { ALL, RESOLVED, GIVEN } which;

/* Does its default stand only where it is not given? */
static bool is_implied(const lf_config *cfg, size_t i) {
    static const struct {
        const char *keys;
        unsigned verbs;
        lf_key_id beside;
    } implied[] = {
#define LF_IMPLIED(keys, verbs, beside) {keys, verbs, beside},
#include "config/implied.def"
#undef LF_IMPLIED
    };
    bool is = lf_key_is_implied(&lf_keys[i]);
    for (size_t k = 0; k < sizeof implied / sizeof *implied && !is; k++)
        is = (implied[k].verbs & cfg->verb->bit) && lf_has_item(implied[k].keys, lf_keys[i].name) &&
             (!implied[k].beside || lf_cfg_is_set(cfg, implied[k].beside));
    return is;
}

static bool is_in(const lf_config *cfg, size_t i, which w) {
    const lf_value *value = &cfg->values[i];
    if (!(lf_keys[i].verbs & cfg->verb->knows) || !value->json) return false;
    return w == ALL || value->given || (w == RESOLVED && !is_implied(cfg, i));
}

static cJSON *to_json(const lf_config *cfg, which w, unsigned any, unsigned none) {
    cJSON *json = cJSON_CreateObject();
    for (size_t i = 0; json && i < lf_n_keys; i++) {
        if (!is_in(cfg, i, w) || !(lf_keys[i].traits & any) || (lf_keys[i].traits & none)) continue;
        cJSON *copy = cJSON_Duplicate(cfg->values[i].json, true);
        if (copy && cJSON_AddItemToObject(json, lf_keys[i].name, copy)) continue;
        cJSON_Delete(copy);
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

cJSON *lf_cfg_to_json(const lf_config *cfg) { return to_json(cfg, ALL, ~0u, 0); }
cJSON *lf_cfg_resolved_to_json(const lf_config *cfg) { return to_json(cfg, RESOLVED, ~0u, 0); }
cJSON *lf_cfg_given_to_json(const lf_config *cfg) { return to_json(cfg, GIVEN, ~0u, 0); }
cJSON *lf_cfg_select(const lf_config *cfg, unsigned any, unsigned none) { return to_json(cfg, ALL, any, none); }

const char *lf_cfg_key_name(const char *verb, const char *key) {
    const lf_verb *v = lf_verb_find(verb);
    const lf_key *found = v ? lf_key_find(key, v->knows) : NULL;
    return found ? found->name : NULL;
}

lf_status lf_cfg_fail(const lf_config *cfg, lf_key_id id, lf_err *err, const char *format, ...) {
    const lf_value *value = value_of(cfg, id, ANY_TYPE);
    const char *key = lf_key_name(id);
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!value->given)
        return lf_fail(err, LF_EUSAGE, "key '%s' (%s): %s", key, value->json ? "default" : "not set", text);
    const lf_place place = {key, value->source, err};
    return lf_place_fail(&place, "%s", text);
}

void lf_config_print(const lf_config *cfg, FILE *out) {
    cJSON *json = lf_cfg_resolved_to_json(cfg);
    char *text = json ? lf_json_print(json, false) : NULL;
    fputs(text ? text : "null\n", out); /* null: out of memory */
    lf_free(text);
    cJSON_Delete(json);
}

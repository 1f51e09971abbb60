#include "config/known.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

/* "1" and "yes" are "true" where a line is for that, and 0.0 is 0. */
static bool is_value(const lf_known *k, const char *value) {
    bool asked, given;
    double number, other;
    if (!k->value || strcasecmp(k->value, value) == 0) return true;
    if (lf_text_to_number(k->value, &number) && lf_text_to_number(value, &other)) return number == other;
    return k->flag && lf_text_to_bool(k->value, &asked) && lf_text_to_bool(value, &given) && asked == given;
}

const lf_known *lf_known_find(const char *name, const char *value) {
    for (size_t i = 0; i < lf_n_knowns; i++) {
        const lf_slice whole = {lf_knowns[i].name, (int)strlen(lf_knowns[i].name)};
        if (lf_same_key_name(name, whole) && (!value || is_value(&lf_knowns[i], value))) return &lf_knowns[i];
    }
    return NULL;
}

bool lf_known_has_value(const char *name, const char *value) {
    const lf_known *k = lf_known_find(name, value);
    return k && k->value;
}

bool lf_known_is(const char *name, const lf_key *key) {
    const size_t n = strlen(key->name);
    for (size_t i = 0; i < lf_n_knowns; i++) {
        const lf_known *k = &lf_knowns[i];
        const lf_slice whole = {k->name, (int)strlen(k->name)};
        if (k->meaning == LF_READ_AS && lf_same_key_name(name, whole) && strncmp(k->text, key->name, n) == 0 &&
            (!k->text[n] || k->text[n] == '='))
            return true;
    }
    return false;
}

/* "precision=bf16", or "train_data" and the value as it was given */
static lf_status read_as(lf_config *cfg, const lf_known *k, const char *value, const cJSON *json, const char *source,
                         lf_err *err) {
    char key[64];
    const char *equals = strchr(k->text, '=');
    snprintf(key, sizeof key, "%.*s", (int)(equals ? (size_t)(equals - k->text) : strlen(k->text)), k->text);
    const lf_key *to = lf_key_find(key, cfg->verb->knows);
    const lf_place from = {k->name, source, err};
    if (!to) return lf_place_fail(&from, "is '%s' here, which is not a key of '%s'", key, cfg->verb->name);
    if (source && cfg->values[to - lf_keys].source == source)
        return lf_place_fail(&from, "is '%s' here, which is given too; delete one", key);
    if (!json || equals) return lf_config_store_text(cfg, to, equals ? equals + 1 : value, source, err);
    cJSON *same = cJSON_Duplicate(json, true);
    return same ? lf_config_store(cfg, to, same, source, err) : lf_no_memory(err, "%s", source);
}

static lf_status set(lf_config *cfg, const char *name, const char *value, const cJSON *json, const char *source,
                     lf_err *err) {
    const lf_known *k = lf_known_find(name, value);
    const lf_place place = {name, source, err};
    if (!k) return lf_unknown_key(cfg, name, source, err);
    if (k->meaning == LF_READ_AS) return read_as(cfg, k, value, json, source, err);
    if (k->meaning == LF_NOT_HERE && lf_known_find(name, NULL) == k && !k->value)
        return lf_place_fail(&place, "not here: %s", k->text); /* whatever the value */
    if (k->meaning == LF_NOT_HERE)
        return lf_place_fail(&place, "not here with this value ('%.64s'): %s", value, k->text);
    lf_info("key '%s' has no effect: %s", k->name, k->text);
    return LF_OK;
}

lf_status lf_known_set(lf_config *cfg, const char *name, const char *value, const cJSON *json, const char *source,
                       lf_err *err) {
    if (!json || cJSON_IsString(json)) return set(cfg, name, json ? json->valuestring : value, json, source, err);
    char *text = lf_json_print_line(json);
    const lf_status rc = text ? set(cfg, name, text, json, source, err) : lf_no_memory(err, "%s", source);
    lf_free(text);
    return rc;
}

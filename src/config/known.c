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

/* "precision=bf16", or "train_data": the key that such a line is read as; NULL: the verb has none of this name */
static const lf_key *key_of(const lf_config *cfg, const lf_known *k, char name[64]) {
    snprintf(name, 64, "%.*s", (int)strcspn(k->text, "="), k->text);
    return lf_key_find(name, cfg->verb->knows);
}

/* The line that is for this value and this verb: one that is read as a key which the verb has not is passed over where
 * there is another (`dtype` is what is computed in where something is, and what is written where nothing is). */
static const lf_known *line_for(const lf_config *cfg, const char *name, const char *value) {
    char key[64];
    const lf_known *first = lf_known_find(name, value), *line = first;
    for (const lf_known *k = first; k && k < lf_knowns + lf_n_knowns && strcmp(k->name, first->name) == 0; k++) {
        if (!is_value(k, value)) continue;
        line = k;
        if (k->meaning != LF_READ_AS || key_of(cfg, k, key)) break;
    }
    return line;
}

static lf_status read_as(lf_config *cfg, const lf_known *k, const char *value, const cJSON *json, const char *source,
                         lf_err *err) {
    char key[64];
    const char *equals = strchr(k->text, '=');
    const lf_key *to = key_of(cfg, k, key);
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
    const lf_known *k = line_for(cfg, name, value);
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

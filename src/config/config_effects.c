/* Settings that have no effect where they are given. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/slice.h"
#include "config/config_internal.h"

typedef enum condition { IS, IS_NOT, SET, ABOVE, NOT_ABOVE } condition;

typedef struct effect {
    const char *keys;
    unsigned verbs;
    lf_key_id other;
    condition condition;
    const char *values;
} effect;

static const effect effects[] = {
#define LF_EFFECT(keys, verbs, other, condition, values) {keys, verbs, LF_##other, condition, values},
#include "config/effects.def"
#undef LF_EFFECT
};

static bool is_above(const cJSON *value) { return cJSON_IsNumber(value) && value->valuedouble > 0; }

static const char *text_of(const cJSON *value) {
    return cJSON_IsBool(value) ? (cJSON_IsTrue(value) ? "true" : "false") : cJSON_GetStringValue(value);
}

static bool is_among(const cJSON *value, const char *values) {
    const char *text = text_of(value);
    return text && lf_has_item(values, text);
}

static bool is_read(const effect *e, const lf_config *cfg) {
    const cJSON *value = cfg->values[e->other - 1].json;
    switch (e->condition) {
    case SET: return value && !cJSON_IsFalse(value);
    case ABOVE: return is_above(value);
    case NOT_ABOVE: return !is_above(value);
    case IS_NOT: return !is_among(value, e->values);
    case IS: break;
    }
    return is_among(value, e->values);
}

/* "with method head", "without forgetting_data" */
static const char *reason(const effect *e, const lf_config *cfg, char *buf, size_t size) {
    const cJSON *value = cfg->values[e->other - 1].json;
    const char *other = lf_key_name(e->other);
    if (e->condition == SET)
        snprintf(buf, size, "without %s", other);
    else if (cJSON_IsNumber(value))
        snprintf(buf, size, "with %s %.9g", other, value->valuedouble);
    else
        snprintf(buf, size, "with %s %s", other, text_of(value) ? text_of(value) : "false");
    return buf;
}

const char *lf_config_unread(const lf_config *cfg, lf_key_id id, char *buf, size_t size) {
    for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
        const effect *e = &effects[i];
        if ((e->verbs & cfg->verb->bit) && lf_has_item(e->keys, lf_key_name(id)) && !is_read(e, cfg))
            return reason(e, cfg, buf, size);
    }
    return NULL;
}

static void say(const lf_value *value, lf_key_id id, const char *why) {
    lf_warn("key '%s' (%s%s) has no effect %s", lf_key_name(id), value->source ? "in " : "on the command line",
            value->source ? value->source : "", why);
}

/* A resolved configuration gives every key: its defaults say nothing about what was wanted. */
static bool is_default(const lf_value *value, lf_key_id id) {
    const lf_key *key = &lf_keys[id - 1];
    const lf_place place = {key->name, NULL, NULL};
    cJSON *fallback = NULL;
    bool same = false;
    const lf_status rc = key->fallback ? lf_value_from_text(&fallback, key, lf_key_default(key), &place) : LF_EUSAGE;
    if (rc || lf_value_check(&fallback, key, &place) || !lf_json_same(&same, value->json, fallback)) same = false;
    cJSON_Delete(fallback);
    return same;
}

static bool is_asked_for(const lf_value *value, lf_key_id id) {
    return value->given && !(value->source && is_default(value, id));
}

void lf_config_say_unread(const lf_config *cfg) {
    for (lf_key_id id = LF_NO_KEY + 1; id < LF_KEY_END; id++) {
        char why[96];
        const lf_value *value = &cfg->values[id - 1];
        if (is_asked_for(value, id) && lf_config_unread(cfg, id, why, sizeof why)) say(value, id, why);
    }
}

void lf_config_say_no_effect(const lf_config *cfg, const char *keys, const char *why) {
    for (lf_key_id id = LF_NO_KEY + 1; id < LF_KEY_END; id++) {
        const lf_value *value = &cfg->values[id - 1];
        if (lf_has_item(keys, lf_key_name(id)) && is_asked_for(value, id)) say(value, id, why);
    }
}

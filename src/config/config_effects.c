/* Settings that have no effect where they are given. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/slice.h"
#include "config/config_internal.h"

typedef enum condition { IS, SET, ABOVE } condition;

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

static bool is_read(const effect *e, const lf_config *cfg) {
    const cJSON *value = cfg->values[e->other - 1].json;
    switch (e->condition) {
    case SET: return value && !cJSON_IsFalse(value);
    case ABOVE: return cJSON_IsNumber(value) && value->valuedouble > 0;
    default: break;
    }
    const char *text = cJSON_IsBool(value) ? (cJSON_IsTrue(value) ? "true" : "false") : cJSON_GetStringValue(value);
    return text && lf_has_item(e->values, text);
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
        snprintf(buf, size, "with %s %s", other, cJSON_IsString(value) ? value->valuestring : "false");
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

void lf_config_say_unread(const lf_config *cfg) {
    for (lf_key_id id = LF_NO_KEY + 1; id < LF_KEY_END; id++) {
        char why[96];
        const lf_value *value = &cfg->values[id - 1];
        if (!value->given || !lf_config_unread(cfg, id, why, sizeof why)) continue;
        lf_warn("key '%s' (%s%s) has no effect %s", lf_key_name(id), value->source ? "in " : "on the command line",
                value->source ? value->source : "", why);
    }
}

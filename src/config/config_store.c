/* One value into a configuration, checked, and what is said of a name that is none. */
#include <string.h>

#include "base/utf8.h"
#include "config/config_internal.h"

lf_status lf_unknown_key(const lf_config *cfg, const char *name, const char *source, lf_err *err) {
    const lf_place place = {name, source, err};
    const lf_key *elsewhere = lf_key_find(name, LF_V_ALL);
    if (elsewhere) {
        char verbs[128] = "";
        for (size_t i = 0; i < lf_n_verbs; i++) {
            if (!(elsewhere->verbs & lf_verbs[i].bit)) continue;
            const size_t used = strlen(verbs);
            snprintf(verbs + used, sizeof verbs - used, "%s'%s'", used ? ", " : "", lf_verbs[i].name);
        }
        return lf_place_fail(&place, "not a key of '%s', only of %s", cfg->verb->name, verbs);
    }
    lf_slice nearest;
    if (lf_key_suggest(&nearest, name, cfg->verb->knows))
        return lf_place_fail(&place, "unknown; did you mean '%.*s'?", nearest.length, nearest.start);
    return lf_place_fail(&place, "unknown; 'lora-ft %s --help' lists the keys", cfg->verb->name);
}

lf_status lf_config_store(lf_config *cfg, const lf_key *key, cJSON *json, const char *source, lf_err *err) {
    const lf_place place = {key->name, source, err};
    const lf_status rc = key->traits & LF_IS_RECORD
                             ? lf_place_fail(&place, "is written by a run that is done or goes on; it cannot be set")
                             : lf_value_check(&json, key, &place);
    if (rc) {
        cJSON_Delete(json);
        return rc;
    }
    lf_value *value = &cfg->values[key - lf_keys];
    cJSON_Delete(value->json);
    *value = (lf_value){json, source, true};
    return LF_OK;
}

/* A run keeps its configuration as JSON, which could not be read again. */
static lf_status check_text(const lf_config *cfg, const char *text, const lf_place *place) {
    const bool keeps = cfg->verb->bit & (LF_V_train | LF_V_sweep | LF_V_continual);
    if (!keeps || lf_utf8_invalid(text, strlen(text)) == strlen(text)) return LF_OK;
    return lf_place_fail(place, "the value is not UTF-8, and a run's config.json could not hold it; rename the file");
}

lf_status lf_config_store_text(lf_config *cfg, const lf_key *key, const char *text, const char *source, lf_err *err) {
    const lf_place place = {key->name, source, err};
    const lf_status bad = check_text(cfg, text, &place);
    if (bad) return bad;
    cJSON *json = NULL;
    const lf_status rc = lf_value_from_text(&json, key, text, &place);
    return rc ? rc : lf_config_store(cfg, key, json, source, err);
}

/* Sliding windows of layers, by the keys that transformers has for them. */
#include <string.h>

#include "base/json.h"
#include "model/family.h"

static lf_status read_layer_type(const lf_model *m, const cJSON *type, int64_t number, int64_t window, bool fixed,
                                 const char *needs, int64_t *to, lf_err *err) {
    const char *name = cJSON_IsString(type) ? type->valuestring : "no string";
    const bool slides = strcmp(name, "sliding_attention") == 0;
    if (!slides && strcmp(name, "full_attention") != 0)
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "%s: key 'layer_types': '%s' (layer %lld) is not supported; known: full_attention, sliding_attention",
            m->config_path, name, (long long)number);
    if (slides && !window)
        return lf_fail(err, LF_EDATA, "%s: key 'layer_types': layer %lld is '%s', but there is no window; expected %s",
                       m->config_path, (long long)number, name, needs);
    if (fixed && slides != (*to > 0))
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'layer_types': layer %lld is '%s', but the layers of a %s model are all of one kind",
                       m->config_path, (long long)number, name, m->family->model_type);
    *to = slides ? window : 0;
    return LF_OK;
}

lf_status lf_family_layer_types(const lf_model *m, int64_t window, bool fixed, const char *needs, int64_t *windows,
                                lf_err *err) {
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(m->config, "layer_types");
    if (!types || cJSON_IsNull(types)) return LF_OK;
    if (!cJSON_IsArray(types) || cJSON_GetArraySize(types) != m->n_layers)
        return lf_fail(err, LF_EDATA, "%s: key 'layer_types': expected a list of %lld names, as num_hidden_layers says",
                       m->config_path, (long long)m->n_layers);
    const cJSON *type = types->child;
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < m->n_layers; i++, type = type->next)
        rc = read_layer_type(m, type, i, window, fixed, needs, &windows[i], err);
    return rc;
}

/* What the keys of a rule are, and what a missing sliding_window means: null is none for all of them. */
static const struct rule {
    bool switched; /* by use_sliding_window */
    bool uniform;  /* all layers are alike, whatever layer_types says */
    int64_t missing;
} rules[] = {
    [LF_WINDOW_NEVER] = {.uniform = true},     [LF_WINDOW_EVERYWHERE] = {.uniform = true, .missing = 4096},
    [LF_WINDOW_GIVEN] = {.uniform = true},     [LF_WINDOW_BY_LAYER] = {.switched = true, .missing = 4096},
    [LF_WINDOW_UNTURNED] = {.switched = true}, [LF_WINDOW_PATTERN] = {.missing = 4096},
};

static lf_status read_window(const lf_model *m, const struct rule *rule, int64_t *window, lf_err *err) {
    bool used = true;
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(m->config, "sliding_window");
    *window = 0;
    const lf_status rc =
        rule->switched ? lf_json_get_bool(m->config, "use_sliding_window", false, &used, m->config_path, err) : LF_OK;
    if (rc || !used || cJSON_IsNull(key) || (!key && !rule->missing)) return rc;
    return lf_family_size(m, "sliding_window", rule->missing, INT32_MAX, window, err);
}

/* Does layer i slide, if nothing else says it? number: max_window_layers, or how many of a pattern there are. */
static bool slides(const lf_window_opts *o, int64_t number, int64_t i) {
    return o->rule == LF_WINDOW_BY_LAYER   ? i >= number
           : o->rule == LF_WINDOW_PATTERN  ? (i + 1) % number != 0
           : o->rule == LF_WINDOW_UNTURNED ? o->unturned[i]
                                           : true;
}

static lf_status read_number(const lf_model *m, const lf_window_opts *o, int64_t *number, lf_err *err) {
    *number = o->full_every;
    if (o->rule == LF_WINDOW_PATTERN && o->pattern_key)
        return lf_family_size(m, o->pattern_key, o->full_every, INT32_MAX, number, err);
    return o->rule == LF_WINDOW_BY_LAYER
               ? lf_json_get_i64(m->config, "max_window_layers", 28, number, m->config_path, err)
               : LF_OK;
}

lf_status lf_family_windows(const lf_model *m, const lf_window_opts *opts, int64_t *windows, lf_err *err) {
    const struct rule *rule = &rules[opts->rule];
    const char *needs = rule->switched ? "sliding_window and use_sliding_window" : "sliding_window";
    int64_t window, number;
    lf_status rc;
    if (opts->rule == LF_WINDOW_NEVER && (rc = lf_family_refuse(m, "sliding_window", "a sliding window is", err)))
        return rc;
    if ((rc = read_number(m, opts, &number, err)) || (rc = read_window(m, rule, &window, err))) return rc;
    if (opts->rule == LF_WINDOW_PATTERN && !window &&
        !cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(m->config, "layer_types")))
        return lf_fail(err, LF_EDATA, "%s: key 'sliding_window': expected a number, for the layers that slide",
                       m->config_path);
    for (int64_t i = 0; i < m->n_layers; i++) windows[i] = slides(opts, number, i) ? window : 0;
    return lf_family_layer_types(m, window, rule->uniform, needs, windows, err);
}

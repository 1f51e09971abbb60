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
        return lf_fail(err, LF_EDATA, "%s: key 'layer_types': expected a list of %lld names, one for each layer",
                       m->config_path, (long long)m->n_layers);
    const cJSON *type = types->child;
    lf_status rc = LF_OK;
    for (int64_t i = 0; !rc && i < m->n_layers; i++, type = type->next)
        rc = read_layer_type(m, type, i, window, fixed, needs, &windows[i], err);
    return rc;
}

/* Where a window is not given, transformers takes 4096; null is none. */
static lf_status read_window(const lf_model *m, lf_window_rule rule, int64_t *window, int64_t *from, lf_err *err) {
    bool used = rule == LF_WINDOW_EVERYWHERE;
    lf_status rc;
    *window = *from = 0;
    if (rule == LF_WINDOW_NEVER) return lf_family_refuse(m, "sliding_window", "a sliding window is", err);
    if (rule == LF_WINDOW_BY_LAYER &&
        ((rc = lf_json_get_bool(m->config, "use_sliding_window", false, &used, m->config_path, err)) ||
         (rc = lf_json_get_i64(m->config, "max_window_layers", 28, from, m->config_path, err))))
        return rc;
    if (!used || cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(m->config, "sliding_window"))) return LF_OK;
    return lf_family_size(m, "sliding_window", 4096, INT32_MAX, window, err);
}

lf_status lf_family_windows(const lf_model *m, lf_window_rule rule, int64_t *windows, lf_err *err) {
    int64_t window, from;
    const lf_status rc = read_window(m, rule, &window, &from, err);
    if (rc) return rc;
    for (int64_t i = 0; i < m->n_layers; i++) windows[i] = i < from ? 0 : window;
    const bool by_layer = rule == LF_WINDOW_BY_LAYER;
    return lf_family_layer_types(m, window, !by_layer,
                                 by_layer ? "sliding_window and use_sliding_window" : "sliding_window", windows, err);
}

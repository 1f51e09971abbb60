#include "model/family.h"

#include <string.h>

#include "base/json.h"

/* ---- config.json ---- */

static bool is_given(const lf_model *m, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, key);
    return item && !cJSON_IsNull(item);
}

lf_status lf_family_sizes(const lf_model *m, const lf_size_key *keys, size_t n, lf_err *err) {
    for (size_t i = 0; i < n; i++) {
        const lf_size_key *k = &keys[i];
        const char *key = k->other && !is_given(m, k->key) && is_given(m, k->other) ? k->other : k->key;
        const lf_status rc = lf_json_get_i64(m->config, key, k->fallback, k->to, m->config_path, err);
        if (rc) return rc;
        if ((*k->to < 1 || *k->to > k->max) && (k->fallback || is_given(m, key)))
            return lf_fail(err, LF_EDATA, "%s: key '%s': expected 1 to %lld, found %lld", m->config_path, key, (long long)k->max,
                           (long long)*k->to);
    }
    return LF_OK;
}

lf_status lf_family_fractions(const lf_model *m, const lf_fraction_key *keys, size_t n, lf_err *err) {
    for (size_t i = 0; i < n; i++) {
        const lf_status rc = lf_json_get_f64(m->config, keys[i].key, keys[i].fallback, keys[i].to, m->config_path, err);
        if (rc) return rc;
        if (!(*keys[i].to >= 0 && *keys[i].to < 1))
            return lf_fail(err, LF_EDATA, "%s: key '%s': expected at least 0 and below 1, found %g", m->config_path, keys[i].key,
                           *keys[i].to);
    }
    return LF_OK;
}

lf_status lf_family_refuse(const lf_model *m, const lf_refused_key *keys, size_t n, lf_err *err) {
    for (size_t i = 0; i < n; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, keys[i].key);
        const bool empty = !item || cJSON_IsNull(item) || cJSON_IsFalse(item) || (cJSON_IsObject(item) && !item->child);
        if (!empty)
            return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': %s not supported for model_type '%s'", m->config_path, keys[i].key,
                           keys[i].what, m->family->model_type);
    }
    return LF_OK;
}

static const struct { const char *name; bool tanh_form; } gelus[] = {
    {"gelu", false}, {"gelu_python", false}, {"gelu_new", true}, {"gelu_pytorch_tanh", true}, {"gelu_fast", true}};

lf_status lf_family_gelu(const lf_model *m, const char *key, const char *fallback, bool *tanh_form, lf_err *err) {
    const char *name;
    const lf_status rc = lf_json_get_str(m->config, key, fallback, &name, m->config_path, err);
    if (rc) return rc;
    for (size_t i = 0; i < sizeof gelus / sizeof gelus[0]; i++)
        if (strcmp(name, gelus[i].name) == 0) {
            *tanh_form = gelus[i].tanh_form;
            return LF_OK;
        }
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': '%s' is not supported for %s; known: gelu, gelu_new, gelu_pytorch_tanh",
                   m->config_path, key, name, m->family->model_type);
}

/* ---- the table of modules ---- */

lf_module *lf_family_product(lf_nn *nn, lf_module_kind kind, int64_t out, int64_t in, bool bias, const char *name, const char *alias) {
    lf_module *m = lf_nn_module(nn, kind, out, in, name, alias);
    if (!m) return NULL;
    m->weight = lf_nn_param(nn, name, alias, "weight", 2, (int64_t[]){out, in}, true);
    if (bias) m->bias = lf_nn_param(nn, name, alias, "bias", 1, (int64_t[]){out}, false);
    return m->weight && (m->bias || !bias) ? m : NULL;
}

lf_module *lf_family_norm(lf_nn *nn, int64_t C, bool bias, const char *name, const char *alias) {
    lf_module *m = lf_nn_module(nn, LF_MODULE_NORM, C, C, name, alias);
    if (!m) return NULL;
    m->weight = lf_nn_param(nn, name, alias, "weight", 1, (int64_t[]){C}, false);
    if (bias) m->bias = lf_nn_param(nn, name, alias, "bias", 1, (int64_t[]){C}, false);
    return m->weight && (m->bias || !bias) ? m : NULL;
}

lf_module *lf_family_table(lf_nn *nn, int64_t rows, int64_t C, const char *name, const char *alias) {
    lf_module *m = lf_nn_module(nn, LF_MODULE_TABLE, rows, C, name, alias);
    if (m) m->weight = lf_nn_param(nn, name, alias, "weight", 2, (int64_t[]){rows, C}, false);
    return m && m->weight ? m : NULL;
}

/* ---- forward ---- */

lf_tensor *lf_family_residual(lf_graph *g, lf_tensor *x, lf_tensor *branch) {
    lf_tensor *y = lf_add(g, x, branch);
    lf_done(g, x);
    lf_done(g, branch);
    return y;
}

lf_tensor *lf_family_layer(const lf_model *m, lf_graph *g, lf_block_fn layer, const void *block, lf_tensor *x) {
    if (!m->gradient_checkpointing) return layer(block, g, x);
    lf_tensor *y = lf_checkpoint(g, layer, block, x);
    lf_done(g, x);
    return y;
}

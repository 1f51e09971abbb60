#include "model/lm.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

lf_status lf_lm_size(const lf_model *m, const char *key, int64_t fallback, int64_t max, int64_t *out, lf_err *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, key);
    if (fallback < 0 && (!item || cJSON_IsNull(item)))
        return lf_fail(err, LF_EDATA, "%s: key '%s' is missing; a %s model needs it", m->config_path, key,
                       m->family->model_type);
    *out = fallback;
    if (!item || cJSON_IsNull(item)) return LF_OK;
    const lf_status rc = lf_json_get_i64(m->config, key, fallback, out, m->config_path, err);
    if (rc || (*out >= 1 && *out <= max)) return rc;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected 1 to %lld, found %lld", m->config_path, key, (long long)max,
                   (long long)*out);
}

lf_status lf_lm_share(const lf_model *m, const char *key, double fallback, double *out, lf_err *err) {
    const lf_status rc = lf_json_get_f64(m->config, key, fallback, out, m->config_path, err);
    if (rc || (*out >= 0 && *out < 1)) return rc;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected at least 0 and below 1, found %g", m->config_path, key, *out);
}

lf_status lf_lm_refuse(const lf_model *m, const char *key, const char *what, lf_err *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, key);
    if (!item || cJSON_IsNull(item) || cJSON_IsFalse(item) || (cJSON_IsObject(item) && !item->child)) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': %s not supported for model_type '%s'", m->config_path, key,
                   what, m->family->model_type);
}

lf_status lf_lm_only(const lf_model *m, const char *key, const char *only, lf_err *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, key);
    if (!item || cJSON_IsNull(item) || (cJSON_IsString(item) && strcmp(item->valuestring, only) == 0)) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': '%s' is not supported for %s; only %s is", m->config_path, key,
                   cJSON_IsString(item) ? item->valuestring : "a value that is no string", m->family->model_type, only);
}

lf_module *lf_lm_linear(lf_nn *nn, int64_t out, int64_t in, bool bias, const char *name) {
    lf_module *m = lf_nn_module(nn, LF_MODULE_LINEAR, out, in, name, name);
    if (!m) return NULL;
    m->weight = lf_nn_param(nn, name, name, "weight", 2, (int64_t[]){out, in}, true);
    if (bias) m->bias = lf_nn_param(nn, name, name, "bias", 1, (int64_t[]){out}, false);
    return m->weight && (m->bias || !bias) ? m : NULL;
}

lf_module *lf_lm_norm(lf_nn *nn, int64_t C, bool bias, const char *name) {
    lf_module *m = lf_nn_module(nn, LF_MODULE_NORM, C, C, name, name);
    if (!m) return NULL;
    m->weight = lf_nn_param(nn, name, name, "weight", 1, (int64_t[]){C}, false);
    if (bias) m->bias = lf_nn_param(nn, name, name, "bias", 1, (int64_t[]){C}, false);
    return m->weight && (m->bias || !bias) ? m : NULL;
}

bool lf_lm_declare_ends(lf_model *m, const char *embedding, const char *const *targets) {
    lf_nn *nn = &m->nn;
    nn->default_targets = targets;
    const int64_t V = m->vocab_size, C = m->hidden_size;
    lf_module *table = lf_nn_module(nn, LF_MODULE_EMBEDDING, V, C, embedding, embedding);
    if (!table || !(table->weight = lf_nn_param(nn, embedding, embedding, "weight", 2, (int64_t[]){V, C}, false)))
        return false;
    m->embedding = table->weight;
    m->lm_head = lf_nn_module(nn, LF_MODULE_LINEAR, V, C, "lm_head", "lm_head");
    if (!m->lm_head) return false;
    m->lm_head->is_head = true;
    m->lm_head->weight =
        m->tied ? m->embedding : lf_nn_param(nn, "lm_head", "lm_head", "weight", 2, (int64_t[]){V, C}, true);
    return m->lm_head->weight != NULL;
}

const lf_st_tensor *lf_lm_find(const lf_safetensors *st, const lf_param *p) {
    const lf_st_tensor *t = lf_safetensors_find(st, p->file_name);
    const char *rest = strchr(p->file_name, '.');
    return t || !rest || strncmp(p->file_name, "lm_head.", 8) == 0 ? t : lf_safetensors_find(st, rest + 1);
}

bool lf_lm_ends(const char *name, const char *const *ends) {
    const size_t n = strlen(name);
    for (; *ends; ends++) {
        const size_t k = strlen(*ends);
        if (n >= k && strcmp(name + n - k, *ends) == 0) return true;
    }
    return false;
}

void lf_lm_init_param(const lf_param *p, lf_rng_key key, double range, float *out) {
    const bool weight = p->tensor.ndim > 1, norm = !weight && strstr(p->name, ".weight");
    for (int64_t i = 0; i < p->tensor.numel; i++)
        out[i] = norm ? 1.0f : weight ? (float)(range * lf_rng_normal(key, (uint64_t)i)) : 0.0f;
}

bool lf_lm_check_ids(const lf_model *m, lf_graph *g, const lf_model_input *in) {
    for (int64_t i = 0; i < in->B * in->T; i++) {
        const bool known = in->ids[i] >= 0 && in->ids[i] < m->vocab_size;
        if (known && in->positions[i] >= 0 && in->positions[i] < m->max_positions) continue;
        lf_graph_fail(g, LF_EDATA,
                      "%s: token id %d at position %d; the model knows ids below %lld and positions below %lld",
                      m->path, in->ids[i], in->positions[i], (long long)m->vocab_size, (long long)m->max_positions);
        return false;
    }
    return true;
}

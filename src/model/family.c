/* Readers of config.json that families share. */
#include "model/family.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/slice.h"

lf_status lf_family_size(const lf_model *m, const char *key, int64_t fallback, int64_t max, int64_t *out, lf_err *err) {
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

lf_status lf_family_share(const lf_model *m, const char *key, double fallback, double *out, lf_err *err) {
    const lf_status rc = lf_json_get_f64(m->config, key, fallback, out, m->config_path, err);
    if (rc || (*out >= 0 && *out < 1)) return rc;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected at least 0 and below 1, found %g", m->config_path, key, *out);
}

lf_status lf_family_positive(const lf_model *m, const char *key, double fallback, double *out, lf_err *err) {
    const lf_status rc = lf_json_get_f64(m->config, key, fallback, out, m->config_path, err);
    if (rc || *out > 0) return rc;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected a positive number, found %g", m->config_path, key, *out);
}

lf_status lf_family_multiple(const lf_model *m, const char *key, int64_t value, const char *part_key, int64_t part,
                             lf_err *err) {
    if (value % part == 0) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key '%s': %lld is not a multiple of %s %lld", m->config_path, key,
                   (long long)value, part_key, (long long)part);
}

lf_status lf_family_refuse(const lf_model *m, const char *key, const char *what, lf_err *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, key);
    if (!item || cJSON_IsNull(item) || cJSON_IsFalse(item) || (cJSON_IsObject(item) && !item->child)) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': %s not supported for model_type '%s'", m->config_path, key,
                   what, m->family->model_type);
}

static bool ends_so(const char *name, const char *end) {
    const size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

lf_status lf_family_check_class(const lf_model *m, bool answers, lf_err *err) {
    static const struct {
        const char *end, *what;
    } others[] = {{"ForTokenClassification", "classes of single tokens are"},
                  {"ForMultipleChoice", "heads that choose among texts are"},
                  {"LMHeadModel", "decoders are"},
                  {"ForCausalLM", "decoders are"},
                  {"ForQuestionAnswering", "answers in a text are"}};
    const size_t n = sizeof others / sizeof *others - (answers ? 0 : 1);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(m->config, "architectures"), *item;
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_IsString(item) ? item->valuestring : "";
        for (size_t i = 0; i < n; i++)
            if (ends_so(name, others[i].end))
                return lf_fail(err, LF_EUNSUPPORTED,
                               "%s: key 'architectures': '%s': %s not supported for model_type '%s'; try a file of the "
                               "model before it was trained for that",
                               m->config_path, name, others[i].what, m->family->model_type);
    }
    return LF_OK;
}

bool lf_family_is_for(const lf_model *m, const char *architecture) {
    const cJSON *item, *list = cJSON_GetObjectItemCaseSensitive(m->config, "architectures");
    cJSON_ArrayForEach(item, list) if (cJSON_IsString(item) && ends_so(item->valuestring, architecture)) return true;
    return false;
}

static const char *const activations[LF_ACTIVATIONS] = {
#define LF_ACTIVATION(kind, name, names) [kind] = names,
#include "kernels/activations.def"
#undef LF_ACTIVATION
};

static const char known_activations[] =
#define LF_ACTIVATION(kind, name, names) ", " names
#include "kernels/activations.def"
#undef LF_ACTIVATION
    ;

lf_status lf_family_activation(const lf_model *m, const char *key, const char *fallback, lf_activation_kind *out,
                               lf_err *err) {
    const char *name;
    const lf_status rc = lf_json_get_str(m->config, key, fallback, &name, m->config_path, err);
    if (rc) return rc;
    for (*out = 0; *out < LF_ACTIVATIONS; ++*out)
        if (lf_has_item(activations[*out], name)) return LF_OK;
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': '%s' is not supported for %s; known: %s", m->config_path, key,
                   name, m->family->model_type, known_activations + strlen(", "));
}

/* image_size and patch_size may be a number or [height, width]. */
static lf_status read_size(const lf_model *m, const char *key, int64_t fallback, int64_t size[2], lf_err *err) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(m->config, key);
    if (cJSON_IsArray(value)) {
        if (cJSON_GetArraySize(value) != 2 || !lf_json_exact_i64(cJSON_GetArrayItem(value, 0), &size[0]) ||
            !lf_json_exact_i64(cJSON_GetArrayItem(value, 1), &size[1]))
            return lf_fail(err, LF_EDATA, "%s: key '%s': expected a whole number or [height, width]", m->config_path,
                           key);
    } else {
        const lf_status rc = lf_json_get_i64(m->config, key, fallback, &size[0], m->config_path, err);
        if (rc) return rc;
        size[1] = size[0];
    }
    if (size[0] < 1 || size[1] < 1 || size[0] > 16384 || size[1] > 16384)
        return lf_fail(err, LF_EDATA, "%s: key '%s': expected 1 to 16384, found %lld x %lld", m->config_path, key,
                       (long long)size[0], (long long)size[1]);
    return LF_OK;
}

lf_status lf_family_pictures(lf_model *m, int64_t fallback, int64_t *side, lf_err *err) {
    int64_t image[2], patch[2];
    lf_status rc;
    if ((rc = read_size(m, "image_size", 224, image, err)) || (rc = read_size(m, "patch_size", fallback, patch, err)) ||
        (rc = lf_family_size(m, "num_channels", 3, 4, &m->pixels.channels, err)))
        return rc;
    if (patch[0] != patch[1])
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'patch_size': patches that are not square (%lld x %lld) are not supported",
                       m->config_path, (long long)patch[0], (long long)patch[1]);
    if (image[0] % patch[0] || image[1] % patch[0])
        return lf_fail(err, LF_EDATA, "%s: key 'patch_size': %lld does not divide image_size %lld x %lld",
                       m->config_path, (long long)patch[0], (long long)image[0], (long long)image[1]);
    m->pixels.height = image[0];
    m->pixels.width = image[1];
    *side = patch[0];
    return LF_OK;
}

int64_t lf_text_length(const lf_model_input *in, int64_t row) { return in->lengths ? in->lengths[row] : in->T; }

bool lf_family_check_lengths(const lf_model *m, lf_graph *g, const lf_model_input *in) {
    for (int64_t b = 0; b < in->B; b++) {
        const int64_t n = lf_text_length(in, b);
        if (n >= 1 && n <= m->tokens.max_positions) continue;
        lf_graph_fail(g, LF_EDATA, "%s: a text of %lld tokens; the model takes 1 to %lld", m->path, (long long)n,
                      (long long)m->tokens.max_positions);
        return false;
    }
    return true;
}

lf_tensor *lf_family_embed(const lf_model *m, lf_graph *g, const lf_pass *pass, lf_tensor *positions_table,
                           const int32_t *positions) {
    const lf_module *table = m->tokens.table;
    lf_tensor *x = lf_embed(g, pass->in.ids, pass->in.B, pass->in.T, &table->weight->tensor,
                            pass->base ? NULL : table->lora, positions_table, positions);
    if (!x || pass->base || !(m->neftune_noise_alpha > 0)) return x;
    const double cells = (double)(x->numel / pass->in.B), scale = m->tokens.scaled_by > 0 ? m->tokens.scaled_by : 1;
    return lf_noise(g, x, m->neftune_noise_alpha / sqrt(cells) / scale);
}

lf_module *lf_head_layer(const lf_model *m, const lf_pass *pass, int number) {
    lf_module *inner = (pass->head ? pass->head : &m->head)->inner[number];
    return inner && (lf_nn_is_frozen(inner) || inner->weight->tensor.data) ? inner : NULL;
}

bool lf_family_check_ids(const lf_model *m, lf_graph *g, const lf_model_input *in) {
    for (int64_t i = 0; i < in->B * in->T; i++) {
        const bool known = in->ids[i] >= 0 && in->ids[i] < m->tokens.vocab_size;
        if (known && in->positions[i] >= 0 && in->positions[i] < m->tokens.max_positions) continue;
        lf_graph_fail(
            g, LF_EDATA, "%s: token id %d at position %d; the model knows ids below %lld and positions below %lld",
            m->path, in->ids[i], in->positions[i], (long long)m->tokens.vocab_size, (long long)m->tokens.max_positions);
        return false;
    }
    return true;
}

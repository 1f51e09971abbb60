/* The weights of a file into a model's parameters: frozen products, or floats; and the heads that a file has or lacks.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/family.h"

/* One tensor of the file into its place: a frozen product, or floats. `buffer` holds any parameter. */
static lf_status load_param(lf_model *m, const lf_st_tensor *t, lf_param *p, lf_load load, float *buffer, lf_err *err) {
    lf_module *module = lf_nn_holder(&m->nn, p);
    const bool always_frozen = module && (module->head == LF_CLASS_HEAD || module->head == LF_MASKED_HEAD);
    const bool trained = load == LF_LOAD_TRAINED && !always_frozen;
    if (!lf_param_read(m, p, t, buffer)) return lf_no_memory(err, "%s", p->name);
    if (!trained && module && module->weight == p &&
        (module->kind == LF_MODULE_LINEAR || module->kind == LF_MODULE_CONV))
        return lf_nn_freeze(&m->nn, module, buffer, err);
    lf_status rc = LF_OK;
    if (!trained && p == m->tokens.embedding) {
        rc = lf_nn_hold_act(&m->nn, p, buffer, err);
        return !rc && m->tied && m->lm_head ? lf_nn_freeze(&m->nn, m->lm_head, buffer, err) : rc;
    }
    rc = lf_nn_hold(&m->nn, p, err);
    if (rc) return rc;
    m->nn.k->from_f32(p->tensor.data, buffer, p->tensor.numel);
    return trained ? lf_nn_train(&m->nn, p, err) : LF_OK;
}

int64_t lf_model_largest_param(const lf_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->nn.n_params; i++)
        if (m->nn.params[i]->tensor.numel > n) n = m->nn.params[i]->tensor.numel;
    return n;
}

/* ---- heads that the file has ---- */

bool lf_model_file_has(const lf_model *m, const lf_module *module) {
    return lf_family_find(m->family, m->weights, module->weight) ||
           (module->bias && lf_family_find(m->family, m->weights, module->bias));
}

/* A file has its head whole or (ViTModel) not at all, and then it may lack what stands before a head (a pooler), too:
 * each layer whole or not at all. */
static bool may_lack(const lf_model *m, const lf_module *module) {
    if (!module || !m->head.module || lf_model_file_has(m, m->head.module)) return false;
    bool of_head = module == m->head.module;
    for (int i = 0; i < LF_HEAD_LAYERS; i++) of_head |= module == m->head.inner[i];
    return of_head && !lf_model_file_has(m, module);
}

static void take_base_head(lf_model *m) {
    if (m->head.module && lf_model_file_has(m, m->head.module)) {
        m->base_head = m->head;
        return;
    }
    for (int i = 0; i < LF_HEAD_LAYERS; i++) {
        lf_module *inner = m->head.inner[i];
        m->base_head.inner[i] = inner && lf_model_file_has(m, inner) ? inner : NULL;
    }
}

static bool is_named_masked(const lf_model *m) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(m->config, "architectures"), *item;
    bool named = false;
    cJSON_ArrayForEach(item, list) named |= cJSON_IsString(item) && strstr(item->valuestring, "ForMaskedLM");
    return named;
}

/* Of what is the masked-language-model head's alone: a tied weight is the embedding's too. A head that has nothing of
 * its own is there if config.json says so. */
bool lf_model_has_masked_head(const lf_model *m) {
    bool own = false;
    for (int64_t i = 0; i < m->nn.n_modules; i++) {
        const lf_module *module = m->nn.modules[i];
        if (module->head != LF_MASKED_HEAD) continue;
        own |= module->bias || module->weight != m->tokens.embedding;
        if ((module->weight != m->tokens.embedding && lf_family_find(m->family, m->weights, module->weight)) ||
            (module->bias && lf_family_find(m->family, m->weights, module->bias)))
            return true;
    }
    return !own && is_named_masked(m);
}

void lf_model_drop_masked_head(lf_model *m) {
    for (int64_t i = m->nn.n_modules; i-- > 0;)
        if (m->nn.modules[i]->head == LF_MASKED_HEAD) lf_nn_drop(&m->nn, m->nn.modules[i]);
    m->lm_head = NULL;
}

lf_status lf_model_load_all(lf_model *m, lf_load load, lf_err *err) {
    float *buffer =
        load == LF_LOAD_NOTHING ? NULL : lf_aligned_alloc((size_t)lf_model_largest_param(m) * sizeof *buffer);
    if (load != LF_LOAD_NOTHING && !buffer) return lf_no_memory(err, "the largest tensor of %s", m->path);
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < m->nn.n_params && !rc; i++) {
        lf_param *p = m->nn.params[i];
        const lf_st_tensor *t = lf_family_find(m->family, m->weights, p);
        if (!t && may_lack(m, lf_nn_holder(&m->nn, p))) continue;
        if (!t) {
            rc = lf_fail(err, LF_EDATA,
                         "%s: tensor '%s' is missing (config.json asks for it); is the download complete?",
                         lf_safetensors_path(m->weights), p->file_name);
        } else if (!(rc = lf_param_check(m, p, t, err))) {
            p->file_dtype = t->dtype;
            if (load != LF_LOAD_NOTHING) rc = load_param(m, t, p, load, buffer, err);
        }
    }
    take_base_head(m);
    lf_aligned_free(buffer);
    return rc;
}

/* The weights of a file into a model's parameters: frozen products, or floats; and the heads that a file has or lacks.
 */
#include <stdio.h>
#include <string.h>

#include "base/mapping.h"
#include "base/mem.h"
#include "model/family.h"

/* ---- one tensor of the file into its place ---- */

static lf_status read_values(float **out, const lf_model *m, const lf_param *p, const lf_st_tensor *t, lf_err *err) {
    *out = lf_aligned_alloc((size_t)p->tensor.numel * sizeof **out);
    return *out && lf_param_read(m, p, t, *out) ? LF_OK : lf_no_memory(err, "%s", p->name);
}

/* The numbers of the file as they are, where they are those that are computed with: borrowed or copied. */
static lf_nn_there in_place(const lf_model *m, const lf_param *p, const lf_st_tensor *t, lf_dtype type) {
    const void *there = lf_param_in_place(p, t, type);
    const bool aligned = (uintptr_t)there % lf_dtype_size(type) == 0;
    return (lf_nn_there){there, aligned && m->maps};
}

static lf_status freeze(lf_model *m, lf_module *module, const lf_param *p, const lf_st_tensor *t, lf_err *err) {
    float *W = NULL;
    const lf_nn_there there = in_place(m, p, t, lf_nn_act_dtype(&m->nn, module));
    if (there.data && lf_nn_is_plain(&m->nn, module)) return lf_nn_freeze_there(&m->nn, module, there, err);
    lf_status rc = read_values(&W, m, p, t, err);
    if (!rc) rc = lf_nn_freeze(&m->nn, module, W, err);
    lf_aligned_free(W);
    return rc;
}

/* The embedding of tokens, to be looked up, and an output layer that it is the weight of: where that is plain too, both
 * are one copy. */
static lf_status load_table(lf_model *m, lf_param *p, const lf_st_tensor *t, lf_err *err) {
    lf_module *tied = m->tied ? m->lm_head : NULL;
    float *values = NULL;
    const lf_nn_there there = in_place(m, p, t, m->nn.k->act_dtype);
    const bool one = tied && lf_nn_is_plain(&m->nn, tied);
    lf_status rc = LF_OK;
    if (!there.data || (tied && !one)) rc = read_values(&values, m, p, t, err);
    if (!rc) rc = there.data ? lf_nn_hold_there(&m->nn, p, there, err) : lf_nn_hold_act(&m->nn, p, values, err);
    if (!rc && one) rc = lf_nn_freeze_there(&m->nn, tied, (lf_nn_there){p->tensor.data, true}, err);
    if (!rc && tied && !one) rc = lf_nn_freeze(&m->nn, tied, values, err);
    lf_aligned_free(values);
    return rc;
}

static lf_status load_floats(lf_model *m, lf_param *p, const lf_st_tensor *t, bool trained, lf_err *err) {
    float *values = NULL;
    lf_status rc = read_values(&values, m, p, t, err);
    if (!rc && !(rc = lf_nn_hold(&m->nn, p, err))) m->nn.k->from_f32(p->tensor.data, values, p->tensor.numel);
    lf_aligned_free(values);
    return rc || !trained ? rc : lf_nn_train(&m->nn, p, err);
}

static lf_status load_param(lf_model *m, const lf_st_tensor *t, lf_param *p, lf_err *err) {
    lf_module *module = lf_nn_holder(&m->nn, p);
    const bool always_frozen = module && (module->head == LF_CLASS_HEAD || module->head == LF_MASKED_HEAD);
    const bool trained = m->opts.load == LF_LOAD_TRAINED && !always_frozen;
    const bool product =
        module && module->weight == p && (module->kind == LF_MODULE_LINEAR || module->kind == LF_MODULE_CONV);
    if (!trained && product) return freeze(m, module, p, t, err);
    if (!trained && p == m->tokens.embedding) return load_table(m, p, t, err);
    return load_floats(m, p, t, trained, err);
}

/* ---- how they are held ---- */

/* Packed copies make a step faster, by 1 to 4 in a hundred with 256 to 1024 rows and by 6 to 14 with thousands, and
 * take four bytes a number where the mapped file takes none of its own (docs/performance.md). They are made of models
 * that are small beside what a step takes anyway. */
static const int64_t most_packed = (int64_t)2 << 30; /* bytes of all packed copies */

static bool is_small(const lf_model *m) {
    enum { BYTES = 4 }; /* of a number in two copies */
    int64_t numbers = 0;
    for (int64_t i = 0; i < m->nn.n_params; i++) numbers += m->nn.params[i]->tensor.numel;
    return numbers <= most_packed / BYTES;
}

static void choose_holding(lf_model *m) {
    m->nn.packs = is_small(m);
    m->nn.lets_go = m->opts.lets_go;
    if (m->opts.load == LF_LOAD_FROZEN) m->nn.quantised = m->opts.quantised;
    m->maps = m->opts.weights == LF_WEIGHTS_MAP || (m->opts.weights == LF_WEIGHTS_AUTO && !lf_is_remote(m->path));
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

lf_status lf_model_load_all(lf_model *m, lf_err *err) {
    lf_status rc = LF_OK;
    choose_holding(m);
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
            if (m->opts.load != LF_LOAD_NOTHING) rc = load_param(m, t, p, err);
            if (!m->maps) lf_safetensors_drop_pages(m->weights, t); /* else they would stand beside the copies */
        }
    }
    take_base_head(m);
    return rc;
}

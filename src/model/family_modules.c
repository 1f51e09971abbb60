/* The table of modules, line by line: what families share in declaring it, and in starting its weights. */
#include <stdio.h>
#include <string.h>

#include "model/family.h"

lf_module *lf_family_linear(lf_nn *nn, int64_t out, int64_t in, bool bias, const char *name, const char *alias) {
    const char *file = alias ? alias : name;
    lf_module *m = lf_nn_module(nn, LF_MODULE_LINEAR, out, in, name, file);
    if (!m) return NULL;
    m->weight = lf_nn_param(nn, name, file, "weight", 2, (int64_t[]){out, in}, true);
    if (bias) m->bias = lf_nn_param(nn, name, file, "bias", 1, (int64_t[]){out}, false);
    return m->weight && (m->bias || !bias) ? m : NULL;
}

lf_module *lf_family_norm(lf_nn *nn, int64_t C, bool bias, const char *name, const char *alias) {
    const char *file = alias ? alias : name;
    lf_module *m = lf_nn_module(nn, LF_MODULE_NORM, C, C, name, file);
    if (!m) return NULL;
    m->weight = lf_nn_param(nn, name, file, "weight", 1, (int64_t[]){C}, false);
    if (bias) m->bias = lf_nn_param(nn, name, file, "bias", 1, (int64_t[]){C}, false);
    return m->weight && (m->bias || !bias) ? m : NULL;
}

static bool declare_part(lf_nn *nn, const lf_layer_part *p, const char *name, const char *alias) {
    lf_module *m = p->out ? lf_family_linear(nn, p->out, p->in, p->bias, name, alias)
                          : lf_family_norm(nn, p->in, p->bias, name, alias);
    if (m && p->transposed) m->weight->transposed = true;
    *p->to = m;
    return m != NULL;
}

bool lf_family_layer(lf_nn *nn, const char *layers, const char *file_layers, int64_t number, const lf_layer_part *parts,
                     size_t n) {
    for (size_t i = 0; i < n; i++) {
        char name[128], alias[128];
        const lf_layer_part *p = &parts[i];
        if (!p->in) continue;
        snprintf(name, sizeof name, "%s.%lld.%s", layers, (long long)number, p->name);
        snprintf(alias, sizeof alias, "%s.%lld.%s", file_layers, (long long)number, p->alias ? p->alias : p->name);
        if (!declare_part(nn, p, name, alias)) return false;
    }
    return true;
}

bool lf_family_embedding(lf_model *m, const char *name) {
    const int64_t V = m->tokens.vocab_size, C = m->hidden_size;
    lf_module *table = m->tokens.table = lf_nn_module(&m->nn, LF_MODULE_EMBEDDING, C, V, name, name);
    if (!table || !(table->weight = lf_nn_param(&m->nn, name, name, "weight", 2, (int64_t[]){V, C}, false)))
        return false;
    table->weight->rows_key = "vocab_size";
    table->of_tokens = true;
    table->padding = -1;
    m->tokens.embedding = table->weight;
    return true;
}

void lf_family_padding(lf_model *m, int64_t fallback) {
    if (cJSON_HasObjectItem(m->config, "pad_token_id")) fallback = m->tokens.pad;
    m->tokens.table->padding = fallback >= 0 && fallback < m->tokens.vocab_size ? (int32_t)fallback : -1;
}

static bool declare_output(lf_model *m, const char *name, lf_head_kind kind) {
    const int64_t V = m->tokens.vocab_size, C = m->hidden_size;
    m->lm_head = lf_nn_module(&m->nn, LF_MODULE_LINEAR, V, C, name, name);
    if (!m->lm_head) return false;
    m->lm_head->head = kind;
    m->lm_head->weight =
        m->tied ? m->tokens.embedding : lf_nn_param(&m->nn, name, name, "weight", 2, (int64_t[]){V, C}, true);
    return m->lm_head->weight != NULL;
}

/* A file of LlamaModel or the like, saved without the head that says the next token. */
static bool is_bare(const lf_model *m) {
    return m->weights && !m->tied && lf_family_is_for(m, "Model") && !lf_family_is_for(m, "LMHeadModel") &&
           !lf_safetensors_find(m->weights, "lm_head.weight");
}

bool lf_family_ends(lf_model *m, const char *embedding, const char *const *targets) {
    m->nn.default_targets = targets;
    if (!lf_family_embedding(m, embedding)) return false;
    const bool classifies = lf_family_is_for(m, "ForSequenceClassification");
    if (classifies && !(m->weights && lf_safetensors_find(m->weights, "lm_head.weight")))
        m->tied = false;
    else if (!is_bare(m) && !declare_output(m, "lm_head", LF_TOKEN_HEAD))
        return false;
    return !classifies || lf_family_classifier(m, m->hidden_size, false, LF_CAUSAL_CLASSIFIER);
}

bool lf_family_masked_head(lf_model *m, const char *name, bool biased, const char *bias) {
    if (!declare_output(m, name, LF_MASKED_HEAD)) return false;
    if (!biased) return true;
    lf_param *p = m->lm_head->bias =
        lf_nn_param(&m->nn, name, name, "bias", 1, (int64_t[]){m->tokens.vocab_size}, false);
    if (p && bias) *(m->tied ? &p->file_name : &p->name) = bias; /* untied, transformers 5 has both and uses its own */
    return p != NULL;
}

bool lf_family_classifier(lf_model *m, int64_t in, bool bias, const char *name) {
    m->head.module = lf_family_linear(&m->nn, m->head.n_labels, in, bias, name, NULL);
    if (m->head.module) m->head.module->head = LF_CLASS_HEAD;
    return m->head.module != NULL;
}

void lf_family_init_param(const lf_param *p, lf_rng_key key, double range, float *out) {
    const bool weight = p->tensor.ndim > 1, norm = !weight && strstr(p->name, ".weight");
    for (int64_t i = 0; i < p->tensor.numel; i++)
        out[i] = norm ? 1.0f : weight ? (float)(range * lf_rng_normal(key, (uint64_t)i)) : 0.0f;
}

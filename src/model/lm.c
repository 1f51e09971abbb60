#include "model/lm.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"

lf_status lf_lm_declare_head(lf_model *m, bool tied_by_default, const char *const *default_targets, lf_err *err) {
    static const char name[] = "lm_head";
    const lf_status rc = lf_json_get_bool(m->config, "tie_word_embeddings", tied_by_default, &m->tied, m->config_path, err);
    if (rc) return rc;
    if (!m->tied) m->lm_head = lf_family_product(&m->nn, LF_MODULE_LM_HEAD, m->vocab_size, m->hidden_size, false, name, name);
    else if ((m->lm_head = lf_nn_module(&m->nn, LF_MODULE_LM_HEAD, m->vocab_size, m->hidden_size, name, name))) m->lm_head->weight = m->embedding;
    m->nn.default_targets = default_targets;
    return m->lm_head ? LF_OK : lf_fail(err, LF_ENOMEM, "%s: out of memory for the table of modules", m->path);
}

const lf_st_tensor *lf_lm_find(const lf_safetensors *st, const lf_param *p, const char *prefix) {
    const lf_st_tensor *t = lf_safetensors_find(st, p->name);
    const size_t n = strlen(prefix);
    return t || strncmp(p->name, prefix, n) ? t : lf_safetensors_find(st, p->name + n);
}

void lf_lm_init_param(const lf_param *p, double deviation, lf_rng_key key, float *out) {
    const bool matrix = p->tensor.ndim > 1, norm = !matrix && strstr(p->name, ".weight");
    for (int64_t i = 0; i < p->tensor.numel; i++)
        out[i] = matrix ? (float)(deviation * lf_rng_normal(key, (uint64_t)i)) : norm ? 1.0f : 0.0f;
}

lf_tensor *lf_lm_hidden(lf_model *m, lf_graph *g, const lf_model_input *in, lf_kv_cache *cache) {
    for (int64_t i = 0; i < in->B * in->T; i++)
        if (in->positions[i] < 0 || in->positions[i] >= m->max_positions) {
            lf_graph_fail(g, LF_EDATA, "position %d, but %s is made for texts of at most %lld tokens ('max_position_embeddings' or "
                          "'n_positions' in config.json); try a smaller max_seq_length", in->positions[i], m->path, (long long)m->max_positions);
            return NULL;
        }
    return m->family->hidden(m, g, in, cache);
}

lf_tensor *lf_model_hidden(lf_model *m, lf_graph *g, const lf_model_input *in) {
    assert(m->is_lm && in->ids && in->positions);
    return lf_lm_hidden(m, g, in, NULL);
}

lf_tensor *lf_model_lm_loss(lf_model *m, lf_graph *g, lf_tensor *hidden, const int32_t *labels, double normalizer, double smoothing,
                            lf_lm_counts *counts) {
    lf_module *head = m->lm_head;
    const bool frozen = lf_nn_is_frozen(head);
    return lf_lm_loss(g, hidden, frozen ? &head->frozen : NULL, frozen ? NULL : &head->weight->tensor, labels, normalizer, smoothing, counts);
}

/* LLaMA and its relatives. Sources: docs/gguf.md of ggml for the keys, the tables of constants of its Python package
 * `gguf` for the names of keys and tensors; what an architecture has no key for and computes in one way only was found
 * out by running it (scripts/check-gguf.py). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "gguf/form.h"
#include "model/llama.h"

/* ---- what it lacks ---- */

static lf_status check_biases(const lf_gguf_arch *a, const lf_model *m, const lf_llama *v, lf_err *err) {
    if ((v->qkv_bias && !(a->biases & LF_GGUF_QKV)) || (v->o_bias && !(a->biases & LF_GGUF_O)))
        return lf_gguf_lacks(m, "attention_bias", "biases of attention", err);
    return v->mlp_bias && !(a->biases & LF_GGUF_MLP) ? lf_gguf_lacks(m, "mlp_bias", "biases of the MLP", err) : LF_OK;
}

/* All rotary tables; of a second one, that of layers with windows, llama.cpp has theta alone. */
static lf_status check_ropes(const lf_gguf_arch *a, const lf_model *m, const lf_llama *v, lf_err *err) {
    const char *kind = v->ropes[LF_ROPE_FULL].kind;
    char what[64];
    snprintf(what, sizeof what, "positions of type %s", kind);
    if (!v->ropes[LF_ROPE_FULL].even && !(a->factors && strcmp(kind, "llama3") == 0))
        return lf_gguf_lacks(m, "rope_type", what, err);
    if (v->n_ropes > 1 && !(v->ropes[LF_ROPE_SLIDING].even && v->ropes[LF_ROPE_SLIDING].divisor == 1))
        return lf_gguf_lacks(m, "rope_parameters", "stretched positions in layers with a window", err);
    for (int64_t i = 0; i < m->n_layers; i++)
        if ((v->layers[i].rope == LF_ROPE_NONE) != (a->no_rope && i % a->no_rope == a->no_rope - 1))
            return lf_gguf_lacks(m, "no_rope_layers", "another choice of layers that turn nothing", err);
    return LF_OK;
}

/* The layers that see all: every `every`th, 0 where no layer does. False: they are chosen otherwise. */
static bool find_pattern(const lf_model *m, const lf_llama *v, int64_t *every, int64_t *window) {
    int64_t i = 0;
    *window = 0;
    for (int64_t k = 0; k < m->n_layers; k++)
        if (v->layers[k].window) *window = v->layers[k].window;
    while (i < m->n_layers && v->layers[i].window) i++;
    *every = i < m->n_layers ? i + 1 : 0;
    for (i = 0; i < m->n_layers; i++) {
        const bool full = *every && i % *every == *every - 1;
        if (full != (v->layers[i].window == 0)) return false;
    }
    return true;
}

static lf_status check_windows(const lf_gguf_arch *a, const lf_model *m, const lf_llama *v, lf_err *err) {
    int64_t every, window;
    const bool regular = find_pattern(m, v, &every, &window);
    if (!window || window >= m->tokens.max_positions) return LF_OK;
    if (!a->windows)
        lf_warn("%s: key 'sliding_window': llama.cpp has no windows for model_type '%s': of texts longer than %lld "
                "tokens it sees more than the model was trained to see",
                m->config_path, m->family->model_type, (long long)window);
    return !a->windows || regular ? LF_OK : lf_gguf_lacks(m, "layer_types", "this choice of layers with a window", err);
}

/* Gemma's scores are divided by what the model's size says, whatever query_pre_attn_scalar is. */
static lf_status check_gemma(const lf_gguf_arch *a, const lf_model *m, const lf_llama *v, lf_err *err) {
    const double by = (double)(m->n_layers == a->big ? m->hidden_size / v->heads : v->head_dim);
    char what[80];
    snprintf(what, sizeof what, "another value than %g", by);
    if (fabs(v->score_scale * sqrt(by) - 1) > 1e-6) return lf_gguf_lacks(m, "query_pre_attn_scalar", what, err);
    if ((v->score_cap > 0) != a->capped)
        return lf_gguf_lacks(m, "attn_logit_softcapping", a->capped ? "scores without a cap" : "a cap on scores", err);
    if ((m->logits_softcap > 0) != a->capped)
        return lf_gguf_lacks(m, "final_logit_softcapping", a->capped ? "logits without a cap" : "a cap on logits", err);
    return LF_OK;
}

static lf_status check(const lf_gguf_arch *a, const lf_model *m, lf_err *err) {
    const lf_llama *v = m->impl;
    lf_status rc;
    if ((rc = check_biases(a, m, v, err)) || (rc = check_ropes(a, m, v, err)) || (rc = check_windows(a, m, v, err)) ||
        (a->big && (rc = check_gemma(a, m, v, err))))
        return rc;
    if (v->activation != (a->big ? LF_GELU_TANH : LF_SILU))
        return lf_gguf_lacks(m, a->big ? "hidden_activation" : "hidden_act", "another activation", err);
    if (v->qk_norm == LF_QK_WHOLE && v->heads * v->head_dim != m->hidden_size)
        return lf_gguf_lacks(m, "head_dim", "heads that together are not as wide as hidden_size", err);
    return LF_OK;
}

/* ---- keys ---- */

static void put_rope(const lf_gguf_putting *p, const lf_llama *v) {
    const lf_rope_table *full = &v->ropes[LF_ROPE_FULL];
    lf_gguf_put_size(p, "rope.dimension_count", full->size);
    lf_gguf_put_real(p, "rope.freq_base", full->theta);
    if (v->n_ropes > 1) lf_gguf_put_real(p, "rope.freq_base_swa", v->ropes[LF_ROPE_SLIDING].theta);
    if (!full->even || full->divisor == 1) return;
    lf_gguf_put_word(p, "rope.scaling.type", "linear");
    lf_gguf_put_real(p, "rope.scaling.factor", full->divisor);
}

static void put_scalars(const lf_gguf_putting *p, const lf_gguf_arch *a, const lf_model *m, const lf_llama *v) {
    int64_t every, window;
    if (a->multiplied) {
        lf_gguf_put_real(p, "attention.scale", v->score_scale);
        lf_gguf_put_real(p, "embedding_scale", v->embedding_scale);
        lf_gguf_put_real(p, "residual_scale", v->residual_scale);
        lf_gguf_put_real(p, "logit_scale", 1 / m->logits_scale); /* what logits are divided by */
    }
    if (a->windows) {
        find_pattern(m, v, &every, &window);
        lf_gguf_put_size(p, "attention.sliding_window", window ? window : m->tokens.max_positions);
        lf_gguf_put_size(p, "attention.sliding_window_pattern", window ? every : 1);
    }
    if (v->score_cap > 0) lf_gguf_put_real(p, "attn_logit_softcapping", v->score_cap);
    if (m->logits_softcap > 0) lf_gguf_put_real(p, "final_logit_softcapping", m->logits_softcap);
}

static void put_sizes(const lf_gguf_putting *p, const lf_gguf_arch *a, const lf_model *m) {
    const lf_llama *v = m->impl;
    lf_gguf_put_size(p, "feed_forward_length", v->intermediate_size);
    lf_gguf_put_size(p, "attention.head_count", v->heads);
    lf_gguf_put_size(p, "attention.head_count_kv", v->kv_heads);
    lf_gguf_put_size(p, "attention.key_length", v->head_dim);
    lf_gguf_put_size(p, "attention.value_length", v->head_dim);
    lf_gguf_put_real(p, "attention.layer_norm_rms_epsilon", v->epsilon);
    put_rope(p, v);
    put_scalars(p, a, m, v);
}

/* ---- tensors ---- */

static const lf_gguf_renamed ends[] = {
    {"lm_head", "output"}, {"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {NULL, NULL}};
static const lf_gguf_renamed in_layer[] = {
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"}, /* Phi-3: q, k and v in one */
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"}, /* Phi-3: the gate's rows first */
    {"mlp.down_proj", "ffn_down"},
    {"input_layernorm", "attn_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
    {NULL, NULL},
};

/* Behind attention, or (LLaMA) before the MLP, whatever its name. */
static const char *renamed(const lf_model *m, const char *module, size_t size) {
    static const char after_attention[] = "post_attention_layernorm";
    const lf_llama *v = m->impl;
    if (size != strlen(after_attention) || memcmp(module, after_attention, size) != 0) return NULL;
    return v->norms == LF_NORMS_BEFORE ? "ffn_norm" : "post_attention_norm";
}

static int64_t heads(const lf_model *m, const char *to) {
    const lf_llama *v = m->impl;
    return strcmp(to, "attn_q") == 0 ? v->heads : strcmp(to, "attn_k") == 0 ? v->kv_heads : 0;
}

static void rope_factors(float *out, int64_t *n, const lf_model *m) {
    const lf_llama *v = m->impl;
    const lf_rope_table *r = &v->ropes[LF_ROPE_FULL];
    *n = strcmp(r->kind, "llama3") == 0 ? r->half : 0;
    for (int64_t i = 0; out && i < *n; i++)
        out[i] = (float)(pow(r->theta, -2.0 * (double)i / (double)r->size) / (double)r->frequencies[i]);
}

const lf_gguf_form lf_gguf_form_llama = {.layers = "model.layers.",
                                         .ends = ends,
                                         .in_layer = in_layer,
                                         .check = check,
                                         .put_sizes = put_sizes,
                                         .renamed = renamed,
                                         .heads = heads,
                                         .rope_factors = rope_factors};

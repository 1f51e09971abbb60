/* The families that go into GGUF, a line of families.def each, and the names of their tensors there. Sources:
 * docs/gguf.md of ggml for the keys, the tables of constants of its Python package `gguf` for the names of keys and
 * tensors; what an architecture has no key for and computes in one way only was found out by running it
 * (scripts/check-gguf.py). */
#include "gguf/arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"

enum { QKV = 1, O = 2, MLP = 4 }; /* biases */

struct lf_gguf_arch {
    const char *model_type, *name;
    bool turned;     /* neighbouring numbers of a head are turned (lf_gguf_turned_heads) */
    unsigned biases; /* it has tensors for those */
    bool untied;     /* it has an output layer of its own */
    bool factors;    /* it reads rope_freqs.weight */
    bool windows;    /* it has windows, in all but every so manieth layer */
    int64_t no_rope; /* every so manieth layer turns nothing; 0: each does */
    int64_t big;     /* Gemma: number of layers of the model whose scores are scaled otherwise; 0: another family */
    bool capped;     /* of Gemma: scores and logits have a cap; else neither may */
    bool multiplied; /* by the four scalars of Granite */
};

static const lf_gguf_arch families[] = {
#define LF_GGUF_FAMILY(family, ...) {.model_type = #family, __VA_ARGS__},
#include "gguf/families.def"
#undef LF_GGUF_FAMILY
};
enum { N_FAMILIES = sizeof families / sizeof *families };

const char *lf_gguf_arch_name(const lf_gguf_arch *a) { return a->name; }

/* ---- what it lacks ---- */

static lf_status lacks(const lf_model *m, const char *key, const char *what, lf_err *err) {
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': %s, which llama.cpp has not for model_type '%s'",
                   m->config_path, key, what, m->family->model_type);
}

static lf_status check_biases(const lf_gguf_arch *a, const lf_model *m, const lf_llama *v, lf_err *err) {
    if ((v->qkv_bias && !(a->biases & QKV)) || (v->o_bias && !(a->biases & O)))
        return lacks(m, "attention_bias", "biases of attention", err);
    return v->mlp_bias && !(a->biases & MLP) ? lacks(m, "mlp_bias", "biases of the MLP", err) : LF_OK;
}

/* All rotary tables; of a second one, that of layers with windows, llama.cpp has theta alone. */
static lf_status check_ropes(const lf_gguf_arch *a, const lf_model *m, const lf_llama *v, lf_err *err) {
    const char *kind = v->ropes[LF_ROPE_FULL].kind;
    char what[64];
    snprintf(what, sizeof what, "positions of type %s", kind);
    if (!v->ropes[LF_ROPE_FULL].even && !(a->factors && strcmp(kind, "llama3") == 0))
        return lacks(m, "rope_type", what, err);
    if (v->n_ropes > 1 && !(v->ropes[LF_ROPE_SLIDING].even && v->ropes[LF_ROPE_SLIDING].divisor == 1))
        return lacks(m, "rope_parameters", "stretched positions in layers with a window", err);
    for (int64_t i = 0; i < m->n_layers; i++)
        if ((v->layers[i].rope == LF_ROPE_NONE) != (a->no_rope && i % a->no_rope == a->no_rope - 1))
            return lacks(m, "no_rope_layers", "another choice of layers that turn nothing", err);
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
    return !a->windows || regular ? LF_OK : lacks(m, "layer_types", "this choice of layers with a window", err);
}

/* Gemma's scores are divided by what the model's size says, whatever query_pre_attn_scalar is. */
static lf_status check_gemma(const lf_gguf_arch *a, const lf_model *m, const lf_llama *v, lf_err *err) {
    const double by = (double)(m->n_layers == a->big ? m->hidden_size / v->heads : v->head_dim);
    char what[80];
    snprintf(what, sizeof what, "another value than %g", by);
    if (fabs(v->score_scale * sqrt(by) - 1) > 1e-6) return lacks(m, "query_pre_attn_scalar", what, err);
    if ((v->score_cap > 0) != a->capped)
        return lacks(m, "attn_logit_softcapping", a->capped ? "scores without a cap" : "a cap on scores", err);
    if ((m->logits_softcap > 0) != a->capped)
        return lacks(m, "final_logit_softcapping", a->capped ? "logits without a cap" : "a cap on logits", err);
    return LF_OK;
}

static lf_status check_settings(const lf_gguf_arch *a, const lf_model *m, lf_err *err) {
    const lf_llama *v = m->impl;
    lf_status rc;
    if ((rc = check_biases(a, m, v, err)) || (rc = check_ropes(a, m, v, err)) || (rc = check_windows(a, m, v, err)) ||
        (a->big && (rc = check_gemma(a, m, v, err))))
        return rc;
    if (v->activation != (a->big ? LF_GELU_TANH : LF_SILU))
        return lacks(m, a->big ? "hidden_activation" : "hidden_act", "another activation", err);
    if (v->qk_norm == LF_QK_WHOLE && v->heads * v->head_dim != m->hidden_size)
        return lacks(m, "head_dim", "heads that together are not as wide as hidden_size", err);
    return LF_OK;
}

lf_status lf_gguf_arch_of(const lf_gguf_arch **out, const lf_model *m, lf_err *err) {
    char known[256] = "";
    *out = NULL;
    for (size_t i = 0; i < N_FAMILIES; i++) {
        lf_list_append(known, sizeof known, families[i].model_type);
        if (strcmp(families[i].model_type, m->family->model_type) == 0) *out = &families[i];
    }
    if (!*out)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'model_type': '%s' does not go into GGUF here; those that do: %s",
                       m->config_path, m->family->model_type, known);
    if (m->head.module || !m->lm_head)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: %s; GGUF is written of models that say next tokens", m->config_path,
                       m->head.module ? "the model is a classifier" : "the model has no output layer");
    return check_settings(*out, m, err);
}

/* ---- keys ---- */

typedef struct putting {
    lf_gguf_writer *w;
    const char *arch;
} putting;

static const char *full_key(char buf[96], const putting *p, const char *key) {
    snprintf(buf, 96, "%s.%s", p->arch, key);
    return buf;
}

static void put_u32(const putting *p, const char *key, int64_t value) {
    char buf[96];
    lf_gguf_put_u32(p->w, full_key(buf, p, key), (uint32_t)value); /* sizes are at most 2^27 (llama_config.c) */
}

static void put_f32(const putting *p, const char *key, double value) {
    char buf[96];
    lf_gguf_put_f32(p->w, full_key(buf, p, key), value);
}

static void put_rope(const putting *p, const lf_llama *v) {
    const lf_rope_table *full = &v->ropes[LF_ROPE_FULL];
    char buf[96];
    put_u32(p, "rope.dimension_count", full->size);
    put_f32(p, "rope.freq_base", full->theta);
    if (v->n_ropes > 1) put_f32(p, "rope.freq_base_swa", v->ropes[LF_ROPE_SLIDING].theta);
    if (!full->even || full->divisor == 1) return;
    lf_gguf_put_string(p->w, full_key(buf, p, "rope.scaling.type"), "linear");
    put_f32(p, "rope.scaling.factor", full->divisor);
}

static void put_scalars(const putting *p, const lf_gguf_arch *a, const lf_model *m, const lf_llama *v) {
    int64_t every, window;
    if (a->multiplied) {
        put_f32(p, "attention.scale", v->score_scale);
        put_f32(p, "embedding_scale", v->embedding_scale);
        put_f32(p, "residual_scale", v->residual_scale);
        put_f32(p, "logit_scale", 1 / m->logits_scale); /* what logits are divided by */
    }
    if (a->windows) {
        find_pattern(m, v, &every, &window);
        put_u32(p, "attention.sliding_window", window ? window : m->tokens.max_positions);
        put_u32(p, "attention.sliding_window_pattern", window ? every : 1);
    }
    if (v->score_cap > 0) put_f32(p, "attn_logit_softcapping", v->score_cap);
    if (m->logits_softcap > 0) put_f32(p, "final_logit_softcapping", m->logits_softcap);
}

void lf_gguf_put_sizes(lf_gguf_writer *w, const lf_gguf_arch *a, const lf_model *m) {
    const lf_llama *v = m->impl;
    const putting p = {w, a->name};
    put_u32(&p, "vocab_size", m->tokens.vocab_size);
    put_u32(&p, "context_length", m->tokens.max_positions);
    put_u32(&p, "embedding_length", m->hidden_size);
    put_u32(&p, "block_count", m->n_layers);
    put_u32(&p, "feed_forward_length", v->intermediate_size);
    put_u32(&p, "attention.head_count", v->heads);
    put_u32(&p, "attention.head_count_kv", v->kv_heads);
    put_u32(&p, "attention.key_length", v->head_dim);
    put_u32(&p, "attention.value_length", v->head_dim);
    put_f32(&p, "attention.layer_norm_rms_epsilon", v->epsilon);
    put_rope(&p, v);
    put_scalars(&p, a, m, v);
}

/* ---- tensors ---- */

typedef struct renamed {
    const char *module, *to;
} renamed;

enum { OUTPUT };
static const renamed ends[] = {
    [OUTPUT] = {"lm_head", "output"}, {"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}};
static const renamed in_layer[] = {
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
};
#define AFTER_ATTENTION                                                                                                \
    "post_attention_layernorm" /* behind attention, or (LLaMA) before the MLP, whatever its name                       \
                                */

static const char *find(const renamed *table, size_t n, const char *module, size_t size) {
    for (size_t i = 0; i < n; i++)
        if (strlen(table[i].module) == size && memcmp(table[i].module, module, size) == 0) return table[i].to;
    return NULL;
}

/* "model.layers.<number>.<module>.<leaf>" in its parts; false: it is of no layer. */
static bool split(const char *param, int *number, const char **module, size_t *size) {
    int n = 0;
    const char *leaf = strrchr(param, '.');
    if (sscanf(param, "model.layers.%d.%n", number, &n) != 1 || !n || leaf < param + n) return false;
    *module = param + n;
    *size = (size_t)(leaf - *module);
    return true;
}

lf_status lf_gguf_tensor_name(char **out, const lf_gguf_arch *a, const lf_model *m, const char *param, lf_err *err) {
    const lf_llama *v = m->impl;
    const char *leaf = strrchr(param, '.'), *module, *to;
    int number;
    size_t size;
    const bool layered = split(param, &number, &module, &size);
    *out = NULL;
    if (!layered)
        to = leaf ? find(ends, sizeof ends / sizeof *ends, param, (size_t)(leaf - param)) : NULL;
    else if (size == strlen(AFTER_ATTENTION) && memcmp(module, AFTER_ATTENTION, size) == 0)
        to = v->norms == LF_NORMS_BEFORE ? "ffn_norm" : "post_attention_norm";
    else
        to = find(in_layer, sizeof in_layer / sizeof *in_layer, module, size);
    if (!to || (!a->untied && to == ends[OUTPUT].to))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: tensor '%s': llama.cpp has none such for model_type '%s'", m->path,
                       param, m->family->model_type);
    *out = layered ? lf_format("blk.%d.%s%s", number, to, leaf) : lf_format("%s%s", to, leaf);
    return *out ? LF_OK : lf_no_memory(err, "%s", param);
}

int64_t lf_gguf_turned_heads(const lf_gguf_arch *a, const lf_model *m, const char *param) {
    const lf_llama *v = m->impl;
    int number;
    const char *module;
    size_t size;
    if (!a->turned || !split(param, &number, &module, &size)) return 0;
    const char *to = find(in_layer, sizeof in_layer / sizeof *in_layer, module, size);
    if (!to) return 0;
    return strcmp(to, "attn_q") == 0 ? v->heads : strcmp(to, "attn_k") == 0 ? v->kv_heads : 0;
}

void lf_gguf_turn_rows(float *to, const float *from, int64_t heads, int64_t rows, int64_t n) {
    const int64_t D = rows / heads, half = D / 2;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t head = i / D, at = i % D, row = head * D + 2 * (at % half) + at / half;
        memcpy(to + row * n, from + i * n, (size_t)n * sizeof *to);
    }
}

void lf_gguf_rope_factors(float *out, int64_t *n, const lf_model *m) {
    const lf_llama *v = m->impl;
    const lf_rope_table *r = &v->ropes[LF_ROPE_FULL];
    *n = strcmp(r->kind, "llama3") == 0 ? r->half : 0;
    for (int64_t i = 0; out && i < *n; i++)
        out[i] = (float)(pow(r->theta, -2.0 * (double)i / (double)r->size) / (double)r->frequencies[i]);
}

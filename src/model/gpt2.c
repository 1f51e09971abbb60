/* GPT-2 (Radford et al. 2019): pre-norm blocks, learned positions, and matrices that files hold as [in,out] (Conv1D). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/lm.h"

typedef struct block {
    lf_model *model;
    int64_t number;
    double scale; /* of the scores; 0: by the head's size */
    lf_module *ln_1, *c_attn, *attn_proj, *ln_2, *c_fc, *mlp_proj; /* c_attn: q, k and v in one */
} block;

typedef struct gpt2 {
    int64_t intermediate_size;
    double epsilon, embedding_dropout, attention_dropout, residual_dropout, initializer_range;
    bool gelu_tanh;
    lf_param *positions;
    lf_module *norm;
    block *blocks;
    lf_lm_pass pass;
} gpt2;

/* ---- config.json ---- */

static lf_status read_numbers(lf_model *m, gpt2 *v, lf_err *err) {
    static const lf_refused_key refused[] = {{"add_cross_attention", "cross attention is"}};
    const lf_size_key sizes[] = {
        {"vocab_size", NULL, 50257, INT32_MAX, &m->vocab_size},
        {"n_positions", "max_position_embeddings", 1024, 1 << 27, &m->max_positions},
        {"n_embd", "hidden_size", 768, 1 << 18, &m->hidden_size},
        {"n_layer", "num_hidden_layers", 12, 1024, &m->n_layers},
        {"n_head", "num_attention_heads", 12, 4096, &m->heads},
        {"n_inner", NULL, 0, 1 << 20, &v->intermediate_size},
    };
    const lf_fraction_key fractions[] = {
        {"layer_norm_epsilon", 1e-5, &v->epsilon},
        {"embd_pdrop", 0.1, &v->embedding_dropout},
        {"attn_pdrop", 0.1, &v->attention_dropout},
        {"resid_pdrop", 0.1, &v->residual_dropout},
        {"initializer_range", 0.02, &v->initializer_range},
    };
    lf_status rc;
    if ((rc = lf_family_refuse(m, refused, sizeof refused / sizeof refused[0], err)) ||
        (rc = lf_family_sizes(m, sizes, sizeof sizes / sizeof sizes[0], err)) ||
        (rc = lf_family_fractions(m, fractions, sizeof fractions / sizeof fractions[0], err)) ||
        (rc = lf_family_gelu(m, "activation_function", "gelu_new", &v->gelu_tanh, err)))
        return rc;
    if (m->hidden_size % m->heads)
        return lf_fail(err, LF_EDATA, "%s: key 'n_embd': %lld is not a multiple of n_head %lld", m->config_path, (long long)m->hidden_size,
                       (long long)m->heads);
    if (!v->intermediate_size) v->intermediate_size = 4 * m->hidden_size;
    m->kv_heads = m->heads;
    m->head_size = m->hidden_size / m->heads;
    return LF_OK;
}

/* reorder_and_upcast_attn changes the order of roundings in half precision alone: softmax is in floats here anyway. */
static lf_status read_scales(lf_model *m, gpt2 *v, lf_err *err) {
    bool by_size, by_layer;
    lf_status rc;
    if ((rc = lf_json_get_bool(m->config, "scale_attn_weights", true, &by_size, m->config_path, err)) ||
        (rc = lf_json_get_bool(m->config, "scale_attn_by_inverse_layer_idx", false, &by_layer, m->config_path, err)))
        return rc;
    for (int64_t i = 0; i < m->n_layers; i++)
        v->blocks[i].scale = (by_size ? 1 / sqrt((double)m->head_size) : 1) / (by_layer ? (double)(i + 1) : 1);
    return LF_OK;
}

/* ---- the table of modules ---- */

static bool declare_block(lf_model *m, const gpt2 *v, block *b) {
    const int64_t C = m->hidden_size, I = v->intermediate_size;
    const struct { lf_module **to; int64_t out, in; const char *name; } parts[] = {
        {&b->ln_1, 0, C, "ln_1"},       {&b->c_attn, 3 * C, C, "attn.c_attn"}, {&b->attn_proj, C, C, "attn.c_proj"},
        {&b->ln_2, 0, C, "ln_2"},       {&b->c_fc, I, C, "mlp.c_fc"},          {&b->mlp_proj, C, I, "mlp.c_proj"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "transformer.h.%lld.%s", (long long)b->number, parts[i].name);
        lf_module *part = *parts[i].to = parts[i].out ? lf_family_product(&m->nn, LF_MODULE_LINEAR, parts[i].out, parts[i].in, true, name, name)
                                                      : lf_family_norm(&m->nn, parts[i].in, true, name, name);
        if (!part) return false;
        part->weight->transposed = parts[i].out > 0;
    }
    return true;
}

static lf_status declare_all(lf_model *m, gpt2 *v, lf_err *err) {
    static const char *const targets[] = {"c_attn", NULL};
    static const char tokens[] = "transformer.wte", positions[] = "transformer.wpe", norm[] = "transformer.ln_f";
    lf_module *wte = lf_family_table(&m->nn, m->vocab_size, m->hidden_size, tokens, tokens);
    lf_module *wpe = wte ? lf_family_table(&m->nn, m->max_positions, m->hidden_size, positions, positions) : NULL;
    bool ok = wpe != NULL;
    for (int64_t i = 0; ok && i < m->n_layers; i++) ok = declare_block(m, v, &v->blocks[i]);
    ok = ok && (v->norm = lf_family_norm(&m->nn, m->hidden_size, true, norm, norm));
    if (!ok) return lf_fail(err, LF_ENOMEM, "%s: out of memory for the table of modules", m->path);
    m->embedding = wte->weight;
    v->positions = wpe->weight;
    return lf_lm_declare_head(m, true, targets, err);
}

static lf_status gpt2_declare(lf_model *m, lf_err *err) {
    gpt2 *v = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_fail(err, LF_ENOMEM, "%s: out of memory", m->path);
    m->impl = v;
    lf_status rc = read_numbers(m, v, err);
    if (rc) return rc;
    v->blocks = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->blocks);
    if (!v->blocks) return lf_fail(err, LF_ENOMEM, "%s: out of memory", m->path);
    for (int64_t i = 0; i < m->n_layers; i++) v->blocks[i] = (block){.model = m, .number = i};
    if ((rc = read_scales(m, v, err))) return rc;
    return declare_all(m, v, err);
}

static const lf_st_tensor *gpt2_find(const lf_safetensors *st, const lf_param *p) { return lf_lm_find(st, p, "transformer."); }

/* Old files hold the causal mask of each layer, and the number that stood for minus infinity. */
static bool gpt2_ignores(const char *name) {
    static const char *const ends[] = {".attn.bias", ".attn.masked_bias"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const size_t n = strlen(name), k = strlen(ends[i]);
        if (n > k && strcmp(name + n - k, ends[i]) == 0) return true;
    }
    return false;
}

/* What is added to the residual stream starts smaller, by the number of additions. */
static void gpt2_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const gpt2 *v = m->impl;
    const bool added = strstr(p->name, ".c_proj.") != NULL;
    lf_lm_init_param(p, v->initializer_range / (added ? sqrt(2 * (double)m->n_layers) : 1), key, out);
}

/* ---- forward ---- */

static lf_tensor *self_attention(const block *b, lf_graph *g, lf_tensor *x) {
    const lf_model *m = b->model;
    const gpt2 *v = m->impl;
    const lf_attention_opts opts = {.heads = m->heads, .kv_heads = m->heads, .scale = b->scale, .causal = true, .first = v->pass.in.first,
                                    .dropout = v->attention_dropout};
    lf_tensor *h = lf_nn_layernorm(g, b->ln_1, x, v->epsilon), *qkv = lf_nn_linear(g, &m->nn, b->c_attn, h);
    lf_done(g, h);
    lf_tensor *a = lf_lm_attention(g, qkv, &opts, v->pass.cache, b->number), *o = lf_nn_linear(g, &m->nn, b->attn_proj, a);
    lf_done(g, a);
    return lf_dropout(g, o, v->residual_dropout);
}

static lf_tensor *mlp(const block *b, lf_graph *g, lf_tensor *x) {
    const lf_model *m = b->model;
    const gpt2 *v = m->impl;
    lf_tensor *h = lf_nn_layernorm(g, b->ln_2, x, v->epsilon), *up = lf_nn_linear(g, &m->nn, b->c_fc, h);
    lf_done(g, h);
    lf_tensor *act = lf_gelu(g, up, v->gelu_tanh);
    lf_done(g, up);
    lf_tensor *down = lf_nn_linear(g, &m->nn, b->mlp_proj, act);
    lf_done(g, act);
    return lf_dropout(g, down, v->residual_dropout);
}

static lf_tensor *layer(const void *block_, lf_graph *g, lf_tensor *x) {
    const block *b = block_;
    x = lf_family_residual(g, x, self_attention(b, g, x));
    return lf_family_residual(g, x, mlp(b, g, x));
}

static lf_tensor *gpt2_hidden(lf_model *m, lf_graph *g, const lf_model_input *in, lf_kv_cache *cache) {
    gpt2 *v = m->impl;
    v->pass = (lf_lm_pass){*in, cache};
    lf_tensor *x = lf_embed(g, in->ids, in->B, in->T, &m->embedding->tensor, &v->positions->tensor, in->positions);
    x = lf_dropout(g, x, v->embedding_dropout);
    for (int64_t i = 0; i < m->n_layers; i++) x = lf_family_layer(m, g, layer, &v->blocks[i], x);
    lf_tensor *hidden = lf_nn_layernorm(g, v->norm, x, v->epsilon);
    lf_done(g, x);
    return hidden;
}

const lf_family lf_family_gpt2 = {.model_type = "gpt2", .auto_class = "AutoModelForCausalLM", .declare = gpt2_declare, .find = gpt2_find,
                                  .ignores = gpt2_ignores, .init_param = gpt2_init_param, .hidden = gpt2_hidden};

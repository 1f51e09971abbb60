/* LlamaForCausalLM and its near relatives as transformers has them: pre-norm blocks of RMS norm, rotary attention with
 * grouped queries, and a gated MLP. The relatives differ in a few points, which are a table. */
#include <string.h>

#include "base/json.h"
#include "model/family.h"

typedef struct layer {
    lf_module *norm_before, *norm_after, *q, *k, *v, *o, *gate, *up, *down, *q_norm, *k_norm;
    lf_group *qkv, *gate_up;
    const lf_model *model;
    int64_t number, window; /* 0: sees all */
} layer;

typedef struct llama {
    int64_t heads, kv_heads, head_dim, intermediate_size;
    double epsilon, attention_dropout, initializer_range;
    bool qkv_bias, o_bias, mlp_bias, qk_norm;
    lf_activation_kind activation; /* of the gate */
    lf_module *norm;
    layer *layers;
    int64_t *windows; /* [n_layers] */
    lf_rope_table rope;
} llama;

/* Where a relative differs. Biases: always, never, or as attention_bias says. */
typedef enum bias_rule { BIAS_NEVER, BIAS_ALWAYS, BIAS_BY_CONFIG } bias_rule;
static const struct relative {
    const char *model_type;
    bias_rule qkv_bias, o_bias;
    bool mlp_bias, qk_norm;
    lf_window_rule window;
    int64_t head_dim; /* unless config.json says; 0: hidden_size / heads */
} relatives[] = {
    {"llama", BIAS_BY_CONFIG, BIAS_BY_CONFIG, true, false, LF_WINDOW_NEVER, 0},
    {"mistral", BIAS_NEVER, BIAS_NEVER, false, false, LF_WINDOW_EVERYWHERE, 0},
    {"qwen2", BIAS_ALWAYS, BIAS_NEVER, false, false, LF_WINDOW_BY_LAYER, 0},
    {"qwen3", BIAS_BY_CONFIG, BIAS_BY_CONFIG, false, true, LF_WINDOW_BY_LAYER, 128},
};

static const struct relative *relative_of(const lf_model *m) {
    const struct relative *r = relatives;
    while (strcmp(r->model_type, m->family->model_type) != 0) r++;
    return r;
}

/* ---- config.json ---- */

static bool by_rule(bias_rule rule, bool config) { return rule == BIAS_BY_CONFIG ? config : rule == BIAS_ALWAYS; }

static lf_status read_numbers(lf_model *m, llama *v, const struct relative *r, lf_err *err) {
    bool attention_bias, mlp_bias;
    lf_status rc;
    if ((rc = lf_family_size(m, "vocab_size", -1, 1 << 24, &m->tokens.vocab_size, err)) ||
        (rc = lf_family_size(m, "hidden_size", -1, 65536, &m->hidden_size, err)) ||
        (rc = lf_family_size(m, "num_hidden_layers", -1, 1024, &m->n_layers, err)) ||
        (rc = lf_family_size(m, "num_attention_heads", -1, 4096, &v->heads, err)) ||
        (rc = lf_family_size(m, "num_key_value_heads", v->heads, 4096, &v->kv_heads, err)) ||
        (rc = lf_family_size(m, "intermediate_size", -1, 1 << 20, &v->intermediate_size, err)) ||
        (rc = lf_family_size(m, "head_dim", r->head_dim ? r->head_dim : m->hidden_size / v->heads, 65536, &v->head_dim,
                             err)) ||
        (rc = lf_family_size(m, "max_position_embeddings", 2048, 1 << 27, &m->tokens.max_positions, err)) ||
        (rc = lf_family_positive(m, "rms_norm_eps", 1e-6, &v->epsilon, err)) ||
        (rc = lf_json_get_f64(m->config, "initializer_range", 0.02, &v->initializer_range, m->config_path, err)) ||
        (rc = lf_family_share(m, "attention_dropout", 0, &v->attention_dropout, err)) ||
        (rc = lf_json_get_bool(m->config, "attention_bias", false, &attention_bias, m->config_path, err)) ||
        (rc = lf_json_get_bool(m->config, "mlp_bias", false, &mlp_bias, m->config_path, err)) ||
        (rc = lf_json_get_bool(m->config, "tie_word_embeddings", false, &m->tied, m->config_path, err)) ||
        (rc = lf_family_activation(m, "hidden_act", "silu", &v->activation, err)))
        return rc;
    v->qkv_bias = by_rule(r->qkv_bias, attention_bias);
    v->o_bias = by_rule(r->o_bias, attention_bias);
    v->mlp_bias = r->mlp_bias && mlp_bias;
    v->qk_norm = r->qk_norm;
    m->tokens.kv_width = 2 * v->kv_heads * v->head_dim;
    if (v->heads % v->kv_heads)
        return lf_fail(err, LF_EDATA, "%s: key 'num_key_value_heads': %lld does not divide num_attention_heads %lld",
                       m->config_path, (long long)v->kv_heads, (long long)v->heads);
    if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(m->config, "head_dim")) && !r->head_dim &&
        m->hidden_size % v->heads)
        return lf_fail(
            err, LF_EDATA,
            "%s: key 'hidden_size': %lld is not a multiple of num_attention_heads %lld, and there is no head_dim",
            m->config_path, (long long)m->hidden_size, (long long)v->heads);
    if (v->head_dim % 2)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'head_dim': %lld is odd, and rotary embeddings need pairs",
                       m->config_path, (long long)v->head_dim);
    return LF_OK;
}

/* ---- the table of modules ---- */

static bool declare_layer(lf_model *m, const llama *v, layer *l, int64_t number) {
    lf_nn *nn = &m->nn;
    const int64_t C = m->hidden_size, I = v->intermediate_size, Q = v->heads * v->head_dim,
                  KV = v->kv_heads * v->head_dim;
    l->model = m;
    l->number = number;
    l->window = v->windows[number];
    const int64_t D = v->qk_norm ? v->head_dim : 0;
    const lf_layer_part parts[] = {
        {&l->q, Q, C, v->qkv_bias, "self_attn.q_proj", NULL, false},
        {&l->k, KV, C, v->qkv_bias, "self_attn.k_proj", NULL, false},
        {&l->v, KV, C, v->qkv_bias, "self_attn.v_proj", NULL, false},
        {&l->o, C, Q, v->o_bias, "self_attn.o_proj", NULL, false},
        {&l->q_norm, 0, D, false, "self_attn.q_norm", NULL, false},
        {&l->k_norm, 0, D, false, "self_attn.k_norm", NULL, false},
        {&l->gate, I, C, v->mlp_bias, "mlp.gate_proj", NULL, false},
        {&l->up, I, C, v->mlp_bias, "mlp.up_proj", NULL, false},
        {&l->down, C, I, v->mlp_bias, "mlp.down_proj", NULL, false},
        {&l->norm_before, 0, C, false, "input_layernorm", NULL, false},
        {&l->norm_after, 0, C, false, "post_attention_layernorm", NULL, false},
    };
    static const char layers[] = "model.layers";
    if (!lf_family_layer(nn, layers, layers, number, parts, sizeof parts / sizeof *parts)) return false;
    return !lf_nn_group(nn, &l->qkv, (lf_module *[]){l->q, l->k, l->v}, 3, NULL) &&
           !lf_nn_group(nn, &l->gate_up, (lf_module *[]){l->gate, l->up}, 2, NULL);
}

static lf_status llama_declare(lf_model *m, lf_err *err) {
    static const char *const targets[] = {"q_proj", "v_proj", NULL};
    const struct relative *r = relative_of(m);
    llama *v = m->impl = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    lf_status rc = read_numbers(m, v, r, err);
    if (rc) return rc;
    v->layers = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->layers);
    v->windows = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->windows);
    if (!v->layers || !v->windows) return lf_no_memory(err, "%s", m->path);
    if ((rc = lf_family_windows(m, r->window, v->windows, err)) || (rc = lf_rope_read(&v->rope, m, v->head_dim, err)))
        return rc;
    bool ok = lf_family_ends(m, "model.embed_tokens", targets);
    for (int64_t i = 0; ok && i < m->n_layers; i++) ok = declare_layer(m, v, &v->layers[i], i);
    ok = ok && (v->norm = lf_family_norm(&m->nn, m->hidden_size, false, "model.norm", NULL));
    return ok ? LF_OK : lf_no_memory(err, "the table of modules of %s", m->path);
}

static void llama_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const llama *v = m->impl;
    lf_family_init_param(p, key, v->initializer_range, out);
}

/* ---- forward ---- */

static lf_tensor *attention(const layer *l, const llama *v, const lf_pass *pass, lf_graph *g, lf_tensor *qkv) {
    const lf_attention_opts o = {.heads = v->heads,
                                 .kv_heads = v->kv_heads,
                                 .causal = true,
                                 .window = l->window,
                                 .first = pass->in.first,
                                 .dropout = v->attention_dropout};
    return pass->cache ? lf_kv_attention(pass->cache, g, l->number, qkv, v->heads * v->head_dim, &o)
                       : lf_attention(g, qkv, &o);
}

static lf_tensor *self_attention(const layer *l, const llama *v, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    lf_tensor *h = lf_nn_rmsnorm(g, l->norm_before, x, v->epsilon);
    lf_tensor *qkv = lf_nn_then(g, h, lf_nn_linear_group(g, pass->base, l->qkv, h));
    if (v->qk_norm)
        qkv = lf_nn_then(g, qkv,
                         lf_head_norm(g, qkv, &l->q_norm->weight->tensor, &l->k_norm->weight->tensor, v->heads,
                                      v->kv_heads, v->epsilon));
    const lf_rope_rows *turn = pass->rotation;
    qkv = lf_nn_then(g, qkv, lf_rope(g, qkv, turn->cosines, turn->sines, turn->positions, v->heads, v->kv_heads));
    lf_tensor *a = lf_nn_then(g, qkv, attention(l, v, pass, g, qkv));
    return lf_nn_then(g, a, lf_nn_linear(g, pass->base, l->o, a));
}

static lf_tensor *mlp(const layer *l, const llama *v, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    lf_tensor *h = lf_nn_rmsnorm(g, l->norm_after, x, v->epsilon);
    lf_tensor *gate_up = lf_nn_then(g, h, lf_nn_linear_group(g, pass->base, l->gate_up, h));
    lf_tensor *product = lf_nn_then(g, gate_up, lf_gated(g, gate_up, v->activation));
    return lf_nn_then(g, product, lf_nn_linear(g, pass->base, l->down, product));
}

static lf_tensor *build_layer(const void *layer_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const layer *l = layer_;
    const llama *v = l->model->impl;
    x = lf_nn_residual(g, x, self_attention(l, v, pass, g, x));
    return lf_nn_residual(g, x, mlp(l, v, pass, g, x));
}

static lf_tensor *llama_hidden(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const llama *v = m->impl;
    const lf_model_input *in = &pass->in;
    if (!lf_family_check_ids(m, g, in) || !(pass->rotation = lf_rope_open(&v->rope, 1, g, in))) return NULL;
    lf_tensor *x = lf_embed(g, in->ids, in->B, in->T, &m->tokens.embedding->tensor, NULL, NULL);
    x = lf_model_layers(g, build_layer, pass, v->layers, sizeof *v->layers, m->n_layers,
                        m->gradient_checkpointing && !pass->cache, x);
    return lf_nn_then(g, x, lf_nn_rmsnorm(g, v->norm, x, v->epsilon));
}

static const char *const unused[] = {".rotary_emb.inv_freq", NULL}; /* of old files; config.json says them too */

#define RELATIVE(name)                                                                                                 \
    const lf_family lf_family_##name = {.model_type = #name,                                                           \
                                        .input = LF_TOKENS,                                                            \
                                        .prefix = "model.",                                                            \
                                        .unused = unused,                                                              \
                                        .declare = llama_declare,                                                      \
                                        .init_param = llama_init_param,                                                \
                                        .hidden = llama_hidden};
RELATIVE(llama)
RELATIVE(mistral)
RELATIVE(qwen2)
RELATIVE(qwen3)

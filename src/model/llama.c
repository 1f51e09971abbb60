/* LLaMA (Touvron et al. 2023) and those that differ in a few places: Mistral, Qwen2, Qwen3. Pre-norm blocks of grouped-query
 * attention with rotary positions, and a gated MLP. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/lm.h"

/* Where a model type differs. Numbers are what transformers takes when config.json does not have the key; 0: see read_sizes. */
typedef struct traits {
    const char *model_type;
    int64_t vocab_size, intermediate_size, max_positions, kv_heads, head_size;
    bool has_bias;        /* of q, k, v, whatever attention_bias says, and then none of o */
    bool has_head_norm;   /* RMS norm of each head of q and k */
    enum { NO_WINDOW, WINDOW_EVERYWHERE, WINDOW_BY_LAYER } window;
} traits;

static const traits all_traits[] = {
    {"llama", 32000, 11008, 2048, 0, 0, false, false, NO_WINDOW},
    {"mistral", 32000, 14336, 131072, 8, 0, false, false, WINDOW_EVERYWHERE},
    {"qwen2", 151936, 22016, 32768, 32, 0, true, false, WINDOW_BY_LAYER},
    {"qwen3", 151936, 22016, 32768, 32, 128, false, true, WINDOW_BY_LAYER},
};

typedef struct block {
    lf_model *model;
    int64_t number, window; /* window 0: all earlier tokens are seen */
    lf_module *norm_before, *norm_after, *q, *k, *v, *o, *q_norm, *k_norm, *gate, *up, *down;
    lf_group *qkv, *gate_up;
} block;

typedef struct llama {
    const traits *traits;
    int64_t intermediate_size;
    double epsilon, attention_dropout, initializer_range;
    bool attention_bias, mlp_bias;
    lf_rope_table rope;
    lf_module *norm;
    block *blocks;
    lf_lm_pass pass;
} llama;

/* ---- config.json ---- */

static bool is_null(const lf_model *m, const char *key) { return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(m->config, key)); }

static lf_status read_sizes(lf_model *m, llama *l, lf_err *err) {
    const traits *t = l->traits;
    const lf_size_key sizes[] = {
        {"vocab_size", NULL, t->vocab_size, INT32_MAX, &m->vocab_size},
        {"hidden_size", NULL, 4096, 1 << 18, &m->hidden_size},
        {"intermediate_size", NULL, t->intermediate_size, 1 << 20, &l->intermediate_size},
        {"num_hidden_layers", NULL, 32, 1024, &m->n_layers},
        {"num_attention_heads", NULL, 32, 4096, &m->heads},
        {"num_key_value_heads", NULL, is_null(m, "num_key_value_heads") ? 0 : t->kv_heads, 4096, &m->kv_heads},
        {"head_dim", NULL, t->head_size, 4096, &m->head_size},
        {"max_position_embeddings", NULL, t->max_positions, 1 << 27, &m->max_positions},
    };
    const lf_fraction_key fractions[] = {
        {"rms_norm_eps", 1e-6, &l->epsilon},
        {"attention_dropout", 0, &l->attention_dropout},
        {"initializer_range", 0.02, &l->initializer_range},
    };
    lf_status rc;
    if ((rc = lf_family_sizes(m, sizes, sizeof sizes / sizeof sizes[0], err)) ||
        (rc = lf_family_fractions(m, fractions, sizeof fractions / sizeof fractions[0], err)))
        return rc;
    if (!m->kv_heads) m->kv_heads = m->heads;
    if (m->heads % m->kv_heads)
        return lf_fail(err, LF_EDATA, "%s: key 'num_attention_heads': %lld is not a multiple of num_key_value_heads %lld", m->config_path,
                       (long long)m->heads, (long long)m->kv_heads);
    if (!m->head_size && m->hidden_size % m->heads)
        return lf_fail(err, LF_EDATA, "%s: key 'hidden_size': %lld is not a multiple of num_attention_heads %lld, and there is no head_dim",
                       m->config_path, (long long)m->hidden_size, (long long)m->heads);
    if (!m->head_size) m->head_size = m->hidden_size / m->heads;
    if (m->head_size % 2)
        return lf_fail(err, LF_EDATA, "%s: key 'head_dim': expected an even size for rotary positions, found %lld", m->config_path,
                       (long long)m->head_size);
    return LF_OK;
}

static lf_status read_switches(const lf_model *m, llama *l, lf_err *err) {
    const char *activation;
    lf_status rc;
    if ((rc = lf_json_get_str(m->config, "hidden_act", "silu", &activation, m->config_path, err)) ||
        (!l->traits->has_bias && (rc = lf_json_get_bool(m->config, "attention_bias", false, &l->attention_bias, m->config_path, err))) ||
        (rc = lf_json_get_bool(m->config, "mlp_bias", false, &l->mlp_bias, m->config_path, err)))
        return rc;
    if (strcmp(activation, "silu") && strcmp(activation, "swish"))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'hidden_act': '%s' is not supported for %s; known: silu", m->config_path, activation,
                       l->traits->model_type);
    return LF_OK;
}

/* ---- config.json: who sees how far ---- */

static lf_status read_layer_type(const lf_model *m, const traits *t, const cJSON *type, int64_t window, block *b, lf_err *err) {
    const bool slides = cJSON_IsString(type) && strcmp(type->valuestring, "sliding_attention") == 0;
    if (!slides && !(cJSON_IsString(type) && strcmp(type->valuestring, "full_attention") == 0))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'layer_types': layer %lld is '%s'; known: full_attention, sliding_attention",
                       m->config_path, (long long)b->number, cJSON_IsString(type) ? type->valuestring : "no string");
    if (slides && !window)
        return lf_fail(err, LF_EDATA, "%s: key 'layer_types': layer %lld is 'sliding_attention', but there is no window (%s)", m->config_path,
                       (long long)b->number, t->window == WINDOW_BY_LAYER ? "sliding_window with use_sliding_window" : "sliding_window");
    if (t->window != WINDOW_BY_LAYER && slides != (b->window > 0))
        return lf_fail(err, LF_EUNSUPPORTED, "%s: key 'layer_types': layer %lld is '%s', but all layers of model_type '%s' are of one kind",
                       m->config_path, (long long)b->number, type->valuestring, t->model_type);
    b->window = slides ? window : 0;
    return LF_OK;
}

static lf_status read_windows(const lf_model *m, llama *l, lf_err *err) {
    static const lf_refused_key no_window[] = {{"sliding_window", "a sliding window is"}};
    const traits *t = l->traits;
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(m->config, "layer_types");
    int64_t window = 0, first = 0;
    bool on = true;
    lf_status rc = LF_OK;
    if (t->window == NO_WINDOW) rc = lf_family_refuse(m, no_window, 1, err);
    else if (!is_null(m, "sliding_window")) rc = lf_family_sizes(m, &(lf_size_key){"sliding_window", NULL, 4096, 1 << 27, &window}, 1, err);
    if (!rc && t->window == WINDOW_BY_LAYER && !(rc = lf_json_get_bool(m->config, "use_sliding_window", false, &on, m->config_path, err)))
        rc = lf_json_get_i64(m->config, "max_window_layers", 28, &first, m->config_path, err);
    if (rc) return rc;
    if (!on) window = 0;
    for (int64_t i = 0; i < m->n_layers; i++) l->blocks[i].window = i >= first ? window : 0;
    if (!types || cJSON_IsNull(types)) return LF_OK;
    if (!cJSON_IsArray(types) || cJSON_GetArraySize(types) != m->n_layers)
        return lf_fail(err, LF_EDATA, "%s: key 'layer_types': expected a list of %lld names, one for each layer", m->config_path,
                       (long long)m->n_layers);
    const cJSON *type = types->child;
    for (int64_t i = 0; !rc && i < m->n_layers; i++, type = type->next) rc = read_layer_type(m, t, type, window, &l->blocks[i], err);
    return rc;
}

/* ---- the table of modules ---- */

static bool declare_block(lf_model *m, const llama *l, block *b) {
    lf_nn *nn = &m->nn;
    const int64_t C = m->hidden_size, I = l->intermediate_size, D = m->head_size, Q = m->heads * D, KV = m->kv_heads * D;
    const bool qkv_bias = l->attention_bias || l->traits->has_bias;
    const struct { lf_module **to; int64_t out, in; bool bias; const char *name; } parts[] = {
        {&b->norm_before, 0, C, false, "input_layernorm"},
        {&b->q, Q, C, qkv_bias, "self_attn.q_proj"},
        {&b->k, KV, C, qkv_bias, "self_attn.k_proj"},
        {&b->v, KV, C, qkv_bias, "self_attn.v_proj"},
        {&b->o, C, Q, l->attention_bias, "self_attn.o_proj"},
        {&b->q_norm, 0, l->traits->has_head_norm ? D : 0, false, "self_attn.q_norm"},
        {&b->k_norm, 0, l->traits->has_head_norm ? D : 0, false, "self_attn.k_norm"},
        {&b->norm_after, 0, C, false, "post_attention_layernorm"},
        {&b->gate, I, C, l->mlp_bias, "mlp.gate_proj"},
        {&b->up, I, C, l->mlp_bias, "mlp.up_proj"},
        {&b->down, C, I, l->mlp_bias, "mlp.down_proj"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char name[128];
        if (!parts[i].in) continue;
        snprintf(name, sizeof name, "model.layers.%lld.%s", (long long)b->number, parts[i].name);
        *parts[i].to = parts[i].out ? lf_family_product(nn, LF_MODULE_LINEAR, parts[i].out, parts[i].in, parts[i].bias, name, name)
                                    : lf_family_norm(nn, parts[i].in, false, name, name);
        if (!*parts[i].to) return false;
    }
    return !lf_nn_group(nn, &b->qkv, (lf_module *[]){b->q, b->k, b->v}, 3, NULL) &&
           !lf_nn_group(nn, &b->gate_up, (lf_module *[]){b->gate, b->up}, 2, NULL);
}

static lf_status declare_all(lf_model *m, llama *l, lf_err *err) {
    static const char *const targets[] = {"q_proj", "v_proj", NULL};
    static const char table[] = "model.embed_tokens", norm[] = "model.norm";
    lf_module *embedding = lf_family_table(&m->nn, m->vocab_size, m->hidden_size, table, table);
    bool ok = embedding != NULL;
    for (int64_t i = 0; ok && i < m->n_layers; i++) ok = declare_block(m, l, &l->blocks[i]);
    ok = ok && (l->norm = lf_family_norm(&m->nn, m->hidden_size, false, norm, norm));
    if (!ok) return lf_fail(err, LF_ENOMEM, "%s: out of memory for the table of modules", m->path);
    m->embedding = embedding->weight;
    return lf_lm_declare_head(m, false, targets, err);
}

static lf_status llama_declare(lf_model *m, lf_err *err) {
    llama *l = lf_arena_alloc(m->nn.arena, sizeof *l);
    if (!l) return lf_fail(err, LF_ENOMEM, "%s: out of memory", m->path);
    m->impl = l;
    l->traits = all_traits;
    while (strcmp(l->traits->model_type, m->family->model_type)) l->traits++;
    lf_status rc;
    if ((rc = read_sizes(m, l, err)) || (rc = read_switches(m, l, err)) || (rc = lf_rope_read(&l->rope, m, err))) return rc;
    l->blocks = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *l->blocks);
    if (!l->blocks) return lf_fail(err, LF_ENOMEM, "%s: out of memory", m->path);
    for (int64_t i = 0; i < m->n_layers; i++) l->blocks[i] = (block){.model = m, .number = i};
    if ((rc = read_windows(m, l, err))) return rc;
    return declare_all(m, l, err);
}

static const lf_st_tensor *llama_find(const lf_safetensors *st, const lf_param *p) { return lf_lm_find(st, p, "model."); }

/* Old files hold the frequencies of rotary positions, which config.json says too. */
static bool llama_ignores(const char *name) {
    static const char end[] = ".rotary_emb.inv_freq";
    const size_t n = strlen(name), k = sizeof end - 1;
    return n > k && strcmp(name + n - k, end) == 0;
}

static void llama_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const llama *l = m->impl;
    lf_lm_init_param(p, l->initializer_range, key, out);
}

/* ---- forward ---- */

static lf_tensor *self_attention(const block *b, lf_graph *g, lf_tensor *x) {
    const lf_model *m = b->model;
    const llama *l = m->impl;
    lf_tensor *h = lf_nn_rmsnorm(g, b->norm_before, x, l->epsilon);
    lf_tensor *qkv = lf_nn_linear_group(g, &m->nn, b->qkv, h), *turned;
    lf_done(g, h);
    if (b->q_norm) {
        lf_tensor *normed = lf_head_norm(g, qkv, &b->q_norm->weight->tensor, &b->k_norm->weight->tensor, m->heads, m->kv_heads, l->epsilon);
        lf_done(g, qkv);
        qkv = normed;
    }
    turned = lf_rope(g, qkv, l->rope.cosines, l->rope.sines, l->pass.in.positions, m->heads, m->kv_heads);
    lf_done(g, qkv);
    const lf_attention_opts opts = {.heads = m->heads, .kv_heads = m->kv_heads, .causal = true, .window = b->window,
                                    .first = l->pass.in.first, .dropout = l->attention_dropout};
    lf_tensor *a = lf_lm_attention(g, turned, &opts, l->pass.cache, b->number);
    lf_tensor *o = lf_nn_linear(g, &m->nn, b->o, a);
    lf_done(g, a);
    return o;
}

static lf_tensor *mlp(const block *b, lf_graph *g, lf_tensor *x) {
    const lf_model *m = b->model;
    const llama *l = m->impl;
    lf_tensor *h = lf_nn_rmsnorm(g, b->norm_after, x, l->epsilon);
    lf_tensor *gate_up = lf_nn_linear_group(g, &m->nn, b->gate_up, h);
    lf_done(g, h);
    lf_tensor *act = lf_silu_mul(g, gate_up);
    lf_done(g, gate_up);
    lf_tensor *down = lf_nn_linear(g, &m->nn, b->down, act);
    lf_done(g, act);
    return down;
}

static lf_tensor *layer(const void *block_, lf_graph *g, lf_tensor *x) {
    const block *b = block_;
    x = lf_family_residual(g, x, self_attention(b, g, x));
    return lf_family_residual(g, x, mlp(b, g, x));
}

static lf_tensor *llama_hidden(lf_model *m, lf_graph *g, const lf_model_input *in, lf_kv_cache *cache) {
    llama *l = m->impl;
    if (!lf_rope_reach(&l->rope, m, g, in)) return NULL;
    l->pass = (lf_lm_pass){*in, cache};
    lf_tensor *x = lf_embed(g, in->ids, in->B, in->T, &m->embedding->tensor, NULL, NULL);
    for (int64_t i = 0; i < m->n_layers; i++) x = lf_family_layer(m, g, layer, &l->blocks[i], x);
    lf_tensor *hidden = lf_nn_rmsnorm(g, l->norm, x, l->epsilon);
    lf_done(g, x);
    return hidden;
}

#define LLAMA_FAMILY(name)                                                                                                          \
    const lf_family lf_family_##name = {.model_type = #name, .auto_class = "AutoModelForCausalLM", .declare = llama_declare,        \
                                        .find = llama_find, .ignores = llama_ignores, .init_param = llama_init_param, .hidden = llama_hidden};
LLAMA_FAMILY(llama)
LLAMA_FAMILY(mistral)
LLAMA_FAMILY(qwen2)
LLAMA_FAMILY(qwen3)

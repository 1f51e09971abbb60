/* config.json of LLaMA and its relatives. They differ in a few points and in what a missing key means, which are a
 * table; what is not in a row is as in LLaMA. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "model/llama.h"

/* Biases: never, always, or as attention_bias and mlp_bias say. */
typedef enum bias_rule { BIAS_NEVER, BIAS_ALWAYS, BIAS_BY_CONFIG } bias_rule;

typedef struct relative {
    const char *model_type;
    bias_rule qkv_bias, o_bias, mlp_bias;
    lf_llama_norms norms;
    lf_llama_qk_norm qk_norm;
    lf_window_rule window;
    int64_t full_every;      /* of rule LF_WINDOW_PATTERN: the last of so many layers sees all */
    const char *pattern_key; /* where config.json may say so; NULL: nowhere */
    int64_t head_dim;        /* unless config.json says; 0: hidden_size / heads */
    int64_t kv_heads;        /* the same; 0: as many as heads */
    int64_t positions;       /* the same; 0: 2048 */
    double epsilon;          /* the same; 0: 1e-6 */
    int64_t pads;            /* the same: 1 + pad_token_id; 0: there is none */
    bool tied;               /* the same */
    double score_cap;        /* attn_logit_softcapping, where it is missing; 0: the key is not read */
    double logits_cap;       /* the same of final_logit_softcapping, which all that are `gemma` have; 0: none */
    bool gemma;        /* norms by 1 + w, embeddings by sqrt(hidden_size), scores by query_pre_attn_scalar, GeGLU */
    bool fused;        /* qkv_proj, gate_up_proj; dropout of branches */
    bool multiplied;   /* by the four scalars of Granite */
    bool unturned;     /* some layers turn nothing: no_rope_layers */
    lf_rope_keys rope; /* of full layers, if there are two kinds */
    const lf_rope_keys *sliding_rope; /* NULL: theirs too */
    const char *const *refused;       /* pairs of a key and what it asks for; ends with NULL; NULL: none */
} relative;

static const char *const su_and_yarn[] = {"su", "yarn", NULL}; /* longrope, in old files of Phi-3 */
static const lf_rope_keys local_rope = {
    .layers = "sliding_attention", .theta_key = "rope_local_base_freq", .theta = 10000};
static const char *const gemma2_refused[] = {"use_bidirectional_attention", "attention to later tokens is", NULL};
static const char *const gemma3_refused[] = {
    "use_bidirectional_attention", "attention to later tokens is", /* transformers reads the next and caps nothing: */
    "attn_logit_softcapping", "a cap on scores, which transformers does not apply, is", NULL};

static const relative relatives[] = {
    {.model_type = "llama", .qkv_bias = BIAS_BY_CONFIG, .o_bias = BIAS_BY_CONFIG, .mlp_bias = BIAS_BY_CONFIG},
    {.model_type = "mistral", .window = LF_WINDOW_EVERYWHERE},
    {.model_type = "qwen2", .qkv_bias = BIAS_ALWAYS, .window = LF_WINDOW_BY_LAYER},
    {.model_type = "qwen3",
     .qkv_bias = BIAS_BY_CONFIG,
     .o_bias = BIAS_BY_CONFIG,
     .qk_norm = LF_QK_BY_HEAD,
     .window = LF_WINDOW_BY_LAYER,
     .head_dim = 128},
    {.model_type = "smollm3",
     .qkv_bias = BIAS_BY_CONFIG,
     .o_bias = BIAS_BY_CONFIG,
     .mlp_bias = BIAS_BY_CONFIG,
     .window = LF_WINDOW_UNTURNED,
     .kv_heads = 4,
     .positions = 32768,
     .pads = 128005,
     .tied = true,
     .unturned = true,
     .rope = {.theta = 2e6}},
    {.model_type = "olmo2",
     .qkv_bias = BIAS_BY_CONFIG,
     .o_bias = BIAS_BY_CONFIG,
     .norms = LF_NORMS_BEHIND,
     .qk_norm = LF_QK_WHOLE,
     .epsilon = 1e-5,
     .pads = 2},
    {.model_type = "phi3",
     .window = LF_WINDOW_GIVEN,
     .positions = 4096,
     .epsilon = 1e-5,
     .pads = 32001,
     .fused = true,
     .rope = {.partial = true, .original = 4096, .longrope_names = su_and_yarn}},
    {.model_type = "granite",
     .qkv_bias = BIAS_BY_CONFIG,
     .o_bias = BIAS_BY_CONFIG,
     .mlp_bias = BIAS_BY_CONFIG,
     .multiplied = true},
    {.model_type = "gemma2",
     .qkv_bias = BIAS_BY_CONFIG,
     .o_bias = BIAS_BY_CONFIG,
     .norms = LF_NORMS_BOTH,
     .window = LF_WINDOW_PATTERN,
     .full_every = 2,
     .head_dim = 256,
     .kv_heads = 4,
     .positions = 8192,
     .pads = 1,
     .tied = true,
     .gemma = true,
     .score_cap = 50,
     .logits_cap = 30,
     .refused = gemma2_refused},
    {.model_type = "gemma3_text",
     .qkv_bias = BIAS_BY_CONFIG,
     .o_bias = BIAS_BY_CONFIG,
     .norms = LF_NORMS_BOTH,
     .qk_norm = LF_QK_BY_HEAD,
     .window = LF_WINDOW_PATTERN,
     .full_every = 6,
     .pattern_key = "sliding_window_pattern",
     .head_dim = 256,
     .kv_heads = 4,
     .positions = 131072,
     .pads = 1,
     .tied = true,
     .gemma = true,
     .rope = {.layers = "full_attention", .theta = 1e6, .scaled = true},
     .sliding_rope = &local_rope,
     .refused = gemma3_refused},
};

static const relative *relative_of(const lf_model *m) {
    const relative *r = relatives;
    while (strcmp(r->model_type, m->family->model_type) != 0) r++;
    return r;
}

/* ---- sizes and biases ---- */

static lf_status read_sizes(lf_model *m, lf_llama *v, const relative *r, lf_err *err) {
    lf_status rc;
    if ((rc = lf_family_size(m, "vocab_size", -1, 1 << 24, &m->tokens.vocab_size, err)) ||
        (rc = lf_family_size(m, "hidden_size", -1, 65536, &m->hidden_size, err)) ||
        (rc = lf_family_size(m, "num_hidden_layers", -1, 1024, &m->n_layers, err)) ||
        (rc = lf_family_size(m, "num_attention_heads", -1, 4096, &v->heads, err)) ||
        (rc = lf_family_size(m, "num_key_value_heads",
                             r->kv_heads && !cJSON_HasObjectItem(m->config, "num_key_value_heads") ? r->kv_heads
                                                                                                   : v->heads,
                             4096, &v->kv_heads, err)) ||
        (rc = lf_family_size(m, "intermediate_size", -1, 1 << 20, &v->intermediate_size, err)) ||
        (rc = lf_family_size(m, "head_dim", r->head_dim ? r->head_dim : m->hidden_size / v->heads, 65536, &v->head_dim,
                             err)) ||
        (rc = lf_family_size(m, "max_position_embeddings", r->positions ? r->positions : 2048, 1 << 27,
                             &m->tokens.max_positions, err)))
        return rc;
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

static bool by_rule(bias_rule rule, bool config) { return rule == BIAS_BY_CONFIG ? config : rule == BIAS_ALWAYS; }

static lf_status read_biases(const lf_model *m, lf_llama *v, const relative *r, lf_err *err) {
    bool attention_bias, mlp_bias;
    lf_status rc;
    if ((rc = lf_json_get_bool(m->config, "attention_bias", false, &attention_bias, m->config_path, err)) ||
        (rc = lf_json_get_bool(m->config, "mlp_bias", false, &mlp_bias, m->config_path, err)))
        return rc;
    v->qkv_bias = by_rule(r->qkv_bias, attention_bias);
    v->o_bias = by_rule(r->o_bias, attention_bias);
    v->mlp_bias = by_rule(r->mlp_bias, mlp_bias);
    return LF_OK;
}

static lf_status read_numbers(lf_model *m, lf_llama *v, const relative *r, lf_err *err) {
    lf_status rc;
    if ((rc = lf_family_positive(m, "rms_norm_eps", r->epsilon > 0 ? r->epsilon : 1e-6, &v->epsilon, err)) ||
        (rc = lf_json_get_f64(m->config, "initializer_range", 0.02, &v->initializer_range, m->config_path, err)) ||
        (rc = lf_family_share(m, "attention_dropout", 0, &v->attention_dropout, err)) ||
        (r->fused && (rc = lf_family_share(m, "resid_pdrop", 0, &v->resid_pdrop, err))) ||
        (rc = lf_json_get_bool(m->config, "tie_word_embeddings", r->tied, &m->tied, m->config_path, err)))
        return rc;
    return r->gemma ? lf_family_activation(m, "hidden_activation", "gelu_pytorch_tanh", &v->activation, err)
                    : lf_family_activation(m, "hidden_act", "silu", &v->activation, err);
}

/* ---- scalars ---- */

/* transformers multiplies by sqrt(hidden_size) in the type of the embeddings. */
static double rounded(const lf_model *m, double x) {
    float as_float = (float)x;
    if (m->nn.k->act_dtype == LF_BF16) {
        uint16_t bits;
        lf_from_f32(&bits, LF_BF16, &as_float, 1);
        lf_to_f32(&as_float, &bits, LF_BF16, 1);
    }
    return (double)as_float;
}

/* null is none; a missing key is `missing`. */
static lf_status read_cap(const lf_model *m, const char *key, double missing, double *cap, lf_err *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->config, key);
    *cap = item ? 0 : missing;
    return !item || cJSON_IsNull(item) ? LF_OK : lf_family_positive(m, key, 0, cap, err);
}

static lf_status read_gemma(lf_model *m, lf_llama *v, const relative *r, lf_err *err) {
    double query;
    lf_status rc;
    if ((rc = lf_family_positive(m, "query_pre_attn_scalar", 256, &query, err)) ||
        (r->score_cap > 0 && (rc = read_cap(m, "attn_logit_softcapping", r->score_cap, &v->score_cap, err))) ||
        (rc = read_cap(m, "final_logit_softcapping", r->logits_cap, &m->logits_softcap, err)))
        return rc;
    v->score_scale = 1 / sqrt(query);
    v->embedding_scale = m->tokens.scaled_by = rounded(m, sqrt((double)m->hidden_size));
    return LF_OK;
}

static lf_status read_multipliers(lf_model *m, lf_llama *v, lf_err *err) {
    double divisor;
    lf_status rc;
    if ((rc = lf_family_positive(m, "embedding_multiplier", 1, &v->embedding_scale, err)) ||
        (rc = lf_family_positive(m, "residual_multiplier", 1, &v->residual_scale, err)) ||
        (rc = lf_family_positive(m, "attention_multiplier", 1, &v->score_scale, err)) ||
        (rc = lf_family_positive(m, "logits_scaling", 1, &divisor, err)))
        return rc;
    m->logits_scale = 1 / divisor;
    return LF_OK;
}

static lf_status read_scalars(lf_model *m, lf_llama *v, const relative *r, lf_err *err) {
    v->embedding_scale = v->residual_scale = 1;
    return r->gemma ? read_gemma(m, v, r, err) : r->multiplied ? read_multipliers(m, v, err) : LF_OK;
}

/* ---- layers: windows, and which rotary table turns them ---- */

/* no_rope_layers has 1 for a layer that is turned; without it, every no_rope_layer_interval-th layer is not. */
static lf_status read_unturned(const lf_model *m, lf_llama *v, lf_err *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(m->config, "no_rope_layers"), *item;
    const bool given = list && !cJSON_IsNull(list);
    int64_t every;
    const lf_status rc = lf_family_size(m, "no_rope_layer_interval", 4, INT32_MAX, &every, err);
    if (rc) return rc;
    if (given && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < m->n_layers))
        return lf_fail(err, LF_EDATA,
                       "%s: key 'no_rope_layers': expected a list of %lld numbers, as num_hidden_layers says",
                       m->config_path, (long long)m->n_layers);
    item = given ? list->child : NULL;
    for (int64_t i = 0; i < m->n_layers; i++, item = item ? item->next : NULL) {
        int64_t turned = (i + 1) % every != 0;
        if (given && (!lf_json_exact_i64(item, &turned) || turned < 0 || turned > 1))
            return lf_fail(err, LF_EDATA, "%s: key 'no_rope_layers': expected 0 or 1 for layer %lld", m->config_path,
                           (long long)i);
        v->layers[i].rope = turned ? LF_ROPE_FULL : LF_ROPE_NONE;
    }
    return LF_OK;
}

static lf_status read_layers(lf_model *m, lf_llama *v, const relative *r, lf_err *err) {
    int64_t *windows = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *windows);
    bool *unturned = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *unturned);
    v->layers = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->layers);
    if (!windows || !unturned || !v->layers) return lf_no_memory(err, "%s", m->path);
    lf_status rc;
    if (r->unturned && (rc = read_unturned(m, v, err))) return rc;
    for (int64_t i = 0; i < m->n_layers; i++) unturned[i] = v->layers[i].rope == LF_ROPE_NONE;
    const lf_window_opts opts = {
        .rule = r->window, .full_every = r->full_every, .pattern_key = r->pattern_key, .unturned = unturned};
    if ((rc = lf_family_windows(m, &opts, windows, err))) return rc;
    for (int64_t i = 0; i < m->n_layers; i++) {
        v->layers[i].window = windows[i];
        if (r->sliding_rope && windows[i]) v->layers[i].rope = LF_ROPE_SLIDING;
    }
    return LF_OK;
}

static lf_status read_ropes(lf_model *m, lf_llama *v, const relative *r, lf_err *err) {
    lf_status rc;
    v->n_ropes = r->sliding_rope ? 2 : 1;
    if ((rc = lf_rope_read(&v->ropes[LF_ROPE_FULL], m, v->head_dim, &r->rope, err)) ||
        (r->sliding_rope && (rc = lf_rope_read(&v->ropes[LF_ROPE_SLIDING], m, v->head_dim, r->sliding_rope, err))))
        return rc;
    lf_rope_limits(m, v->ropes, v->n_ropes);
    return LF_OK;
}

lf_status lf_llama_read(lf_model *m, lf_llama *v, lf_err *err) {
    static const char *const separate[] = {"q_proj", "v_proj", NULL}, *const fused[] = {"qkv_proj", NULL};
    const relative *r = relative_of(m);
    lf_status rc = LF_OK;
    for (const char *const *key = r->refused; key && *key && !rc; key += 2)
        rc = lf_family_refuse(m, key[0], key[1], err);
    if (rc || (rc = read_sizes(m, v, r, err)) || (rc = read_biases(m, v, r, err)) ||
        (rc = read_numbers(m, v, r, err)) || (rc = read_scalars(m, v, r, err)) || (rc = read_layers(m, v, r, err)))
        return rc;
    v->norms = r->norms;
    v->qk_norm = r->qk_norm;
    v->norms_around_zero = r->gemma;
    v->fused = r->fused;
    v->targets = r->fused ? fused : separate;
    v->padding = r->pads - 1;
    return read_ropes(m, v, r, err);
}

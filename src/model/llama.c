/* LlamaForCausalLM and its relatives as transformers has them: blocks of RMS norms, rotary attention with grouped
 * queries, and a gated MLP. What they differ in is in lf_llama, by config.json and the table of llama_config.c. */
#include <string.h>

#include "model/llama.h"

typedef lf_llama_layer layer;

/* ---- the table of modules ---- */

enum { BEFORE_ATTENTION, BEHIND_ATTENTION, BEFORE_MLP, BEHIND_MLP, NORMS };
static const char *const norm_names[][NORMS] = {
    /* NULL: there is none */
    [LF_NORMS_BEFORE] = {"input_layernorm", NULL, "post_attention_layernorm", NULL},
    [LF_NORMS_BEHIND] = {NULL, "post_attention_layernorm", NULL, "post_feedforward_layernorm"},
    [LF_NORMS_BOTH] = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                       "post_feedforward_layernorm"},
};

static bool declare_layer(lf_model *m, const lf_llama *v, layer *l) {
    lf_nn *nn = &m->nn;
    const int64_t C = m->hidden_size, I = v->intermediate_size, D = v->head_dim, Q = v->heads * D, KV = v->kv_heads * D;
    const int64_t apart = v->fused ? 0 : C, as_one = v->fused ? C : 0; /* what a layer has none of goes in 0 wide */
    const bool normed = v->qk_norm != LF_QK_PLAIN, whole = v->qk_norm == LF_QK_WHOLE;
    const char *const *norms = norm_names[v->norms];
    const lf_layer_part parts[] = {
        {&l->q, Q, apart, v->qkv_bias, "self_attn.q_proj", NULL, false},
        {&l->k, KV, apart, v->qkv_bias, "self_attn.k_proj", NULL, false},
        {&l->v, KV, apart, v->qkv_bias, "self_attn.v_proj", NULL, false},
        {&l->fused_qkv, Q + 2 * KV, as_one, v->qkv_bias, "self_attn.qkv_proj", NULL, false},
        {&l->o, C, Q, v->o_bias, "self_attn.o_proj", NULL, false},
        {&l->q_norm, 0,
         !normed ? 0
         : whole ? Q
                 : D,
         false, "self_attn.q_norm", NULL, false},
        {&l->k_norm, 0,
         !normed ? 0
         : whole ? KV
                 : D,
         false, "self_attn.k_norm", NULL, false},
        {&l->gate, I, apart, v->mlp_bias, "mlp.gate_proj", NULL, false},
        {&l->up, I, apart, v->mlp_bias, "mlp.up_proj", NULL, false},
        {&l->fused_gate_up, 2 * I, as_one, v->mlp_bias, "mlp.gate_up_proj", NULL, false},
        {&l->down, C, I, v->mlp_bias, "mlp.down_proj", NULL, false},
        {&l->before_attention, 0, norms[BEFORE_ATTENTION] ? C : 0, false, norms[BEFORE_ATTENTION], NULL, false},
        {&l->behind_attention, 0, norms[BEHIND_ATTENTION] ? C : 0, false, norms[BEHIND_ATTENTION], NULL, false},
        {&l->before_mlp, 0, norms[BEFORE_MLP] ? C : 0, false, norms[BEFORE_MLP], NULL, false},
        {&l->behind_mlp, 0, norms[BEHIND_MLP] ? C : 0, false, norms[BEHIND_MLP], NULL, false},
    };
    static const char layers[] = "model.layers";
    l->model = m;
    if (!lf_family_layer(nn, layers, layers, l->number, parts, sizeof parts / sizeof *parts)) return false;
    l->down->of_gate = true;
    return v->fused || (!lf_nn_group(nn, &l->qkv, (lf_module *[]){l->q, l->k, l->v}, 3, NULL) &&
                        !lf_nn_group(nn, &l->gate_up, (lf_module *[]){l->gate, l->up}, 2, NULL));
}

static void center_norms(lf_nn *nn) {
    for (int64_t i = 0; i < nn->n_modules; i++)
        if (nn->modules[i]->kind == LF_MODULE_NORM) nn->modules[i]->weight->plus_one = true;
}

static lf_status llama_declare(lf_model *m, lf_err *err) {
    lf_llama *v = m->impl = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    const lf_status rc = lf_llama_read(m, v, err);
    if (rc) return rc;
    bool ok = lf_family_ends(m, "model.embed_tokens", v->targets);
    if (ok) lf_family_padding(m, v->padding);
    for (int64_t i = 0; ok && i < m->n_layers; i++) {
        v->layers[i].number = i;
        ok = declare_layer(m, v, &v->layers[i]);
    }
    ok = ok && (v->norm = lf_family_norm(&m->nn, m->hidden_size, false, "model.norm", NULL));
    if (v->norms_around_zero) center_norms(&m->nn);
    return ok ? LF_OK : lf_no_memory(err, "the table of modules of %s", m->path);
}

static void llama_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const lf_llama *v = m->impl;
    lf_family_init_param(p, key, v->initializer_range, out);
}

/* ---- forward ---- */

static lf_tensor *attention(const layer *l, const lf_llama *v, const lf_pass *pass, lf_graph *g, lf_tensor *qkv) {
    const lf_attention_opts o = {.heads = v->heads,
                                 .kv_heads = v->kv_heads,
                                 .scale = v->score_scale,
                                 .softcap = v->score_cap,
                                 .causal = true,
                                 .window = l->window,
                                 .first = pass->in.first,
                                 .dropout = v->attention_dropout};
    return pass->cache ? lf_kv_attention(pass->cache, g, l->number, qkv, v->heads * v->head_dim, &o)
                       : lf_attention(g, qkv, &o);
}

/* Norms and rotary positions of q and k; qkv is done. */
static lf_tensor *prepare(const layer *l, const lf_llama *v, const lf_pass *pass, lf_graph *g, lf_tensor *qkv) {
    if (l->q_norm)
        qkv = lf_nn_then(g, qkv,
                         lf_head_norm(g, qkv, &l->q_norm->weight->tensor, &l->k_norm->weight->tensor, v->heads,
                                      v->kv_heads, v->epsilon));
    if (l->rope == LF_ROPE_NONE) return qkv;
    const lf_rope_rows *turn = &pass->rotation[l->rope];
    return lf_nn_then(
        g, qkv, lf_rope(g, qkv, turn->cosines, turn->sines, turn->positions, turn->turned, v->heads, v->kv_heads));
}

/* Either branch is done with h as soon as it is read, if it is a norm's: x itself is also what the branch is added to.
 */
static lf_tensor *self_attention(const layer *l, const lf_llama *v, const lf_pass *pass, lf_graph *g, lf_tensor *h) {
    lf_tensor *qkv =
        l->fused_qkv ? lf_nn_linear(g, pass->base, l->fused_qkv, h) : lf_nn_linear_group(g, pass->base, l->qkv, h);
    if (l->before_attention) lf_done(g, h);
    qkv = prepare(l, v, pass, g, qkv);
    lf_tensor *a = lf_nn_then(g, qkv, attention(l, v, pass, g, qkv));
    return lf_nn_then(g, a, lf_nn_linear(g, pass->base, l->o, a));
}

static lf_tensor *mlp(const layer *l, const lf_llama *v, const lf_pass *pass, lf_graph *g, lf_tensor *h) {
    lf_tensor *gate_up = l->fused_gate_up ? lf_nn_linear(g, pass->base, l->fused_gate_up, h)
                                          : lf_nn_linear_group(g, pass->base, l->gate_up, h);
    if (l->before_mlp) lf_done(g, h);
    lf_tensor *product = lf_nn_then(g, gate_up, lf_gated(g, gate_up, v->activation));
    return lf_nn_then(g, product, lf_nn_linear(g, pass->base, l->down, product));
}

typedef lf_tensor *branch_fn(const layer *l, const lf_llama *v, const lf_pass *pass, lf_graph *g, lf_tensor *h);

/* x + the branch, which has a norm before it, behind it, or both; x is done. */
static lf_tensor *with_branch(const layer *l, const lf_pass *pass, lf_graph *g, lf_tensor *x, lf_module *before,
                              branch_fn *branch, lf_module *behind) {
    const lf_llama *v = l->model->impl;
    lf_tensor *h = before ? lf_nn_rmsnorm(g, before, x, v->epsilon) : x, *y = branch(l, v, pass, g, h);
    if (behind) y = lf_nn_then(g, y, lf_nn_rmsnorm(g, behind, y, v->epsilon));
    return lf_nn_residual(g, x, lf_scale(g, lf_dropout(g, y, v->resid_pdrop), v->residual_scale));
}

static lf_tensor *build_layer(const void *layer_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const layer *l = layer_;
    x = with_branch(l, pass, g, x, l->before_attention, self_attention, l->behind_attention);
    return with_branch(l, pass, g, x, l->before_mlp, mlp, l->behind_mlp);
}

static lf_tensor *llama_hidden(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const lf_llama *v = m->impl;
    const lf_model_input *in = &pass->in;
    if (!lf_family_check_ids(m, g, in) || !(pass->rotation = lf_rope_open(v->ropes, v->n_ropes, g, in))) return NULL;
    lf_tensor *x =
        lf_pass_begins_late(pass) ? NULL : lf_scale(g, lf_family_embed(m, g, pass, NULL, NULL), v->embedding_scale);
    x = lf_model_layers(g, build_layer, pass, v->layers, sizeof *v->layers, m->n_layers,
                        m->gradient_checkpointing && !pass->cache, x);
    return lf_nn_then(g, x, lf_nn_rmsnorm(g, v->norm, x, v->epsilon));
}

static const char *const unused[] = {".rotary_emb.inv_freq", NULL}; /* of old files; config.json says them too */

#define RELATIVE(name, no_class)                                                                                       \
    const lf_family lf_family_##name = {.model_type = #name,                                                           \
                                        .input = LF_TOKENS,                                                            \
                                        .prefix = "model.",                                                            \
                                        .unused = unused,                                                              \
                                        .unclassified = no_class,                                                      \
                                        .declare = llama_declare,                                                      \
                                        .init_param = llama_init_param,                                                \
                                        .hidden = llama_hidden};
RELATIVE(llama, false)
RELATIVE(mistral, false)
RELATIVE(qwen2, false)
RELATIVE(qwen3, false)
RELATIVE(smollm3, false)
RELATIVE(olmo2, false)
RELATIVE(phi3, false)
RELATIVE(granite, true)
RELATIVE(gemma2, false)
RELATIVE(gemma3_text, false)

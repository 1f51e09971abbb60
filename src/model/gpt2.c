/* GPT2LMHeadModel as transformers has it: learned positions, pre-norm blocks, tanh GELU. Its linear layers are Conv1D,
 * whose weights stand in the file as [in,out]; here they are [out,in] like all others (lf_param.transposed). c_attn is
 * q, k and v in one module, which is what attention wants. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "model/gpt2.h"

struct lf_gpt2_layer {
    lf_module *ln_1, *ln_2, *c_attn, *c_proj, *c_fc, *mlp_c_proj;
    const lf_model *model;
    int64_t number;
};

/* reorder_and_upcast_attn is about roundings in half precision: softmax is in floats here anyway. */
static lf_status read_scale(const lf_model *m, lf_gpt2 *v, lf_err *err) {
    lf_status rc;
    if ((rc = lf_json_get_bool(m->config, "scale_attn_weights", true, &v->scale_by_size, m->config_path, err)) ||
        (rc = lf_json_get_bool(m->config, "scale_attn_by_inverse_layer_idx", false, &v->scale_by_layer, m->config_path,
                               err)))
        return rc;
    return lf_family_refuse(m, "add_cross_attention", "cross attention is", err);
}

static lf_status read_config(lf_model *m, lf_gpt2 *v, lf_err *err) {
    lf_status rc;
    if ((rc = lf_family_size(m, "vocab_size", 50257, 1 << 24, &m->tokens.vocab_size, err)) ||
        (rc = lf_family_size(m, "n_embd", 768, 65536, &m->hidden_size, err)) ||
        (rc = lf_family_size(m, "n_layer", 12, 1024, &m->n_layers, err)) ||
        (rc = lf_family_size(m, "n_head", 12, 4096, &v->heads, err)) ||
        (rc = lf_family_size(m, "n_positions", 1024, 1 << 24, &v->P, err)) ||
        (rc = lf_family_size(m, "n_inner", 4 * m->hidden_size, 1 << 20, &v->intermediate_size, err)) ||
        (rc = lf_family_positive(m, "layer_norm_epsilon", 1e-5, &v->epsilon, err)) ||
        (rc = lf_json_get_f64(m->config, "initializer_range", 0.02, &v->initializer_range, m->config_path, err)) ||
        (rc = lf_family_share(m, "embd_pdrop", 0.1, &v->embd_pdrop, err)) ||
        (rc = lf_family_share(m, "attn_pdrop", 0.1, &v->attn_pdrop, err)) ||
        (rc = lf_family_share(m, "resid_pdrop", 0.1, &v->resid_pdrop, err)) ||
        (rc = lf_json_get_bool(m->config, "tie_word_embeddings", true, &m->tied, m->config_path, err)) ||
        (rc = lf_family_activation(m, "activation_function", "gelu_new", &v->activation, err)) ||
        (rc = lf_family_multiple(m, "n_embd", m->hidden_size, "n_head", v->heads, err)))
        return rc;
    m->tokens.max_positions = v->P;
    m->tokens.kv_width = 2 * m->hidden_size;
    return read_scale(m, v, err);
}

static bool declare_layer(lf_model *m, const lf_gpt2 *v, lf_gpt2_layer *l, int64_t number) {
    const int64_t C = m->hidden_size, I = v->intermediate_size;
    l->model = m;
    l->number = number;
    const lf_layer_part parts[] = {
        {&l->ln_1, 0, C, true, "ln_1", NULL, false},         {&l->c_attn, 3 * C, C, true, "attn.c_attn", NULL, true},
        {&l->c_proj, C, C, true, "attn.c_proj", NULL, true}, {&l->ln_2, 0, C, true, "ln_2", NULL, false},
        {&l->c_fc, I, C, true, "mlp.c_fc", NULL, true},      {&l->mlp_c_proj, C, I, true, "mlp.c_proj", NULL, true},
    };
    static const char layers[] = "transformer.h";
    return lf_family_layer(&m->nn, layers, layers, number, parts, sizeof parts / sizeof *parts);
}

static lf_status gpt2_declare(lf_model *m, lf_err *err) {
    lf_gpt2 *v = m->impl = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    const lf_status rc = read_config(m, v, err);
    if (rc) return rc;
    static const char wpe[] = "transformer.wpe", *const targets[] = {"c_attn", NULL};
    bool ok = lf_family_ends(m, "transformer.wte", targets) &&
              lf_nn_module(&m->nn, LF_MODULE_EMBEDDING, m->hidden_size, v->P, wpe, wpe) &&
              (v->positions = lf_nn_param(&m->nn, wpe, wpe, "weight", 2, (int64_t[]){v->P, m->hidden_size}, false)) &&
              (v->layers = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->layers));
    if (ok) v->positions->rows_key = "n_positions";
    for (int64_t i = 0; ok && i < m->n_layers; i++) ok = declare_layer(m, v, &v->layers[i], i);
    ok = ok && (v->ln_f = lf_family_norm(&m->nn, m->hidden_size, true, "transformer.ln_f", NULL));
    return ok ? LF_OK : lf_no_memory(err, "the table of modules of %s", m->path);
}

static void gpt2_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const lf_gpt2 *v = m->impl;
    const bool added =
        strstr(p->name, ".c_proj.") != NULL; /* to the residual stream: smaller by the number of additions */
    lf_family_init_param(p, key, v->initializer_range / (added ? sqrt(2 * (double)m->n_layers) : 1), out);
}

/* ---- forward ---- */

static lf_tensor *attention(const lf_gpt2_layer *l, const lf_gpt2 *v, const lf_pass *pass, lf_graph *g,
                            lf_tensor *qkv) {
    const double by_size = v->scale_by_size ? 1 / sqrt((double)(l->model->hidden_size / v->heads)) : 1,
                 scale = by_size / (v->scale_by_layer ? (double)(l->number + 1) : 1);
    const lf_attention_opts o = {.heads = v->heads,
                                 .kv_heads = v->heads,
                                 .scale = scale,
                                 .causal = true,
                                 .first = pass->in.first,
                                 .dropout = v->attn_pdrop};
    return pass->cache ? lf_kv_attention(pass->cache, g, l->number, qkv, l->model->hidden_size, &o)
                       : lf_attention(g, qkv, &o);
}

static lf_tensor *build_layer(const void *layer_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const lf_gpt2_layer *l = layer_;
    const lf_gpt2 *v = l->model->impl;
    lf_tensor *h = lf_nn_layernorm(g, l->ln_1, x, v->epsilon);
    lf_tensor *qkv = lf_nn_then(g, h, lf_nn_linear(g, pass->base, l->c_attn, h));
    lf_tensor *a = lf_nn_then(g, qkv, attention(l, v, pass, g, qkv));
    lf_tensor *o = lf_dropout(g, lf_nn_then(g, a, lf_nn_linear(g, pass->base, l->c_proj, a)), v->resid_pdrop);
    x = lf_nn_residual(g, x, o);
    h = lf_nn_layernorm(g, l->ln_2, x, v->epsilon);
    lf_tensor *up = lf_nn_then(g, h, lf_nn_linear(g, pass->base, l->c_fc, h)),
              *act = lf_nn_then(g, up, lf_activation(g, up, v->activation));
    lf_tensor *down =
        lf_dropout(g, lf_nn_then(g, act, lf_nn_linear(g, pass->base, l->mlp_c_proj, act)), v->resid_pdrop);
    return lf_nn_residual(g, x, down);
}

static lf_tensor *embed(const lf_model *m, lf_graph *g, const lf_pass *pass) {
    const lf_gpt2 *v = m->impl;
    return lf_dropout(g, lf_family_embed(m, g, pass, &v->positions->tensor, pass->in.positions), v->embd_pdrop);
}

static lf_tensor *gpt2_hidden(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const lf_gpt2 *v = m->impl;
    const lf_model_input *in = &pass->in;
    if (!lf_family_check_ids(m, g, in)) return NULL;
    lf_tensor *x = lf_pass_begins_late(pass) ? NULL : embed(m, g, pass);
    x = lf_model_layers(g, build_layer, pass, v->layers, sizeof *v->layers, m->n_layers,
                        m->gradient_checkpointing && !pass->cache, x);
    return lf_nn_then(g, x, lf_nn_layernorm(g, v->ln_f, x, v->epsilon));
}

static const char *const unused[] = {".attn.bias", ".attn.masked_bias", NULL}; /* causal masks of old files */

const lf_family lf_family_gpt2 = {.model_type = "gpt2",
                                  .input = LF_TOKENS,
                                  .prefix = "transformer.",
                                  .unused = unused,
                                  .declare = gpt2_declare,
                                  .init_param = gpt2_init_param,
                                  .hidden = gpt2_hidden};

/* ViTForImageClassification (Dosovitskiy et al. 2021) as transformers has it; DeiT without a distillation token is
 * saved as this too. Pre-norm blocks; the class token of the last layer, normed, is the feature that the head sees. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "model/family.h"

/* The head sees the class token of the last layer only, so that layer computes nothing else but the keys and values of
 * the others: its q stands alone, everywhere else q, k and v are multiplied as one. */
typedef struct block {
    lf_module *norm_before, *norm_after, *q, *k, *v, *o, *fc1, *fc2;
    lf_group *attention; /* q, k, v; k, v in the last layer */
    const lf_model *model;
} block;

typedef struct vit {
    int64_t heads, intermediate_size, patch, N;
    double epsilon, hidden_dropout, attention_dropout, initializer_range;
    bool qkv_bias;
    lf_activation_kind activation;
    lf_param *cls, *pos;
    lf_module *patches, *norm;
    block *blocks;
} vit;

/* ---- config.json ---- */

static lf_status read_config(lf_model *m, vit *v, lf_err *err) {
    const struct {
        const char *key;
        int64_t fallback, max, *to;
    } sizes[] = {
        {"hidden_size", 768, 65536, &m->hidden_size},
        {"num_hidden_layers", 12, 1024, &m->n_layers},
        {"num_attention_heads", 12, 4096, &v->heads},
        {"intermediate_size", 3072, 1 << 20, &v->intermediate_size},
    };
    const struct {
        const char *key;
        double fallback, *to;
    } shares[] = {
        {"layer_norm_eps", 1e-12, &v->epsilon},
        {"hidden_dropout_prob", 0, &v->hidden_dropout},
        {"attention_probs_dropout_prob", 0, &v->attention_dropout},
        {"initializer_range", 0.02, &v->initializer_range},
    };
    lf_status rc = LF_OK;
    for (size_t i = 0; !rc && i < sizeof sizes / sizeof sizes[0]; i++)
        rc = lf_family_size(m, sizes[i].key, sizes[i].fallback, sizes[i].max, sizes[i].to, err);
    for (size_t i = 0; !rc && i < sizeof shares / sizeof shares[0]; i++)
        rc = lf_family_share(m, shares[i].key, shares[i].fallback, shares[i].to, err);
    if (rc || (rc = lf_family_activation(m, "hidden_act", "gelu", &v->activation, err)) ||
        (rc = lf_family_pictures(m, &v->patch, err)) ||
        (rc = lf_family_multiple(m, "hidden_size", m->hidden_size, "num_attention_heads", v->heads, err)))
        return rc;
    v->N = m->pixels.height / v->patch * (m->pixels.width / v->patch);
    return lf_json_get_bool(m->config, "qkv_bias", true, &v->qkv_bias, m->config_path, err);
}

/* ---- the table of modules ---- */

static bool declare_block(lf_model *m, const vit *v, block *b, int64_t number) {
    b->model = m;
    const int64_t C = m->hidden_size, I = v->intermediate_size;
    const lf_layer_part parts[] = {
        {&b->norm_before, 0, C, true, "layernorm_before", NULL, false},
        {&b->q, C, C, v->qkv_bias, "attention.q_proj", "attention.attention.query", false},
        {&b->k, C, C, v->qkv_bias, "attention.k_proj", "attention.attention.key", false},
        {&b->v, C, C, v->qkv_bias, "attention.v_proj", "attention.attention.value", false},
        {&b->o, C, C, true, "attention.o_proj", "attention.output.dense", false},
        {&b->norm_after, 0, C, true, "layernorm_after", NULL, false},
        {&b->fc1, I, C, true, "mlp.fc1", "intermediate.dense", false},
        {&b->fc2, C, I, true, "mlp.fc2", "output.dense", false},
    };
    return lf_family_layer(&m->nn, "vit.layers", "vit.encoder.layer", number, parts, sizeof parts / sizeof *parts);
}

static bool group_attention(lf_nn *nn, block *b, bool last) {
    lf_module *const parts[] = {b->q, b->k, b->v};
    return !lf_nn_group(nn, &b->attention, parts + last, 3 - last, NULL);
}

static lf_status vit_declare(lf_model *m, lf_err *err) {
    lf_nn *nn = &m->nn;
    vit *v = lf_arena_alloc(nn->arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    m->impl = v;
    const lf_status rc = read_config(m, v, err);
    if (rc) return rc;
    const int64_t C = m->hidden_size;
    static const char embeddings[] = "vit.embeddings", projection[] = "vit.embeddings.patch_embeddings.projection";
    v->cls = lf_nn_param(nn, embeddings, embeddings, "cls_token", 3, (int64_t[]){1, 1, C}, false);
    v->pos = lf_nn_param(nn, embeddings, embeddings, "position_embeddings", 3, (int64_t[]){1, v->N + 1, C}, false);
    v->patches = lf_nn_module(nn, LF_MODULE_CONV, C, m->pixels.channels * v->patch * v->patch, projection, projection);
    v->blocks = lf_arena_alloc(nn->arena, (size_t)m->n_layers * sizeof *v->blocks);
    bool ok = v->cls && v->pos && v->patches && v->blocks;
    if (ok) {
        v->patches->weight = lf_nn_param(nn, projection, projection, "weight", 4,
                                         (int64_t[]){C, m->pixels.channels, v->patch, v->patch}, true);
        v->patches->bias = lf_nn_param(nn, projection, projection, "bias", 1, (int64_t[]){C}, false);
        ok = v->patches->weight && v->patches->bias;
    }
    for (int64_t i = 0; ok && i < m->n_layers; i++)
        ok = declare_block(m, v, &v->blocks[i], i) && group_attention(nn, &v->blocks[i], i + 1 == m->n_layers);
    ok = ok && (v->norm = lf_family_norm(nn, C, true, "vit.layernorm", NULL)) &&
         lf_family_classifier(m, C, true, "classifier");
    if (!ok) return lf_no_memory(err, "the table of modules of %s", m->path);
    return LF_OK;
}

/* Weights and embeddings normal(0, initializer_range), cut off at two standard deviations; norms one; biases zero. */
static void vit_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const vit *v = m->impl;
    const bool weight = p->tensor.ndim > 1, norm_weight = !weight && strstr(p->name, ".weight");
    uint64_t draw = 0;
    for (int64_t i = 0; i < p->tensor.numel; i++) {
        double z = 0;
        if (weight) do
                z = lf_rng_normal(key, draw++);
            while (fabs(z) > 2);
        out[i] = norm_weight ? 1.0f : (float)(v->initializer_range * z);
    }
}

/* ---- forward ---- */

static lf_attention_opts attention_opts(const vit *v) {
    return (lf_attention_opts){.heads = v->heads, .kv_heads = v->heads, .dropout = v->attention_dropout};
}

static lf_tensor *self_attention(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const lf_attention_opts opts = attention_opts(v);
    lf_tensor *h = lf_nn_layernorm(g, b->norm_before, x, v->epsilon);
    lf_tensor *qkv = lf_nn_then(g, h, lf_nn_linear_group(g, pass->base, b->attention, h));
    lf_tensor *a = lf_nn_then(g, qkv, lf_attention(g, qkv, &opts));
    lf_tensor *o = lf_nn_then(g, a, lf_nn_linear(g, pass->base, b->o, a));
    return lf_dropout(g, o, v->hidden_dropout);
}

/* As self_attention, for the class token alone: [B,T,C] -> [B,C]. */
static lf_tensor *class_attention(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const lf_attention_opts opts = attention_opts(v);
    lf_tensor *h = lf_nn_layernorm(g, b->norm_before, x, v->epsilon), *cls = lf_select_token(g, h, 0);
    lf_tensor *kv = lf_nn_linear_group(g, pass->base, b->attention, h), *q = lf_nn_linear(g, pass->base, b->q, cls);
    lf_done(g, h);
    lf_done(g, cls);
    lf_tensor *a = lf_attention_of(g, q, kv, &opts);
    lf_done(g, q);
    lf_done(g, kv);
    lf_tensor *o = lf_nn_then(g, a, lf_nn_linear(g, pass->base, b->o, a));
    return lf_dropout(g, o, v->hidden_dropout);
}

static lf_tensor *mlp(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    lf_tensor *h = lf_nn_layernorm(g, b->norm_after, x, v->epsilon);
    lf_tensor *up = lf_nn_then(g, h, lf_nn_linear(g, pass->base, b->fc1, h));
    lf_tensor *act = lf_nn_then(g, up, lf_activation(g, up, v->activation));
    lf_tensor *down = lf_nn_then(g, act, lf_nn_linear(g, pass->base, b->fc2, act));
    return lf_dropout(g, down, v->hidden_dropout);
}

static lf_tensor *layer(const void *block_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const block *b = block_;
    const vit *v = b->model->impl;
    x = lf_nn_residual(g, x, self_attention(v, b, pass, g, x));
    return lf_nn_residual(g, x, mlp(v, b, pass, g, x));
}

static lf_tensor *vit_features(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const vit *v = m->impl;
    const lf_model_input *in = &pass->in;
    lf_tensor *pixels =
        lf_patchify(g, in->pixels, in->B, m->pixels.channels, m->pixels.height, m->pixels.width, v->patch);
    lf_tensor *patches = lf_nn_then(g, pixels, lf_nn_linear(g, pass->base, v->patches, pixels));
    lf_tensor *x = lf_nn_then(g, patches, lf_embed_tokens(g, patches, &v->cls->tensor, &v->pos->tensor));
    x = lf_dropout(g, x, v->hidden_dropout);
    x = lf_model_layers(g, layer, pass, v->blocks, sizeof *v->blocks, m->n_layers - 1, m->gradient_checkpointing, x);
    const block *last = &v->blocks[m->n_layers - 1];
    lf_tensor *cls = lf_select_token(g, x, 0), *attended = lf_nn_then(g, x, class_attention(v, last, pass, g, x));
    cls = lf_nn_residual(g, cls, attended);
    cls = lf_to_real(g, lf_nn_residual(g, cls, mlp(v, last, pass, g, cls)));
    return lf_nn_then(g, cls, lf_nn_layernorm(g, v->norm, cls, v->epsilon));
}

static const char *const unused[] = {"vit.pooler.", "pooler.", "vit.embeddings.mask_token", "embeddings.mask_token",
                                     NULL};

const lf_family lf_family_vit = {.model_type = "vit",
                                 .input = LF_PIXELS,
                                 .prefix = "vit.",
                                 .unused = unused,
                                 .declare = vit_declare,
                                 .init_param = vit_init_param,
                                 .features = vit_features};

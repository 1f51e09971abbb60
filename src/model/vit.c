/* ViTForImageClassification (Dosovitskiy et al. 2021) as transformers has it; DeiT without a distillation token is
 * saved as this too. Pre-norm blocks; the class token of the last layer, normed, is the feature that the head sees. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "model/model_internal.h"

/* The head sees the class token of the last layer only, so that layer computes nothing else but the keys and values of
 * the others: its q stands alone, everywhere else q, k and v are multiplied as one. */
typedef struct block {
    lf_module *norm_before, *norm_after, *q, *k, *v, *o, *fc1, *fc2;
    lf_group *attention; /* q, k, v; k, v in the last layer */
    const lf_model *model;
} block;

typedef struct vit {
    int64_t hidden_size, n_layers, heads, intermediate_size, patch, N;
    double epsilon, hidden_dropout, attention_dropout, initializer_range;
    bool qkv_bias, gelu_tanh;
    lf_param *cls, *pos;
    lf_module *patches, *norm;
    block *blocks;
} vit;

/* ---- config.json ---- */

static const struct {
    const char *name;
    bool tanh_form;
} activations[] = {{"gelu", false}, {"gelu_new", true}, {"gelu_pytorch_tanh", true}, {"gelu_python", false}};

static lf_status read_activation(lf_model *m, vit *v, lf_err *err) {
    const char *act;
    const lf_status rc = lf_json_get_str(m->config, "hidden_act", "gelu", &act, m->config_path, err);
    if (rc) return rc;
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (strcmp(act, activations[i].name) == 0) {
            v->gelu_tanh = activations[i].tanh_form;
            return LF_OK;
        }
    return lf_fail(err, LF_EUNSUPPORTED,
                   "%s: key 'hidden_act': '%s' is not supported for vit; known: gelu, gelu_new, gelu_pytorch_tanh",
                   m->config_path, act);
}

/* image_size and patch_size may be a number or [height, width]. */
static lf_status read_size(const lf_model *m, const char *key, int64_t fallback, int64_t size[2], lf_err *err) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(m->config, key);
    if (cJSON_IsArray(value)) {
        if (cJSON_GetArraySize(value) != 2 || !lf_json_exact_i64(cJSON_GetArrayItem(value, 0), &size[0]) ||
            !lf_json_exact_i64(cJSON_GetArrayItem(value, 1), &size[1]))
            return lf_fail(err, LF_EDATA, "%s: key '%s': expected a whole number or [height, width]", m->config_path,
                           key);
    } else {
        const lf_status rc = lf_json_get_i64(m->config, key, fallback, &size[0], m->config_path, err);
        if (rc) return rc;
        size[1] = size[0];
    }
    if (size[0] < 1 || size[1] < 1 || size[0] > 16384 || size[1] > 16384)
        return lf_fail(err, LF_EDATA, "%s: key '%s': expected 1 to 16384, found %lld x %lld", m->config_path, key,
                       (long long)size[0], (long long)size[1]);
    return LF_OK;
}

static lf_status read_pictures(lf_model *m, vit *v, lf_err *err) {
    int64_t image[2], patch[2];
    lf_status rc;
    if ((rc = read_size(m, "image_size", 224, image, err)) || (rc = read_size(m, "patch_size", 16, patch, err)) ||
        (rc = lf_json_get_i64(m->config, "num_channels", 3, &m->channels, m->config_path, err)))
        return rc;
    if (patch[0] != patch[1])
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'patch_size': patches that are not square (%lld x %lld) are not supported",
                       m->config_path, (long long)patch[0], (long long)patch[1]);
    if (image[0] % patch[0] || image[1] % patch[0])
        return lf_fail(err, LF_EDATA, "%s: key 'patch_size': %lld does not divide image_size %lld x %lld",
                       m->config_path, (long long)patch[0], (long long)image[0], (long long)image[1]);
    m->image_h = image[0];
    m->image_w = image[1];
    v->patch = patch[0];
    v->N = image[0] / patch[0] * (image[1] / patch[0]);
    return LF_OK;
}

static lf_status in_range(const lf_model *m, const char *key, int64_t value, int64_t max, lf_err *err) {
    if (value >= 1 && value <= max) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected 1 to %lld, found %lld", m->config_path, key, (long long)max,
                   (long long)value);
}

static lf_status read_config(lf_model *m, vit *v, lf_err *err) {
    const struct {
        const char *key;
        int64_t fallback, max, *to;
    } sizes[] = {
        {"hidden_size", 768, 65536, &v->hidden_size},
        {"num_hidden_layers", 12, 1024, &v->n_layers},
        {"num_attention_heads", 12, 4096, &v->heads},
        {"intermediate_size", 3072, 1 << 20, &v->intermediate_size},
    };
    const struct {
        const char *key;
        double fallback, *to;
    } numbers[] = {
        {"layer_norm_eps", 1e-12, &v->epsilon},
        {"hidden_dropout_prob", 0, &v->hidden_dropout},
        {"attention_probs_dropout_prob", 0, &v->attention_dropout},
        {"initializer_range", 0.02, &v->initializer_range},
    };
    lf_status rc = LF_OK;
    for (size_t i = 0; !rc && i < sizeof sizes / sizeof sizes[0]; i++)
        if (!(rc = lf_json_get_i64(m->config, sizes[i].key, sizes[i].fallback, sizes[i].to, m->config_path, err)))
            rc = in_range(m, sizes[i].key, *sizes[i].to, sizes[i].max, err);
    for (size_t i = 0; !rc && i < sizeof numbers / sizeof numbers[0]; i++) {
        rc = lf_json_get_f64(m->config, numbers[i].key, numbers[i].fallback, numbers[i].to, m->config_path, err);
        if (!rc && !(*numbers[i].to >= 0 && *numbers[i].to < 1))
            rc = lf_fail(err, LF_EDATA, "%s: key '%s': expected at least 0 and below 1, found %g", m->config_path,
                         numbers[i].key, *numbers[i].to);
    }
    if (rc || (rc = read_activation(m, v, err)) || (rc = read_pictures(m, v, err)) ||
        (rc = in_range(m, "num_channels", m->channels, 4, err)))
        return rc;
    if (v->hidden_size % v->heads)
        return lf_fail(err, LF_EDATA, "%s: key 'hidden_size': %lld is not a multiple of num_attention_heads %lld",
                       m->config_path, (long long)v->hidden_size, (long long)v->heads);
    return lf_json_get_bool(m->config, "qkv_bias", true, &v->qkv_bias, m->config_path, err);
}

/* ---- the table of modules ---- */

static lf_module *linear(lf_nn *nn, lf_module_kind kind, int64_t out, int64_t in, bool bias, const char *name,
                         const char *alias) {
    lf_module *m = lf_nn_module(nn, kind, out, in, name, alias);
    if (!m) return NULL;
    m->weight = lf_nn_param(nn, name, alias, "weight", 2, (int64_t[]){out, in}, true);
    if (bias) m->bias = lf_nn_param(nn, name, alias, "bias", 1, (int64_t[]){out}, false);
    return m->weight && (m->bias || !bias) ? m : NULL;
}

static lf_module *norm(lf_nn *nn, int64_t C, const char *name, const char *alias) {
    lf_module *m = lf_nn_module(nn, LF_MODULE_NORM, C, C, name, alias);
    if (!m) return NULL;
    m->weight = lf_nn_param(nn, name, alias, "weight", 1, (int64_t[]){C}, false);
    m->bias = lf_nn_param(nn, name, alias, "bias", 1, (int64_t[]){C}, false);
    return m->weight && m->bias ? m : NULL;
}

typedef struct names {
    char name[128], alias[128];
} names;

static names in_layer(int64_t layer, const char *name, const char *alias) {
    names n;
    snprintf(n.name, sizeof n.name, "vit.layers.%lld.%s", (long long)layer, name);
    snprintf(n.alias, sizeof n.alias, "vit.encoder.layer.%lld.%s", (long long)layer, alias);
    return n;
}

static bool declare_block(lf_model *m, const vit *v, block *b, int64_t number) {
    lf_nn *nn = &m->nn;
    b->model = m;
    const int64_t C = v->hidden_size, I = v->intermediate_size;
    const struct {
        lf_module **to;
        int64_t out, in;
        bool bias;
        const char *name, *alias;
    } parts[] = {
        {&b->norm_before, 0, C, true, "layernorm_before", "layernorm_before"},
        {&b->q, C, C, v->qkv_bias, "attention.q_proj", "attention.attention.query"},
        {&b->k, C, C, v->qkv_bias, "attention.k_proj", "attention.attention.key"},
        {&b->v, C, C, v->qkv_bias, "attention.v_proj", "attention.attention.value"},
        {&b->o, C, C, true, "attention.o_proj", "attention.output.dense"},
        {&b->norm_after, 0, C, true, "layernorm_after", "layernorm_after"},
        {&b->fc1, I, C, true, "mlp.fc1", "intermediate.dense"},
        {&b->fc2, C, I, true, "mlp.fc2", "output.dense"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const names n = in_layer(number, parts[i].name, parts[i].alias);
        *parts[i].to = parts[i].out
                           ? linear(nn, LF_MODULE_LINEAR, parts[i].out, parts[i].in, parts[i].bias, n.name, n.alias)
                           : norm(nn, parts[i].in, n.name, n.alias);
        if (!*parts[i].to) return false;
    }
    return true;
}

static bool group_attention(lf_nn *nn, block *b, bool last) {
    lf_module *const parts[] = {b->q, b->k, b->v};
    return !lf_nn_group(nn, &b->attention, parts + last, 3 - last, NULL);
}

static lf_status vit_declare(lf_model *m, lf_err *err) {
    lf_nn *nn = &m->nn;
    vit *v = lf_arena_alloc(nn->arena, sizeof *v);
    if (!v) return lf_fail(err, LF_ENOMEM, "%s: out of memory", m->path);
    m->impl = v;
    const lf_status rc = read_config(m, v, err);
    if (rc) return rc;
    const int64_t C = m->hidden_size = v->hidden_size;
    static const char embeddings[] = "vit.embeddings", projection[] = "vit.embeddings.patch_embeddings.projection";
    v->cls = lf_nn_param(nn, embeddings, embeddings, "cls_token", 3, (int64_t[]){1, 1, C}, false);
    v->pos = lf_nn_param(nn, embeddings, embeddings, "position_embeddings", 3, (int64_t[]){1, v->N + 1, C}, false);
    v->patches = lf_nn_module(nn, LF_MODULE_CONV, C, m->channels * v->patch * v->patch, projection, projection);
    v->blocks = lf_arena_alloc(nn->arena, (size_t)v->n_layers * sizeof *v->blocks);
    bool ok = v->cls && v->pos && v->patches && v->blocks;
    if (ok) {
        v->patches->weight =
            lf_nn_param(nn, projection, projection, "weight", 4, (int64_t[]){C, m->channels, v->patch, v->patch}, true);
        v->patches->bias = lf_nn_param(nn, projection, projection, "bias", 1, (int64_t[]){C}, false);
        ok = v->patches->weight && v->patches->bias;
    }
    for (int64_t i = 0; ok && i < v->n_layers; i++)
        ok = declare_block(m, v, &v->blocks[i], i) && group_attention(nn, &v->blocks[i], i + 1 == v->n_layers);
    ok = ok && (v->norm = norm(nn, C, "vit.layernorm", "vit.layernorm")) &&
         (m->head = linear(nn, LF_MODULE_LINEAR, m->num_labels, C, true, "classifier", "classifier"));
    if (!ok) return lf_fail(err, LF_ENOMEM, "%s: out of memory for the table of modules", m->path);
    m->head->is_head = m->head->wide = true;
    return LF_OK;
}

/* Files hold the names of transformers 4 (also when 5 wrote them), those of 5, or, from a bare ViTModel, no "vit." in
 * front. */
static const lf_st_tensor *vit_find(const lf_safetensors *st, const lf_param *p) {
    const lf_st_tensor *t = lf_safetensors_find(st, p->file_name);
    if (!t) t = lf_safetensors_find(st, p->name);
    if (!t && strncmp(p->file_name, "vit.", 4) == 0) t = lf_safetensors_find(st, p->file_name + 4);
    if (!t && strncmp(p->name, "vit.", 4) == 0) t = lf_safetensors_find(st, p->name + 4);
    return t;
}

static bool vit_ignores(const char *name) {
    static const char *const unused[] = {"vit.pooler.", "pooler.", "vit.embeddings.mask_token",
                                         "embeddings.mask_token"};
    for (size_t i = 0; i < sizeof unused / sizeof unused[0]; i++)
        if (strncmp(name, unused[i], strlen(unused[i])) == 0) return true;
    return false;
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

static lf_tensor *self_attention(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    lf_tensor *h = lf_nn_layernorm(g, b->norm_before, x, v->epsilon);
    lf_tensor *qkv = lf_nn_linear_group(g, pass->base, b->attention, h);
    lf_done(g, h);
    lf_tensor *a = lf_attention(
        g, qkv, &(lf_attention_opts){.heads = v->heads, .kv_heads = v->heads, .dropout = v->attention_dropout});
    lf_done(g, qkv);
    lf_tensor *o = lf_nn_linear(g, pass->base, b->o, a);
    lf_done(g, a);
    return lf_dropout(g, o, v->hidden_dropout);
}

/* As self_attention, for the class token alone: [B,T,C] -> [B,C]. */
static lf_tensor *class_attention(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    lf_tensor *h = lf_nn_layernorm(g, b->norm_before, x, v->epsilon), *cls = lf_select_token(g, h, 0);
    lf_tensor *kv = lf_nn_linear_group(g, pass->base, b->attention, h), *q = lf_nn_linear(g, pass->base, b->q, cls);
    lf_done(g, h);
    lf_done(g, cls);
    lf_tensor *a = lf_attention_of(
        g, q, kv, &(lf_attention_opts){.heads = v->heads, .kv_heads = v->heads, .dropout = v->attention_dropout});
    lf_done(g, q);
    lf_done(g, kv);
    lf_tensor *o = lf_nn_linear(g, pass->base, b->o, a);
    lf_done(g, a);
    return lf_dropout(g, o, v->hidden_dropout);
}

static lf_tensor *mlp(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    lf_tensor *h = lf_nn_layernorm(g, b->norm_after, x, v->epsilon);
    lf_tensor *up = lf_nn_linear(g, pass->base, b->fc1, h);
    lf_done(g, h);
    lf_tensor *act = lf_gelu(g, up, v->gelu_tanh);
    lf_done(g, up);
    lf_tensor *down = lf_nn_linear(g, pass->base, b->fc2, act);
    lf_done(g, act);
    return lf_dropout(g, down, v->hidden_dropout);
}

static lf_tensor *layer(const void *block_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const block *b = block_;
    const vit *v = b->model->impl;
    x = lf_nn_residual(g, x, self_attention(v, b, pass, g, x));
    return lf_nn_residual(g, x, mlp(v, b, pass, g, x));
}

static lf_tensor *vit_features(const lf_model *m, lf_graph *g, const lf_pass *pass) {
    const vit *v = m->impl;
    const lf_model_input *in = &pass->in;
    lf_tensor *pixels = lf_patchify(g, in->pixels, in->B, m->channels, m->image_h, m->image_w, v->patch);
    lf_tensor *patches = lf_nn_linear(g, pass->base, v->patches, pixels);
    lf_done(g, pixels);
    lf_tensor *x = lf_embed_tokens(g, patches, &v->cls->tensor, &v->pos->tensor);
    lf_done(g, patches);
    x = lf_dropout(g, x, v->hidden_dropout);
    x = lf_model_layers(g, layer, pass, v->blocks, sizeof *v->blocks, v->n_layers - 1, m->gradient_checkpointing, x);
    const block *last = &v->blocks[v->n_layers - 1];
    lf_tensor *cls = lf_select_token(g, x, 0), *attended = class_attention(v, last, pass, g, x);
    lf_done(g, x);
    cls = lf_nn_residual(g, cls, attended);
    cls = lf_to_real(g, lf_nn_residual(g, cls, mlp(v, last, pass, g, cls)));
    lf_tensor *features = lf_nn_layernorm(g, v->norm, cls, v->epsilon);
    lf_done(g, cls);
    return features;
}

const lf_family lf_family_vit = {.model_type = "vit",
                                 .declare = vit_declare,
                                 .find = vit_find,
                                 .ignores = vit_ignores,
                                 .init_param = vit_init_param,
                                 .features = vit_features};

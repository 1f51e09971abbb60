/* config.json of the transformers over a picture's patches: a table of what relatives differ in, and its readers. */
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "model/vit.h"

static const lf_vit_layer_names vit_names = {
    {"layernorm_before", NULL},
    {"attention.q_proj", "attention.attention.query"},
    {"attention.k_proj", "attention.attention.key"},
    {"attention.v_proj", "attention.attention.value"},
    {"attention.o_proj", "attention.output.dense"},
    {"layernorm_after", NULL},
    {"mlp.fc1", "intermediate.dense"},
    {"mlp.fc2", "output.dense"},
};
static const lf_vit_layer_names dino_names = {
    {"norm1", NULL},
    {"attention.q_proj", "attention.attention.query"},
    {"attention.k_proj", "attention.attention.key"},
    {"attention.v_proj", "attention.attention.value"},
    {"attention.o_proj", "attention.output.dense"},
    {"norm2", NULL},
    {"mlp.fc1", NULL},
    {"mlp.fc2", NULL},
};
static const lf_vit_layer_names clip_names = {
    {"layer_norm1", NULL},        {"self_attn.q_proj", NULL}, {"self_attn.k_proj", NULL}, {"self_attn.v_proj", NULL},
    {"self_attn.out_proj", NULL}, {"layer_norm2", NULL},      {"mlp.fc1", NULL},          {"mlp.fc2", NULL},
};

static const lf_vit_embedding_names vit_embeddings = {"patch_embeddings.projection", "", "position_embeddings", false},
                                    clip_embeddings = {"patch_embedding", "position_embedding", "weight", true};

/* Pre-norm blocks in all. */
static const lf_vit_kind relatives[] = {
#define VIT(type, ...)                                                                                                 \
    {                                                                                                                  \
        .model_type = type, .root = type, .layers = "layers", .file_layers = "encoder.layer",                          \
        .last_norm = "layernorm", .names = &vit_names, .embeddings = &vit_embeddings, .front = {__VA_ARGS__},          \
        .pool = LF_VIT_POOL_CLASS, .resize = LF_VIT_RESIZE_ASKED, .hidden_dropout = "hidden_dropout_prob",             \
        .attention_dropout = "attention_probs_dropout_prob", .dropout_in_layers = true, .activation = "gelu",          \
        .patch = 16, .epsilon = 1e-12                                                                                  \
    }
    VIT("vit", "cls_token"),
    VIT("deit", "cls_token", "distillation_token"),
#define DINO(type, resizes, side, ...)                                                                                 \
    {                                                                                                                  \
        .model_type = type, .root = type, .layers = "encoder.layer", .file_layers = "encoder.layer",                   \
        .last_norm = "layernorm", .names = &dino_names, .embeddings = &vit_embeddings, .front = {__VA_ARGS__},         \
        .scales = {"layer_scale1.lambda1", "layer_scale2.lambda1"}, .scale_value = "layerscale_value",                 \
        .pool = LF_VIT_POOL_CLASS_AND_MEAN, .resize = resizes, .hidden_dropout = "hidden_dropout_prob",                \
        .attention_dropout = "attention_probs_dropout_prob", .activation = "gelu", .patch = side, .epsilon = 1e-6      \
    }
    DINO("dinov2", LF_VIT_RESIZE_ALWAYS, 14, "cls_token"),
    DINO("dinov2_with_registers", LF_VIT_RESIZE_ANTIALIAS, 16, "cls_token", "register_tokens"),
    {.model_type = "beit",
     .root = "beit",
     .layers = "layers",
     .file_layers = "encoder.layer",
     .last_norm = "layernorm",
     .names = &vit_names,
     .embeddings = &vit_embeddings,
     .front = {"cls_token"},
     .scales = {"lambda_1", "lambda_2"},
     .scale_value = "layer_scale_init_value",
     .pool = LF_VIT_POOL_PATCHES_AND_NORM,
     .resize = LF_VIT_RESIZE_NEVER,
     .hidden_dropout = "hidden_dropout_prob",
     .attention_dropout = "attention_probs_dropout_prob",
     .dropout_in_layers = true,
     .activation = "gelu",
     .patch = 16,
     .epsilon = 1e-12},
#define CLIP_TOWER                                                                                                     \
    .root = "vision_model", .layers = "encoder.layers", .file_layers = "encoder.layers",                               \
    .last_norm = "post_layernorm", .names = &clip_names, .embeddings = &clip_embeddings, .front = {"class_embedding"}, \
    .pre_norm = "pre_layrnorm", .pool = LF_VIT_POOL_PATCHES, .resize = LF_VIT_RESIZE_ASKED,                            \
    .attention_dropout = "attention_dropout", .activation = "quick_gelu", .patch = 32, .epsilon = 1e-5
#define SIGLIP_TOWER                                                                                                   \
    .root = "vision_model", .layers = "encoder.layers", .file_layers = "encoder.layers",                               \
    .last_norm = "post_layernorm", .names = &clip_names, .embeddings = &clip_embeddings, .pool = LF_VIT_POOL_MEAN,     \
    .resize = LF_VIT_RESIZE_ASKED, .attention_dropout = "attention_dropout", .activation = "gelu_pytorch_tanh",        \
    .patch = 16, .epsilon = 1e-6
    {.model_type = "clip_vision_model", CLIP_TOWER},
    {.model_type = "clip", .nested = true, CLIP_TOWER},
    {.model_type = "siglip_vision_model", SIGLIP_TOWER},
    {.model_type = "siglip", .nested = true, SIGLIP_TOWER},
};

static const lf_vit_kind *relative_of(const lf_model *m) {
    const lf_vit_kind *r = relatives;
    while (strcmp(r->model_type, m->family->model_type) != 0) r++;
    return r;
}

/* ---- config.json ---- */

typedef struct size_key {
    const char *key;
    int64_t fallback, max, *to;
} size_key;
typedef struct share_key {
    const char *key;
    double fallback, *to;
} share_key;

static lf_status read_numbers(lf_model *m, lf_vit *v, lf_err *err) {
    const lf_vit_kind *r = v->kind;
    const size_key sizes[] = {
        {"hidden_size", 768, 65536, &m->hidden_size},
        {"num_hidden_layers", 12, 1024, &m->n_layers},
        {"num_attention_heads", 12, 4096, &v->heads},
    };
    const share_key shares[] = {
        {"layer_norm_eps", r->epsilon, &v->epsilon},
        {r->hidden_dropout, 0, &v->hidden_dropout},
        {r->attention_dropout, 0, &v->attention_dropout},
        {"initializer_range", 0.02, &v->initializer_range},
    };
    lf_status rc = LF_OK;
    for (size_t i = 0; !rc && i < sizeof sizes / sizeof sizes[0]; i++)
        rc = lf_family_size(m, sizes[i].key, sizes[i].fallback, sizes[i].max, sizes[i].to, err);
    for (size_t i = 0; !rc && i < sizeof shares / sizeof shares[0]; i++)
        if (shares[i].key) rc = lf_family_share(m, shares[i].key, shares[i].fallback, shares[i].to, err);
    if (rc || (rc = lf_family_multiple(m, "hidden_size", m->hidden_size, "num_attention_heads", v->heads, err)) ||
        (rc = lf_family_activation(m, "hidden_act", r->activation, &v->activation, err)))
        return rc;
    return lf_json_get_bool(m->config, "qkv_bias", true, &v->qkv_bias, m->config_path, err);
}

/* DINOv2 says the MLP's width as a ratio, and has LayerScale always. */
static lf_status read_dino(lf_model *m, lf_vit *v, lf_err *err) {
    int64_t ratio;
    lf_status rc;
    if ((rc = lf_json_get_bool(m->config, "use_swiglu_ffn", false, &v->gated, m->config_path, err)) ||
        (rc = lf_family_size(m, "mlp_ratio", 4, 64, &ratio, err)) ||
        (rc = lf_json_get_f64(m->config, v->kind->scale_value, 1, &v->scale_value, m->config_path, err)) ||
        (rc = lf_family_share(m, "drop_path_rate", 0, &v->drop_path, err)))
        return rc;
    v->intermediate_size = ratio * m->hidden_size;
    if (v->gated) v->intermediate_size = (v->intermediate_size * 2 / 3 + 7) / 8 * 8; /* two thirds, by eights */
    v->has_mask = true;
    return v->kind->front[1] ? lf_family_size(m, "num_register_tokens", 4, 1024, &v->registers, err)
                             : lf_json_get_bool(m->config, "use_mask_token", true, &v->has_mask, m->config_path, err);
}

static lf_status read_beit(lf_model *m, lf_vit *v, lf_err *err) {
    bool mean;
    const struct {
        const char *key;
        bool fallback, *to;
    } flags[] = {{"use_absolute_position_embeddings", false, &v->has_positions},
                 {"use_relative_position_bias", false, &v->own_bias},
                 {"use_shared_relative_position_bias", false, &v->shared_bias},
                 {"use_mask_token", false, &v->has_mask},
                 {"use_mean_pooling", true, &mean}};
    lf_status rc = LF_OK;
    for (size_t i = 0; !rc && i < sizeof flags / sizeof *flags; i++)
        rc = lf_json_get_bool(m->config, flags[i].key, flags[i].fallback, flags[i].to, m->config_path, err);
    if (rc || (rc = lf_json_get_f64(m->config, v->kind->scale_value, 0.1, &v->scale_value, m->config_path, err)) ||
        (rc = lf_family_share(m, "drop_path_rate", 0.1, &v->drop_path, err)))
        return rc;
    if (v->own_bias && v->shared_bias)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: keys 'use_relative_position_bias' and 'use_shared_relative_position_bias': both at a time "
                       "are not supported; expected one of them",
                       m->config_path);
    v->k_bias = false;
    v->qkv_bias = true; /* its q and v have one whatever is said */
    if (!mean) v->pool = LF_VIT_POOL_CLASS;
    return LF_OK;
}

static lf_status read_kind(lf_model *m, lf_vit *v, lf_err *err) {
    v->k_bias = v->qkv_bias;
    v->has_positions = true;
    v->pool = v->kind->pool;
    if (v->kind->embeddings->clip) v->qkv_bias = v->k_bias = true; /* no key says it */
    if (lf_vit_is_dino(v)) return read_dino(m, v, err);
    const lf_status rc = lf_family_size(m, "intermediate_size", 3072, 1 << 20, &v->intermediate_size, err);
    if (rc || lf_vit_is_beit(v)) return rc ? rc : read_beit(m, v, err);
    if (v->kind->pool != LF_VIT_POOL_MEAN) return LF_OK; /* SigLIP's alone has it */
    return lf_json_get_bool(m->config, "vision_use_head", true, &v->pooling_head, m->config_path, err);
}

/* Pictures are as large as preprocessor_config.json makes them. Where that is not config.json's image_size, positions
 * are interpolated, as far as the family has it. */
static lf_status read_picture_size(lf_model *m, lf_vit *v, lf_err *err) {
    lf_status rc = lf_family_pictures(m, v->kind->patch, &v->patch, err);
    if (rc) return rc;
    const lf_pixel_facts file = m->pixels;
    lf_pixel_facts seen = file;
    if (v->kind->resize != LF_VIT_RESIZE_NEVER && (rc = lf_vision_prepared_size(m, &seen, err))) return rc;
    v->file_grid = (lf_patch_grid){file.height / v->patch, file.width / v->patch};
    v->grid = (lf_patch_grid){seen.height / v->patch, seen.width / v->patch};
    const bool as_in_file = seen.height == file.height && seen.width == file.width;
    if (file.height != file.width && v->kind->resize != LF_VIT_RESIZE_ASKED)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'image_size': pictures that are not square (%lld x %lld) are not supported for "
                       "model_type '%s', as in transformers",
                       m->config_path, (long long)file.height, (long long)file.width, m->family->model_type);
    if (as_in_file) return LF_OK;
    if (file.height != file.width)
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s: key 'image_size': positions of %lld x %lld pictures, which are not square, cannot be "
                       "interpolated to the %lld x %lld of preprocessor_config.json",
                       m->config_path, (long long)file.height, (long long)file.width, (long long)seen.height,
                       (long long)seen.width);
    if (seen.height % v->patch || seen.width % v->patch)
        return lf_fail(
            err, LF_EDATA,
            "%s: key 'patch_size': %lld does not divide the %lld x %lld pictures of preprocessor_config.json",
            m->config_path, (long long)v->patch, (long long)seen.height, (long long)seen.width);
    m->pixels = seen;
    if (v->kind->resize == LF_VIT_RESIZE_ASKED)
        lf_info("%s: pictures of %lld x %lld (preprocessor_config.json), image_size is %lld: position embeddings are "
                "interpolated; in transformers: interpolate_pos_encoding=True",
                m->path, (long long)seen.height, (long long)seen.width, (long long)file.height);
    return LF_OK;
}

/* The keys of the tower: where a model of pictures and text has both in one file, those of its vision_config.
 * vision_config_dict of old files stands in its place, as transformers takes it. */
static lf_status tower_config(const lf_model *m, const lf_vit *v, cJSON **out, lf_err *err) {
    cJSON *old = cJSON_GetObjectItemCaseSensitive(m->config, "vision_config_dict"),
          *own = cJSON_GetObjectItemCaseSensitive(m->config, "vision_config");
    *out = !v->kind->nested ? m->config : cJSON_IsObject(old) ? old : own;
    if (cJSON_IsObject(*out)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key 'vision_config' is missing; a %s model needs it", m->config_path,
                   m->family->model_type);
}

lf_status lf_vit_read(lf_model *m, lf_vit *v, lf_err *err) {
    cJSON *whole = m->config, *tower;
    v->kind = relative_of(m);
    lf_status rc = tower_config(m, v, &tower, err);
    if (rc) return rc;
    m->config = tower; /* for the readers */
    if (!(rc = read_numbers(m, v, err)) && !(rc = read_kind(m, v, err))) rc = read_picture_size(m, v, err);
    m->config = whole;
    return rc;
}

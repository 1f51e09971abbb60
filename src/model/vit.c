/* Transformers over the patches of a picture, as transformers has them: ViT (Dosovitskiy et al. 2021), DeiT, DINOv2,
 * BEiT, and the towers of pictures of CLIP and SigLIP with a classifier. Pre-norm blocks in all; where they differ is a
 * table. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/vision.h"
#include "model/zero_shot.h"

/* What goes into the classifier, of the tokens of the last layer. Normed: by the last norm, where there is one. */
typedef enum pooling {
    POOL_CLASS,            /* the class token, normed */
    POOL_CLASS_AND_MEAN,   /* the class token beside the mean of the patches, all normed */
    POOL_MEAN,             /* the mean of all tokens, normed before */
    POOL_PATCHES,          /* the mean of the patches, as the last layer leaves them */
    POOL_PATCHES_AND_NORM, /* their mean, normed after */
} pooling;

/* Names of a layer's modules, by transformers 5 and by its files where they differ. */
typedef struct part_name {
    const char *name, *alias;
} part_name;
typedef struct layer_names {
    part_name norm_before, q, k, v, o, norm_after, fc1, fc2;
} layer_names;

static const layer_names vit_names = {
    {"layernorm_before", NULL},
    {"attention.q_proj", "attention.attention.query"},
    {"attention.k_proj", "attention.attention.key"},
    {"attention.v_proj", "attention.attention.value"},
    {"attention.o_proj", "attention.output.dense"},
    {"layernorm_after", NULL},
    {"mlp.fc1", "intermediate.dense"},
    {"mlp.fc2", "output.dense"},
};
static const layer_names dino_names = {
    {"norm1", NULL},
    {"attention.q_proj", "attention.attention.query"},
    {"attention.k_proj", "attention.attention.key"},
    {"attention.v_proj", "attention.attention.value"},
    {"attention.o_proj", "attention.output.dense"},
    {"norm2", NULL},
    {"mlp.fc1", NULL},
    {"mlp.fc2", NULL},
};
static const layer_names clip_names = {
    {"layer_norm1", NULL},        {"self_attn.q_proj", NULL}, {"self_attn.k_proj", NULL}, {"self_attn.v_proj", NULL},
    {"self_attn.out_proj", NULL}, {"layer_norm2", NULL},      {"mlp.fc1", NULL},          {"mlp.fc2", NULL},
};

/* The embeddings of either kind of file: tokens in front and places as tensors of three dims, or as CLIP has them. */
typedef struct embedding_names {
    const char *patches, *positions, *positions_leaf; /* below "embeddings" */
    bool clip;
} embedding_names;
static const embedding_names vit_embeddings = {"patch_embeddings.projection", "", "position_embeddings", false},
                             clip_embeddings = {"patch_embedding", "position_embedding", "weight", true};

/* Where config.json says a picture can have another size than image_size. */
typedef enum resizing {
    RESIZE_NEVER,
    RESIZE_ASKED,    /* transformers does it with interpolate_pos_encoding=True alone: said */
    RESIZE_ALWAYS,   /* whatever it is asked */
    RESIZE_ANTIALIAS /* the same, with a filter */
} resizing;

static const struct relative {
    const char *model_type, *root, *layers, *file_layers, *last_norm;
    const layer_names *names;
    const embedding_names *embeddings;
    const char *front[2];                /* the tokens in front of the patches; NULL: none */
    const char *scales[2], *scale_value; /* LayerScale, and the key that says how it starts; NULL: none */
    const char *pre_norm;                /* of the embeddings; NULL: none */
    pooling pool;
    resizing resize;
    const char *hidden_dropout, *attention_dropout; /* keys; NULL: none */
    bool dropout_in_layers;
    const char *activation;
    int64_t patch;
    double epsilon;
    bool nested; /* its keys are those of vision_config */
} relatives[] = {
    {.model_type = "vit",
     .root = "vit",
     .layers = "layers",
     .file_layers = "encoder.layer",
     .last_norm = "layernorm",
     .names = &vit_names,
     .embeddings = &vit_embeddings,
     .front = {"cls_token"},
     .pool = POOL_CLASS,
     .resize = RESIZE_ASKED,
     .hidden_dropout = "hidden_dropout_prob",
     .attention_dropout = "attention_probs_dropout_prob",
     .dropout_in_layers = true,
     .activation = "gelu",
     .patch = 16,
     .epsilon = 1e-12},
    {.model_type = "deit",
     .root = "deit",
     .layers = "layers",
     .file_layers = "encoder.layer",
     .last_norm = "layernorm",
     .names = &vit_names,
     .embeddings = &vit_embeddings,
     .front = {"cls_token", "distillation_token"},
     .pool = POOL_CLASS,
     .resize = RESIZE_ASKED,
     .hidden_dropout = "hidden_dropout_prob",
     .attention_dropout = "attention_probs_dropout_prob",
     .dropout_in_layers = true,
     .activation = "gelu",
     .patch = 16,
     .epsilon = 1e-12},
#define DINO(type, resizes, side, ...)                                                                                 \
    {                                                                                                                  \
        .model_type = type, .root = type, .layers = "encoder.layer", .file_layers = "encoder.layer",                   \
        .last_norm = "layernorm", .names = &dino_names, .embeddings = &vit_embeddings, .front = {__VA_ARGS__},         \
        .scales = {"layer_scale1.lambda1", "layer_scale2.lambda1"}, .scale_value = "layerscale_value",                 \
        .pool = POOL_CLASS_AND_MEAN, .resize = resizes, .hidden_dropout = "hidden_dropout_prob",                       \
        .attention_dropout = "attention_probs_dropout_prob", .activation = "gelu", .patch = side, .epsilon = 1e-6      \
    }
    DINO("dinov2", RESIZE_ALWAYS, 14, "cls_token"),
    DINO("dinov2_with_registers", RESIZE_ANTIALIAS, 16, "cls_token", "register_tokens"),
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
     .pool = POOL_PATCHES_AND_NORM,
     .resize = RESIZE_NEVER,
     .hidden_dropout = "hidden_dropout_prob",
     .attention_dropout = "attention_probs_dropout_prob",
     .dropout_in_layers = true,
     .activation = "gelu",
     .patch = 16,
     .epsilon = 1e-12},
#define CLIP_TOWER                                                                                                     \
    .root = "vision_model", .layers = "encoder.layers", .file_layers = "encoder.layers",                               \
    .last_norm = "post_layernorm", .names = &clip_names, .embeddings = &clip_embeddings, .front = {"class_embedding"}, \
    .pre_norm = "pre_layrnorm", .pool = POOL_PATCHES, .resize = RESIZE_ASKED,                                          \
    .attention_dropout = "attention_dropout", .activation = "quick_gelu", .patch = 32, .epsilon = 1e-5
#define SIGLIP_TOWER                                                                                                   \
    .root = "vision_model", .layers = "encoder.layers", .file_layers = "encoder.layers",                               \
    .last_norm = "post_layernorm", .names = &clip_names, .embeddings = &clip_embeddings, .pool = POOL_MEAN,            \
    .resize = RESIZE_ASKED, .attention_dropout = "attention_dropout", .activation = "gelu_pytorch_tanh", .patch = 16,  \
    .epsilon = 1e-6
    {.model_type = "clip_vision_model", CLIP_TOWER},
    {.model_type = "clip", .nested = true, CLIP_TOWER},
    {.model_type = "siglip_vision_model", SIGLIP_TOWER},
    {.model_type = "siglip", .nested = true, SIGLIP_TOWER},
};

static const struct relative *relative_of(const lf_model *m) {
    const struct relative *r = relatives;
    while (strcmp(r->model_type, m->family->model_type) != 0) r++;
    return r;
}

/* Where the head sees the class token of the last layer only, that layer computes nothing else but the keys and values
 * of the others: its q stands alone, everywhere else q, k and v are multiplied as one. */
typedef struct block {
    lf_module *norm_before, *norm_after, *q, *k, *v, *o, *fc1, *fc2;
    lf_module *gate, *up; /* of a gated MLP, in the place of fc1 */
    lf_group *attention;  /* q, k, v; k, v in such a last layer */
    lf_group *gate_up;    /* NULL: the MLP is not gated */
    lf_param *scale[2];   /* NULL: none */
    lf_param *bias_table;
    const lf_tensor *bias; /* made of the table, or shared; NULL: none */
    double drop_path;
    const lf_model *model;
} block;

typedef struct vit {
    const struct relative *kind;
    int64_t heads, intermediate_size, patch, registers;
    lf_patch_grid file_grid, grid; /* of the file's positions, and of the pictures */
    double epsilon, hidden_dropout, attention_dropout, initializer_range, scale_value, drop_path;
    bool gated; /* the MLP: silu(gate) up */
    bool qkv_bias, k_bias, has_mask, has_positions, pooling_head, own_bias, shared_bias;
    pooling pool;
    lf_activation_kind activation;
    lf_param *front[2], *pos, *bias_table;
    lf_tensor *resample;     /* the matrix of the positions; NULL: they stay */
    lf_tensor *placed;       /* what it made of them; NULL: they were not there yet */
    const void *placed_from; /* of these numbers */
    lf_module *patches, *pre_norm, *norm;
    block *blocks;
} vit;

/* DeiT's distillation token is looked at, too, where its file has a head for it. */
static bool class_alone(const vit *v) {
    return v->pool == POOL_CLASS && !v->own_bias && !v->shared_bias && !v->kind->front[1];
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

static lf_status read_numbers(lf_model *m, vit *v, lf_err *err) {
    const struct relative *r = v->kind;
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
static lf_status read_dino(lf_model *m, vit *v, lf_err *err) {
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

static lf_status read_beit(lf_model *m, vit *v, lf_err *err) {
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
    if (!mean) v->pool = POOL_CLASS;
    return LF_OK;
}

static bool is_dino(const vit *v) { return v->kind->pool == POOL_CLASS_AND_MEAN; }
static bool is_beit(const vit *v) { return v->kind->pool == POOL_PATCHES_AND_NORM; }

static lf_status read_kind(lf_model *m, vit *v, lf_err *err) {
    v->k_bias = v->qkv_bias;
    v->has_positions = true;
    v->pool = v->kind->pool;
    if (v->kind->embeddings->clip) v->qkv_bias = v->k_bias = true; /* no key says it */
    if (is_dino(v)) return read_dino(m, v, err);
    const lf_status rc = lf_family_size(m, "intermediate_size", 3072, 1 << 20, &v->intermediate_size, err);
    if (rc || is_beit(v)) return rc ? rc : read_beit(m, v, err);
    if (v->kind->pool != POOL_MEAN) return LF_OK; /* SigLIP's alone has it */
    return lf_json_get_bool(m->config, "vision_use_head", true, &v->pooling_head, m->config_path, err);
}

/* Pictures are as large as preprocessor_config.json makes them. Where that is not config.json's image_size, positions
 * are interpolated, as far as the family has it. */
static lf_status read_picture_size(lf_model *m, vit *v, lf_err *err) {
    lf_status rc = lf_family_pictures(m, v->kind->patch, &v->patch, err);
    if (rc) return rc;
    const lf_pixel_facts file = m->pixels;
    lf_pixel_facts seen = file;
    if (v->kind->resize != RESIZE_NEVER && (rc = lf_vision_prepared_size(m, &seen, err))) return rc;
    v->file_grid = (lf_patch_grid){file.height / v->patch, file.width / v->patch};
    v->grid = (lf_patch_grid){seen.height / v->patch, seen.width / v->patch};
    const bool as_in_file = seen.height == file.height && seen.width == file.width;
    if (file.height != file.width && v->kind->resize != RESIZE_ASKED)
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
    if (v->kind->resize == RESIZE_ASKED)
        lf_info("%s: pictures of %lld x %lld (preprocessor_config.json), image_size is %lld: position embeddings are "
                "interpolated; in transformers: interpolate_pos_encoding=True",
                m->path, (long long)seen.height, (long long)seen.width, (long long)file.height);
    return LF_OK;
}

/* The keys of the tower: where a model of pictures and text has both in one file, those of its vision_config.
 * vision_config_dict of old files stands in its place, as transformers takes it. */
static lf_status tower_config(const lf_model *m, const vit *v, cJSON **out, lf_err *err) {
    cJSON *old = cJSON_GetObjectItemCaseSensitive(m->config, "vision_config_dict"),
          *own = cJSON_GetObjectItemCaseSensitive(m->config, "vision_config");
    *out = !v->kind->nested ? m->config : cJSON_IsObject(old) ? old : own;
    if (cJSON_IsObject(*out)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key 'vision_config' is missing; a %s model needs it", m->config_path,
                   m->family->model_type);
}

static lf_status read_config(lf_model *m, vit *v, lf_err *err) {
    cJSON *whole = m->config, *tower;
    lf_status rc = tower_config(m, v, &tower, err);
    if (rc) return rc;
    m->config = tower; /* for the readers */
    if (!(rc = read_numbers(m, v, err)) && !(rc = read_kind(m, v, err))) rc = read_picture_size(m, v, err);
    m->config = whole;
    return rc;
}

/* ---- the table of modules ---- */

enum { NAME = 160 };

static const char *below(char out[NAME], const char *root, const char *name) {
    snprintf(out, NAME, "%.72s%s%.72s", root, *name ? "." : "", name);
    return out;
}

/* A parameter that belongs to no module of its own: "<root>.<module>.<leaf>", the same in files. */
static bool declare_param(lf_model *m, const vit *v, lf_param **out, const char *module, const char *leaf, int ndim,
                          const int64_t *shape) {
    char path[NAME];
    below(path, v->kind->root, module);
    return (*out = lf_nn_param(&m->nn, path, path, leaf, ndim, shape, false)) != NULL;
}

static bool declare_idle(lf_model *m, const vit *v, const char *module, const char *leaf, int ndim,
                         const int64_t *shape) {
    lf_param *p;
    if (!declare_param(m, v, &p, module, leaf, ndim, shape)) return false;
    p->use = LF_PARAM_IDLE;
    return true;
}

/* LayerScale and the table of biases stand beside a layer's modules. A path of BEiT's files has the table below the
 * attention. */
static bool declare_beside(lf_model *m, const vit *v, block *b, int64_t number) {
    const struct relative *r = v->kind;
    char name[NAME], file[NAME], table[NAME], file_table[NAME];
    snprintf(name, sizeof name, "%s.%s.%lld", r->root, r->layers, (long long)number);
    snprintf(file, sizeof file, "%s.%s.%lld", r->root, r->file_layers, (long long)number);
    for (int i = 0; i < 2 && r->scales[i] && v->scale_value > 0; i++)
        if (!(b->scale[i] = lf_nn_param(&m->nn, name, file, r->scales[i], 1, (int64_t[]){m->hidden_size}, false)))
            return false;
    if (!v->own_bias) return true;
    const int64_t rows = (2 * v->grid.height - 1) * (2 * v->grid.width - 1) + 3;
    snprintf(table, sizeof table, "%.100s.relative_position_bias", name);
    snprintf(file_table, sizeof file_table, "%.100s.attention.attention.relative_position_bias", file);
    b->bias_table =
        lf_nn_param(&m->nn, table, file_table, "relative_position_bias_table", 2, (int64_t[]){rows, v->heads}, false);
    if (b->bias_table) b->bias_table->use = LF_PARAM_CONSTANT;
    return b->bias_table != NULL;
}

/* The rows of p from `first` on stand in one tensor with another layer's: "<layer>.mlp.weights_in.<leaf>". */
static bool stands_in(lf_nn *nn, lf_param *p, const char *file_layers, int64_t number, const char *leaf,
                      int64_t first) {
    char name[NAME];
    snprintf(name, sizeof name, "%.100s.%lld.mlp.weights_in.%s", file_layers, (long long)number, leaf);
    p->file_name = lf_arena_strdup(nn->arena, name);
    p->first_row = first;
    p->whole_rows = 2 * p->tensor.shape[0];
    return p->file_name != NULL;
}

static bool declare_gate(lf_model *m, block *b, const char *file_layers, int64_t number) {
    lf_module *const parts[] = {b->gate, b->up};
    if (!b->gate) return true;
    for (int i = 0; i < 2; i++)
        if (!stands_in(&m->nn, parts[i]->weight, file_layers, number, "weight", i * parts[i]->out) ||
            !stands_in(&m->nn, parts[i]->bias, file_layers, number, "bias", i * parts[i]->out))
            return false;
    return !lf_nn_group(&m->nn, &b->gate_up, parts, 2, NULL);
}

static bool declare_block(lf_model *m, const vit *v, block *b, int64_t number) {
    const struct relative *r = v->kind;
    const layer_names *n = r->names;
    char layers[NAME], file_layers[NAME];
    b->model = m;
    const int64_t C = m->hidden_size, I = v->intermediate_size, plain = v->gated ? 0 : C, gated = v->gated ? C : 0;
    const char *down = v->gated ? "mlp.down_proj" : n->fc2.name,
               *down_alias = v->gated ? "mlp.weights_out" : n->fc2.alias;
    const lf_layer_part parts[] = {
        {&b->norm_before, 0, C, true, n->norm_before.name, n->norm_before.alias, false},
        {&b->q, C, C, v->qkv_bias, n->q.name, n->q.alias, false},
        {&b->k, C, C, v->k_bias, n->k.name, n->k.alias, false},
        {&b->v, C, C, v->qkv_bias, n->v.name, n->v.alias, false},
        {&b->o, C, C, true, n->o.name, n->o.alias, false},
        {&b->norm_after, 0, C, true, n->norm_after.name, n->norm_after.alias, false},
        {&b->fc1, I, plain, true, n->fc1.name, n->fc1.alias, false},
        {&b->gate, I, gated, true, "mlp.gate_proj", NULL, false},
        {&b->up, I, gated, true, "mlp.up_proj", NULL, false},
        {&b->fc2, C, I, true, down, down_alias, false},
    };
    return lf_family_layer(&m->nn, below(layers, r->root, r->layers), below(file_layers, r->root, r->file_layers),
                           number, parts, sizeof parts / sizeof *parts) &&
           declare_gate(m, b, file_layers, number) && declare_beside(m, v, b, number);
}

static bool group_attention(lf_nn *nn, block *b, bool class_alone_in_it) {
    lf_module *const parts[] = {b->q, b->k, b->v};
    return !lf_nn_group(nn, &b->attention, parts + class_alone_in_it, 3 - class_alone_in_it, NULL);
}

/* Tokens in front: the class token, then the distillation token or the registers. */
static bool declare_front(lf_model *m, vit *v) {
    const int64_t C = m->hidden_size;
    const bool flat = v->kind->embeddings->clip;
    for (int i = 0; i < 2 && v->kind->front[i]; i++) {
        const int64_t rows = i > 0 && v->registers ? v->registers : 1;
        if (!declare_param(m, v, &v->front[i], "embeddings", v->kind->front[i], flat ? 1 : 3,
                           flat ? (int64_t[]){C} : (int64_t[]){1, rows, C}))
            return false;
    }
    return true;
}

/* How many of them have a place: all but the registers. */
static int64_t placed(const vit *v) { return !v->front[0] ? 0 : v->front[1] && !v->registers ? 2 : 1; }

/* The token that stands for what is hidden in pretraining: no part of a classifier, but of the file of one. */
static bool declare_mask(lf_model *m, const vit *v) {
    if (!v->has_mask) return true;
    return declare_idle(m, v, "embeddings", "mask_token", is_dino(v) ? 2 : 3,
                        is_dino(v) ? (int64_t[]){1, m->hidden_size} : (int64_t[]){1, 1, m->hidden_size});
}

static bool declare_positions(lf_model *m, vit *v) {
    const embedding_names *e = v->kind->embeddings;
    const int64_t rows = placed(v) + v->file_grid.height * v->file_grid.width, C = m->hidden_size;
    char module[NAME];
    if (!v->has_positions) return true;
    return declare_param(m, v, &v->pos, below(module, "embeddings", e->positions), e->positions_leaf, e->clip ? 2 : 3,
                         e->clip ? (int64_t[]){rows, C} : (int64_t[]){1, rows, C});
}

static bool declare_patches(lf_model *m, vit *v) {
    const embedding_names *e = v->kind->embeddings;
    const int64_t C = m->hidden_size;
    char inner[NAME], path[NAME];
    below(path, v->kind->root, below(inner, "embeddings", e->patches));
    lf_module *p = lf_nn_module(&m->nn, LF_MODULE_CONV, C, m->pixels.channels * v->patch * v->patch, path, path);
    if (!p) return false;
    p->weight =
        lf_nn_param(&m->nn, path, path, "weight", 4, (int64_t[]){C, m->pixels.channels, v->patch, v->patch}, true);
    const bool bias = !(e->clip && v->front[0]); /* CLIP's has none, SigLIP's has one */
    if (bias) p->bias = lf_nn_param(&m->nn, path, path, "bias", 1, (int64_t[]){C}, false);
    v->patches = p;
    return p->weight && (p->bias || !bias);
}

static bool declare_norm(lf_model *m, const vit *v, lf_module **out, const char *name) {
    char path[NAME];
    if (!name) return true;
    return (*out = lf_family_norm(&m->nn, m->hidden_size, true, below(path, v->kind->root, name), NULL)) != NULL;
}

static bool declare_shared_bias(lf_model *m, vit *v) {
    const int64_t rows = (2 * v->grid.height - 1) * (2 * v->grid.width - 1) + 3;
    if (!v->shared_bias) return true;
    v->bias_table = lf_nn_param(&m->nn, "beit.shared_position_bias", "beit.encoder.relative_position_bias",
                                "relative_position_bias_table", 2, (int64_t[]){rows, v->heads}, false);
    if (v->bias_table) v->bias_table->use = LF_PARAM_CONSTANT;
    return v->bias_table != NULL;
}

/* The head of SigLIP that pools by attention: no part of a classifier, but of the file of one. */
static bool declare_pooling_head(lf_model *m, const vit *v) {
    const int64_t C = m->hidden_size, I = v->intermediate_size;
    const struct {
        const char *module, *leaf;
        int ndim;
        int64_t shape[3];
    } params[] = {
        {"head", "probe", 3, {1, 1, C}},
        {"head.attention", "in_proj_weight", 2, {3 * C, C}},
        {"head.attention", "in_proj_bias", 1, {3 * C}},
        {"head.attention.out_proj", "weight", 2, {C, C}},
        {"head.attention.out_proj", "bias", 1, {C}},
        {"head.layernorm", "weight", 1, {C}},
        {"head.layernorm", "bias", 1, {C}},
        {"head.mlp.fc1", "weight", 2, {I, C}},
        {"head.mlp.fc1", "bias", 1, {I}},
        {"head.mlp.fc2", "weight", 2, {C, I}},
        {"head.mlp.fc2", "bias", 1, {C}},
    };
    /* Known by name, so that an adapter's target_modules do not mean them in PEFT. */
    static const char *const layers[] = {"head.attention.out_proj", "head.mlp.fc1", "head.mlp.fc2"};
    for (size_t i = 0; v->pooling_head && i < sizeof layers / sizeof *layers; i++) {
        char path[NAME];
        below(path, v->kind->root, layers[i]);
        if (!lf_nn_module(&m->nn, LF_MODULE_OTHER, 0, 0, path, path)) return false;
    }
    for (size_t i = 0; v->pooling_head && i < sizeof params / sizeof *params; i++)
        if (!declare_idle(m, v, params[i].module, params[i].leaf, params[i].ndim, params[i].shape)) return false;
    return true;
}

static bool declare_all(lf_model *m, vit *v) {
    const int64_t C = m->hidden_size;
    bool ok = declare_front(m, v) && declare_mask(m, v) && declare_positions(m, v) && declare_patches(m, v) &&
              declare_shared_bias(m, v) && declare_norm(m, v, &v->pre_norm, v->kind->pre_norm);
    v->blocks = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->blocks);
    ok = ok && v->blocks;
    if (ok) memset(v->blocks, 0, (size_t)m->n_layers * sizeof *v->blocks);
    for (int64_t i = 0; ok && i < m->n_layers; i++) {
        const bool last = i + 1 == m->n_layers;
        /* BEiT drops more and more, DINOv2 everywhere alike */
        v->blocks[i].drop_path =
            is_beit(v) ? v->drop_path * (double)i / (double)(m->n_layers > 1 ? m->n_layers - 1 : 1) : v->drop_path;
        ok = declare_block(m, v, &v->blocks[i], i) && group_attention(&m->nn, &v->blocks[i], last && class_alone(v));
    }
    return ok &&
           declare_norm(m, v, &v->norm, v->pool == POOL_PATCHES_AND_NORM ? "pooler.layernorm" : v->kind->last_norm) &&
           declare_pooling_head(m, v) &&
           lf_family_classifier(m, v->pool == POOL_CLASS_AND_MEAN ? 2 * C : C, true, "classifier");
}

static bool same_grid(lf_patch_grid a, lf_patch_grid b) { return a.height == b.height && a.width == b.width; }

static lf_status vit_declare(lf_model *m, lf_err *err) {
    vit *v = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    *v = (vit){.kind = relative_of(m)};
    m->impl = v;
    const lf_status rc = read_config(m, v, err);
    if (rc) return rc;
    if (!declare_all(m, v)) return lf_no_memory(err, "the table of modules of %s", m->path);
    if (same_grid(v->file_grid, v->grid)) return LF_OK;
    v->resample = lf_vision_resample(&m->nn, placed(v), v->file_grid, v->grid, v->kind->resize == RESIZE_ANTIALIAS);
    return v->resample ? LF_OK : lf_no_memory(err, "the position embeddings of %s", m->path);
}

/* What interpolating makes of the positions. */
static lf_status place(lf_model *m, vit *v, lf_err *err) {
    if (!v->resample) return LF_OK;
    v->placed_from = v->pos->tensor.data;
    v->placed = lf_vision_placed(&m->nn, &v->pos->tensor, v->resample);
    return v->placed ? LF_OK : lf_no_memory(err, "the position embeddings of %s", m->path);
}

/* ---- DeiT with a teacher ---- */

enum { TOKENS = 2 }; /* with a head each: the class token's and the distillation token's */

/* Both heads as one layer over both tokens: [W W'] / 2 and (b + b') / 2. */
static void average(float *W, float *b, const lf_st_tensor *const weights[TOKENS],
                    const lf_st_tensor *const biases[TOKENS], float *buffer) {
    const int64_t n = weights[0]->shape[0], C = weights[0]->shape[1];
    for (int h = 0; h < TOKENS; h++) {
        lf_to_f32(buffer, weights[h]->data, weights[h]->dtype, n * C);
        for (int64_t i = 0; i < n * C; i++) W[(i / C * TOKENS + h) * C + i % C] = buffer[i] / TOKENS;
        lf_to_f32(buffer, biases[h]->data, biases[h]->dtype, n);
        for (int64_t i = 0; i < n; i++) b[i] = (h ? b[i] : 0) + buffer[i] / TOKENS;
    }
}

static lf_status take_average(lf_model *m, const lf_st_tensor *const weights[TOKENS],
                              const lf_st_tensor *const biases[TOKENS], lf_err *err) {
    const int64_t n = m->head.n_labels, C = m->hidden_size;
    for (int h = 0; h < TOKENS; h++)
        if (weights[h]->ndim != 2 || weights[h]->shape[0] != n || weights[h]->shape[1] != C || biases[h]->numel != n)
            return lf_fail(err, LF_ESHAPE, "%s: tensor '%s': expected a layer of %lld labels on %lld numbers (by %s)",
                           weights[h]->path, weights[h]->name, (long long)n, (long long)C, m->config_path);
    float *W = lf_aligned_alloc((size_t)(3 * n * C + 2 * n) * sizeof *W), *b = W + 2 * n * C, *buffer = b + n;
    if (!W) return lf_no_memory(err, "the heads of %s", m->path);
    average(W, b, weights, biases, buffer);
    m->base_head = (lf_classifier){.module = lf_model_frozen_layer(m, "cls_classifier+distillation_classifier",
                                                                   LF_CLASS_HEAD, n, TOKENS * C, W, b),
                                   .problem = m->head.problem,
                                   .n_labels = n,
                                   .labels = m->head.labels,
                                   .two_tokens = true};
    lf_aligned_free(W);
    if (!m->base_head.module) return lf_no_memory(err, "the heads of %s", m->path);
    lf_info(
        "%s: its two heads, of which transformers trains neither, are averaged, as it does; a new head is on the class "
        "token alone",
        m->path);
    return LF_OK;
}

/* Of DeiTForImageClassificationWithTeacher: what it says is the average of two heads. */
static lf_status take_teacher(lf_model *m, lf_err *err) {
    static const char *const names[TOKENS] = {"cls_classifier", "distillation_classifier"};
    const lf_st_tensor *weights[TOKENS], *biases[TOKENS];
    bool all = m->weights && !m->base_head.module && !strcmp(m->family->model_type, "deit");
    for (int h = 0; all && h < TOKENS; h++) {
        char weight[NAME], bias[NAME];
        weights[h] = lf_safetensors_find(m->weights, below(weight, names[h], "weight"));
        biases[h] = lf_safetensors_find(m->weights, below(bias, names[h], "bias"));
        all = weights[h] && biases[h] && lf_dtype_is_float(weights[h]->dtype) && lf_dtype_is_float(biases[h]->dtype);
    }
    return all ? take_average(m, weights, biases, err) : LF_OK;
}

/* Positions, and biases by relative position from their tables. */
static lf_status vit_loaded(lf_model *m, lf_err *err) {
    vit *v = m->impl;
    lf_status rc;
    if ((rc = place(m, v, err)) || (rc = take_teacher(m, err))) return rc;
    const lf_tensor *shared = v->bias_table ? lf_vision_relative_bias(&m->nn, &v->bias_table->tensor, v->grid) : NULL;
    bool ok = shared || !v->bias_table;
    for (int64_t i = 0; ok && i < m->n_layers; i++) {
        block *b = &v->blocks[i];
        b->bias = b->bias_table ? lf_vision_relative_bias(&m->nn, &b->bias_table->tensor, v->grid) : shared;
        ok = b->bias || !b->bias_table;
    }
    return ok ? LF_OK : lf_no_memory(err, "the biases by relative position of %s", m->path);
}

/* Weights and embeddings normal(0, initializer_range), cut off at two standard deviations; norms one; LayerScale as its
 * key says; tables of biases and all other vectors zero. */
static void vit_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const vit *v = m->impl;
    const bool weight = p->tensor.ndim > 1 && !strstr(p->name, "relative_position_bias_table"),
               norm_weight = p->tensor.ndim == 1 && strstr(p->name, ".weight"),
               scale = p->tensor.ndim == 1 && strstr(p->name, ".lambda");
    const double range = v->kind->embeddings->clip && strncmp(p->name, "classifier", 10) == 0
                             ? 1 / sqrt((double)m->hidden_size)
                             : v->initializer_range;
    uint64_t draw = 0;
    for (int64_t i = 0; i < p->tensor.numel; i++) {
        double z = 0;
        if (weight) do
                z = lf_rng_normal(key, draw++);
            while (fabs(z) > 2);
        out[i] = norm_weight ? 1.0f : scale ? (float)v->scale_value : (float)(range * z);
    }
}

/* ---- forward ---- */

static lf_attention_opts attention_opts(const vit *v, const block *b) {
    return (lf_attention_opts){
        .heads = v->heads, .kv_heads = v->heads, .dropout = v->attention_dropout, .bias = b->bias};
}

/* What is done to a branch before it is added: dropout, LayerScale, stochastic depth. */
static lf_tensor *branch(const vit *v, const block *b, int which, lf_graph *g, lf_tensor *x) {
    if (v->kind->dropout_in_layers) x = lf_dropout(g, x, v->hidden_dropout);
    if (b->scale[which]) x = lf_nn_then(g, x, lf_layer_scale(g, x, &b->scale[which]->tensor));
    return lf_drop_path(g, x, b->drop_path);
}

static lf_tensor *self_attention(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const lf_attention_opts opts = attention_opts(v, b);
    lf_tensor *h = lf_nn_layernorm(g, b->norm_before, x, v->epsilon);
    lf_tensor *qkv = lf_nn_then(g, h, lf_nn_linear_group(g, pass->base, b->attention, h));
    lf_tensor *a = lf_nn_then(g, qkv, lf_attention(g, qkv, &opts));
    lf_tensor *o = lf_nn_then(g, a, lf_nn_linear(g, pass->base, b->o, a));
    return branch(v, b, 0, g, o);
}

/* As self_attention, for the class token alone: [B,T,C] -> [B,C]. */
static lf_tensor *class_attention(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const lf_attention_opts opts = attention_opts(v, b);
    lf_tensor *h = lf_nn_layernorm(g, b->norm_before, x, v->epsilon), *cls = lf_select_token(g, h, 0);
    lf_tensor *kv = lf_nn_linear_group(g, pass->base, b->attention, h), *q = lf_nn_linear(g, pass->base, b->q, cls);
    lf_done(g, h);
    lf_done(g, cls);
    lf_tensor *a = lf_attention_of(g, q, kv, &opts);
    lf_done(g, q);
    lf_done(g, kv);
    lf_tensor *o = lf_nn_then(g, a, lf_nn_linear(g, pass->base, b->o, a));
    return branch(v, b, 0, g, o);
}

static lf_tensor *mlp(const vit *v, const block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    lf_tensor *h = lf_nn_layernorm(g, b->norm_after, x, v->epsilon);
    lf_tensor *up = lf_nn_then(
        g, h, b->gate_up ? lf_nn_linear_group(g, pass->base, b->gate_up, h) : lf_nn_linear(g, pass->base, b->fc1, h));
    lf_tensor *act = lf_nn_then(g, up, b->gate_up ? lf_gated(g, up, LF_SILU) : lf_activation(g, up, v->activation));
    lf_tensor *down = lf_nn_then(g, act, lf_nn_linear(g, pass->base, b->fc2, act));
    return branch(v, b, 1, g, down);
}

static lf_tensor *layer(const void *block_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const block *b = block_;
    const vit *v = b->model->impl;
    x = lf_nn_residual(g, x, self_attention(v, b, pass, g, x));
    return lf_nn_residual(g, x, mlp(v, b, pass, g, x));
}

/* The positions of the pictures' grid. Where they are interpolated and frozen, they were made once. */
static lf_tensor *places(const vit *v, lf_graph *g) {
    lf_tensor *pos = v->pos ? &v->pos->tensor : NULL;
    if (!v->resample) return pos;
    return v->placed && !pos->requires_grad && pos->data == v->placed_from ? v->placed
                                                                           : lf_mix_rows(g, pos, v->resample);
}

/* Tokens [B, front + patches, C]. */
static lf_tensor *embed(const lf_model *m, const vit *v, lf_graph *g, const lf_pass *pass) {
    const lf_model_input *in = &pass->in;
    lf_tensor *pixels =
        lf_patchify(g, in->pixels, in->B, m->pixels.channels, m->pixels.height, m->pixels.width, v->patch);
    lf_tensor *patches = lf_nn_then(g, pixels, lf_nn_linear(g, pass->base, v->patches, pixels));
    lf_tensor *front = v->front[0] ? &v->front[0]->tensor : NULL, *pos = places(v, g);
    if (v->front[1]) front = lf_concat(g, (lf_tensor *[]){front, &v->front[1]->tensor}, 2);
    lf_tensor *x = lf_nn_then(g, patches, lf_embed_tokens(g, patches, front, pos));
    if (v->front[1]) lf_done(g, front);
    if (v->resample && pos != v->placed) lf_done(g, pos);
    x = lf_dropout(g, x, v->hidden_dropout);
    return v->pre_norm ? lf_nn_then(g, x, lf_nn_layernorm(g, v->pre_norm, x, v->epsilon)) : x;
}

/* The last layer for the class token alone, and its norm. */
static lf_tensor *pool_class_alone(const lf_model *m, const vit *v, lf_graph *g, const lf_pass *pass, lf_tensor *x) {
    const block *last = &v->blocks[m->n_layers - 1];
    lf_tensor *cls = lf_select_token(g, x, 0), *attended = lf_nn_then(g, x, class_attention(v, last, pass, g, x));
    cls = lf_nn_residual(g, cls, attended);
    cls = lf_to_real(g, lf_nn_residual(g, cls, mlp(v, last, pass, g, cls)));
    return lf_nn_then(g, cls, lf_nn_layernorm(g, v->norm, cls, v->epsilon));
}

static lf_tensor *norm(const vit *v, lf_graph *g, lf_tensor *x) {
    return lf_nn_then(g, x, lf_nn_layernorm(g, v->norm, x, v->epsilon));
}

static lf_tensor *pool_class(const vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    (void)front;
    return norm(v, g, lf_to_real(g, lf_nn_then(g, x, lf_select_token(g, x, 0))));
}

static lf_tensor *pool_class_and_mean(const vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    x = norm(v, g, x);
    lf_tensor *cls = lf_to_real(g, lf_select_token(g, x, 0)), *mean = lf_to_real(g, lf_mean_tokens(g, x, front, NULL));
    lf_done(g, x);
    lf_tensor *both = lf_concat(g, (lf_tensor *[]){cls, mean}, 2);
    lf_done(g, cls);
    lf_done(g, mean);
    return both;
}

static lf_tensor *pool_mean(const vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    (void)front;
    x = norm(v, g, x);
    return lf_to_real(g, lf_nn_then(g, x, lf_mean_tokens(g, x, 0, NULL)));
}

static lf_tensor *pool_patches(const vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    (void)v;
    return lf_to_real(g, lf_nn_then(g, x, lf_mean_tokens(g, x, front, NULL)));
}

static lf_tensor *pool_patches_and_norm(const vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    return norm(v, g, pool_patches(v, g, x, front));
}

static lf_tensor *(*const pool_by[])(const vit *v, lf_graph *g, lf_tensor *x, int64_t front) = {
    [POOL_CLASS] = pool_class,     [POOL_CLASS_AND_MEAN] = pool_class_and_mean,     [POOL_MEAN] = pool_mean,
    [POOL_PATCHES] = pool_patches, [POOL_PATCHES_AND_NORM] = pool_patches_and_norm,
};

/* The class token and the distillation token, each normed: [B, 2C]. */
static lf_tensor *both_tokens(const vit *v, lf_graph *g, lf_tensor *x) {
    lf_tensor *tokens[TOKENS];
    for (int i = 0; i < TOKENS; i++) tokens[i] = norm(v, g, lf_to_real(g, lf_select_token(g, x, i)));
    lf_done(g, x);
    lf_tensor *both = lf_concat(g, tokens, TOKENS);
    for (int i = 0; i < TOKENS; i++) lf_done(g, tokens[i]);
    return both;
}

/* ---- to be compared with texts ---- */

/* [B,T,C] (done) -> [B,C]: what one query finds among all tokens, and an MLP of it. Without adapters, whatever the
 * pass. */
static lf_tensor *pool_by_probe(const vit *v, const lf_probe_pooling *p, lf_graph *g, lf_tensor *x) {
    const lf_attention_opts opts = {.heads = v->heads, .kv_heads = v->heads};
    lf_tensor *with_probe = lf_embed_tokens(g, x, &p->probe->tensor, NULL),
              *probe = lf_nn_then(g, with_probe, lf_select_token(g, with_probe, 0));
    lf_tensor *q = lf_nn_then(g, probe, lf_nn_linear(g, true, p->q, probe));
    lf_tensor *kv = lf_nn_then(g, x, lf_nn_linear(g, true, p->kv, x));
    lf_tensor *a = lf_attention_of(g, q, kv, &opts);
    lf_done(g, q);
    lf_done(g, kv);
    lf_tensor *o = lf_nn_then(g, a, lf_nn_linear(g, true, p->o, a)), *h = lf_nn_layernorm(g, p->norm, o, v->epsilon);
    lf_tensor *up = lf_nn_then(g, h, lf_nn_linear(g, true, p->fc1, h));
    lf_tensor *act = lf_nn_then(g, up, lf_activation(g, up, v->activation));
    return lf_nn_residual(g, o, lf_nn_then(g, act, lf_nn_linear(g, true, p->fc2, act)));
}

/* Of length one, as texts are. */
static lf_tensor *compared(const vit *v, const struct lf_comparing *c, lf_graph *g, lf_tensor *x) {
    lf_tensor *y;
    if (c->pooling) {
        y = lf_to_real(g, pool_by_probe(v, c->pooling, g, norm(v, g, x)));
    } else {
        y = pool_class(v, g, x, 1);
        y = lf_nn_then(g, y, lf_nn_linear(g, true, c->projection, y));
    }
    return lf_nn_then(g, y, lf_rmsnorm(g, y, &c->unit->tensor, 0));
}

static lf_tensor *vit_features(const lf_model *m, lf_graph *g, lf_pass *pass) {
    const vit *v = m->impl;
    const bool alone = class_alone(v);
    lf_tensor *x = embed(m, v, g, pass);
    x = lf_model_layers(g, layer, pass, v->blocks, sizeof *v->blocks, m->n_layers - alone, m->gradient_checkpointing,
                        x);
    if (!x) return NULL;
    if (pass->head && pass->head->two_tokens) return both_tokens(v, g, x);
    if (pass->head && pass->head->comparing) return compared(v, pass->head->comparing, g, x);
    const int64_t front = x->shape[1] - v->grid.height * v->grid.width;
    return alone ? pool_class_alone(m, v, g, pass, x) : pool_by[v->pool](v, g, x, front);
}

/* ---- the families ---- */

/* Of a head that pools, and the token that stood for what was hidden in pretraining. */
static const char *const vit_unused[] = {"vit.pooler.", "pooler.", "vit.embeddings.mask_token", "embeddings.mask_token",
                                         NULL};
static const char *const deit_unused[] = {"deit.pooler.", "pooler.", "deit.embeddings.mask_token",
                                          "embeddings.mask_token",
                                          /* read by take_teacher */
                                          "cls_classifier.", "distillation_classifier.", NULL};
/* "." at the front: how names end. */
static const char *const dino_unused[] = {".embeddings.mask_token", "embeddings.mask_token", NULL};
static const char *const beit_unused[] = {".embeddings.mask_token", "embeddings.mask_token", ".relative_position_index",
                                          NULL};
/* The other tower, and what compares the two. */
static const char *const clip_unused[] = {
    "text_model.", "text_projection.", "visual_projection.", "logit_scale", "logit_bias", ".position_ids", NULL};

#define FAMILY(type, class, names_root, names_unused, why_not_all, whole, with_texts)                                  \
    const lf_family lf_family_##type = {.model_type = #type,                                                           \
                                        .input = LF_PIXELS,                                                            \
                                        .prefix = names_root ".",                                                      \
                                        .unused = names_unused,                                                        \
                                        .adapters_only = why_not_all,                                                  \
                                        .part_of = whole,                                                              \
                                        .compares = with_texts,                                                        \
                                        .class_name = class "ForImageClassification",                                  \
                                        .declare = vit_declare,                                                        \
                                        .loaded = vit_loaded,                                                          \
                                        .init_param = vit_init_param,                                                  \
                                        .features = vit_features}
FAMILY(vit, "ViT", "vit", vit_unused, NULL, NULL, false);
FAMILY(deit, "DeiT", "deit", deit_unused, NULL, NULL, false);
FAMILY(dinov2, "Dinov2", "dinov2", dino_unused, NULL, NULL, false);
FAMILY(dinov2_with_registers, "Dinov2WithRegisters", "dinov2_with_registers", dino_unused, NULL, NULL, false);
FAMILY(beit, "Beit", "beit", beit_unused, "its biases by relative position have no gradient", NULL, false);
FAMILY(clip, "CLIP", "vision_model", clip_unused, NULL, NULL, true);
FAMILY(clip_vision_model, "CLIP", "vision_model", clip_unused, NULL, "clip", true);
FAMILY(siglip, "Siglip", "vision_model", clip_unused, NULL, NULL, true);
FAMILY(siglip_vision_model, "Siglip", "vision_model", clip_unused, NULL, "siglip", true);

/* The table of modules of the transformers over a picture's patches, by the names of transformers 5 and of its files.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/vit.h"

enum { NAME = 160 };

static const char *below(char out[NAME], const char *root, const char *name) {
    snprintf(out, NAME, "%.72s%s%.72s", root, *name ? "." : "", name);
    return out;
}

/* A parameter that belongs to no module of its own: "<root>.<module>.<leaf>", the same in files. */
static bool declare_param(lf_model *m, const lf_vit *v, lf_param **out, const char *module, const char *leaf, int ndim,
                          const int64_t *shape) {
    char path[NAME];
    below(path, v->kind->root, module);
    return (*out = lf_nn_param(&m->nn, path, path, leaf, ndim, shape, false)) != NULL;
}

static bool declare_idle(lf_model *m, const lf_vit *v, const char *module, const char *leaf, int ndim,
                         const int64_t *shape) {
    lf_param *p;
    if (!declare_param(m, v, &p, module, leaf, ndim, shape)) return false;
    p->use = LF_PARAM_IDLE;
    return true;
}

/* LayerScale and the table of biases stand beside a layer's modules. A path of BEiT's files has the table below the
 * attention. */
static bool declare_beside(lf_model *m, const lf_vit *v, lf_vit_block *b, int64_t number) {
    const lf_vit_kind *r = v->kind;
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

static bool declare_gate(lf_model *m, lf_vit_block *b, const char *file_layers, int64_t number) {
    lf_module *const parts[] = {b->gate, b->up};
    if (!b->gate) return true;
    for (int i = 0; i < 2; i++)
        if (!stands_in(&m->nn, parts[i]->weight, file_layers, number, "weight", i * parts[i]->out) ||
            !stands_in(&m->nn, parts[i]->bias, file_layers, number, "bias", i * parts[i]->out))
            return false;
    return !lf_nn_group(&m->nn, &b->gate_up, parts, 2, NULL);
}

static bool declare_block(lf_model *m, const lf_vit *v, lf_vit_block *b, int64_t number) {
    const lf_vit_kind *r = v->kind;
    const lf_vit_layer_names *n = r->names;
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
    if (!lf_family_layer(&m->nn, below(layers, r->root, r->layers), below(file_layers, r->root, r->file_layers), number,
                         parts, sizeof parts / sizeof *parts))
        return false;
    b->fc2->of_gate = v->gated;
    return declare_gate(m, b, file_layers, number) && declare_beside(m, v, b, number);
}

static bool group_attention(lf_nn *nn, lf_vit_block *b, bool class_alone_in_it) {
    lf_module *const parts[] = {b->q, b->k, b->v};
    return !lf_nn_group(nn, &b->attention, parts + class_alone_in_it, 3 - class_alone_in_it, NULL);
}

/* Tokens in front: the class token, then the distillation token or the registers. */
static bool declare_front(lf_model *m, lf_vit *v) {
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

/* The token that stands for what is hidden in pretraining: no part of a classifier, but of the file of one. */
static bool declare_mask(lf_model *m, const lf_vit *v) {
    if (!v->has_mask) return true;
    return declare_idle(m, v, "embeddings", "mask_token", lf_vit_is_dino(v) ? 2 : 3,
                        lf_vit_is_dino(v) ? (int64_t[]){1, m->hidden_size} : (int64_t[]){1, 1, m->hidden_size});
}

static bool declare_positions(lf_model *m, lf_vit *v) {
    const lf_vit_embedding_names *e = v->kind->embeddings;
    const int64_t rows = lf_vit_placed(v) + v->file_grid.height * v->file_grid.width, C = m->hidden_size;
    char module[NAME];
    if (!v->has_positions) return true;
    return declare_param(m, v, &v->pos, below(module, "embeddings", e->positions), e->positions_leaf, e->clip ? 2 : 3,
                         e->clip ? (int64_t[]){rows, C} : (int64_t[]){1, rows, C});
}

static bool declare_patches(lf_model *m, lf_vit *v) {
    const lf_vit_embedding_names *e = v->kind->embeddings;
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

static bool declare_norm(lf_model *m, const lf_vit *v, lf_module **out, const char *name) {
    char path[NAME];
    if (!name) return true;
    return (*out = lf_family_norm(&m->nn, m->hidden_size, true, below(path, v->kind->root, name), NULL)) != NULL;
}

static bool declare_shared_bias(lf_model *m, lf_vit *v) {
    const int64_t rows = (2 * v->grid.height - 1) * (2 * v->grid.width - 1) + 3;
    if (!v->shared_bias) return true;
    v->bias_table = lf_nn_param(&m->nn, "beit.shared_position_bias", "beit.encoder.relative_position_bias",
                                "relative_position_bias_table", 2, (int64_t[]){rows, v->heads}, false);
    if (v->bias_table) v->bias_table->use = LF_PARAM_CONSTANT;
    return v->bias_table != NULL;
}

/* The head of SigLIP that pools by attention: no part of a classifier, but of the file of one. */
static bool declare_pooling_head(lf_model *m, const lf_vit *v) {
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

bool lf_vit_modules(lf_model *m, lf_vit *v) {
    const int64_t C = m->hidden_size;
    bool ok = declare_front(m, v) && declare_mask(m, v) && declare_positions(m, v) && declare_patches(m, v) &&
              declare_shared_bias(m, v) && declare_norm(m, v, &v->pre_norm, v->kind->pre_norm);
    v->blocks = lf_arena_alloc(m->nn.arena, (size_t)m->n_layers * sizeof *v->blocks);
    ok = ok && v->blocks;
    if (ok) memset(v->blocks, 0, (size_t)m->n_layers * sizeof *v->blocks);
    for (int64_t i = 0; ok && i < m->n_layers; i++) {
        const bool last = i + 1 == m->n_layers;
        /* BEiT drops more and more, DINOv2 everywhere alike */
        v->blocks[i].drop_path = lf_vit_is_beit(v)
                                     ? v->drop_path * (double)i / (double)(m->n_layers > 1 ? m->n_layers - 1 : 1)
                                     : v->drop_path;
        ok = declare_block(m, v, &v->blocks[i], i) &&
             group_attention(&m->nn, &v->blocks[i], last && lf_vit_class_alone(v));
    }
    return ok &&
           declare_norm(m, v, &v->norm,
                        v->pool == LF_VIT_POOL_PATCHES_AND_NORM ? "pooler.layernorm" : v->kind->last_norm) &&
           declare_pooling_head(m, v) &&
           lf_family_classifier(m, v->pool == LF_VIT_POOL_CLASS_AND_MEAN ? 2 * C : C, true, "classifier");
}

void lf_vit_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out) {
    const lf_vit *v = m->impl;
    const bool weight = p->tensor.ndim > 1 && !strstr(p->name, "relative_position_bias_table"),
               norm_weight = p->tensor.ndim == 1 && strstr(p->name, ".weight"),
               scale = p->tensor.ndim == 1 && strstr(p->name, ".lambda");
    const double range = v->kind->embeddings->clip && strncmp(p->name, "classifier", 10) == 0
                             ? 1 / sqrt((double)m->hidden_size)
                             : v->initializer_range;
    uint64_t draw = 0;
    for (int64_t i = 0; i < p->tensor.numel; i++) {
        const double z = weight ? lf_rng_normal_within(key, &draw, 2) : 0;
        out[i] = norm_weight ? 1.0f : scale ? (float)v->scale_value : (float)(range * z);
    }
}

/* Transformers over the patches of a picture, as transformers has them: ViT (Dosovitskiy et al. 2021), DeiT, DINOv2,
 * BEiT, and the towers of pictures of CLIP and SigLIP with a classifier. Where they differ is a table
 * (vit_config.c). */
#include "model/vit.h"

#include "base/log.h"
#include "base/mem.h"
#include "model/zero_shot.h"

static bool same_grid(lf_patch_grid a, lf_patch_grid b) { return a.height == b.height && a.width == b.width; }

static lf_status vit_declare(lf_model *m, lf_err *err) {
    lf_vit *v = lf_arena_alloc(m->nn.arena, sizeof *v);
    if (!v) return lf_no_memory(err, "%s", m->path);
    *v = (lf_vit){0};
    m->impl = v;
    const lf_status rc = lf_vit_read(m, v, err);
    if (rc) return rc;
    if (!lf_vit_modules(m, v)) return lf_no_memory(err, "the table of modules of %s", m->path);
    if (same_grid(v->file_grid, v->grid)) return LF_OK;
    v->resample =
        lf_vision_resample(&m->nn, lf_vit_placed(v), v->file_grid, v->grid, v->kind->resize == LF_VIT_RESIZE_ANTIALIAS);
    return v->resample ? LF_OK : lf_no_memory(err, "the position embeddings of %s", m->path);
}

/* What interpolating makes of the positions. */
static lf_status place(lf_model *m, lf_vit *v, lf_err *err) {
    if (!v->resample) return LF_OK;
    v->placed_from = v->pos->tensor.data;
    v->placed = lf_vision_placed(&m->nn, &v->pos->tensor, v->resample);
    return v->placed ? LF_OK : lf_no_memory(err, "the position embeddings of %s", m->path);
}

/* Positions, and biases by relative position from their tables. */
static lf_status vit_loaded(lf_model *m, lf_err *err) {
    lf_vit *v = m->impl;
    lf_status rc;
    if ((rc = place(m, v, err)) || (rc = lf_vit_take_teacher(m, err))) return rc;
    const lf_tensor *shared = v->bias_table ? lf_vision_relative_bias(&m->nn, &v->bias_table->tensor, v->grid) : NULL;
    bool ok = shared || !v->bias_table;
    for (int64_t i = 0; ok && i < m->n_layers; i++) {
        lf_vit_block *b = &v->blocks[i];
        b->bias = b->bias_table ? lf_vision_relative_bias(&m->nn, &b->bias_table->tensor, v->grid) : shared;
        ok = b->bias || !b->bias_table;
    }
    return ok ? LF_OK : lf_no_memory(err, "the biases by relative position of %s", m->path);
}

/* ---- forward ---- */

static lf_attention_opts attention_opts(const lf_vit *v, const lf_vit_block *b) {
    return (lf_attention_opts){
        .heads = v->heads, .kv_heads = v->heads, .dropout = v->attention_dropout, .bias = b->bias};
}

/* What is done to a branch before it is added: dropout, LayerScale, stochastic depth. */
static lf_tensor *branch(const lf_vit *v, const lf_vit_block *b, int which, lf_graph *g, lf_tensor *x) {
    if (v->kind->dropout_in_layers) x = lf_dropout(g, x, v->hidden_dropout);
    if (b->scale[which]) x = lf_nn_then(g, x, lf_layer_scale(g, x, &b->scale[which]->tensor));
    return lf_drop_path(g, x, b->drop_path);
}

static lf_tensor *self_attention(const lf_vit *v, const lf_vit_block *b, const lf_pass *pass, lf_graph *g,
                                 lf_tensor *x) {
    const lf_attention_opts opts = attention_opts(v, b);
    lf_tensor *h = lf_nn_layernorm(g, b->norm_before, x, v->epsilon);
    lf_tensor *qkv = lf_nn_then(g, h, lf_nn_linear_group(g, pass->base, b->attention, h));
    lf_tensor *a = lf_nn_then(g, qkv, lf_attention(g, qkv, &opts));
    lf_tensor *o = lf_nn_then(g, a, lf_nn_linear(g, pass->base, b->o, a));
    return branch(v, b, 0, g, o);
}

/* As self_attention, for the class token alone: [B,T,C] -> [B,C]. */
static lf_tensor *class_attention(const lf_vit *v, const lf_vit_block *b, const lf_pass *pass, lf_graph *g,
                                  lf_tensor *x) {
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

static lf_tensor *mlp(const lf_vit *v, const lf_vit_block *b, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    lf_tensor *h = lf_nn_layernorm(g, b->norm_after, x, v->epsilon);
    lf_tensor *up = lf_nn_then(
        g, h, b->gate_up ? lf_nn_linear_group(g, pass->base, b->gate_up, h) : lf_nn_linear(g, pass->base, b->fc1, h));
    lf_tensor *act = lf_nn_then(g, up, b->gate_up ? lf_gated(g, up, LF_SILU) : lf_activation(g, up, v->activation));
    lf_tensor *down = lf_nn_then(g, act, lf_nn_linear(g, pass->base, b->fc2, act));
    return branch(v, b, 1, g, down);
}

static lf_tensor *layer(const void *block_, const lf_pass *pass, lf_graph *g, lf_tensor *x) {
    const lf_vit_block *b = block_;
    const lf_vit *v = b->model->impl;
    x = lf_nn_residual(g, x, self_attention(v, b, pass, g, x));
    return lf_nn_residual(g, x, mlp(v, b, pass, g, x));
}

/* The positions of the pictures' grid. Where they are interpolated and frozen, they were made once. */
static lf_tensor *places(const lf_vit *v, lf_graph *g) {
    lf_tensor *pos = v->pos ? &v->pos->tensor : NULL;
    if (!v->resample) return pos;
    return v->placed && !pos->requires_grad && pos->data == v->placed_from ? v->placed
                                                                           : lf_mix_rows(g, pos, v->resample);
}

/* Tokens [B, front + patches, C]. */
static lf_tensor *embed(const lf_model *m, const lf_vit *v, lf_graph *g, const lf_pass *pass) {
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
static lf_tensor *pool_class_alone(const lf_model *m, const lf_vit *v, lf_graph *g, const lf_pass *pass, lf_tensor *x) {
    const lf_vit_block *last = &v->blocks[m->n_layers - 1];
    lf_tensor *cls = lf_select_token(g, x, 0), *attended = lf_nn_then(g, x, class_attention(v, last, pass, g, x));
    cls = lf_nn_residual(g, cls, attended);
    cls = lf_to_real(g, lf_nn_residual(g, cls, mlp(v, last, pass, g, cls)));
    return lf_nn_then(g, cls, lf_nn_layernorm(g, v->norm, cls, v->epsilon));
}

static lf_tensor *norm(const lf_vit *v, lf_graph *g, lf_tensor *x) {
    return lf_nn_then(g, x, lf_nn_layernorm(g, v->norm, x, v->epsilon));
}

static lf_tensor *pool_class(const lf_vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    (void)front;
    return norm(v, g, lf_to_real(g, lf_nn_then(g, x, lf_select_token(g, x, 0))));
}

static lf_tensor *pool_class_and_mean(const lf_vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    x = norm(v, g, x);
    lf_tensor *cls = lf_to_real(g, lf_select_token(g, x, 0)), *mean = lf_to_real(g, lf_mean_tokens(g, x, front, NULL));
    lf_done(g, x);
    lf_tensor *both = lf_concat(g, (lf_tensor *[]){cls, mean}, 2);
    lf_done(g, cls);
    lf_done(g, mean);
    return both;
}

static lf_tensor *pool_mean(const lf_vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    (void)front;
    x = norm(v, g, x);
    return lf_to_real(g, lf_nn_then(g, x, lf_mean_tokens(g, x, 0, NULL)));
}

static lf_tensor *pool_patches(const lf_vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    (void)v;
    return lf_to_real(g, lf_nn_then(g, x, lf_mean_tokens(g, x, front, NULL)));
}

static lf_tensor *pool_patches_and_norm(const lf_vit *v, lf_graph *g, lf_tensor *x, int64_t front) {
    return norm(v, g, pool_patches(v, g, x, front));
}

static lf_tensor *(*const pool_by[])(const lf_vit *v, lf_graph *g, lf_tensor *x, int64_t front) = {
    [LF_VIT_POOL_CLASS] = pool_class,
    [LF_VIT_POOL_CLASS_AND_MEAN] = pool_class_and_mean,
    [LF_VIT_POOL_MEAN] = pool_mean,
    [LF_VIT_POOL_PATCHES] = pool_patches,
    [LF_VIT_POOL_PATCHES_AND_NORM] = pool_patches_and_norm,
};

/* The class token and the distillation token, each normed: [B, 2C]. */
static lf_tensor *both_tokens(const lf_vit *v, lf_graph *g, lf_tensor *x) {
    lf_tensor *tokens[LF_VIT_HEADS];
    for (int i = 0; i < LF_VIT_HEADS; i++) tokens[i] = norm(v, g, lf_to_real(g, lf_select_token(g, x, i)));
    lf_done(g, x);
    lf_tensor *both = lf_concat(g, tokens, LF_VIT_HEADS);
    for (int i = 0; i < LF_VIT_HEADS; i++) lf_done(g, tokens[i]);
    return both;
}

/* ---- to be compared with texts ---- */

/* [B,T,C] (done) -> [B,C]: what one query finds among all tokens, and an MLP of it. Without adapters, whatever the
 * pass. */
static lf_tensor *pool_by_probe(const lf_vit *v, const lf_probe_pooling *p, lf_graph *g, lf_tensor *x) {
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
static lf_tensor *compared(const lf_vit *v, const struct lf_comparing *c, lf_graph *g, lf_tensor *x) {
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
    const lf_vit *v = m->impl;
    const bool alone = lf_vit_class_alone(v);
    lf_tensor *x = lf_pass_begins_late(pass) ? NULL : embed(m, v, g, pass);
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
                                        .init_param = lf_vit_init_param,                                               \
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

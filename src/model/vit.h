/* Transformers over the patches of a picture: what the reader of config.json (vit_config.c), the table of modules
 * (vit_modules.c) and the model (vit.c) have in common. */
#ifndef LF_MODEL_VIT_H
#define LF_MODEL_VIT_H

#include "model/vision.h"

/* What goes into the classifier, of the tokens of the last layer. Normed: by the last norm, where there is one. */
typedef enum lf_vit_pooling {
    LF_VIT_POOL_CLASS,            /* the class token, normed */
    LF_VIT_POOL_CLASS_AND_MEAN,   /* the class token beside the mean of the patches, all normed */
    LF_VIT_POOL_MEAN,             /* the mean of all tokens, normed before */
    LF_VIT_POOL_PATCHES,          /* the mean of the patches, as the last layer leaves them */
    LF_VIT_POOL_PATCHES_AND_NORM, /* their mean, normed after */
} lf_vit_pooling;

/* Names of a layer's modules, by transformers 5 and by its files where they differ. */
typedef struct lf_vit_part_name {
    const char *name, *alias;
} lf_vit_part_name;
typedef struct lf_vit_layer_names {
    lf_vit_part_name norm_before, q, k, v, o, norm_after, fc1, fc2;
} lf_vit_layer_names;

/* The embeddings of either kind of file: tokens in front and places as tensors of three dims, or as CLIP has them. */
typedef struct lf_vit_embedding_names {
    const char *patches, *positions, *positions_leaf; /* below "embeddings" */
    bool clip;
} lf_vit_embedding_names;

/* Where config.json says a picture can have another size than image_size. */
typedef enum lf_vit_resizing {
    LF_VIT_RESIZE_NEVER,
    LF_VIT_RESIZE_ASKED,    /* transformers does it with interpolate_pos_encoding=True alone: said */
    LF_VIT_RESIZE_ALWAYS,   /* whatever it is asked */
    LF_VIT_RESIZE_ANTIALIAS /* the same, with a filter */
} lf_vit_resizing;

/* A row of the table of relatives (vit_config.c). */
typedef struct lf_vit_kind {
    const char *model_type, *root, *layers, *file_layers, *last_norm;
    const lf_vit_layer_names *names;
    const lf_vit_embedding_names *embeddings;
    const char *front[2];                /* the tokens in front of the patches; NULL: none */
    const char *scales[2], *scale_value; /* LayerScale, and the key that says how it starts; NULL: none */
    const char *pre_norm;                /* of the embeddings; NULL: none */
    lf_vit_pooling pool;
    lf_vit_resizing resize;
    const char *hidden_dropout, *attention_dropout; /* keys; NULL: none */
    bool dropout_in_layers;
    const char *activation;
    int64_t patch;
    double epsilon;
    bool nested; /* its keys are those of vision_config */
} lf_vit_kind;

/* Where the head sees the class token of the last layer only, that layer computes nothing else but the keys and values
 * of the others: its q stands alone, everywhere else q, k and v are multiplied as one. */
typedef struct lf_vit_block {
    lf_module *norm_before, *norm_after, *q, *k, *v, *o, *fc1, *fc2;
    lf_module *gate, *up; /* of a gated MLP, in the place of fc1 */
    lf_group *attention;  /* q, k, v; k, v in such a last layer */
    lf_group *gate_up;    /* NULL: the MLP is not gated */
    lf_param *scale[2];   /* NULL: none */
    lf_param *bias_table;
    const lf_tensor *bias; /* made of the table, or shared; NULL: none */
    double drop_path;
    const lf_model *model;
} lf_vit_block;

typedef struct lf_vit {
    const lf_vit_kind *kind;
    int64_t heads, intermediate_size, patch, registers;
    lf_patch_grid file_grid, grid; /* of the file's positions, and of the pictures */
    double epsilon, hidden_dropout, attention_dropout, initializer_range, scale_value, drop_path;
    bool gated; /* the MLP: silu(gate) up */
    bool qkv_bias, k_bias, has_mask, has_positions, pooling_head, own_bias, shared_bias;
    lf_vit_pooling pool;
    lf_activation_kind activation;
    lf_param *front[2], *pos, *bias_table;
    lf_tensor *resample;     /* the matrix of the positions; NULL: they stay */
    lf_tensor *placed;       /* what it made of them; NULL: they were not there yet */
    const void *placed_from; /* of these numbers */
    lf_module *patches, *pre_norm, *norm;
    lf_vit_block *blocks; /* [n_layers] */
} lf_vit;

static inline bool lf_vit_is_dino(const lf_vit *v) { return v->kind->pool == LF_VIT_POOL_CLASS_AND_MEAN; }
static inline bool lf_vit_is_beit(const lf_vit *v) { return v->kind->pool == LF_VIT_POOL_PATCHES_AND_NORM; }
/* DeiT's distillation token is looked at, too, where its file has a head for it. */
static inline bool lf_vit_class_alone(const lf_vit *v) {
    return v->pool == LF_VIT_POOL_CLASS && !v->own_bias && !v->shared_bias && !v->kind->front[1];
}
/* How many tokens in front have a place: all but the registers. */
static inline int64_t lf_vit_placed(const lf_vit *v) { return !v->front[0] ? 0 : v->front[1] && !v->registers ? 2 : 1; }

/* From config.json and the size that preprocessor_config.json gives pictures, by the relative that m->family is. */
lf_status lf_vit_read(lf_model *m, lf_vit *v, lf_err *err);

/* Puts all modules and parameters into the table of m->nn, and v's pointers to them. false: out of memory. */
bool lf_vit_modules(lf_model *m, lf_vit *v);
/* lf_family.init_param: weights and embeddings normal(0, initializer_range), cut off at two standard deviations; norms
 * one; LayerScale as its key says; tables of biases and all other vectors zero. */
void lf_vit_init_param(const lf_model *m, const lf_param *p, lf_rng_key key, float *out);

/* Of DeiTForImageClassificationWithTeacher: what it says is the average of two heads, of the class token and of the
 * distillation token. A file of anything else is left as it is. */
enum { LF_VIT_HEADS = 2 };
lf_status lf_vit_take_teacher(lf_model *m, lf_err *err);

#endif

/* Pretrained models from Hugging Face directories. A family (ViT, ...) is one file and one line in families.def; it reads
 * config.json, fills the table of modules, and builds the forward pass. */
#ifndef LF_MODEL_MODEL_H
#define LF_MODEL_MODEL_H

#include <cjson/cJSON.h>

#include "io/safetensors.h"
#include "nn/nn.h"

typedef struct lf_family lf_family;

typedef struct lf_model {
    const lf_family *family;
    char *path;              /* the directory; of a new model: its config file */
    char *config_path;
    lf_safetensors *weights; /* stays open (a mapping costs nothing); NULL for a new model */
    cJSON *config;           /* config.json as it was read */
    char hash[33];           /* of the base weights; "" for a new model */
    lf_nn nn;
    void *impl;              /* the family's own, in nn.arena */
    bool gradient_checkpointing; /* a layer's activations are made again in backward; set by the owner */
    int64_t hidden_size;
    int64_t channels, image_h, image_w; /* of pictures */
    /* A causal language model: tokens in, `hidden` out, no classification head (head and base_head are NULL). Else pictures in,
     * `features` out. */
    bool is_lm;
    int64_t vocab_size, max_positions; /* a text may have this many tokens */
    int64_t n_layers, heads, kv_heads, head_size;
    bool tied;               /* the output's weight is the table of embeddings: one parameter */
    lf_param *embedding;     /* [vocab_size, hidden_size] */
    lf_module *lm_head;      /* [vocab_size, hidden_size]; its logits: lf_model_lm_loss, or lf_model_logits */
    lf_module *head;         /* the head in use: the file's own, or a new one */
    lf_module *base_head;    /* the file's own head, always frozen; NULL if the file has none (ViTModel) */
    int64_t num_labels, base_num_labels;
    const char **id2label, **base_id2label; /* in nn.arena */
} lf_model;

/* What a model sees: pictures, or tokens. */
typedef struct lf_model_input {
    int64_t B;
    const float *pixels; /* [B, channels, image_h, image_w] */
    int64_t T;
    const int32_t *ids, *positions; /* [B, T]; positions within a token's own document */
    const int32_t *first;           /* [B, T] the first column of a token's own document; NULL: 0, one document a row */
} lf_model_input;

typedef struct lf_kv_cache lf_kv_cache;

struct lf_family {
    const char *model_type;
    const char *auto_class; /* of transformers */
    /* Checks config.json, sets the model's sizes and fills nn with modules and parameters (no data yet); sets `head`. */
    lf_status (*declare)(lf_model *m, lf_err *err);
    /* The tensor in `st` for a parameter, trying the other spellings of its name; NULL if absent. */
    const lf_st_tensor *(*find)(const lf_safetensors *st, const lf_param *p);
    /* May a file hold this tensor although the model does not use it (a pooler)? */
    bool (*ignores)(const char *name);
    /* Random start, for training from nothing and for new heads: fills numel floats for p. */
    void (*init_param)(const lf_model *m, const lf_param *p, lf_rng_key key, float *out);
    /* Pictures: features [B, hidden_size] that go into the head. */
    lf_tensor *(*features)(lf_model *m, lf_graph *g, const lf_model_input *in);
    /* Language models: [B, T, hidden_size] after the last norm. With a cache (may be NULL) the tokens go on behind those in it. */
    lf_tensor *(*hidden)(lf_model *m, lf_graph *g, const lf_model_input *in, lf_kv_cache *cache);
};

/* LF_LOAD_NOTHING: declared and checked only (merge streams from the file). LF_LOAD_FROZEN: linear weights packed. The file's
 * head is frozen in either case: see lf_model_new_head and lf_model_train_head. */
typedef enum lf_load { LF_LOAD_NOTHING, LF_LOAD_FROZEN, LF_LOAD_TRAINED } lf_load;

/* LF_EDATA/LF_ESHAPE/LF_EUNSUPPORTED naming file, key or tensor. A tensor that the file lacks or has too many of is an
 * error, except a missing head (ViTModel) and tensors that the family lists as unused (pooler). */
lf_status lf_model_open(lf_model **out, const char *path, const lf_kernels *k, lf_load load, lf_err *err);
/* A new model from a config.json, random weights by seed (all trained). */
lf_status lf_model_new(lf_model **out, const char *config_path, const lf_kernels *k, uint64_t seed, lf_err *err);
void lf_model_free(lf_model *m);

/* Replaces the head by a new trained one: weights as the family starts them (init_param), by seed, zero bias. class names are copied.
 * May be called once; base_head stays. */
lf_status lf_model_new_head(lf_model *m, int64_t num_labels, const char *const *class_names, uint64_t seed, lf_err *err);
/* Makes the file's own head trained (reuse_head), keeping a frozen copy as base_head. */
lf_status lf_model_train_head(lf_model *m, lf_err *err);

/* LF_EDATA if the model has no head to use (`what` wants one). */
lf_status lf_model_need_head(const lf_model *m, const char *what, lf_err *err);

lf_tensor *lf_model_features(lf_model *m, lf_graph *g, const lf_model_input *in); /* [B, hidden_size] */
lf_tensor *lf_model_logits(lf_model *m, lf_graph *g, lf_module *head, lf_tensor *features); /* head: m->head or m->base_head */

/* ---- causal language models ---- */

/* [B, T, hidden_size] after the last norm. in->ids and in->positions are there, and borrowed until backward; so is `in` of the
 * latest call by the model: one graph at a time runs a model. An id or position out of range is the graph's failure. */
lf_tensor *lf_model_hidden(lf_model *m, lf_graph *g, const lf_model_input *in);
/* lf_lm_loss through the model's own output layer. */
lf_tensor *lf_model_lm_loss(lf_model *m, lf_graph *g, lf_tensor *hidden, const int32_t *labels, double normalizer, double smoothing,
                            lf_lm_counts *counts);

/* Keys and values of the tokens so far, for generation. Room for max_T tokens of one text; belongs to one model. */
lf_status lf_kv_cache_new(lf_kv_cache **out, const lf_model *m, int64_t max_T, lf_err *err);
void lf_kv_cache_free(lf_kv_cache *c);
int64_t lf_kv_cache_length(const lf_kv_cache *c);
void lf_kv_cache_cut(lf_kv_cache *c, int64_t length); /* forgets what is behind; 0: starts anew */
/* lf_model_hidden for the next T tokens of the text (B = 1, positions and first are not read) -> [1, T, hidden_size], without a
 * gradient. A full cache is the graph's failure. */
lf_tensor *lf_model_hidden_cached(lf_model *m, lf_graph *g, const lf_model_input *in, lf_kv_cache *cache);

/* LF_EUNSUPPORTED unless the model sees pictures (is_lm false): `what` is for those only. */
lf_status lf_model_need_pictures(const lf_model *m, const char *what, lf_err *err);

/* Writes config.json (of classifiers with num_labels, id2label, label2id of the head in use) and model.safetensors of the weights held now;
 * merged adapters: `merge` is called with each linear weight [out,in] before it is written (may be NULL).
 * dtype: LF_F32, LF_BF16, LF_F16; LF_N_DTYPES: as each tensor is in the source (fp32 for a new model). Streamed. */
typedef lf_status (*lf_merge_fn)(void *context, const lf_module *m, float *W, lf_err *err);
lf_status lf_model_write(lf_model *m, const char *dir, lf_dtype dtype, lf_merge_fn merge, void *context, lf_err *err);

#endif

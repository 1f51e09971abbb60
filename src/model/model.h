/* Pretrained models from Hugging Face directories. A family (ViT, ...) is one file and one line in families.def; it
 * reads config.json, fills the table of modules, and builds the forward pass. */
#ifndef LF_MODEL_MODEL_H
#define LF_MODEL_MODEL_H

#include <cjson/cJSON.h>

#include "base/problem.h"
#include "config/config.h"
#include "io/safetensors.h"
#include "nn/nn.h"

typedef struct lf_family lf_family;

/* LF_LOAD_NOTHING: declared and checked only (merge streams from the file). LF_LOAD_FROZEN: linear weights never
 * change. The file's head is frozen in either case: see lf_model_new_head and lf_model_train_head. */
typedef enum lf_load { LF_LOAD_NOTHING, LF_LOAD_FROZEN, LF_LOAD_TRAINED } lf_load;

/* Whether frozen weights are read from the mapped file (key weights). AUTO: unless that is on a network file system. */
typedef enum lf_weights { LF_WEIGHTS_AUTO, LF_WEIGHTS_MAP, LF_WEIGHTS_COPY } lf_weights;

/* How a model is opened. */
typedef struct lf_model_opts {
    const lf_kernels *k;
    lf_load load;
    bool lets_go;               /* the pages of mapped weights are given back after each product */
    lf_frozen_format quantised; /* of the body's linear weights, as lf_nn.quantised; PLAIN: they are not */
    lf_weights weights;
    const char *cache; /* folder where the hash of its files is kept, or "auto" (decomposition_cache); NULL: none */
} lf_model_opts;

/* What goes into a model, and what its heads can say. They are independent: a model of tokens may say classes. */
typedef enum lf_input_kind { LF_PIXELS, LF_TOKENS } lf_input_kind;
typedef enum lf_output_kind { LF_CLASSES, LF_NEXT_TOKEN, LF_MASKED_TOKEN } lf_output_kind;

typedef struct lf_pixel_facts {
    int64_t channels, height, width; /* of pictures */
} lf_pixel_facts;

typedef struct lf_token_facts {
    int64_t vocab_size;    /* tokens that the model takes; of a tuned one maybe more than of its base: table->in */
    int64_t max_positions; /* 0: no limit */
    int32_t pad;      /* pad_token_id, by config.json or set by who opens the tokenizer: what pads a row, and is no last
                       * token of a text (lf_model_features); -1: none */
    int64_t kv_width; /* numbers of a token's keys and values in a layer's cache */
    int64_t steady;   /* keys of texts longer than this depend on their length (rope.c); 0: never */
    bool reads_again; /* a cached text that grows beyond it is to be read again from its beginning */
    lf_param *embedding; /* [vocab_size, hidden_size] */
    lf_module *table;    /* which it is the weight of */
    double scaled_by;    /* what the embedding module itself multiplies by, behind lf_family_embed; 0: nothing */
} lf_token_facts;

/* A head that says classes. */
enum { LF_HEAD_LAYERS = 2 };
typedef struct lf_classifier {
    lf_module *module; /* NULL: there is none */
    /* What stands between a text's pooled state and `module` (a pooler, a dense layer), in order; NULL: nothing. Those
     * of kind LF_CLASS_HEAD are trained and saved with the head, the others are of the body. */
    lf_module *inner[LF_HEAD_LAYERS];
    lf_problem problem;
    int64_t n_labels;
    const char **labels; /* in nn.arena */
    bool two_tokens;     /* it stands on the class token beside the distillation token (DeiT with a teacher) */
    const struct lf_comparing *comparing; /* it stands on features that are compared with texts; NULL: the usual ones */
} lf_classifier;

typedef struct lf_model {
    /* ---- the core, which every model has ---- */
    const lf_family *family;
    char *path; /* the directory; of a new model: its config file */
    char *config_path;
    lf_safetensors *weights; /* stays open (a mapping costs nothing); NULL for a new model */
    cJSON *config;           /* config.json as it was read */
    char hash[33];           /* of the base weights; "" for a new model */
    lf_model_opts opts;      /* as it was opened; `cache` is borrowed */
    lf_nn nn;
    void *impl;                  /* the family's own, in nn.arena */
    bool maps;                   /* frozen weights stay in the mapped file, where they are as they are computed with */
    bool gradient_checkpointing; /* a layer's activations are made again in backward; set by the owner */
    double neftune_noise_alpha;  /* training passes get noise on their embeddings (lf_family_embed); the owner's, too */
    int64_t hidden_size, n_layers;
    /* ---- what goes in: the one that family->input says ---- */
    lf_pixel_facts pixels;
    lf_token_facts tokens;
    /* ---- its heads: see lf_model_says ---- */
    lf_classifier head;      /* in use: the file's own, or a new one. A file may lack the weights (ViTModel) */
    lf_classifier base_head; /* the file's own, always frozen; no module, or not all of `inner`, if it has none */
    lf_module *lm_head;      /* [vocab_size, hidden_size]; NULL: none */
    bool tied;               /* its weight is tokens.embedding */
    double logits_scale;     /* of lm_head's product; 0: 1 */
    double logits_softcap;   /* of its logits; 0: none */
} lf_model;

/* An adapter, put on, may have brought new tokens: tokens.vocab_size is that of its embedding from here on. */
void lf_model_take_vocabulary(lf_model *m);
/* How many layers at the beginning change with nothing that is trained: neither they nor what goes into them do. */
int64_t lf_model_frozen_layers(const lf_model *m);
bool lf_model_has_grown(const lf_model *m);                   /* does it take tokens that its base does not know? */
bool lf_model_says(const lf_model *m, lf_output_kind output); /* has it a head for that? */

/* What a model sees: pictures, or tokens. */
typedef struct lf_model_input {
    int64_t B;
    const float *pixels; /* [B, channels, image_h, image_w] */
    int64_t T;
    const int32_t *ids, *positions; /* [B, T]; positions within a token's own document */
    const int32_t *first;           /* [B, T] the first column of a token's own document; NULL: 0, one document a row */
    /* Of rows with one text each, as classifiers and encoders read them: */
    const int32_t *lengths;     /* [B] tokens of the text, behind which is padding; NULL: all T */
    const int32_t *token_types; /* [B, T] 1 in the second text of a pair; NULL: all 0 */
} lf_model_input;

typedef struct lf_kv_cache lf_kv_cache;
typedef struct lf_cached_texts lf_cached_texts;
typedef struct lf_rope_rows lf_rope_rows;

/* What the frozen layers at a model's beginning make of an example is the same each time, so a pass can begin behind
 * them with what an earlier one kept. Results are the same as without, to the last bit, where nothing in those layers
 * draws random numbers and a row's numbers do not depend on the rows beside it. */
typedef struct lf_prefix_seen {
    const void *x; /* [B,T,C] activations: what enters the layer; of the pass */
    int64_t B, T, C;
    bool frozen; /* nothing that x is made of is trained */
    bool drew;   /* random numbers went into it */
} lf_prefix_seen;
typedef struct lf_prefix {
    int64_t layer;  /* the first behind the frozen ones; what the family runs in its own way stands behind all */
    bool known;     /* what enters it is there for all rows: the pass begins with it */
    int64_t T, C;   /* known: tokens of a row, numbers of a token */
    uint64_t nodes; /* of the graph, that are left out then; set by a pass that was not known */
    void *store;
    void (*put)(void *store, void *x, int64_t T);                            /* known: into x [B,T,C] */
    lf_status (*keep)(void *store, const lf_prefix_seen *seen, lf_err *err); /* else: to be kept */
} lf_prefix;

/* A pass through a model: all that differs from one to the next, so that none of it is written into the model. */
typedef struct lf_pass {
    lf_model_input in;
    const lf_cached_texts *cache; /* NULL, or what earlier tokens left */
    bool base;                    /* without the adapters: the untouched base, in the same memory */
    const lf_classifier *head;    /* through whose `inner` layers the features go; NULL: the head in use */
    lf_prefix *prefix;            /* NULL: it begins at the beginning, and nothing is kept */
    const lf_rope_rows *rotation; /* the family's: what its layers turn q and k by, one for each kind of layer */
} lf_pass;

struct lf_family {
    const char *model_type;
    lf_input_kind input;
    const char *prefix; /* of all names but the heads'; the files of a bare base model leave it out */
    /* Tensors that a file may hold although the model does not use them (a pooler): how their names begin, or, from a
     * dot on, how they end. Ends with NULL. */
    const char *const *unused;
    /* Checks config.json, sets the model's sizes, what goes in and the heads, and fills nn with modules and parameters
     * (no data yet). */
    lf_status (*declare)(lf_model *m, lf_err *err);
    /* What is made of weights once they are there; NULL: nothing. */
    lf_status (*loaded)(lf_model *m, lf_err *err);
    const char *adapters_only; /* why not all of its weights can be trained; NULL: they can */
    bool unclassified;         /* transformers has no class of it with a classifier */
    const char *part_of;       /* a classifier of it is written as this model_type, with its config.json as
                                  vision_config; NULL: as itself */
    /* Random start, for training from nothing and for new heads: fills numel floats for p. */
    void (*init_param)(const lf_model *m, const lf_param *p, lf_rng_key key, float *out);
    /* Features [B, lf_model_feature_width] that go into a classifier; NULL: those of the last token's hidden state, by
     * `hidden`. The pass is in the graph's memory: it stands still until backward, which builds a checkpointed layer
     * again. */
    lf_tensor *(*features)(const lf_model *m, lf_graph *g, lf_pass *pass);
    /* Hidden states [B, T, hidden_size] that go into lm_head; NULL: the family has none. */
    lf_tensor *(*hidden)(const lf_model *m, lf_graph *g, lf_pass *pass);
    /* The same of a family that says masked tokens: it sees both sides of each token. NULL: the family does not. A
     * file may lack the layers of kind LF_MASKED_HEAD. */
    lf_tensor *(*masked)(const lf_model *m, lf_graph *g, lf_pass *pass);
    bool compares;          /* trained to compare pictures with texts: see lf_model_compare_with */
    const char *class_name; /* in transformers, with a classifier: for `architectures` of what is written; NULL: kept */
};

bool lf_family_ignores(const lf_family *f, const char *tensor); /* by `unused` */
/* The tensor of `st` for a parameter: under the file's name of it or the module's, also without the prefix; NULL. */
const lf_st_tensor *lf_family_find(const lf_family *f, const lf_safetensors *st, const lf_param *p);

/* LF_EDATA/LF_ESHAPE/LF_EUNSUPPORTED naming file, key or tensor. A tensor that the file lacks or has too many of is an
 * error, except a missing head (ViTModel) and tensors that the family lists as unused (pooler). */
lf_status lf_model_open(lf_model **out, const char *path, const lf_model_opts *o, lf_err *err);
lf_model_opts lf_model_opts_of(const lf_config *cfg, const lf_kernels *k, lf_load load); /* as the keys say */
/* By the key frozen_precision, which lf_model_opts_of does not read: what is not trained is measured by precision. */
lf_frozen_format lf_model_quantised(const lf_config *cfg);
int64_t lf_model_mapped_bytes(const lf_model *m); /* of its weights that are read from the mapped file */
/* Bytes that the closing evaluation of a training takes beside what the model has: that of a second one, as its file
 * has it, where quantised weights were given back before. May be below 0. */
int64_t lf_model_bytes_of_closing(const lf_model *m);
/* After numbers that are not finite, which failed with `rc`: LF_EDATA, naming the tensor, where those of the model's
 * files are not; else rc, and err as it is. */
lf_status lf_model_blame(const lf_model *m, lf_status rc, lf_err *err);
/* LF_EDATA if the files that the model was opened from are not what they were, which its weights may have followed: by
 * device, inode, size, mtime and ctime, and where one of them differs by the hash. The model is of no use then. Where
 * the hash is the same that is said, and the files are not read again until the next change. */
lf_status lf_model_check_unchanged(lf_model *m, lf_err *err);
/* What config.json alone says: sizes, modules and labels. The weights need not be there, and nothing can be computed.
 * `path`: a model's folder, or a config.json. */
lf_status lf_model_outline(lf_model **out, const char *path, const lf_kernels *k, lf_err *err);
/* A new model from a config.json, random weights by seed (all trained). */
lf_status lf_model_new(lf_model **out, const char *config_path, const lf_kernels *k, uint64_t seed, lf_err *err);
void lf_model_free(lf_model *m);

/* Replaces the head by a new trained one: weights as the family starts them (init_param), by seed, zero bias. Its inner
 * layers become trained too where they are the head's own (from the file's values) or the file lacks them (by seed).
 * class names are copied. May be called once; base_head stays. LF_EUNSUPPORTED for a model that can have none. */
lf_status lf_model_new_head(lf_model *m, int64_t num_labels, const char *const *class_names, uint64_t seed,
                            lf_err *err);
#define LF_CAUSAL_CLASSIFIER "score"
/* Gives a causal language model without one the classifier's head that transformers has for it, as yet without
 * weights (lf_model_new_head makes them). Nothing where there is a head. LF_EUNSUPPORTED: its kind can have none. */
lf_status lf_model_add_classifier(lf_model *m, lf_err *err);
/* Gives the trained head n more rows, which start as those of a new head by the seed, behind those that it has, which
 * stay as they are. Names are copied. */
lf_status lf_model_grow_head(lf_model *m, int64_t n, const char *const *class_names, uint64_t seed, lf_err *err);
/* Makes the file's own head trained (reuse_head), keeping a frozen copy as base_head. */
lf_status lf_model_train_head(lf_model *m, lf_err *err);

/* The file's own head becomes one that compares pictures with the embeddings of texts, one a class, in the safetensors
 * file `path`: the tensor class_embeddings [classes, D] and the metadata "classes", a list of names in JSON. Of CLIP
 * and SigLIP, whose file holds what compares (logit_scale, visual_projection, ...) and no classifier; else LF_EDATA or
 * LF_EUNSUPPORTED. */
lf_status lf_model_compare_with(lf_model *m, const char *path, lf_err *err);

/* LF_EDATA if the model's file has no head to use (`what` wants one), LF_EUNSUPPORTED if its kind has none. */
lf_status lf_model_need_head(const lf_model *m, const char *what, lf_err *err);

/* [B, T, hidden_size], for lm_head: of next tokens, or of masked ones. */
lf_tensor *lf_lm_hidden(const lf_model *m, lf_graph *g, const lf_pass *pass);
/* What makes the logits of them; base: as the untouched base does. Borrowed from the model. */
void lf_model_lm_head(const lf_model *m, bool base, lf_lm_head *out);

/* Keys and values of the tokens of one sequence so far, in each layer; without gradients. */
lf_status lf_kv_cache_new(lf_kv_cache **out, const lf_model *m, int64_t capacity, lf_err *err);
/* Room for so many tokens; what it holds stays. On failure, too, it is freed by its owner. */
lf_status lf_kv_cache_reserve(lf_kv_cache *c, int64_t capacity, lf_err *err);
int64_t lf_kv_cache_capacity(const lf_kv_cache *c);
void lf_kv_cache_free(lf_kv_cache *c);
int64_t lf_kv_cache_count(const lf_kv_cache *c);
void lf_kv_cache_cut(lf_kv_cache *c, int64_t n); /* forgets all but the first n tokens */
/* The next tokens of a text whose earlier ones are in `cache`. */
typedef struct lf_cached_text {
    lf_kv_cache *cache;
    const int32_t *ids;
    int64_t n; /* n + count <= capacity is asserted */
} lf_cached_text;
/* The next tokens of several texts, each with a cache of its own, in one pass: hidden states [1, all n, hidden_size],
 * those of a text behind those of the text before. There is no padding, and a text sees itself alone. Keys that are
 * there stay as they are; where those of longer texts are others (tokens.steady), whoever generates text begins again.
 */
lf_tensor *lf_lm_hidden_of_texts(const lf_model *m, lf_graph *g, const lf_cached_text *texts, int64_t n_texts);
/* Of one text: [1, n, hidden_size]. */
lf_tensor *lf_lm_hidden_cached(const lf_model *m, lf_graph *g, const int32_t *ids, int64_t n, lf_kv_cache *c);

/* Numbers of a picture or a text that go into a classifier: what its head multiplies (of DINOv2 2 x hidden_size). */
int64_t lf_model_feature_width(const lf_model *m);
/* [B, feature_width]. Of a causal language model: the final state of each row's last token; tokens.pad at the end of a
 * row are passed over, as transformers does. */
lf_tensor *lf_model_features(const lf_model *m, lf_graph *g, const lf_pass *pass);
lf_tensor *lf_model_logits(lf_graph *g, lf_module *head, lf_tensor *features); /* head: a classifier's */

/* Writes config.json (with num_labels, id2label, label2id of the head in use; of a model of tokens that classifies also
 * its architecture, problem_type and pad_token_id, and then no head of the vocabulary, which transformers has none for)
 * and model.safetensors of the weights held now; merged adapters: `merge` is called with each weight [out,in] that
 * carries one before it is written (may be NULL); where one of two modules with one weight carries it (tied), both are
 * written, and config.json says so. dtype: LF_F32, LF_BF16, LF_F16; LF_N_DTYPES: as each tensor is in the
 * source (fp32 for a new model). Streamed; what stays as it is in the source is copied byte by byte. A number that the
 * format does not hold, or that is none: LF_EDATA. */
typedef lf_status (*lf_merge_fn)(void *context, const lf_module *m, float *W, lf_err *err);
lf_status lf_model_write(lf_model *m, const char *dir, lf_dtype dtype, lf_merge_fn merge, void *context, lf_err *err);
/* For who writes another format. First: of two modules with one weight, one of which carries an adapter, each gets its
 * own. Then: which parameters belong to what is written, and their numbers, as the model computes with them, the
 * adapter merged in (merge NULL: not), in its shape here: out, room [numel]. LF_EDATA: one is not finite. */
lf_status lf_model_cut_tie(lf_model *m, lf_err *err);
bool lf_model_writes(const lf_model *m, const lf_param *p);
lf_status lf_model_merged(const lf_model *m, const lf_param *p, lf_merge_fn merge, void *context, float *out,
                          float *room, lf_err *err);

#endif

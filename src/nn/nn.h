/* The table of a model's modules and parameters: the one view that families fill, adapters attach to, optimisers walk
 * and writers save. Weights are seen as [out, in] whatever the file's orientation. */
#ifndef LF_NN_NN_H
#define LF_NN_NN_H

#include "graph/ops.h"

typedef enum lf_module_kind {
    LF_MODULE_LINEAR, /* may carry a LoRA adapter */
    LF_MODULE_CONV,   /* a patch embedding: a product for us, but not a LoRA target */
    LF_MODULE_NORM,
    LF_MODULE_EMBEDDING, /* looked up, not multiplied: its weight is [in,out], a row for each of `in` ids */
    LF_MODULE_OTHER      /* a container, an activation: only its name matters (target matching sees all names) */
} lf_module_kind;

/* What becomes of a parameter in a pass. */
typedef enum lf_param_use {
    LF_PARAM_READ,
    LF_PARAM_CONSTANT, /* what is made of it is made once, when it is read: it has no gradient */
    LF_PARAM_IDLE      /* nothing: transformers' classifier has it and does not use it (a mask token) */
} lf_param_use;

/* A tensor of the model. tensor.data (floats in the backend's dtype) is NULL while a frozen product holds the weight.
 */
typedef struct lf_param {
    const char *name;      /* module path of transformers 5 + ".weight": "vit.layers.0.attention.q_proj.weight" */
    const char *file_name; /* as written by transformers: "vit.encoder.layer.0.attention.attention.query.weight" */
    lf_tensor tensor;      /* trained when tensor.grad is there */
    lf_dtype file_dtype;   /* in the file it was read from; LF_F32 for a new one */
    bool decays;           /* weight decay applies when trained (not to biases, norms, embeddings) */
    bool transposed;       /* its file holds [in,out] (GPT-2's Conv1D); here it is [out,in] all the same */
    const char *rows_key;  /* key of config.json that says how many rows it has, for messages; NULL: none does alone */
    /* Its file may hold it as the rows from first_row on of a larger tensor, of whole_rows in all (0: never), which has
     * the name file_name; it is written on its own, as `name`. */
    int64_t first_row, whole_rows;
    bool plus_one; /* its file holds w, here it is 1 + w (Gemma's norms): who writes it takes the 1 off again */
    lf_param_use use;
    bool own; /* stands beside an adapter, and is shown: its numbers go before a frozen product (beside.c) */
    const struct lf_param *twin; /* another whose numbers in the file are its own too (lf_nn_untie); NULL: none */
} lf_param;

/* What a module is to the model's outputs: a head is the last layer of all, and never an adapter's target by a pattern
 * that means all layers. */
typedef enum lf_head_kind {
    LF_NO_HEAD,
    LF_CLASS_HEAD, /* its product is in full precision whatever the backend's */
    LF_TOKEN_HEAD, /* its product is the loss's own, in blocks, and so is its adapter's term (lf_lm_head) */
    LF_MASKED_HEAD /* a layer of a masked-language-model head: always frozen, without adapters; PEFT's models that are
                      trained for classes do not have it */
} lf_head_kind;

typedef struct lf_module {
    const char *name;  /* "vit.layers.0.attention.q_proj" */
    const char *alias; /* "vit.encoder.layer.0.attention.attention.query"; may equal name */
    lf_module_kind kind;
    int64_t out, in;         /* linear, conv and embedding */
    lf_param *weight, *bias; /* NULL: none */
    lf_frozen frozen;       /* data NULL when the weight is trained, or frozen together with its group's; not read while
                               the weight is its own (lf_param.own) */
    struct lf_group *group; /* NULL: multiplied on its own */
    lf_lora *lora;          /* NULL: none; owned by the adapter */
    lf_head_kind head;
    bool of_tokens;  /* the embedding of tokens: it may carry an adapter, on its weight's transpose [out,in] */
    int32_t padding; /* of that: as lf_lora.padding */
    bool feeds_head; /* a layer between the body and the classifier (a pooler) */
    bool saved;      /* an adapter's file holds it whole: it is replaced as the head is */
    bool exact;      /* it is of a head, whatever its kind: never quantised */
    bool of_gate;    /* its x is what a gate let through: a few of its numbers are far larger than the others */
} lf_module;

/* Linear modules that always see the same x (q, k, v), multiplied as one: the parts of an lf_linear_group. */
typedef struct lf_group {
    lf_module *parts[LF_GROUP_PARTS];
    int n, n_frozen;  /* how many of the parts' weights are there */
    lf_frozen frozen; /* all their weights, one below the other; data NULL while the parts are trained */
    const void *there[LF_GROUP_PARTS]; /* until all are there, of those that are borrowed: where they stand */
    float *staging;                    /* the same as floats, until all are there, of formats made of all at once */
} lf_group;

/* Reads the weight of a linear module as the model's file has it, W [out,in]; false if the file has none. May be called
 * by several threads at a time. */
typedef bool (*lf_nn_original)(const void *context, const lf_module *m, float *W);

typedef struct lf_nn {
    const lf_kernels *k;
    lf_nn_original original; /* NULL: none. For frozen products that round (bf16) */
    const void *original_context;
    /* The format of the body's linear weights where that is a quantised one: LF_FROZEN_INT8 (of_gate: INT8_BLOCKS) or
     * LF_FROZEN_NF4; set before the first is there. LF_FROZEN_PLAIN: none is. */
    lf_frozen_format quantised;
    lf_arena *of_quantised; /* where those weights are; NULL: nowhere (any more) */
    lf_scratch scratch;     /* of their products */
    bool lets_go;           /* borrowed weights: lf_frozen.lets_go; set before the first is there */
    bool packs;      /* frozen weights in packed copies, where the kernels have such; set before the first is there */
    lf_arena *arena; /* everything below lives here, for as long as the model */
    lf_module **modules;
    lf_param **params;
    int64_t n_modules, n_params;
    struct lf_nn_beside *beside; /* NULL: nothing; see lf_nn_put_beside */
    const char *const
        *default_targets; /* target_modules "default": PEFT's for this family; ends with NULL; NULL: none */
} lf_nn;

/* Something that an optimiser steps. tensor->data and ->grad are floats. */
typedef struct lf_trainable {
    const char *name; /* "vit.layers.0.attention.q_proj.lora_A", "classifier.weight" */
    lf_tensor *tensor;
    bool decays, is_head;
    bool is_B;         /* the factor of a linear layer's adapter that starts at zero */
    bool of_embedding; /* of an adapter on an embedding */
} lf_trainable;

lf_status lf_nn_init(lf_nn *nn, const lf_kernels *k, lf_err *err);
void lf_nn_free(lf_nn *nn);

/* Names are copied. NULL on out of memory. */
lf_module *lf_nn_module(lf_nn *nn, lf_module_kind kind, int64_t out, int64_t in, const char *name, const char *alias);
/* Adds "<module>.<leaf>" ("weight", "bias"); the file's name is "<file_prefix>.<leaf>". */
lf_param *lf_nn_param(lf_nn *nn, const char *module, const char *file_prefix, const char *leaf, int ndim,
                      const int64_t *shape, bool decays);
lf_status lf_nn_group(lf_nn *nn, lf_group **out, lf_module *const *parts, int n,
                      lf_err *err);                       /* before any has a weight */
lf_module *lf_nn_find(const lf_nn *nn, const char *name); /* by name or alias; NULL */
/* The first module whose weight or bias it is: of a tied weight the embedding. NULL: none (a class token). */
lf_module *lf_nn_holder(const lf_nn *nn, const lf_param *p);
/* May it carry an adapter? A linear layer that is no head; if they are named, the embedding of tokens, and the output
 * layer of a model that says next tokens and no classes, which would not use it. */
bool lf_nn_may_carry(const lf_nn *nn, const lf_module *m);
/* Takes a module out of the table, with the parameters that no other module has (a tied weight stays). */
void lf_nn_drop(lf_nn *nn, const lf_module *m);

void lf_param_file_shape(const lf_param *p, int64_t shape[LF_TENSOR_DIMS]); /* a parameter's shape as its file has it */
void lf_transpose(float *to, const float *from, int64_t rows, int64_t columns); /* from [rows,columns] */

/* Gives a parameter floats of its own, in the arena (not cleared of earlier values). */
lf_status lf_nn_hold(lf_nn *nn, lf_param *p, lf_err *err);
/* The same as activations, from floats: for a table that is looked up and never trained. */
lf_status lf_nn_hold_act(lf_nn *nn, lf_param *p, const float *values, lf_err *err);
/* Numbers that stand somewhere as they are computed with (in a mapped file, maybe unaligned unless they stay). */
typedef struct lf_nn_there {
    const void *data;
    bool stays; /* as long as the nn, and is never written: no copy is needed */
} lf_nn_there;
lf_status lf_nn_hold_there(lf_nn *nn, lf_param *p, lf_nn_there there, lf_err *err); /* lf_nn_hold_act of those */
/* Puts W [out,in] floats into the module's frozen product; a group's is made when the last of its parts is there. */
lf_status lf_nn_freeze(lf_nn *nn, lf_module *m, const float *W, lf_err *err);
/* The same of a weight that stands somewhere as lf_nn_act_dtype, where lf_nn_is_plain; a group's parts are copied even
 * if they stay, unless they stand together. */
lf_status lf_nn_freeze_there(lf_nn *nn, lf_module *m, lf_nn_there there, lf_err *err);
bool lf_nn_is_plain(const lf_nn *nn, const lf_module *m);      /* will its frozen weight be a plain copy? */
lf_dtype lf_nn_act_dtype(const lf_nn *nn, const lf_module *m); /* the numbers of that */
/* Makes a parameter that holds its floats trainable: gives it a gradient, cleared. */
lf_status lf_nn_train(lf_nn *nn, lf_param *p, lf_err *err);
/* Trained beside an adapter, or read from its file (beside.c): p gets numbers of its own, `values` (NULL: as they are
 * now), and what it had stays for the base: floats, activations (an embedding), a frozen product, or nothing (a model
 * that was only declared). Where the frozen product is a group's, the other parts get floats of their own too,
 * untrained, because the group is multiplied part by part from then on. rows: how many its own tensor, and `values`,
 * have (0: as many as it has now); more than the base's is for a vocabulary alone, and without values the new rows are
 * the mean of the others. */
lf_status lf_nn_put_beside(lf_nn *nn, lf_param *p, const float *values, int64_t rows, bool trained, lf_err *err);
/* Rows from .. to - 1 of a table [to,C] become the mean of those before, summed in double. */
lf_status lf_nn_fill_rows(float *table, int64_t from, int64_t to, int64_t C, lf_err *err);
/* Is it the embedding of tokens, or the weight of the layer that says the next one? Their rows are the vocabulary. */
bool lf_nn_is_vocabulary(const lf_nn *nn, const lf_param *p);
/* Gives m, whose weight is another module's too (a tied output layer), a weight parameter apart, named after m, that
 * begins as the other's. Nothing is done where the weight is m's alone. */
lf_status lf_nn_untie(lf_nn *nn, lf_module *m, lf_err *err);
/* All of those as base + scale (as they were put - base): 0 is the base, 1 what was put, bit for bit. */
lf_status lf_nn_scale_beside(lf_nn *nn, double scale, lf_err *err);
void lf_nn_take_beside_off(lf_nn *nn);                    /* all parameters are what they were, for good */
bool lf_nn_is_beside(const lf_nn *nn, const lf_param *p); /* by lf_nn_put_beside, not as part of a group */
/* Shows all of those as they were (base) or as they are; returns what was shown before. Nothing else changes, and where
 * there is none, nothing at all. A tape that was written while one was shown cannot go back while the other is: passes
 * of the base have no gradient then. */
bool lf_nn_show_base(const lf_nn *nn, bool base);
/* W [out,in] of a linear module, or of an embedding, as floats, whether frozen, held or not loaded at all: the original
 * numbers, also where the frozen product has rounded ones, as long as `original` has them. */
lf_status lf_nn_weight(const lf_nn *nn, const lf_module *m, float *W, lf_err *err);

/* All that is trained: trained parameters and adapters in table order, A before B. *out is in the arena. */
lf_status lf_nn_trainables(lf_nn *nn, lf_trainable **out, int64_t *count, lf_err *err);
int64_t lf_nn_count(const lf_nn *nn, bool trained_only); /* numbers in parameters (and adapters) */

/* Does a module's weight, once frozen, have the quantised format? Not heads, what stands right before one, nor what is
 * too long for it. */
bool lf_nn_quantises(const lf_nn *nn, const lf_module *m);
bool lf_nn_is_quantised(const lf_nn *nn); /* are there such weights? */
/* Gives their memory back. The model computes nothing after that; who asks for a weight is given the original. */
void lf_nn_release_quantised(lf_nn *nn);
/* Bytes of memory that the quantised weights would take as they are in the file, in the numbers that are computed with:
 * none of those that are mapped (`maps`: the model's are). At most: parts of a group may be mapped, too. */
int64_t lf_nn_bytes_untouched(const lf_nn *nn, bool maps);
bool lf_nn_is_frozen(const lf_module *m); /* its weight is in a frozen product */

/* Layers, as builders call them. base: without the modules' adapters. */
lf_tensor *lf_nn_linear(lf_graph *g, bool base, lf_module *m, lf_tensor *x);
lf_tensor *lf_nn_linear_group(lf_graph *g, bool base, const lf_group *group, lf_tensor *x); /* [.., sum of out] */
lf_tensor *lf_nn_layernorm(lf_graph *g, lf_module *m, lf_tensor *x, double epsilon);
lf_tensor *lf_nn_rmsnorm(lf_graph *g, lf_module *m, lf_tensor *x, double epsilon);
lf_tensor *lf_nn_then(lf_graph *g, lf_tensor *x, lf_tensor *y);          /* y, made of x, which is done */
lf_tensor *lf_nn_residual(lf_graph *g, lf_tensor *x, lf_tensor *branch); /* x + branch; both are done */

#endif

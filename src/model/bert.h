/* BERT and its relatives: what the reader of config.json (bert_config.c) hands to the model (bert.c). */
#ifndef LF_MODEL_BERT_H
#define LF_MODEL_BERT_H

#include "model/family.h"

enum lf_bert_part {
    LF_BERT_Q,
    LF_BERT_K,
    LF_BERT_V,
    LF_BERT_O,
    LF_BERT_NORM_1,
    LF_BERT_FC1,
    LF_BERT_FC2,
    LF_BERT_NORM_2,
    LF_BERT_PARTS
};

/* Names of a layer's parts, below the layer's own. */
typedef const char *const lf_bert_names[LF_BERT_PARTS];

/* Keys of config.json for the same things. */
typedef struct lf_bert_keys {
    const char *hidden_size, *n_layers, *heads, *intermediate_size, *activation, *dropout, *attention_dropout,
        *head_dropout;
} lf_bert_keys;

/* The layer between the first token's state and the classifier. */
typedef struct lf_bert_inner {
    const char *name;
    lf_activation_kind activation;
    bool of_head;        /* it is trained with the classifier, not with the body */
    bool dropout_before; /* and not only after */
} lf_bert_inner;

typedef struct lf_bert_masked_names {
    const char *transform, *norm, *decoder, *bias;
} lf_bert_masked_names;

typedef struct lf_bert_relative {
    const char *model_type, *body, *layers;
    lf_bert_names *parts;
    const lf_bert_keys *keys;
    lf_bert_inner inner;
    const char *classifier;
    lf_bert_masked_names masked;
    bool gelu_masked;           /* the masked head's activation is GELU whatever config.json says of the others */
    bool types;                 /* it has token types */
    int64_t pad;                /* its pad_token_id, if config.json does not say; < 0: positions count from 0 */
    const char *const *targets; /* PEFT's; NULL: it has none */
} lf_bert_relative;

typedef struct lf_bert_layer {
    lf_module *parts[LF_BERT_PARTS];
    lf_group *attention; /* q, k, v; k, v in the last layer, whose q may be that of the first token alone */
    const lf_model *model;
} lf_bert_layer;

typedef struct lf_bert {
    const lf_bert_relative *relative;
    int64_t heads, intermediate_size, rows, types; /* rows of the table of positions; kinds of token types, 0: none */
    int64_t pad;
    double epsilon, dropout, attention_dropout, head_dropout, initializer_range;
    bool sinusoids; /* the positions of a new model */
    lf_activation_kind activation, of_masked;
    lf_param *positions, *token_types;
    lf_module *norm, *transform, *transform_norm;
    lf_bert_layer *layers;
} lf_bert;

/* From config.json, by the relative that m->family is. */
lf_status lf_bert_read(lf_model *m, lf_bert *v, lf_err *err);

#endif

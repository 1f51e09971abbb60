/* GPT-2: what config.json says of it, for those who write it down elsewhere. */
#ifndef LF_MODEL_GPT2_H
#define LF_MODEL_GPT2_H

#include "model/family.h"

typedef struct lf_gpt2_layer lf_gpt2_layer;

typedef struct lf_gpt2 {
    int64_t heads, intermediate_size, P;
    double epsilon, embd_pdrop, attn_pdrop, resid_pdrop, initializer_range;
    bool scale_by_size;  /* scores are divided by sqrt(head_dim); else by nothing */
    bool scale_by_layer; /* and by the layer's number, from 1 on */
    lf_activation_kind activation;
    lf_param *positions;
    lf_module *ln_f;
    lf_gpt2_layer *layers;
} lf_gpt2;

#endif

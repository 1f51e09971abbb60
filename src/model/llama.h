/* LLaMA and its relatives: what the reader of config.json (llama_config.c) hands to the model (llama.c). */
#ifndef LF_MODEL_LLAMA_H
#define LF_MODEL_LLAMA_H

#include "model/family.h"

/* Where the norms of a layer stand: before its two branches, behind them (ahead of the sum), or both. */
typedef enum lf_llama_norms { LF_NORMS_BEFORE, LF_NORMS_BEHIND, LF_NORMS_BOTH } lf_llama_norms;
/* RMS norms of q and k: none, of each head, or of all heads as one. */
typedef enum lf_llama_qk_norm { LF_QK_PLAIN, LF_QK_BY_HEAD, LF_QK_WHOLE } lf_llama_qk_norm;

/* Which rotary table turns a layer. */
enum { LF_ROPE_NONE = -1, LF_ROPE_FULL, LF_ROPE_SLIDING, LF_ROPE_TABLES };

typedef struct lf_llama_layer {
    lf_module *before_attention, *behind_attention, *before_mlp, *behind_mlp; /* norms; NULL: none */
    lf_module *q, *k, *v, *o, *gate, *up, *down, *q_norm, *k_norm;
    lf_module *fused_qkv, *fused_gate_up; /* one module each in the place of q, k, v and of gate, up; else NULL */
    lf_group *qkv, *gate_up;              /* else these */
    const lf_model *model;
    int64_t number, window; /* window 0: sees all */
    int rope;               /* LF_ROPE_.. */
} lf_llama_layer;

typedef struct lf_llama {
    int64_t heads, kv_heads, head_dim, intermediate_size;
    double epsilon, attention_dropout, resid_pdrop, initializer_range;
    bool qkv_bias, o_bias, mlp_bias;
    bool fused;             /* qkv_proj and gate_up_proj */
    bool norms_around_zero; /* files hold w where norms multiply by 1 + w */
    lf_llama_norms norms;
    lf_llama_qk_norm qk_norm;
    lf_activation_kind activation; /* of the gate */
    /* Scalars; those that are 1 cost nothing. */
    double embedding_scale, residual_scale;
    double score_scale; /* 0: 1 / sqrt(head_dim) */
    double score_cap;   /* 0: none */
    int64_t padding;    /* pad_token_id where config.json lacks it; below 0: none */
    int n_ropes;
    lf_rope_table ropes[LF_ROPE_TABLES];
    const char *const *targets; /* "default" of target_modules; ends with NULL */
    lf_module *norm;
    lf_llama_layer *layers; /* [n_layers]; window and rope are there before the modules */
} lf_llama;

/* From config.json, by the relative that m->family is. */
lf_status lf_llama_read(lf_model *m, lf_llama *v, lf_err *err);

#endif

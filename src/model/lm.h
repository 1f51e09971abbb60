/* What the families of language models share. Inside of the folder. */
#ifndef LF_MODEL_LM_H
#define LF_MODEL_LM_H

#include "model/family.h"

/* What all layers of one pass see: a copy, because checkpointed layers run again in backward. */
typedef struct lf_lm_pass {
    lf_model_input in;
    lf_kv_cache *cache; /* NULL: none */
} lf_lm_pass;

/* tie_word_embeddings, the output layer, and target_modules for null. m->embedding and the sizes are set before. */
lf_status lf_lm_declare_head(lf_model *m, bool tied_by_default, const char *const *default_targets, lf_err *err);

/* The tensor by its name, or by its name without `prefix` ("model."), as bare models are saved. */
const lf_st_tensor *lf_lm_find(const lf_safetensors *st, const lf_param *p, const char *prefix);

/* Random start: matrices normal(0, deviation), norms one, biases zero. */
void lf_lm_init_param(const lf_param *p, double deviation, lf_rng_key key, float *out);

/* The family's `hidden`, once the positions are known to be in range. */
lf_tensor *lf_lm_hidden(lf_model *m, lf_graph *g, const lf_model_input *in, lf_kv_cache *cache);

/* Attention of one layer, over the cache's tokens too if there is one. Takes qkv over. */
lf_tensor *lf_lm_attention(lf_graph *g, lf_tensor *qkv, const lf_attention_opts *opts, lf_kv_cache *cache, int64_t layer);

/* ---- rotary positions ---- */

typedef struct lf_rope_table {
    int64_t half;            /* of a head's size */
    const float *frequencies; /* [half] */
    float factor;            /* of all cosines and sines (yarn) */
    int64_t rows;            /* positions whose cosines and sines are there */
    const float *cosines, *sines; /* [rows, half] */
} lf_rope_table;

/* From rope_theta and rope_scaling (transformers 4) or rope_parameters (5). m->head_size and m->max_positions are set. */
lf_status lf_rope_read(lf_rope_table *r, lf_model *m, lf_err *err);
/* Makes room for the positions of a pass. Out of memory is the graph's failure. */
bool lf_rope_reach(lf_rope_table *r, const lf_model *m, lf_graph *g, const lf_model_input *in);

#endif

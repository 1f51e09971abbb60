/* What the families of language models share. */
#ifndef LF_MODEL_LM_H
#define LF_MODEL_LM_H

#include "model/model_internal.h"

/* A whole number of config.json under its name in transformers, within 1 .. max; fallback < 0: it must be there. */
lf_status lf_lm_size(const lf_model *m, const char *key, int64_t fallback, int64_t max, int64_t *out, lf_err *err);
/* A share, at least 0 and below 1 (dropout). */
lf_status lf_lm_share(const lf_model *m, const char *key, double fallback, double *out, lf_err *err);
/* LF_EUNSUPPORTED naming the key if it asks for something: it is there, and not null, false or {}. `what`: "a window
 * is". */
lf_status lf_lm_refuse(const lf_model *m, const char *key, const char *what, lf_err *err);
/* LF_EUNSUPPORTED naming the key if it is there, is not null and is not `only`. */
lf_status lf_lm_only(const lf_model *m, const char *key, const char *only, lf_err *err);

/* Modules with their parameters, named "<module>.weight", "<module>.bias"; NULL on out of memory. */
lf_module *lf_lm_linear(lf_nn *nn, int64_t out, int64_t in, bool bias, const char *name);
lf_module *lf_lm_norm(lf_nn *nn, int64_t C, bool bias, const char *name);
/* The embedding "<name>" and the head "lm_head" (whose weight is the embedding when tied): m->embedding, m->lm_head.
 * `targets`: target_modules "default"; static. */
bool lf_lm_declare_ends(lf_model *m, const char *embedding, const char *const *targets);

/* Tensor names with the first component ("model.", "transformer.") or, from a bare base model, without it. */
const lf_st_tensor *lf_lm_find(const lf_safetensors *st, const lf_param *p);
/* Does the tensor's name end in one of these (buffers that old files hold)? `ends` ends with NULL. */
bool lf_lm_ends(const char *name, const char *const *ends);
/* Are all ids and positions of the input the model's? Else the graph fails. */
bool lf_lm_check_ids(const lf_model *m, lf_graph *g, const lf_model_input *in);
/* Weights normal(0, range), norms one, biases zero. */
void lf_lm_init_param(const lf_param *p, lf_rng_key key, double range, float *out);

/* Rotary positions of heads of size D, as config.json asks for them: types default, linear, llama3 and yarn; another is
 * LF_EUNSUPPORTED. transformers 4 has rope_theta and rope_scaling, 5 rope_parameters. m->max_positions is set before.
 */
typedef struct lf_rope_table {
    int64_t half;                 /* D / 2 */
    const float *frequencies;     /* [half] */
    float factor;                 /* of all cosines and sines (yarn) */
    int64_t rows;                 /* positions whose cosines and sines are there */
    const float *cosines, *sines; /* [rows, half]; in the model's arena */
} lf_rope_table;
lf_status lf_rope_read(lf_rope_table *r, lf_model *m, int64_t D, lf_err *err);
/* Cosines and sines for the positions of a pass, where they are not there yet: a model of 131072 positions needs 32 MB
 * for all, and texts are short. Out of memory is the graph's failure. */
bool lf_rope_reach(lf_rope_table *r, const lf_model *m, lf_graph *g, const lf_model_input *in);

#endif

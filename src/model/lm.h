/* What the families of language models share. */
#ifndef LF_MODEL_LM_H
#define LF_MODEL_LM_H

#include "model/model_internal.h"

/* A whole number of config.json under its name in transformers, within 1 .. max; fallback < 0: it must be there. */
lf_status lf_lm_size(const lf_model *m, const char *key, int64_t fallback, int64_t max, int64_t *out, lf_err *err);
/* A share, at least 0 and below 1 (dropout). */
lf_status lf_lm_share(const lf_model *m, const char *key, double fallback, double *out, lf_err *err);
/* LF_EUNSUPPORTED naming the key if it is there, is not null and is not `only`. */
lf_status lf_lm_only(const lf_model *m, const char *key, const char *only, lf_err *err);

/* Modules with their parameters, named "<module>.weight", "<module>.bias"; NULL on out of memory. */
lf_module *lf_lm_linear(lf_nn *nn, int64_t out, int64_t in, bool bias, const char *name);
lf_module *lf_lm_norm(lf_nn *nn, int64_t C, bool bias, const char *name);
/* The embedding "<name>" and the head "lm_head" (without a weight of its own when tied): m->embedding, m->lm_head. */
bool lf_lm_declare_ends(lf_model *m, const char *embedding);

/* Tensor names with the first component ("model.", "transformer.") or, from a bare base model, without it. */
const lf_st_tensor *lf_lm_find(const lf_safetensors *st, const lf_param *p);
/* Does the tensor's name end in one of these (buffers that old files hold)? `ends` ends with NULL. */
bool lf_lm_ends(const char *name, const char *const *ends);
/* Are all ids and positions of the input the model's? Else the graph fails. */
bool lf_lm_check_ids(const lf_model *m, lf_graph *g, const lf_model_input *in);
/* Weights normal(0, range), norms one, biases zero. */
void lf_lm_init_param(const lf_param *p, lf_rng_key key, double range, float *out);

/* Rotary embedding as config.json asks for it: cosines, sines [P, D/2] floats in the model's arena. Types default, linear and
 * llama3; another is LF_EUNSUPPORTED. transformers 4 has rope_theta and rope_scaling, 5 rope_parameters. */
lf_status lf_rope_tables(lf_model *m, int64_t D, int64_t P, const float **cosines, const float **sines, lf_err *err);

#endif

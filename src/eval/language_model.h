/* What the language task needs of a model. */
#ifndef LF_EVAL_LANGUAGE_MODEL_H
#define LF_EVAL_LANGUAGE_MODEL_H

#include "model/model.h"

bool lf_is_language_model(const lf_model *m);
int64_t lf_lm_vocab_size(const lf_model *m);
int64_t lf_lm_context(const lf_model *m); /* most positions; 0: no limit */
lf_tensor *lf_lm_hidden(lf_model *m, lf_graph *g, const lf_model_input *in); /* [B,T,C], ready for the product with W */
/* W [V,C] of the logits: exactly one of the two is set. */
void lf_lm_head(const lf_model *m, const lf_frozen **frozen, lf_tensor **weight);

#endif

/* What compares pictures with texts in a file of CLIP or SigLIP: modules that are in no table, so that nothing trains,
 * writes or adapts them. */
#ifndef LF_MODEL_ZERO_SHOT_H
#define LF_MODEL_ZERO_SHOT_H

#include "model/model.h"

/* SigLIP's head that pools by attention: one query, `probe`, over all tokens, and an MLP. */
typedef struct lf_probe_pooling {
    lf_param *probe;                          /* [1,1,C] */
    lf_module *q, *kv, *o, *norm, *fc1, *fc2; /* kv [2C,C]: keys, then values */
} lf_probe_pooling;

/* A frozen layer W [out,in] (+ b [out], or NULL). NULL: out of memory. */
lf_module *lf_model_frozen_layer(lf_model *m, const char *name, lf_head_kind kind, int64_t out, int64_t in,
                                 const float *W, const float *b);

struct lf_comparing {
    lf_module *projection;     /* CLIP's, of the class token; NULL: none */
    lf_probe_pooling *pooling; /* SigLIP's; NULL: the class token */
    lf_param *unit;            /* [D] 1 / sqrt(D): what makes a root mean square the length */
};

#endif

/* What the rows of arch.c's table are made of. A form is a file: the families that config.json and llama.cpp describe
 * by the same keys and tensors, whatever their settings. Inside of the folder. */
#ifndef LF_GGUF_FORM_H
#define LF_GGUF_FORM_H

#include "gguf/arch.h"

enum { LF_GGUF_QKV = 1, LF_GGUF_O = 2, LF_GGUF_MLP = 4 }; /* biases */

/* A module's name here and its tensors' there, both without ".weight" and ".bias". */
typedef struct lf_gguf_renamed {
    const char *module, *to;
} lf_gguf_renamed;

typedef struct lf_gguf_putting {
    lf_gguf_writer *w;
    const char *arch; /* what keys begin with */
} lf_gguf_putting;

/* Functions may be NULL where nothing is to be said: check and put_sizes never. */
typedef struct lf_gguf_form {
    const char *layers;              /* what modules of a layer begin with, before its number: "model.layers." */
    const lf_gguf_renamed *ends;     /* of no layer, lm_head first; ends with NULL */
    const lf_gguf_renamed *in_layer; /* behind the layer's number; ends with NULL */
    const char *f32;                 /* lf_gguf_stays_f32; NULL: none */
    lf_status (*check)(const lf_gguf_arch *a, const lf_model *m, lf_err *err); /* of what lf_gguf_arch_of refuses */
    /* Keys behind those that all have (arch.c). */
    void (*put_sizes)(const lf_gguf_putting *p, const lf_gguf_arch *a, const lf_model *m);
    /* Of a module in a layer whose tensor's name another setting decides; asked before in_layer. NULL: of another. */
    const char *(*renamed)(const lf_model *m, const char *module, size_t size);
    int64_t (*heads)(const lf_model *m, const char *to); /* of a tensor whose rows are turned; 0: they are not */
    void (*rope_factors)(float *out, int64_t *n, const lf_model *m); /* lf_gguf_rope_factors */
} lf_gguf_form;

struct lf_gguf_arch {
    const char *model_type;
    const lf_gguf_form *form;
    const char *name;
    bool untied; /* it has an output layer of its own */
    /* Of relatives of LLaMA: */
    bool turned;     /* neighbouring numbers of a head are turned (lf_gguf_turned_heads) */
    unsigned biases; /* it has tensors for those */
    bool factors;    /* it reads rope_freqs.weight */
    bool windows;    /* it has windows, in all but every so manieth layer */
    int64_t no_rope; /* every so manieth layer turns nothing; 0: each does */
    int64_t big;     /* Gemma: number of layers of the model whose scores are scaled otherwise; 0: another family */
    bool capped;     /* of Gemma: scores and logits have a cap; else neither may */
    bool multiplied; /* by the four scalars of Granite */
};

/* The error of check: "file: key 'key': what, which llama.cpp has not for model_type ..". */
lf_status lf_gguf_lacks(const lf_model *m, const char *key, const char *what, lf_err *err);
/* "arch.key"; sizes are at most 2^27, as the readers of config.json have them. */
void lf_gguf_put_size(const lf_gguf_putting *p, const char *key, int64_t value);
void lf_gguf_put_real(const lf_gguf_putting *p, const char *key, double value);
void lf_gguf_put_word(const lf_gguf_putting *p, const char *key, const char *value);
/* NULL: the table has none such. */
const char *lf_gguf_find_renamed(const lf_gguf_renamed *table, const char *module, size_t size);

#endif

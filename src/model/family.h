/* What the files of families share: numbers of config.json by tables, and the making of modules. Inside of the folder. */
#ifndef LF_MODEL_FAMILY_H
#define LF_MODEL_FAMILY_H

#include "model/model.h"

/* A whole number from 1 to max. `other`: another spelling of the key, looked for where the first is absent; may be NULL.
 * An absent or null key is `fallback`; a fallback of 0 is not checked. */
typedef struct lf_size_key {
    const char *key, *other;
    int64_t fallback, max, *to;
} lf_size_key;
lf_status lf_family_sizes(const lf_model *m, const lf_size_key *keys, size_t n, lf_err *err);

/* A number of at least 0 and below 1 (dropouts, epsilons). */
typedef struct lf_fraction_key {
    const char *key;
    double fallback, *to;
} lf_fraction_key;
lf_status lf_family_fractions(const lf_model *m, const lf_fraction_key *keys, size_t n, lf_err *err);

/* A key that asks for what is not there: an error if it is given and not null, false or {}. */
typedef struct lf_refused_key { const char *key, *what; } lf_refused_key;
lf_status lf_family_refuse(const lf_model *m, const lf_refused_key *keys, size_t n, lf_err *err);

/* An activation that is a GELU: *tanh_form says which. */
lf_status lf_family_gelu(const lf_model *m, const char *key, const char *fallback, bool *tanh_form, lf_err *err);

/* Modules with their parameters; NULL on out of memory. Names as lf_nn_module's. norm: a bias where asked. */
lf_module *lf_family_product(lf_nn *nn, lf_module_kind kind, int64_t out, int64_t in, bool bias, const char *name, const char *alias);
lf_module *lf_family_norm(lf_nn *nn, int64_t C, bool bias, const char *name, const char *alias);
lf_module *lf_family_table(lf_nn *nn, int64_t rows, int64_t C, const char *name, const char *alias);

/* x + branch; both are taken over. */
lf_tensor *lf_family_residual(lf_graph *g, lf_tensor *x, lf_tensor *branch);

/* A layer, or what is kept of it with gradient_checkpointing; takes x over. */
lf_tensor *lf_family_layer(const lf_model *m, lf_graph *g, lf_block_fn layer, const void *block, lf_tensor *x);

#endif

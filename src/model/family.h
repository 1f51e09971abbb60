/* What families are made of, whatever goes into them: readers of config.json, lines of modules, and what the layers of
 * one pass share. Everything that two families would write alike belongs here. */
#ifndef LF_MODEL_FAMILY_H
#define LF_MODEL_FAMILY_H

#include "model/model_internal.h"

/* ---- config.json (family.c): LF_EDATA or LF_EUNSUPPORTED naming file, key and what was expected ---- */

/* A whole number under its name in transformers, within 1 .. max; fallback < 0: it must be there. */
lf_status lf_family_size(const lf_model *m, const char *key, int64_t fallback, int64_t max, int64_t *out, lf_err *err);
/* A share, at least 0 and below 1 (dropout). */
lf_status lf_family_share(const lf_model *m, const char *key, double fallback, double *out, lf_err *err);
/* A number above 0 (the epsilon of a norm). */
lf_status lf_family_positive(const lf_model *m, const char *key, double fallback, double *out, lf_err *err);
/* `value`, which is that of `key`, must be a multiple of `part`, which is that of `part_key`. */
lf_status lf_family_multiple(const lf_model *m, const char *key, int64_t value, const char *part_key, int64_t part,
                             lf_err *err);
/* LF_EUNSUPPORTED if it asks for something: it is there, and not null, false or {}. `what`: "a window is". */
lf_status lf_family_refuse(const lf_model *m, const char *key, const char *what, lf_err *err);
/* An activation function, by one of the names of kernels/activations.def. */
lf_status lf_family_activation(const lf_model *m, const char *key, const char *fallback, lf_activation_kind *out,
                               lf_err *err);
/* image_size, patch_size and num_channels into the model; *patch is the side of a patch, in pixels. */
lf_status lf_family_pictures(lf_model *m, int64_t *patch, lf_err *err);

/* Which layers see only the latest tokens (family_windows.c): none may, all do where `sliding_window` is a number, or
 * by layer, as use_sliding_window with max_window_layers says. layer_types may say it too, and must not contradict. */
typedef enum lf_window_rule { LF_WINDOW_NEVER, LF_WINDOW_EVERYWHERE, LF_WINDOW_BY_LAYER } lf_window_rule;
lf_status lf_family_windows(const lf_model *m, lf_window_rule rule, int64_t *windows, lf_err *err);
/* layer_types alone, where config.json has it: windows [n_layers] become `window` or 0. `fixed`: they may not differ
 * from what they are. `needs`: the keys that make a window, for the error of a layer that slides without one. */
lf_status lf_family_layer_types(const lf_model *m, int64_t window, bool fixed, const char *needs, int64_t *windows,
                                lf_err *err);

/* ---- the table of modules (family_modules.c); NULL or false: out of memory ---- */

/* Modules with their parameters, named "<module>.weight", "<module>.bias". `alias`: the module's name in files that
 * transformers writes, where it is another; else NULL. */
lf_module *lf_family_linear(lf_nn *nn, int64_t out, int64_t in, bool bias, const char *name, const char *alias);
lf_module *lf_family_norm(lf_nn *nn, int64_t C, bool bias, const char *name, const char *alias);

/* A module of each layer, as a line of the family's table. */
typedef struct lf_layer_part {
    lf_module **to;
    int64_t out, in; /* out 0: a norm of `in` numbers; in 0: these layers have none */
    bool bias;
    const char *name, *alias; /* below the layer's own name; alias NULL: the same */
    bool transposed;          /* its file holds [in,out] */
} lf_layer_part;
/* The modules of layer `number`: "<layers>.<number>.<name>", in files "<file_layers>.<number>.<alias>". */
bool lf_family_layer(lf_nn *nn, const char *layers, const char *file_layers, int64_t number, const lf_layer_part *parts,
                     size_t n);

/* The embedding "<name>" and the head "lm_head" (whose weight is the embedding when tied): m->tokens.embedding,
 * m->lm_head. `targets`: target_modules "default"; static. */
bool lf_family_ends(lf_model *m, const char *embedding, const char *const *targets);
/* The two apart: the embedding alone, and of a family that says masked tokens the head `name` with a bias, which files
 * of transformers call `bias` (NULL, and the head has none where `biased` is false). */
bool lf_family_embedding(lf_model *m, const char *name);
bool lf_family_masked_head(lf_model *m, const char *name, bool biased, const char *bias);
/* LF_EUNSUPPORTED if `architectures` names a class whose tensors would be mistaken for those of another: of a class of
 * each token, of choices, of a decoder. */
lf_status lf_family_check_class(const lf_model *m, lf_err *err);
/* The classifier m->head over `in` features, with as many labels as config.json says. */
bool lf_family_classifier(lf_model *m, int64_t in, bool bias, const char *name);
/* Weights normal(0, range), norms one, biases zero. */
void lf_family_init_param(const lf_param *p, lf_rng_key key, double range, float *out);

/* ---- a pass ---- */

/* The layer `number` of those before the classifier that the pass goes through; NULL: there is none, or (a base without
 * its own classifier) it has no numbers. */
lf_module *lf_head_layer(const lf_model *m, const lf_pass *pass, int number);

/* Are all ids and positions of the input the model's? Else the graph fails. */
bool lf_family_check_ids(const lf_model *m, lf_graph *g, const lf_model_input *in);

/* Rotary positions of heads of size D, as config.json asks for them (rope.c): types default, linear, llama3 and yarn;
 * another is LF_EUNSUPPORTED. transformers 4 has rope_theta and rope_scaling, 5 rope_parameters.
 * m->tokens.max_positions is set before. Nothing of a pass is in it. */
typedef struct lf_rope_table {
    int64_t half;             /* D / 2 */
    const float *frequencies; /* [half], in the model's arena */
    float factor;             /* of all cosines and sines (yarn) */
} lf_rope_table;
lf_status lf_rope_read(lf_rope_table *r, lf_model *m, int64_t D, lf_err *err);

/* What the rotation of a pass's tokens needs, made for the positions that it has: a model of 131072 positions would
 * need 32 MB for all, and texts are short. */
struct lf_rope_rows {
    const float *cosines, *sines; /* [rows, half] */
    const int32_t *positions;     /* [B, T], which row is a token's */
};
/* Those of n tables, in the graph's memory, which is there until its next step. NULL: the graph has failed. */
const lf_rope_rows *lf_rope_open(const lf_rope_table *tables, int n, lf_graph *g, const lf_model_input *in);

#endif

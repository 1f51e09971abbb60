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
/* Does an entry of `architectures` end so ("ForSequenceClassification")? */
bool lf_family_is_for(const lf_model *m, const char *architecture);
/* An activation function, by one of the names of kernels/activations.def. */
lf_status lf_family_activation(const lf_model *m, const char *key, const char *fallback, lf_activation_kind *out,
                               lf_err *err);
/* image_size, patch_size and num_channels into the model; *side is that of a patch in pixels, `patch` if none is said.
 */
lf_status lf_family_pictures(lf_model *m, int64_t patch, int64_t *side, lf_err *err);

/* Which layers see only the latest tokens (family_windows.c), where `sliding_window` is a number. layer_types may say
 * it too: it must not contradict a rule for all layers, and counts before the others. */
typedef enum lf_window_rule {
    LF_WINDOW_NEVER,      /* none may: the key is refused */
    LF_WINDOW_EVERYWHERE, /* all; 4096 where the key is missing (Mistral) */
    LF_WINDOW_GIVEN,      /* all; none where it is missing (Phi-3) */
    LF_WINDOW_BY_LAYER,   /* with use_sliding_window, from layer max_window_layers on (Qwen) */
    LF_WINDOW_UNTURNED,   /* with use_sliding_window, layers without rotary positions (SmolLM3) */
    LF_WINDOW_PATTERN     /* all but every so manieth layer; 4096 where it is missing (Gemma) */
} lf_window_rule;
typedef struct lf_window_opts {
    lf_window_rule rule;
    int64_t full_every;      /* PATTERN: unless `pattern_key` says */
    const char *pattern_key; /* NULL: none does */
    const bool *unturned;    /* UNTURNED: [n_layers] */
} lf_window_opts;
/* windows [n_layers]: 0 where a layer sees all. */
lf_status lf_family_windows(const lf_model *m, const lf_window_opts *opts, int64_t *windows, lf_err *err);
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

/* The embedding "<name>" and the heads: m->tokens.embedding, and "lm_head" (whose weight is the embedding when tied),
 * m->lm_head; of a ...ForSequenceClassification "score" instead, m->head, and lm_head only where its file has one.
 * `targets`: target_modules "default"; static. */
bool lf_family_ends(lf_model *m, const char *embedding, const char *const *targets);
/* The two apart: the embedding alone, and of a family that says masked tokens the head `name` with a bias, which files
 * of transformers call `bias` (NULL, and the head has none where `biased` is false). */
bool lf_family_embedding(lf_model *m, const char *name);
bool lf_family_masked_head(lf_model *m, const char *name, bool biased, const char *bias);
/* LF_EUNSUPPORTED if `architectures` names a class whose tensors would be mistaken for those of another: of a class of
 * each token, of choices, of a decoder; with `answers`, of answers in a text, too. */
lf_status lf_family_check_class(const lf_model *m, bool answers, lf_err *err);
/* The id whose row of the embedding gets no gradient from an adapter on it, as torch's padding_idx: pad_token_id, or,
 * where config.json lacks the key, `fallback` (below 0: none). */
void lf_family_padding(lf_model *m, int64_t fallback);
/* The classifier m->head over `in` features, with as many labels as config.json says. */
bool lf_family_classifier(lf_model *m, int64_t in, bool bias, const char *name);
/* Weights normal(0, range), norms one, biases zero. */
void lf_family_init_param(const lf_param *p, lf_rng_key key, double range, float *out);

/* ---- a pass ---- */

/* lf_embed of the pass's ids, with the adapter of the embedding, if it has one, and in training with NEFTune's noise
 * (Jain et al. 2023): uniform, neftune_noise_alpha / sqrt(T C) at most, as transformers adds it to the embedding's
 * output. */
lf_tensor *lf_family_embed(const lf_model *m, lf_graph *g, const lf_pass *pass, lf_tensor *positions_table,
                           const int32_t *positions);

/* The layer `number` of those before the classifier that the pass goes through; NULL: there is none, or (a base without
 * its own classifier) it has no numbers. */
lf_module *lf_head_layer(const lf_model *m, const lf_pass *pass, int number);

/* How many tokens the text of a row has. */
int64_t lf_text_length(const lf_model_input *in, int64_t row);
/* Are all lengths 1 to max_positions? Else the graph fails. (Ids are looked at by lf_embed.) */
bool lf_family_check_lengths(const lf_model *m, lf_graph *g, const lf_model_input *in);
/* Are all ids and positions of the input the model's? Else the graph fails. */
bool lf_family_check_ids(const lf_model *m, lf_graph *g, const lf_model_input *in);

/* Rotary positions (rope.c): types default, linear, llama3, yarn, dynamic and longrope; another is LF_EUNSUPPORTED.
 * transformers 4 has rope_theta and rope_scaling, 5 rope_parameters. Nothing of a pass is in a table. */
typedef struct lf_rope_table {
    int64_t size, half;       /* of each head `size` numbers are turned, in pairs */
    const float *frequencies; /* [half], in the model's arena */
    float factor;             /* of all cosines and sines (yarn, longrope) */
    double theta;
    const char *kind; /* rope_type, by its name here; static */
    bool even;        /* its frequencies are theta's powers (default), divided by `divisor` (linear) */
    double divisor;   /* 1 where it is not even */
    /* Of tables whose frequencies depend on the length of the text (dynamic, longrope): */
    int64_t steady;      /* those of texts up to so many tokens do not; 0: of none */
    const float *longer; /* [half] of longer ones; NULL: theta by the length and `stretch` (dynamic) */
    double stretch;
    int64_t
        reach; /* max_position_embeddings is the training's, and texts may have so many tokens; 0: it is the limit */
} lf_rope_table;

/* How a family says it in config.json; all zero: as LLaMA. */
typedef struct lf_rope_keys {
    const char *theta_key; /* beside rope_parameters; NULL: rope_theta */
    double theta;          /* where no key says it; 0: 10000 */
    const char *layers;    /* the member of rope_parameters that is for these layers; NULL: it is for all layers */
    bool scaled;           /* of such layers: transformers 4 has rope_scaling for these */
    bool partial;          /* partial_rotary_factor may be below 1 */
    int64_t original;      /* original_max_position_embeddings stands beside rope_parameters; this, where it does not */
    const char *const *longrope_names; /* older names of the type longrope; ends with NULL; NULL: none */
} lf_rope_keys;
/* For heads of D numbers. m->tokens.max_positions is set before: max_position_embeddings. */
lf_status lf_rope_read(lf_rope_table *r, lf_model *m, int64_t D, const lf_rope_keys *keys, lf_err *err);
/* What the tables that a model uses say of its texts' lengths: max_positions, steady, reads_again. */
void lf_rope_limits(lf_model *m, const lf_rope_table *tables, int n);

/* What the rotation of a pass's tokens needs (rope_rows.c), made for the positions that it has: a model of 131072
 * positions would need 32 MB for all, and texts are short. Where frequencies depend on the length of a text, that is
 * the token's own: up to the last position that its document has in this pass, whatever stands beside it in the batch
 * (transformers takes the largest position of the whole batch). */
struct lf_rope_rows {
    const float *cosines, *sines; /* [rows, turned / 2] */
    const int32_t *positions;     /* [B, T], which row is a token's */
    int64_t turned;               /* as lf_rope takes it */
};
/* Those of n tables, in the graph's memory, which is there until its next step. NULL: the graph has failed. */
const lf_rope_rows *lf_rope_open(const lf_rope_table *tables, int n, lf_graph *g, const lf_model_input *in);

#endif

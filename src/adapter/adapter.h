/* LoRA adapters: which modules, where they start, and PEFT's files. Works on the table of modules alone. */
#ifndef LF_ADAPTER_ADAPTER_H
#define LF_ADAPTER_ADAPTER_H

#include <cjson/cJSON.h>

#include "adapter/decompositions.h"
#include "base/problem.h"
#include "config/config.h"
#include "io/safetensors.h"
#include "nn/nn.h"

/* `init_position`: where in the spectrum the block of r components starts. */
typedef enum lf_position_kind { LF_POSITION_FRACTION, LF_POSITION_INDEX, LF_POSITION_ENERGY } lf_position_kind;
typedef struct lf_position {
    lf_position_kind kind;
    double value;
} lf_position;

/* First component *s of a block of r among n: floor(fraction * (n - r)); the index; or, for an energy e, the block
 * around the first component by which the share e of the sum of sigma^2 is reached. sigma [n] is read for energy only
 * (may be NULL else). An index beyond n - r: LF_EUSAGE naming `name` and the largest start. */
lf_status lf_position_start(lf_position p, int64_t n, int64_t r, const double *sigma, const char *name, int64_t *s,
                            lf_err *err);

/* An adapter folder, ours or PEFT's, opened and checked but not yet applied. */
typedef struct lf_adapter_file lf_adapter_file;

/* The key `bias`: which biases are trained and saved beside the factors. */
#define LF_BIAS_NONE "none"
#define LF_BIAS_ALL  "all"
#define LF_BIAS_LORA "lora_only"

/* For starts that read data: who attaches the adapter brings the passes of the base over them (adapter/calibrate.h). */
typedef struct lf_calibrate lf_calibrate;

/* Everything that decides an adapter's shape and start. Borrows from the configuration. */
typedef struct lf_adapter_opts {
    int64_t r;
    double lora_alpha, lora_dropout;
    bool use_rslora, use_dora;
    const cJSON *target_modules, *exclude_modules, *layers_to_transform, *layers_pattern, *rank_pattern, *alpha_pattern;
    const char *init; /* "kaiming", "gaussian", "pissa", "pissa_niter_4", ... */
    lf_position position;
    double sc_lora_beta;
    uint64_t seed;
    const char *decomposition_cache; /* a folder, "auto", "none"; NULL: none */
    const char *bias;                /* LF_BIAS_NONE, ...; NULL: none */
    const cJSON *modules_to_save;    /* a list of names; NULL: none */
    int64_t vocabulary;              /* tokens that the tuned model knows: embedding and output layer are saved whole,
                                        with so many rows; 0: those of the base, saved where they are named */
    bool strict_targets;             /* uneven cover over layers is an error instead of a warning */
    const lf_nn *start_from;         /* a model of the same modules, whose weights the start looks at; NULL: nn's own */
    const lf_adapter_file *from;     /* its A and B are the start, whatever `init` says; NULL: none */
    const lf_calibrate *calibrate;   /* NULL: there are no data, and a start that reads some fails */
} lf_adapter_opts;
lf_status lf_adapter_opts_read(lf_adapter_opts *o, const lf_config *cfg, lf_err *err);
/* LF_EUSAGE where a name of modules_to_save means nothing in the model. */
lf_status lf_adapter_check_saves(const lf_nn *nn, const cJSON *names, lf_err *err);
/* Rows of the embedding of tokens that the file holds whole; 0: it holds none. */
int64_t lf_adapter_file_vocabulary(const lf_adapter_file *f, const lf_nn *nn);
/* Marks the layers before the head that the names mean (lf_module.saved): they are trained with a new head. */
void lf_adapter_mark_saved(lf_nn *nn, const cJSON *names);
/* Where the key continue_from is given: gives cfg the rank, scaling, targets and dropout of that adapter where the user
 * gave none. LF_EUSAGE, naming key and both values, where he gave others, or asks for a start of another kind. */
lf_status lf_adapter_take_settings(lf_config *cfg, lf_err *err);

/* Is it a key whose value that adapter says? */
bool lf_adapter_says(lf_key_id key);
/* A start is one line in init.def and an lf_init_fill, which fills A0 [r,in], B0 [out,r] as PEFT would hold them at
 * step 0. */
typedef struct lf_init_input {
    const char *name; /* of the module, for errors */
    const float *W;   /* [out, in]; NULL if the start reads nothing of it */
    int64_t out, in, r;
    double scaling;
    lf_position position;
    double sc_lora_beta;
    const char *init;                 /* the whole value, for its suffix */
    uint64_t seed, stream;            /* stream: number of the module in the table */
    lf_stored_weight stored;          /* where decompositions of W are kept; {0}: nowhere */
    const struct lf_peft_entry *from; /* the factors of another adapter; NULL: none */
    const struct lf_seen *seen;       /* by calibration; NULL if the start reads no data */
} lf_init_input;
typedef struct lf_init_report {
    int64_t start;    /* first component of the block; -1: none */
    int64_t n_dead;   /* components below 1e-7 sigma_1, which never learn */
    double sigma_max; /* sigma_1 */
    bool fell_back;   /* only the full decomposition found the block */
} lf_init_report;
typedef lf_status lf_init_fill(const lf_init_input *in, float *A, float *B, lf_init_report *report, lf_err *err);
/* The columns of init.def, which says what they mean. */
typedef enum lf_init_form { LF_FORM_ZERO, LF_FORM_SUBTRACTED, LF_FORM_HELD } lf_init_form;
typedef enum lf_init_reads {
    LF_READS_NOTHING,
    LF_READS_WEIGHT,
    LF_READS_COMPONENTS,
    LF_READS_TARGET, /* from here on data */
    LF_READS_KEPT,
    LF_READS_BOTH,
    LF_READS_GRADIENT
} lf_init_reads;
typedef enum lf_init_components {
    LF_BLOCK_NONE,
    LF_BLOCK_FIRST,
    LF_BLOCK_LAST,
    LF_BLOCK_KEY,
    LF_BLOCK_KEY_OR_LAST
} lf_init_components;
typedef struct lf_init {
    const char *name, *title, *help;
    lf_init_form form;
    lf_init_reads reads;
    lf_init_components block;
    bool plain;
    lf_init_fill *fill;
} lf_init;
const lf_init *lf_init_find(const char *name); /* NULL if there is none */
extern const lf_init lf_init_continued;        /* not in the table: the factors of lf_adapter_opts.from */
/* The start that a value of init_lora_weights means, and the name that it was found by; true, or no value, is the
 * table's first. NULL if there is none of that name. */
const lf_init *lf_init_of(const cJSON *value, const char **name);
bool lf_init_is_positioned(const lf_init *init); /* it reads init_position */
bool lf_init_reads_data(const lf_init *init);
bool lf_init_has_zero_B(const lf_init *init);
void lf_init_list(char *text, size_t size, bool (*is_meant)(const lf_init *init)); /* "a, b": of the table */
/* How many numbers are trained of an adapter of rank r on m, by o's start. */
int64_t lf_init_trained(const lf_adapter_opts *o, const lf_module *m, int64_t r);
/* The first component *s of the r of n that o's start takes, -1 if these are no block of neighbours (or none at all).
 * sigma [n]. */
lf_status lf_init_block(const lf_adapter_opts *o, int64_t n, int64_t r, const double *sigma, const char *name,
                        int64_t *s, lf_err *err);

/* Which modules the patterns select, by PEFT's rules over names and aliases; of heads that of next tokens alone, if it
 * is named (lf_nn_may_carry). */
typedef struct lf_match {
    lf_module **modules; /* in table order; freed by lf_match_free */
    int64_t *r;          /* rank of each, by rank_pattern */
    double *alpha;
    int64_t count;
    char *coverage; /* the coverage table as text: each pattern, how many modules; trainable parameters and share */
} lf_match;
lf_status lf_match_modules(lf_match *out, const lf_nn *nn, const lf_adapter_opts *o,
                           lf_err *err); /* LF_EUSAGE: nothing matches */
void lf_match_free(lf_match *m);
/* The digits of the layer number in a name, as PEFT finds them: the first segment of digits alone that has two segments
 * in front and one behind. False: there is none. */
bool lf_layer_number(const char *name, int64_t *layer, size_t *begin, size_t *end);

typedef struct lf_adapter lf_adapter;

/* Attaches a LoRA to every selected module of nn (in nn.arena) and starts it; decompositions run in parallel with
 * progress. Adapters that nn had are taken off. *out is freed by lf_adapter_free
 * (detaches nothing; free before the model). */
lf_status lf_adapter_new(lf_adapter **out, lf_nn *nn, const lf_adapter_opts *o, lf_err *err);
void lf_adapter_free(lf_adapter *a);
double lf_adapter_init_seconds(const lf_adapter *a);
const char *lf_adapter_coverage(const lf_adapter *a);
/* Where an adapter of lf_adapter_new started, for the files of a run: whoever reads them knows no start by its name.
 *
 *   {"name": "intermediate",    init_lora_weights, with `true` resolved
 *    "plain": true,             its column in init.def
 *    "position": 0.5,           of its block in each weight's spectrum, from 0 (first) to 1 (last); {"index": s} or
 *                               {"energy": e} where that is another fraction in each weight; null: it has no block
 *    "line": "...",             one sentence for people, with the first component that was found
 *    "subtracted": true,        whether B0 A0 is taken off the weights
 *    "reads": "components",     what it looks at, beside sizes: nothing, weight, components, target, kept,
 *                               both, gradient
 *    "title": "position 0.5"}   what people call it
 *
 * NULL: out of memory. The caller deletes it. */
cJSON *lf_adapter_start_to_json(const lf_adapter *a);
/* The base weights that the start was computed from are as they were: tensors A0 and B0 of a residual start, for
 * checkpoints: n slots, each module's A0 then B0 (floats), NULL for starts without. */
int64_t lf_adapter_count(const lf_adapter *a);
lf_module *lf_adapter_module(const lf_adapter *a, int64_t i);
bool lf_adapter_saves_modules(const lf_adapter *a); /* modules_to_save means more than a head */

/* What stands beside the weights in an adapter's folder. */
typedef struct lf_adapter_facts {
    const char *base_path, *base_hash;
    const lf_module *head; /* saved under modules_to_save; NULL: none */
    int64_t num_labels;
    const char **id2label;
    const char *problem_type; /* what the head's logits mean, in config.json's words; NULL: not said */
    int32_t pad_token_id;     /* of a model that classifies texts: what pads them, for README.md; below 0: none */
    int64_t seed;
    int threads;
    bool old_names;         /* peft_names: "transformers4" */
    const char *auto_class; /* of transformers, for README.md; NULL: AutoModelForImageClassification */
    bool tower;             /* the base is the tower of pictures alone, of which auto_class cannot read the file */
    const char *task_type;  /* PEFT's, for adapter_config.json: "CAUSAL_LM"; NULL: null (PEFT has none for pictures) */
    const cJSON *run;       /* more facts for lora_ft.json (init, position, config); may be NULL */
    const char *hub_id;     /* the base's name on a hub, which goes into the files instead of its path; NULL: none */
    const char *hub_task;   /* what a hub calls the task: "text-generation"; NULL: not said */
    const cJSON *results;   /* all_results.json, for README.md; NULL: not yet there */
    /* Of the data that they are of, one name each: of evaluation, test, and what was to be kept; NULL: not said. */
    const char *eval_data, *test_data, *kept_data;
    /* Writes what else belongs into dir, before it takes its name (a tokenizer); NULL: nothing. */
    lf_status (*beside)(void *context, const char *dir, lf_err *err);
    void *context;
} lf_adapter_facts;
/* Writes dir (aside, then renamed): adapter_config.json, adapter_model.safetensors (the plain LoRA on the untouched
 * base, rank 2r in delta form), lora_ft.json, README.md. `a` may be NULL: head only (method head writes modules_to_save
 * and no LoRA tensor: then only the head and lora_ft.json are written, as adapter_model.safetensors that lora-ft itself
 * reads). */
lf_status lf_adapter_save(const lf_adapter *a, const lf_nn *nn, const char *dir, const lf_adapter_facts *facts,
                          lf_err *err);
/* README.md alone, again, in an adapter's folder: the facts have results now. */
lf_status lf_adapter_write_card(const lf_adapter *a, const lf_nn *nn, const char *dir, const lf_adapter_facts *facts,
                                lf_err *err);

lf_status lf_adapter_open(lf_adapter_file **out, const char *dir, lf_err *err);
void lf_adapter_close(lf_adapter_file *f);
/* Labels of the saved head: 0 if the adapter holds none; names NULL if lora_ft.json does not say. */
int64_t lf_adapter_file_labels(const lf_adapter_file *f, const char *const **names);
bool lf_adapter_file_holds(const lf_adapter_file *f, const lf_module *m); /* a layer before the head, whole? */
const char *lf_adapter_file_head(const lf_adapter_file *f);               /* its module's name; NULL: no head */
bool lf_adapter_file_problem(const lf_adapter_file *f, lf_problem *out);  /* of the head; false: not said */
/* Can the modules that the file holds whole be this model's? Asked before a head is made for it. `head`: the model's
 * classifier, NULL if it has none; `model`: the model's name and kind, for the message. LF_OK where the file holds
 * none; LF_EUNSUPPORTED where the model lacks one of them; LF_ESHAPE where the head's width or bias is another, or a
 * layer's before it (the number of labels is free; others are looked at by lf_adapter_apply). */
lf_status lf_adapter_check_head(const lf_adapter_file *f, const lf_nn *nn, const lf_module *head, const char *model,
                                lf_err *err);
/* The head alone, with the layers before it, into one that is there (see lf_adapter_apply). */
lf_status lf_adapter_apply_head(const lf_adapter_file *f, const lf_nn *nn, lf_module *head, lf_err *err);
/* Warns where lora_ft.json names another base. */
void lf_adapter_compare_base(const lf_adapter_file *f, const char *base_hash);
/* The rows [R,in] that the file's adapter on m listens to, as floats, freed by lf_free; *A NULL: it has none on m. */
lf_status lf_adapter_file_A(float **A, int64_t *R, const lf_adapter_file *f, const lf_module *m, lf_err *err);
/* Of the tensors. */
lf_status lf_adapter_file_hash(const lf_adapter_file *f, char out[33], lf_err *err);
bool lf_adapter_file_is_head(const lf_adapter_file *f); /* a head alone, without LoRA */
/* How many numbers were trained to make it: those it holds, but for the base's weights that PEFT puts beside their
 * adapters, and for the start that a file of twice the rank carries (delta form). */
int64_t lf_adapter_file_trained(const lf_adapter_file *f);
/* Attaches plain LoRAs to nn (those that it had are taken off), without gradients, and copies the saved head into
 * `head` (which has its shape and holds its floats; NULL: the model has none, which the saved one is checked against).
 * A tensor that fits no module, or a
 * module that lacks its tensors: LF_EDATA naming it; a base hash that differs: warning. */
lf_status lf_adapter_apply(lf_adapter **out, const lf_adapter_file *f, lf_nn *nn, lf_module *head,
                           const char *base_hash, lf_err *err);

/* n adapters at once, as one whose update is the sum of theirs: factors one behind the other, in fp32, ranks added up,
 * scaling 1. Head and modules that are saved whole are the last one's. LF_EUNSUPPORTED for magnitudes (DoRA), heads
 * alone, and where they save other modules. Else as lf_adapter_apply, which it is of one. */
lf_status lf_adapter_apply_sum(lf_adapter **out, const lf_adapter_file *const *f, int64_t n, lf_nn *nn, lf_module *head,
                               lf_err *err);

/* The adapter at another size, W + scale dW: lora_B is scale times what was read, and 1 puts that back bit for bit;
 * what is saved beside the factors (biases, modules_to_save) goes from the base's numbers to its own in the same way. A
 * classifier that came with it is not scaled. LF_EUNSUPPORTED for magnitudes (DoRA), which are no factor of dW. */
lf_status lf_adapter_set_scale(lf_adapter *a, double scale, lf_err *err);
/* Writes the adapter that f was opened from, at the size that `a` (applied from f) has now, into the folder `dir`
 * (aside, then renamed): what is scaled in fp32, all else as it stands in f's folder, lora_ft.json with
 * "adapter_scale", and the card with the scale and `results`, a sentence. */
lf_status lf_adapter_save_scaled(const lf_adapter *a, const lf_adapter_file *f, const char *dir, const char *results,
                                 lf_err *err);

/* W += scaling * (B A) (delta form included), its rows scaled to their magnitudes (DoRA), in double, rounded once; for
 * merge. Signature of lf_merge_fn's work. */
lf_status lf_adapter_merge(const lf_module *m, float *W, lf_err *err);
/* A module's update as one product: dW = B A, B [out,R] with the scaling in it, A [R,in], R = lf_lora_rank (r, in delta
 * form 2r). */
int64_t lf_lora_rank(const lf_lora *l);
void lf_lora_factors(const lf_module *m, double *B, double *A);

#endif

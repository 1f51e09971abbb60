/* What the files of this folder share. */
#ifndef LF_ADAPTER_ADAPTER_INTERNAL_H
#define LF_ADAPTER_ADAPTER_INTERNAL_H

#include "adapter/adapter.h"

struct lf_adapter {
    lf_nn *nn;
    lf_match match;
    int64_t r; /* PEFT's defaults, for modules that no pattern names */
    double lora_alpha, lora_dropout;
    bool use_rslora;
    bool use_dora;                       /* magnitudes are there */
    const char *bias;                    /* LF_BIAS_NONE, ...; static */
    cJSON *saves;                        /* modules_to_save, as it was given, and what else is saved; NULL: none */
    int64_t vocabulary;                  /* lf_adapter_opts.vocabulary */
    bool residual;                       /* A0 and B0 are there */
    bool held;                           /* B is not trained */
    cJSON *rank_pattern, *alpha_pattern; /* as the user wrote them; NULL: none */
    double init_seconds;
    double scale;   /* of lf_adapter_set_scale */
    float **read_B; /* each module's lora_B as it was read; NULL: the scale was never another than 1 */
    cJSON *start;   /* lf_adapter_start_to_json; NULL: read from a file */
};

/* `reports`: one for each of the match's n modules. NULL: out of memory. */
cJSON *lf_start_to_json(const lf_adapter_opts *o, const lf_init *init, const lf_init_report *reports, int64_t n);

/* init.c: LF_EUSAGE where the weight has fewer components than r. */
lf_status lf_init_check_rank(const lf_init_input *in, lf_err *err);
/* init_plain.c: where the starts that subtract nothing begin on an embedding. */
lf_init_fill lf_init_table;

/* continue.c: do the modules that were chosen, their ranks and scalings, and the tensors of o->from say the same? */
lf_status lf_continue_check(const lf_adapter_file *from, const lf_match *match, bool use_rslora, lf_err *err);

double lf_lora_scaling(double alpha, int64_t r, bool use_rslora);

/* Hangs an lf_lora of zeros on the module, all of it in nn.arena. `trained`: with gradients, of A alone where the form
 * is HELD. SUBTRACTED: with A0 and B0. */
lf_status lf_lora_attach(lf_nn *nn, lf_module *m, int64_t r, double scaling, double dropout, bool trained,
                         lf_init_form form, lf_err *err);

/* LF_EUNSUPPORTED where DoRA is not for a module of this kind; `source` is what asks for it. */
lf_status lf_lora_check_dora(const lf_module *m, const char *source, lf_err *err);
/* Gives the module's lf_lora a magnitude (DoRA): the norms of W's rows. */
lf_status lf_lora_add_magnitude(lf_nn *nn, lf_module *m, bool trained, lf_err *err);

/* Takes all adapters, and what stands beside them, off nn's modules: a half-started one must not be computed with. */
void lf_lora_detach_all(lf_nn *nn);

/* beside.c: the name as a static one; NULL: there is none of that name. */
const char *lf_bias_named(const char *name);
/* Adds the modules of the vocabulary to a->saves: all (a->vocabulary), or those of which f holds the weight although
 * its modules_to_save does not name them, as PEFT writes them on its own. */
lf_status lf_beside_list_vocabulary(lf_adapter *a, const lf_adapter_file *f, lf_err *err);
/* What a->bias and a->saves choose, with numbers of its own: those of f (LF_EDATA, LF_ESHAPE where they do not fit),
 * or (NULL) as they are. Adapters are attached before. LF_EUSAGE, LF_EUNSUPPORTED where it cannot be. */
lf_status lf_beside_put(const lf_adapter *a, const lf_adapter_file *f, bool trained, lf_err *err);

/* Copies of them; one that is not given or empty becomes NULL. */
lf_status lf_adapter_keep_lists(lf_adapter *a, const cJSON *rank_pattern, const cJSON *alpha_pattern,
                                const cJSON *modules_to_save, lf_err *err);

#define LF_PEFT_PREFIX   "base_model.model."
#define LF_PEFT_CONFIG   "adapter_config.json"
#define LF_PEFT_WEIGHTS  "adapter_model.safetensors"
#define LF_ADAPTER_FACTS "lora_ft.json"
#define LF_ADAPTER_HELD  "held" /* in it: the factor that was not trained, "lora_B"; not there: both were */

#endif

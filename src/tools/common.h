/* What the tools share: a model opened as a configuration says, with its adapter and head. */
#ifndef LF_TOOLS_COMMON_H
#define LF_TOOLS_COMMON_H

#include "base/outlet.h"
#include "config/config.h"
#include "eval/adapted.h"
#include "gguf/export.h"
#include "task/task.h"

typedef struct lf_opened {
    int threads;
    const lf_kernels *k;
    lf_adapted adapted;
    lf_model *model; /* its model */
    lf_graph *g;
} lf_opened;

/* Keys model, adapter, threads, precision. On failure, too, the caller closes. */
lf_status lf_opened_open(lf_opened *o, const lf_config *cfg, lf_load load, lf_err *err);
void lf_opened_close(lf_opened *o);

/* Can the model without its adapter be asked what the adapter is asked? Not where tokens were added, which is said. */
bool lf_opened_base_answers(const lf_opened *o);

/* How many numbers were trained of it: what `train` said of the adapter. */
int64_t lf_opened_trained(const lf_opened *o);

/* The format that key save_dtype asks for; LF_N_DTYPES: as the source has it. */
lf_dtype lf_asked_dtype(const lf_config *cfg);
/* The folder output_dir is replaced as a whole, so it must be new, empty, or, where overwrite_output_dir says so, be
 * what it is to be ("a model": all of `files` are in it; ends with NULL); and nothing that is read may be in it.
 * LF_EUSAGE. */
lf_status lf_check_output_folder(const lf_config *cfg, const char *what, const char *const *files, lf_err *err);
/* LF_EUSAGE where the file that output_dir names is there already, and not to be overwritten. */
lf_status lf_check_output_file(const lf_config *cfg, lf_err *err);
/* Folder with the tokenizer of model and adapter together: the adapter's, if it has one, as wherever an adapter is
 * opened: it may know tokens that the base's does not. Borrowed. */
const char *lf_tokenizer_folder(const lf_opened *o, const lf_config *cfg);
/* The adapter's folder, if it has a chat template (lf_language_adapter_template); NULL: the tokenizer's folder says. */
const char *lf_chat_folder(const lf_config *cfg);
/* What the GGUF file that output_dir names says of itself, with its own name and the base's folder's. On failure, too,
 * the caller frees. */
typedef struct lf_file_names {
    lf_gguf_facts facts;
    char *name, *base;
} lf_file_names;
lf_status lf_file_facts(lf_file_names *out, const lf_opened *o, const lf_config *cfg, lf_err *err);
void lf_file_names_free(lf_file_names *n);

/* eval.c: lf_eval, its results to an outlet. */
lf_status lf_eval_to(const lf_config *cfg, lf_outlet *to, lf_err *err);

double lf_peak_rss_mb(void);
/* Is `inner` the folder `outer` or below it, through whatever links? Both exist. */
bool lf_path_is_within(const char *inner, const char *outer);

#endif

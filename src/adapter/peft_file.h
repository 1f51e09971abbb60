/* An adapter folder that was opened: which tensors it holds, checked. Inside of the folder. */
#ifndef LF_ADAPTER_PEFT_FILE_H
#define LF_ADAPTER_PEFT_FILE_H

#include "adapter/adapter_internal.h"
#include "adapter/peft_config.h"
#include "base/slice.h"

/* A module's two tensors. */
typedef struct lf_peft_entry {
    const char *module; /* as the file spells it */
    const lf_st_tensor *A, *B;
    const lf_st_tensor *magnitude; /* of DoRA; NULL: none */
    bool of_embedding;             /* they are lora_embedding_A [r,V] and lora_embedding_B [C,r] */
    int64_t r;
    double alpha;
} lf_peft_entry;

/* A tensor that was trained and saved beside the factors; but for the head's. */
typedef struct lf_peft_whole {
    const char *module, *leaf; /* as the file spells them; leaf: "weight", "bias", "cls_token" */
    const lf_st_tensor *t;
    bool saved; /* by modules_to_save, else by the key `bias`, or because it is the vocabulary's */
} lf_peft_whole;

/* The weight under an adapter, which PEFT writes beside those of embed_tokens and lm_head, trained or not. */
typedef struct lf_peft_copy {
    const char *module; /* as the file spells it */
    const lf_st_tensor *t;
} lf_peft_copy;

struct lf_adapter_file {
    char *dir, *config_path, *weights_path;
    bool head_only; /* no LoRA, no adapter_config.json */
    lf_peft_config config;
    cJSON *facts; /* lora_ft.json; NULL: not ours */
    lf_safetensors *st;
    lf_arena *arena; /* of the names below */
    lf_peft_entry *entries;
    int64_t n_entries;
    lf_peft_whole *wholes; /* but for the head's */
    int64_t n_wholes;
    bool ties_saved; /* a tied layer was saved with its embedding (ensure_weight_tying) */
    lf_peft_copy *copies;
    int64_t n_copies;
    lf_slice adapter_name; /* in the tensors' names; of length 0: none, as save_pretrained writes them */
    const char *head;      /* module that was saved whole; NULL: none */
    const lf_st_tensor *head_weight, *head_bias;
    const char **labels; /* [rows of head_weight]; NULL: lora_ft.json does not say */
};

/* peft_entry.c: the module's, by its name or alias; LF_EDATA where the file has both. *out NULL: none. */
lf_status lf_peft_find(const lf_peft_entry **out, const lf_adapter_file *f, const lf_module *m, lf_err *err);
/* peft_entry.c: a tensor of a module that is saved whole and is not the head; NULL: the file does not hold it. */
const lf_st_tensor *lf_peft_saved(const lf_adapter_file *f, const lf_module *m, const char *leaf);
/* peft_tensors.c: fills entries, wholes, copies and the head from the file's tensors. */
lf_status lf_peft_sort_tensors(lf_adapter_file *f, lf_err *err);
/* peft_fits.c: what was sorted against adapter_config.json and lora_ft.json; finds each entry's rank and alpha, and the
 * labels. */
lf_status lf_peft_check_contents(lf_adapter_file *f, lf_err *err);
/* peft_tensors.c: is it a tensor that PEFT wrote again under another name? None of them is read. */
bool lf_peft_is_second(const lf_adapter_file *f, const char *name);
/* peft_entry.c: did lora_B stay where it began (MiCA), in our training or PEFT's? */
bool lf_peft_holds_B(const lf_adapter_file *f);
/* LF_ESHAPE where they are not of this module's size. */
lf_status lf_peft_check_fit(const lf_adapter_file *f, const lf_peft_entry *e, const lf_module *m, lf_err *err);

/* beside.c: the parameter beside the factors that a tensor of f is put into; NULL: it is another tensor. */
const lf_param *lf_beside_param(const lf_adapter *a, const lf_adapter_file *f, const lf_st_tensor *t);
/* peft_write.c: the next declared tensor, as files hold this parameter. */
lf_status lf_peft_write_param(lf_st_writer *st, const lf_nn *nn, const lf_param *p, lf_err *err);

#endif

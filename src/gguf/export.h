/* Models and adapters for llama.cpp and what is built on it, as one GGUF file each. */
#ifndef LF_GGUF_EXPORT_H
#define LF_GGUF_EXPORT_H

#include "adapter/adapter.h"
#include "model/model.h"

/* What a file says of itself. */
typedef struct lf_gguf_facts {
    const char *path; /* to be written */
    lf_dtype dtype;   /* of matrices; LF_N_DTYPES: as the source has each. Vectors are F32, as llama.cpp wants them */
    const char *name; /* general.name */
    const char *base_name; /* of the model that it was made of; NULL: not said */
    const char *chat;      /* a folder whose chat template is the model's; NULL: the tokenizer's */
} lf_gguf_facts;

/* The model as lf_model_write has it, with adapters merged in by `merge`, and the tokenizer of folder `tokenizer`.
 * Streamed; the file appears whole or not at all. LF_EUNSUPPORTED: llama.cpp cannot run it as it is (arch.h,
 * tokenizer.h). */
lf_status lf_gguf_write_model(lf_model *m, const char *tokenizer, lf_merge_fn merge, void *context,
                              const lf_gguf_facts *facts, lf_err *err);

/* The adapter that was put on m: its factors alone, "<tensor>.lora_a" [r,in] and ".lora_b" [out,r], for which llama.cpp
 * computes y += adapter.lora.alpha / r * (x A^T) B^T; dtype LF_N_DTYPES: F32. What such a file cannot hold is
 * LF_EUNSUPPORTED: magnitudes (DoRA), what is saved beside factors, one of two layers that share a weight. */
lf_status lf_gguf_write_adapter(lf_model *m, const lf_gguf_facts *facts, lf_err *err);

#endif

/* What files of models and of adapters say alike. Inside of the folder. */
#ifndef LF_GGUF_FACTS_H
#define LF_GGUF_FACTS_H

#include "gguf/export.h"
#include "gguf/format.h"

/* general.type, general.architecture, general.name, general.base_model.*. */
void lf_gguf_put_general(lf_gguf_writer *w, const char *type, const char *arch, const lf_gguf_facts *facts);
/* general.file_type: what most matrices are. */
void lf_gguf_put_file_type(lf_gguf_writer *w, lf_dtype dtype);
/* The format of a tensor of so many dims that is `source` where it is from. F64, in which llama.cpp computes nothing,
 * becomes F32. */
lf_dtype lf_gguf_dtype(const lf_gguf_facts *facts, int ndim, lf_dtype source);

#endif

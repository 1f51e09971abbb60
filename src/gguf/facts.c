#include "gguf/facts.h"

void lf_gguf_put_general(lf_gguf_writer *w, const char *type, const char *arch, const lf_gguf_facts *facts) {
    lf_gguf_put_string(w, "general.architecture", arch); /* first, as llama.cpp's own files have it */
    lf_gguf_put_string(w, "general.type", type);
    lf_gguf_put_string(w, "general.name", facts->name);
    if (!facts->base_name) return;
    lf_gguf_put_u32(w, "general.base_model.count", 1);
    lf_gguf_put_string(w, "general.base_model.0.name", facts->base_name);
}

void lf_gguf_put_file_type(lf_gguf_writer *w, lf_dtype dtype) {
    enum { ALL_F32, MOSTLY_F16, MOSTLY_BF16 = 32 };
    lf_gguf_put_u32(w, "general.file_type", dtype == LF_F16 ? MOSTLY_F16 : dtype == LF_BF16 ? MOSTLY_BF16 : ALL_F32);
}

lf_dtype lf_gguf_dtype(const lf_gguf_facts *facts, int ndim, lf_dtype source) {
    const lf_dtype asked = facts->dtype == LF_N_DTYPES ? source : facts->dtype;
    return ndim < 2 || asked == LF_F64 ? LF_F32 : asked;
}

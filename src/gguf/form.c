#include "gguf/form.h"

#include <stdio.h>
#include <string.h>

lf_status lf_gguf_lacks(const lf_model *m, const char *key, const char *what, lf_err *err) {
    return lf_fail(err, LF_EUNSUPPORTED, "%s: key '%s': %s, which llama.cpp has not for model_type '%s'",
                   m->config_path, key, what, m->family->model_type);
}

static const char *full_key(char buf[96], const lf_gguf_putting *p, const char *key) {
    snprintf(buf, 96, "%s.%s", p->arch, key);
    return buf;
}

void lf_gguf_put_size(const lf_gguf_putting *p, const char *key, int64_t value) {
    char buf[96];
    lf_gguf_put_u32(p->w, full_key(buf, p, key), (uint32_t)value);
}

void lf_gguf_put_real(const lf_gguf_putting *p, const char *key, double value) {
    char buf[96];
    lf_gguf_put_f32(p->w, full_key(buf, p, key), value);
}

void lf_gguf_put_word(const lf_gguf_putting *p, const char *key, const char *value) {
    char buf[96];
    lf_gguf_put_string(p->w, full_key(buf, p, key), value);
}

const char *lf_gguf_find_renamed(const lf_gguf_renamed *table, const char *module, size_t size) {
    for (; table->module; table++)
        if (strlen(table->module) == size && memcmp(table->module, module, size) == 0) return table->to;
    return NULL;
}

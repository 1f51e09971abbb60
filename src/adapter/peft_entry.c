/* Which tensors of an adapter's file are a module's, whether they fit it, and whose base they were trained on. */
#include <string.h>

#include "adapter/peft_file.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

static const lf_peft_entry *entry_of(const lf_adapter_file *f, const char *module) {
    for (int64_t i = 0; i < f->n_entries; i++)
        if (strcmp(f->entries[i].module, module) == 0) return &f->entries[i];
    return NULL;
}

lf_status lf_peft_find(const lf_peft_entry **out, const lf_adapter_file *f, const lf_module *m, lf_err *err) {
    const lf_peft_entry *e = entry_of(f, m->name), *old = strcmp(m->name, m->alias) ? entry_of(f, m->alias) : NULL;
    *out = e ? e : old;
    if (!e || !old) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: '%s' and '%s' are two names of one module", f->weights_path, e->module,
                   old->module);
}

const lf_st_tensor *lf_peft_saved(const lf_adapter_file *f, const lf_module *m, const char *leaf) {
    for (int64_t i = 0; i < f->n_wholes; i++) {
        const lf_peft_whole *w = &f->wholes[i];
        if (w->saved && strcmp(w->leaf, leaf) == 0 &&
            (strcmp(w->module, m->name) == 0 || strcmp(w->module, m->alias) == 0))
            return w->t;
    }
    return NULL;
}

bool lf_adapter_file_holds(const lf_adapter_file *f, const lf_module *m) {
    return lf_peft_saved(f, m, "weight") || lf_peft_saved(f, m, "bias");
}

bool lf_peft_holds_B(const lf_adapter_file *f) {
    const char *held = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(f->facts, LF_ADAPTER_HELD)),
               *start = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(f->config.json, "init_lora_weights"));
    return (held && !strcmp(held, "lora_B")) || (start && !strcmp(start, "mica"));
}

lf_status lf_peft_check_fit(const lf_adapter_file *f, const lf_peft_entry *e, const lf_module *m, lf_err *err) {
    if (e->A->shape[1] != m->in || e->B->shape[0] != m->out) {
        char A[64], B[64];
        return lf_fail(err, LF_ESHAPE,
                       "%s: module '%s': expected lora_A [%lld, %lld] and lora_B [%lld, %lld] for this base model, "
                       "found %s and %s; "
                       "was the adapter made for another model?",
                       f->weights_path, e->module, (long long)e->r, (long long)m->in, (long long)m->out,
                       (long long)e->r, lf_shape_str(A, sizeof A, 2, e->A->shape),
                       lf_shape_str(B, sizeof B, 2, e->B->shape));
    }
    return LF_OK;
}

void lf_adapter_compare_base(const lf_adapter_file *f, const char *base_hash) {
    const cJSON *hash = cJSON_GetObjectItemCaseSensitive(f->facts, "base_hash");
    if (!cJSON_IsString(hash) || !hash->valuestring[0] || !base_hash || !base_hash[0]) return;
    if (strcmp(hash->valuestring, base_hash))
        lf_warn("%s: the adapter was trained on a base model with other weights (hash %s, this one %s): results will "
                "differ",
                f->dir, hash->valuestring, base_hash);
}

lf_status lf_adapter_file_A(float **A, int64_t *R, const lf_adapter_file *f, const lf_module *m, lf_err *err) {
    const lf_peft_entry *e;
    lf_status rc = lf_peft_find(&e, f, m, err);
    *A = NULL;
    if (rc || !e || (rc = lf_peft_check_fit(f, e, m, err))) return rc;
    if (!(*A = lf_malloc((size_t)e->A->numel * sizeof **A))) return lf_no_memory(err, "the adapter in %s", f->dir);
    lf_to_f32(*A, e->A->data, e->A->dtype, e->A->numel);
    *R = e->r;
    return LF_OK;
}

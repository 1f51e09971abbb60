/* Opening an adapter folder: nothing in it is trusted, and every tensor in it must have a use. */
#include <string.h>

#include "adapter/peft_file.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

static lf_status read_facts(lf_adapter_file *f, lf_err *err) {
    if (!lf_is_file_in(f->dir, LF_ADAPTER_FACTS)) return LF_OK;
    char *path = lf_path_join(f->dir, LF_ADAPTER_FACTS);
    const char *kind;
    lf_status rc = path ? lf_json_read(&f->facts, path, err) : lf_no_memory(err, "reading the adapter %s", f->dir);
    if (!rc) rc = lf_json_get_str(f->facts, "kind", "lora", &kind, path, err);
    if (!rc) f->head_only = strcmp(kind, "head") == 0;
    lf_free(path);
    return rc;
}

/* A run's folder has the adapter in one of its own. */
static lf_status no_config(const lf_adapter_file *f, lf_err *err) {
    char *below = lf_path_join(f->dir, "adapter");
    if (!below) return lf_no_memory(err, "reading the adapter %s", f->dir);
    const bool is_there = lf_is_file_in(below, LF_PEFT_CONFIG) || lf_is_file_in(below, LF_ADAPTER_FACTS);
    const lf_status rc =
        is_there
            ? lf_fail(err, LF_ENOTFOUND, "%s: there is no " LF_PEFT_CONFIG " in it; did you mean %s?", f->dir, below)
            : lf_fail(err, LF_ENOTFOUND,
                      "%s: there is no " LF_PEFT_CONFIG " in it; is this the folder of a PEFT adapter?", f->dir);
    lf_free(below);
    return rc;
}

static lf_status check_files(lf_adapter_file *f, lf_err *err) {
    if (!lf_is_dir(f->dir))
        return lf_fail(err, LF_ENOTFOUND,
                       "%s: no such adapter folder (expected one with " LF_PEFT_CONFIG " and " LF_PEFT_WEIGHTS ")",
                       f->dir);
    if (!f->head_only && !lf_is_file(f->config_path)) return no_config(f, err);
    if (lf_is_file(f->weights_path)) return LF_OK;
    if (lf_is_file_in(f->dir, "adapter_model.bin"))
        return lf_fail(err, LF_EUNSUPPORTED,
                       "%s/adapter_model.bin: pickle files can run code and are not read; load the adapter in PEFT "
                       "and write it again with save_pretrained(..., safe_serialization=True)",
                       f->dir);
    return lf_fail(err, LF_ENOTFOUND, "%s: no such file; is the download complete?", f->weights_path);
}

lf_status lf_adapter_open(lf_adapter_file **out, const char *dir, lf_err *err) {
    lf_status rc;
    *out = NULL;
    lf_adapter_file *f = lf_calloc(1, sizeof *f);
    if (!f) return lf_no_memory(err, "reading the adapter %s", dir);
    f->dir = lf_strdup(dir);
    f->config_path = lf_path_join(dir, LF_PEFT_CONFIG);
    f->weights_path = lf_path_join(dir, LF_PEFT_WEIGHTS);
    if (!f->dir || !f->config_path || !f->weights_path) {
        rc = lf_no_memory(err, "reading the adapter %s", dir);
        goto out;
    }
    if ((rc = read_facts(f, err)) || (rc = check_files(f, err)) ||
        (rc = f->head_only ? LF_OK : lf_peft_config_read(&f->config, f->config_path, err)) ||
        (rc = lf_safetensors_open(&f->st, f->weights_path, err)) || (rc = lf_peft_sort_tensors(f, err)) ||
        (rc = lf_peft_check_contents(f, err)))
        goto out;
    *out = f;
    f = NULL;
out:
    lf_adapter_close(f);
    return rc;
}

void lf_adapter_close(lf_adapter_file *f) {
    if (!f) return;
    lf_safetensors_close(f->st);
    lf_peft_config_clear(&f->config);
    cJSON_Delete(f->facts);
    lf_arena_free(f->arena);
    lf_free(f->dir);
    lf_free(f->config_path);
    lf_free(f->weights_path);
    lf_free(f);
}

int64_t lf_adapter_file_labels(const lf_adapter_file *f, const char *const **names) {
    *names = f->labels;
    return f->head ? f->head_weight->shape[0] : 0;
}

const char *lf_adapter_file_head(const lf_adapter_file *f) { return f->head; }

bool lf_adapter_file_problem(const lf_adapter_file *f, lf_problem *out) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(f->facts, "problem_type"));
    if (!name && f->facts) *out = LF_SINGLE_LABEL;
    return name ? lf_problem_named(out, name) : f->facts != NULL;
}

lf_status lf_adapter_file_hash(const lf_adapter_file *f, char out[33], lf_err *err) {
    return lf_safetensors_hash(f->st, out, err);
}

int64_t lf_adapter_file_trained(const lf_adapter_file *f) {
    const bool carries_start = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(f->facts, "delta_form"));
    int64_t n = 0;
    for (int64_t i = 0; i < lf_safetensors_count(f->st); i++) n += lf_safetensors_at(f->st, i)->numel;
    for (int64_t i = 0; i < f->n_copies; i++) n -= f->copies[i].t->numel;
    for (int64_t i = 0; carries_start && i < f->n_entries; i++)
        n -= (f->entries[i].A->numel + f->entries[i].B->numel) / 2;
    return n;
}

bool lf_adapter_file_is_head(const lf_adapter_file *f) { return f->head_only; }

/* Whether the two files of an adapter fit each other: ranks by the configuration, factors in pairs, the head and its
 * labels. */
#include <stdio.h>

#include "adapter/peft_file.h"
#include "adapter/targets.h"
#include "base/json.h"
#include "base/mem.h"

static lf_status check_pair(const lf_adapter_file *f, const lf_peft_entry *e, lf_err *err) {
    if (!e->A || !e->B)
        return lf_fail(err, LF_EDATA,
                       "%s: tensor '" LF_PEFT_PREFIX
                       "%s.%s%s%s' is missing, but the other factor of this module is there; is the file complete?",
                       f->weights_path, e->module, e->of_embedding ? "lora_embedding_" : "lora_", e->A ? "B" : "A",
                       e->of_embedding ? "" : ".weight");
    if (!e->magnitude != !f->config.use_dora || (e->magnitude && e->magnitude->shape[0] != e->B->shape[0]))
        return lf_fail(err, LF_EDATA,
                       "%s: module '%s': expected %s lora_magnitude_vector, because key 'use_dora' in " LF_PEFT_CONFIG
                       " is %s, of as many numbers as lora_B has rows, found %lld; are the two files of one adapter?",
                       f->weights_path, e->module, f->config.use_dora ? "a" : "no",
                       f->config.use_dora ? "true" : "false", (long long)(e->magnitude ? e->magnitude->numel : 0));
    if (e->A->shape[0] != e->r || e->B->shape[1] != e->r) {
        char A[64], B[64];
        return lf_fail(err, LF_ESHAPE,
                       "%s: module '%s': expected rank %lld by " LF_PEFT_CONFIG
                       ", found lora_A %s and lora_B %s; are the two files of one adapter?",
                       f->weights_path, e->module, (long long)e->r, lf_shape_str(A, sizeof A, 2, e->A->shape),
                       lf_shape_str(B, sizeof B, 2, e->B->shape));
    }
    return LF_OK;
}

static lf_status check_entries(lf_adapter_file *f, lf_err *err) {
    lf_patterns *ranks = NULL, *alphas = NULL;
    char *source = lf_format("%s: ", f->config_path);
    lf_status rc = source ? LF_OK : lf_no_memory(err, "reading the adapter %s", f->dir);
    if (rc || (rc = lf_patterns_new(&ranks, f->config.rank_pattern, source, "rank_pattern", err)) ||
        (rc = lf_patterns_new(&alphas, f->config.alpha_pattern, source, "alpha_pattern", err)))
        goto out;
    for (int64_t i = 0; !rc && i < f->n_entries; i++) {
        lf_peft_entry *e = &f->entries[i];
        double r = (double)f->config.r;
        int64_t index;
        e->alpha = f->config.lora_alpha;
        if ((rc = lf_patterns_find(ranks, e->module, NULL, &r, &index, err)) ||
            (rc = lf_patterns_find(alphas, e->module, NULL, &e->alpha, &index, err)))
            break;
        e->r = (int64_t)r;
        rc = check_pair(f, e, err);
    }
out:
    lf_patterns_free(ranks);
    lf_patterns_free(alphas);
    lf_free(source);
    return rc;
}

static bool any_saved(const lf_adapter_file *f) {
    bool any = false;
    for (int64_t i = 0; i < f->n_wholes; i++) any = any || f->wholes[i].saved;
    return any;
}

static lf_status check_head(const lf_adapter_file *f, lf_err *err) {
    if (!f->head && !any_saved(f) && f->config.modules_to_save && f->config.modules_to_save->child)
        return lf_fail(
            err, LF_EDATA,
            "%s: no tensor of modules_to_save in " LF_PEFT_CONFIG " is there (first: '%s'); is the file complete? "
            "(PEFT leaves it out when it converts an adapter by path_initial_model_for_weight_conversion)",
            f->weights_path,
            cJSON_IsString(f->config.modules_to_save->child) ? f->config.modules_to_save->child->valuestring : "?");
    if (!f->head && f->head_only) return lf_fail(err, LF_EDATA, "%s: holds no head", f->weights_path);
    if (!f->head) return LF_OK;
    if (!f->head_weight)
        return lf_fail(err, LF_EDATA, "%s: tensor '" LF_PEFT_PREFIX "%s.weight' is missing; is the file complete?",
                       f->weights_path, f->head);
    if (f->head_bias && f->head_bias->shape[0] != f->head_weight->shape[0])
        return lf_fail(err, LF_ESHAPE,
                       "%s: tensor '%s': expected %lld numbers, one for each row of the head's weight, found %lld",
                       f->weights_path, f->head_bias->name, (long long)f->head_weight->shape[0],
                       (long long)f->head_bias->shape[0]);
    return LF_OK;
}

static lf_status read_labels(lf_adapter_file *f, lf_err *err) {
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(f->facts, "id2label");
    if (!f->head || !cJSON_IsObject(names)) return LF_OK;
    const int64_t n = f->head_weight->shape[0];
    if (cJSON_GetArraySize(names) != n)
        return lf_fail(err, LF_EDATA,
                       "%s/" LF_ADAPTER_FACTS
                       ": key 'id2label': expected %lld names, one for each row of the head, found %d",
                       f->dir, (long long)n, cJSON_GetArraySize(names));
    const char **labels = lf_arena_alloc(f->arena, (size_t)n * sizeof *labels);
    if (!labels) return lf_no_memory(err, "reading the adapter %s", f->dir);
    for (int64_t i = 0; i < n; i++) {
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)i);
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(names, id);
        if (!cJSON_IsString(name))
            return lf_fail(err, LF_EDATA, "%s/" LF_ADAPTER_FACTS ": key 'id2label': no name for label %s", f->dir, id);
        labels[i] = name->valuestring;
    }
    f->labels = labels;
    return LF_OK;
}

lf_status lf_peft_check_contents(lf_adapter_file *f, lf_err *err) {
    if (f->n_entries == 0 && !f->head_only)
        return lf_fail(err, LF_EDATA, "%s: holds no lora_A.weight and lora_B.weight; is the file complete?",
                       f->weights_path);
    if (f->n_entries && f->head_only)
        return lf_fail(err, LF_EDATA, "%s: holds LoRA tensors, but " LF_ADAPTER_FACTS " says that there is only a head",
                       f->weights_path);
    lf_status rc = check_entries(f, err);
    if (rc == LF_EUSAGE) { /* a pattern that is wrong in a file is bad data */
        rc = LF_EDATA;
        if (err) err->status = rc;
    }
    if (!rc) rc = check_head(f, err);
    return rc ? rc : read_labels(f, err);
}

/* What a run's files say of the run itself. */
#include <string.h>

#include "train/run.h"

bool lf_run_put_segments(cJSON *o, const lf_run *run) {
    if (!cJSON_GetArraySize(run->segments)) return true;
    cJSON *copy = cJSON_Duplicate(run->segments, true);
    if (copy && cJSON_AddItemToObject(o, lf_key_name(LF_segments), copy)) return true;
    cJSON_Delete(copy);
    return false;
}

/* What lora_ft.json says beside the contract's facts: nothing that depends on time or place, so that the same run
 * writes the same bytes. */
static cJSON *run_facts(const lf_run *run) {
    cJSON *o = lf_cfg_select(run->cfg, LF_IS_MAIN, LF_IS_INPUT);           /* paths are of a place */
    cJSON_DeleteItemFromObjectCaseSensitive(o, lf_key_name(LF_precision)); /* "auto" became one */
    if (o && lf_run_put_segments(o, run) && cJSON_AddNumberToObject(o, "steps", (double)run->progress.step) &&
        cJSON_AddStringToObject(o, "precision", run->k->precision) &&
        cJSON_AddStringToObject(o, "kernels", run->k->name) && cJSON_AddStringToObject(o, "version", lf_version()))
        return o;
    cJSON_Delete(o);
    return NULL;
}

lf_status lf_run_adapter_facts(const lf_run *run, lf_adapter_facts *facts, cJSON **extra, lf_err *err) {
    *extra = run_facts(run);
    if (!*extra) return lf_fail(err, LF_ENOMEM, "out of memory");
    *facts = (lf_adapter_facts){.base_path = run->model->path,
                                .base_hash = run->model->hash,
                                .head = run->model->head.module,
                                .num_labels = run->model->head.n_labels,
                                .id2label = run->model->head.labels,
                                .seed = lf_cfg_i64(run->cfg, LF_seed),
                                .threads = run->threads,
                                .auto_class = run->task->type->auto_class,
                                .task_type = run->task->type->peft_task_type,
                                .old_names = strcmp(lf_cfg_str(run->cfg, LF_peft_names), "transformers4") == 0,
                                .run = *extra};
    return LF_OK;
}

bool lf_run_put_start(cJSON *o, const lf_run *run) {
    cJSON *start = run->adapter ? lf_adapter_start_to_json(run->adapter) : cJSON_CreateNull();
    if (start && cJSON_AddItemToObject(o, "start", start)) return true;
    cJSON_Delete(start);
    return false;
}

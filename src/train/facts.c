/* What a run's files say of the run itself. */
#include <string.h>

#include "train/remedies.h"

void lf_run_put_segments(lf_obj *o, const lf_run *run) {
    if (cJSON_GetArraySize(run->segments)) lf_obj_copy(o, lf_key_name(LF_segments), run->segments);
}

/* What lora_ft.json says beside the contract's facts: nothing that depends on time or place, so that the same run
 * writes the same bytes. */
static cJSON *run_facts(const lf_run *run) {
    lf_obj o = lf_obj_of(lf_cfg_select(run->cfg, LF_IS_MAIN, LF_IS_INPUT)); /* paths are of a place */
    lf_obj_drop(&o, lf_key_name(LF_precision));                             /* "auto" became one */
    lf_remedies_put(&o, run->cfg);
    lf_run_put_segments(&o, run);
    if (run->from) lf_obj_string(&o, "continued_from", run->from_hash);
    lf_obj_number(&o, "steps", (double)run->progress.step);
    lf_obj_string(&o, "precision", run->k->precision);
    lf_obj_string(&o, "kernels", run->k->name);
    lf_obj_string(&o, "version", lf_version());
    return lf_obj_take(&o);
}

/* Of pictures one class each goes without saying. */
static const char *problem_of(const lf_model *m, bool classes) {
    const bool said = m->family->input == LF_TOKENS || m->head.problem != LF_SINGLE_LABEL;
    return classes && said ? lf_problem_name(m->head.problem) : NULL;
}

/* Without a key of their own they are of the training's folder. */
static const char *path_of(const lf_run *run, lf_key_id key) {
    return lf_cfg_path(run->cfg, lf_cfg_is_set(run->cfg, key) ? key : LF_train_data);
}

lf_status lf_run_adapter_facts(const lf_run *run, lf_adapter_facts *facts, cJSON **extra, lf_err *err) {
    *extra = run_facts(run);
    if (!*extra) return lf_no_memory(err, "the facts of a run");
    const lf_model *m = run->model;
    const bool classes = run->task->type->output == LF_CLASSES, texts = classes && m->family->input == LF_TOKENS;
    *facts = (lf_adapter_facts){.base_path = m->path,
                                .base_hash = m->hash,
                                .head = classes ? m->head.module : NULL,
                                .num_labels = m->head.n_labels,
                                .id2label = m->head.labels,
                                .problem_type = problem_of(m, classes),
                                .pad_token_id = texts ? m->tokens.pad : -1,
                                .seed = lf_cfg_i64(run->cfg, LF_seed),
                                .threads = run->threads,
                                .auto_class =
                                    m->family->input == LF_PIXELS ? m->family->class_name : run->task->type->auto_class,
                                .tower = m->family->input == LF_PIXELS && m->family->part_of,
                                .task_type = run->task->type->peft_task_type,
                                .old_names = strcmp(lf_cfg_str(run->cfg, LF_peft_names), "transformers4") == 0,
                                .run = *extra,
                                .hub_id = lf_cfg_str(run->cfg, LF_hub_model_id),
                                .hub_task = run->task->type->hub_task,
                                .eval_data = path_of(run, LF_eval_data),
                                .test_data = path_of(run, LF_test_data),
                                .kept_data = lf_cfg_path(run->cfg, LF_forgetting_data),
                                .beside = run->task->source->save_with_adapter,
                                .context = run->task};
    return LF_OK;
}

void lf_run_put_start(lf_obj *o, const lf_run *run) {
    lf_obj_put(o, "start", run->adapter ? lf_adapter_start_to_json(run->adapter) : cJSON_CreateNull());
}

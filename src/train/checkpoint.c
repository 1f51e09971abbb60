/* Checkpoints hold all that a run's future depends on: trained tensors, the adapter's start, the optimiser's moments,
 * and the counters. Random numbers and the sampler need no state: they are functions of seed and counters. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/run.h"

static const char STATE_FILE[] = "state.safetensors", STATE_JSON[] = "trainer_state.json";
static const char *const moment_names[] = {"exp_avg", "exp_avg_sq"};

/* ---- the tensors of a checkpoint, as one list that saving and restoring walk alike ---- */

typedef struct entry {
    char name[320];
    float *data;
    int64_t n;
} entry;
typedef lf_status (*visit_fn)(void *context, const entry *e, lf_err *err);

static lf_status each_weight(lf_run *run, visit_fn visit, void *context, lf_err *err) {
    for (int64_t i = 0; i < run->n_trainables; i++) {
        const lf_trainable *t = &run->trainables[i];
        entry e = {.data = t->tensor->data, .n = t->tensor->numel};
        snprintf(e.name, sizeof e.name, "param.%s", t->name);
        const lf_status rc = visit(context, &e, err);
        if (rc) return rc;
    }
    return LF_OK;
}

static lf_status each_start(lf_run *run, visit_fn visit, void *context, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; run->adapter && i < lf_adapter_count(run->adapter) && !rc; i++) {
        const lf_module *m = lf_adapter_module(run->adapter, i);
        if (!m->lora->A0) continue;
        entry e = {.data = m->lora->A0, .n = m->lora->A.numel};
        snprintf(e.name, sizeof e.name, "start.%s.lora_A", m->name);
        if ((rc = visit(context, &e, err))) break;
        e.data = m->lora->B0;
        e.n = m->lora->B.numel;
        snprintf(e.name, sizeof e.name, "start.%s.lora_B", m->name);
        rc = visit(context, &e, err);
    }
    return rc;
}

static lf_status each_moment(lf_run *run, visit_fn visit, void *context, lf_err *err) {
    for (int m = 0; m < run->optimizer.n_moments; m++) {
        int64_t at = 0;
        for (int64_t i = 0; i < run->n_trainables; i++) {
            const lf_trainable *t = &run->trainables[i];
            entry e = {.data = run->optimizer.moments[m] + at, .n = t->tensor->numel};
            snprintf(e.name, sizeof e.name, "%s.%s", moment_names[m], t->name);
            const lf_status rc = visit(context, &e, err);
            if (rc) return rc;
            at += t->tensor->numel;
        }
    }
    return LF_OK;
}

static lf_status each_tensor(lf_run *run, visit_fn visit, void *context, lf_err *err) {
    lf_status rc;
    if ((rc = each_weight(run, visit, context, err)) || (rc = each_start(run, visit, context, err))) return rc;
    return each_moment(run, visit, context, err);
}

/* ---- writing ---- */

static lf_status declare_entry(void *writer, const entry *e, lf_err *err) {
    return lf_st_writer_declare(writer, e->name, LF_F32, 1, &e->n, err);
}
static lf_status write_entry(void *writer, const entry *e, lf_err *err) {
    return lf_st_writer_write_f32(writer, e->data, e->n, err);
}

static lf_status write_state(lf_run *run, const char *dir, lf_err *err) {
    lf_st_writer *w = NULL;
    char *path = lf_path_join(dir, STATE_FILE);
    lf_status rc = path ? lf_st_writer_new(&w, path, err) : lf_fail(err, LF_ENOMEM, "%s: out of memory", dir);
    if (!rc && !(rc = each_tensor(run, declare_entry, w, err)) && !(rc = each_tensor(run, write_entry, w, err))) {
        rc = lf_st_writer_commit(w, err);
        w = NULL;
    }
    lf_st_writer_abort(w);
    lf_free(path);
    return rc;
}

/* What must be the same for a resumed run to be the same run. */
static const char *const fixed_keys[] = {"seed",           "method",          "optim",           "lr_scheduler_type",
                                         "augmentation",   "train_val_split", "reuse_head",      "r",
                                         "lora_alpha",     "lora_dropout",    "use_rslora",      "init_lora_weights",
                                         "init_position",  "target_modules",  "exclude_modules", "layers_to_transform",
                                         "layers_pattern", "rank_pattern",    "alpha_pattern"};

static cJSON *state_json(const lf_run *run) {
    const lf_progress_state *at = &run->progress;
    cJSON *o = cJSON_CreateObject(), *fixed = cJSON_AddObjectToObject(o, "run");
    cJSON_AddNumberToObject(o, "global_step", (double)at->step);
    cJSON_AddNumberToObject(o, "max_steps", (double)run->total_steps);
    cJSON_AddNumberToObject(o, "epoch", (double)at->step / (double)run->steps_per_epoch);
    if (isfinite(at->best_metric)) cJSON_AddNumberToObject(o, "best_metric", at->best_metric);
    cJSON_AddNumberToObject(o, "best_global_step", (double)at->best_step);
    cJSON_AddNumberToObject(o, "evaluations_without_gain", (double)at->evals_without_gain);
    cJSON_AddNumberToObject(o, "optimizer_steps", (double)run->optimizer.steps);
    cJSON_AddNumberToObject(o, "skipped_images", (double)at->skipped_images);
    cJSON_AddNumberToObject(o, "loss_since_log", at->since_log.loss);
    cJSON_AddNumberToObject(o, "targets_since_log", (double)at->since_log.targets);
    cJSON_AddNumberToObject(o, "correct_since_log", (double)at->since_log.correct);
    cJSON_AddNumberToObject(o, "train_seconds", at->train_seconds);
    if (isfinite(at->eval_accuracy_before))
        cJSON_AddNumberToObject(o, "eval_accuracy_before", at->eval_accuracy_before);
    if (isfinite(at->eval_loss_before)) cJSON_AddNumberToObject(o, "eval_loss_before", at->eval_loss_before);
    cJSON_AddNumberToObject(fixed, "threads", run->threads);
    cJSON_AddNumberToObject(fixed, "train_examples", (double)run->task->type->count(run->task, LF_DATA_TRAIN));
    cJSON_AddNumberToObject(fixed, "batch_size", (double)run->batch_size);
    cJSON_AddNumberToObject(fixed, "gradient_accumulation_steps", (double)run->accumulation);
    cJSON_AddStringToObject(fixed, "kernels", run->k->name);
    cJSON_AddStringToObject(fixed, "base_hash", run->model->hash);
    const char *const *own = run->task->type->fixed_keys;
    size_t n_own = 0;
    while (own[n_own]) n_own++;
    if (lf_run_add_keys(fixed, run, fixed_keys, sizeof fixed_keys / sizeof fixed_keys[0]) &&
        lf_run_add_keys(fixed, run, own, n_own))
        return o;
    cJSON_Delete(o);
    return NULL;
}

static lf_status write_state_json(const lf_run *run, const char *dir, lf_err *err) {
    cJSON *o = state_json(run);
    const lf_status rc = lf_json_write_in(dir, STATE_JSON, o, false, err);
    cJSON_Delete(o);
    return rc;
}

static lf_status write_adapter(lf_run *run, const char *dir, lf_err *err) {
    if (run->method == LF_METHOD_FULL) return LF_OK;
    lf_adapter_facts facts;
    cJSON *extra = NULL;
    char *path = lf_path_join(dir, "adapter");
    lf_status rc =
        path ? lf_run_adapter_facts(run, &facts, &extra, err) : lf_fail(err, LF_ENOMEM, "%s: out of memory", dir);
    if (!rc) rc = lf_adapter_save(run->adapter, &run->model->nn, path, &facts, err);
    cJSON_Delete(extra);
    lf_free(path);
    return rc;
}

static int64_t step_of(const char *name) {
    static const char prefix[] = "checkpoint-";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return -1;
    char *end;
    const long long step = strtoll(name + sizeof prefix - 1, &end, 10);
    return *end || end == name + sizeof prefix - 1 || step < 0 ? -1 : (int64_t)step;
}

/* Removes the oldest checkpoints beyond save_total_limit; never the newest, nor the best one while it may be wanted. */
static lf_status prune(const lf_run *run, lf_err *err) {
    const int64_t limit = lf_cfg_i64(run->cfg, "save_total_limit");
    if (limit <= 0) return LF_OK;
    char **names;
    size_t count;
    lf_status rc = lf_list_dir(&names, &count, run->dir, err);
    if (rc) return rc;
    for (;;) {
        int64_t have = 0, oldest = INT64_MAX;
        for (size_t i = 0; i < count; i++) {
            const int64_t step = step_of(names[i]);
            if (step < 0) continue;
            have++;
            if (step < oldest && step != run->progress.best_step && step != run->progress.step) oldest = step;
        }
        if (rc || have <= limit || oldest == INT64_MAX) break;
        for (size_t i = 0; i < count; i++) {
            if (step_of(names[i]) != oldest) continue;
            char *path = lf_path_join(run->dir, names[i]);
            rc = path ? lf_remove_tree(path, err) : lf_fail(err, LF_ENOMEM, "%s: out of memory", run->dir);
            lf_free(path);
            names[i][0] = 0;
        }
    }
    lf_free(names);
    return rc;
}

lf_status lf_checkpoint_save(lf_run *run, lf_err *err) {
    char *path = lf_format("%s/checkpoint-%lld", run->dir, (long long)run->progress.step);
    char *aside = path ? lf_format("%s.tmp", path) : NULL;
    lf_status rc = aside ? LF_OK : lf_fail(err, LF_ENOMEM, "%s: out of memory", run->dir);
    if (!rc && !(rc = lf_remove_tree(aside, err)) && !(rc = lf_mkdir_p(aside, err)) &&
        !(rc = write_state(run, aside, err)) && !(rc = write_adapter(run, aside, err)) &&
        !(rc = write_state_json(run, aside, err)))
        rc = lf_replace_dir(aside, path, err);
    if (!rc) rc = prune(run, err);
    if (rc && aside) lf_remove_tree(aside, NULL);
    lf_free(aside);
    lf_free(path);
    return rc;
}

/* ---- reading ---- */

/* Folders get their names when they are whole; one that lost a file since was being removed. */
static bool is_whole(const char *dir, const char *name) {
    char *json = lf_format("%s/%s/%s", dir, name, STATE_JSON), *state = lf_format("%s/%s/%s", dir, name, STATE_FILE);
    const bool whole = json && state && lf_is_file(json) && lf_is_file(state);
    lf_free(state);
    lf_free(json);
    return whole;
}

lf_status lf_checkpoint_find(char **path, const lf_run *run, lf_err *err) {
    *path = NULL;
    const cJSON *from = lf_cfg_json(run->cfg, "resume_from_checkpoint");
    if (!from || cJSON_IsFalse(from)) return LF_OK;
    if (cJSON_IsString(from)) {
        if (!lf_is_dir(from->valuestring))
            return lf_cfg_fail(run->cfg, "resume_from_checkpoint", err,
                               "expected true or a checkpoint folder, found '%s', which is no folder",
                               from->valuestring);
        *path = lf_strdup(from->valuestring);
        return *path ? LF_OK : lf_fail(err, LF_ENOMEM, "out of memory");
    }
    char **names = NULL;
    size_t count = 0;
    if (!lf_is_dir(run->dir)) return LF_OK;
    lf_status rc = lf_list_dir(&names, &count, run->dir, err);
    int64_t newest = -1;
    for (size_t i = 0; i < count && !rc; i++) {
        if (step_of(names[i]) > newest && is_whole(run->dir, names[i])) newest = step_of(names[i]);
    }
    lf_free(names);
    if (!rc && newest >= 0 && !(*path = lf_format("%s/checkpoint-%lld", run->dir, (long long)newest)))
        rc = lf_fail(err, LF_ENOMEM, "%s: out of memory", run->dir);
    return rc;
}

static lf_status read_entry(void *file, const entry *e, lf_err *err) {
    const lf_safetensors *st = file;
    const lf_st_tensor *t = lf_safetensors_find(st, e->name);
    if (!t || t->dtype != LF_F32 || t->numel != e->n)
        return lf_fail(
            err, LF_EDATA,
            "%s: tensor '%s': expected %lld numbers of F32, found %s; is the checkpoint of this configuration?",
            lf_safetensors_path(st), e->name, (long long)e->n, t ? "others" : "none");
    memcpy(e->data, t->data, (size_t)e->n * sizeof *e->data);
    return LF_OK;
}

static lf_status check_same_run(const lf_run *run, const cJSON *saved, const char *path, lf_err *err) {
    cJSON *now = state_json(run);
    if (!now) return lf_fail(err, LF_ENOMEM, "%s: out of memory", path);
    const cJSON *was = cJSON_GetObjectItemCaseSensitive(saved, "run"), *is;
    lf_status rc = LF_OK;
    cJSON_ArrayForEach(is, cJSON_GetObjectItemCaseSensitive(now, "run")) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(was, is->string);
        bool same = false;
        if (!rc && !lf_json_same(&same, old, is)) rc = lf_fail(err, LF_ENOMEM, "%s: out of memory", path);
        if (rc || same) continue;
        const bool machine = strcmp(is->string, "threads") == 0 || strcmp(is->string, "kernels") == 0;
        char *a = old ? lf_json_print_line(old) : NULL, *b = lf_json_print_line(is);
        if (machine && lf_cfg_bool(run->cfg, "force_resume"))
            lf_warn("%s: '%s' was %s and is %s: the result will not be that of an uninterrupted run", path, is->string,
                    a ? a : "not recorded", b ? b : "?");
        else
            rc =
                lf_fail(err, LF_EUSAGE, "%s: cannot resume: '%s' was %s and is %s%s", path, is->string,
                        a ? a : "not recorded", b ? b : "?",
                        machine ? "; set force_resume to go on all the same" : "; start again with another output_dir");
        lf_free(a);
        lf_free(b);
    }
    cJSON_Delete(now);
    return rc;
}

static lf_status read_counters(lf_run *run, const cJSON *saved, const char *path, lf_err *err) {
    lf_progress_state *at = &run->progress;
    lf_status rc;
    if ((rc = lf_json_get_i64(saved, "global_step", -1, &at->step, path, err)) ||
        (rc = lf_json_get_f64(saved, "best_metric", NAN, &at->best_metric, path, err)) ||
        (rc = lf_json_get_i64(saved, "best_global_step", 0, &at->best_step, path, err)) ||
        (rc = lf_json_get_i64(saved, "evaluations_without_gain", 0, &at->evals_without_gain, path, err)) ||
        (rc = lf_json_get_i64(saved, "optimizer_steps", -1, &run->optimizer.steps, path, err)) ||
        (rc = lf_json_get_i64(saved, "skipped_images", 0, &at->skipped_images, path, err)) ||
        (rc = lf_json_get_f64(saved, "loss_since_log", 0, &at->since_log.loss, path, err)) ||
        (rc = lf_json_get_i64(saved, "targets_since_log", 0, &at->since_log.targets, path, err)) ||
        (rc = lf_json_get_i64(saved, "correct_since_log", 0, &at->since_log.correct, path, err)) ||
        (rc = lf_json_get_f64(saved, "train_seconds", 0, &at->train_seconds, path, err)) ||
        (rc = lf_json_get_f64(saved, "eval_accuracy_before", NAN, &at->eval_accuracy_before, path, err)) ||
        (rc = lf_json_get_f64(saved, "eval_loss_before", NAN, &at->eval_loss_before, path, err)))
        return rc;
    if (at->step < 0 || at->step > run->total_steps)
        return lf_fail(err, LF_EDATA,
                       "%s: key 'global_step': expected 0 to %lld (the steps of this configuration), found %lld; raise "
                       "max_steps or num_train_epochs, "
                       "or start again with another output_dir",
                       path, (long long)run->total_steps, (long long)at->step);
    if (run->optimizer.steps < 0 || run->optimizer.steps > at->step)
        return lf_fail(err, LF_EDATA, "%s: key 'optimizer_steps': expected 0 to %lld, found %lld", path,
                       (long long)at->step, (long long)run->optimizer.steps);
    return LF_OK;
}

/* The best checkpoint lies beside the resumed one, but not where a run goes on in another folder. */
static void forget_best_elsewhere(lf_run *run) {
    char *name = lf_format("checkpoint-%lld", (long long)run->progress.best_step);
    const bool here = name && is_whole(run->dir, name);
    lf_free(name);
    if (here || run->progress.best_step == 0 || !lf_cfg_bool(run->cfg, "load_best_model_at_end")) return;
    lf_warn("%s/checkpoint-%lld, the best so far, is not there: the best is looked for from step %lld on", run->dir,
            (long long)run->progress.best_step, (long long)run->progress.step);
    run->progress.best_step = 0;
    run->progress.best_metric = NAN;
}

static lf_status with_state(lf_run *run, const char *dir, lf_status (*each)(lf_run *, visit_fn, void *, lf_err *),
                            lf_err *err) {
    char *path = lf_path_join(dir, STATE_FILE);
    lf_safetensors *st = NULL;
    lf_status rc = path ? lf_safetensors_open(&st, path, err) : lf_fail(err, LF_ENOMEM, "%s: out of memory", dir);
    if (!rc) rc = each(run, read_entry, st, err);
    lf_safetensors_close(st);
    lf_free(path);
    return rc;
}

lf_status lf_checkpoint_restore_weights(lf_run *run, const char *dir, lf_err *err) {
    return with_state(run, dir, each_weight, err);
}

lf_status lf_checkpoint_restore(lf_run *run, const char *dir, lf_err *err) {
    char *path = lf_path_join(dir, STATE_JSON);
    cJSON *saved = NULL;
    lf_status rc = path ? lf_json_read(&saved, path, err) : lf_fail(err, LF_ENOMEM, "%s: out of memory", dir);
    if (!rc && !(rc = check_same_run(run, saved, path, err)) && !(rc = read_counters(run, saved, path, err)))
        rc = with_state(run, dir, each_tensor, err);
    if (!rc) forget_best_elsewhere(run);
    cJSON_Delete(saved);
    lf_free(path);
    return rc;
}

/* Going on with a checkpoint: whether it is of this run, its tensors and counters, and the same on other ranks. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/string.h"
#include "base/world.h"
#include "train/checkpoint_internal.h"

/* ---- sharing ---- */

static lf_status share_entry(void *nothing, const lf_entry *e, lf_err *err) {
    (void)nothing;
    return lf_world_share(0, e->data, (size_t)e->n * sizeof *e->data, err);
}

lf_status lf_checkpoint_share(lf_run *run, lf_err *err) {
    lf_counters c = lf_counters_of(run);
    lf_status rc;
    if (lf_world_size() == 1) return LF_OK;
    if ((rc = lf_world_share(0, &c, sizeof c, err)) || (rc = lf_checkpoint_each_tensor(run, share_entry, NULL, err)))
        return rc;
    run->progress = c.at;
    run->optimizer.steps = c.optimizer_steps;
    run->schedule.plateau = c.plateau;
    run->planned_steps = c.planned_steps;
    lf_schedule_stretch(&run->schedule, run->cfg, c.planned_steps);
    return LF_OK;
}

/* ---- restoring ---- */

static lf_status read_entry(void *file, const lf_entry *e, lf_err *err) {
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

static lf_status other_fact(const lf_run *run, const cJSON *old, const cJSON *now, const char *path, lf_err *err) {
    const bool machine = strcmp(now->string, "kernels") == 0, older = strcmp(now->string, LF_REDUCTION) == 0 && !old;
    char *a = old ? lf_json_print_line(old) : NULL, *b = lf_json_print_line(now);
    lf_status rc = LF_OK;
    if (machine && lf_cfg_bool(run->cfg, LF_force_resume))
        lf_warn("%s: '%s' was %s and is %s: the result will not be that of an uninterrupted run", path, now->string,
                a ? a : "not recorded", b ? b : "?");
    else
        rc = lf_fail(err, LF_EUSAGE, "%s: cannot resume: '%s' was %s and is %s; %s", path, now->string,
                     a ? a : "not recorded", b ? b : "?",
                     older ? "an earlier version added gradient_accumulation_steps one behind the other, so it would "
                             "become another run; begin again with another output_dir"
                     : machine ? "set force_resume to go on all the same"
                               : "begin again with another output_dir");
    lf_free(a);
    lf_free(b);
    return rc;
}

static lf_status check_facts(const lf_run *run, const cJSON *was, const char *path, lf_err *err) {
    cJSON *facts = lf_checkpoint_facts(run);
    const cJSON *now;
    lf_status rc = facts ? LF_OK : lf_no_memory(err, "%s", path);
    cJSON_ArrayForEach(now, facts) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(was, now->string);
        bool same = false;
        if (!rc && !lf_json_same(&same, old, now)) rc = lf_no_memory(err, "%s", path);
        if (!rc && !same) rc = other_fact(run, old, now, path, err);
    }
    cJSON_Delete(facts);
    return rc;
}

static lf_status check_keys(lf_run *run, const cJSON *was, const char *path, int64_t step, lf_err *err) {
    cJSON *now = lf_checkpoint_keys(run);
    const lf_status rc =
        now ? lf_cfg_check_resume(run->cfg, was, now, path, step, run->segments, err) : lf_no_memory(err, "%s", path);
    cJSON_Delete(now);
    return rc;
}

/* Epochs and steps are compared by what they come to. */
static lf_status check_length(const lf_run *run, const lf_counters *c, const char *path, lf_err *err) {
    if (run->total_steps >= c->max_steps) return LF_OK;
    return lf_fail(err, LF_EUSAGE,
                   "%s: cannot resume: the run was to have %lld steps and is to have %lld now (max_steps, or "
                   "num_train_epochs); a run that goes on can only be longer, choose another output_dir",
                   path, (long long)c->max_steps, (long long)run->total_steps);
}

static lf_status check_plateau(const lf_run *run, const lf_counters *c, const char *path, lf_err *err) {
    if (!run->schedule.watches || isfinite(c->plateau.factor)) return LF_OK;
    return lf_fail(err, LF_EDATA,
                   "%s: does not say where reduce_lr_on_plateau stands ('plateau_factor'); take an older checkpoint",
                   path);
}

/* The segments so far, as a list of its own; NULL: out of memory, or no list. */
static lf_status take_segments(lf_run *run, const cJSON *saved, const char *path, lf_err *err) {
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(saved, lf_key_name(LF_segments));
    if (!cJSON_IsArray(before))
        return lf_fail(err, LF_EDATA, "%s: key '%s': expected a list", path, lf_key_name(LF_segments));
    cJSON_Delete(run->segments);
    run->segments = cJSON_Duplicate(before, true);
    return run->segments ? LF_OK : lf_no_memory(err, "%s", path);
}

static int segments_before(const cJSON *saved) {
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(saved, lf_key_name(LF_segments)));
}

/* Whether the steps that are done had the learning rates that a run of the new length gives them: a longer run is then
 * that run, else it has a course of its own. */
static lf_status say_length(const lf_run *run, const lf_counters *c, const char *path, lf_err *err) {
    lf_schedule was;
    const lf_status rc = lf_schedule_read(&was, run->cfg, c->max_steps, err);
    if (rc || run->total_steps == c->max_steps) return rc;
    lf_schedule_stretch(&was, run->cfg, c->planned_steps);
    was.plateau = c->plateau;
    int64_t same = 0;
    while (same < c->at.step && lf_schedule_factor(&was, same) == lf_schedule_factor(&run->schedule, same)) same++;
    if (same == c->at.step)
        lf_info("%s: longer by %lld steps; as if it had been so long from the beginning", path,
                (long long)(run->total_steps - c->max_steps));
    else
        lf_info("%s: longer by %lld steps; lr_scheduler_type %s goes over all of them now, so the %lld steps that are "
                "done had other learning rates than in a run of this length from the beginning (constant has the same)",
                path, (long long)(run->total_steps - c->max_steps), lf_cfg_str(run->cfg, LF_lr_scheduler_type),
                (long long)c->at.step);
    return LF_OK;
}

static lf_status restore_counters(lf_run *run, const cJSON *saved, const char *path, lf_err *err) {
    lf_counters c;
    lf_status rc;
    if ((rc = lf_counters_read(&c, saved, path, err)) || (rc = take_segments(run, saved, path, err)) ||
        (rc = check_keys(run, cJSON_GetObjectItemCaseSensitive(saved, "run"), path, c.at.step, err)) ||
        (rc =
             lf_run_check_data(run, cJSON_GetObjectItemCaseSensitive(saved, lf_key_name(LF_data_hashes)), path, err)) ||
        (rc = check_facts(run, cJSON_GetObjectItemCaseSensitive(saved, "facts"), path, err)) ||
        (rc = check_length(run, &c, path, err)) || (rc = check_plateau(run, &c, path, err)))
        return rc;
    lf_cfg_say_segments(run->segments, segments_before(saved), path);
    run->progress = c.at;
    run->optimizer.steps = c.optimizer_steps;
    run->schedule.plateau = c.plateau;
    run->planned_steps = c.planned_steps;
    lf_schedule_stretch(&run->schedule, run->cfg, c.planned_steps);
    return say_length(run, &c, path, err);
}

/* The best checkpoint lies beside the resumed one, but not where a run goes on in another folder. */
static void forget_best_elsewhere(lf_run *run) {
    char *name = lf_format("checkpoint-%lld", (long long)run->progress.best_step);
    const bool here = name && lf_checkpoint_is_whole(run->dir, name);
    lf_free(name);
    if (here || run->progress.best_step == 0 || !lf_cfg_bool(run->cfg, LF_load_best_model_at_end)) return;
    lf_warn("%s/checkpoint-%lld, the best so far, is not there: the best is looked for from step %lld on", run->dir,
            (long long)run->progress.best_step, (long long)run->progress.step);
    run->progress.best_step = 0;
    run->progress.best_metric = run->progress.best_forgetting = NAN;
}

static lf_status with_state(lf_run *run, const char *dir, lf_status (*each)(lf_run *, lf_visit_entry, void *, lf_err *),
                            lf_err *err) {
    lf_safetensors *st = NULL;
    lf_status rc = lf_checkpoint_open_state(&st, dir, err);
    if (!rc) rc = each(run, read_entry, st, err);
    lf_safetensors_close(st);
    return rc;
}

lf_status lf_checkpoint_restore_weights(lf_run *run, const char *dir, lf_err *err) {
    lf_status rc = lf_world_is_first() ? lf_checkpoint_check(dir, err) : LF_OK;
    if (!rc && lf_world_is_first()) rc = with_state(run, dir, lf_checkpoint_each_result, err);
    rc = lf_world_first_did(rc, err);
    return rc || lf_world_size() == 1 ? rc : lf_checkpoint_each_result(run, share_entry, NULL, err);
}

lf_status lf_checkpoint_restore(lf_run *run, const char *dir, lf_err *err) {
    cJSON *saved = NULL;
    lf_status rc = lf_checkpoint_check(dir, err);
    if (!rc && !(rc = lf_checkpoint_read_json(&saved, dir, err)) && !(rc = restore_counters(run, saved, dir, err)))
        rc = with_state(run, dir, lf_checkpoint_each_tensor, err);
    if (!rc) forget_best_elsewhere(run);
    cJSON_Delete(saved);
    return rc;
}

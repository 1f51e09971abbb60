/* The verb `train`. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/string.h"
#include "base/world.h"
#include "train/checkpoint_internal.h"
#include "train/estimate.h"
#include "train/fitting.h"
#include "train/run.h"

#define RESULTS "all_results.json"
#define ERROR   "error.json"

static lf_status write_config(const lf_run *run, lf_err *err) {
    lf_obj o = lf_obj_of(lf_cfg_resolved_to_json(run->cfg));
    lf_run_put_segments(&o, run);
    lf_obj_put(&o, lf_key_name(LF_data_hashes), lf_run_data_hashes(run));
    if (run->task->source->put_moment) run->task->source->put_moment(run->task, &o);
    return lf_obj_write_in(&o, run->dir, "config.json", false, err);
}

static lf_status deliver_results(const lf_run *run, lf_outlet *to, lf_err *err) {
    if (!to->out || lf_cfg_bool(run->cfg, LF_json)) return lf_outlet_take(to, lf_run_results(run), err);
    lf_results_table(&run->results, to->out);
    return LF_OK;
}

/* "records 24, tokens 310, ...; apple 11, bee 11" */
static lf_status say_counts(const cJSON *counts, lf_err *err) {
    const cJSON *count, *classes = cJSON_GetObjectItemCaseSensitive(counts, "classes");
    lf_string t = {0};
    cJSON_ArrayForEach(count, counts) if (cJSON_IsNumber(count))
        lf_string_add(&t, "%s%s %.0f", t.n ? ", " : "", count->string, count->valuedouble);
    cJSON_ArrayForEach(count, classes)
        lf_string_add(&t, "%s%s %.0f", count == classes->child ? "; " : ", ", count->string, count->valuedouble);
    if (!t.failed) lf_info("train_data: %s", t.s);
    const lf_status rc = t.failed ? lf_no_memory(err, "the counts") : LF_OK;
    lf_string_free(&t);
    return rc;
}

/* What dry_run has to say; to stdout only as JSON. */
static lf_status deliver_plan(lf_run *run, lf_outlet *to, lf_err *err) {
    lf_obj o = lf_obj_new();
    lf_estimate estimate;
    lf_status rc = lf_run_estimate(run, &estimate, err);
    if (!rc) rc = run->task->source->preview(run->task, 0, NULL, &o, err);
    if (!rc) rc = say_counts(cJSON_GetObjectItemCaseSensitive(o.json, "counts"), err);
    if (rc) {
        cJSON_Delete(lf_obj_take(&o));
        return rc;
    }
    lf_info("%lld steps of %lld examples, %lld steps an epoch; nothing was trained (dry_run)",
            (long long)run->total_steps, (long long)(run->batch_size * run->accumulation),
            (long long)run->steps_per_epoch);
    lf_estimate_say(run, &estimate);
    if (to->out && !lf_cfg_bool(run->cfg, LF_json)) {
        cJSON_Delete(lf_obj_take(&o));
        return LF_OK;
    }
    lf_obj_number(&o, "total_steps", (double)run->total_steps);
    lf_obj_number(&o, "steps_per_epoch", (double)run->steps_per_epoch);
    lf_obj_number(&o, "train_examples", (double)run->task->source->count(run->task, LF_DATA_TRAIN));
    lf_obj_number(&o, "trainable_parameters", (double)run->results.trainable_parameters);
    lf_obj_put(&o, "estimate", lf_estimate_json(&estimate));
    return lf_outlet_take(to, lf_obj_take(&o), err);
}

/* Runs of earlier versions wrote no hashes. */
static lf_status check_same_data(const lf_config *cfg, const cJSON *was, const char *dir, lf_err *err) {
    const cJSON *hashes = cJSON_GetObjectItemCaseSensitive(was, lf_key_name(LF_data_hashes));
    if (!hashes) return LF_OK;
    lf_run run;
    lf_status rc = lf_run_open_data(&run, cfg, err);
    if (!rc) rc = lf_run_check_data(&run, hashes, dir, err);
    lf_run_close(&run);
    return rc;
}

/* Results of other settings, or of other data, are not those that were asked for. */
static lf_status check_finished(lf_key_id *longer, const lf_config *cfg, lf_err *err) {
    const char *dir = lf_cfg_str(cfg, LF_output_dir);
    cJSON *was;
    lf_status rc = lf_json_read_in(&was, dir, "config.json", err);
    if (!rc) rc = lf_cfg_check_finished(cfg, was, dir, longer, err);
    if (!rc && !*longer) rc = check_same_data(cfg, was, dir, err);
    cJSON_Delete(was);
    return rc;
}

/* A run that is finished already is left as it is: resuming it trains nothing and changes nothing. One that is to be
 * longer goes on from its checkpoints. */
static lf_status leave_finished(bool *finished, const lf_config *cfg, lf_outlet *to, lf_err *err) {
    char *path = lf_path_join(lf_cfg_str(cfg, LF_output_dir), RESULTS);
    lf_status rc = path ? LF_OK : lf_no_memory(err, "a run");
    *finished = path && cJSON_IsTrue(lf_cfg_json(cfg, LF_resume_from_checkpoint)) && lf_is_file(path);
    lf_key_id longer = LF_NO_KEY;
    if (*finished) rc = check_finished(&longer, cfg, err);
    *finished = *finished && !longer;
    if (*finished && !rc) {
        lf_run_settle_folder(lf_cfg_str(cfg, LF_output_dir));
        lf_info("%s is there: the run is finished, nothing to resume", path);
    }
    cJSON *results = NULL;
    const bool wanted = *finished && (!to->out || lf_cfg_bool(cfg, LF_json));
    if (!rc && wanted && !(rc = lf_json_read(&results, path, err))) rc = lf_outlet_take(to, results, err);
    lf_free(path);
    return rc;
}

/* A run that goes on has not ended: what an earlier end left would make it look so. */
static lf_status remove_ends(const lf_run *run, lf_err *err) {
    const lf_status rc = lf_remove_in(run->dir, RESULTS, err);
    return rc ? rc : lf_remove_in(run->dir, ERROR, err);
}

/* Is it a finished run that is to be longer? (Had nothing changed, it would have been left as it is.) Its results and
 * its config.json stand, and are of each other, until there are new ones: so it is found again as what it is. */
static lf_status is_lengthened(bool *is, const lf_run *run, lf_err *err) {
    char *path = lf_path_join(run->dir, RESULTS);
    *is = path && cJSON_IsTrue(lf_cfg_json(run->cfg, LF_resume_from_checkpoint)) && lf_is_file(path) &&
          !lf_cfg_bool(run->cfg, LF_overwrite_output_dir);
    const lf_status rc = path ? LF_OK : lf_no_memory(err, "%s", run->dir);
    lf_free(path);
    return rc;
}

/* How a run ended that has no results, for whoever looks at many runs. That it cannot be written changes nothing. */
static void record_failure(const lf_run *run, lf_status status, const lf_err *err) {
    if (status == LF_EINTERRUPTED || !lf_world_is_first()) return;
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "exit_code", lf_status_exit_code(status));
    lf_obj_string(&o, "state", status == LF_EDIVERGED ? "diverged" : "failed");
    lf_obj_number(&o, "steps_done", (double)run->progress.step);
    lf_obj_string(&o, "message", err ? err->message : lf_status_text(status));
    lf_run_put_start(&o, run);
    lf_obj_write_in(&o, run->dir, ERROR, false, NULL);
}

/* A finished run that is to be longer, but kept no checkpoint, would begin again over its own results. */
static lf_status check_nothing_is_lost(const lf_run *run, lf_err *err) {
    char *path = lf_path_join(run->dir, RESULTS);
    lf_status rc = path ? LF_OK : lf_no_memory(err, "%s", run->dir);
    if (path && lf_is_file(path) && !lf_cfg_bool(run->cfg, LF_overwrite_output_dir))
        rc = lf_cfg_fail(
            run->cfg, LF_resume_from_checkpoint, err,
            "%s is finished and has no whole checkpoint to go on from (save_strategy no keeps none); choose "
            "another output_dir, where --continue_from %s/adapter begins with what it learned, or set "
            "overwrite_output_dir to run it again",
            run->dir, run->dir);
    lf_free(path);
    return rc;
}

static lf_status start_or_resume(lf_run *run, lf_err *err) {
    char *checkpoint;
    lf_status rc = lf_checkpoint_find(&checkpoint, run, err);
    if (rc) return rc;
    const cJSON *asked = lf_cfg_json(run->cfg, LF_resume_from_checkpoint);
    if (!rc && checkpoint && !(rc = lf_checkpoint_restore(run, checkpoint, err)))
        lf_info("resumed from %s, step %lld of %lld", checkpoint, (long long)run->progress.step,
                (long long)run->total_steps);
    else if (!rc && !checkpoint && cJSON_IsTrue(asked))
        lf_info("%s holds no whole checkpoint: starting at the beginning", run->dir);
    if (!rc) rc = checkpoint ? lf_checkpoint_set_later_aside(run, err) : check_nothing_is_lost(run, err);
    const int64_t keep = checkpoint ? run->progress.step : -1;
    lf_free(checkpoint);
    bool events = false;
    for (int64_t i = 0; i < lf_cfg_list_count(run->cfg, LF_report_to); i++)
        events = events || strcmp(lf_cfg_list_at(run->cfg, LF_report_to, i), "tensorboard") == 0;
    return rc ? rc : lf_metrics_open(&run->metrics, run->dir, keep, events, err);
}

static lf_status loop_and_finish(lf_run *run, lf_err *err) {
    lf_stake_begin();
    lf_status rc = lf_run_loop(run, err);
    if (!rc && lf_world_is_first())
        lf_interrupt_means("training is over: its results are measured and written, which a second Ctrl-C would lose");
    if (!rc) rc = lf_run_finish(run, err);
    lf_interrupt_means(NULL);
    lf_stake_end();
    return rc;
}

/* What was found of the data, for a run that goes on here. */
static lf_status keep_checks(const lf_run *run, lf_err *err) {
    const lf_source_type *source = run->task->source;
    return source->keep_checks ? source->keep_checks(run->task, run->dir, err) : LF_OK;
}

/* What is to be found and left in the run's folder before its first step. */
static lf_status prepare_folder(lf_run *run, bool *lengthened, lf_err *err) {
    lf_status rc = is_lengthened(lengthened, run, err);
    if (rc || (rc = start_or_resume(run, err)) || (rc = keep_checks(run, err)) || *lengthened) return rc;
    return (rc = remove_ends(run, err)) ? rc : write_config(run, err);
}

/* From the first step, or from where a checkpoint ends, to what is written at the end. Rank 0 knows the folder. */
static lf_status train(lf_run *run, lf_err *err) {
    bool lengthened = false;
    lf_status rc = LF_OK;
    if (!(run->segments = cJSON_CreateArray())) return lf_no_memory(err, "a run");
    if (lf_world_is_first()) rc = prepare_folder(run, &lengthened, err);
    if ((rc = lf_world_first_did(rc, err)) || (rc = lf_world_share(0, &lengthened, sizeof lengthened, err)) ||
        (rc = lf_checkpoint_share(run, err)))
        return rc;
    if ((rc = loop_and_finish(run, err)) && !lengthened) record_failure(run, rc, err);
    return rc || !lengthened || !lf_world_is_first() ? rc : write_config(run, err);
}

static lf_status run_or_leave(const lf_config *cfg, lf_outlet *to, lf_watcher *watcher, lf_err *err) {
    bool finished = false;
    lf_status rc = lf_world_is_first() ? leave_finished(&finished, cfg, to, err) : LF_OK;
    if ((rc = lf_world_first_did(rc, err)) || (rc = lf_world_share(0, &finished, sizeof finished, err)) || finished)
        return rc;
    lf_run run;
    rc = lf_run_open(&run, cfg, err);
    run.watcher = watcher;
    if (!rc && lf_cfg_bool(cfg, LF_dry_run))
        rc = deliver_plan(&run, to, err);
    else if (!rc && !(rc = train(&run, err)))
        rc = deliver_results(&run, to, err);
    lf_run_close(&run);
    return rc;
}

/* A run that an earlier version began goes on with the examples that it drew. A file that is not there, or cannot be
 * read, is told of when it is needed. */
static lf_status take_from_run(lf_config *own, lf_err *err) {
    const cJSON *resume = lf_cfg_json(own, LF_resume_from_checkpoint), *keys;
    const bool checkpoint = cJSON_IsString(resume);
    cJSON *was = NULL;
    lf_err ignored = {0};
    if (!checkpoint && !cJSON_IsTrue(resume)) return LF_OK;
    lf_status rc = lf_json_read_in(&was, checkpoint ? resume->valuestring : lf_cfg_str(own, LF_output_dir),
                                   checkpoint ? LF_STATE_JSON : "config.json", &ignored);
    if (rc) return rc == LF_ENOMEM ? lf_no_memory(err, "a run") : LF_OK;
    keys = checkpoint ? cJSON_GetObjectItemCaseSensitive(was, "run") : was;
    rc = lf_cfg_take_inherited(own, keys, "the run that goes on", err);
    if (!rc && lf_fitting_is_asked(own)) rc = lf_fitting_keep(own, keys, err);
    cJSON_Delete(was);
    return rc;
}

static lf_status fit(lf_config *own, lf_err *err) {
    int64_t most;
    if (!lf_fitting_is_asked(own)) return LF_OK;
    const lf_status rc = lf_fitting_find(&most, own, 1, err);
    return rc ? rc : lf_fitting_settle(own, most, err);
}

/* With continue_from, the settings of that adapter are the run's, as if they had been given. */
lf_status lf_train_to(const lf_config *cfg, lf_outlet *to, lf_watcher *watcher, lf_err *err) {
    const bool goes_on = lf_cfg_is_set(cfg, LF_continue_from);
    if (!goes_on && !lf_cfg_is_set(cfg, LF_resume_from_checkpoint) && !lf_fitting_is_asked(cfg))
        return run_or_leave(cfg, to, watcher, err);
    lf_config *own;
    lf_status rc = lf_cfg_derive(&own, cfg, "train", err);
    if (!rc && goes_on) rc = lf_adapter_take_settings(own, err);
    if (!rc && !(rc = take_from_run(own, err)) && !(rc = fit(own, err))) rc = run_or_leave(own, to, watcher, err);
    lf_config_free(own);
    return rc;
}

lf_status lf_train(const lf_config *cfg, FILE *out, lf_err *err) {
    lf_outlet to = {.out = out};
    return lf_train_to(cfg, &to, NULL, err);
}

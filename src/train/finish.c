/* The end of a run: what was trained is written, read back, and the final figures are those of what was written. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/world.h"
#include "eval/adapted.h"
#include "task/update_ratio.h"
#include "train/fisher.h"
#include "train/stuck.h"

static lf_status write_model(lf_run *run, const char *path, lf_err *err) {
    static const struct {
        const char *name;
        lf_dtype dtype;
    } dtypes[] = {{"fp32", LF_F32}, {"bf16", LF_BF16}, {"fp16", LF_F16}};
    lf_dtype dtype = LF_N_DTYPES;
    const char *name = lf_cfg_str(run->cfg, LF_save_dtype);
    for (size_t i = 0; name && i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0) dtype = dtypes[i].dtype;
    char *aside = lf_format("%s.tmp", path);
    lf_status rc = aside ? lf_remove_tree(aside, err) : lf_no_memory(err, "%s", path);
    if (!rc && !(rc = lf_model_write(run->model, aside, dtype, NULL, NULL, err)) &&
        !(rc = run->task->source->save_beside(run->task, aside, err)))
        rc = lf_replace_dir(aside, path, err);
    if (rc && aside) lf_remove_tree(aside, NULL);
    lf_free(aside);
    return rc;
}

static lf_status write_adapter(lf_run *run, const char *path, lf_err *err) {
    lf_adapter_facts facts;
    cJSON *extra = NULL;
    lf_status rc = lf_run_adapter_facts(run, &facts, &extra, err);
    if (!rc) rc = lf_adapter_save(run->adapter, &run->model->nn, path, &facts, err);
    cJSON_Delete(extra);
    return rc;
}

/* ---- what was written, measured ---- */

lf_status lf_run_measure_update(lf_run *run, lf_model *m, double *ratio, lf_err *err) {
    if (run->method != LF_METHOD_LORA || !(run->has_base || run->has_eval)) return LF_OK;
    return lf_update_ratio_measure(ratio, run->task, m, run->has_base ? LF_DATA_BASE : LF_DATA_EVAL, err);
}

/* confusion.csv, and confusion.json for the page: of the test data where there are some, else of the evaluation's. */
static lf_status keep_confusion(const lf_run *run, lf_err *err) {
    const lf_confusion *c = &run->task->confusion;
    const char *const *names = run->model->head.labels;
    if (!c->n || c->n != run->model->head.n_labels || !lf_world_is_first()) return LF_OK;
    char *path = lf_path_join(run->dir, "confusion.csv");
    lf_status rc = path ? lf_confusion_write(c, names, path, err) : lf_no_memory(err, "%s", run->dir);
    lf_free(path);
    if (rc) return rc;
    cJSON *o = lf_confusion_json(c, names);
    rc = lf_json_write_in(run->dir, "confusion.json", o, false, err);
    cJSON_Delete(o);
    return rc;
}

static lf_status measure(lf_run *run, lf_model *m, lf_err *err) {
    const lf_task_type *task = run->task->type;
    lf_accuracy eval, test;
    lf_base_score after;
    lf_status rc = lf_run_measure_update(run, m, &run->results.update_ratio, err);
    if (rc) return rc;
    run->task->confuses = true;
    if (run->has_eval) {
        if ((rc = task->evaluate(run->task, &eval, m, LF_DATA_EVAL, NULL, err))) return rc;
        lf_results_put(&run->results, LF_DATA_EVAL, &eval);
    }
    if (run->has_test) {
        if ((rc = task->evaluate(run->task, &test, m, LF_DATA_TEST, NULL, err))) return rc;
        lf_results_put(&run->results, LF_DATA_TEST, &test);
    }
    if ((rc = keep_confusion(run, err)) || !run->has_base) return rc;
    if (run->selects) {
        if ((rc = lf_task_measure_tuned(run->task, LF_DATA_BASE_EVAL, &after, m, err))) return rc;
        run->results.selection =
            lf_results_selection(task, run->has_eval ? &eval : NULL, &run->before[LF_DATA_BASE_EVAL], &after);
    }
    if ((rc = lf_task_measure_tuned(run->task, LF_DATA_BASE, &after, m, err))) return rc;
    lf_results_put_base(&run->results, &run->before[LF_DATA_BASE], &after);
    return LF_OK;
}

cJSON *lf_run_results(const lf_run *run) {
    lf_obj o = lf_obj_of(lf_results_to_json(&run->results));
    lf_run_put_start(&o, run);
    return lf_obj_take(&o);
}

/* When, where and by what, for the reader of a report. */
static cJSON *made_json(const lf_run *run) {
    char date[16], processor[200];
    const char *frozen = lf_cfg_str(run->cfg, LF_frozen_precision);
    lf_obj o = lf_obj_new();
    lf_machine_date(date);
    lf_machine_processor(processor, sizeof processor);
    lf_obj_string(&o, "date", date);
    lf_obj_string(&o, "processor", processor);
    lf_obj_string(&o, "kernels", run->k->name);
    lf_obj_string(&o, "precision", run->k->precision);
    if (frozen) lf_obj_string(&o, "frozen_precision", frozen);
    lf_obj_string(&o, "version", lf_version());
    return lf_obj_take(&o);
}

/* A run that learned nothing says so; others say nothing. */
static lf_status put_stuck(lf_obj *o, const lf_run *run, lf_err *err) {
    char how[160];
    lf_stuck s = lf_stuck_begin(run->chance);
    const lf_status rc = lf_stuck_read(&s, run->dir, err);
    if (!rc && lf_stuck_how(&s, how, sizeof how)) lf_obj_string(o, "nothing_learned", how);
    return rc;
}

static lf_status write_results(lf_run *run, lf_err *err) {
    if (!lf_world_is_first()) return LF_OK;
    run->results.peak_rss_mb = (double)lf_peak_rss_bytes() / (1024.0 * 1024.0);
    lf_obj o = lf_obj_of(lf_run_results(run));
    lf_obj_put(&o, "made", made_json(run));
    lf_status rc = put_stuck(&o, run, err);
    if (!rc) rc = lf_metrics_sync(&run->metrics, err); /* with the results there, nobody would make the lines again */
    if (!rc) return lf_obj_write_in(&o, run->dir, "all_results.json", false, err);
    cJSON_Delete(lf_obj_take(&o));
    return rc;
}

/* What was measured goes into the adapter's card. */
static lf_status write_card(const lf_run *run, const char *path, lf_err *err) {
    lf_adapter_facts facts;
    cJSON *extra = NULL, *results = lf_run_results(run);
    if (!run->adapter || !lf_world_is_first()) {
        cJSON_Delete(results);
        return LF_OK;
    }
    lf_status rc = results ? lf_run_adapter_facts(run, &facts, &extra, err) : lf_no_memory(err, "%s", path);
    if (!rc) {
        facts.results = results;
        rc = lf_adapter_write_card(run->adapter, &run->model->nn, path, &facts, err);
    }
    cJSON_Delete(results);
    cJSON_Delete(extra);
    return rc;
}

static lf_status restore_best(lf_run *run, lf_err *err) {
    if (!lf_cfg_bool(run->cfg, LF_load_best_model_at_end) || run->progress.best_step == 0 ||
        run->progress.best_step == run->progress.step)
        return LF_OK;
    char *path = lf_format("%s/checkpoint-%lld", run->dir, (long long)run->progress.best_step);
    const lf_status rc = path ? lf_checkpoint_restore_weights(run, path, err) : lf_no_memory(err, "%s", run->dir);
    if (!rc)
        lf_info("the best checkpoint is that of step %lld (%s %.4f)", (long long)run->progress.best_step,
                lf_run_best_metric(run), run->progress.best_metric);
    lf_free(path);
    return rc;
}

/* Where it is written. Other ranks may not see rank 0's folder: they write what is the same into one of their own,
 * which is removed when it has been read. */
static lf_status choose_place(char **folder, const lf_run *run, lf_err *err) {
    if (lf_world_is_first())
        *folder = lf_strdup(run->dir);
    else
        *folder = lf_format("%s/lora-ft-rank-XXXXXX", lf_temporary_folder());
    if (!*folder) return lf_no_memory(err, "%s", run->dir);
    if (lf_world_is_first() || mkdtemp(*folder)) return LF_OK;
    return lf_fail_errno(err, "make", *folder);
}

static lf_status write_and_read(lf_run *run, lf_adapted *b, lf_kept_base *kept, const char *path, lf_err *err) {
    const bool full = run->method == LF_METHOD_FULL;
    const bool quantised = lf_nn_is_quantised(&run->model->nn);
    lf_model_opts opts = lf_model_opts_of(run->cfg, run->k, LF_LOAD_FROZEN);
    opts.cache = run->model->opts.cache;
    opts.lets_go = quantised; /* which was done to save memory, until the end */
    lf_status rc = full ? write_model(run, path, err) : write_adapter(run, path, err);
    if (!rc && quantised) rc = lf_run_leave_quantised(run, kept, err);
    return rc ? rc : lf_adapted_open(b, full ? path : run->model->path, full ? NULL : path, &opts, err);
}

static void note_results(lf_run *run) {
    const lf_model *m = run->model;
    run->results.steps = run->progress.step;
    run->results.train_seconds = run->progress.train_seconds;
    run->results.eval_accuracy_before = run->progress.eval_accuracy_before;
    run->results.eval_perplexity_before = exp(run->progress.eval_loss_before);
    run->results.eval_chance = run->task->type->chance(m, false);
    if (run->has_base) run->results.base_chance = run->task->type->chance(m, true);
}

lf_status lf_run_finish(lf_run *run, lf_err *err) {
    const char *what = run->method == LF_METHOD_FULL ? "model" : "adapter";
    const bool quantised = lf_nn_is_quantised(&run->model->nn);
    lf_adapted b = {0}; /* what was written, read back */
    lf_kept_base kept = {0};
    char *folder = NULL, *path = NULL;
    lf_run_say_best(run);
    lf_average_take(&run->average);
    lf_status rc = lf_world_agree(lf_checkpoint_check_base(run, err), err);
    if (rc || (rc = restore_best(run, err)) || (rc = lf_world_first_did(lf_fisher_write(run, err), err))) return rc;
    if (!(rc = choose_place(&folder, run, err)) && !(path = lf_path_join(folder, what)))
        rc = lf_no_memory(err, "%s", run->dir);
    if (!rc) rc = write_and_read(run, &b, &kept, path, err);
    rc = lf_world_agree(rc, err);
    if (!rc && quantised) rc = lf_run_measure_untouched(run, &kept, b.model, err);
    lf_kept_base_free(&kept);
    note_results(run);
    if (!rc && !(rc = measure(run, b.model, err)) && !(rc = write_card(run, path, err))) rc = write_results(run, err);
    lf_adapted_close(&b);
    if (!rc) lf_info("the %s is %s", what, path);
    if (folder && !lf_world_is_first()) lf_remove_tree(folder, NULL);
    lf_free(path);
    lf_free(folder);
    return rc;
}

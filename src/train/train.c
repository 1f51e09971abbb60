/* The verb `train`. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/run.h"

static lf_status write_config(const lf_run *run, lf_err *err) {
    cJSON *o = lf_cfg_to_json(run->cfg);
    char *text = o ? lf_json_print(o, false) : NULL, *path = lf_path_join(run->dir, "config.json");
    const lf_status rc = text && path ? lf_file_write(path, text, strlen(text), err) : lf_fail(err, LF_ENOMEM, "%s: out of memory", run->dir);
    lf_free(path);
    lf_free(text);
    cJSON_Delete(o);
    return rc;
}

static lf_status print_results(const lf_run *run, FILE *out, lf_err *err) {
    if (!lf_cfg_bool(run->cfg, "json")) {
        lf_results_table(&run->results, out);
        return LF_OK;
    }
    cJSON *o = lf_results_to_json(&run->results);
    char *text = o ? lf_json_print_line(o) : NULL;
    if (text) fprintf(out, "%s\n", text);
    lf_free(text);
    cJSON_Delete(o);
    return text ? LF_OK : lf_fail(err, LF_ENOMEM, "out of memory");
}

/* A run that is finished already is left as it is: resuming it costs nothing and changes nothing. */
static bool is_finished(const lf_config *cfg) {
    const cJSON *resume = lf_cfg_json(cfg, "resume_from_checkpoint");
    char *path = lf_path_join(lf_cfg_str(cfg, "output_dir"), "all_results.json");
    const bool finished = path && cJSON_IsTrue(resume) && lf_is_file(path);
    if (finished) lf_info("%s is there: the run is finished, nothing to resume", path);
    lf_free(path);
    return finished;
}

static lf_status start_or_resume(lf_run *run, lf_err *err) {
    char *checkpoint;
    lf_status rc = lf_checkpoint_find(&checkpoint, run, err);
    if (rc) return rc;
    const cJSON *asked = lf_cfg_json(run->cfg, "resume_from_checkpoint");
    if (checkpoint && !(rc = lf_checkpoint_restore(run, checkpoint, err)))
        lf_info("resumed from %s, step %lld of %lld", checkpoint, (long long)run->at.step, (long long)run->total_steps);
    else if (!checkpoint && cJSON_IsTrue(asked))
        lf_info("%s holds no whole checkpoint: starting at the beginning", run->dir);
    const int64_t keep = checkpoint ? run->at.step : -1;
    lf_free(checkpoint);
    return rc ? rc : lf_metrics_open(&run->metrics, run->dir, keep, err);
}

lf_status lf_train(const lf_config *cfg, FILE *out, lf_err *err) {
    if (is_finished(cfg)) return LF_OK;
    lf_run run;
    lf_status rc = lf_run_open(&run, cfg, err);
    if (!rc && lf_cfg_bool(cfg, "dry_run")) {
        lf_info("%lld steps of %lld examples, %lld steps an epoch; nothing was trained (dry_run)", (long long)run.total_steps,
                (long long)(run.batch_size * run.accumulation), (long long)run.steps_per_epoch);
    } else if (!rc && !(rc = start_or_resume(&run, err)) && !(rc = write_config(&run, err)) && !(rc = lf_run_loop(&run, err)) &&
               !(rc = lf_run_finish(&run, err))) {
        rc = print_results(&run, out, err);
    }
    lf_run_close(&run);
    return rc;
}

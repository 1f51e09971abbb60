/* The verb `report`. */
#include "report/page/report.h"
#include "report/figure/confusion.h"
#include "report/figure/curves.h"
#include "report/figure/training.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "config/config.h"
#include "report/gather/collapsed.h"
#include "report/gather/gather.h"
#include "report/gather/sequence.h"

/* Whether a run's folder has such a file, and something in it. */
static bool has(const char *run, const char *name) {
    char *path = lf_path_join(run, name);
    const bool there = path && lf_is_file(path) && lf_file_size(path) > 0;
    lf_free(path);
    return there;
}

/* A run that ended before its first line has no curves, but a page that says how it ended. */
static lf_status report_run(const char *run, bool *drawn, lf_err *err) {
    const bool no_curves = !has(run, "metrics.jsonl");
    bool squares, lines;
    *drawn = false;
    lf_status rc = no_curves ? LF_OK : lf_report_curves(run, drawn, err);
    if (!rc && !no_curves) rc = lf_report_training(run, &lines, err);
    if (!rc) rc = lf_report_confusion(run, &squares, err);
    return rc ? rc : lf_report_html(run, err);
}

static lf_status say(const char *run, bool drawn, bool json, FILE *out, lf_err *err) {
    if (json) {
        lf_obj o = lf_obj_new();
        lf_obj_string(&o, "run", run);
        lf_obj_bool(&o, "drawn", drawn);
        return lf_json_write_line(out, lf_obj_take(&o), err);
    }
    if (drawn) fprintf(out, "picture: %s/curves.svg\n", run);
    fprintf(out, "report:  %s/report.html\n", run);
    return LF_OK;
}

/* A config.json alone says little: a model has one too. */
static lf_status is_run(bool *is, const char *dir, lf_err *err) {
    cJSON *config = NULL;
    const lf_status rc = lf_run_config(&config, dir, err);
    *is = config != NULL;
    cJSON_Delete(config);
    return rc;
}

static lf_status report_folder(bool *single, bool *drawn, const lf_config *cfg, FILE *out, lf_err *err) {
    const char *dir = lf_cfg_str(cfg, LF_run);
    *drawn = false;
    if ((*single = lf_is_file_in(dir, LF_SEQUENCE_CONFIG))) return lf_report_sequence(dir, err);
    const lf_status rc = is_run(single, dir, err);
    if (rc) return rc;
    if (*single) return report_run(dir, drawn, err);
    return lf_report_set(dir, lf_cfg_str(cfg, LF_baseline), lf_cfg_bool(cfg, LF_json), out, err);
}

lf_status lf_report(const lf_config *cfg, FILE *out, lf_err *err) {
    const char *dir = lf_cfg_str(cfg, LF_run);
    const bool json = lf_cfg_bool(cfg, LF_json);
    if (!lf_is_dir(dir))
        return lf_fail(err, LF_ENOTFOUND,
                       "%s: no such folder; expected the output_dir of a training run, or a folder with runs in it",
                       dir);
    bool single, drawn;
    const lf_status rc = report_folder(&single, &drawn, cfg, out, err);
    return rc || !single ? rc : say(dir, drawn, json, out, err);
}

/* A finished run that is no better than a guess is told at once, not only to those who compare runs. */
static lf_status warn_if_collapsed(const char *dir, lf_err *err) {
    cJSON *results = NULL;
    int n;
    if (!has(dir, "all_results.json")) return LF_OK;
    const lf_status rc = lf_json_read_in(&results, dir, "all_results.json", err);
    const char *how = rc ? NULL : lf_collapsed_how(results, lf_yardstick_in(results, &n));
    if (how)
        lf_warn("%s: %s; docs/troubleshooting.md, 'It stays at chance, or it collapsed', has what to look at", dir,
                how);
    cJSON_Delete(results);
    return rc;
}

/* As JSON the run's results are the one object on stdout. */
lf_status lf_report_run(const lf_config *cfg, FILE *out, lf_err *err) {
    if (lf_cfg_bool(cfg, LF_dry_run)) return LF_OK;
    const char *dir = lf_cfg_str(cfg, LF_output_dir);
    bool drawn;
    lf_status rc = report_run(dir, &drawn, err);
    if (!rc) rc = warn_if_collapsed(dir, err);
    return rc || lf_cfg_bool(cfg, LF_json) ? rc : say(dir, drawn, false, out, err);
}

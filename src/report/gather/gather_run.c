/* One run, as the files of its folder tell. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "report/gather/collapsed.h"
#include "report/gather/gather_internal.h"
#include "report/gather/sequence.h"
#include "report/gather/start.h"

const char *lf_run_state_name(lf_run_state s) {
    static const char *const names[] = {[LF_RUN_DONE] = "done",
                                        [LF_RUN_COLLAPSED] = "collapsed",
                                        [LF_RUN_DIVERGED] = "diverged",
                                        [LF_RUN_FAILED] = "failed",
                                        [LF_RUN_UNFINISHED] = "unfinished"};
    return names[s];
}

bool lf_run_is_done(const lf_gathered_run *r) { return r->state == LF_RUN_DONE || r->state == LF_RUN_COLLAPSED; }

double lf_run_number(const lf_gathered_run *r, const char *key) { return lf_json_number_in(r->results, key); }

lf_gathered_run *lf_gathered_add(lf_gathered *g) {
    if (!lf_grow(&g->runs, &g->runs_capacity, g->n_runs + 1)) return NULL;
    lf_gathered_run *r = &g->runs[g->n_runs++];
    *r = (lf_gathered_run){.state = LF_RUN_UNFINISHED};
    return r;
}

/* Figures that are shown or calculated with. The others are copied as they are. */
static lf_status check_results(const cJSON *results, const char *path, lf_err *err) {
    double ignored;
    lf_status rc = LF_OK;
    for (int y = 0; y < LF_N_YARDSTICKS; y++)
        for (const lf_metric *m = lf_yardsticks[y].figures; m->name && !rc; m++)
            rc = lf_json_get_f64(results, m->name, 0, &ignored, path, err);
    return rc;
}

static lf_status read_error(lf_gathered_run *r, const char *path, lf_err *err) {
    cJSON *o = NULL;
    const char *state, *message;
    lf_status rc;
    if ((rc = lf_json_read(&o, path, err)) || (rc = lf_json_get_str(o, "state", "", &state, path, err)) ||
        (rc = lf_json_get_str(o, "message", NULL, &message, path, err)))
        goto out;
    if (strcmp(state, "diverged") == 0)
        r->state = LF_RUN_DIVERGED;
    else if (strcmp(state, "failed") == 0)
        r->state = LF_RUN_FAILED;
    else
        rc = lf_fail(err, LF_EDATA, "%s: key 'state': expected \"diverged\" or \"failed\", found \"%.50s\"", path,
                     state);
    if (!rc && message && !(r->message = lf_strdup(message))) rc = lf_no_memory(err, "the runs that are gathered");
    if (!rc) rc = lf_start_take(&r->start, o, path, err);
out:
    cJSON_Delete(o);
    return rc;
}

static const char *gain_name(const lf_yardstick *y) { return lf_metric_in_role(y, LF_ROLE_GAIN)->name; }

const lf_yardstick *lf_yardstick_in(const cJSON *results, int *n) {
    const lf_yardstick *found = NULL;
    *n = 0;
    for (const lf_yardstick *y = lf_yardsticks; y < lf_yardsticks + LF_N_YARDSTICKS; y++) {
        if (!cJSON_GetObjectItemCaseSensitive(results, gain_name(y))) continue;
        if (y->mark && !cJSON_GetObjectItemCaseSensitive(results, y->mark)) continue;
        if (!found || y->mark) found = y;
        *n += !y->mark;
    }
    return found ? found : lf_yardsticks;
}

static lf_status judge_results(lf_gathered_run *r, lf_err *err) {
    int n;
    const char *how = lf_collapsed_how(r->results, lf_yardstick_in(r->results, &n));
    r->state = how ? LF_RUN_COLLAPSED : LF_RUN_DONE;
    if (how && !(r->message = lf_strdup(how))) return lf_no_memory(err, "the runs that are gathered");
    return LF_OK;
}

/* Results are removed when a run begins anew: where they are, they are its last word. */
lf_status lf_gathered_look(lf_gathered_run *r, const char *path, lf_err *err) {
    char *results = lf_path_join(path, "all_results.json"), *error = lf_path_join(path, "error.json");
    lf_status rc = results && error ? LF_OK : lf_no_memory(err, "the runs that are gathered");
    if (!rc && lf_is_file(results)) {
        rc = lf_json_read(&r->results, results, err);
        if (!rc) rc = check_results(r->results, results, err);
        if (!rc) rc = lf_start_take(&r->start, r->results, results, err);
        if (!rc) rc = judge_results(r, err);
    } else if (!rc && lf_is_file(error)) {
        rc = read_error(r, error, err);
    }
    lf_free(results);
    lf_free(error);
    return rc;
}

static lf_status check_config(const cJSON *config, const char *path, lf_err *err) {
    double rate;
    int64_t seed;
    const lf_status rc = lf_json_get_f64(config, "learning_rate", 0, &rate, path, err);
    return rc ? rc : lf_json_get_i64(config, "seed", 0, &seed, path, err);
}

lf_status lf_run_config(cJSON **config, const char *path, lf_err *err) {
    char *file = lf_path_join(path, lf_is_file_in(path, LF_SEQUENCE_CONFIG) ? LF_SEQUENCE_CONFIG : "config.json");
    cJSON *o = NULL;
    *config = NULL;
    lf_status rc = file ? LF_OK : lf_no_memory(err, "the runs that are gathered");
    if (!rc && lf_is_file(file)) rc = lf_json_read(&o, file, err);
    if (!rc && cJSON_GetObjectItemCaseSensitive(o, "output_dir") &&
        cJSON_GetObjectItemCaseSensitive(o, "learning_rate") && !(rc = check_config(o, file, err))) {
        *config = o;
        o = NULL;
    }
    cJSON_Delete(o);
    lf_free(file);
    return rc;
}

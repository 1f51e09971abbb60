/* Finds run folders and reads their files; which keys differ between the runs is gather_swept.c's. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "report/gather/gather_internal.h"
#include "report/gather/start.h"

enum { DEEPEST = 3 }; /* folders below the gathered one */

const char *lf_run_state_name(lf_run_state s) {
    static const char *const names[] = {[LF_RUN_DONE] = "done",
                                        [LF_RUN_DIVERGED] = "diverged",
                                        [LF_RUN_FAILED] = "failed",
                                        [LF_RUN_UNFINISHED] = "unfinished"};
    return names[s];
}

double lf_run_number(const lf_gathered_run *r, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(r->results, key);
    return cJSON_IsNumber(v) && isfinite(v->valuedouble) ? v->valuedouble : NAN;
}

lf_gathered_run *lf_gathered_add(lf_gathered *g) {
    if (!lf_grow(&g->runs, &g->runs_capacity, g->n_runs + 1)) return NULL;
    lf_gathered_run *r = &g->runs[g->n_runs++];
    *r = (lf_gathered_run){.state = LF_RUN_UNFINISHED};
    return r;
}

void lf_gathered_free(lf_gathered *g) {
    if (!g) return;
    for (int64_t i = 0; i < g->n_runs; i++) {
        lf_free(g->runs[i].name);
        lf_free(g->runs[i].message);
        cJSON_Delete(g->runs[i].config);
        cJSON_Delete(g->runs[i].results);
        cJSON_Delete(g->runs[i].start);
    }
    for (int64_t i = 0; i < g->n_swept; i++) lf_free(g->swept[i]);
    lf_free(g->swept);
    lf_free(g->runs);
    lf_free(g);
}

/* ---- the files of a run ---- */

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
    if (!rc && message && !(r->message = lf_strdup(message))) rc = lf_gather_no_memory(err);
    if (!rc) rc = lf_start_take(&r->start, o, path, err);
out:
    cJSON_Delete(o);
    return rc;
}

/* Results are removed when a run begins anew: where they are, they are its last word. */
lf_status lf_gathered_look(lf_gathered_run *r, const char *path, lf_err *err) {
    char *results = lf_path_join(path, "all_results.json"), *error = lf_path_join(path, "error.json");
    lf_status rc = results && error ? LF_OK : lf_gather_no_memory(err);
    if (!rc && lf_is_file(results)) {
        rc = lf_json_read(&r->results, results, err);
        if (!rc) rc = check_results(r->results, results, err);
        if (!rc) rc = lf_start_take(&r->start, r->results, results, err);
        if (!rc) r->state = LF_RUN_DONE;
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
    char *file = lf_path_join(path, "config.json");
    cJSON *o = NULL;
    *config = NULL;
    lf_status rc = file ? LF_OK : lf_gather_no_memory(err);
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

/* ---- folders ---- */

typedef struct search {
    lf_gathered *g;
    const lf_sweep_file *sweep;
} search;

static lf_status walk(const search *s, const char *below, int depth, lf_err *err);

static lf_status visit(const search *s, const char *name, int depth, lf_err *err) {
    char *path = lf_path_join(s->g->dir, name);
    cJSON *config = NULL;
    lf_status rc = path ? LF_OK : lf_gather_no_memory(err);
    if (rc || !lf_is_dir(path)) goto out;
    const bool listed = lf_sweep_file_lists(s->sweep, name);
    lf_err ignored = {0};
    rc = lf_run_config(&config, path, listed ? err : &ignored);
    if (!listed && rc)
        rc = rc == LF_ENOMEM ? lf_gather_no_memory(err) : LF_OK; /* whatever it is, it is not of the sweep */
    if (rc) goto out;
    if (config && !listed) {
        s->g->n_others++;
        goto out;
    }
    if (!config) {
        if (depth < DEEPEST) rc = walk(s, name, depth, err);
        goto out;
    }
    lf_gathered_run *r = lf_gathered_add(s->g);
    if (r) {
        r->config = config;
        config = NULL;
        r->name = lf_strdup(name);
    }
    rc = r && r->name ? lf_gathered_look(r, path, err) : lf_gather_no_memory(err);
out:
    cJSON_Delete(config);
    lf_free(path);
    return rc;
}

/* `below`: a path in the gathered folder, "" for itself. */
static lf_status walk(const search *s, const char *below, int depth, lf_err *err) {
    char **names = NULL, *path = below[0] ? lf_path_join(s->g->dir, below) : lf_strdup(s->g->dir);
    size_t n = 0;
    lf_status rc = path ? lf_list_dir(&names, &n, path, err) : lf_gather_no_memory(err);
    for (size_t i = 0; i < n && !rc; i++) {
        if (names[i][0] == '.') continue;
        char *name = below[0] ? lf_path_join(below, names[i]) : lf_strdup(names[i]);
        rc = name ? visit(s, name, depth + 1, err) : lf_gather_no_memory(err);
        lf_free(name);
    }
    lf_free(names);
    lf_free(path);
    return rc;
}

/* ---- what runs are judged by ---- */

static const char *gain_name(const lf_yardstick *y) { return lf_metric_in_role(y, LF_ROLE_GAIN)->name; }

const lf_yardstick *lf_yardstick_in(const cJSON *results, int *n) {
    const lf_yardstick *found = NULL;
    *n = 0;
    for (const lf_yardstick *y = lf_yardsticks; y < lf_yardsticks + LF_N_YARDSTICKS; y++) {
        if (!cJSON_GetObjectItemCaseSensitive(results, gain_name(y))) continue;
        if (!found) found = y;
        ++*n;
    }
    return found ? found : lf_yardsticks;
}

static lf_status not_one_gain(const lf_gathered *g, const lf_gathered_run *r, int n, lf_err *err) {
    char names[200] = "";
    for (int i = 0; i < LF_N_YARDSTICKS; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? " or " : "", gain_name(&lf_yardsticks[i]));
    }
    return lf_fail(err, LF_EDATA, "%s/%s/all_results.json: expected either %s, found %s", g->dir, r->name, names,
                   n ? "both" : "neither");
}

/* All results have the gain of one yardstick, with null where it was not measured. */
static lf_status find_yardstick(lf_gathered *g, lf_err *err) {
    const char *first = NULL;
    g->yardstick = lf_yardsticks;
    for (int64_t i = 0; i < g->n_runs; i++) {
        const lf_gathered_run *r = &g->runs[i];
        if (r->state != LF_RUN_DONE) continue;
        int n;
        const lf_yardstick *y = lf_yardstick_in(r->results, &n);
        if (n != 1) return not_one_gain(g, r, n, err);
        if (first && y != g->yardstick)
            return lf_fail(err, LF_EDATA,
                           "%s: '%s' is a run of %s, '%s' of %s; gather each kind from a folder of its own", g->dir,
                           first, g->yardstick->of, r->name, y->of);
        if (!first) first = r->name;
        g->yardstick = y;
    }
    return LF_OK;
}

lf_status lf_gather(lf_gathered **out, const char *dir, lf_err *err) {
    *out = NULL;
    lf_gathered *g = lf_calloc(1, sizeof *g);
    if (!g) return lf_gather_no_memory(err);
    g->dir = dir;
    lf_sweep_file sweep = {0};
    lf_status rc;
    if ((rc = lf_sweep_file_read(&sweep, dir, err)) || (rc = walk(&(search){g, &sweep}, "", 0, err)) ||
        (rc = lf_gathered_finish(g, &sweep, err)) || (rc = find_yardstick(g, err)))
        goto out;
    if (g->n_runs == 0 && g->n_others)
        rc = lf_fail(err, LF_EDATA, "%s: lists no runs, and the %lld below its folder are not of this sweep",
                     sweep.path, (long long)g->n_others);
    else if (g->n_runs == 0)
        rc = lf_fail(
            err, LF_EDATA,
            "%s: expected folders of training runs (each with its config.json), found none up to three folders deep",
            dir);
    if (rc) goto out;
    *out = g;
    g = NULL;
out:
    lf_sweep_file_close(&sweep);
    lf_gathered_free(g);
    return rc;
}

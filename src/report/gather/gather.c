/* Finds run folders; what stands in one is gather_run.c's, which keys differ between the runs gather_swept.c's. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "report/gather/gather_internal.h"
#include "report/gather/makers.h"

enum { DEEPEST = 3 }; /* folders below the gathered one */

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
    lf_free(g->makers);
    lf_free(g->runs);
    lf_free(g);
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
    lf_status rc = path ? LF_OK : lf_no_memory(err, "the runs that are gathered");
    if (rc || !lf_is_dir(path)) goto out;
    const bool listed = lf_sweep_file_lists(s->sweep, name);
    lf_err ignored = {0};
    rc = lf_run_config(&config, path, listed ? err : &ignored);
    if (!listed && rc)
        rc = rc == LF_ENOMEM ? lf_no_memory(err, "the runs that are gathered")
                             : LF_OK; /* whatever it is, it is not of the sweep */
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
    rc = r && r->name ? lf_gathered_look(r, path, err) : lf_no_memory(err, "the runs that are gathered");
out:
    cJSON_Delete(config);
    lf_free(path);
    return rc;
}

/* `below`: a path in the gathered folder, "" for itself. */
static lf_status walk(const search *s, const char *below, int depth, lf_err *err) {
    char **names = NULL, *path = below[0] ? lf_path_join(s->g->dir, below) : lf_strdup(s->g->dir);
    size_t n = 0;
    lf_status rc = path ? lf_list_dir(&names, &n, path, err) : lf_no_memory(err, "the runs that are gathered");
    for (size_t i = 0; i < n && !rc; i++) {
        if (names[i][0] == '.') continue;
        char *name = below[0] ? lf_path_join(below, names[i]) : lf_strdup(names[i]);
        rc = name ? visit(s, name, depth + 1, err) : lf_no_memory(err, "the runs that are gathered");
        lf_free(name);
    }
    lf_free(names);
    lf_free(path);
    return rc;
}

/* ---- what runs are judged by ---- */

static lf_status not_one_gain(const lf_gathered *g, const lf_gathered_run *r, int n, lf_err *err) {
    char names[200] = "";
    for (int i = 0; i < LF_N_YARDSTICKS; i++) {
        const size_t used = strlen(names);
        if (lf_yardsticks[i].mark) continue;
        snprintf(names + used, sizeof names - used, "%s%s", i ? " or " : "",
                 lf_metric_in_role(&lf_yardsticks[i], LF_ROLE_GAIN)->name);
    }
    return lf_fail(err, LF_EDATA, "%s/%s/all_results.json: expected either %s, found %s", g->dir, r->name, names,
                   n ? "several" : "none");
}

/* All results have the gain of one yardstick, with null where it was not measured. */
static lf_status find_yardstick(lf_gathered *g, lf_err *err) {
    const char *first = NULL;
    g->yardstick = lf_yardsticks;
    for (int64_t i = 0; i < g->n_runs; i++) {
        const lf_gathered_run *r = &g->runs[i];
        if (!lf_run_is_done(r)) continue;
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
    if (!g) return lf_no_memory(err, "the runs that are gathered");
    g->dir = dir;
    lf_sweep_file sweep = {0};
    lf_status rc;
    if ((rc = lf_sweep_file_read(&sweep, dir, err)) || (rc = walk(&(search){g, &sweep}, "", 0, err)) ||
        (rc = lf_gathered_finish(g, &sweep, err)) || (rc = find_yardstick(g, err)) || (rc = lf_makers_find(g, err)))
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

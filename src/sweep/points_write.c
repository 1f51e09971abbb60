/* A sweep's own files. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/obj.h"
#include "sweep/points.h"

/* Only what was given: a key that is given its default is not always the same as one that is not. */
lf_status lf_point_write(const lf_point *at, lf_err *err) {
    cJSON *json = lf_cfg_given_to_json(at->cfg);
    const lf_status rc = lf_json_write(at->config_path, json, false, err);
    cJSON_Delete(json);
    return rc;
}

static const char sweep_name[] = "sweep.json", identity_name[] = "identity";

static lf_status write_sweep(const lf_points *p, lf_err *err) {
    lf_obj o = lf_obj_new(), runs = lf_list_new(), points = lf_list_new();
    for (int64_t i = 0; i < p->n; i++) {
        char *path = lf_format("runs/%s", p->at[i].name);
        lf_list_put(&runs, path ? cJSON_CreateString(path) : NULL);
        lf_list_put(&points, cJSON_Duplicate(p->at[i].values, true));
        lf_free(path);
    }
    lf_obj_string(&o, "version", lf_version());
    lf_obj_number(&o, "threads", p->threads);
    if (p->fits) lf_obj_number(&o, "examples_at_once", (double)p->fits);
    lf_obj_string(&o, identity_name, p->identity);
    lf_obj_put(&o, "config", lf_cfg_given_to_json(p->cfg));
    lf_obj_copy(&o, "swept", p->grid.keys);
    lf_obj_put(&o, "runs", lf_obj_take(&runs));
    lf_obj_put(&o, "points", lf_obj_take(&points));
    return lf_obj_write_in(&o, p->dir, sweep_name, false, err);
}

/* Without what belongs to this call, the folder included; with as many threads as give each run those that it has. */
static lf_status write_config(const lf_points *p, lf_err *err) {
    const char *here[LF_N_KEYS + 1];
    lf_key_names(here, LF_IS_CALL);
    lf_obj o = lf_obj_of(lf_cfg_given_to_json(p->cfg));
    for (size_t i = 0; here[i]; i++) lf_obj_drop(&o, here[i]);
    lf_obj_drop(&o, lf_key_name(LF_threads));
    const int64_t all = p->threads * lf_cfg_i64(p->cfg, LF_jobs);
    lf_obj_number(&o, "threads", (double)(all < 4096 ? all : 4096));
    return lf_obj_write_in(&o, p->dir, "sweep-config.json", false, err);
}

static lf_status check_run_free(const char *dir, lf_err *err) {
    bool held;
    char who[400];
    const lf_status rc = lf_lock_is_held(&held, dir);
    if (rc) return lf_fail(err, rc, "interrupted");
    if (!held) return LF_OK;
    lf_lock_name_holder(who, sizeof who, dir);
    return lf_fail(err, LF_EFAIL, "%s: a run is at work there (%s); wait for it, or choose another output_dir", dir,
                   who);
}

/* Of a process that was killed, or of one that a command of print_commands started: no sweep knows of it. */
static lf_status check_runs_free(const lf_points *p, lf_err *err) {
    char **names, *runs = lf_path_join(p->dir, "runs");
    size_t count = 0;
    lf_status rc = runs ? LF_OK : lf_no_memory(err, "the runs of a sweep");
    const bool any = !rc && lf_is_dir(runs);
    if (any) rc = lf_list_dir(&names, &count, runs, err);
    for (size_t i = 0; any && i < count && !rc; i++) {
        char *dir = lf_path_join(runs, names[i]);
        rc = dir ? check_run_free(dir, err) : lf_no_memory(err, "the runs of a sweep");
        lf_free(dir);
    }
    if (any) lf_free(names);
    lf_free(runs);
    return rc;
}

/* Folders of a sweep: made, and emptied first where it begins afresh. */
static lf_status make_folders(const lf_points *p, lf_err *err) {
    static const char *const folders[] = {"runs", "points", "logs", "cache"};
    lf_status rc = p->afresh ? check_runs_free(p, err) : LF_OK;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && !rc; i++) {
        char *path = lf_path_join(p->dir, folders[i]);
        if (!path) return lf_no_memory(err, "the files of a sweep");
        if (p->afresh) rc = lf_remove_tree(path, err);
        if (!rc) rc = lf_mkdir_p(path, err);
        lf_free(path);
    }
    return rc;
}

lf_status lf_points_write(const lf_points *p, lf_err *err) {
    lf_status rc;
    if ((rc = make_folders(p, err)) || (rc = write_sweep(p, err)) || (rc = write_config(p, err))) return rc;
    for (int64_t i = 0; i < p->n && !rc; i++) rc = lf_point_write(&p->at[i], err);
    return rc;
}

lf_status lf_points_are_there(bool *are, const lf_points *p, lf_err *err) {
    cJSON *there = NULL;
    const char *identity = "";
    const lf_status rc = lf_json_read_in(&there, p->dir, sweep_name, err);
    if (!rc) identity = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(there, identity_name));
    *are = identity && strcmp(identity, p->identity) == 0;
    cJSON_Delete(there);
    return rc;
}

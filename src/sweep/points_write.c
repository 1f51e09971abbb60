/* A sweep's own files. */
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "sweep/points.h"

/* Only what was given: a key that is given its default is not always the same as one that is not. */
static lf_status write_point(const lf_point *at, lf_err *err) {
    cJSON *json = lf_cfg_given_to_json(at->cfg);
    const lf_status rc = lf_json_write(at->config_path, json, false, err);
    cJSON_Delete(json);
    return rc;
}

static bool add_copy(cJSON *o, const char *name, const cJSON *value) {
    cJSON *copy = cJSON_Duplicate(value, true);
    if (copy && cJSON_AddItemToObject(o, name, copy)) return true;
    cJSON_Delete(copy);
    return false;
}

static bool add_run(cJSON *runs, const lf_point *at) {
    char *path = lf_format("runs/%s", at->name);
    cJSON *text = path ? cJSON_CreateString(path) : NULL;
    lf_free(path);
    if (text && cJSON_AddItemToArray(runs, text)) return true;
    cJSON_Delete(text);
    return false;
}

static bool add_values(cJSON *points, const lf_point *at) {
    cJSON *copy = cJSON_Duplicate(at->values, true);
    if (copy && cJSON_AddItemToArray(points, copy)) return true;
    cJSON_Delete(copy);
    return false;
}

static lf_status write_sweep(const lf_points *p, lf_err *err) {
    cJSON *o = cJSON_CreateObject(), *config = lf_cfg_given_to_json(p->cfg), *runs, *points;
    bool ok = o && config && cJSON_AddStringToObject(o, "version", lf_version()) &&
              cJSON_AddNumberToObject(o, "threads", p->threads) && add_copy(o, "config", config) &&
              add_copy(o, "swept", p->grid.keys) && (runs = cJSON_AddArrayToObject(o, "runs"));
    for (int64_t i = 0; i < p->n && ok; i++) ok = add_run(runs, &p->at[i]);
    ok = ok && (points = cJSON_AddArrayToObject(o, "points"));
    for (int64_t i = 0; i < p->n && ok; i++) ok = add_values(points, &p->at[i]);
    const lf_status rc = lf_json_write_in(p->dir, "sweep.json", ok ? o : NULL, false, err);
    cJSON_Delete(config);
    cJSON_Delete(o);
    return rc;
}

/* Without what belongs to this call, the folder included; with as many threads as give each run those that it has. */
static lf_status write_config(const lf_points *p, lf_err *err) {
    const char *here[LF_N_KEYS + 1];
    lf_key_names(here, LF_IS_CALL);
    cJSON *o = lf_cfg_given_to_json(p->cfg);
    for (size_t i = 0; here[i]; i++) cJSON_DeleteItemFromObjectCaseSensitive(o, here[i]);
    cJSON_DeleteItemFromObjectCaseSensitive(o, lf_key_name(LF_threads));
    const int64_t all = p->threads * lf_cfg_i64(p->cfg, LF_jobs);
    const bool ok = o && cJSON_AddNumberToObject(o, "threads", (double)(all < 4096 ? all : 4096));
    const lf_status rc = lf_json_write_in(p->dir, "sweep-config.json", ok ? o : NULL, false, err);
    cJSON_Delete(o);
    return rc;
}

/* Folders of a sweep: made, and emptied first where it begins afresh. */
static lf_status make_folders(const lf_points *p, lf_err *err) {
    static const char *const folders[] = {"runs", "points", "logs", "cache"};
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && !rc; i++) {
        char *path = lf_path_join(p->dir, folders[i]);
        if (!path) return lf_no_memory(err, "the files of a sweep");
        if (lf_cfg_bool(p->cfg, LF_overwrite_output_dir)) rc = lf_remove_tree(path, err);
        if (!rc) rc = lf_mkdir_p(path, err);
        lf_free(path);
    }
    return rc;
}

lf_status lf_points_write(const lf_points *p, lf_err *err) {
    lf_status rc;
    if ((rc = make_folders(p, err)) || (rc = write_sweep(p, err)) || (rc = write_config(p, err))) return rc;
    for (int64_t i = 0; i < p->n && !rc; i++) rc = write_point(&p->at[i], err);
    return rc;
}

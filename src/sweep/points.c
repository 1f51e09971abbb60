#include "sweep/points.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "report/gather.h"

enum { MAX_NAME = 180 }; /* of 255 bytes that a file's name may have; endings are added */

static lf_status no_memory(lf_err *err) { return lf_fail(err, LF_ENOMEM, "out of memory for the points of a sweep"); }

/* ---- names ---- */

static bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._+-", c); }

/* "key=value,key=value"; what cannot stand in a name is '-', and then, or where it is too long, a hash of the values makes it one. */
static char *make_name(const cJSON *keys, const cJSON *values) {
    char name[MAX_NAME + 1] = "", text[MAX_NAME + 1];
    size_t used = 0;
    bool altered = false;
    XXH64_hash_t hash = 0;
    const cJSON *key;
    cJSON_ArrayForEach(key, keys) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(values, key->valuestring);
        if (!value) continue;
        char *whole = lf_json_print_line(value);
        if (!whole) return NULL;
        hash = XXH3_64bits_withSeed(whole, strlen(whole), XXH3_64bits_withSeed(key->valuestring, strlen(key->valuestring), hash));
        lf_value_text(text, sizeof text, value);
        altered = altered || strlen(text) == MAX_NAME;
        lf_free(whole);
        for (char *c = text; *c; c++)
            if (!is_plain(*c)) {
                *c = '-';
                altered = true;
            }
        const int n = snprintf(name + used, sizeof name - used, "%s%s=%s", used ? "," : "", key->valuestring, text);
        altered = altered || used + (size_t)n >= sizeof name;
        used = used + (size_t)n < sizeof name ? used + (size_t)n : sizeof name - 1;
    }
    return altered ? lf_format("%.160s~%08x", name, (unsigned)(hash ^ hash >> 32)) : lf_strdup(name);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static lf_status check_names(const lf_points *p, lf_err *err) {
    char **names = lf_calloc((size_t)p->n, sizeof *names);
    if (!names) return no_memory(err);
    for (int64_t i = 0; i < p->n; i++) names[i] = p->at[i].name;
    qsort(names, (size_t)p->n, sizeof *names, by_name);
    lf_status rc = LF_OK;
    for (int64_t i = 1; i < p->n && !rc; i++)
        if (strcmp(names[i - 1], names[i]) == 0) rc = lf_cfg_fail(p->cfg, "sweep", err, "the point %s is there twice", names[i]);
    lf_free(names);
    return rc;
}

/* ---- configurations ---- */

static lf_status set_text(lf_config *cfg, const char *key, const char *value, lf_err *err) {
    cJSON *json = cJSON_CreateString(value);
    const lf_status rc = json ? lf_cfg_set_json(cfg, key, json, "the sweep", err) : no_memory(err);
    cJSON_Delete(json);
    return rc;
}

/* Unless the user named one: `key` is a folder in the sweep's cache. */
static lf_status set_cache(const lf_points *p, lf_config *cfg, const char *key, const char *name, lf_err *err) {
    if (lf_cfg_is_given(cfg, key)) return LF_OK;
    char *path = lf_format("%s/cache/%s", p->dir, name);
    const lf_status rc = path ? set_text(cfg, key, path, err) : no_memory(err);
    lf_free(path);
    return rc;
}

static lf_status configure(const lf_points *p, lf_point *at, lf_err *err) {
    cJSON *threads = cJSON_CreateNumber(p->threads), *yes = cJSON_CreateTrue(), *no = cJSON_CreateFalse();
    const cJSON *value;
    lf_status rc = threads && yes && no ? lf_cfg_derive(&at->cfg, p->cfg, "train", err) : no_memory(err);
    if (!rc) cJSON_ArrayForEach(value, at->values) if ((rc = lf_cfg_set_json(at->cfg, value->string, value, "the sweep", err))) break;
    if (!rc && !(rc = set_text(at->cfg, "output_dir", at->run_dir, err)) && !(rc = lf_cfg_set_json(at->cfg, "threads", threads, "the sweep", err)) &&
        !(rc = lf_cfg_set_json(at->cfg, "resume_from_checkpoint", yes, "the sweep", err)) &&
        !(rc = lf_cfg_set_json(at->cfg, "overwrite_output_dir", no, "the sweep", err)) && !(rc = set_cache(p, at->cfg, "decomposition_cache", "decompositions", err)) &&
        !(rc = set_cache(p, at->cfg, "base_cache", "base", err)))
        rc = lf_config_finish(at->cfg, err);
    cJSON_Delete(threads);
    cJSON_Delete(yes);
    cJSON_Delete(no);
    return rc;
}

static lf_status make_point(const lf_points *p, lf_point *at, const cJSON *values, lf_err *err) {
    at->values = values;
    if (!(at->name = make_name(p->grid.keys, values))) return no_memory(err);
    at->config_path = lf_format("%s/points/%s.json", p->dir, at->name);
    at->run_dir = lf_format("%s/runs/%s", p->dir, at->name);
    at->log_path = lf_format("%s/logs/%s.log", p->dir, at->name);
    if (!at->config_path || !at->run_dir || !at->log_path) return no_memory(err);
    lf_err inner = {0};
    const lf_status rc = configure(p, at, &inner);
    return rc ? lf_fail(err, rc, "point %.200s: %s", at->name, inner.message) : LF_OK;
}

/* ---- what is there already ---- */

/* Reads DIR/NAME; *out is NULL if there is no such file. */
static lf_status read_member(cJSON **out, const char *dir, const char *name, lf_err *err) {
    char *path = lf_path_join(dir, name);
    *out = NULL;
    const lf_status rc = !path ? no_memory(err) : lf_is_file(path) ? lf_json_read(out, path, err) : LF_OK;
    lf_free(path);
    return rc;
}

/* Keys in which two runs of one result may differ. */
static bool is_free(const char *key) {
    static const char *const keys[] = {"output_dir", "overwrite_output_dir", "resume_from_checkpoint", "force_resume", "dry_run", "decomposition_cache", "base_cache",
                                       "json", "threads", "dataloader_num_workers"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

static lf_status differs(const lf_point *at, const char *key, const cJSON *was, const cJSON *now, lf_err *err) {
    char *a = was ? lf_json_print_line(was) : NULL, *b = now ? lf_json_print_line(now) : NULL;
    const lf_status rc = lf_fail(err, LF_EUSAGE, "%.300s: was begun with %s %.150s, which is %.150s now; choose another output_dir, or set overwrite_output_dir to "
                                 "run everything again", at->run_dir, key, a ? a : "not set", b ? b : "not set");
    lf_free(a);
    lf_free(b);
    return rc;
}

/* cJSON_Compare takes twice as long for each level of nesting, and the file is anybody's. */
static bool same_value(const cJSON *a, const cJSON *b) {
    if (!a || !b || (!cJSON_IsObject(a) && !cJSON_IsArray(a))) return a && b && cJSON_Compare(a, b, true);
    char *x = lf_json_print(a, true), *y = lf_json_print(b, true);
    const bool same = x && y && strcmp(x, y) == 0;
    lf_free(x);
    lf_free(y);
    return same;
}

static lf_status check_same(const lf_point *at, const cJSON *was, lf_err *err) {
    cJSON *now = lf_cfg_resolved_to_json(at->cfg);
    const cJSON *v;
    lf_status rc = now ? LF_OK : no_memory(err);
    if (!rc) cJSON_ArrayForEach(v, now) {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(was, v->string);
        if (!is_free(v->string) && !same_value(v, other) && (rc = differs(at, v->string, other, v, err))) break;
    }
    if (!rc) cJSON_ArrayForEach(v, was)
        if (!is_free(v->string) && !cJSON_IsNull(v) && !cJSON_GetObjectItemCaseSensitive(now, v->string) && (rc = differs(at, v->string, v, NULL, err))) break;
    cJSON_Delete(now);
    return rc;
}

static lf_status look(lf_point *at, lf_err *err) {
    cJSON *config = NULL, *results = NULL, *error = NULL;
    const char *state;
    lf_status rc = read_member(&config, at->run_dir, "config.json", err);
    if (!rc && config) rc = check_same(at, config, err);
    if (!rc && config && !(rc = read_member(&results, at->run_dir, "all_results.json", err)) && results) at->state = LF_POINT_DONE;
    if (!rc && config && !results && !(rc = read_member(&error, at->run_dir, "error.json", err)) && error) {
        rc = lf_json_get_str(error, "state", "", &state, at->run_dir, err);
        if (!rc && strcmp(state, "diverged") == 0) at->state = LF_POINT_DIVERGED;
    }
    cJSON_Delete(config);
    cJSON_Delete(results);
    cJSON_Delete(error);
    return rc;
}

/* ---- the sweep ---- */

static lf_status choose_threads(lf_points *p, const cJSON *before, int64_t jobs, lf_err *err) {
    const int64_t asked = lf_cfg_i64(p->cfg, "threads"), all = asked > 0 ? asked : lf_threads_set(0), share = all / jobs > 0 ? all / jobs : 1;
    int64_t kept;
    lf_status rc = before ? lf_json_get_i64(before, "threads", share, &kept, "sweep.json", err) : LF_OK;
    if (rc || !before) {
        p->threads = (int)share;
        return rc;
    }
    if (kept < 1 || kept > 4096) return lf_fail(err, LF_EDATA, "%s/sweep.json: threads: expected 1 to 4096, found %lld", p->dir, (long long)kept);
    if (kept != share) lf_info("%s was begun with %lld threads a run; its runs go on with as many", p->dir, (long long)kept);
    p->threads = (int)kept;
    return LF_OK;
}

static lf_status check_folder(const lf_points *p, bool is_sweep, lf_err *err) {
    char **names;
    size_t count;
    if (lf_is_file(p->dir)) return lf_cfg_fail(p->cfg, "output_dir", err, "'%s' is a file, expected a folder", p->dir);
    if (!lf_is_dir(p->dir) || is_sweep) return LF_OK;
    const lf_status rc = lf_list_dir(&names, &count, p->dir, err);
    lf_free(names);
    if (rc || !count) return rc;
    return lf_cfg_fail(p->cfg, "output_dir", err, "'%s' is not empty and holds no sweep; choose another", p->dir);
}

lf_status lf_points_open(lf_points *p, const lf_config *cfg, int64_t jobs, lf_err *err) {
    const bool afresh = lf_cfg_bool(cfg, "overwrite_output_dir");
    *p = (lf_points){.cfg = cfg, .dir = lf_cfg_str(cfg, "output_dir")};
    cJSON *before = NULL;
    lf_status rc;
    if ((rc = read_member(&before, p->dir, "sweep.json", err)) || (rc = check_folder(p, before, err)) ||
        (rc = choose_threads(p, afresh ? NULL : before, jobs, err)) || (rc = lf_grid_new(&p->grid, lf_cfg_json(cfg, "sweep"), "the configuration", err)))
        goto out;
    const int64_t n = cJSON_GetArraySize(p->grid.points);
    if (!(p->at = lf_calloc((size_t)n, sizeof *p->at))) rc = no_memory(err);
    const cJSON *values;
    if (!rc) cJSON_ArrayForEach(values, p->grid.points) if ((rc = make_point(p, &p->at[p->n++], values, err))) break;
    if (!rc) rc = check_names(p, err);
    for (int64_t i = 0; i < p->n && !rc && !afresh; i++) rc = look(&p->at[i], err);
out:
    cJSON_Delete(before);
    if (rc) lf_points_close(p);
    return rc;
}

void lf_points_close(lf_points *p) {
    for (int64_t i = 0; i < p->n; i++) {
        lf_free(p->at[i].name);
        lf_free(p->at[i].config_path);
        lf_free(p->at[i].run_dir);
        lf_free(p->at[i].log_path);
        lf_config_free(p->at[i].cfg);
    }
    lf_free(p->at);
    lf_grid_free(&p->grid);
    *p = (lf_points){0};
}

/* ---- writing ---- */

static lf_status write_json(const char *path, const cJSON *json, lf_err *err) {
    char *text = json ? lf_json_print(json, false) : NULL;
    const lf_status rc = text ? lf_file_write(path, text, strlen(text), err) : no_memory(err);
    lf_free(text);
    return rc;
}

/* Only what was given: a key that is given its default is not always the same as one that is not. */
static lf_status write_point(const lf_point *at, lf_err *err) {
    cJSON *json = lf_cfg_given_to_json(at->cfg);
    const lf_status rc = write_json(at->config_path, json, err);
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

static lf_status write_sweep(const lf_points *p, lf_err *err) {
    cJSON *o = cJSON_CreateObject(), *config = lf_cfg_given_to_json(p->cfg), *runs;
    bool ok = o && config && cJSON_AddStringToObject(o, "version", lf_version()) && cJSON_AddNumberToObject(o, "threads", p->threads) &&
              add_copy(o, "config", config) && add_copy(o, "swept", p->grid.keys) && (runs = cJSON_AddArrayToObject(o, "runs"));
    for (int64_t i = 0; i < p->n && ok; i++) ok = add_run(runs, &p->at[i]);
    ok = ok && add_copy(o, "points", p->grid.points);
    char *path = lf_path_join(p->dir, "sweep.json");
    const lf_status rc = ok && path ? write_json(path, o, err) : no_memory(err);
    lf_free(path);
    cJSON_Delete(config);
    cJSON_Delete(o);
    return rc;
}

/* Without the folder; with as many threads as give each run those that it has. */
static lf_status write_config(const lf_points *p, lf_err *err) {
    static const char *const here[] = {"output_dir", "overwrite_output_dir", "threads", "print_commands", "dry_run"};
    cJSON *o = lf_cfg_given_to_json(p->cfg);
    char *path = lf_path_join(p->dir, "sweep-config.json");
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++) cJSON_DeleteItemFromObjectCaseSensitive(o, here[i]);
    const bool ok = o && path && cJSON_AddNumberToObject(o, "threads", (double)(p->threads * lf_cfg_i64(p->cfg, "jobs")));
    const lf_status rc = ok ? write_json(path, o, err) : no_memory(err);
    lf_free(path);
    cJSON_Delete(o);
    return rc;
}

/* Folders of a sweep: made, and emptied first where it begins afresh. */
static lf_status make_folders(const lf_points *p, lf_err *err) {
    static const char *const folders[] = {"runs", "points", "logs", "cache"};
    lf_status rc = LF_OK;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && !rc; i++) {
        char *path = lf_path_join(p->dir, folders[i]);
        if (!path) return no_memory(err);
        if (lf_cfg_bool(p->cfg, "overwrite_output_dir")) rc = lf_remove_tree(path, err);
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

#define _GNU_SOURCE /* qsort_r */
#include "report/gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { MAX_DEPTH = 3 };

static lf_status no_memory(lf_err *err) { return lf_fail(err, LF_ENOMEM, "out of memory for the runs of a report"); }

const char *lf_run_state_name(lf_run_state s) {
    static const char *const names[] = {[LF_RUN_DONE] = "done", [LF_RUN_DIVERGED] = "diverged", [LF_RUN_FAILED] = "failed", [LF_RUN_UNFINISHED] = "unfinished"};
    return names[s];
}

void lf_value_text(char *text, size_t size, const cJSON *value) {
    char *line = value && !cJSON_IsNull(value) && !cJSON_IsString(value) ? lf_json_print_line(value) : NULL;
    snprintf(text, size, "%s", line ? line : cJSON_IsString(value) ? value->valuestring : "");
    lf_free(line);
}

/* ---- one run ---- */

static void free_run(lf_gathered_run *r) {
    lf_free(r->name);
    lf_free(r->message);
    cJSON_Delete(r->config);
    cJSON_Delete(r->results);
}

/* DIR/NAME as an object; *out is NULL if there is no such file. */
static lf_status read_object(cJSON **out, const char *dir, const char *name, lf_err *err) {
    char *path = lf_path_join(dir, name);
    *out = NULL;
    lf_status rc = !path ? no_memory(err) : lf_is_file(path) ? lf_json_read(out, path, err) : LF_OK;
    if (!rc && *out && !cJSON_IsObject(*out)) rc = lf_fail(err, LF_EDATA, "%s: expected a JSON object", path);
    lf_free(path);
    return rc;
}

static lf_status read_error(lf_gathered_run *r, const char *dir, lf_err *err) {
    cJSON *o;
    const char *state, *message;
    lf_status rc = read_object(&o, dir, "error.json", err);
    if (!rc && o && !(rc = lf_json_get_str(o, "state", "failed", &state, dir, err)) && !(rc = lf_json_get_str(o, "message", "", &message, dir, err))) {
        r->state = strcmp(state, "diverged") == 0 ? LF_RUN_DIVERGED : LF_RUN_FAILED;
        if (!(r->message = lf_strdup(message))) rc = no_memory(err);
    }
    cJSON_Delete(o);
    return rc;
}

/* What a folder holds of a run; `config` is taken over and may be NULL. */
static lf_status add_run(lf_gathered *g, const char *dir, const char *name, cJSON *config, lf_err *err) {
    lf_gathered_run *grown = lf_realloc(g->runs, (size_t)(g->n_runs + 1) * sizeof *grown);
    if (!grown) {
        cJSON_Delete(config);
        return no_memory(err);
    }
    g->runs = grown;
    lf_gathered_run *r = &g->runs[g->n_runs++];
    *r = (lf_gathered_run){.name = lf_strdup(name), .state = LF_RUN_UNFINISHED, .config = config};
    lf_status rc = r->name ? LF_OK : no_memory(err);
    if (!rc && r->config) rc = read_object(&r->results, dir, "all_results.json", err);
    if (!rc && r->results) r->state = LF_RUN_DONE;
    else if (!rc) rc = read_error(r, dir, err);
    return rc;
}

/* ---- looking for runs ---- */

static bool is_run(const cJSON *config) {
    return cJSON_HasObjectItem(config, "output_dir") && cJSON_HasObjectItem(config, "learning_rate") && !cJSON_HasObjectItem(config, "sweep");
}

static lf_status look(lf_gathered *g, const char *dir, const char *name, int depth, lf_err *err) {
    cJSON *config;
    lf_status rc = depth ? read_object(&config, dir, "config.json", err) : LF_OK;
    if (rc) return rc;
    if (depth && config && is_run(config)) return add_run(g, dir, name, config, err);
    if (depth) cJSON_Delete(config);
    char **names = NULL;
    size_t n = 0;
    if (depth < MAX_DEPTH) rc = lf_list_dir(&names, &n, dir, err);
    for (size_t i = 0; i < n && !rc; i++) {
        char *inner = lf_path_join(dir, names[i]), *inner_name = depth ? lf_path_join(name, names[i]) : lf_strdup(names[i]);
        if (!inner || !inner_name) rc = no_memory(err);
        else if (lf_is_dir(inner)) rc = look(g, inner, inner_name, depth + 1, err);
        lf_free(inner);
        lf_free(inner_name);
    }
    lf_free(names);
    return rc;
}

static bool has_run(const lf_gathered *g, const char *name) {
    for (int64_t i = 0; i < g->n_runs; i++)
        if (strcmp(g->runs[i].name, name) == 0) return true;
    return false;
}

/* Runs that a sweep lists and that left no configuration: their values are those of their point. */
static lf_status add_missing(lf_gathered *g, const cJSON *sweep, lf_err *err) {
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(sweep, "runs"), *point = cJSON_GetObjectItemCaseSensitive(sweep, "points"), *run;
    const int64_t found = g->n_runs;
    lf_status rc = LF_OK;
    point = point ? point->child : NULL;
    cJSON_ArrayForEach(run, runs) {
        if (!cJSON_IsString(run) || !cJSON_IsObject(point))
            return lf_fail(err, LF_EDATA, "%s/sweep.json: runs: expected a name and a point for each, found another", g->dir);
        const lf_gathered known = {.runs = g->runs, .n_runs = found};
        if (!has_run(&known, run->valuestring)) {
            cJSON *values = cJSON_Duplicate(point, true);
            char *dir = lf_path_join(g->dir, run->valuestring);
            rc = values && dir ? add_run(g, dir, run->valuestring, values, err) : no_memory(err);
            if (!dir) cJSON_Delete(values);
            lf_free(dir);
            if (rc) return rc;
        }
        point = point->next;
    }
    return rc;
}

/* ---- swept keys ---- */

/* Where results go and how they are watched: no run is another for it. */
static bool is_aside(const char *key) {
    static const char *const keys[] = {"output_dir", "overwrite_output_dir", "resume_from_checkpoint", "force_resume", "dry_run", "threads", "decomposition_cache", "base_cache", "json",
                                       "logging_steps", "logging_first_step", "eval_strategy", "eval_steps", "save_strategy", "save_steps", "save_total_limit",
                                       "dataloader_num_workers", "per_device_eval_batch_size"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

static bool differs(const lf_gathered *g, const char *key) {
    const cJSON *first = NULL;
    bool seen = false;
    for (int64_t i = 0; i < g->n_runs; i++) {
        const cJSON *config = g->runs[i].config;
        if (!cJSON_HasObjectItem(config, "output_dir")) continue; /* a point that did not run says its own keys only */
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(config, key);
        if (!seen) first = v;
        else if ((v && first) ? !cJSON_Compare(v, first, true) : v != first) return true;
        seen = true;
    }
    return false;
}

static lf_status add_swept(lf_gathered *g, const char *key, lf_err *err) {
    for (int64_t i = 0; i < g->n_swept; i++)
        if (strcmp(g->swept[i], key) == 0) return LF_OK;
    char **grown = lf_realloc(g->swept, (size_t)(g->n_swept + 1) * sizeof *grown);
    if (!grown) return no_memory(err);
    g->swept = grown;
    if (!(g->swept[g->n_swept] = lf_strdup(key))) return no_memory(err);
    g->n_swept++;
    return LF_OK;
}

static lf_status find_swept(lf_gathered *g, const cJSON *sweep, lf_err *err) {
    const cJSON *key;
    lf_status rc = LF_OK;
    cJSON_ArrayForEach(key, cJSON_GetObjectItemCaseSensitive(sweep, "swept")) {
        if (!cJSON_IsString(key)) return lf_fail(err, LF_EDATA, "%s/sweep.json: swept: expected names of keys, found another", g->dir);
        if ((rc = add_swept(g, key->valuestring, err))) return rc;
    }
    for (int64_t i = 0; i < g->n_runs; i++)
        cJSON_ArrayForEach(key, g->runs[i].config)
            if (!is_aside(key->string) && differs(g, key->string) && (rc = add_swept(g, key->string, err))) return rc;
    return rc;
}

/* ---- order and kind ---- */

static int compare_values(const cJSON *a, const cJSON *b) {
    char x[256], y[256];
    if (cJSON_IsNumber(a) && cJSON_IsNumber(b)) return (a->valuedouble > b->valuedouble) - (a->valuedouble < b->valuedouble);
    if (cJSON_IsNumber(a) || cJSON_IsNumber(b)) return cJSON_IsNumber(a) ? -1 : 1;
    lf_value_text(x, sizeof x, a);
    lf_value_text(y, sizeof y, b);
    return strcmp(x, y);
}

static int by_values(const void *a, const void *b, void *gathered) {
    const lf_gathered *g = gathered;
    const lf_gathered_run *x = a, *y = b;
    for (int64_t i = 0; i < g->n_swept; i++) {
        const int c = compare_values(cJSON_GetObjectItemCaseSensitive(x->config, g->swept[i]), cJSON_GetObjectItemCaseSensitive(y->config, g->swept[i]));
        if (c) return c;
    }
    return strcmp(x->name, y->name);
}

static lf_status find_kind(lf_gathered *g, lf_err *err) {
    const lf_gathered_run *first = NULL;
    for (int64_t i = 0; i < g->n_runs; i++) {
        const cJSON *results = g->runs[i].results;
        if (!results) continue;
        const bool language = cJSON_HasObjectItem(results, "eval_perplexity");
        if (first && language != g->language)
            return lf_fail(err, LF_EDATA, "%s: %s is judged by %s and %s is not; report them in folders of their own", g->dir, g->runs[i].name,
                           language ? "perplexity" : "accuracy", first->name);
        g->language = language;
        if (!first) first = &g->runs[i];
    }
    return LF_OK;
}

/* ---- all ---- */

lf_status lf_gather(lf_gathered **out, const char *dir, lf_err *err) {
    *out = NULL;
    cJSON *sweep = NULL;
    lf_gathered *g = lf_calloc(1, sizeof *g);
    if (!g) return no_memory(err);
    g->dir = dir;
    lf_status rc;
    if ((rc = read_object(&sweep, dir, "sweep.json", err)) || (rc = look(g, dir, "", 0, err)) || (rc = add_missing(g, sweep, err)) || (rc = find_kind(g, err)) ||
        (rc = find_swept(g, sweep, err)))
        goto out;
    if (!g->n_runs) {
        rc = lf_fail(err, LF_EDATA, "%s: expected training runs below it (folders with the config.json that `lora-ft train` writes), found none", dir);
        goto out;
    }
    qsort_r(g->runs, (size_t)g->n_runs, sizeof *g->runs, by_values, g);
    *out = g;
    g = NULL;
out:
    cJSON_Delete(sweep);
    lf_gathered_free(g);
    return rc;
}

void lf_gathered_free(lf_gathered *g) {
    if (!g) return;
    for (int64_t i = 0; i < g->n_runs; i++) free_run(&g->runs[i]);
    lf_free(g->runs);
    for (int64_t i = 0; i < g->n_swept; i++) lf_free(g->swept[i]);
    lf_free(g->swept);
    lf_free(g);
}

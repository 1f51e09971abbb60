#include "report/gather/sequence.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

#define TOLD "sequence.json"

enum { MOST = 1000 }; /* tasks */

static lf_status wrong(const lf_told *t, const char *key, const char *expected, lf_err *err) {
    return lf_fail(err, LF_EDATA, "%s/" TOLD ": key '%s': expected %s; was it written by lora-ft continual?", t->dir,
                   key, expected);
}

static const cJSON *member(const cJSON *o, const char *key) { return cJSON_GetObjectItemCaseSensitive(o, key); }

/* n numbers or nulls. */
static bool take_numbers(double *out, const cJSON *list, int64_t n) {
    const cJSON *v;
    int64_t i = 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != n) return false;
    cJSON_ArrayForEach(v, list) {
        if (!cJSON_IsNumber(v) && !cJSON_IsNull(v)) return false;
        out[i++] = lf_json_number(v);
    }
    return true;
}

static lf_status take_tasks(lf_told *t, lf_err *err) {
    const cJSON *list = member(t->json, "tasks"), *v;
    const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > MOST) return wrong(t, "tasks", "a list of names", err);
    if (!(t->tasks = lf_calloc((size_t)n, sizeof *t->tasks)) || !(t->before = lf_calloc((size_t)n, sizeof *t->before)))
        return lf_no_memory(err, "%s", t->dir);
    cJSON_ArrayForEach(v, list) {
        if (!cJSON_IsString(v)) return wrong(t, "tasks", "a list of names", err);
        t->tasks[t->n_tasks++] = v->valuestring;
    }
    return take_numbers(t->before, member(t->json, "before"), n)
               ? LF_OK
               : wrong(t, "before", "a number or null for each task", err);
}

static lf_status take_rows(lf_told *t, lf_err *err) {
    const cJSON *list = member(t->json, "after"), *v;
    const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    if (n < 0 || n > t->n_runs) return wrong(t, "after", "a list of as many runs as have ended", err);
    t->after = lf_calloc((size_t)n + 1, sizeof *t->after);
    t->base = lf_calloc((size_t)n + 1, sizeof *t->base);
    t->scores = lf_calloc((size_t)n + 1, (size_t)t->n_tasks * sizeof *t->scores);
    if (!t->after || !t->base || !t->scores) return lf_no_memory(err, "%s", t->dir);
    cJSON_ArrayForEach(v, list) {
        if (!(t->after[t->n_done] = cJSON_GetStringValue(member(v, "name"))) ||
            !take_numbers(t->scores + t->n_done * t->n_tasks, member(v, "scores"), t->n_tasks))
            return wrong(t, "after", "a name and a score or null for each task", err);
        t->base[t->n_done++] = lf_json_number(member(v, "base"));
    }
    return LF_OK;
}

static lf_status take(lf_told *t, lf_err *err) {
    static const char in[] = TOLD;
    lf_status rc;
    if ((rc = lf_json_get_str(t->json, "between", "", &t->between, in, err)) ||
        (rc = lf_json_get_str(t->json, "says", NULL, &t->says, in, err)) ||
        (rc = lf_json_get_str(t->json, "measure", "accuracy", &t->measure, in, err)) ||
        (rc = lf_json_get_i64(t->json, "runs", 0, &t->n_runs, in, err)) ||
        (rc = lf_json_get_f64(t->json, "base_before", NAN, &t->base_before, in, err)))
        return rc;
    if (t->n_runs < 1 || t->n_runs > MOST) return wrong(t, "runs", "a number of runs", err);
    rc = take_tasks(t, err);
    return rc ? rc : take_rows(t, err);
}

static lf_status read_if_there(cJSON **out, const char *dir, const char *name, lf_err *err) {
    return lf_is_file_in(dir, name) ? lf_json_read_in(out, dir, name, err) : LF_OK;
}

lf_status lf_told_read(lf_told *out, const char *dir, lf_err *err) {
    lf_status rc;
    *out = (lf_told){.dir = dir, .base_before = NAN};
    if ((rc = lf_json_read_in(&out->config, dir, LF_SEQUENCE_CONFIG, err)) ||
        (rc = read_if_there(&out->json, dir, TOLD, err)) ||
        (rc = read_if_there(&out->results, dir, "all_results.json", err)) ||
        (rc = read_if_there(&out->error, dir, "error.json", err)))
        return rc;
    return out->json ? take(out, err) : LF_OK;
}

void lf_told_close(lf_told *t) {
    cJSON_Delete(t->json);
    cJSON_Delete(t->config);
    cJSON_Delete(t->results);
    cJSON_Delete(t->error);
    lf_free(t->tasks);
    lf_free(t->after);
    lf_free(t->scores);
    lf_free(t->before);
    lf_free(t->base);
    *t = (lf_told){0};
}

const lf_told_shown *lf_told_how(const lf_told *t) {
    static const lf_told_shown all[] = {
        {"accuracy", "in percent", ", %", "score of the task", "%", "points", 100, 2, 1, 1, false},
        {"correlation", "Pearson's correlations", ", correlation", "correlation", "", "", 1, 3, 2, 3, false},
        {"log_probability", "mean log-probabilities of a token", ", mean log-probability", "mean log-probability", "",
         "nats", 1, 3, 2, 3, true}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (t->measure && strcmp(t->measure, all[i].measure) == 0) return &all[i];
    return all;
}

#include "continual/scores.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"
#include "eval/adapted.h"
#include "io/stored.h"
#include "task/source.h"

#define SCORES  "scores.json"
#define RESULTS "all_results.json"

/* ---- measuring ---- */

typedef struct judge {
    const lf_plan *p;
    int64_t run;
    const char *adapter; /* NULL: the base */
    const lf_kernels *k;
    lf_graph *g;
    lf_adapted opened; /* model NULL: not yet */
} judge;

static lf_status open_judge(judge *j, lf_err *err) {
    int threads;
    lf_status rc = lf_threads_take(&threads, (int)lf_cfg_i64(j->p->cfg, LF_threads), err);
    if (!rc) rc = lf_kernels_select(&j->k, lf_cfg_str(j->p->cfg, LF_precision), err);
    if (!rc && !(j->g = lf_graph_new(j->k, 0))) rc = lf_no_memory(err, "the scores");
    return rc;
}

static void close_judge(judge *j) {
    lf_graph_free(j->g);
    lf_adapted_close(&j->opened);
}

/* Opened once for all tasks. A head of class_embeddings is made by the task that asks for it, and not twice. */
static lf_status open_model(judge *j, lf_err *err) {
    if (j->opened.model && !j->opened.model->base_head.comparing && !j->p->own_heads) return LF_OK;
    const lf_model_opts opts = lf_model_opts_of(j->p->cfg, j->k, LF_LOAD_FROZEN);
    lf_adapted_close(&j->opened);
    return lf_adapted_open(&j->opened, lf_cfg_str(j->p->cfg, LF_model), j->adapter, &opts, err);
}

/* The gain's figure of all_results.json, as a score. */
static lf_status score_of(double *out, const lf_task_type *type, const lf_accuracy *a, lf_err *err) {
    const lf_yardstick *y = &lf_yardsticks[type->judged_by];
    lf_results r;
    lf_results_clear(&r, type);
    lf_results_put(&r, LF_DATA_EVAL, a);
    cJSON *all = lf_results_to_json(&r);
    if (!all) return lf_no_memory(err, "the scores");
    const cJSON *figure = cJSON_GetObjectItemCaseSensitive(all, lf_metric_in_role(y, LF_ROLE_GAIN)->name);
    *out = cJSON_IsNumber(figure) ? lf_gain_from(y, figure->valuedouble) : NAN;
    cJSON_Delete(all);
    return LF_OK;
}

/* What is asked of a task: its evaluation data, its test data, or instead what a uniform guess would score. */
typedef enum asked { ASK_EVAL, ASK_TEST, ASK_GUESS } asked;

static lf_status open_asked(lf_task *t, asked what, lf_err *err) {
    const lf_data_from test = {.key = LF_test_data, .split = "test", .limit = LF_max_test_samples};
    return what == ASK_TEST ? lf_task_open_part(t, LF_DATA_TEST, &test, err) : lf_task_open_eval(t, err);
}

static lf_status judge_opened(lf_task *t, double *out, asked what, lf_err *err) {
    lf_accuracy a;
    t->interruptible = true;
    lf_status rc = open_asked(t, what, err);
    if (rc) return rc;
    if (what == ASK_GUESS) {
        *out = t->type->chance(t->model, false);
        return LF_OK;
    }
    rc = t->type->evaluate(t, &a, t->model, what == ASK_TEST ? LF_DATA_TEST : LF_DATA_EVAL, NULL, err);
    return rc ? rc : score_of(out, t->type, &a, err);
}

static lf_status judge_task(judge *j, int64_t i, double *out, asked what, lf_err *err) {
    const lf_plan_task *task = &j->p->tasks[i];
    lf_err inner = {0};
    lf_task *t = NULL;
    if (j->adapter && !(j->adapter = lf_plan_judged_by(j->p, j->run, i))) return lf_no_memory(err, "the scores");
    lf_status rc = open_model(j, &inner);
    if (!rc) rc = lf_task_open(&t, task->cfg, j->opened.model, j->g, &inner);
    if (!rc) rc = judge_opened(t, out, what, &inner);
    lf_task_close(t);
    return rc ? lf_fail(err, rc, "task '%s': %s", task->name, inner.message) : LF_OK;
}

/* Run number -1: the base. */
static lf_status judge_all(judge *j, int64_t run, double *out, asked what, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; i < j->p->n_tasks && !rc; i++) {
        out[i] = NAN;
        if (run < 0 ? lf_plan_base_answers(j->p, i) : lf_plan_answers(j->p, run, i))
            rc = judge_task(j, i, &out[i], what, err);
    }
    return rc;
}

/* The base can be asked what it has a head for. */
static bool base_answers(const lf_plan *p) {
    return p->tasks[0].output != LF_CLASSES || lf_cfg_bool(p->tasks[0].cfg, LF_reuse_head);
}

/* ---- the base's own data, where the runs are of other bases ---- */

static lf_status measure_base(lf_results *r, lf_task *t, lf_err *err) {
    lf_base_score before, after;
    lf_status rc;
    if ((rc = lf_task_open_base(t, false, err)) || (rc = lf_task_measure_base(t, LF_DATA_BASE, &before, err)) ||
        (rc = lf_task_measure_tuned(t, LF_DATA_BASE, &after, t->model, err)))
        return rc;
    r->task = t->type; /* which may have become another while its data were opened */
    lf_results_put_base(r, &before, &after);
    return LF_OK;
}

static lf_status judge_base(judge *j, int64_t run, lf_results *r, lf_err *err) {
    const lf_config *cfg = j->p->tasks[run].cfg;
    lf_task *t = NULL;
    lf_results_clear(r, NULL);
    if (!lf_cfg_is_set(cfg, LF_forgetting_data)) return LF_OK;
    lf_status rc = open_model(j, err);
    if (!rc) rc = lf_task_open(&t, cfg, j->opened.model, j->g, err);
    if (!rc) t->interruptible = true;
    if (!rc) rc = measure_base(r, t, err);
    lf_task_close(t);
    return rc;
}

static void take_measured(lf_scores *out, const lf_results *r) {
    out->base_before = r->base_before;
    out->base_after = r->base_after;
    out->base_forgetting = r->forgetting;
    out->base_retention = r->retention;
}

static bool all_are_tested(const lf_plan *p) {
    bool all = true;
    for (int64_t i = 0; i < p->n_tasks; i++) all = all && lf_cfg_is_set(p->tasks[i].cfg, LF_test_data);
    return all;
}

static lf_status measure(lf_scores *out, const lf_plan *p, int64_t run, lf_err *err) {
    judge j = {.p = p, .run = run, .adapter = p->runs[run].adapter};
    lf_results base;
    lf_status rc = open_judge(&j, err);
    if (!rc) rc = judge_all(&j, run, out->tasks, ASK_EVAL, err);
    if (!rc && run == p->n_runs - 1 && all_are_tested(p)) rc = judge_all(&j, run, out->test, ASK_TEST, err);
    if (!rc && p->between->adds_up) j.adapter = p->runs[run].adapter;
    if (!rc && p->between->adds_up && !(rc = judge_base(&j, run, &base, err))) take_measured(out, &base);
    if (!rc && run == 0 && !base_answers(p)) rc = judge_all(&j, run, out->before, ASK_GUESS, err);
    if (!rc && run == 0 && base_answers(p)) {
        lf_adapted_close(&j.opened);
        j.adapter = NULL;
        rc = judge_all(&j, -1, out->before, ASK_EVAL, err);
    }
    close_judge(&j);
    return rc;
}

/* ---- the same, where the run has measured it ---- */

/* Name here, and in a run's all_results.json. */
static const struct {
    const char *name, *of_run;
    size_t offset;
} of_base[] = {
    {"base_before", "base_before", offsetof(lf_scores, base_before)},
    {"base_after", "base_after", offsetof(lf_scores, base_after)},
    {"base_forgetting", "forgetting", offsetof(lf_scores, base_forgetting)},
    {"base_retention", "retention", offsetof(lf_scores, base_retention)},
};
enum { N_OF_BASE = sizeof of_base / sizeof *of_base };

static double *member(lf_scores *s, int i) { return (double *)(void *)((char *)s + of_base[i].offset); }

static lf_status take_base(lf_scores *out, const lf_plan_run *r, lf_err *err) {
    cJSON *results;
    const lf_status rc = lf_json_read_in(&results, r->dir, RESULTS, err);
    for (int i = 0; i < N_OF_BASE && !rc; i++) *member(out, i) = lf_json_number_in(results, of_base[i].of_run);
    if (!rc) cJSON_Delete(results);
    return rc;
}

/* ---- the file ---- */

cJSON *lf_scores_by_task(const lf_plan *p, const double *x, int64_t stride) {
    lf_obj o = lf_obj_new();
    for (int64_t i = 0; i < p->n_tasks; i++) lf_obj_number(&o, p->tasks[i].name, x[i * stride]);
    return lf_obj_take(&o);
}

void lf_scores_put_base(lf_obj *o, const lf_scores *s) {
    lf_scores copy = *s;
    for (int i = 0; i < N_OF_BASE; i++) lf_obj_number(o, of_base[i].name, *member(&copy, i));
}

static lf_status keep(const lf_scores *s, const lf_plan *p, int64_t run, const char *hash, lf_err *err) {
    lf_obj o = lf_obj_new();
    lf_obj_string(&o, "after", p->runs[run].name);
    lf_obj_string(&o, "adapter_hash", hash);
    lf_obj_string(&o, "data_hash", p->data_hash);
    lf_obj_string(&o, "judged_by", lf_yardsticks[p->tasks[0].by].name);
    lf_obj_put(&o, "scores", lf_scores_by_task(p, s->tasks, 1));
    if (run == p->n_runs - 1 && all_are_tested(p)) lf_obj_put(&o, "test", lf_scores_by_task(p, s->test, 1));
    if (run == 0) lf_obj_put(&o, "before", lf_scores_by_task(p, s->before, 1));
    lf_scores_put_base(&o, s);
    return lf_obj_write_in(&o, p->runs[run].dir, SCORES, false, err);
}

static bool take_tasks(double *out, const lf_plan *p, const cJSON *from) {
    bool all = cJSON_GetArraySize(from) == p->n_tasks;
    for (int64_t i = 0; i < p->n_tasks && all; i++) {
        all = cJSON_GetObjectItemCaseSensitive(from, p->tasks[i].name) != NULL;
        out[i] = lf_json_number_in(from, p->tasks[i].name);
    }
    return all;
}

/* Of another adapter, other tasks or other data that judge, they are of no use, and neither are those that cannot be
 * read. */
static bool take_kept(lf_scores *out, const lf_plan *p, int64_t run, const char *hash) {
    cJSON *o = NULL;
    const char *dir = p->runs[run].dir;
    if (!lf_is_file_in(dir, SCORES) || lf_json_read_in(&o, dir, SCORES, NULL)) return false;
    const char *of = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "adapter_hash"));
    const char *data = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "data_hash"));
    const bool good = of && strcmp(of, hash) == 0 && data && strcmp(data, p->data_hash) == 0 &&
                      take_tasks(out->tasks, p, cJSON_GetObjectItemCaseSensitive(o, "scores")) &&
                      (run < p->n_runs - 1 || !all_are_tested(p) ||
                       take_tasks(out->test, p, cJSON_GetObjectItemCaseSensitive(o, "test"))) &&
                      (run > 0 || take_tasks(out->before, p, cJSON_GetObjectItemCaseSensitive(o, "before")));
    for (int i = 0; i < N_OF_BASE && good; i++) *member(out, i) = lf_json_number_in(o, of_base[i].name);
    cJSON_Delete(o);
    return good;
}

static lf_status hash_adapter(char hash[33], const char *dir, lf_err *err) {
    lf_adapter_file *f;
    lf_status rc = lf_adapter_open(&f, dir, err);
    if (rc) return rc;
    rc = lf_adapter_file_hash(f, hash, err);
    lf_adapter_close(f);
    return rc;
}

/* Of all by which tasks are judged after it. */
static lf_status hash_judged(char hash[33], const lf_plan *p, int64_t run, lf_err *err) {
    lf_string all = {0};
    lf_status rc = LF_OK;
    if (!p->own_heads) return hash_adapter(hash, p->runs[run].adapter, err);
    for (int64_t i = 0; i < p->n_tasks && !rc; i++) {
        char one[33];
        if (!lf_plan_answers(p, run, i)) continue;
        const char *dir = lf_plan_judged_by(p, run, i);
        rc = dir ? hash_adapter(one, dir, err) : lf_no_memory(err, "the scores");
        if (!rc && !lf_string_add(&all, "%s", one)) rc = lf_no_memory(err, "the scores");
    }
    if (!rc) lf_stored_hash(hash, all.s, all.n);
    lf_string_free(&all);
    return rc;
}

lf_status lf_scores_of(lf_scores *out, const lf_plan *p, int64_t run, lf_err *err) {
    const lf_plan_run *r = &p->runs[run];
    char hash[33];
    *out = (lf_scores){.tasks = lf_arena_alloc(p->arena, (size_t)p->n_tasks * sizeof *out->tasks),
                       .test = lf_arena_alloc(p->arena, (size_t)p->n_tasks * sizeof *out->test),
                       .before = lf_arena_alloc(p->arena, (size_t)p->n_tasks * sizeof *out->before)};
    for (int64_t i = 0; i < p->n_tasks && out->test; i++) out->test[i] = NAN;
    if (!out->tasks || !out->test || !out->before)
        return lf_no_memory(err, "the scores of %lld tasks", (long long)p->n_tasks);
    lf_status rc = hash_judged(hash, p, run, err);
    if (rc || take_kept(out, p, run, hash)) return rc;
    lf_info("after '%s': the scores of all %lld tasks", r->name, (long long)p->n_tasks);
    if ((!p->between->adds_up && (rc = take_base(out, r, err))) || (rc = measure(out, p, run, err))) return rc;
    return keep(out, p, run, hash, err);
}

lf_status lf_scores_remove(const char *dir, lf_err *err) {
    return lf_is_file_in(dir, SCORES) ? lf_remove_in(dir, SCORES, err) : LF_OK;
}

/* What is in a checkpoint: tensors, counters, and what the run is. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "train/checkpoint_internal.h"
#include "train/remedies.h"

/* ---- tensors ---- */

/* of: NULL: the weights themselves; else as many numbers, in their order. */
static lf_status each_trained(lf_run *run, const char *kind, float *of, lf_visit_entry visit, void *context,
                              lf_err *err) {
    for (int64_t i = 0; i < run->n_trainables; i++) {
        const lf_trainable *t = &run->trainables[i];
        lf_entry e = {.data = of ? of : t->tensor->data, .n = t->tensor->numel};
        snprintf(e.name, sizeof e.name, "%s.%s", kind, t->name);
        const lf_status rc = visit(context, &e, err);
        if (rc) return rc;
        if (of) of += t->tensor->numel;
    }
    return LF_OK;
}

lf_status lf_checkpoint_each_result(lf_run *run, lf_visit_entry visit, void *context, lf_err *err) {
    return each_trained(run, run->average.keep > 0 ? "ema" : "param", NULL, visit, context, err);
}

static lf_status each_start(lf_run *run, lf_visit_entry visit, void *context, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t i = 0; run->adapter && i < lf_adapter_count(run->adapter) && !rc; i++) {
        const lf_module *m = lf_adapter_module(run->adapter, i);
        if (!m->lora->A0 && !m->lora->B_is_held) continue;
        lf_entry e = {.data = m->lora->A0, .n = m->lora->A.numel};
        snprintf(e.name, sizeof e.name, "start.%s.lora_A", m->name);
        if (e.data && (rc = visit(context, &e, err))) break;
        e.data = m->lora->B_is_held ? m->lora->B.data : m->lora->B0;
        e.n = m->lora->B.numel;
        snprintf(e.name, sizeof e.name, "start.%s.lora_B", m->name);
        rc = visit(context, &e, err);
    }
    return rc;
}

static lf_status each_moment(lf_run *run, lf_visit_entry visit, void *context, lf_err *err) {
    for (int m = 0; m < run->optimizer.n_moments; m++) {
        int64_t at = 0;
        for (int64_t i = 0; i < run->n_trainables; i++) {
            const lf_trainable *t = &run->trainables[i];
            lf_entry e = {.data = run->optimizer.moments[m] + at,
                          .n = lf_optimizer_moment_size(&run->optimizer, t->tensor, m)};
            snprintf(e.name, sizeof e.name, "%s.%s", run->optimizer.type->moments[m], t->name);
            const lf_status rc = e.n ? visit(context, &e, err) : LF_OK;
            if (rc) return rc;
            at += e.n;
        }
    }
    return LF_OK;
}

lf_status lf_checkpoint_each_tensor(lf_run *run, lf_visit_entry visit, void *context, lf_err *err) {
    lf_status rc;
    if ((rc = each_trained(run, "param", NULL, visit, context, err)) ||
        (run->average.values && (rc = each_trained(run, "ema", run->average.values, visit, context, err))) ||
        (rc = each_start(run, visit, context, err)))
        return rc;
    return each_moment(run, visit, context, err);
}

/* ---- counters: one line each, for writing, reading and what they may be ---- */

/* WHOLE: an int64_t of 0 or more that is always there, else a double that may be missing (NAN). */
static const struct {
    const char *name;
    bool whole;
    size_t at;
    double least, most;
    const char *most_of; /* another one, before it here, that it does not exceed; NULL: `most` */
} counter_list[] = {
#define WHOLE(name, member, most_of)                                                                                   \
    { name, true, offsetof(lf_counters, member), 0, LF_NO_MAX, most_of }
#define REAL(name, member, least, most)                                                                                \
    { name, false, offsetof(lf_counters, member), least, most, NULL }
    WHOLE("max_steps", max_steps, NULL),
    WHOLE("planned_steps", planned_steps, "max_steps"),
    WHOLE("global_step", at.step, "max_steps"),
    WHOLE("optimizer_steps", optimizer_steps, "global_step"),
    WHOLE("best_global_step", at.best_step, "global_step"),
    WHOLE("evaluations_without_gain", at.evals_without_gain, NULL),
    WHOLE("skipped_images", at.skipped_images, NULL),
    WHOLE("targets_since_log", at.since_log.targets, NULL),
    WHOLE("correct_since_log", at.since_log.correct, "targets_since_log"),
    REAL("weight_since_log", at.since_log.weight, 0, HUGE_VAL),
    REAL("loss_since_log", at.since_log.loss, 0, HUGE_VAL),
    REAL("train_seconds", at.train_seconds, 0, HUGE_VAL),
    REAL("best_metric", at.best_metric, -HUGE_VAL, HUGE_VAL),
    REAL("best_forgetting", at.best_forgetting, -HUGE_VAL, HUGE_VAL),
    REAL("eval_accuracy_before", at.eval_accuracy_before, 0, 1),
    REAL("eval_loss_before", at.eval_loss_before, 0, HUGE_VAL),
    REAL("plateau_factor", plateau.factor, 0, 1),
    REAL("plateau_best", plateau.best, -HUGE_VAL, HUGE_VAL),
    REAL("plateau_evaluations_without_gain", plateau.bad, 0, LF_NO_MAX),
    REAL("plateau_evaluations_to_rest", plateau.rest, 0, LF_NO_MAX),
#undef REAL
#undef WHOLE
};
enum { N_COUNTERS = sizeof counter_list / sizeof counter_list[0] };

lf_counters lf_counters_of(const lf_run *run) {
    return (lf_counters){run->progress, run->optimizer.steps, run->total_steps, run->planned_steps,
                         run->schedule.plateau};
}

bool lf_counters_put(cJSON *o, const lf_counters *c) {
    for (int i = 0; i < N_COUNTERS; i++) {
        const void *at = (const char *)c + counter_list[i].at;
        const double x = counter_list[i].whole ? (double)*(const int64_t *)at : *(const double *)at;
        if (isfinite(x) && !cJSON_AddNumberToObject(o, counter_list[i].name, x)) return false;
    }
    return true;
}

static lf_status check_counter(const lf_counters *c, int i, double x, const char *path, lf_err *err) {
    double most = counter_list[i].most;
    for (int j = 0; counter_list[i].most_of && j < i; j++)
        if (strcmp(counter_list[j].name, counter_list[i].most_of) == 0)
            most = (double)*(const int64_t *)((const char *)c + counter_list[j].at);
    if (isnan(x) || (x >= counter_list[i].least && x <= most)) return LF_OK;
    return lf_fail(err, LF_EDATA, "%s: key '%s': expected %g to %.17g%s%s, found %.17g; take an older checkpoint", path,
                   counter_list[i].name, counter_list[i].least, most, counter_list[i].most_of ? ", which is " : "",
                   counter_list[i].most_of ? counter_list[i].most_of : "", x);
}

lf_status lf_counters_read(lf_counters *c, const cJSON *saved, const char *path, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < N_COUNTERS && !rc; i++) {
        const char *name = counter_list[i].name;
        void *at = (char *)c + counter_list[i].at;
        rc = counter_list[i].whole ? lf_json_get_i64(saved, name, -1, at, path, err)
                                   : lf_json_get_f64(saved, name, NAN, at, path, err);
        if (!rc) rc = check_counter(c, i, counter_list[i].whole ? (double)*(int64_t *)at : *(double *)at, path, err);
    }
    if (isnan(c->at.since_log.weight))
        c->at.since_log.weight = (double)c->at.since_log.targets; /* of earlier versions */
    return rc ? rc : lf_terms_read(c->at.since_log.terms, saved, path, err);
}

/* ---- what the run is ---- */

/* What has to be the same beside the keys. The kernels are the machine's: with others, the last digits are. */
cJSON *lf_checkpoint_facts(const lf_run *run) {
    cJSON *o = cJSON_CreateObject();
    if (cJSON_AddNumberToObject(o, "train_examples", (double)run->task->source->count(run->task, LF_DATA_TRAIN)) &&
        cJSON_AddStringToObject(o, "precision", run->k->precision) &&
        cJSON_AddStringToObject(o, "kernels", run->k->name) &&
        (run->accumulation == 1 || cJSON_AddStringToObject(o, LF_REDUCTION, "tree")))
        return o;
    cJSON_Delete(o);
    return NULL;
}

/* The keys; of threads, how many there are. */
cJSON *lf_checkpoint_keys(const lf_run *run) {
    cJSON *o = lf_cfg_select(run->cfg, ~0u, LF_IS_CALL), *threads = cJSON_CreateNumber(run->threads);
    if (o && threads && cJSON_ReplaceItemInObjectCaseSensitive(o, lf_key_name(LF_threads), threads)) return o;
    cJSON_Delete(threads);
    cJSON_Delete(o);
    return NULL;
}

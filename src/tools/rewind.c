/* The verb `rewind`: an adapter at sizes from nothing to beyond itself, W + lambda dW, what each has learned and
 * forgotten, and the one that is wanted as an adapter of its own. Published work finds that the end of training
 * overshoots: the general ability returns before the new task drops (arXiv 2605.28819). */
#include "tools/rewind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/string.h"
#include "task/source.h"
#include "task/update_ratio.h"

/* ---- which sizes ---- */

static int by_lambda(const void *a, const void *b) {
    const lf_rewind_point *x = a, *y = b;
    return (x->lambda > y->lambda) - (x->lambda < y->lambda);
}

static void add_point(lf_rewinding *r, double lambda) {
    for (int64_t i = 0; i < r->n; i++)
        if (r->points[i].lambda == lambda) return;
    r->points[r->n++] = (lf_rewind_point){.lambda = lambda};
}

static lf_status make_points(lf_rewinding *r, lf_err *err) {
    const cJSON *list = lf_cfg_json(r->cfg, LF_lambdas), *item;
    r->points = lf_calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *r->points);
    if (!r->points) return lf_no_memory(err, "the points");
    cJSON_ArrayForEach(item, list) add_point(r, item->valuedouble);
    if (lf_cfg_is_set(r->cfg, LF_lambda)) add_point(r, lf_cfg_f64(r->cfg, LF_lambda));
    qsort(r->points, (size_t)r->n, sizeof *r->points, by_lambda);
    return LF_OK;
}

/* ---- what each has learned and forgotten ---- */

static double in_role(const lf_rewinding *r, const lf_rewind_point *p, lf_role role) {
    return lf_rewind_figure(p, lf_metric_in_role(r->yardstick, role)->name);
}

static void drop_what_was_not_measured(cJSON *figures) {
    cJSON *next;
    for (cJSON *item = figures ? figures->child : NULL; item; item = next) {
        next = item->next;
        if (cJSON_IsNull(item)) cJSON_Delete(cJSON_DetachItemViaPointer(figures, item));
    }
}

/* On which data points are measured. */
typedef struct data_of {
    lf_data_role new_task, base;
} data_of;

/* As `eval` does it, with the adapter at this size. */
static lf_status measure(lf_rewinding *r, lf_rewind_point *p, lf_opened *o, lf_task *t, data_of on, lf_err *err) {
    lf_results found;
    lf_accuracy a;
    lf_base_score after;
    lf_status rc;
    lf_results_clear(&found, t->type);
    if ((rc = lf_adapter_set_scale(o->adapted.adapter, p->lambda, err)) ||
        (rc = t->type->evaluate(t, &a, t->model, on.new_task, NULL, err)) ||
        (rc = lf_task_measure_tuned(t, on.base, &after, t->model, err)) ||
        (rc = lf_update_ratio_measure(&found.update_ratio, t, t->model, on.base, err)))
        return rc;
    found.threads = o->threads;
    found.trainable_parameters = lf_opened_trained(o);
    if (r->compares && on.new_task == LF_DATA_EVAL) lf_results_put_before(&found, &r->untouched);
    lf_results_put(&found, on.new_task, &a);
    lf_results_put_base(&found, lf_forgetting_before(t->forgetting[on.base]), &after);
    if (!(p->figures = lf_results_to_json(&found))) return lf_no_memory(err, "the figures");
    drop_what_was_not_measured(p->figures);
    p->outcome = (lf_outcome){.gain = lf_gain_from(r->yardstick, in_role(r, p, LF_ROLE_GAIN)),
                              .cost = in_role(r, p, LF_ROLE_COST)};
    return LF_OK;
}

static void say_data(lf_rewinding *r) {
    const bool others = lf_cfg_is_set(r->cfg, LF_forgetting_eval_data);
    r->chosen_on = !r->apart ? "data and forgetting_data"
                   : others  ? "data and forgetting_eval_data"
                             : "data and one half of forgetting_data";
    r->judged_on = !r->apart      ? r->chosen_on
                   : !r->has_test ? "data, which chose it too, and forgetting_data"
                   : others       ? "test_data and forgetting_data"
                                  : "test_data and the other half of forgetting_data";
}

/* Of a folder with splits both are its test/. */
static lf_status check_test_data(const lf_rewinding *r, const lf_task *t, lf_err *err) {
    bool same = false;
    const lf_status rc = r->has_test ? lf_task_hold_same(t, LF_DATA_EVAL, LF_DATA_TEST, &same, err) : LF_OK;
    if (rc || !same) return rc;
    return lf_cfg_fail(r->cfg, LF_test_data, err,
                       "holds the same as data, which chooses; give other examples as data (of a folder with splits, "
                       "its val/), or leave it out");
}

static lf_status open_data(lf_rewinding *r, lf_task *t, lf_err *err) {
    const lf_data_from data = {.key = LF_data, .split = "test", .limit = LF_max_samples},
                       test = {.key = LF_test_data, .split = "test", .limit = LF_max_test_samples};
    lf_status rc;
    r->has_test = lf_cfg_is_set(r->cfg, LF_test_data);
    r->apart = r->has_test || lf_cfg_is_set(r->cfg, LF_forgetting_eval_data);
    say_data(r);
    if ((rc = t->source->open_data(t, LF_DATA_EVAL, &data, err)) ||
        (r->has_test && (rc = t->source->open_data(t, LF_DATA_TEST, &test, err))) ||
        (rc = check_test_data(r, t, err)) || (rc = lf_task_open_base(t, r->apart, err)))
        return rc;
    r->yardstick = &lf_yardsticks[t->type->judged_by]; /* which may have become another with the data */
    return LF_OK;
}

/* Before point i is measured; i points took `spent` seconds. The keys are said once, where it will take long. */
static void say_point(const lf_rewinding *r, int64_t i, double spent) {
    enum { LONG = 120 };
    char left[32], more[64] = "";
    const double expected = i ? spent / (double)i * (double)(r->n - i) : 0;
    if (i) snprintf(more, sizeof more, "; about %s left", lf_number_time(left, sizeof left, expected));
    lf_info("lambda %g, %lld of %lld%s", r->points[i].lambda, (long long)i + 1, (long long)r->n, more);
    if (i == 1 && expected > LONG) lf_info("max_samples and max_forgetting_samples, or fewer lambdas, make it shorter");
}

static lf_status measure_all(lf_rewinding *r, lf_opened *o, lf_task *t, lf_err *err) {
    const data_of on = {LF_DATA_EVAL, r->apart ? LF_DATA_BASE_EVAL : LF_DATA_BASE};
    lf_base_score before;
    lf_status rc = lf_task_measure_base(t, on.base, &before, err);
    r->compares = !rc && lf_opened_base_answers(o);
    if (r->compares) rc = lf_task_answer_before(t, &r->untouched, NULL, &r->answers, err);
    const double began = lf_now();
    for (int64_t i = 0; i < r->n && !rc; i++) {
        say_point(r, i, lf_now() - began);
        rc = measure(r, &r->points[i], o, t, on, err);
    }
    return rc;
}

/* What was chosen, and the adapter as it is, on the data that chose nothing. */
static lf_status judge(lf_rewinding *r, lf_opened *o, lf_task *t, lf_err *err) {
    const data_of on = {r->has_test ? LF_DATA_TEST : LF_DATA_EVAL, LF_DATA_BASE};
    const double chosen = r->chosen < 0 ? 1 : r->points[r->chosen].lambda;
    lf_base_score before;
    if (!r->apart) return LF_OK;
    lf_status rc = lf_task_measure_base(t, on.base, &before, err);
    for (int i = chosen == 1; i < 2 && !rc; i++) {
        lf_rewind_point *p = &r->judged[r->n_judged++];
        p->lambda = i ? 1 : chosen;
        rc = measure(r, p, o, t, on, err);
    }
    return rc;
}

/* ---- which one ---- */

static bool is_allowed(const lf_rewinding *r, const lf_rewind_point *p) {
    const lf_metric *cost = lf_metric_in_role(r->yardstick, LF_ROLE_COST);
    if (lf_cfg_is_set(r->cfg, LF_max_forgetting) &&
        !(cost->scale * p->outcome.cost <= lf_cfg_f64(r->cfg, LF_max_forgetting)))
        return false;
    return !lf_cfg_is_set(r->cfg, LF_min_retention) ||
           in_role(r, p, LF_ROLE_KEPT) >= lf_cfg_f64(r->cfg, LF_min_retention);
}

/* The best on the new task; of equal ones the smallest. */
static int64_t best_allowed(const lf_rewinding *r) {
    int64_t best = -1;
    for (int64_t i = 0; i < r->n; i++)
        if (isfinite(r->points[i].outcome.gain) && is_allowed(r, &r->points[i]) &&
            (best < 0 || r->points[i].outcome.gain > r->points[best].outcome.gain))
            best = i;
    return best;
}

static int64_t at_lambda(const lf_rewinding *r, double lambda) {
    int64_t i = 0;
    while (r->points[i].lambda != lambda) i++;
    return i;
}

/* Chosen on some examples, a size may ask too much on others. */
static void say_if_not_met(const lf_rewinding *r) {
    const lf_rewind_point *p = &r->judged[0];
    const lf_metric *cost = lf_metric_in_role(r->yardstick, LF_ROLE_COST);
    if (!r->n_judged || r->chosen < 0 || lf_cfg_is_set(r->cfg, LF_lambda) || is_allowed(r, p)) return;
    lf_warn("on %s lambda %g forgets %.4g %s and keeps %.4g: not what %s asks for; try a smaller lambda, or more "
            "examples to choose it on (forgetting_data, max_forgetting_samples)",
            r->judged_on, p->lambda, cost->scale * p->outcome.cost, cost->unit, in_role(r, p, LF_ROLE_KEPT),
            r->chosen_by);
}

static lf_status none_allowed(const lf_rewinding *r, lf_err *err) {
    const lf_key_id key = lf_cfg_is_set(r->cfg, LF_max_forgetting) ? LF_max_forgetting : LF_min_retention;
    const lf_metric *cost = lf_metric_in_role(r->yardstick, LF_ROLE_COST);
    const lf_rewind_point *least = &r->points[0];
    for (int64_t i = 0; i < r->n; i++)
        if (r->points[i].outcome.cost < least->outcome.cost) least = &r->points[i];
    return lf_cfg_fail(r->cfg, key, err, "no lambda that was tried forgets so little; %g forgets least, %.4g %s",
                       least->lambda, cost->scale * least->outcome.cost, cost->unit);
}

static lf_status choose(lf_rewinding *r, lf_err *err) {
    lf_outcome *curve = lf_malloc((size_t)r->n * sizeof *curve);
    if (!curve) return lf_no_memory(err, "the points");
    for (int64_t i = 0; i < r->n; i++) curve[i] = r->points[i].outcome;
    r->knee = lf_knee(curve, r->n);
    lf_free(curve);
    if (lf_cfg_is_set(r->cfg, LF_lambda)) {
        r->chosen = at_lambda(r, lf_cfg_f64(r->cfg, LF_lambda));
        r->chosen_by = "lambda";
        return LF_OK;
    }
    const bool cost = lf_cfg_is_set(r->cfg, LF_max_forgetting), kept = lf_cfg_is_set(r->cfg, LF_min_retention);
    r->chosen = cost || kept ? best_allowed(r) : r->knee;
    r->chosen_by = cost && kept ? "max_forgetting and min_retention"
                   : cost       ? "max_forgetting"
                   : kept       ? "min_retention"
                                : "knee";
    return r->chosen < 0 && (cost || kept) ? none_allowed(r, err) : LF_OK;
}

/* ---- the adapter at that size ---- */

static lf_status check_output(const lf_rewinding *r, const char *adapter, lf_err *err) {
    if (lf_is_file(r->dir)) return lf_cfg_fail(r->cfg, LF_output_dir, err, "'%s' is a file, expected a folder", r->dir);
    if (!lf_is_dir(adapter)) return LF_OK;
    if (lf_path_is_within(lf_cfg_str(r->cfg, LF_adapter), adapter))
        return lf_cfg_fail(r->cfg, LF_output_dir, err, "'%s' is the adapter that is read; choose another folder",
                           adapter);
    if (lf_cfg_bool(r->cfg, LF_overwrite_output_dir)) return LF_OK;
    return lf_cfg_fail(r->cfg, LF_output_dir, err, "'%s' is there already; choose another, or set overwrite_output_dir",
                       adapter);
}

/* For the card: what the size that is written did, on the data that judge it. */
static char *results_text(const lf_rewinding *r) {
    static const char *const bases[] = {"base_before", "base_after"};
    const lf_rewind_point *p = r->n_judged ? &r->judged[0] : &r->points[r->chosen];
    const char *names[] = {
        lf_metric_in_role(r->yardstick, r->n_judged && r->has_test ? LF_ROLE_TEST_GAIN : LF_ROLE_GAIN)->name, bases[0],
        bases[1], lf_metric_in_role(r->yardstick, LF_ROLE_COST)->name,
        lf_metric_in_role(r->yardstick, LF_ROLE_KEPT)->name};
    lf_string t = {0};
    lf_string_add(&t, "Measured on %s", r->judged_on);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const double value = lf_rewind_figure(p, names[i]);
        if (isfinite(value)) lf_string_add(&t, "%s %s %.6g", i ? "," : ":", names[i], value);
    }
    lf_string_add(&t, "; it was chosen by %s.", r->chosen_by);
    return lf_string_take(&t);
}

static lf_status write_adapter(lf_rewinding *r, lf_opened *o, const char *adapter, lf_err *err) {
    lf_status rc;
    if (r->chosen < 0) {
        lf_warn(
            "no adapter is written: the curve has no knee; choose one with lambda, max_forgetting or min_retention");
        return LF_OK;
    }
    char *results = results_text(r);
    rc = results ? lf_adapter_set_scale(o->adapted.adapter, r->points[r->chosen].lambda, err)
                 : lf_no_memory(err, "writing the adapter %s", adapter);
    if (!rc) rc = lf_adapter_save_scaled(o->adapted.adapter, o->adapted.file, adapter, results, err);
    lf_free(results);
    if (rc) return rc;
    r->adapter_dir = lf_strdup(adapter);
    return r->adapter_dir ? LF_OK : lf_no_memory(err, "a path");
}

/* ---- the verb ---- */

/* What was measured is written also where nothing of it is what was wished for. */
static lf_status conclude(lf_rewinding *r, lf_opened *o, lf_task *t, const char *adapter, FILE *out, lf_err *err) {
    const lf_status wished = choose(r, err);
    lf_status rc = wished ? LF_OK : judge(r, o, t, err);
    if (rc) return rc;
    say_if_not_met(r);
    if (r->dir && ((rc = lf_mkdir_p(r->dir, err)) || (rc = lf_rewind_files(r, err)))) return rc;
    if (wished || (r->dir && (rc = write_adapter(r, o, adapter, err)))) return wished ? wished : rc;
    if (lf_cfg_bool(r->cfg, LF_json)) return lf_rewind_json(r, out, err);
    lf_rewind_table(r, out);
    return LF_OK;
}

static void free_rewind(lf_rewinding *r) {
    for (int64_t i = 0; i < r->n; i++) cJSON_Delete(r->points[i].figures);
    for (int64_t i = 0; i < r->n_judged; i++) cJSON_Delete(r->judged[i].figures);
    lf_answers_free(&r->answers);
    lf_free(r->points);
    lf_free(r->adapter_dir);
}

/* Before anything is measured. */
static lf_status check(const lf_rewinding *r, const lf_opened *o, const char *adapter, lf_err *err) {
    const lf_adapter_file *f = o->adapted.file;
    if (lf_adapter_file_is_head(f))
        return lf_cfg_fail(r->cfg, LF_adapter, err, "'%s' is a head alone, without LoRA: there is nothing to rewind",
                           lf_cfg_str(r->cfg, LF_adapter));
    return r->dir ? check_output(r, adapter, err) : LF_OK;
}

static lf_status run(lf_rewinding *r, lf_opened *o, FILE *out, lf_err *err) {
    lf_task *t = NULL;
    char *adapter = r->dir ? lf_path_join(r->dir, "adapter") : NULL;
    lf_status rc = !r->dir || adapter ? LF_OK : lf_no_memory(err, "a path");
    if (!rc && !(rc = check(r, o, adapter, err)) && !(rc = lf_adapter_set_scale(o->adapted.adapter, 1, err)) &&
        !(rc = lf_task_open(&t, r->cfg, o->model, o->g, err))) {
        t->interruptible = true;
        if (!(rc = open_data(r, t, err)) && !(rc = measure_all(r, o, t, err)))
            rc = conclude(r, o, t, adapter, out, err);
    }
    lf_task_close(t);
    lf_free(adapter);
    return rc;
}

lf_status lf_rewind(const lf_config *cfg, FILE *out, lf_err *err) {
    lf_opened o = {0};
    lf_rewinding r = {.cfg = cfg, .knee = -1, .chosen = -1, .dir = lf_cfg_str(cfg, LF_output_dir)};
    lf_status rc;
    lf_config_say_no_effect(cfg, "save_logits|confusion_file|adapter_scale|head|seed", "in rewind");
    if (!(rc = make_points(&r, err)) && !(rc = lf_opened_open(&o, cfg, LF_LOAD_FROZEN, err)))
        rc = run(&r, &o, out, err);
    free_rewind(&r);
    lf_opened_close(&o);
    return rc;
}

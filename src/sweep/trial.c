#include "sweep/trial.h"

#include <math.h>

#include "base/json.h"
#include "base/log.h"
#include "base/number.h"
#include "base/obj.h"
#include "train/fitting.h"
#include "train/run.h"

static const lf_point *first_to_do(const lf_points *p) {
    for (int64_t i = 0; i < p->n; i++)
        if (p->at[i].of_shard && p->at[i].state == LF_POINT_TODO) return &p->at[i];
    return NULL;
}

/* What all take that are to do, each like the one that was tried. */
typedef struct whole {
    double seconds, peak_mb, steps;
} whole;

static whole whole_of(const lf_points *p, const cJSON *plan) {
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(plan, "estimate");
    const double runs = (double)lf_points_count(p, LF_POINT_TODO), jobs = (double)lf_cfg_i64(p->cfg, LF_jobs),
                 mapped = lf_json_number_in(e, "mapped_mb");
    return (whole){.seconds = (lf_json_number_in(e, "train_seconds") + lf_json_number_in(e, "judging_seconds")) *
                              ceil(runs / jobs),
                   .peak_mb = mapped + (lf_json_number_in(e, "peak_mb") - mapped) * fmin(runs, jobs),
                   .steps = lf_json_number_in(plan, "total_steps") * runs};
}

static void say(const lf_points *p, const lf_point *at, const whole *w) {
    char time[32];
    lf_info(
        "%lld runs to do, %lld at a time, each as the one that was tried (%s): about %s by this process alone, %.0f "
        "MB at once, %.0f steps",
        (long long)lf_points_count(p, LF_POINT_TODO), (long long)lf_cfg_i64(p->cfg, LF_jobs), at->name,
        lf_number_duration(time, sizeof time, w->seconds), w->peak_mb, w->steps);
}

static cJSON *to_json(const lf_points *p, const lf_point *at, const cJSON *plan, const whole *w) {
    lf_obj o = lf_obj_new();
    lf_obj_number(&o, "runs", (double)p->n);
    lf_obj_number(&o, "to_do", (double)lf_points_count(p, LF_POINT_TODO));
    lf_obj_number(&o, "jobs", (double)lf_cfg_i64(p->cfg, LF_jobs));
    if (at) lf_obj_string(&o, "tried", at->name);
    if (plan) {
        lf_obj_copy(&o, "run", plan);
        lf_obj_number(&o, "seconds", w->seconds);
        lf_obj_number(&o, "peak_mb", w->peak_mb);
        lf_obj_number(&o, "total_steps", w->steps);
    }
    return lf_obj_take(&o);
}

static lf_status set(lf_config *cfg, lf_key_id key, bool value, lf_err *err) {
    return lf_cfg_set_taken(cfg, lf_key_name(key), cJSON_CreateBool(value), "the sweep", err);
}

/* *plan: what train's dry run says; NULL of a sequence, which says it itself. */
static lf_status try(cJSON **plan, const lf_points *p, const lf_point *at, FILE *out, lf_err *err) {
    lf_config *own;
    lf_outlet kept = {0};
    lf_status rc = lf_point_bare(&own, p, at, err);
    if (!rc) rc = set(own, LF_dry_run, true, err);
    if (!rc) rc = set(own, LF_json, false, err);
    if (!rc && p->fits && lf_fitting_is_asked(own)) rc = lf_fitting_settle(own, p->fits, err);
    if (!rc && !(rc = lf_config_finish(own, err)))
        rc = at->kind->fits ? lf_train_to(own, &kept, NULL, err) : lf_continual(own, out, err);
    *plan = kept.kept;
    lf_config_free(own);
    return rc;
}

lf_status lf_trial(const lf_points *p, FILE *out, lf_err *err) {
    const lf_point *at = first_to_do(p);
    cJSON *plan = NULL;
    lf_status rc = at ? try(&plan, p, at, out, err) : LF_OK;
    const whole w = whole_of(p, plan);
    if (!rc && plan) say(p, at, &w);
    if (!rc && lf_cfg_bool(p->cfg, LF_json)) rc = lf_json_write_line(out, to_json(p, at, plan, &w), err);
    cJSON_Delete(plan);
    return rc;
}

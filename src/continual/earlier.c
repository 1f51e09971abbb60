#include "continual/earlier.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "continual/between.h"
#include "continual/specs.h"
#include "train/run.h"

static lf_status train_data(cJSON **out, const lf_plan *p, int64_t n, lf_err *err) {
    return lf_specs_join(out, p, LF_train_data, n, err);
}

static lf_status list(cJSON **out, const lf_plan *p, int64_t n, bool adapters, lf_err *err) {
    lf_obj o = lf_list_new();
    for (int64_t i = 0; i < n; i++) lf_list_string(&o, adapters ? p->runs[i].own : p->runs[i].dir);
    *out = lf_obj_take(&o);
    return *out ? LF_OK : lf_no_memory(err, "the earlier tasks");
}

static lf_status own_adapters(cJSON **out, const lf_plan *p, int64_t n, lf_err *err) {
    return list(out, p, n, true, err);
}
static lf_status folders(cJSON **out, const lf_plan *p, int64_t n, lf_err *err) { return list(out, p, n, false, err); }

static const struct {
    lf_key_id weight, from;
    lf_status (*give)(cJSON **out, const lf_plan *p, int64_t n, lf_err *err); /* of the first n tasks */
    bool of_head;                                                             /* it is of the head's classes, too */
    lf_key_id needs;              /* above zero in those tasks; LF_NO_KEY: nothing */
    const char *in_sum, *in_keep; /* why it cannot be where each task has an adapter, or all have one; NULL: it can */
} given[] = {
    {LF_replay_ratio, LF_replay_data, train_data, true, LF_NO_KEY, NULL, NULL},
    {LF_orthogonal_weight, LF_earlier_adapters, own_adapters, false, LF_NO_KEY, NULL,
     "the one adapter would be turned away from what it has learned itself; take between merge or stack"},
    {LF_ewc_weight, LF_ewc_from, folders, true, LF_ewc_samples,
     "each task has a new adapter, whose numbers are not those of the ones before it; take between keep", NULL},
};
enum { N_GIVEN = sizeof given / sizeof *given };

static bool is_asked(const lf_config *cfg, int i) {
    return lf_cfg_f64(cfg, given[i].weight) > 0 && !lf_cfg_is_given(cfg, given[i].from);
}

static lf_status check(const lf_plan *p, int64_t task, int i, lf_err *err) {
    if (p->own_heads && given[i].of_head && lf_cfg_f64(p->tasks[task].cfg, given[i].weight) > 0)
        return lf_cfg_fail(p->tasks[task].cfg, given[i].weight, err,
                           "with heads task the head of earlier tasks is not there to be asked; leave it out, or take "
                           "heads one");
    if (!is_asked(p->tasks[task].cfg, i)) return LF_OK;
    const char *why = p->between->adds_up ? given[i].in_sum : given[i].in_keep;
    if (why)
        return lf_cfg_fail(p->tasks[task].cfg, given[i].weight, err, "with between %s: %s, or leave it out",
                           p->between->name, why);
    if (given[i].needs == LF_NO_KEY) return LF_OK;
    for (int64_t t = 0; t < task; t++)
        if (lf_cfg_i64(p->tasks[t].cfg, given[i].needs) <= 0)
            return lf_cfg_fail(p->tasks[t].cfg, given[i].needs, err,
                               "is 0 in task '%s', and '%s' of task '%s' needs what it writes; give a number, 1000 say",
                               p->tasks[t].name, lf_key_name(given[i].weight), p->tasks[task].name);
    return LF_OK;
}

static lf_status give(const lf_plan *p, int64_t run, int i, lf_err *err) {
    lf_config *cfg = p->runs[run].cfg;
    cJSON *value = NULL;
    if (!is_asked(cfg, i)) return LF_OK;
    if (run == 0 || !p->between->one_head) {
        lf_info("%s: nothing stands before '%s', which is trained without it", lf_key_name(given[i].weight),
                p->runs[run].name);
        return lf_cfg_unset(cfg, given[i].weight, err);
    }
    const lf_status rc = given[i].give(&value, p, run, err);
    if (!rc) return lf_plan_set(cfg, given[i].from, value, err);
    cJSON_Delete(value);
    return rc;
}

lf_status lf_earlier_give(const lf_plan *p, int64_t run, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < N_GIVEN && !rc; i++) rc = give(p, run, i, err);
    return rc;
}

/* ---- before any run ---- */

/* A run's settings as they will be when it is its turn: what `train` would refuse then shows before the first begins,
 * and not behind the hours of those before it. */
static lf_status check_turn(const lf_plan *p, int64_t run, lf_err *err) {
    lf_plan_run *r = &p->runs[run];
    lf_config *kept = r->cfg, *turn = NULL;
    lf_err inner = {0};
    lf_status rc = lf_cfg_derive(&turn, kept, "train", err);
    if (rc) return rc;
    const lf_log_level level = lf_log_set_level(LF_LOG_QUIET);
    r->cfg = turn;
    rc = lf_earlier_give(p, run, &inner);
    if (!rc && p->between->begin) rc = p->between->begin(p, run, &inner);
    if (!rc) rc = lf_run_check_settings(turn, &inner);
    r->cfg = kept;
    lf_log_set_level(level);
    lf_config_free(turn);
    return rc ? lf_fail(err, rc, "'%s': %s", r->name, inner.message) : LF_OK;
}

lf_status lf_earlier_check(const lf_plan *p, lf_err *err) {
    lf_status rc = LF_OK;
    for (int64_t task = 1; task < p->n_tasks && p->between->one_head && !rc; task++)
        for (int i = 0; i < N_GIVEN && !rc; i++) rc = check(p, task, i, err);
    for (int64_t run = 0; run < p->n_runs && !rc; run++) rc = check_turn(p, run, err);
    return rc;
}

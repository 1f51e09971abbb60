#include "sweep/kind.h"

#include <string.h>

#include "adapter/adapter.h"
#include "base/obj.h"
#include "continual/plan.h"
#include "report/gather/sequence.h"

static lf_status check_adapter(const lf_config *cfg, lf_err *err) {
    lf_adapter_opts ignored;
    return strcmp(lf_cfg_str(cfg, LF_method), "lora") != 0 ? LF_OK : lf_adapter_opts_read(&ignored, cfg, err);
}

static lf_status check_run(const lf_config *cfg, lf_err *err) {
    const lf_status rc = lf_cfg_check_inputs(cfg, err);
    return rc ? rc : check_adapter(cfg, err);
}

/* Rates are chosen by figures of data that choose only, of which a sequence keeps none. */
static lf_status check_choice(const lf_config *cfg, lf_err *err) {
    if (!lf_cfg_selects_by_forgetting(cfg)) return LF_OK;
    const lf_key_id key = lf_cfg_is_set(cfg, LF_max_forgetting) ? LF_max_forgetting : LF_metric_for_best_model;
    return lf_cfg_fail(cfg, key, err,
                       "a sweep of sequences cannot choose by what is forgotten, in this version: it compares them by "
                       "their averages; leave it out, or run each sequence by itself (lora-ft continual)");
}

static lf_status check_sequence(const lf_config *cfg, lf_err *err) {
    lf_plan p;
    const lf_status choice = check_choice(cfg, err);
    if (choice) return choice;
    lf_status rc = lf_plan_open(&p, cfg, err);
    for (int64_t i = 0; i < p.n_tasks && !rc; i++) rc = check_run(p.tasks[i].cfg, err);
    lf_plan_close(&p);
    return rc;
}

const lf_point_kind *lf_point_kind_of(const lf_config *sweep, const cJSON *values) {
    static const lf_point_kind run = {"train", "config.json", true, check_run, NULL},
                               sequence = {"continual", LF_SEQUENCE_CONFIG, false, check_sequence,
                                           lf_plan_check_longer};
    const bool tasks =
        lf_cfg_is_given(sweep, LF_tasks) || cJSON_GetObjectItemCaseSensitive(values, lf_key_name(LF_tasks));
    return tasks ? &sequence : &run;
}

/* ---- orders ---- */

static bool names_tasks(const cJSON *spec) {
    const cJSON *part;
    if (cJSON_GetObjectItemCaseSensitive(spec, lf_key_name(LF_tasks))) return true;
    if (cJSON_IsArray(spec)) cJSON_ArrayForEach(part, spec) if (!names_tasks(part)) return false;
    return cJSON_IsArray(spec) && spec->child;
}

static bool add_axis(cJSON *grid, int64_t orders) {
    lf_obj values = lf_list_new();
    for (int64_t k = 0; k < orders; k++) lf_list_put(&values, cJSON_CreateNumber((double)k));
    cJSON *list = lf_obj_take(&values);
    if (!list) return false;
    /* where it is swept, too, the grid says so */
    if (cJSON_IsObject(grid) && cJSON_AddItemToObject(grid, lf_key_name(LF_task_order), list)) return true;
    cJSON_Delete(list);
    return !cJSON_IsObject(grid); /* whatever it is, the grid says what is wrong with it */
}

lf_status lf_sweep_spec(cJSON **out, const lf_config *sweep, lf_err *err) {
    const int64_t orders = lf_cfg_i64(sweep, LF_orders);
    cJSON *grid;
    bool ok = (*out = cJSON_Duplicate(lf_cfg_json(sweep, LF_sweep), true)) != NULL;
    if (ok && orders > 0 && !lf_cfg_is_given(sweep, LF_tasks) && !names_tasks(*out))
        return lf_cfg_fail(sweep, LF_orders, err, "is of sequences; give 'tasks', or leave it out");
    if (ok && orders > 0 && !cJSON_IsArray(*out)) ok = add_axis(*out, orders);
    if (ok && orders > 0 && cJSON_IsArray(*out)) cJSON_ArrayForEach(grid, *out) ok = ok && add_axis(grid, orders);
    return ok ? LF_OK : lf_no_memory(err, "the points of a sweep");
}

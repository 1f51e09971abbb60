/* All tasks at once: one run on the data of all of them, the other reference. */
#include "continual/between.h"
#include "continual/specs.h"

/* There is one run, so there is one value of each key. */
static lf_status check(const lf_plan *p, int64_t task, lf_err *err) {
    const lf_plan_task *t = &p->tasks[task];
    const cJSON *member;
    cJSON_ArrayForEach(member, t->given) {
        const char *name = lf_cfg_key_name("train", member->string);
        if (name && !lf_plan_is_data(lf_key_of(name)) && !cJSON_IsNull(member))
            return lf_cfg_fail(t->cfg, lf_key_of(name), err,
                               "with between joint all tasks are trained in one run; give it for all tasks");
    }
    return LF_OK;
}

/* What only some tasks have is no data of all. */
static lf_status one_sided(const lf_plan *p, lf_key_id key, lf_err *err) {
    int64_t with = 0, without = 0;
    while (!lf_cfg_is_given(p->tasks[with].cfg, key)) with++;
    while (lf_cfg_is_given(p->tasks[without].cfg, key)) without++;
    return lf_cfg_fail(
        p->tasks[with].cfg, key, err,
        "task '%s' gives it and task '%s' does not; with between joint give it for all tasks or for none",
        p->tasks[with].name, p->tasks[without].name);
}

/* Evaluation and test data of all tasks, or of none. */
static lf_status gather(const lf_plan *p, lf_config *cfg, lf_err *err) {
    lf_status rc = LF_OK;
    for (int i = 0; i < LF_PLAN_DATA && !rc; i++) {
        int64_t given = 0;
        cJSON *all;
        for (int64_t t = 0; t < p->n_tasks; t++) given += lf_cfg_is_given(p->tasks[t].cfg, lf_plan_data[i]);
        if (given == 0) continue;
        if (given < p->n_tasks) return one_sided(p, lf_plan_data[i], err);
        rc = lf_specs_join(&all, p, lf_plan_data[i], p->n_tasks, err);
        if (rc)
            cJSON_Delete(all);
        else
            rc = lf_plan_set(cfg, lf_plan_data[i], all, err);
    }
    return rc;
}

const lf_between lf_between_joint = {.name = "joint",
                                     .says =
                                         "One run on the data of all tasks at once: what sequences are compared with.",
                                     .at_once = true,
                                     .check = check,
                                     .gather = gather};

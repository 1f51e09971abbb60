/* One adapter goes on from task to task, and its head with it. */
#include "continual/between.h"

/* Those of the first task are the adapter's for all time. */
static lf_status check(const lf_plan *p, int64_t task, lf_err *err) {
    const lf_plan_task *t = &p->tasks[task];
    const cJSON *member;
    if (task == 0) return LF_OK;
    cJSON_ArrayForEach(member, t->given) {
        const char *name = lf_cfg_key_name("train", member->string);
        const lf_key_id key = name ? lf_key_of(name) : LF_NO_KEY;
        if (key == LF_lora_dropout || key == LF_NO_KEY) continue;
        if (lf_adapter_says(key) || (lf_key_traits(name) & LF_IS_START))
            return lf_cfg_fail(t->cfg, key, err,
                               "with between keep there is one adapter, which the first task begins; give it there, or "
                               "for all tasks");
    }
    return LF_OK;
}

/* What the adapter says itself is not said again: one that began from singular components has twice the rank by now. */
static lf_status leave_to_adapter(lf_config *cfg, lf_err *err) {
    lf_status rc = LF_OK;
    for (lf_key_id id = LF_NO_KEY + 1; id < LF_KEY_END && !rc; id++) {
        const bool says = lf_adapter_says(id) || (lf_key_traits(lf_key_name(id)) & LF_IS_START);
        if (says && id != LF_lora_dropout && lf_cfg_is_given(cfg, id)) rc = lf_cfg_unset(cfg, id, err);
    }
    return rc;
}

static lf_status begin(const lf_plan *p, int64_t run, lf_err *err) {
    lf_config *cfg = p->runs[run].cfg;
    if (run == 0) return LF_OK;
    lf_status rc = leave_to_adapter(cfg, err);
    if (!rc && p->own_heads) rc = lf_plan_set(cfg, LF_fresh_head, cJSON_CreateTrue(), err);
    return rc ? rc : lf_plan_set(cfg, LF_continue_from, cJSON_CreateString(p->runs[run - 1].own), err);
}

const lf_between lf_between_keep = {
    .name = "keep", .says = "One adapter goes on from task to task.", .one_head = true, .check = check, .begin = begin};

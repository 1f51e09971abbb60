/* Adapters add up, the old ones frozen: each task's is trained on the sum of the base and those before it. That sum is
 * kept in fp32, so nothing of an old adapter is rounded away, and the new one starts from the components of the
 * untouched base, as the first did. */
#include "continual/merged.h"

static lf_status begin(const lf_plan *p, int64_t run, lf_err *err) {
    const lf_status rc = lf_merged_begin(p, run, err);
    if (rc || run == 0) return rc;
    return lf_plan_set(p->runs[run].cfg, LF_start_from, cJSON_CreateString(lf_cfg_str(p->cfg, LF_model)), err);
}

const lf_between lf_between_stack = {
    .name = "stack",
    .says = "Each task has an adapter of its own on the sum of the base and those before it, which stay as they are.",
    .one_head = true,
    .adds_up = true,
    .in_fp32 = true,
    .check = lf_merged_check,
    .begin = begin};

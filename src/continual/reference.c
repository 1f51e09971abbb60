#include "continual/reference.h"

#include "base/json.h"
#include "base/mem.h"

#define RESULTS "all_results.json"

static lf_status take(lf_plan *p, const cJSON *results, const char *dir, lf_err *err) {
    const cJSON *learned = cJSON_GetObjectItemCaseSensitive(results, "when_learned");
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(results, "alone")))
        return lf_cfg_fail(p->cfg, LF_reset_from, err,
                           "%s/" RESULTS " is not of a sequence of between reset, of which intransigence is; run one",
                           dir);
    if (!(p->alone = lf_arena_alloc(p->arena, (size_t)p->n_tasks * sizeof *p->alone)))
        return lf_no_memory(err, "the scores of %s", dir);
    for (int64_t i = 0; i < p->n_tasks; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(learned, p->tasks[i].name);
        if (!cJSON_IsNumber(v))
            return lf_cfg_fail(p->cfg, LF_reset_from, err,
                               "%s/" RESULTS " has no score of task '%s' when it was learned", dir, p->tasks[i].name);
        p->alone[i] = v->valuedouble;
    }
    return LF_OK;
}

lf_status lf_reference_read(lf_plan *p, lf_err *err) {
    const char *dir = lf_cfg_str(p->cfg, LF_reset_from);
    cJSON *results;
    lf_err why = {0};
    if (!dir) return LF_OK;
    if (lf_json_read_in(&results, dir, RESULTS, &why))
        return lf_cfg_fail(p->cfg, LF_reset_from, err,
                           "%s; expected the folder of a finished sequence of between reset", why.message);
    const lf_status rc = take(p, results, dir, err);
    cJSON_Delete(results);
    return rc;
}
